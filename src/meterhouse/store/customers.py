"""Households and their agreements as rows: who pays for which points, from when to when.

Owns customers, agreements, their purses and what points they are attached to. Must never know who
a customer is (`personal` does). Everything takes rows in sets: a site of ten thousand rooms is
opened in a few statements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from meterhouse.errors import Conflict, NotFound
from meterhouse.model import Compartment
from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import CUSTOMER_SEEN

CUSTOMERS: Final = ListQuery(
    """select c.id, c.language, h.name as customer, h.phone, h.email,
           h.erased_at is not null as is_erased, g.valid_from, g.rooms, g.room_count,
           g.balance_minor, g.point_id
       from customer c
       join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
       left join lateral (
           select max(a.valid_from) filter (where x.point_id is not null
                   or (select building_ids()) is null) as valid_from,
               string_agg(distinct x.room, ', ') as rooms,
               count(distinct x.place_id) as room_count, max(x.balance_minor) as balance_minor,
               min(x.point_id) as point_id
           from agreement a left join lateral (
               select r.id as place_id, p.id as point_id, concat_ws(' ', b.name, r.name) as room,
                   (select sum(u.credit_minor - u.debit_minor)::int8 from account u
                    where u.project_id = $1 and u.agreement_id = a.id and u.kind = 'purse')
                       as balance_minor
               from agreement_point ap
               join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
               join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
               left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
               where ap.project_id = $1 and ap.agreement_id = a.id and ap.valid_to is null
               and ((select building_ids()) is null
                   or r.building_id = any ((select building_ids())::bigint[]))) x
               on true
           where a.project_id = $1 and a.customer_id = c.id and a.valid_to is null) g on true
       where c.project_id = $1""",
    {"let": "(q.valid_from is not null) = {}::bool", "text": "q.rooms ilike {}"},
    {"since": "valid_from", "balance": "balance_minor"},
    first="-since",
)


@dataclass(frozen=True, slots=True)
class Purse:
    """A purse compartment that an agreement shall have; no floor: it may fall without limit."""

    agreement_id: int
    compartment: Compartment
    floor_minor: int | None


@dataclass(frozen=True, slots=True)
class Attached:
    """From `at` on the agreement pays for the point, out of an account and a common one, if any."""

    point_id: int
    agreement_id: int
    account_id: int
    common_account_id: int | None
    at: datetime


async def insert_customers(
    connection: Connection, project_id: int, personal_ids: Sequence[int], languages: Sequence[str]
) -> list[int]:
    """Customers of whom `personal` knows the rest; answers their ids in the order given."""
    rows = await connection.fetch(
        """insert into customer (project_id, personal_id, language)
           select $1, personal_id, language from unnest($2::int8[], $3::text[])
               with ordinality as u (personal_id, language, n) order by n returning id""",
        project_id, list(personal_ids), list(languages),
    )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def insert_agreements(
    connection: Connection, project_id: int, customer_ids: Sequence[int],
    ats: Sequence[datetime], persons_each: Sequence[int],
) -> list[int]:  # fmt: skip
    """Agreements of customers from these instants, of so many persons; their ids in this order."""
    rows = await connection.fetch(
        """insert into agreement (project_id, kind, customer_id, valid_from, persons)
           select $1, 'tenant', customer_id, at, persons
           from unnest($2::int8[], $3::timestamptz[], $4::int4[])
               with ordinality as u (customer_id, at, persons, n) order by n returning id""",
        project_id, list(customer_ids), list(ats), list(persons_each),
    )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def open_purses(
    connection: Connection, project_id: int, unit: str, purses: Sequence[Purse]
) -> dict[tuple[int, str], int]:
    """The accounts of these purses by (agreement, compartment), made where they are not yet."""
    wanted = {(one.agreement_id, one.compartment): one.floor_minor for one in purses}
    keys = list(wanted)
    await connection.execute(
        """insert into account (project_id, kind, unit, agreement_id, compartment, floor_minor)
           select $1, 'purse', $2, agreement_id, compartment, floor_minor
           from unnest($3::int8[], $4::text[], $5::int8[]) as u (agreement_id, compartment,
               floor_minor)
           on conflict do nothing""",
        project_id, unit, [key[0] for key in keys], [key[1] for key in keys],
        [wanted[key] for key in keys],
    )  # fmt: skip
    rows = await connection.fetch(
        """select id, agreement_id, compartment from account
           where project_id = $1 and kind = 'purse' and unit = $2 and payee_id is null
           and agreement_id = any($3::int8[])""",
        project_id, unit, sorted({key[0] for key in keys}),
    )  # fmt: skip
    return {(row["agreement_id"], row["compartment"]): row["id"] for row in rows}


async def attach_points(
    connection: Connection, project_id: int, attached: Sequence[Attached], fresh: timedelta
) -> None:
    """From their instants the agreements pay for the points; those before them end there.

    What is read next is of whoever paid when its interval began. A reading not older than `fresh`
    counts as taken at that instant: by it accounts are settled. Who is the first to pay for a
    point pays for whatever was before, too.

    Raises:
        Conflict: an agreement of a point begins at its instant or later, so dates would overlap.
    """
    ids, ats = [one.point_id for one in attached], [one.at for one in attached]
    await connection.execute(
        """select from point where project_id = $1 and id = any($2::int8[])
           order by id for update""",
        project_id, ids,
    )  # fmt: skip
    later: int | None = await connection.fetchval(
        """select a.point_id from unnest($2::int8[], $3::timestamptz[]) as u (point_id, at)
           join agreement_point a on a.project_id = $1 and a.point_id = u.point_id
               and a.valid_from >= u.at limit 1""",
        project_id, ids, ats,
    )  # fmt: skip
    if later is not None:
        raise Conflict(f"point {later}", "an agreement begins at that instant or later")
    await connection.execute(
        """update agreement_point a set valid_to = u.at
           from unnest($2::int8[], $3::timestamptz[]) as u (point_id, at)
           where a.project_id = $1 and a.point_id = u.point_id and a.valid_to is null""",
        project_id, ids, ats,
    )  # fmt: skip
    await connection.execute(
        """insert into agreement_point (project_id, point_id, agreement_id, valid_from)
           select $1, point_id, agreement_id, at
           from unnest($2::int8[], $3::int8[], $4::timestamptz[])
               as u (point_id, agreement_id, at)""",
        project_id, ids, [one.agreement_id for one in attached], ats,
    )  # fmt: skip
    await connection.execute(
        """update point p set account_id = u.account_id, common_account_id = u.common_id,
               payer_at = case when p.account_id is null then p.payer_at
                   when s.good_at >= u.at - $6::interval then greatest(p.payer_at, s.good_at)
                   else greatest(p.payer_at, u.at) end
           from unnest($2::int8[], $3::int8[], $4::int8[], $5::timestamptz[])
               as u (id, account_id, common_id, at)
           left join point_state s on (s.project_id, s.point_id) = ($1, u.id)
           where p.project_id = $1 and p.id = u.id""",
        project_id, ids, [one.account_id for one in attached],
        [one.common_account_id for one in attached], ats, fresh,
    )  # fmt: skip
    await _take_persons(connection, project_id, attached)


async def _take_persons(
    connection: Connection, project_id: int, attached: Sequence[Attached]
) -> None:
    """From their instants the points have as many persons as the agreements that pay for them."""
    await connection.execute(
        """update point p set persons = g.persons, persons_at = greatest(p.persons_at, u.at)
           from unnest($2::int8[], $3::int8[], $4::timestamptz[]) as u (id, agreement_id, at)
           join agreement g on (g.project_id, g.id) = ($1, u.agreement_id)
           where p.project_id = $1 and p.id = u.id and p.persons <> g.persons""",
        project_id, [one.point_id for one in attached],
        [one.agreement_id for one in attached], [one.at for one in attached],
    )  # fmt: skip


async def set_persons(
    connection: Connection, project_id: int, agreement_id: int, persons: int, at: datetime
) -> None:
    """From an instant on a household, and every point it pays for then, has so many persons."""
    await connection.execute(
        "update agreement set persons = $3 where project_id = $1 and id = $2",
        project_id, agreement_id, persons,
    )  # fmt: skip
    await connection.execute(
        """update point p set persons = $3, persons_at = greatest(p.persons_at, $4)
           from agreement_point a
           where p.project_id = $1 and a.project_id = $1 and a.point_id = p.id
           and a.agreement_id = $2 and a.valid_to is null and p.persons <> $3""",
        project_id, agreement_id, persons, at,
    )  # fmt: skip


async def get_agreement(
    connection: Connection, project_id: int, agreement_id: int
) -> asyncpg.Record:
    """id, kind, customer_id, valid_from, valid_to, persons; locked. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select id, kind, customer_id, valid_from, valid_to, persons from agreement
           where project_id = $1 and id = $2 for update""",
        project_id, agreement_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Agreement", agreement_id)
    return row


async def commodities_of(
    connection: Connection, project_id: int, agreement_ids: Sequence[int]
) -> list[str]:
    """What is delivered to these agreements, or was while they paid for it."""
    rows = await connection.fetch(
        """select distinct p.commodity from agreement_point ap
           join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
           where ap.project_id = $1 and ap.agreement_id = any($2::int8[]) order by 1""",
        project_id, list(agreement_ids),
    )  # fmt: skip
    return [row["commodity"] for row in rows]


async def purses_of(
    connection: Connection, project_id: int, agreement_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, agreement_id, compartment, floor_minor, balance_minor of the purses of agreements."""
    return await connection.fetch(
        """select id, agreement_id, compartment, floor_minor,
               credit_minor - debit_minor as balance_minor
           from account where project_id = $1 and agreement_id = any($2::int8[])
           and kind = 'purse' and payee_id is null order by id""",
        project_id, list(agreement_ids),
    )  # fmt: skip


async def change_customer(
    connection: Connection, project_id: int, customer_id: int, version: int, language: str
) -> bool:
    """The language a customer reads; False when the customer was changed meanwhile."""
    done = await connection.fetchval(
        """update customer set language = $4, version = version + 1
           where project_id = $1 and id = $2 and version = $3 returning id""",
        project_id, customer_id, version, language,
    )  # fmt: skip
    return done is not None


async def set_warnings(
    connection: Connection, project_id: int, point_ids: Sequence[int],
    warnings_minor: Sequence[int],
) -> None:  # fmt: skip
    """The three levels at which the payer of points is warned."""
    await connection.execute(
        """update point set warning_1_minor = $3, warning_2_minor = $4, warning_3_minor = $5,
               version = version + 1
           where project_id = $1 and id = any($2::int8[])""",
        project_id, list(point_ids), *warnings_minor,
    )  # fmt: skip


async def end_agreement(
    connection: Connection, project_id: int, agreement_id: int, at: datetime
) -> bool:
    """An agreement ends at this instant; False when it has ended or begins later."""
    done = await connection.fetchval(
        """update agreement set valid_to = $3
           where project_id = $1 and id = $2 and kind = 'tenant' and valid_to is null
           and valid_from < $3 returning id""",
        project_id, agreement_id, at,
    )  # fmt: skip
    return done is not None


async def points_of_agreement(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """id, commodity of the points an agreement pays for now."""
    return await connection.fetch(
        """select p.id, p.commodity from point p
           join agreement_point a on (a.project_id, a.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and a.agreement_id = $2 and a.valid_to is null order by p.id""",
        project_id, agreement_id,
    )  # fmt: skip


async def get_customer(connection: Connection, project_id: int, customer_id: int) -> asyncpg.Record:
    """id, language, version, and name, phone, email masked. Raises `NotFound`."""
    row = await connection.fetchrow(
        f"""select c.id, c.language, c.version, h.name, h.phone, h.email, h.erased_at
           from customer c join personal_masked h
               on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where c.project_id = $1 and c.id = $2 and {CUSTOMER_SEEN}""",
        project_id, customer_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Customer", customer_id)
    return row


async def agreements_of(
    connection: Connection, project_id: int, customer_id: int
) -> list[asyncpg.Record]:
    """A customer's agreements in sight, newest first, with places and what is in the purse."""
    return await connection.fetch(
        """select g.id, g.valid_from, g.valid_to, x.places, x.place_id,
               (select coalesce(sum(a.credit_minor - a.debit_minor), 0)::int8 from account a
                where a.project_id = $1 and a.agreement_id = g.id and a.kind = 'purse')
                   as balance_minor
           from agreement g left join lateral (
               select string_agg(distinct concat_ws(' ', b.name, r.name), ', ') as places,
                   min(r.id) as place_id
               from agreement_point ap
               join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
               join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
               left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
               left join place b on (b.project_id, b.id)
                   = (f.project_id, coalesce(f.parent_id, f.id))
               where ap.project_id = $1 and ap.agreement_id = g.id
               and seen_place(r.project_id, r.id)) x on true
           where g.project_id = $1 and g.customer_id = $2
           and ((select building_ids()) is null or x.place_id is not null)
           order by g.valid_from desc, g.id desc""",
        project_id, customer_id,
    )  # fmt: skip
