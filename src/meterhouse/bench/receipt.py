"""How long a receipt takes from its values to a file.

Owns two figures for each paper, the time that went by and the processor's part of it: medians of
many files that all differ, set one after the other once the first one has woken the compiler.
"""

from dataclasses import replace
from statistics import median
from time import perf_counter, process_time
from typing import Any

from meterhouse.paper.sheet import TICKET_COLUMNS, Paper, Row, Sheet
from meterhouse.paper.ticket import ticket
from meterhouse.press import setter

WANTED_MS = 50
RUNS = 100
ROWS = 12

_SHEET = Sheet(
    language="zh-Hans", title="Receipt", payee="Riverside Energy Ltd", mark="", void="",
    number=Row("No.", ""),
    rows=tuple(Row(f"Label {n}", "A text of usual length 1204") for n in range(ROWS)),
    total=Row("Amount", "1,234.50"), capitals=Row("In capitals", "One thousand and so on"),
    signs=(Row("Payee", ""), Row("Cashier", "Li"), Row("Signature", "")),
    footer="Not a tax invoice. Telephone 400-000-0000",
)  # fmt: skip


def figures() -> list[dict[str, Any]]:
    """One figure a paper, against the time the product promises."""
    setter.warm()
    papers = (Paper.A5, Paper.CONTINUOUS, Paper.ROLL, Paper.TICKET_80)
    return [figure for paper in papers for figure in _figures(paper)]


def _figures(paper: Paper) -> list[dict[str, Any]]:
    taken, worked = [], []
    for n in range(RUNS):
        sheet = replace(_SHEET, number=Row("No.", f"E-{n:08}"))
        began, idle = perf_counter(), process_time()
        made = ticket(sheet, paper) if paper in TICKET_COLUMNS else setter.receipt(sheet, paper)
        worked.append((process_time() - idle) * 1_000)
        taken.append((perf_counter() - began) * 1_000)
        assert made
    told = (("", "ms a file", taken), ("_processor", "ms of processor a file", worked))
    return [
        {
            "name": f"receipt_{paper.value}{name}",
            "value": round(median(spent), 2),
            "unit": unit,
            "reference": WANTED_MS,
            "ratio": round(median(spent) / WANTED_MS, 2),
        }
        for name, unit, spent in told
    ]
