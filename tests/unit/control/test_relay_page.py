"""The page about the relay shows the table that decides, row for row."""

import re

import pytest

from meterhouse.control.decide import CHECKS, GUARDS, TABLE, Want
from tidy import ROOT

PAGE = ROOT / "docs" / "relay.md"
WANTED = {Want.OFF: "off", Want.ON: "on", Want.AS_IS: "as it is"}


def decision_table() -> list[str]:
    rows = [
        f"| {number} | {row.name} | {WANTED[row.want]} | {row.reason.value} |"
        for number, row in enumerate(TABLE, 1)
    ]
    last = f"| {len(TABLE) + 1} | nothing above speaks | as it is | |"
    return ["| row | when | the relay shall be | reason |", "|---|---|---|---|", *rows, last]


def guard_table() -> list[str]:
    rows = [
        f"| {reason.value} | {', '.join(f'`{guard.value}`' for guard in guards)} |"
        for reason, guards in GUARDS.items()
    ]
    return ["| reason | guards |", "|---|---|", *rows]


@pytest.mark.parametrize(
    ("mark", "table"),
    [("table", decision_table()), ("guards", guard_table())],
    ids=["decision", "guards"],
)
def test_the_page_prints_the_table_itself(mark, table):
    found = re.search(f"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == table


def test_every_guard_is_explained():
    told = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert told == [guard.value for guard in CHECKS]
