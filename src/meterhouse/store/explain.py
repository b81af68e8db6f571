"""What a transfer rests on: a booking with its charges and their readings, a meter's report.

Owns these SELECTs. Must never rate, nor know how it is shown.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.readings import BANDS

# A movement lies where its point does, else where its household has its first point.
_POINT = """coalesce(t.point_id, (select min(ap.point_id) from agreement_point ap
    where ap.project_id = t.project_id
    and ap.agreement_id in (d.agreement_id, c.agreement_id)))"""

_WHOSE = """{side}_h.name as {side}_customer, {side}_h.erased_at is not null as {side}_is_erased,
    {side}_u.language as {side}_language"""
_HOUSEHOLD = """left join agreement {side}_g
        on ({side}_g.project_id, {side}_g.id) = (q.project_id, q.{side}_agreement_id)
    left join customer {side}_u
        on ({side}_u.project_id, {side}_u.id) = ({side}_g.project_id, {side}_g.customer_id)
    left join personal_masked {side}_h
        on ({side}_h.project_id, {side}_h.id) = ({side}_u.project_id, {side}_u.personal_id)"""


async def get_transfer(
    connection: Connection, project_id: int, transfer_id: int
) -> asyncpg.Record | None:
    """One transfer with its room, if it is in sight, and both its accounts.

    Of each side (`debit_`, `credit_`): kind, compartment, agreement_id and whose that is, masked:
    customer, is_erased, language, which are null where no household's account moved.
    """
    return await connection.fetchrow(
        f"""select q.*, r.name as room, b.name as building, p.commodity,
                {_WHOSE.format(side="debit")}, {_WHOSE.format(side="credit")} from (
                select t.*, {_POINT} as shown_point_id,
                    d.kind as debit_kind, d.compartment as debit_compartment,
                    c.kind as credit_kind, c.compartment as credit_compartment,
                    d.agreement_id as debit_agreement_id, c.agreement_id as credit_agreement_id,
                    d.unit
                from transfer t
                join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
                join account c on (c.project_id, c.id) = (t.project_id, t.credit_account_id)
                where t.project_id = $1 and t.id = $2) q
            left join point p on (p.project_id, p.id) = (q.project_id, q.shown_point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
            left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
            {_HOUSEHOLD.format(side="debit")} {_HOUSEHOLD.format(side="credit")}
            where seen_point(q.project_id, q.shown_point_id)""",
        project_id, transfer_id,
    )  # fmt: skip


async def booking_parts(
    connection: Connection, project_id: int, point_id: int, booking: int
) -> list[asyncpg.Record]:
    """id, kind, compartment, signed_minor (what left the purse), rest_nano of a booking's parts."""
    return await connection.fetch(
        """select t.id, t.kind, t.rest_nano, case when d.kind in ('revenue', 'rounding')
                   then -t.amount_minor else t.amount_minor end as signed_minor,
               case when d.kind in ('revenue', 'rounding') then c.compartment
                   else d.compartment end as compartment
           from transfer t
           join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
           join account c on (c.project_id, c.id) = (t.project_id, t.credit_account_id)
           where t.project_id = $1 and t.point_id = $2 and t.booking = $3 order by t.id""",
        project_id, point_id, booking,
    )  # fmt: skip


# What a charge was rated by: its tariff's name, and how its meter counts.
_RATED = """t.name as tariff, m.address, m.multiplier, m.modulus_milli, m.max_power_w
    from mine n join tariff t on (t.project_id, t.id) = (n.project_id, n.tariff_id)
    join meter m on (m.project_id, m.id) = (n.project_id, n.meter_id)"""


async def charges_of(
    connection: Connection, project_id: int, point_id: int, booking: int
) -> list[asyncpg.Record]:
    """The charges a booking took, by time; `replaced_nano` is what each stands in place of."""
    return await connection.fetch(
        f"""with mine as (
               select distinct on (ended_at) *, min(version) over (partition by ended_at) as first
               from charge where project_id = $1 and point_id = $2 and booking = $3
               order by ended_at, version desc)
           select n.*, coalesce(o.amount_nano, 0) as replaced_nano,
               coalesce(o.edition < n.edition and (o.started_at, o.energy_milli)
                   = (n.started_at, n.energy_milli), false) as is_repriced, {_RATED}
           left join charge o on (o.project_id, o.point_id, o.ended_at, o.version)
               = (n.project_id, n.point_id, n.ended_at, n.first - 1)
           order by n.ended_at""",
        project_id, point_id, booking,
    )  # fmt: skip


async def charges_between(
    connection: Connection, project_id: int, point_id: int, since: datetime, until: datetime
) -> list[asyncpg.Record]:
    """The charges in force that ended after `since` and not after `until`, as `charges_of`."""
    return await connection.fetch(
        f"""with mine as (
               select distinct on (ended_at) * from charge
               where project_id = $1 and point_id = $2 and ended_at > $3 and ended_at <= $4
               order by ended_at, version desc)
           select n.*, 0::int8 as replaced_nano, false as is_repriced, {_RATED}
           where n.started_at < n.ended_at
           order by n.ended_at""",
        project_id, point_id, since, until,
    )  # fmt: skip


async def report_of(
    connection: Connection, project_id: int, transfer_id: int
) -> asyncpg.Record | None:
    """The two looks into a meter's purse that a transfer rests on, with the meter's address."""
    return await connection.fetchrow(
        """select r.*, m.address from purse_report r
           join meter m on (m.project_id, m.id) = (r.project_id, r.meter_id)
           where r.project_id = $1 and r.transfer_id = $2""",
        project_id, transfer_id,
    )  # fmt: skip


async def moved_before(
    connection: Connection, project_id: int, account_id: int, transfer_id: int
) -> list[asyncpg.Record]:
    """kind, count, moved_minor (negative: out) of all that an account saw before a transfer."""
    return await connection.fetch(
        """select kind, count(*) as count, sum(moved_minor)::int8 as moved_minor from (
               select kind, -amount_minor as moved_minor from transfer where project_id = $1
                   and debit_account_id = $2 and id < $3 and state = 'posted'
               union all select kind, amount_minor from transfer where project_id = $1
                   and credit_account_id = $2 and id < $3 and state = 'posted') moved
           group by kind order by kind""",
        project_id, account_id, transfer_id,
    )  # fmt: skip


async def readings_at(
    connection: Connection, project_id: int, keys: Sequence[tuple[int, int, datetime]]
) -> dict[tuple[int, int, datetime, bool], asyncpg.Record]:
    """The readings of these (meter, register epoch, instant), as they were corrected.

    By key and whether it was estimated: at one instant there may be either. `rule` is what the last
    estimate of it tells, null for a reading.
    """
    said = ", ".join(
        f"coalesce(c.registers_milli[{place}], r.{name}) as {name}"
        for place, name in enumerate(("total_milli", *BANDS), 1)
    )
    rows = await connection.fetch(
        f"""select r.meter_id, r.register_epoch, r.read_at, r.received_at, r.source, {said},
                null::text as rule
            from unnest($2::int8[], $3::int4[], $4::timestamptz[]) as k (meter_id, epoch, read_at)
            join reading r on (r.project_id, r.meter_id, r.register_epoch, r.read_at)
                = ($1, k.meter_id, k.epoch, k.read_at)
            left join lateral (select d.registers_milli from decision d
                where (d.project_id, d.meter_id, d.register_epoch, d.read_at)
                    = ($1, k.meter_id, k.epoch, k.read_at) order by d.number desc limit 1) c on true
            union all
            select * from (select distinct on (e.meter_id, e.register_epoch, e.read_at)
                e.meter_id, e.register_epoch, e.read_at, e.made_at, 4::int2, e.total_milli,
                -1::int8, -1::int8, -1::int8, -1::int8, e.rule
            from unnest($2::int8[], $3::int4[], $4::timestamptz[]) as k (meter_id, epoch, read_at)
            join estimate e on (e.project_id, e.meter_id, e.register_epoch, e.read_at)
                = ($1, k.meter_id, k.epoch, k.read_at)
            order by e.meter_id, e.register_epoch, e.read_at, e.version desc) estimated""",
        project_id, [one[0] for one in keys], [one[1] for one in keys], [one[2] for one in keys],
    )  # fmt: skip
    return {
        (row["meter_id"], row["register_epoch"], row["read_at"], row["rule"] is not None): row
        for row in rows
    }


async def decided_in(
    connection: Connection, project_id: int, spans: Sequence[tuple[int, int, datetime, datetime]]
) -> list[asyncpg.Record]:
    """Decisions in force about readings of these spans (meter, register epoch, from, to), by time.

    meter_id, register_epoch, read_at, decided, reason, decided_at; the ends of a span belong to it.
    """
    return await connection.fetch(
        """select distinct on (d.meter_id, d.register_epoch, d.read_at) d.meter_id,
               d.register_epoch, d.read_at, d.decided, d.used_milli, d.reason, d.decided_at
           from unnest($2::int8[], $3::int4[], $4::timestamptz[], $5::timestamptz[])
               as k (meter_id, epoch, since, until)
           join decision d on d.project_id = $1 and d.meter_id = k.meter_id
               and d.register_epoch = k.epoch and d.read_at between k.since and k.until
           order by d.meter_id, d.register_epoch, d.read_at, d.number desc""",
        project_id, *([one[place] for one in spans] for place in range(4)),
    )  # fmt: skip
