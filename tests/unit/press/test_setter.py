"""Receipts and tables as PDF: one page, in time, and no text is ever read as markup."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.errors import OutOfRange
from meterhouse.paper.sheet import TABLE_ROWS_MAX, Paper, Row, Sheet, Side, Table, plain
from meterhouse.press import fonts, setter
from premises import MORNING

SHEET = Sheet(
    language="zh-Hans",
    title="收据",
    payee="滨江能源",
    mark="",
    void="",
    number=Row("票据号", "E-17"),
    rows=(Row("房号", "1204"), Row("交款人", "王*明"), Row("备注", "无", is_wide=True)),
    total=Row("金额", "¥101.50"),
    capitals=Row("大写", "人民币壹佰零壹元伍角整"),
    signs=(Row("收款人", "李"),),
    footer="谢谢",
)
TABLE = Table(
    language="en",
    title="Statement",
    facts=(Row("Room", "1204"), Row("Span", "2026-01", is_wide=True)),
    columns=("Time", "Amount"),
    sides=(Side.START, Side.END),
    widths=(3, 1),
    rows=[("2026-01-01", "¥1.00")],
    totals=("Total", "¥1.00"),
    notes=("Checked.",),
    page="Page {page} of {pages}",
)
PAPERS = (Paper.A5, Paper.CONTINUOUS, Paper.ROLL)
HOSTILE = [
    "#panic(1)",
    '#read("/etc/passwd")',
    '#import"@preview/x:1.0.0"',
    "$x$",
    "\\u{41}\\#",
    "*/-/*//",
    "*b*_i_`r`",
    "<label>@ref",
    "=h",
    "\"]}#{[",
    "{page}{pages}",
    "שלוםعربي",
    "😀👩‍👩‍👧",
    "\0\x1b",
]  # fmt: skip


def glyphs(sheet, paper):
    """How many glyphs stand on the picture of a receipt."""
    return setter.receipt(sheet, paper, "svg").count(b"<use ")


def pages_of(pdf):
    (count,) = re.findall(rb"/Type /Pages\s*/Count (\d+)|/Count (\d+)", pdf)[:1]
    return int(count[0] or count[1])


@pytest.mark.parametrize("paper", PAPERS)
def test_a_receipt_is_one_page_of_pdf(paper):
    made = setter.receipt(SHEET, paper)
    assert made.startswith(b"%PDF-")
    assert pages_of(made) == 1


def test_paper_is_set_at_an_instant_as_fine_as_a_clock_tells_it():
    at = datetime(2026, 11, 21, 4, 0, 0, 123_456, tzinfo=UTC)
    for made in (setter.receipt(SHEET, Paper.A5, at=at), *setter.report([TABLE], at=at)):
        assert b"D:20261121040000" in made


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize(("mark", "void"), [("副本 2", ""), ("", "作废"), ("副本 3", "作废")])
def test_a_copy_and_a_void_one_say_so(paper, mark, void):
    more = len((mark + void).replace(" ", ""))
    assert glyphs(replace(SHEET, mark=mark, void=void), paper) == glyphs(SHEET, paper) + more


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("text", ["#panic(1)", "$x$\\u{41}", "*b*_i_`r`//", "<a>@ref=h", '"]}#{['])
def test_each_character_of_a_hostile_text_is_printed_as_it_is(paper, text):
    rows = (Row("x", ""), *SHEET.rows)
    named = (Row("x", text), *SHEET.rows)
    more = glyphs(replace(SHEET, rows=named), paper) - glyphs(replace(SHEET, rows=rows), paper)
    assert more == len(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_everywhere_make_a_receipt_and_a_table(text):
    text = plain(text)
    rows = tuple(Row(text, text, is_wide) for is_wide in (False, True, False))
    sheet = Sheet("zh-Hans", text, text, text, text, rows[0], rows, rows[0], rows[0], rows, text)
    for paper in PAPERS:
        assert setter.receipt(sheet, paper).startswith(b"%PDF-")
    table = replace(TABLE, title=text, facts=rows, columns=(text, text), rows=[(text, text)] * 3,
                    totals=(text, text), notes=(text,))  # fmt: skip
    assert setter.report([table])[0].startswith(b"%PDF-")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_any_text_makes_a_receipt(text):
    row = Row("x", plain(text, 60))
    sheet = replace(SHEET, rows=(row,) * 3, payee=row.text, footer=row.text)
    for paper in PAPERS:
        assert pages_of(setter.receipt(sheet, paper)) == 1


def test_a_full_receipt_of_long_texts_keeps_to_one_page():
    rows = tuple(Row("单价", "很" * 30) for _ in range(12))
    for paper in PAPERS:
        assert pages_of(setter.receipt(replace(SHEET, rows=rows), paper)) == 1


def test_a_warm_receipt_takes_no_time_to_speak_of():
    setter.warm()
    taken = []
    for n in range(8):
        sheet = replace(SHEET, number=Row("票据号", f"E-{n}"))
        began = process_time()
        setter.receipt(sheet, Paper.A5)
        taken.append(process_time() - began)
    # The measure is 50 ms; `bench receipt` says how far below it we are. Others may work here, too.
    assert min(taken) < 0.05


def test_a_long_table_repeats_its_head_and_numbers_its_pages():
    rows = [(f"2026-01-{n % 28 + 1:02}", "¥1.00") for n in range(130)]
    pages = setter.report([replace(TABLE, rows=rows)], "svg")
    assert len(pages) == 3
    each_row, heads, feet = len("2026-01-01¥1.00"), len("TimeAmount"), len("Page1of3")
    once = len("Statement" + "Room1204" + "Span2026-01" + "Total¥1.00" + "Checked.")
    printed = sum(page.count(b"<use ") for page in pages)
    assert printed == len(rows) * each_row + len(pages) * (heads + feet) + once


def test_several_tables_begin_on_pages_of_their_own():
    pages = setter.report([TABLE, replace(TABLE, title="Another")], "svg")
    assert len(pages) == 2
    assert pages[1].count(b"<use ") == pages[0].count(b"<use ") - len("Statement") + len("Another")


def test_no_table_is_no_report():
    with pytest.raises(OutOfRange):
        setter.report([])


@pytest.mark.parametrize(
    "report",
    [
        replace(TABLE, rows=[("a", "b", "c")]),
        replace(TABLE, totals=("a",)),
        replace(TABLE, widths=(1,)),
        replace(TABLE, rows=[("a", "b")] * (TABLE_ROWS_MAX + 1)),
    ],
    ids=["row", "totals", "widths", "rows"],
)
def test_a_table_that_does_not_fit_itself_is_refused(report):
    with pytest.raises(OutOfRange):
        setter.report([report])


def test_without_a_chinese_font_nothing_is_printed(monkeypatch):
    monkeypatch.setattr(fonts, "FAMILIES", ("No Such Font",))
    with pytest.raises(fonts.ChineseFontMissing) as caught:
        setter.receipt(SHEET, Paper.A5)
    assert caught.value.code == "chinese_font_missing"


def test_the_same_receipt_at_the_same_instant_is_the_same_file():
    first, again = (setter.receipt(SHEET, Paper.A5, at=MORNING) for _ in range(2))
    assert first == again
