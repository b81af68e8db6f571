"""What is wrong with a scheme is named by its path."""

import copy
import json
from datetime import date

import pytest

from meterhouse.rating.tariff import BandSource, Fill, Period, TariffInvalid, dump, parse

GOOD = {
    "name": "School, four bands",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {
            "effective_from": "2026-01-01T00:00:00+08:00",
            "bands": ["peak", "valley"],
            "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
            "blocks": {"period": "month", "limits_milli": [200000, 400000]},
            "prices_micro": {"peak": 600000, "valley": [300000, 310000, 320000]},
            "adders_micro": [0, 50000, 300000],
        }
    ],
}
FLAT = {"effective_from": "2026-01-01T00:00:00Z", "prices_micro": {"flat": 500_000}}


def test_the_shortest_scheme_has_one_band_all_the_time():
    (version,) = parse({**GOOD, "versions": [FLAT]}).versions
    assert version.bands == ("flat",)
    assert version.prices_micro == ((500_000,),)
    assert (version.blocks.period, version.blocks.fill) == (Period.NONE, Fill.CHRONOLOGICAL)
    assert version.band_source is BandSource.PLATFORM


def test_the_documented_example_is_a_scheme():
    example = (parse.__doc__ or "").partition("::")[2].partition("A price is")[0]
    (version,) = parse(json.loads(example)).versions
    assert version.prices_micro[1] == (600_000, 700_000)
    assert version.table_name(date(2026, 10, 10)) == "work"


def test_adders_are_part_of_the_price_from_then_on():
    (version,) = parse(GOOD).versions
    assert version.prices_micro == ((600_000, 650_000, 900_000), (300_000, 360_000, 620_000))
    spelt_out = dump(parse(GOOD))
    assert "adders_micro" not in spelt_out["versions"][0]
    assert parse(spelt_out) == parse(GOOD)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("$.name", ""),
        ("$.commodity", "gold"),
        ("$.currency", "yuan"),
        ("$.versions", []),
        ("$.versions[0].effective_from", "2026-01-01T00:00:00"),
        ("$.versions[0].effective_from", "soon"),
        ("$.versions[0].bands", ["peak", "peak"]),
        ("$.versions[0].bands[0]", "Peak!"),
        ("$.versions[0].day_tables", {}),
        ("$.versions[0].day_tables.day", {"08:30": "peak"}),
        ("$.versions[0].day_tables.day.24:00", {"00:00": "peak", "24:00": "valley"}),
        ("$.versions[0].day_tables.day.00:00", {"00:00": "flat"}),
        ("$.versions[0].seasons", []),
        ("$.versions[0].weekend", [0]),
        ("$.versions[0].special_days.2026-02-30", {"2026-02-30": "holiday"}),
        ("$.versions[0].special_days.2026-02-03", {"2026-02-03": "sunny"}),
        ("$.versions[0].blocks.period", {"period": "week"}),
        ("$.versions[0].blocks.limits_milli[1]", {"limits_milli": [5, 5]}),
        ("$.versions[0].blocks.limits_milli", {"limits_milli": list(range(1, 9))}),
        ("$.versions[0].prices_micro.valley", {"peak": 1}),
        ("$.versions[0].prices_micro.valley", {"peak": 1, "valley": [1, 2]}),
        ("$.versions[0].prices_micro.peak[0]", {"peak": -1, "valley": 1}),
        ("$.versions[0].prices_micro.peak", {"peak": True, "valley": 1}),
        ("$.versions[0].prices_micro.peak", {"peak": 0.5, "valley": 1}),
        ("$.versions[0].adders_micro", [0]),
        ("$.versions[0].surcharge", 5),
    ],
)
def test_an_invalid_scheme_names_the_place_and_the_mend(path, wrong):
    data = copy.deepcopy(GOOD)
    node, keys = data, path.removeprefix("$.").replace("[0].", ".0.").split(".")
    for key in keys[:2] if keys[0] == "versions" and len(keys) > 1 else []:
        node = node[int(key)] if isinstance(node, list) else node[key]
    key = keys[2] if node is not data else keys[0]
    if key == "day_tables" and len(keys) > 3:
        node, key = node["day_tables"], "day"
    node[key.split("[")[0]] = wrong
    if key == "bands[0]":
        node["bands"] = [wrong, "valley"]
    with pytest.raises(TariffInvalid) as caught:
        parse(data)
    assert caught.value.facts["path"] == path
    assert caught.value.code == "tariff_invalid"


def test_versions_come_in_the_order_of_time():
    with pytest.raises(TariffInvalid, match="order they come into force"):
        parse({**GOOD, "versions": [FLAT, FLAT]})


def test_a_meter_counts_by_its_own_four_bands():
    wrong = {**GOOD["versions"][0], "band_source": "meter"}
    with pytest.raises(TariffInvalid, match="sharp, peak, flat, valley"):
        parse({**GOOD, "versions": [wrong]})


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [("01-01", "11-30", "12-01 lies in no season"), ("12-01", "01-01", "01-01 lies in 2 seasons")],
)
def test_every_day_belongs_to_one_season(first, last, said):
    seasons = [
        {"name": "one", "first": first, "last": last, "tables": {"workday": "day"}},
    ]
    if said.endswith("2 seasons"):
        seasons.append({"name": "two", "first": "01-01", "last": "11-30",
                        "tables": {"workday": "day"}})  # fmt: skip
    with pytest.raises(TariffInvalid, match=said):
        parse({**GOOD, "versions": [{**GOOD["versions"][0], "seasons": seasons}]})
