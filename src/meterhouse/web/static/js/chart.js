/* Draws every [data-chart] with ECharts, which is loaded only where a chart stands.
   data-chart: {days: [text], unit, symbol, bars: [{name, points: [text]}], line: {name, points}}.
   Points are decimal text; the chart scales bars by them but never adds them up. */

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
  const bars = facts.bars.map((bar, index) => ({
    name: bar.name, type: "bar", stack: "energy", data: bar.points, barMaxWidth: 32,
    color: COLOURS[index],
  }));
  const line = { name: facts.line.name, type: "line", yAxisIndex: 1, data: facts.line.points,
    color: "#531dab", symbolSize: 6 };
  return {
    animation: false,
    grid: { left: 56, right: 56, top: 56, bottom: 28 },
    legend: { top: 0 },
    tooltip: { trigger: "axis", renderMode: "richText" },
    xAxis: { type: "category", data: facts.days },
    yAxis: [
      { type: "value", name: facts.unit },
      { type: "value", name: facts.symbol, splitLine: { show: false } },
    ],
    series: [...bars, line],
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
