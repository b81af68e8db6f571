"""A load file is read as the wall clock shows it, and what is wrong is named by row and column."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.errors import Unreadable
from meterhouse.rating import load as loads
from meterhouse.rating.load import read_load
from meterhouse.units import from_us

SHANGHAI, BERLIN = "Asia/Shanghai", "Europe/Berlin"


def starts(text, zone):
    return [from_us(us).isoformat()[:16] for us in read_load(text.splitlines(), zone).start_us]


def test_a_row_lasts_until_the_next_and_the_last_as_long_as_the_one_before():
    load = read_load(["start,energy_wh", "2026-01-01T00:00,5", "2026-01-01T00:30,7"], SHANGHAI)
    assert from_us(int(load.start_us[0])) == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert (load.end_us - load.start_us).tolist() == [1_800_000_000] * 2
    assert load.energy_milli.tolist() == [5, 7]


def test_a_column_of_ends_leaves_gaps_and_the_order_of_columns_is_free():
    text = "\ufeffEnergy_Wh, end ,start\n5,2026-01-01T00:15,2026-01-01T00:00\n\n"
    text += "6,2026-01-01T02:00,2026-01-01T01:00\n"
    load = read_load(text.splitlines(), SHANGHAI)
    assert (load.end_us - load.start_us).tolist() == [900_000_000, 3_600_000_000]


def test_an_hour_shown_twice_is_written_as_the_clock_shows_it():
    rows = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    text = "start,energy_wh\n" + "".join(f"2026-10-25T{row},1\n" for row in rows)
    begin = datetime(2026, 10, 24, 23, 30)
    expected = [(begin + timedelta(minutes=30 * place)).isoformat()[:16] for place in range(6)]
    assert starts(text, BERLIN) == expected


def test_an_hour_left_out_of_those_shown_twice_makes_its_row_longer():
    text = "start,energy_wh\n2026-10-25T02:00,1\n2026-10-25T03:00,1\n"
    load = read_load(text.splitlines(), BERLIN)
    assert (load.end_us - load.start_us).tolist() == [7_200_000_000] * 2


def test_instants_with_an_offset_are_taken_as_they_are():
    text = "start,energy_wh\n2026-01-01T00:00Z,1\n2026-01-01T02:00+01:00,1\n"
    assert starts(text, SHANGHAI) == ["2026-01-01T00:00", "2026-01-01T01:00"]


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ([], loads.LoadColumns, "Row 1"),
        (["when,energy_wh"], loads.LoadColumns, "Row 1"),
        (["start,energy_wh,start"], loads.LoadColumns, "Row 1"),
        (["start,energy_wh", "2026-01-01T00:00,1"], loads.LoadTooShort, "1 rows"),
        (["start,energy_wh", "2026-01-01T00:00"], loads.LoadCells, "Row 2 .* 1 cells"),
        (["start,energy_wh", "noon,1"], loads.LoadTime, "Row 2, column start: 'noon'"),
        (["start,energy_wh", "1960-01-01T00:00,1"], loads.LoadTime, "Row 2, column start"),
        (["start,energy_wh", "2026-01-01T00:00,1.5"], loads.LoadEnergy, "Row 2, column energy_wh"),
        (["start,energy_wh", "2026-01-01T00:00,-1"], loads.LoadEnergy, "'-1'"),
        (["start,energy_wh", "2026-01-01T00:00,1000000001"], loads.LoadEnergy, "0 to 1000000000"),
        (["start,energy_wh", "2026-01-01T00:00,١"], loads.LoadEnergy, "Row 2"),
        (["start,energy_wh", "2026-01-01T01:00,1", "2026-01-01T00:00,1"], loads.LoadOrder,
         "Row 3, column start"),
        (["start,energy_wh", "2026-01-01T01:00,1", "2026-01-01T01:00,1"], loads.LoadOrder,
         "Row 3, column start"),
        (["start,end,energy_wh", "2026-01-01T01:00,2026-01-01T00:30,1"], loads.LoadOrder,
         "Row 2, column end"),
        (["start,end,energy_wh", "2026-01-01T01:00,2026-01-01T02:00,1",
          "2026-01-01T01:30,2026-01-01T02:00,1"], loads.LoadOrder, "Row 3, column start"),
        (["start,energy_wh", "2026-01-01T00:00," + "1" * (csv.field_size_limit() + 1)],
         loads.LoadNoCsv, "Row 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_row_and_column(rows, error, said):
    with pytest.raises(error, match=said) as caught:
        read_load(rows, SHANGHAI)
    assert caught.value.code.startswith("load_")


def test_a_time_that_clocks_skip_does_not_exist():
    rows = ["start,energy_wh", "2026-03-29T01:30,1", "2026-03-29T02:30,1"]
    with pytest.raises(loads.LoadTimeSkipped, match=r"Row 3, .* Europe/Berlin skip 2026-03-29T02"):
        read_load(rows, BERLIN)
    assert len(read_load(rows, SHANGHAI).start_us) == 2


def test_a_load_has_a_limit_and_a_zone(monkeypatch):
    rows = ["start,energy_wh", *(f"2026-01-01T0{hour}:00,1" for hour in range(4))]
    with pytest.raises(Unreadable):
        read_load(rows, "Mars/Olympus")
    monkeypatch.setattr(loads, "ROWS_MAX", 3)
    with pytest.raises(loads.LoadTooLong):
        read_load(rows, SHANGHAI)
