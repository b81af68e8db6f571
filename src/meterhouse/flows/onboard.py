"""Setting up a site: groups, projects, places, households, tariffs, gateways and meters.

Owns what belongs together when a site is made: a project begins with its books and a house
agreement, a household with its purse. Everything of one call is in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from meterhouse import meter_models
from meterhouse.control import policy as policies
from meterhouse.errors import Unreadable
from meterhouse.ledger.chart import DRAW_ORDER, HOUSE_ACCOUNTS
from meterhouse.model import AccountKind, Commodity, Compartment, Keeper
from meterhouse.rating import tariff as tariffs
from meterhouse.store import catalog, ledger
from meterhouse.store.db import Connection, Database
from meterhouse.store.personal import Facts


@dataclass(frozen=True, slots=True)
class NewProject:
    """What a project needs to begin."""

    name: str
    group_id: int
    timezone: str = "Asia/Shanghai"
    currency: str = "CNY"
    currency_exponent: int = 2
    reading_interval_s: int = 1800
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRoom:
    """A room with its one point, its meter and, unless it is vacant, its household.

    `floor_id` is the place above; `opened_at` the instant from which the household pays.
    """

    floor_id: int
    name: str
    sort: int
    area_dm2: int | None
    tariff_id: int
    model: str
    address: str
    gateway_id: int
    opened_at: datetime
    customer_name: str | None = None
    phone: str | None = None
    email: str | None = None
    commodity: Commodity = Commodity.ELECTRICITY
    keeper: Keeper = Keeper.PLATFORM
    multiplier: int = 1
    floor_minor: int | None = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What was made of a `NewRoom`."""

    place_id: int
    point_id: int
    meter_id: int
    agreement_id: int | None


async def open_group(db: Database, name: str) -> int:
    """A new group of projects."""
    async with db.transaction(()) as connection:
        return await catalog.insert_group(connection, name)


async def open_project(db: Database, new: NewProject, at: datetime) -> int:
    """A project with its house accounts and the house agreement that vacancy falls to."""
    policies.parse(new.policy)
    if new.timezone not in available_timezones():
        raise Unreadable("time zone", new.timezone, "a name such as Asia/Shanghai")
    async with db.transaction(()) as connection:
        project_id = await catalog.insert_project(
            connection, new.group_id, new.name, new.currency, new.currency_exponent,
            new.timezone, new.reading_interval_s, new.policy, at,
        )  # fmt: skip
        for kind in HOUSE_ACCOUNTS:
            await ledger.open_account(connection, project_id, kind, new.currency, floor_minor=None)
        await catalog.insert_agreement(connection, project_id, None, at)
        return project_id


async def add_place(
    db: Database, project_id: int, parent_id: int | None, kind: str, name: str, sort: int = 0
) -> int:
    """A building, floor or public area."""
    async with db.transaction([project_id]) as connection:
        return await catalog.insert_place(connection, project_id, parent_id, kind, name, sort, None)


async def publish_tariff(
    db: Database, project_id: int, body: Mapping[str, Any], actor_id: int | None, at: datetime
) -> int:
    """A tariff from its scheme; each version is kept as it was published, for ever.

    Raises:
        MeterhouseError: the scheme does not hold together (`tariff_invalid`).
    """
    scheme = tariffs.parse(dict(body))
    header = {key: value for key, value in body.items() if key != "versions"}
    async with db.transaction([project_id]) as connection:
        return await catalog.insert_tariff(
            connection, project_id, scheme.name, scheme.commodity,
            [
                (version.effective_from, header | {"versions": [part]})
                for version, part in zip(scheme.versions, body["versions"], strict=True)
            ],
            actor_id, at,
        )  # fmt: skip


async def add_gateway(
    db: Database, project_id: int, name: str, registration: str, direction: str = "dial_in",
    address: str | None = None, protocol: str = "dlt645-2007",
) -> int:  # fmt: skip
    """A gateway that dials in with its registration text, or that we dial at its address."""
    async with db.transaction([project_id]) as connection:
        return await catalog.insert_gateway(
            connection, project_id, name, registration, direction, address, protocol
        )


async def add_rooms(db: Database, project_id: int, rooms: Sequence[NewRoom]) -> list[Room]:
    """Rooms with points, meters and households; all or none."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        house_id = await catalog.house_agreement(connection, project_id)
        return [
            await _add_room(connection, project_id, project["currency"], house_id, room)
            for room in rooms
        ]


async def _add_room(
    connection: Connection, project_id: int, currency: str, house_id: int, new: NewRoom
) -> Room:
    place_id = await catalog.insert_place(
        connection, project_id, new.floor_id, "room", new.name, new.sort, new.area_dm2
    )
    point_id = await catalog.insert_point(
        connection, project_id, place_id, new.commodity, new.tariff_id, new.keeper
    )
    model = meter_models.load(new.model)
    meter_id = await catalog.install_meter(
        connection, project_id, point_id,
        catalog.NewMeter(
            new.gateway_id, new.model, new.address, new.multiplier, model.modulus_milli,
            model.max_power_w,
        ),
        new.opened_at,
    )  # fmt: skip
    agreement_id = None
    if new.customer_name is not None:
        customer_id = await catalog.insert_customer(
            connection, project_id, Facts(new.customer_name, new.phone, new.email), "zh-Hans"
        )
        agreement_id = await catalog.insert_agreement(
            connection, project_id, customer_id, new.opened_at
        )
    account_id, common_id = await open_purse(
        connection, project_id, currency, agreement_id or house_id, new.commodity,
        new.floor_minor if agreement_id else None,
    )  # fmt: skip
    await catalog.attach_point(
        connection, project_id, point_id, agreement_id or house_id, account_id, common_id,
        new.opened_at,
    )  # fmt: skip
    return Room(place_id, point_id, meter_id, agreement_id)


async def open_purse(
    connection: Connection, project_id: int, currency: str, agreement_id: int,
    commodity: Commodity, floor_minor: int | None,
) -> tuple[int, int]:  # fmt: skip
    """The compartments a commodity may draw, in draw order: its own, then the common one."""
    ids = []
    for compartment in DRAW_ORDER[commodity]:
        ids.append(
            await ledger.open_account(
                connection, project_id, AccountKind.PURSE, currency, agreement_id, compartment,
                floor_minor if compartment is not Compartment.COMMON else 0,
            )
        )  # fmt: skip
    return ids[0], ids[1]
