"""Imports: a file becomes checked rows, and every fault is named by row and column."""

import csv
import datetime
import io
import re
import zipfile
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated

import httpx
import openpyxl
import pytest
from pydantic import Field, StringConstraints

from meterhouse.errors import Conflict, RowFault, RowsRefused
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.act import Doer, Done, Via
from meterhouse.web.acts.frame import Ask, Doing, Form
from meterhouse.web.acts.sheets import (
    RowsPackedBadly,
    Sheet,
    check,
    csv_template,
    pack,
    template,
    unpack,
)
from meterhouse.web.console import imports
from meterhouse.web.spreadsheets import (
    LINES_MAX,
    SheetTooLong,
    SheetUnreadable,
    cell_text,
    read_lines,
)
from meterhouse.words import words

NOW = datetime.datetime(2026, 11, 21, 4, tzinfo=datetime.UTC)
HERE = Reach(1, "house", "Asia/Shanghai", "CNY", 2, frozenset(Verb))


class MeterRow(Form):
    """One meter."""

    address: Annotated[str, StringConstraints(pattern=r"^\d{12}$"), Ask("Address")] = Field(
        examples=["000000000001"]
    )
    """Twelve digits."""
    relay: Annotated[str, Ask("Relay", kind="choice", words={"on": "Power on", "off": "Power off"})]
    """Its relay."""
    opened: Annotated[datetime.date | None, Ask("Opened")] = None
    """The day."""
    multiplier: Annotated[int, Field(ge=1), Ask("Multiplier")] = 1
    """Ratio."""


async def take(doing, rows):
    """Take meters over."""
    seen, faults = set(), []
    for index, row in enumerate(rows):
        if row.address in seen:
            faults.append(RowFault(index, "address", Conflict(row.address, "twice")))
        seen.add(row.address)
    if faults:
        raise RowsRefused(faults)
    return Done("meters", {"count": len(rows)}, after={"count": len(rows)})


SHEET = Sheet(
    "meter.import", Verb.DEVICE_EDIT, "/projects/{project_id}/samples", "Meters", MeterRow, take
)


class Nowhere:
    """A database whose transactions change nothing."""

    address = None
    building_ids = None

    @asynccontextmanager
    async def transaction(self, project_ids):
        yield None


@pytest.fixture
def doing():
    return Doing(
        db=Nowhere(), doer=Doer(1, Via.CONSOLE, NOW), ids={"project_id": 1}, scope=HERE,
        granted=frozenset(), fmt=None, words=words("en"), services=None,
    )  # fmt: skip


def table(*rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def workbook(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


GOOD = ("000000000001", "Power on", "2026-11-21", "1")
HEAD = ("Address *", "Relay", "Opened", "Multiplier")


async def test_rows_of_either_file_are_the_same(doing):
    day = datetime.datetime(2026, 11, 21)
    for content in (
        table(HEAD, GOOD),
        workbook(HEAD, ("000000000001", "Power on", day, 1)),
        workbook(
            ("address", "通断", "Opened", "multiplier"),
            (GOOD[0], "已合闸", "2026/11/21", 1.0),
        ),
    ):
        checked = await check(SHEET, doing, read_lines(content))
        assert list(checked.faults) == []
        row = checked.rows[0]
        assert (row.address, row.relay) == ("000000000001", "on")
        assert (row.opened, row.multiplier) == (day.date(), 1)
        assert checked.done.answer == {"count": 1}


async def test_every_fault_is_named_by_row_and_column(doing):
    rows = [HEAD, ("1", "Power on", "", ""), (), GOOD, ("000000000002", "maybe", "tomorrow", "0"),
            ("", "off", "", "")]  # fmt: skip
    checked = await check(SHEET, doing, read_lines(workbook(*rows)))
    assert [(one.number, one.column) for one in checked.faults] == [
        (2, "Address"), (5, "Opened"), (5, "Multiplier"), (6, "Address"),
    ]  # fmt: skip
    assert checked.faults[3].text == "This is missing."
    assert checked.done is None


async def test_headings_unknown_doubled_or_missing_stop_it(doing):
    head = ("Relay", "Relay", "Colour")
    checked = await check(SHEET, doing, read_lines(table(head, ("on", "on", "red"))))
    told = [(one.number, one.column, one.text) for one in checked.faults]
    assert told == [
        (1, "Relay", "This column stands twice."),
        (1, "Colour", "The column Colour is not known here."),
        (1, "Address", "This column is missing."),
    ]


async def test_what_the_flow_refuses_is_told_beside_its_line(doing):
    lines = read_lines(table(HEAD, GOOD, (), GOOD))
    checked = await check(SHEET, doing, lines)
    assert [(one.number, one.column) for one in checked.faults] == [(4, "Address")]
    assert "twice" in checked.faults[0].text


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (12.34, "12.34"), (3.3000000000000003, "3.3"), (1e21, "1" + "0" * 21),
     (0.1, "0.1"), (7.0, "7"), (True, "true"), (" a ", "a"), (10**12, "1000000000000"),
     (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04:00")],
)  # fmt: skip
def test_a_cell_is_what_a_person_sees(cell, text):
    assert cell_text(cell) == text


def test_chinese_spreadsheets_save_csv_in_their_own_code():
    lines = read_lines("地址,通断\n1,已合闸\n".encode("gb18030"))
    assert lines[0].cells == ("地址", "通断")


def bomb():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 50_000_000)
    return content.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02", b"PK\x03\x04 no", b"\xff\xfe\xff", bomb()]
)
def test_any_bytes_give_lines_or_a_typed_error(content):
    with pytest.raises(SheetUnreadable):
        read_lines(content)


def test_too_many_rows_are_refused():
    with pytest.raises(SheetTooLong):
        read_lines(table(*([("a",)] * (LINES_MAX + 2))))


async def test_the_csv_template_opens_in_chinese_and_can_be_filled_in(doing):
    chinese = words("zh-Hans")
    content = await csv_template(SHEET, replace(doing, words=chinese))
    # The mark by which a spreadsheet knows that the table is UTF-8.
    assert content.startswith(b"\xef\xbb\xbf")
    (head,) = read_lines(content)
    titles = ("Address", "Relay", "Opened", "Multiplier")
    assert [one.removesuffix(" *") for one in head.cells] == [chinese(one) for one in titles]
    assert "表号 *" in head.cells
    rows = "000000000001,on,2026/11/1,1\r\n\r\n000000000002,perhaps,,0\r\n"
    found = await check(SHEET, doing, read_lines(content + rows.encode()))
    assert [(fault.number, fault.column) for fault in found.faults] == [(4, "Multiplier")]


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_table_is_read_whatever_parts_its_cells(sign):
    text = f'Address{sign}Relay\n"1{sign}2"{sign}on\n'
    lines = [line.cells for line in read_lines(text.encode())]
    assert lines == [("Address", "Relay"), (f"1{sign}2", "on")]


async def test_the_template_can_be_filled_in_and_read(doing):
    content = await template(SHEET, doing)
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book.worksheets[0]
    assert [cell.value for cell in sheet[1]] == ["Address *", "Relay *", "Opened", "Multiplier"]
    for index, cell in enumerate(GOOD, 1):
        sheet.cell(2, index, cell)
    filled = io.BytesIO()
    book.save(filled)
    checked = await check(SHEET, doing, read_lines(filled.getvalue()))
    assert list(checked.faults) == []
    assert len(checked.rows) == 1


def test_rows_travel_through_the_page_and_nothing_else_does():
    rows = [MeterRow(address="000000000001", relay="on")]
    assert unpack(pack(rows)) == [rows[0].model_dump(mode="json")]
    for packed in ("", "not base64", pack(rows)[:-8]):
        with pytest.raises(RowsPackedBadly):
            unpack(packed)


@pytest.fixture
async def desk(app):
    imports.add_pages(app.router, [SHEET])
    app.state.services = app.state.services.__class__(
        Nowhere(), lambda: NOW, app.state.services.settings
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        client.cookies.set("meterhouse_session", "li-token")
        client.cookies.set("meterhouse_language", "en")
        yield client


async def test_the_page_tells_faults_and_keeps_nothing(desk):
    page = await desk.get("/projects/1/samples/import")
    assert page.status_code == 200
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]
    send = {"data": {"csrf": token}, "files": {"file": ("m.csv", table(HEAD, ("1", "on", "", "")))}}
    wrong = await desk.post("/projects/1/samples/import", **send)
    assert wrong.status_code == 422
    assert "1 fault was found" in wrong.text
    send["files"] = {"file": ("m.csv", table(HEAD, GOOD))}
    right = await desk.post("/projects/1/samples/import", **send)
    assert right.status_code == 200
    assert "Import 1 row" in right.text
    nothing = await desk.post("/projects/1/samples/import", data={"csrf": token})
    assert "Choose a file first." in nothing.text
    file = await desk.get("/projects/1/samples/import/template")
    assert file.content.startswith(b"PK")
    table_file = await desk.get("/projects/1/samples/import/template.csv")
    assert table_file.headers["content-type"] == "text/csv; charset=utf-8"
    assert table_file.headers["content-disposition"].endswith('.csv"')
