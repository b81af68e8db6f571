"""Groups and projects as rows, and what a project chose: rules, calendar, payees.

Owns changing them. Must never know what a rule means. Two who edit a project are told apart by its
version, so that the second loses nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.store.db import Connection


class PayeeThere(MeterhouseError):
    """This charge class has a payee; edit that one."""

    code = "payee_there"
    http_status = 409
    field = "charge_class"


@dataclass(frozen=True, slots=True)
class Payee:
    """Who receives the money of a charge class, and how their documents are numbered."""

    charge_class: str
    name: str
    merchant: str
    tax_id: str
    series: str


async def groups(connection: Connection) -> list[asyncpg.Record]:
    """id, name of every group, by name."""
    return await connection.fetch("select id, name from project_group order by name, id")


async def rename_group(connection: Connection, group_id: int, name: str) -> None:
    """What a group is called from now on."""
    await connection.execute("update project_group set name = $2 where id = $1", group_id, name)


async def get_group(connection: Connection, group_id: int) -> asyncpg.Record:
    """id, name of a group. Raises `NotFound`."""
    row = await connection.fetchrow("select id, name from project_group where id = $1", group_id)
    if row is None:
        raise NotFound("Group", group_id)
    return row


async def change_project(
    connection: Connection, project_id: int, version: int, name: str, timezone: str,
    currency: str, currency_exponent: int, reading_interval_s: int,
) -> bool:  # fmt: skip
    """Change what a project is; False when somebody did so meanwhile."""
    done = await connection.fetchval(
        """update project set name = $3, timezone = $4, currency = $5, currency_exponent = $6,
               reading_interval_s = $7, version = version + 1
           where id = $1 and version = $2 returning id""",
        project_id, version, name, timezone, currency, currency_exponent, reading_interval_s,
    )  # fmt: skip
    return done is not None


async def change_policy(
    connection: Connection, project_id: int, version: int, policy: Mapping[str, Any]
) -> bool:
    """Replace a project's rules; False when somebody changed the project meanwhile."""
    done = await connection.fetchval(
        """update project set policy = $3::jsonb, version = version + 1
           where id = $1 and version = $2 returning id""",
        project_id, version, json.dumps(dict(policy)),
    )  # fmt: skip
    return done is not None


async def set_frozen(connection: Connection, project_id: int, frozen: bool) -> bool:
    """Freeze or thaw a project; False when it was so already."""
    done = await connection.fetchval(
        """update project set frozen = $2, version = version + 1
           where id = $1 and frozen <> $2 returning id""",
        project_id, frozen,
    )  # fmt: skip
    return done is not None


async def has_moved_money(connection: Connection, project_id: int) -> bool:
    """Whether any money has moved, or been accrued, in a project."""
    found: bool = await connection.fetchval(
        """select exists (select from transfer where project_id = $1)
               or exists (select from point_state where project_id = $1 and rated_nano <> 0)""",
        project_id,
    )
    return found


async def change_units(connection: Connection, project_id: int, currency: str) -> None:
    """The accounts of a project in which no money has moved are in this currency from now on."""
    await connection.execute(
        "update account set unit = $2 where project_id = $1", project_id, currency
    )


async def calendar(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """day, kind, name of a project's special days, in order."""
    return await connection.fetch(
        "select day, kind, name from calendar_day where project_id = $1 order by day", project_id
    )


async def put_days(
    connection: Connection, project_id: int, days: Sequence[tuple[date, str, str]]
) -> None:
    """Special days (day, kind, name); a day already there is overwritten."""
    await connection.execute(
        """insert into calendar_day (project_id, day, kind, name)
           select $1, day, kind, name from unnest($2::date[], $3::text[], $4::text[])
               as u (day, kind, name)
           on conflict (project_id, day) do update
               set kind = excluded.kind, name = excluded.name""",
        project_id, [day for day, _, _ in days], [kind for _, kind, _ in days],
        [name for _, _, name in days],
    )  # fmt: skip


async def remove_day(connection: Connection, project_id: int, day: date) -> bool:
    """A day is an ordinary one again; False when it was."""
    done = await connection.fetchval(
        "delete from calendar_day where project_id = $1 and day = $2 returning day",
        project_id, day,
    )  # fmt: skip
    return done is not None


async def payees(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id, charge_class, name, merchant, tax_id, series, version of a project's payees."""
    return await connection.fetch(
        """select id, charge_class, name, merchant, tax_id, series, version from payee
           where project_id = $1 order by charge_class""",
        project_id,
    )


async def get_payee(connection: Connection, project_id: int, payee_id: int) -> asyncpg.Record:
    """One payee. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select id, charge_class, name, merchant, tax_id, series, version from payee
           where project_id = $1 and id = $2""",
        project_id, payee_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Payee", payee_id)
    return row


async def insert_payee(connection: Connection, project_id: int, payee: Payee) -> int:
    """A payee. Raises `PayeeThere`."""
    try:
        made: int = await connection.fetchval(
            """insert into payee (project_id, charge_class, name, merchant, tax_id, series)
               values ($1, $2, $3, $4, $5, $6) returning id""",
            project_id, payee.charge_class, payee.name, payee.merchant, payee.tax_id,
            payee.series,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise PayeeThere from error
    return made


async def change_payee(
    connection: Connection, project_id: int, payee_id: int, version: int, payee: Payee
) -> bool:
    """Change a payee, whose class stays; False when somebody did so meanwhile."""
    done = await connection.fetchval(
        """update payee set name = $4, merchant = $5, tax_id = $6, series = $7,
               version = version + 1
           where project_id = $1 and id = $2 and version = $3 returning id""",
        project_id, payee_id, version, payee.name, payee.merchant, payee.tax_id, payee.series,
    )  # fmt: skip
    return done is not None


async def standing(connection: Connection, project_id: int) -> asyncpg.Record:
    """What stands of a site, as counts: the facts of the set-up checklist."""
    row = await connection.fetchrow(
        """select
               (select count(*) from place where project_id = $1 and kind = 'building')
                   as buildings,
               (select count(*) from place where project_id = $1 and kind in ('room', 'area'))
                   as rooms,
               (select count(*) from gateway where project_id = $1 and removed_at is null)
                   as gateways,
               (select count(*) from gateway g join gateway_state s
                    on (s.project_id, s.gateway_id) = (g.project_id, g.id)
                where g.project_id = $1 and g.removed_at is null and s.online) as online,
               (select count(*) from meter where project_id = $1 and removed_at is null) as meters,
               (select count(*) from meter where project_id = $1 and removed_at is null
                    and point_id is null) as unplaced,
               (select count(*) from tariff where project_id = $1) as tariffs,
               (select count(*) from point where project_id = $1 and tariff_id is null
                    and keeper <> 'none') as unpriced,
               (select count(*) from agreement where project_id = $1 and kind = 'tenant'
                    and valid_to is null) as agreements,
               (select count(*) from point p join account a
                    on (a.project_id, a.id) = (p.project_id, p.account_id)
                join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
                where p.project_id = $1 and g.kind = 'house' and p.keeper <> 'none') as vacant,
               (select count(*) from point_state where project_id = $1
                    and read_at > timestamptz '1970-01-01 00:00:00+00') as read""",
        project_id,
    )
    assert row is not None
    return row
