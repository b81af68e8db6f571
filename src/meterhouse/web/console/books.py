"""The pages of finance: an order, a statement, the trial balance, a closed day, why an amount.

Owns what stands on them. Must never know how a figure is computed.
"""

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import books, day, orders, receipt
from meterhouse.flows.access import Verb
from meterhouse.flows.books import Movement, Part, Statement, Trial
from meterhouse.flows.refund import BROUGHT
from meterhouse.model import AccountKind, Commodity, PaymentKind, RechargeState
from meterhouse.paper.sheet import Row
from meterhouse.web import labels, moneywords, papers, rechargewords
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.day import PROVE
from meterhouse.web.acts.receipt import ISSUE
from meterhouse.web.acts.refund import undo_of
from meterhouse.web.cells import masked_name
from meterhouse.web.formats import ABSENT
from meterhouse.web.moneywords import why_moved
from meterhouse.web.pages import formats_of, render
from meterhouse.web.paperwords import WAYS
from meterhouse.web.reports import Report, days_of, midnight, span_of
from meterhouse.web.tables import Column, Kind
from meterhouse.words import N_

router = APIRouter()

_PROJECT: Final = "/projects/{project_id}"
_UNDOING: Final = {PaymentKind.REVERSAL, PaymentKind.DEPOSIT_REFUND}


def _may(verb: Verb) -> list[Any]:
    return [Depends(Permission(verb))]


@router.get(f"{_PROJECT}/orders/{{payment_id:int}}", dependencies=_may(Verb.MONEY_READ))
async def order_page(request: Request, project_id: int, payment_id: int) -> Response:
    """One order: what it was, what it moved, what it belongs with."""
    now = await orders.order(database_of(request), project_id, payment_id)
    row = now.row
    state = row["recharge_state"]
    zone, at = formats_of(request).timezone, request.app.state.services.clock()
    is_undone = any(
        one["kind"] in _UNDOING or (one["kind"] in BROUGHT and one["of_payment_id"] == payment_id)
        for one in now.related
    )
    has_none = row["receipt_id"] is None and receipt.is_fit(row["kind"], row["channel"])
    facts = {
        "order": row,
        "kind": PaymentKind(row["kind"]),
        "channel": WAYS.get(row["channel"], row["channel"]),
        "customer": masked_name(row),
        "recharge": None if state is None else RechargeState(state),
        "recharge_class": rechargewords.RECHARGE_CLASS,
        "unit": labels.UNIT.get(row["commodity"], ""),
        "transfers": [_transfer(one) for one in now.transfers],
        "related": [(one, PaymentKind(one["kind"])) for one in now.related],
        "undo": None if is_undone else undo_of(row, zone, at),
        "issue": ISSUE if has_none else None,
        "ids": {"project_id": project_id, "payment_id": payment_id},
    }
    return render(request, "order.html", facts)


def _transfer(row: Any) -> dict[str, Any]:
    """A transfer with its accounts as enums, which have words."""
    return {
        "id": row["id"], "at": row["created_at"], "amount_minor": row["amount_minor"],
        "debit": AccountKind(row["debit_kind"]), "credit": AccountKind(row["credit_kind"]),
        "reason": row["reason"], "state": row["state"],
    }  # fmt: skip


_STATEMENT: Final = f"{_PROJECT}/agreements/{{agreement_id:int}}/statement"
_MOVED: Final = (
    Column("at", N_("When"), lambda one: one.at, Kind.INSTANT),
    Column("why", N_("What for"), lambda one: why_moved(one.kind, one.commodity),
           Kind.WORD),
    Column("room", N_("Room"), lambda one: one.room),
    Column("amount", N_("Amount"), lambda one: one.amount_minor, Kind.MONEY),
    Column("balance", N_("Balance"), lambda one: one.balance_minor, Kind.MONEY),
    Column("reason", N_("Note"), lambda one: one.reason),
    Column("id", N_("Transfer"), lambda one: one.transfer_id,
           link=lambda one: f"../../transfers/{one.transfer_id}/explain"),
)  # fmt: skip


def side_of(one: Any) -> str:
    """The side the balance stands on; level where both are the same."""
    if one.credit_minor == one.debit_minor:
        return N_("Even")
    return N_("Credit") if one.credit_minor > one.debit_minor else N_("Debit")


_STANDINGS: Final = (
    Column("kind", N_("Account"), lambda one: one.kind, Kind.WORD),
    Column("debit", N_("Debits"), lambda one: one.debit_minor, Kind.MONEY),
    Column("credit", N_("Credits"), lambda one: one.credit_minor, Kind.MONEY),
    Column("side", N_("Side"), side_of, Kind.WORD),
    Column(
        "balance", N_("Balance"), lambda one: abs(one.credit_minor - one.debit_minor), Kind.MONEY
    ),
)
_UNIT: Final = Column("unit", N_("Unit"), lambda one: one.unit)


@router.get(_STATEMENT, dependencies=_may(Verb.MONEY_READ))
async def statement_page(request: Request, project_id: int, agreement_id: int) -> Response:
    """A household's statement over a span, this month unless asked otherwise."""
    now, days = await _statement(request, project_id, agreement_id)
    facts = {
        "statement": now, "first": days[0], "last": days[1], "customer": masked_name(now.row),
        "parts": [(part, _moved(part)) for part in now.parts],
    }  # fmt: skip
    return render(request, "statement.html", facts)


@router.get(f"{_STATEMENT}/export", dependencies=_may(Verb.MONEY_READ))
async def statement_file(request: Request, project_id: int, agreement_id: int) -> Response:
    """The same as a file: every section's movements, with its opening and closing balance."""
    now, _ = await _statement(request, project_id, agreement_id)
    rows = [row for part in now.parts for row in _whole(part, now)]
    section = Column("section", N_("Account"), lambda row: row[0], Kind.STATE)
    columns = [section, *(_of_second(column) for column in _MOVED)]
    report = Report("statement", N_("Account statement"), columns, rows)
    return await report.file(request, formats_of(request))


@router.get(f"{_STATEMENT}/file", dependencies=_may(Verb.MONEY_READ))
async def statement_paper(request: Request, project_id: int, agreement_id: int) -> Response:
    """The same as PDF, each section from a new page on. Raises `ChineseFontMissing`."""
    now, days = await _statement(request, project_id, agreement_id)
    fmt = formats_of(request)
    spoken = fmt.words
    tables = []
    for part in now.parts:
        facts = (
            (N_("Customer"), spoken(masked_name(now.row))),
            (N_("Account"), labels.label(spoken, part.section)),
            (N_("Rooms"), now.row["rooms"] or ABSENT),
            (N_("Span"), spoken(N_("{first} to {last}"), first=days[0], last=days[1])),
            (N_("Opening balance"), fmt.money(part.opening_minor)),
            (N_("Money added"), fmt.money(part.moved(1))),
            (N_("Money deducted"), fmt.money(part.moved(-1))),
            (N_("Closing balance"), fmt.money(part.closing_minor)),
        )
        rows = [Row(spoken(N_("Project")), request.state.scope.name, is_wide=True)]
        rows += [Row(spoken(title), text) for title, text in facts]
        title = spoken(N_("Account statement"))
        tables.append(papers.of_columns(title, rows, _MOVED[:-1], part.movements, fmt))
    at = request.app.state.services.clock()
    return await papers.report_answer(tables, "statement", at)


async def _statement(
    request: Request, project_id: int, agreement_id: int
) -> tuple[Statement, tuple[Any, Any]]:
    fmt = formats_of(request)
    today = request.app.state.services.clock().astimezone(fmt.timezone).date()
    days = days_of(request, today.replace(day=1), today)
    span = span_of(days, fmt)
    return await books.statement(database_of(request), project_id, agreement_id, *span), days


def _moved(part: Part) -> Report:
    return Report("statement", N_("Account statement"), _MOVED, part.movements)


def _whole(part: Part, now: Statement) -> list[tuple[Any, Any]]:
    """A section's rows for a file, between a row of its opening and one of its closing balance."""
    first, last = (
        Movement(0, at, kind, None, None, None, None, "", 0, balance_minor)
        for at, kind, balance_minor in (
            (now.since, N_("Opening balance"), part.opening_minor),
            (now.until, N_("Closing balance"), part.closing_minor),
        )
    )
    return [(part.section, one) for one in (first, *part.movements, last)]


def _of_second(column: Column) -> Column:
    return Column(column.key, column.title, lambda row: column.read(row[1]), column.kind)


@router.get(f"{_PROJECT}/trial", dependencies=_may(Verb.BOOKS_READ))
async def trial_page(request: Request, project_id: int) -> Response:
    """What every kind of account held at the end of a day."""
    now, day = await _trial(request, project_id)
    facts = {"trial": now, "report": _standings(now), "day": day}
    return render(request, "trial.html", facts)


@router.get(f"{_PROJECT}/trial/export", dependencies=_may(Verb.BOOKS_READ))
async def trial_file(request: Request, project_id: int) -> Response:
    """The same as a file."""
    now, _ = await _trial(request, project_id)
    return await _standings(now).file(request, formats_of(request))


async def _trial(request: Request, project_id: int) -> tuple[Trial, Any]:
    fmt = formats_of(request)
    today = request.app.state.services.clock().astimezone(fmt.timezone).date()
    day = days_of(request, today, today)[1]
    at = midnight(min(day, today) + timedelta(days=1), fmt)
    return await books.trial(database_of(request), project_id, at), day


def _standings(now: Trial) -> Report:
    """Every kind of account, and below them what each unit adds up to."""
    rows: list[Any] = list(now.standings)
    for unit in now.units:
        rows.append(_Sum(N_("All accounts"), unit, *now.sums(unit)))
    columns = [_STANDINGS[0], *([_UNIT] if len(now.units) > 1 else []), *_STANDINGS[1:]]
    return Report("trial", N_("Trial balance"), columns, rows)


class _Sum:
    """The last row of a unit; it has the columns of a standing."""

    def __init__(self, kind: str, unit: str, debit_minor: int, credit_minor: int) -> None:
        self.kind, self.unit = kind, unit
        self.debit_minor, self.credit_minor = debit_minor, credit_minor


@router.get(f"{_PROJECT}/days/{{day_id:int}}", dependencies=_may(Verb.BOOKS_READ))
async def day_page(request: Request, project_id: int, day_id: int) -> Response:
    """One closed day: what it adds up to, and what was proved of it."""
    now = await day.closed_day(database_of(request), project_id, day.day_of(day_id))
    totals = now.totals
    facts = {
        "day": now,
        "proofs": [(moneywords.PROOF.get(proof, proof), count)
                   for proof, count in now.proofs.items()],
        "money": [(PaymentKind(one["kind"]), WAYS.get(one["channel"], one["channel"]), one)
                  for one in totals["money"]],
        "sold": [(Commodity(one["commodity"]) if one["commodity"] else None, one)
                 for one in totals["booked"]],
        "energy": [(Commodity(one["commodity"]), one) for one in totals["energy"]],
        "prove": PROVE,
        "ids": {"project_id": project_id},
    }  # fmt: skip
    return render(request, "day.html", facts)
