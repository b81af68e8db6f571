/* Draws every [data-chart] with ECharts, which is loaded only where a chart stands.
   data-chart: {labels: [text], units: [text], near: whether the axes need not begin at zero,
   series: [{name, draw, axis, points: [text]}]}, as charts.py says it. Points are decimal text; the chart scales bars by them but never adds them up. */

const COLOURS = ["#1677ff", "#cf1322", "#fa8c16", "#52c41a", "#722ed1"];
const vendor = new URL("../vendor/echarts.common.min.js", import.meta.url);

function library() {
  if (window.echarts) return Promise.resolve(window.echarts);
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = vendor;
    script.onload = () => resolve(window.echarts);
    script.onerror = reject;
    document.head.append(script);
  });
}

function options(facts) {
  const series = facts.series.map((one, index) => ({
    name: one.name, type: one.draw === "line" ? "line" : "bar", yAxisIndex: one.axis,
    stack: one.draw === "stack" ? `axis${one.axis}` : undefined, data: one.points,
    color: one.colour ?? (one.draw === "line" ? "#531dab" : COLOURS[index % COLOURS.length]),
    barMaxWidth: 32, symbolSize: 6,
  }));
  return {
    animation: false,
    grid: { left: 56, right: facts.units.length > 1 ? 56 : 16, top: 56, bottom: 28 },
    legend: { top: 0 },
    tooltip: { trigger: "axis", renderMode: "richText" },
    xAxis: { type: "category", data: facts.labels },
    yAxis: facts.units.map((name, index) => ({
      type: "value", name, scale: facts.near, splitLine: { show: !index },
    })),
    series,
  };
}

export async function draw() {
  const echarts = await library();
  for (const box of document.querySelectorAll("[data-chart]:empty")) {
    const chart = echarts.init(box);
    chart.setOption(options(JSON.parse(box.dataset.chart)));
    new ResizeObserver(() => chart.resize()).observe(box);
  }
}
