"""A chart and the table beside it say the same."""

from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.words import words

CHART = Chart(
    "Energy and money of the last days", "Day", ("11-20", "11-21"), ("kWh", "¥"),
    (Series("Energy", ("4.000", "5.000")),
     Series("Money", ("2.0000", "2.5000"), Draw.LINE, 1, ("2.00", "2.50"))),
)  # fmt: skip


def test_the_browser_is_told_what_to_draw():
    facts = CHART.facts(words("zh-Hans"))
    assert facts["labels"] == ["11-20", "11-21"]
    assert [(one["draw"], one["axis"]) for one in facts["series"]] == [("bar", 0), ("line", 1)]
    assert facts["series"][0]["name"] == "用量"


def test_the_table_has_a_column_for_each_series():
    assert CHART.head(words("en")) == ["Day", "Energy (kWh)", "Money (¥)"]
    assert CHART.rows() == [("11-20", "4.000", "2.00"), ("11-21", "5.000", "2.50")]
