"""Gateways, points and meters as rows: what is installed where, and since when.

Owns changing them and their history. Must never know a reading or a sum of money. A meter leaves a
point only by removal; the point's next meter then begins with registers of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.errors import Conflict, MeterhouseError, NotFound
from meterhouse.store.db import Connection


class RegistrationTaken(Conflict):
    """Another gateway of this installation registers with {registration}."""

    code = "registration_taken"
    field = "registration"

    def __init__(self, registration: str) -> None:
        MeterhouseError.__init__(self, registration=registration)


class AddressTaken(Conflict):
    """The line has a meter of one of these addresses already, or the point has a meter."""

    code = "address_taken"
    field = "address"

    def __init__(self) -> None:
        MeterhouseError.__init__(self)


class PointMetered(Conflict):
    """This point has or had a meter."""

    code = "point_metered"

    def __init__(self) -> None:
        MeterhouseError.__init__(self)


NEVER: Final = "timestamptz '1970-01-01 00:00:00+00'"


@dataclass(frozen=True, slots=True)
class NewPoint:
    """Where one commodity is to be delivered."""

    place_id: int
    commodity: str
    tariff_id: int | None
    keeper: str


@dataclass(frozen=True, slots=True)
class NewMeter:
    """A meter to be installed; `modulus_milli` and `max_power_w` come from its model.

    `point_id` is None for one that is known but hangs at no point yet.
    """

    gateway_id: int | None
    model: str
    address: str
    multiplier: int
    modulus_milli: int
    max_power_w: int
    point_id: int | None = None


async def insert_points(
    connection: Connection, project_id: int, points: Sequence[NewPoint]
) -> list[int]:
    """Points of places; answers their ids in the order given."""
    rows = await connection.fetch(
        """insert into point (project_id, place_id, commodity, tariff_id, keeper)
           select $1, place_id, commodity, tariff_id, keeper
           from unnest($2::int8[], $3::text[], $4::int8[], $5::text[])
               with ordinality as u (place_id, commodity, tariff_id, keeper, n)
           order by n returning id""",
        project_id, [one.place_id for one in points], [one.commodity for one in points],
        [one.tariff_id for one in points], [one.keeper for one in points],
    )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def insert_meters(
    connection: Connection, project_id: int, meters: Sequence[NewMeter],
    ats: Sequence[datetime],
) -> list[int]:  # fmt: skip
    """Meters with the instants they were installed at; answers their ids in the order given.

    Raises:
        AddressTaken: a point has a meter, or a line has one of these addresses already.
    """
    try:
        rows = await connection.fetch(
            """insert into meter (project_id, point_id, gateway_id, model, address, multiplier,
                   modulus_milli, max_power_w, installed_at)
               select $1, point_id, gateway_id, model, address, multiplier, modulus, power, at
               from unnest($2::int8[], $3::int8[], $4::text[], $5::text[], $6::int8[], $7::int8[],
                   $8::int8[], $9::timestamptz[]) with ordinality
                   as u (point_id, gateway_id, model, address, multiplier, modulus, power, at, n)
               order by n returning id""",
            project_id, [one.point_id for one in meters], [one.gateway_id for one in meters],
            [one.model for one in meters], [one.address for one in meters],
            [one.multiplier for one in meters], [one.modulus_milli for one in meters],
            [one.max_power_w for one in meters], list(ats),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise AddressTaken from error
    ids = sorted(row["id"] for row in rows)
    hung = [(number, one.point_id) for number, one in zip(ids, meters, strict=True)
            if one.point_id is not None]  # fmt: skip
    await begin_states(connection, project_id, hung)
    return ids


async def begin_states(
    connection: Connection, project_id: int, hung: Sequence[tuple[int, int]]
) -> None:
    """Begin the state of points with the meters (meter_id, point_id) that now hang there.

    What was rated and accrued at a point stays; registers, relay and suspects begin anew.
    """
    await connection.execute(
        f"""insert into point_state (project_id, point_id, meter_id, register_epoch)
            select $1, point_id, meter_id, 1 from unnest($2::int8[], $3::int8[])
                as u (meter_id, point_id)
            on conflict (project_id, point_id) do update set
                meter_id = excluded.meter_id, register_epoch = 1, read_at = {NEVER},
                good_at = {NEVER}, good_0_milli = 0, good_1_milli = -1, good_2_milli = -1,
                good_3_milli = -1, good_4_milli = -1, suspect_at = {NEVER}, suspect_0_milli = 0,
                suspect_1_milli = -1, suspect_2_milli = -1, suspect_3_milli = -1,
                suspect_4_milli = -1, suspect_count = 0, relay = 0, relay_at = {NEVER},
                keep_power = -1, power_w = -1, reported_credit_minor = -1,
                estimated_nano = 0""",
        project_id, [meter_id for meter_id, _ in hung], [point_id for _, point_id in hung],
    )  # fmt: skip


async def get_meter(connection: Connection, project_id: int, meter_id: int) -> asyncpg.Record:
    """A meter with its gateway's name and its place, in service or removed. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select m.id, m.point_id, m.gateway_id, m.model, m.address, m.multiplier, m.version,
               m.modulus_milli, m.register_epoch, m.installed_at, m.removed_at,
               g.name as gateway, p.commodity, p.keeper, r.id as place_id, r.name as place
           from meter m left join gateway g on (g.project_id, g.id) = (m.project_id, m.gateway_id)
           left join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           where m.project_id = $1 and m.id = $2 and seen_point(m.project_id, m.point_id)""",
        project_id, meter_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Meter", meter_id)
    return row


async def change_meter(
    connection: Connection, project_id: int, meter_id: int, version: int,
    gateway_id: int | None, address: str,
) -> bool:  # fmt: skip
    """Put a meter on another line or correct its address; False when it was changed meanwhile.

    Raises:
        AddressTaken: the line has a meter of this address.
    """
    try:
        done = await connection.fetchval(
            """update meter set gateway_id = $4, address = $5, version = version + 1
               where project_id = $1 and id = $2 and version = $3 and removed_at is null
               returning id""",
            project_id, meter_id, version, gateway_id, address,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise AddressTaken from error
    return done is not None


async def hang_meter(
    connection: Connection, project_id: int, meter_id: int, point_id: int, at: datetime
) -> bool:
    """Let a meter without a point serve one from this instant; False when it has one or is gone.

    Raises:
        PointMetered: the point has a meter.
    """
    try:
        done = await connection.fetchval(
            """update meter set point_id = $3, installed_at = $4, version = version + 1
               where project_id = $1 and id = $2 and point_id is null and removed_at is null
               returning id""",
            project_id, meter_id, point_id, at,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise PointMetered from error
    if done is not None:
        await begin_states(connection, project_id, [(meter_id, point_id)])
    return done is not None


async def remove_meter(
    connection: Connection, project_id: int, meter_id: int, at: datetime
) -> bool:
    """Take a meter out of service; its history stays. False when it was out already."""
    done = await connection.fetchval(
        """update meter set removed_at = $3, version = version + 1
           where project_id = $1 and id = $2 and removed_at is null returning id""",
        project_id, meter_id, at,
    )  # fmt: skip
    return done is not None


async def points_of_place(
    connection: Connection, project_id: int, place_id: int
) -> list[asyncpg.Record]:
    """The points of a place with tariff, meter and who pays now."""
    return await connection.fetch(
        """select p.id, p.commodity, p.keeper, p.tariff_id, p.version, t.name as tariff,
               m.id as meter_id, m.address, m.model, g.kind as agreement_kind,
               g.id as agreement_id, g.valid_from, g.customer_id, c.floor_minor,
               p.warning_1_minor, p.warning_2_minor, p.warning_3_minor
           from point p
           left join tariff t on (t.project_id, t.id) = (p.project_id, p.tariff_id)
           left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           left join account c on (c.project_id, c.id) = (p.project_id, p.account_id)
           left join agreement g on (g.project_id, g.id) = (c.project_id, c.agreement_id)
           where p.project_id = $1 and p.place_id = $2 order by p.id""",
        project_id, place_id,
    )  # fmt: skip


async def meters_of_place(
    connection: Connection, project_id: int, place_id: int
) -> list[asyncpg.Record]:
    """Every meter that hung or hangs at a place's points, newest first."""
    return await connection.fetch(
        """select m.id, m.address, m.model, m.multiplier, m.installed_at, m.removed_at, p.commodity,
               s.good_0_milli as last_milli
           from meter m join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           left join point_state s on (s.project_id, s.meter_id) = (m.project_id, m.id)
           where m.project_id = $1 and p.place_id = $2 order by m.installed_at desc, m.id desc""",
        project_id, place_id,
    )  # fmt: skip


async def get_point(connection: Connection, project_id: int, point_id: int) -> asyncpg.Record:
    """A point with its place's name and its agreement, locked. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select p.id, p.place_id, p.commodity, p.tariff_id, p.keeper, p.version, p.account_id,
               p.warning_1_minor, p.warning_2_minor, p.warning_3_minor, r.name as place
           from point p join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           where p.project_id = $1 and p.id = $2 and seen_point(p.project_id, p.id)
           for update of p""",
        project_id, point_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Point", point_id)
    return row


# Another tariff holds from now on, whatever has been read by now. The first one of a point that no
# meter served before holds since ever, so that it prices its meter's first interval.
_PRICED: Final = """tariff_id = {tariff}, version = version + 1,
    tariff_at = case when p.tariff_id is not distinct from {tariff} then p.tariff_at
        when p.tariff_id is null and not exists (select from point_state s
            join meter m on (m.project_id, m.id) = (s.project_id, s.meter_id)
            where (s.project_id, s.point_id) = (p.project_id, p.id) and m.installed_at < {at})
            then p.tariff_at
        else greatest(p.tariff_at, {at}) end"""


async def change_point(
    connection: Connection, project_id: int, point_id: int, version: int,
    tariff_id: int | None, keeper: str, at: datetime,
) -> bool:  # fmt: skip
    """Give a point another tariff or keeper; False when it was changed meanwhile.

    Another keeper has the money of the intervals that begin from now on.
    """
    done = await connection.fetchval(
        f"""update point p set {_PRICED.format(tariff="$4::int8", at="$6")}, keeper = $5,
               payer_at = case when p.keeper = $5 then p.payer_at else greatest(p.payer_at, $6,
                   (select s.good_at from point_state s
                    where (s.project_id, s.point_id) = (p.project_id, p.id))) end
           where project_id = $1 and id = $2 and version = $3 returning id""",
        project_id, point_id, version, tariff_id, keeper, at,
    )  # fmt: skip
    return done is not None


async def set_tariff(
    connection: Connection, project_id: int, place_id: int | None, commodity: str,
    tariff_id: int, at: datetime,
) -> int:  # fmt: skip
    """Give a tariff to every point of a commodity beneath a place, or of the whole project.

    Answers how many points there were.
    """
    rows = await connection.fetch(
        f"""with recursive tree as (
               select id from place where project_id = $1 and ($2::int8 is null or id = $2)
               union
               select p.id from place p join tree t on p.parent_id = t.id where p.project_id = $1)
           update point p set {_PRICED.format(tariff="$4::int8", at="$5")}
           where project_id = $1 and commodity = $3 and place_id in (select id from tree)
               and keeper <> 'none'
           returning id""",
        project_id, place_id, commodity, tariff_id, at,
    )  # fmt: skip
    return len(rows)


async def remove_point(connection: Connection, project_id: int, point_id: int) -> None:
    """Take away a point that never had a meter or money. Raises `PointMetered`."""
    try:
        await connection.execute(
            "delete from agreement_point where project_id = $1 and point_id = $2",
            project_id, point_id,
        )  # fmt: skip
        await connection.execute(
            "delete from point where project_id = $1 and id = $2", project_id, point_id
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise PointMetered from error


async def get_gateway(connection: Connection, project_id: int, gateway_id: int) -> asyncpg.Record:
    """A gateway in use with its line's state. Raises `NotFound`."""
    row = await connection.fetchrow(
        f"""select g.id, g.name, g.registration, g.direction, g.address, g.protocol, g.version,
                s.online, s.peer, nullif(s.seen_at, {NEVER}) as seen_at
            from gateway g
            left join gateway_state s on (s.project_id, s.gateway_id) = (g.project_id, g.id)
            where g.project_id = $1 and g.id = $2 and g.removed_at is null
                and (select building_ids()) is null""",
        project_id, gateway_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Gateway", gateway_id)
    return row


async def change_gateway(
    connection: Connection, project_id: int, gateway_id: int, version: int, name: str,
    registration: str, direction: str, address: str | None, protocol: str,
) -> bool:  # fmt: skip
    """Change a gateway; False when somebody did so meanwhile.

    Raises:
        RegistrationTaken: another gateway registers with this text.
    """
    try:
        done = await connection.fetchval(
            """update gateway set name = $4, registration = $5, direction = $6, address = $7,
                   protocol = $8, version = version + 1
               where project_id = $1 and id = $2 and version = $3 and removed_at is null
               returning id""",
            project_id, gateway_id, version, name, registration, direction, address, protocol,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise RegistrationTaken(registration) from error
    return done is not None


async def remove_gateway(
    connection: Connection, project_id: int, gateway_id: int, at: datetime
) -> bool:
    """Take a gateway out of use; False while meters hang on it."""
    done = await connection.fetchval(
        """update gateway set removed_at = $3, version = version + 1
           where project_id = $1 and id = $2 and removed_at is null and not exists (
               select from meter where project_id = $1 and gateway_id = $2 and removed_at is null)
           returning id""",
        project_id, gateway_id, at,
    )  # fmt: skip
    return done is not None


async def gateway_names(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id, name, registration, protocol of the gateways in use, by name."""
    return await connection.fetch(
        """select id, name, registration, protocol from gateway
           where project_id = $1 and removed_at is null order by name, id""",
        project_id,
    )


async def free_meters(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id, address, model of meters in service that hang at no point."""
    return await connection.fetch(
        """select id, address, model from meter
           where project_id = $1 and removed_at is null and point_id is null
           order by address, id""",
        project_id,
    )


async def meters_of_gateway(
    connection: Connection, project_id: int, gateway_id: int
) -> list[asyncpg.Record]:
    """The meters on a gateway's line, by address, with the place each serves."""
    return await connection.fetch(
        f"""select m.id, m.address, m.model, m.point_id, r.id as place_id,
                concat_ws(' ', b.name, r.name) as place, nullif(s.read_at, {NEVER}) as read_at
            from meter m
            left join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
            left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
            left join place b on (b.project_id, b.id) = (f.project_id, coalesce(f.parent_id, f.id))
            left join point_state s on (s.project_id, s.meter_id) = (m.project_id, m.id)
            where m.project_id = $1 and m.gateway_id = $2 and m.removed_at is null
            order by m.address""",
        project_id, gateway_id,
    )  # fmt: skip


async def point_names(
    connection: Connection, project_id: int, metered: bool | None
) -> list[asyncpg.Record]:
    """id, commodity, place of points in the order of their places; with or without a meter."""
    return await connection.fetch(
        """select p.id, p.commodity, concat_ws(' ', b.name, r.name) as place
           from point p join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
           left join place b on (b.project_id, b.id)
               = (f.project_id, coalesce(f.parent_id, f.id))
           left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           where p.project_id = $1 and ($2::bool is null or (m.id is not null) = $2)
           order by b.sort, b.name, f.sort, r.sort, r.name, p.id""",
        project_id, metered,
    )  # fmt: skip


async def point_holders(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id, place_id, commodity, keeper, meter_id, agreement_kind of every point."""
    return await connection.fetch(
        """select p.id, p.place_id, p.commodity, p.keeper, m.id as meter_id,
               g.kind as agreement_kind
           from point p
           left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
           where p.project_id = $1 order by p.id""",
        project_id,
    )


async def line_addresses(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """gateway_id, address of every meter in service."""
    return await connection.fetch(
        "select gateway_id, address from meter where project_id = $1 and removed_at is null",
        project_id,
    )


async def price_points(
    connection: Connection, project_id: int, tariffs: Mapping[int, int], at: datetime
) -> None:
    """Tariffs of points, by id."""
    await connection.execute(
        f"""update point p set {_PRICED.format(tariff="u.tariff_id", at="$4")}
           from unnest($2::int8[], $3::int8[]) as u (id, tariff_id)
           where p.project_id = $1 and p.id = u.id and p.tariff_id is distinct from u.tariff_id""",
        project_id, list(tariffs), list(tariffs.values()), at,
    )  # fmt: skip


async def vacant_places(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id and full name of places with a point that nobody but the house pays for."""
    return await connection.fetch(
        """select distinct r.id, concat_ws(' ', b.name, r.name) as name
           from point p join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
           left join place b on (b.project_id, b.id)
               = (f.project_id, coalesce(f.parent_id, f.id))
           join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
           where p.project_id = $1 and g.kind = 'house' and p.keeper <> 'none'
           order by 2, 1""",
        project_id,
    )
