"""Lists: what an address may ask, and files that hold exactly what is shown."""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from starlette.datastructures import QueryParams

from meterhouse.model import Relay
from meterhouse.web.exports import Sheet, export
from meterhouse.web.formats import Formats
from meterhouse.web.tables import Column, Filter, Kind, ListPage, Table, list_state
from meterhouse.words import words


@dataclass
class Row:
    name: str | None
    amount_minor: int
    energy_milli: int
    read_at: datetime
    relay: Relay


TABLE = Table(
    name="rooms",
    columns=(
        Column("name", "Room", lambda r: r.name, sortable=True),
        Column("amount", "Available", lambda r: r.amount_minor, Kind.MONEY, sortable=True),
        Column("energy", "Energy", lambda r: r.energy_milli, Kind.ENERGY),
        Column("read_at", "Last read", lambda r: r.read_at, Kind.INSTANT, optional=True),
        Column("relay", "Relay", lambda r: r.relay, Kind.STATE),
    ),
    filters=(Filter("state", "State", {"open": "Normal"}), Filter("text", "Room")),
    sort="name",
)
ROW = Row("=1+1", -3712, 12_345, datetime(2026, 11, 21, 4, tzinfo=UTC), Relay.OPEN)


def state_of(query):
    return list_state(TABLE, QueryParams(query))


def test_an_address_asks_and_the_limits_hold():
    state = state_of("sort=-amount&page=3&size=100&state=open&text=A1")
    assert (state.sort, state.descending, state.page, state.page_size) == ("amount", True, 3, 100)
    assert state.offset == 200
    assert state.filters == {"state": "open", "text": "A1"}
    wild = state_of(f"sort=energy&page=-5&size=100000&state=x'--&text={'y' * 500}")
    assert (wild.sort, wild.page, wild.page_size) == ("name", 1, 50)
    assert wild.filters["state"] == ""
    assert len(wild.filters["text"]) == 100


def test_state_and_address_agree():
    for query in ("?", "?text=A1&sort=-amount&page=2", "?size=20&hide=energy&show=read_at"):
        assert state_of(query[1:]).query() == query


def test_columns_by_check_boxes():
    state = state_of("columns=name&columns=read_at")
    assert [column.key for column in state.columns] == ["name", "read_at"]
    assert [column.key for column in state_of("").columns] == ["name", "amount", "energy", "relay"]
    assert state_of("columns=nothing").columns


def test_heading_turns_the_order():
    assert state_of("").sorted_by("name").descending
    assert state_of("page=4").sorted_by("amount").query() == "?sort=amount"


def test_pages_offered():
    page = ListPage(state_of("page=10&size=20"), [], 1000)
    assert page.page_numbers == [1, 0, 8, 9, 10, 11, 12, 0, 50]
    assert ListPage(state_of(""), [], 0).page_numbers == [1]


async def chunks():
    yield [ROW]
    yield [Row(None, 0, 0, ROW.read_at, Relay.CLOSED)]


@pytest.fixture
def sheet():
    fmt = Formats(words("zh-Hans"), ZoneInfo("Asia/Shanghai"), "CNY", 2)
    return Sheet("A/B", TABLE.columns, fmt)


async def test_xlsx_holds_numbers_and_local_times(sheet):
    answer = await export(sheet, "xlsx", chunks(), "rooms")
    book = openpyxl.load_workbook(answer.path)
    rows = list(book.active.iter_rows(values_only=True))
    assert rows[0][1] == "可用余额 (CNY)"
    assert rows[1][:3] == ("=1+1", -37.12, 12.345)
    assert rows[1][3] == datetime(2026, 11, 21, 12, 0)
    assert rows[1][4] == "已拉闸"
    assert book.active.cell(2, 1).data_type == "s"
    book.close()
    await answer.background()


async def test_csv_disarms_formulas_and_keeps_figures(sheet):
    answer = await export(sheet, "csv", chunks(), "rooms")
    content = Path(answer.path).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[1] == ["'=1+1", "-37.12", "12.345", "2026-11-21 12:00:00", "已拉闸"]
    assert Decimal(rows[1][1]) == Decimal("-37.12")
    await answer.background()
