"""A price compiled for a meter's registers: exact, or refused with the reason."""

import pytest

from meterhouse.rating.inmeter import (
    BandNotInMeter,
    BlocksNotInMeter,
    BlocksNotSeparable,
    ChargesNotInMeter,
    DaysNotInMeter,
    Holds,
    PeriodNotInMeter,
    PriceTooFine,
    TablesNotInMeter,
    compiled,
    price_text,
)
from meterhouse.rating.tariff import METER_BANDS, parse

HOLDS = Holds(METER_BANDS, limits=3, tables=8)
PLAIN = Holds(METER_BANDS)


def version(**part):
    header = {"name": "T", "commodity": "electricity", "currency": "CNY"}
    part = {"effective_from": "2026-01-01T00:00:00+08:00", **part}
    return parse(header | {"versions": [part]}).versions[0]


def flat(price=600_000):
    return version(prices_micro={"flat": price})


BANDED = {
    "bands": ["peak", "flat", "valley"],
    "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "flat"}},
    "prices_micro": {"peak": 900_000, "flat": 600_000, "valley": 300_000},
}


def test_a_flat_price_stands_in_every_tariff():
    made = compiled(flat(), PLAIN)
    assert made.standby == tuple((f"standby_price_{n}", "0.6000") for n in range(1, 5))
    assert made.in_force == tuple((f"price_{n}", "0.6000") for n in range(1, 5))
    assert (made.switches, made.expects) == (("tariffs_switch",), ())


def test_a_flat_price_takes_an_earlier_ones_blocks_away():
    made = compiled(flat(), HOLDS)
    held = dict(made.in_force)
    assert [held[f"limit_{n}"] for n in range(1, 4)] == ["999999.99"] * 3
    assert [held[f"block_price_{n}"] for n in range(1, 5)] == ["0.0000"] * 4
    assert made.switches == ("tariffs_switch", "limits_switch")


def test_blocks_become_what_each_adds_to_the_first():
    made = compiled(
        version(
            blocks={"period": "month", "limits_milli": [210_000, 400_000]},
            prices_micro={"flat": [538_300, 588_300, 838_300]},
        ),
        HOLDS,
    )
    held = dict(made.in_force)
    assert held["price_1"] == "0.5383"
    assert [held[f"limit_{n}"] for n in range(1, 4)] == ["210.00", "400.00", "999999.99"]
    assert [held[f"block_price_{n}"] for n in range(1, 5)] == [
        "0.0000", "0.0500", "0.3000", "0.3000",
    ]  # fmt: skip
    assert made.expects == (("settlement_day", "01:00"),)


def test_blocks_that_get_cheaper_add_nothing_below_zero():
    made = compiled(
        version(
            blocks={"period": "month", "limits_milli": [100_000]},
            prices_micro={"flat": [600_000, 500_000]},
        ),
        HOLDS,
    )
    held = dict(made.in_force)
    assert (held["price_1"], held["block_price_1"], held["block_price_2"]) == (
        "0.5000", "0.1000", "0.0000",
    )  # fmt: skip


def test_bands_bring_their_day_table_and_their_season():
    made = compiled(version(**BANDED), PLAIN)
    held = dict(made.in_force)
    # Sharp is in no table; it costs what the first band does.
    assert [held[f"price_{n}"] for n in range(1, 5)] == ["0.9000", "0.9000", "0.6000", "0.3000"]
    assert held["slots_1"] == "00:00:04 08:30:02 22:30:03"
    assert held["zones"] == "01:01:01"
    assert made.switches == ("tariffs_switch", "slots_switch", "zones_switch")


def test_bands_that_the_meter_itself_decides_leave_its_days_alone():
    prices = dict(zip(METER_BANDS, (4, 3, 2, 1), strict=True))
    made = compiled(
        version(
            bands=list(METER_BANDS), band_source="meter",
            prices_micro={band: price * 100_000 for band, price in prices.items()},
        ),
        PLAIN,
    )  # fmt: skip
    assert [text for _, text in made.in_force] == ["0.4000", "0.3000", "0.2000", "0.1000"]


def test_seasons_become_zones_that_name_the_tables_in_use():
    tables = {"summer": {"00:00": "peak"}, "winter": {"00:00": "valley", "12:00": "peak"}}
    whole = {"workday": "winter"}
    made = compiled(
        version(
            **BANDED | {"day_tables": tables | {"unused": {"00:00": "flat"}}},
            seasons=[
                {"name": "b", "first": "10-16", "last": "04-14", "tables": whole},
                {"name": "a", "first": "04-15", "last": "10-15", "tables": {"workday": "summer"}},
            ],
        ),
        HOLDS,
    )
    held = dict(made.in_force)
    assert held["zones"] == "04:15:01 10:16:02"
    assert (held["slots_1"], held["slots_2"]) == ("00:00:02", "00:00:04 12:00:02")
    assert "slots_3" not in held


@pytest.mark.parametrize(
    ("part", "holds", "error"),
    [
        ({"prices_micro": {"flat": 538_350}}, PLAIN, PriceTooFine),
        ({"bands": ["day", "night"], "prices_micro": {"day": 1, "night": 1},
          "day_tables": {"d": {"00:00": "day"}}}, PLAIN, BandNotInMeter),
        ({"blocks": {"period": "month", "limits_milli": [1_000]},
          "prices_micro": {"flat": [100, 200]}}, PLAIN, BlocksNotInMeter),
        ({"blocks": {"period": "month", "limits_milli": [1_005]},
          "prices_micro": {"flat": [100, 200]}}, HOLDS, PriceTooFine),
        ({"blocks": {"period": "year", "limits_milli": [1_000]},
          "prices_micro": {"flat": [100, 200]}}, HOLDS, PeriodNotInMeter),
        ({**BANDED, "blocks": {"period": "month", "limits_milli": [1_000]},
          "prices_micro": {"peak": [900, 1_000], "flat": [600, 700], "valley": [300, 500]}},
         HOLDS, BlocksNotSeparable),
        ({**BANDED,
          "blocks": {"period": "month", "limits_milli": [1_000], "fill": "pro_rata"},
          "prices_micro": {"peak": [900, 1_000], "flat": [600, 700], "valley": [300, 400]}},
         HOLDS, PeriodNotInMeter),
        ({**BANDED, "day_tables": {"a": {"00:00": "peak"}, "b": {"00:00": "flat"}},
          "seasons": [{"name": "y", "first": "01-01", "last": "12-31",
                       "tables": {"workday": "a", "weekend": "b"}}]}, HOLDS, DaysNotInMeter),
        ({**BANDED, "day_tables": {"a": {"00:00": "peak"}, "b": {"00:00": "flat"}},
          "seasons": [{"name": "s", "first": "01-01", "last": "06-30",
                       "tables": {"workday": "a"}},
                      {"name": "w", "first": "07-01", "last": "12-31",
                       "tables": {"workday": "b"}}]}, PLAIN, TablesNotInMeter),
    ],
)  # fmt: skip
def test_what_a_meter_would_charge_otherwise_is_refused(part, holds, error):
    with pytest.raises(error):
        compiled(version(**part), holds)


def test_a_weekend_that_never_comes_may_have_what_table_it_likes():
    part = BANDED | {
        "day_tables": {"a": {"00:00": "peak"}, "b": {"00:00": "flat"}},
        "seasons": [{"name": "y", "first": "01-01", "last": "12-31",
                     "tables": {"workday": "a", "weekend": "b"}}],
        "weekend": [],
    }  # fmt: skip
    assert dict(compiled(version(**part), PLAIN).in_force)["slots_1"] == "00:00:02"
    with pytest.raises(DaysNotInMeter):
        compiled(version(**part, special_days={"2026-10-01": "holiday"}), PLAIN)


@pytest.mark.parametrize(
    ("price", "decimals", "kept", "text"),
    [(538_300, 6, 4, "0.5383"), (0, 6, 4, "0.0000"), (25, 0, 2, "25.00"), (5, 2, 2, "0.05")],
)
def test_a_price_is_written_with_the_decimals_that_are_kept(price, decimals, kept, text):
    assert price_text(price, decimals, kept) == text


@pytest.mark.parametrize(
    "part",
    [
        {"standing": {"per": "day", "amount_micro": 1}},
        {"surcharges": [{"name": "funds", "price_micro": 1}]},
        {"blocks": {"period": "month", "seasonal": {"year": []}}},
        {"blocks": {"period": "month", "persons": [{"persons": 5, "add_milli": []}]}},
    ],
)
def test_what_is_charged_beside_energy_stays_with_the_platform(part):
    with pytest.raises(ChargesNotInMeter):
        compiled(version(prices_micro={"flat": 600_000}, **part), HOLDS)
