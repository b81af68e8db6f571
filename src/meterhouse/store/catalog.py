"""What stands where: projects, places, households, points, gateways, meters, tariffs.

Owns the rows a site is set up with and the roster the head end works from. Must never know a
reading or a sum of money.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse.errors import Conflict, NotFound
from meterhouse.store import personal
from meterhouse.store.db import Connection, set_scope

STRANGERS_MAX = 1_000


async def insert_group(connection: Connection, name: str) -> int:
    """A new group of projects."""
    made: int = await connection.fetchval(
        "insert into project_group (name) values ($1) returning id", name
    )
    return made


async def insert_project(
    connection: Connection, group_id: int, name: str, currency: str, currency_exponent: int,
    timezone: str, reading_interval_s: int, policy: Mapping[str, Any], at: datetime,
) -> int:  # fmt: skip
    """A new project; the transaction sees this one alone from here on."""
    project_id: int = await connection.fetchval("select nextval('project_id_seq')")
    await set_scope(connection, [project_id])
    await connection.execute(
        """insert into project (id, group_id, name, currency, currency_exponent, timezone,
               reading_interval_s, policy, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)""",
        project_id, group_id, name, currency, currency_exponent, timezone, reading_interval_s,
        json.dumps(dict(policy)), at,
    )  # fmt: skip
    await connection.execute("insert into pulse (project_id) values ($1)", project_id)
    return project_id


async def get_project(connection: Connection, project_id: int) -> asyncpg.Record:
    """A project's row. Raises `NotFound` outside the scope as well."""
    row = await connection.fetchrow("select * from project where id = $1", project_id)
    if row is None:
        raise NotFound("project", project_id)
    return row


async def insert_place(
    connection: Connection, project_id: int, parent_id: int | None, kind: str, name: str,
    sort: int, area_dm2: int | None,
) -> int:  # fmt: skip
    """A building, floor, room or public area beneath its parent."""
    made: int = await connection.fetchval(
        """insert into place (project_id, parent_id, kind, name, sort, area_dm2)
           values ($1, $2, $3, $4, $5, $6) returning id""",
        project_id, parent_id, kind, name, sort, area_dm2,
    )  # fmt: skip
    return made


async def insert_customer(
    connection: Connection, project_id: int, facts: personal.Facts, language: str
) -> int:
    """A household or firm; who it is stands in `personal` alone."""
    personal_id = await personal.insert(connection, project_id, facts)
    made: int = await connection.fetchval(
        """insert into customer (project_id, personal_id, language)
           values ($1, $2, $3) returning id""",
        project_id, personal_id, language,
    )  # fmt: skip
    return made


async def insert_agreement(
    connection: Connection, project_id: int, customer_id: int | None, valid_from: datetime
) -> int:
    """An agreement of a customer, or the house agreement that vacancy falls to (no customer)."""
    made: int = await connection.fetchval(
        """insert into agreement (project_id, kind, customer_id, valid_from)
           values ($1, case when $2::int8 is null then 'house' else 'tenant' end, $2, $3)
           returning id""",
        project_id, customer_id, valid_from,
    )  # fmt: skip
    return made


async def house_agreement(connection: Connection, project_id: int) -> int:
    """The agreement that pays for what nobody has rented."""
    found: int | None = await connection.fetchval(
        "select id from agreement where project_id = $1 and kind = 'house' order by id limit 1",
        project_id,
    )
    if found is None:
        raise NotFound("house agreement of project", project_id)
    return found


async def insert_point(
    connection: Connection, project_id: int, place_id: int, commodity: str,
    tariff_id: int | None, keeper: str,
) -> int:  # fmt: skip
    """A point where one commodity is delivered."""
    made: int = await connection.fetchval(
        """insert into point (project_id, place_id, commodity, tariff_id, keeper)
           values ($1, $2, $3, $4, $5) returning id""",
        project_id, place_id, commodity, tariff_id, keeper,
    )  # fmt: skip
    return made


async def attach_point(
    connection: Connection, project_id: int, point_id: int, agreement_id: int,
    account_id: int, common_account_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """From this instant the agreement pays for the point; the one before it ends here.

    Raises:
        Conflict: an agreement of this point begins later, so the dates would overlap.
    """
    await connection.execute(
        "select 1 from point where project_id = $1 and id = $2 for update", project_id, point_id
    )
    later = await connection.fetchval(
        """select 1 from agreement_point
           where project_id = $1 and point_id = $2 and valid_from >= $3""",
        project_id, point_id, at,
    )  # fmt: skip
    if later is not None:
        raise Conflict(f"point {point_id}", "an agreement begins at that instant or later")
    await connection.execute(
        """update agreement_point set valid_to = $3
           where project_id = $1 and point_id = $2 and valid_to is null""",
        project_id, point_id, at,
    )  # fmt: skip
    await connection.execute(
        """insert into agreement_point (project_id, point_id, agreement_id, valid_from)
           values ($1, $2, $3, $4)""",
        project_id, point_id, agreement_id, at,
    )  # fmt: skip
    await connection.execute(
        """update point set account_id = $3, common_account_id = $4
           where project_id = $1 and id = $2""",
        project_id, point_id, account_id, common_account_id,
    )  # fmt: skip


async def insert_gateway(
    connection: Connection, project_id: int, name: str, registration: str, direction: str,
    address: str | None, protocol: str,
) -> int:  # fmt: skip
    """A gateway. Raises `Conflict` when another one registers with the same text."""
    try:
        made: int = await connection.fetchval(
            """insert into gateway (project_id, name, registration, direction, address, protocol)
               values ($1, $2, $3, $4, $5, $6) returning id""",
            project_id, name, registration, direction, address, protocol,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"gateway {registration}", "the registration text is taken") from error
    await connection.execute(
        "insert into gateway_state (project_id, gateway_id) values ($1, $2)", project_id, made
    )
    return made


@dataclass(frozen=True, slots=True)
class NewMeter:
    """A meter to be installed; `modulus_milli` and `max_power_w` come from its model."""

    gateway_id: int | None
    model: str
    address: str
    multiplier: int
    modulus_milli: int
    max_power_w: int


async def install_meter(
    connection: Connection, project_id: int, point_id: int, new: NewMeter, at: datetime
) -> int:
    """Put a meter into service at a point, and begin the point's state with it.

    Raises:
        Conflict: the point has a meter, or the line has this address already.
    """
    try:
        made: int = await connection.fetchval(
            """insert into meter (project_id, point_id, gateway_id, model, address, multiplier,
                   modulus_milli, max_power_w, installed_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id""",
            project_id, point_id, new.gateway_id, new.model, new.address, new.multiplier,
            new.modulus_milli, new.max_power_w, at,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"meter {new.address}", "the point or the line has one already") from error
    await connection.execute(
        """insert into point_state (project_id, point_id, meter_id, register_epoch)
           values ($1, $2, $3, 1)""",
        project_id, point_id, made,
    )  # fmt: skip
    return made


async def insert_tariff(
    connection: Connection, project_id: int, name: str, commodity: str,
    versions: Sequence[tuple[datetime, Mapping[str, Any]]], actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """A tariff with its published versions, oldest first."""
    made: int = await connection.fetchval(
        "insert into tariff (project_id, name, commodity) values ($1, $2, $3) returning id",
        project_id, name, commodity,
    )  # fmt: skip
    for number, (effective_from, body) in enumerate(versions, start=1):
        await connection.execute(
            """insert into tariff_version (project_id, tariff_id, version, effective_from, body,
                   published_at, published_by) values ($1, $2, $3, $4, $5::jsonb, $6, $7)""",
            project_id, made, number, effective_from, json.dumps(dict(body)), at, actor_id,
        )  # fmt: skip
    return made


async def tariff_bodies(
    connection: Connection, project_id: int, tariff_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """The published versions of tariffs, oldest first, as their bodies."""
    rows = await connection.fetch(
        """select tariff_id, body from tariff_version
           where project_id = $1 and tariff_id = any($2::int8[]) order by tariff_id, version""",
        project_id, list(tariff_ids),
    )  # fmt: skip
    bodies: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        bodies.setdefault(row["tariff_id"], []).append(json.loads(row["body"]))
    return bodies


async def gateways(connection: Connection, project_ids: Sequence[int]) -> list[asyncpg.Record]:
    """Every gateway of these projects, with its project's reading interval."""
    return await connection.fetch(
        """select g.*, p.reading_interval_s, p.timezone from gateway g
           join project p on p.id = g.project_id
           where g.project_id = any($1::int8[]) order by g.project_id, g.id""",
        list(project_ids),
    )


async def get_gateway(
    connection: Connection, project_id: int, gateway_id: int
) -> asyncpg.Record | None:
    """One gateway in service."""
    return await connection.fetchrow(
        "select * from gateway where project_id = $1 and id = $2 and removed_at is null",
        project_id, gateway_id,
    )  # fmt: skip


async def meters_of_addresses(
    connection: Connection, project_id: int, addresses: Sequence[str]
) -> list[asyncpg.Record]:
    """The meters in service that have one of these addresses: id, gateway_id, address."""
    return await connection.fetch(
        """select id, gateway_id, address from meter where project_id = $1
           and address = any($2::text[]) and removed_at is null order by id""",
        project_id, list(addresses),
    )  # fmt: skip


async def roster(connection: Connection, project_ids: Sequence[int]) -> list[asyncpg.Record]:
    """Every meter in service behind a gateway: what a pump must know to read it."""
    return await connection.fetch(
        """select project_id, gateway_id, id as meter_id, point_id, model, address, register_epoch
           from meter where project_id = any($1::int8[]) and removed_at is null
           and gateway_id is not null and point_id is not null
           order by project_id, gateway_id, address""",
        list(project_ids),
    )


async def set_gateway_online(
    connection: Connection, project_id: int, gateway_id: int, online: bool, peer: str, at: datetime
) -> None:
    """Note that a gateway has come or gone."""
    await connection.execute(
        """update gateway_state set online = $3, peer = $4, seen_at = $5,
               since_at = case when online = $3 then since_at else $5 end
           where project_id = $1 and gateway_id = $2""",
        project_id, gateway_id, online, peer, at,
    )  # fmt: skip


async def clear_lines(
    connection: Connection, project_ids: Sequence[int], at: datetime
) -> list[int]:
    """Note that every gateway has gone; when each was last heard stays. Answers the projects."""
    rows = await connection.fetch(
        """update gateway_state set online = false, peer = '', since_at = $2
           where project_id = any($1::int8[]) and online returning project_id""",
        list(project_ids), at,
    )  # fmt: skip
    return sorted({row["project_id"] for row in rows})


async def note_stranger(connection: Connection, registration: str, peer: str, at: datetime) -> None:
    """Remember a connection that named itself with an unknown registration text.

    Anybody can connect, so only so many names are kept.
    """
    await connection.execute(
        """insert into stranger (registration, peer, first_at, last_at)
           select $1, $2, $3, $3 where (select count(*) from stranger) < $4
               or exists (select from stranger where registration = $1)
           on conflict (registration) do update
           set peer = excluded.peer, last_at = excluded.last_at, tries = stranger.tries + 1""",
        registration, peer, at, STRANGERS_MAX,
    )  # fmt: skip


async def touch_gateways(
    connection: Connection, online_ids: Sequence[int], heard_ids: Sequence[int], at: datetime
) -> None:
    """Note which gateways have a line now, and which of them have said something."""
    await connection.execute(
        """update gateway_state set online = true,
               seen_at = case when gateway_id = any($2::int8[]) then $3 else seen_at end
           where gateway_id = any($1::int8[])""",
        list(online_ids), list(heard_ids), at,
    )  # fmt: skip
