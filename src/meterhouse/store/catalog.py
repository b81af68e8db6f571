"""What stands where: projects, places, households, points, gateways, meters, tariffs.

Owns the rows a site is set up with and the roster the head end works from. Must never know a
reading or a sum of money.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.store.db import Connection, set_scope
from meterhouse.store.devices import RegistrationTaken
from meterhouse.store.personal import STAFF_NAME, staff

STRANGERS_MAX = 1_000


class PublishedMeanwhile(MeterhouseError):
    """Somebody else published a version meanwhile; look at it before you repeat yours."""

    code = "published_meanwhile"
    http_status = 409


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


async def insert_gateway(
    connection: Connection, project_id: int, name: str, registration: str, direction: str,
    address: str | None, protocol: str,
) -> int:  # fmt: skip
    """A gateway. Raises `RegistrationTaken`."""
    try:
        made: int = await connection.fetchval(
            """insert into gateway (project_id, name, registration, direction, address, protocol)
               values ($1, $2, $3, $4, $5, $6) returning id""",
            project_id, name, registration, direction, address, protocol,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise RegistrationTaken(registration) from error
    await connection.execute(
        "insert into gateway_state (project_id, gateway_id) values ($1, $2)", project_id, made
    )
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


async def insert_version(
    connection: Connection, project_id: int, tariff_id: int, number: int,
    effective_from: datetime, body: Mapping[str, Any], actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """A further version of a tariff. Raises `PublishedMeanwhile`."""
    try:
        await connection.execute(
            """insert into tariff_version (project_id, tariff_id, version, effective_from, body,
                   published_at, published_by, edition)
               select $1, $2, $3, $4, $5::jsonb, $6, $7, coalesce(max(edition), 0)
               from tariff_version where project_id = $1""",
            project_id, tariff_id, number, effective_from, json.dumps(dict(body)), at, actor_id,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise PublishedMeanwhile from error


async def get_tariff(connection: Connection, project_id: int, tariff_id: int) -> asyncpg.Record:
    """id, name, commodity, version_count, effective_from of a tariff. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select t.id, t.name, t.commodity, v.version_count, v.effective_from
           from tariff t cross join lateral (
               select count(*) as version_count, min(effective_from) as effective_from
               from tariff_version v where (v.project_id, v.tariff_id) = (t.project_id, t.id)) v
           where t.project_id = $1 and t.id = $2""",
        project_id, tariff_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Tariff", tariff_id)
    return row


async def tariff_names(
    connection: Connection, project_id: int, commodity: str | None
) -> list[asyncpg.Record]:
    """id, name, commodity of the tariffs of a commodity, or of all."""
    return await connection.fetch(
        """select id, name, commodity from tariff
           where project_id = $1 and ($2::text is null or commodity = $2) order by name, id""",
        project_id, commodity,
    )  # fmt: skip


async def points_of_tariff(connection: Connection, project_id: int, tariff_id: int) -> int:
    """How many points are rated by a tariff."""
    count: int = await connection.fetchval(
        "select count(*) from point where project_id = $1 and tariff_id = $2",
        project_id, tariff_id,
    )  # fmt: skip
    return count


async def tariff_bodies(
    connection: Connection, project_id: int, tariff_ids: Sequence[int], last: int | None = None
) -> dict[int, list[dict[str, Any]]]:
    """The versions in force of tariffs, oldest first, as their bodies.

    A correction takes the place of all that was published before it and begins not before it.
    `last`: as it was when the project had seen so many corrections; None: as it is.
    """
    rows = await connection.fetch(
        """select v.tariff_id, v.body from tariff_version v
           where v.project_id = $1 and v.tariff_id = any($2::int8[])
           and v.edition <= coalesce($3::int4, v.edition)
           and not exists (select from tariff_version w
               where (w.project_id, w.tariff_id) = (v.project_id, v.tariff_id)
               and w.version > v.version and w.corrects_from <= v.effective_from
               and w.edition <= coalesce($3::int4, w.edition))
           order by v.tariff_id, v.version""",
        project_id, list(tariff_ids), last,
    )  # fmt: skip
    bodies: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        bodies.setdefault(row["tariff_id"], []).append(json.loads(row["body"]))
    return bodies


async def edition(connection: Connection, project_id: int) -> int:
    """How many corrections of the past a project has seen: of prices, and of points' tariffs."""
    found: int = await connection.fetchval(
        """select greatest(0, (select max(edition) from tariff_version where project_id = $1),
               (select max(edition) from assignment where project_id = $1))""",
        project_id,
    )
    return found


async def tariff_publishers(
    connection: Connection, project_id: int, tariff_id: int
) -> list[asyncpg.Record]:
    """published_at and published_by (a name, or "") of the versions in force, oldest first."""
    return await connection.fetch(
        f"""select v.published_at, {STAFF_NAME} as published_by
           from tariff_version v {staff("v.published_by")}
           where v.project_id = $1 and v.tariff_id = $2
           and not exists (select from tariff_version w
               where (w.project_id, w.tariff_id) = (v.project_id, v.tariff_id)
               and w.version > v.version and w.corrects_from <= v.effective_from)
           order by v.version""",
        project_id, tariff_id,
    )  # fmt: skip


async def tariffs_before(
    connection: Connection, project_id: int, point_ids: Sequence[int], last: int | None = None
) -> dict[int, list[tuple[datetime, int | None, int]]]:
    """Since when points had which tariff, and how many persons, the first ones first.

    No tariff where they had none yet, or no more; one person where nothing was said. A tariff that
    was given since a past instant takes the place of all that was given before and held then or
    later. `last`: as it was when the project had seen so many corrections; None: as it is.
    """
    rows = await connection.fetch(
        """select distinct on (t.point_id, t.from_at) t.point_id, t.from_at, t.tariff_id
           from point_tariff t
           where t.project_id = $1 and t.point_id = any($2::int8[])
           and t.edition <= coalesce($3::int4, t.edition)
           and not exists (select from point_tariff w
               where (w.project_id, w.point_id) = (t.project_id, t.point_id) and w.replaces
               and w.edition > t.edition and w.from_at <= t.from_at
               and w.edition <= coalesce($3::int4, w.edition))
           order by t.point_id, t.from_at, t.edition desc""",
        project_id, list(point_ids), last,
    )  # fmt: skip
    given: dict[int, list[tuple[datetime, int | None]]] = {}
    for row in rows:
        given.setdefault(row["point_id"], []).append((row["from_at"], row["tariff_id"]))
    counts = await persons_before(connection, project_id, point_ids)
    return {
        point_id: _side_by_side(given.get(point_id, ()), counts.get(point_id, ()))
        for point_id in sorted(given.keys() | counts.keys())
    }


def _side_by_side(
    given: Sequence[tuple[datetime, int | None]], counts: Sequence[tuple[datetime, int]]
) -> list[tuple[datetime, int | None, int]]:
    """Tariffs and persons of a point at each instant at which either changed."""
    tariffs, persons = dict(given), dict(counts)
    tariff_id, count, found = None, 1, []
    for at in sorted(tariffs.keys() | persons.keys()):
        tariff_id, count = tariffs.get(at, tariff_id), persons.get(at, count)
        found.append((at, tariff_id, count))
    return found


async def persons_before(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> dict[int, list[tuple[datetime, int]]]:
    """Since when points had how many persons, where anything was ever said of it."""
    rows = await connection.fetch(
        """select point_id, from_at, persons from point_persons
           where project_id = $1 and point_id = any($2::int8[]) order by point_id, from_at""",
        project_id, list(point_ids),
    )  # fmt: skip
    found: dict[int, list[tuple[datetime, int]]] = {}
    for row in rows:
        found.setdefault(row["point_id"], []).append((row["from_at"], row["persons"]))
    return found


async def gateways(connection: Connection, project_ids: Sequence[int]) -> list[asyncpg.Record]:
    """Every gateway of these projects, with its project's reading interval."""
    return await connection.fetch(
        """select g.*, p.reading_interval_s, p.timezone from gateway g
           join project p on p.id = g.project_id
           where g.project_id = any($1::int8[]) and g.removed_at is null
           order by g.project_id, g.id""",
        list(project_ids),
    )


async def get_gateway(
    connection: Connection, project_id: int, gateway_id: int
) -> asyncpg.Record | None:
    """One gateway in service; it lies in no building, so whoever sees only some sees none."""
    return await connection.fetchrow(
        """select * from gateway where project_id = $1 and id = $2 and removed_at is null
           and building_ids() is null""",
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


async def set_gateway_seals(
    connection: Connection, project_id: int, gateway_id: int, seals: bool
) -> None:
    """Note whether the head end that has a gateway's line can seal orders."""
    await connection.execute(
        """update gateway_state set seals = $3
           where project_id = $1 and gateway_id = $2 and seals is distinct from $3""",
        project_id, gateway_id, seals,
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


async def forget_stranger(connection: Connection, registration: str) -> None:
    """Somebody refused has become a gateway of ours."""
    await connection.execute("delete from stranger where registration = $1", registration)


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
