"""The books as finance reads them: a household's statement, the trial balance.

Owns how movements become a statement: sections of accounts that a household would count as one,
an opening balance, and each movement's balance after it. Looking only computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from meterhouse.errors import BadInput, NotFound
from meterhouse.ledger.chart import CHART
from meterhouse.model import AccountKind, Commodity, PaymentKind
from meterhouse.store import books
from meterhouse.store.db import Database
from meterhouse.words import N_

MOVEMENTS_MAX: Final = 20_000
SPAN_MAX: Final = timedelta(days=1_100)


class SpanUnusable(BadInput):
    """The span must begin before it ends and be at most {days} days long."""

    code = "span_unusable"

    def __init__(self) -> None:
        super().__init__(days=SPAN_MAX.days)


class StatementTooLong(BadInput):
    """There are more than {rows} movements; choose a shorter span."""

    code = "statement_too_long"

    def __init__(self) -> None:
        super().__init__(rows=MOVEMENTS_MAX)


class Section(StrEnum):
    """Accounts of a household that it counts as one."""

    PURSE = "purse"
    METER = "meter"
    DEPOSIT = "deposit"
    RECEIVABLE = "receivable"
    # No account: fees paid over the counter, each charged and paid at once.
    COUNTER = "counter"


class Handed(StrEnum):
    """What changed hands over the counter for a fee, beside the fee itself."""

    PAID = "paid"
    PAID_BACK = "paid_back"


SECTIONS: Final[Mapping[Section, frozenset[AccountKind]]] = {
    Section.PURSE: frozenset({AccountKind.PURSE}),
    Section.METER: frozenset({AccountKind.IN_FLIGHT, AccountKind.ON_METER}),
    Section.DEPOSIT: frozenset({AccountKind.DEPOSIT}),
    Section.RECEIVABLE: frozenset({AccountKind.RECEIVABLE}),
}


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of a section's balance; `amount_minor` is negative where money leaves it."""

    transfer_id: int
    at: datetime
    kind: str
    payment_kind: PaymentKind | None
    payment_id: int | None
    commodity: Commodity | None
    room: str | None
    reason: str
    amount_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Part:
    """A section over the span: what it began with, every movement, what it ended with."""

    section: Section
    opening_minor: int
    movements: Sequence[Movement]

    @property
    def closing_minor(self) -> int:
        """The balance at the end of the span."""
        return self.movements[-1].balance_minor if self.movements else self.opening_minor

    def moved(self, sign: int) -> int:
        """What came in (1) or went out (−1), never negative."""
        return sum(abs(one.amount_minor) for one in self.movements if one.amount_minor * sign > 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """A household's statement (对账单) over [since, until)."""

    row: Any
    since: datetime
    until: datetime
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Standing:
    """What all accounts of a kind and unit add up to; the balance is on the side it grows on."""

    kind: AccountKind
    unit: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Credits less debits where credits make it grow, else the other way."""
        balance = self.credit_minor - self.debit_minor
        return balance if CHART[self.kind].credit_normal else -balance


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial balance (试算平衡) at an instant."""

    at: datetime
    standings: Sequence[Standing]

    def sums(self, unit: str) -> tuple[int, int]:
        """Debits and credits of all accounts of a unit."""
        mine = [one for one in self.standings if one.unit == unit]
        return sum(one.debit_minor for one in mine), sum(one.credit_minor for one in mine)

    @property
    def units(self) -> list[str]:
        """The units there are, in order."""
        return sorted({one.unit for one in self.standings})

    @property
    def holds(self) -> bool:
        """Whether debits equal credits in every unit."""
        return all(len(set(self.sums(unit))) == 1 for unit in self.units)


def check_span(since: datetime, until: datetime) -> None:
    """Refuse a span that is empty, or longer than anybody can read. Raises `SpanUnusable`."""
    if not timedelta(0) < until - since <= SPAN_MAX:
        raise SpanUnusable


async def statement(
    db: Database, project_id: int, agreement_id: int, since: datetime, until: datetime
) -> Statement:
    """Every movement of a household's money over [since, until), with its balances.

    A section without an account is left out, but for the purse. Fees paid over the counter never
    were in an account of the household: each stands there twice, as charged and as paid.

    Raises:
        NotFound: no such agreement in sight.
        SpanUnusable: the span is empty or too long.
        StatementTooLong: more than `MOVEMENTS_MAX` movements since its beginning.
    """
    check_span(since, until)
    async with db.transaction([project_id]) as connection:
        row = await books.get_agreement(connection, project_id, agreement_id)
        if row is None:
            raise NotFound(N_("Agreement"), agreement_id)
        accounts = await books.accounts_of(connection, project_id, agreement_id)
        ids = [one["id"] for one in accounts]
        moved = await books.movements(connection, project_id, ids, since, MOVEMENTS_MAX + 1)
        limit = MOVEMENTS_MAX // 2 + 1
        paid = await books.counter_fees(
            connection, project_id, agreement_id, since, until, limit
        )  # fmt: skip
    if len(moved) > MOVEMENTS_MAX or len(paid) == limit:
        raise StatementTooLong
    parts = []
    for section, kinds in SECTIONS.items():
        mine = {one["id"]: one["balance_minor"] for one in accounts if one["kind"] in kinds}
        if mine or section is Section.PURSE:
            parts.append(_part(section, mine, moved, until))
    if paid:
        lines = [line for one in paid for line in _charged_and_paid(one)]
        parts.append(Part(Section.COUNTER, 0, lines))
    return Statement(row, since, until, parts)


def _part(
    section: Section, accounts: Mapping[int, int], moved: Sequence[Any], until: datetime
) -> Part:
    """A section's movements, its opening balance found backwards from what stands now."""
    signed = [(one, _signed(one, accounts)) for one in moved]
    balance_minor = sum(accounts.values()) - sum(amount for _, amount in signed)
    opening_minor, found = balance_minor, []
    for one, amount_minor in signed:
        if amount_minor == 0 or one["created_at"] >= until:
            continue
        balance_minor += amount_minor
        found.append(_line(one, one["kind"], amount_minor, balance_minor))
    return Part(section, opening_minor, found)


def _charged_and_paid(row: Any) -> tuple[Movement, Movement]:
    """A fee and its payment, or a fee taken back and what was paid back: nothing is owed after."""
    is_fee = row["payment_kind"] == PaymentKind.FEE
    owed_minor = -row["amount_minor"] if is_fee else row["amount_minor"]
    handed = Handed.PAID if is_fee else Handed.PAID_BACK
    return _line(row, row["kind"], owed_minor, owed_minor), _line(row, handed, -owed_minor, 0)


def _line(row: Any, kind: str, amount_minor: int, balance_minor: int) -> Movement:
    paid, delivers = row["payment_kind"], row["commodity"]
    return Movement(
        row["id"], row["created_at"], kind, PaymentKind(paid) if paid else None,
        row["payment_id"], Commodity(delivers) if delivers else None, row["room"],
        row["reason"], amount_minor, balance_minor,
    )  # fmt: skip


def _signed(row: Any, accounts: Mapping[int, int]) -> int:
    """What a transfer adds to a section; nothing where it stays within it."""
    gains = row["credit_account_id"] in accounts
    loses = row["debit_account_id"] in accounts
    return int(row["amount_minor"]) * (gains - loses)


async def trial(db: Database, project_id: int, at: datetime) -> Trial:
    """What every kind of account held at an instant: all that was written before it."""
    async with db.transaction([project_id]) as connection:
        rows = await books.trial(connection, project_id, at)
    order = list(CHART)
    standings = [
        Standing(AccountKind(row["kind"]), row["unit"], row["debit_minor"], row["credit_minor"])
        for row in rows
    ]
    return Trial(at, sorted(standings, key=lambda one: (one.unit, order.index(one.kind))))
