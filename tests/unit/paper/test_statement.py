"""A report's texts are fit for paper, whoever typed them."""

from meterhouse.paper.sheet import Row, Side
from meterhouse.paper.statement import Column, statement


def test_columns_become_sides_and_widths_and_every_text_is_plain():
    made = statement(
        "en", "State\0ment", [Row("Room\n", "12\x1b04", is_wide=True)],
        [Column("Time", 3), Column("Amount", is_figure=True)],
        [("2026-01-01", "¥1.00"), ("a\u202eb", "x" * 500)],
        totals=("Total", "¥1.00"), notes=["line\nend"], page="Page {page} of {pages}",
    )  # fmt: skip
    assert made.title == "Statement"
    assert made.facts == (Row("Room", "1204", is_wide=True),)
    assert made.sides == (Side.START, Side.END)
    assert made.widths == (3, 1)
    assert made.rows[1][0] == "ab"
    assert len(made.rows[1][1]) == 120
    assert made.notes == ("line end",)
    assert not made.is_wide
