"""Receipts, their series and their prints as rows.

Owns how a number is taken: the series' row is locked until the transaction ends, so a payment that
is rolled back gives its number back and no two are alike. Must never know what is printed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from meterhouse.errors import BadInput, NotFound
from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.reports import PLACE

HOUSE_PAYEE: Final = 0
"""The series of a project itself, for payments that name no payee."""
NUMBER_DIGITS: Final = 8

_ROWS: Final = f"""select q.id, q.label, q.number, q.payee_id, q.payment_id, q.facts, q.issued_at,
        q.issued_by, q.print_count, q.voided_at, q.voided_by, q.void_reason,
        q.voided_at is not null as is_void, y.kind, y.channel, y.amount_minor, y.point_id,
        p.place_id as room_id, r.name as room, b.name as building,
        c.id as customer_id, h.name as customer, h.erased_at is not null as is_erased,
        {STAFF_NAME} as cashier
    from receipt q join payment y on (y.project_id, y.id) = (q.project_id, q.payment_id)
    left join point p on (p.project_id, p.id) = (y.project_id, y.point_id) {PLACE}
    left join agreement g on (g.project_id, g.id) = (y.project_id, y.agreement_id)
    left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
    left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
    {staff("q.issued_by")}
    where q.project_id = $1"""

LIST: Final = ListQuery(
    _ROWS,
    {
        "void": "q.is_void = {}::bool",
        "kind": "q.kind = {}",
        "channel": "q.channel = {}",
        "payment": "q.payment_id = {}",
        "text": "(q.label ilike {0} or q.room ilike {0})",
        "from": "q.issued_at >= {}",
        "to": "q.issued_at < {}",
    },
    {
        "issued_at": "issued_at", "number": "number", "amount": "amount_minor", "room": "room",
        "prints": "print_count", "kind": "kind",
    },
    first="-issued_at",
    solid=frozenset({"issued_at", "number", "amount", "prints", "kind"}),
)  # fmt: skip


class SeriesTaken(BadInput):
    """Numbers of another series begin so, or did; two receipts would bear the same one."""

    code = "series_taken"


class Settings(NamedTuple):
    """How a project's receipts look, and over which channels a sale brings none."""

    prefix: str
    paper: str
    footer: str
    quiet_channels: Sequence[str]
    version: int


async def settings(connection: Connection, project_id: int) -> Settings:
    """What a project chose for its receipts, or what holds until it does; version 1 then."""
    row = await connection.fetchrow(
        """select prefix, paper, footer, quiet_channels, version from receipt_series
           where project_id = $1 and payee_id = $2""",
        project_id, HOUSE_PAYEE,
    )  # fmt: skip
    return Settings("", "a5", "", (), 1) if row is None else Settings(*row)


async def change_settings(connection: Connection, project_id: int, new: Settings) -> bool:
    """Choose how receipts look from now on; False when somebody did so meanwhile."""
    await connection.execute(
        """insert into receipt_series (project_id, payee_id) values ($1, $2)
           on conflict do nothing""",
        project_id, HOUSE_PAYEE,
    )  # fmt: skip
    done = await connection.fetchval(
        """update receipt_series set prefix = $3, paper = $4, footer = $5,
               quiet_channels = $6::text[], version = version + 1
           where project_id = $1 and payee_id = $2 and version = $7 returning version""",
        project_id, HOUSE_PAYEE, new.prefix, new.paper, new.footer, list(new.quiet_channels),
        new.version,
    )  # fmt: skip
    return done is not None


async def payment_facts(connection: Connection, project_id: int, payment_id: int) -> asyncpg.Record:
    """What is known of a payment at this instant, without who pays. Raises `NotFound`."""
    row = await connection.fetchrow(
        f"""select y.id, y.kind, y.channel, y.amount_minor, y.tender_minor, y.energy_milli,
               y.price_micro, y.created_at, y.actor_id, y.point_id, y.account_id, y.reason,
               g.customer_id,
               coalesce(y.payee_id, $3) as payee_id, e.name as payee, e.tax_id,
               p.commodity, p.keeper, r.name as room, b.name as building, m.address as meter,
               (select max(o.label) from receipt o where o.project_id = y.project_id
                   and o.payment_id = y.of_payment_id and o.voided_at is null) as of_label
           from payment y
           join agreement g on (g.project_id, g.id) = (y.project_id, y.agreement_id)
           left join point p on p.project_id = y.project_id and p.id = coalesce(y.point_id,
               (select min(point_id) from agreement_point ap where ap.project_id = y.project_id
                and ap.agreement_id = y.agreement_id)) {PLACE}
           left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           left join payee e on (e.project_id, e.id) = (y.project_id, y.payee_id)
           where y.project_id = $1 and y.id = $2
           and (y.point_id is null or seen_point(y.project_id, y.point_id)) limit 1""",
        project_id, payment_id, HOUSE_PAYEE,
    )  # fmt: skip
    if row is None:
        raise NotFound("Payment", payment_id)
    return row


async def of_payment(connection: Connection, project_id: int, payment_id: int) -> int | None:
    """The receipt of a payment that counts, if it has one."""
    found: int | None = await connection.fetchval(
        """select id from receipt where project_id = $1 and payment_id = $2
           and voided_at is null""",
        project_id, payment_id,
    )  # fmt: skip
    return found


# A number is taken first: whoever wants one of the same series waits there. Two series without a
# prefix of their own still have labels that differ.
ISSUED: Final = f"""numbered as (
        insert into receipt_series as s (project_id, payee_id, next_number)
        select $1, {{payee}}, 2 from made where {{facts}} is not null
        on conflict (project_id, payee_id) do update set next_number = s.next_number + 1
        returning s.next_number - 1 as number, coalesce((select y.series from payee y
            where y.project_id = $1 and y.id = {{payee}}), s.prefix) as prefix),
    issued as (
        insert into receipt (project_id, payee_id, number, label, payment_id, facts, issued_at,
            issued_by)
        select $1, {{payee}}, n.number,
            coalesce(nullif(n.prefix, ''),
                case {{payee}} when {HOUSE_PAYEE} then '' else {{payee}} || '-' end)
            || lpad(n.number::text, greatest({NUMBER_DIGITS}, length(n.number::text)), '0'),
            made.id, {{facts}} || jsonb_build_object('payment_id', made.id), {{at}}, {{actor}}
        from made, numbered n
        on conflict (project_id, payment_id) where voided_at is null do nothing returning id)"""
"""Parts of a statement: the receipt (`issued`) of the payment in `made`, with its number.

Without `facts` there is none, and none where one counts already; the number is taken all the same.
"""


async def check_series(connection: Connection, project_id: int, payee_id: int) -> None:
    """Whether a series' numbers begin as no other's do or did, inside the project's lock.

    Raises:
        SeriesTaken: another one begins so.
    """
    taken: bool = await connection.fetchval(
        f"""with series as (
                select id as payee_id, coalesce(nullif(series, ''), id || '-') as prefix
                from payee where project_id = $1
                union all select {HOUSE_PAYEE}, coalesce((select prefix from receipt_series
                    where project_id = $1 and payee_id = {HOUSE_PAYEE}), '')),
            mine as (select prefix from series where payee_id = $2)
            select exists (select from series s join mine m using (prefix) where s.payee_id <> $2)
            or exists (select from receipt r, mine m where r.project_id = $1 and r.payee_id <> $2
                and starts_with(r.label, m.prefix)
                and substr(r.label, length(m.prefix) + 1) ~ '^[0-9]{{{NUMBER_DIGITS},}}$')""",
        project_id, payee_id,
    )  # fmt: skip
    if taken:
        raise SeriesTaken


async def insert(
    connection: Connection, project_id: int, payee_id: int, payment_id: int,
    facts: Mapping[str, Any], actor_id: int | None, at: datetime,
) -> int | None:  # fmt: skip
    """Write a receipt under the next number; its id, or None where one counts already.

    Whoever is told None gives the whole transaction up, and the number is given back with it.
    """
    parts = ISSUED.format(
        payee="$2::int8", facts="$4::jsonb", at="$5::timestamptz", actor="$6::int8"
    )
    made: int | None = await connection.fetchval(
        f"with made as (select $3::int8 as id), {parts} select id from issued",
        project_id, payee_id, payment_id, json.dumps(dict(facts)), at, actor_id,
    )  # fmt: skip
    return made


async def get(connection: Connection, project_id: int, receipt_id: int) -> asyncpg.Record:
    """A receipt with its room, its customer (masked) and its cashier. Raises `NotFound`."""
    row = await connection.fetchrow(
        f"""select * from ({_ROWS} and q.id = $2) w
            where (select building_ids()) is null or seen_point($1, w.point_id)""",
        project_id, receipt_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Receipt", receipt_id)
    return row


async def void(
    connection: Connection, project_id: int, receipt_id: int, reason: str,
    actor_id: int | None, at: datetime,
) -> bool:  # fmt: skip
    """Make a receipt void; its number stays taken. False when it was void already."""
    done = await connection.fetchval(
        """update receipt set voided_at = $3, voided_by = $4, void_reason = $5
           where project_id = $1 and id = $2 and voided_at is null returning id""",
        project_id, receipt_id, at, actor_id, reason,
    )  # fmt: skip
    return done is not None


async def count_print(
    connection: Connection, project_id: int, receipt_id: int, paper: str, language: str,
    is_named: bool, actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Write a print down; answers which one it is, from 1 on."""
    copy: int = await connection.fetchval(
        """with counted as (update receipt set print_count = print_count + 1
               where project_id = $1 and id = $2 returning print_count)
           insert into receipt_print (project_id, receipt_id, copy, paper, language, is_named,
               printed_at, printed_by)
           select $1, $2, print_count, $3, $4, $5, $6, $7 from counted returning copy""",
        project_id, receipt_id, paper, language, is_named, at, actor_id,
    )  # fmt: skip
    return copy


async def prints(connection: Connection, project_id: int, receipt_id: int) -> list[asyncpg.Record]:
    """copy, paper, language, is_named, printed_at, printed_by, printer of each print, in order."""
    return await connection.fetch(
        f"""select t.copy, t.paper, t.language, t.is_named, t.printed_at, t.printed_by,
               {STAFF_NAME} as printer
           from receipt_print t {staff("t.printed_by")}
           where t.project_id = $1 and t.receipt_id = $2 order by t.copy""",
        project_id, receipt_id,
    )  # fmt: skip
