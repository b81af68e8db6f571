"""Gateways, points and meters of a site: added, changed, hung, removed.

Owns what may be done to them in which state. Must never know a frame or a sum of money; `keeping`
says whether money stands in the way. Whatever changes what the head end reads wakes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import keeping, opening, reading, wallet
from meterhouse.flows.choice import chosen
from meterhouse.flows.place import ChangedMeanwhile, PlaceUnfit
from meterhouse.flows.sheet import OtherCommodity
from meterhouse.flows.tariff import check_in_force
from meterhouse.model import Commodity, Keeper
from meterhouse.store import catalog, devices, exchanges, monitor, places, queue, readings
from meterhouse.store.db import Database

PROTOCOLS = ("dlt645-2007", "dlt645-1997")


class AddressMissing(BadInput):
    """A gateway that we call needs an address, as in 10.0.0.7:4001."""

    code = "address_missing"
    field = "address"


class GatewayInUse(MeterhouseError):
    """Meters still hang on this gateway; move or remove them first."""

    code = "gateway_in_use"
    http_status = 409


class MeterPlaced(MeterhouseError):
    """This meter hangs at a point or is out of service."""

    code = "meter_placed"
    http_status = 409


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """A gateway as it shall be; `address` is host:port of one that we call."""

    name: str
    registration: str
    direction: str
    address: str | None
    protocol: str


@dataclass(frozen=True, slots=True)
class GatewayNow:
    """A gateway and the meters on its line."""

    row: Any
    meters: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Furnished:
    """A place's points as they are, and every meter that ever hung there."""

    points: Sequence[Any]
    meters: Sequence[Any]


async def add_gateway(db: Database, project_id: int, facts: GatewayFacts) -> int:
    """A gateway; the head end knows it at once.

    Raises:
        AddressMissing: we are to call it and do not know where.
        RegistrationTaken: another gateway registers with this text.
    """
    address = _address(facts)
    async with db.transaction([project_id]) as connection:
        made = await catalog.insert_gateway(
            connection, project_id, facts.name, facts.registration, facts.direction, address,
            facts.protocol,
        )  # fmt: skip
        await catalog.forget_stranger(connection, facts.registration)
        await queue.wake_roster(connection)
        return made


async def edit_gateway(
    db: Database, project_id: int, gateway_id: int, version: int, facts: GatewayFacts
) -> Any:
    """Change a gateway; answers it as it was.

    Raises:
        ChangedMeanwhile: it is not at this version any more.
        AddressMissing: we are to call it and do not know where.
        RegistrationTaken: another gateway registers with this text.
    """
    address = _address(facts)
    async with db.transaction([project_id]) as connection:
        was = await devices.get_gateway(connection, project_id, gateway_id)
        if not await devices.change_gateway(
            connection, project_id, gateway_id, version, facts.name, facts.registration,
            facts.direction, address, facts.protocol,
        ):  # fmt: skip
            raise ChangedMeanwhile
        await queue.wake_roster(connection)
        return was


async def remove_gateway(db: Database, project_id: int, gateway_id: int, at: datetime) -> Any:
    """Take a gateway out of use; answers it as it was. Raises `GatewayInUse`."""
    async with db.transaction([project_id]) as connection:
        was = await devices.get_gateway(connection, project_id, gateway_id)
        if not await devices.remove_gateway(connection, project_id, gateway_id, at):
            raise GatewayInUse
        await queue.wake_roster(connection)
        return was


async def gateway(db: Database, project_id: int, gateway_id: int) -> GatewayNow:
    """One gateway in use with its meters. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return GatewayNow(
            await devices.get_gateway(connection, project_id, gateway_id),
            await devices.meters_of_gateway(connection, project_id, gateway_id),
        )


async def gateways(db: Database, project_id: int) -> list[tuple[int, str]]:
    """Id and name of the gateways in use."""
    async with db.transaction([project_id]) as connection:
        rows = await devices.gateway_names(connection, project_id)
    return [(row["id"], row["name"]) for row in rows]


async def add_point(
    db: Database, project_id: int, place_id: int, commodity: Commodity, tariff_id: int | None,
    keeper: Keeper, at: datetime,
) -> int:  # fmt: skip
    """A point at a place; the house pays for it until somebody opens an account.

    Raises:
        NotFound: there is no such place or tariff.
        PlaceUnfit: it is neither a room nor a public area.
        MeterMoneyUnfit: the meter is to keep a money it cannot speak of.
        OtherCommodity: the tariff is of another commodity.
    """
    async with db.transaction([project_id]) as connection:
        place = await places.get_place(connection, project_id, place_id)
        if place["kind"] not in ("room", "area"):
            raise PlaceUnfit
        await _check_tariff(connection, project_id, tariff_id, commodity)
        project = await catalog.get_project(connection, project_id)
        if keeper == Keeper.METER:
            wallet.check_unit(project)
        house_id = await catalog.house_agreement(connection, project_id)
        new = devices.NewPoint(place_id, commodity, tariff_id, keeper)
        (point_id,) = await devices.insert_points(connection, project_id, [new])
        one = opening.Opening(point_id, commodity, house_id, at, None)
        await opening.attach(connection, project_id, project["currency"], [one])
        await readings.bump(connection, project_id)
        return point_id


async def edit_point(
    db: Database, project_id: int, point_id: int, version: int, tariff_id: int | None,
    keeper: Keeper, at: datetime,
) -> Any:  # fmt: skip
    """Give a point another tariff or keeper; answers it as it was.

    What has accrued with the platform is booked to the last coin before another keeps the money.

    Raises:
        ChangedMeanwhile: it is not at this version any more.
        NotFound: there is no such tariff.
        OtherCommodity: the tariff is of another commodity.
        TariffNotYet: the tariff prices nothing yet.
        MeterMoneyUnfit: the meter is to keep a money it cannot speak of.
        RechargeLive, MeterHoldsMoney: another keeper, while its meter has money or is about to.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        was = await devices.get_point(connection, project_id, point_id)
        if keeper != was["keeper"]:
            project = await catalog.get_project(connection, project_id)
            await keeping.change(connection, project, point_id, Keeper(was["keeper"]), keeper, at)
        given = await _check_tariff(connection, project_id, tariff_id, was["commodity"])
        if given is not None and tariff_id != was["tariff_id"]:
            check_in_force(given, at)
        if not await devices.change_point(
            connection, project_id, point_id, version, tariff_id, keeper, at
        ):
            raise ChangedMeanwhile
        await readings.bump(connection, project_id)
        return was


async def remove_point(db: Database, project_id: int, point_id: int) -> Any:
    """Take away a point that never had a meter; answers it as it was. Raises `PointMetered`."""
    async with db.transaction([project_id]) as connection:
        was = await devices.get_point(connection, project_id, point_id)
        await devices.remove_point(connection, project_id, point_id)
        await readings.bump(connection, project_id)
        return was


async def point(db: Database, project_id: int, point_id: int) -> Any:
    """One point with its place's name. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return await devices.get_point(connection, project_id, point_id)


async def furnished(db: Database, project_id: int, place_id: int) -> Furnished:
    """A place's points and the history of its meters."""
    async with db.transaction([project_id]) as connection:
        return Furnished(
            await devices.points_of_place(connection, project_id, place_id),
            await devices.meters_of_place(connection, project_id, place_id),
        )


async def add_meter(
    db: Database, project_id: int, gateway_id: int | None, point_id: int | None, model: str,
    address: str, multiplier: int, at: datetime, opening_milli: int | None = None,
) -> int:  # fmt: skip
    """A meter on a line, at a point or waiting for one.

    `opening_milli` is what its total register shows as it is put in: from there on it is billed.

    Raises:
        OpeningUnfit: an opening without a point to bill, or beyond what the register can show.
        NotFound: there is no such gateway, point or model.
        AddressUnusable: the address is not what the model's protocol prints.
        AddressTaken: the point has a meter, or the line one of this address.
    """
    async with db.transaction([project_id]) as connection:
        if gateway_id is not None:
            with chosen("gateway_id"):
                await devices.get_gateway(connection, project_id, gateway_id)
        if point_id is not None:
            with chosen("point_id"):
                await devices.get_point(connection, project_id, point_id)
        new = opening.meter_of(model, address, gateway_id, multiplier, point_id)
        if opening_milli is not None and (
            point_id is None or not 0 <= opening_milli < new.modulus_milli
        ):
            raise reading.OpeningUnfit
        (made,) = await devices.insert_meters(connection, project_id, [new], [at])
        await exchanges.follow(connection, project_id, [made], at)
        if opening_milli is not None:
            await exchanges.begin_serving(connection, project_id, made, at)
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
    if opening_milli is not None:
        await reading.note_opening(db, project_id, made, opening_milli, at)
    return made


async def edit_meter(
    db: Database, project_id: int, meter_id: int, version: int, gateway_id: int | None,
    address: str,
) -> Any:  # fmt: skip
    """Correct a meter's address or put it on another line; answers it as it was.

    Raises:
        ChangedMeanwhile: it is not at this version any more, or out of service.
        AddressUnusable: the address is not what its model's protocol prints.
        AddressTaken: the line has a meter of this address.
        RechargeLive: money is on its way to it.
        MeterHoldsMoney: another address, which is another meter, while this one has money.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        was = await devices.get_meter(connection, project_id, meter_id)
        if gateway_id is not None:
            with chosen("gateway_id"):
                await devices.get_gateway(connection, project_id, gateway_id)
        new = opening.meter_of(was["model"], address, gateway_id, was["multiplier"])
        if new.address != was["address"]:
            await keeping.must_be_empty(connection, project_id, meter_id)
        else:
            await keeping.nothing_on_its_way(connection, project_id, meter_id)
        if not await devices.change_meter(
            connection, project_id, meter_id, version, gateway_id, new.address
        ):
            raise ChangedMeanwhile
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
        return was


async def hang_meter(
    db: Database, project_id: int, meter_id: int, point_id: int, at: datetime,
    opening_milli: int | None = None,
) -> None:  # fmt: skip
    """Let a meter that hangs nowhere serve a point from now on.

    Raises:
        OpeningUnfit: an opening beyond what the register can show.
        MeterPlaced: it hangs at a point, or is out of service.
        PointMetered: the point has a meter.
    """
    async with db.transaction([project_id]) as connection:
        row = await devices.get_meter(connection, project_id, meter_id)
        if opening_milli is not None and not 0 <= opening_milli < row["modulus_milli"]:
            raise reading.OpeningUnfit
        with chosen("point_id"):
            await devices.get_point(connection, project_id, point_id)
        if not await devices.hang_meter(connection, project_id, meter_id, point_id, at):
            raise MeterPlaced
        await exchanges.begin_serving(connection, project_id, meter_id, at)
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
    if opening_milli is not None:
        await reading.note_opening(db, project_id, meter_id, opening_milli, at)


async def remove_meter(db: Database, project_id: int, meter_id: int, at: datetime) -> Any:
    """Take a meter out of service; answers it as it was.

    Raises:
        MeterPlaced: it is out of service.
        RechargeLive, MeterHoldsMoney: it has money, or is about to.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        was = await devices.get_meter(connection, project_id, meter_id)
        await keeping.must_be_empty(connection, project_id, meter_id)
        project = await catalog.get_project(connection, project_id)
        await keeping.drop_estimates(connection, project, meter_id, at)
        if not await devices.remove_meter(connection, project_id, meter_id, at):
            raise MeterPlaced
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
        return was


async def meter(db: Database, project_id: int, meter_id: int) -> Any:
    """One meter, in service or removed. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return await devices.get_meter(connection, project_id, meter_id)


async def free_meters(db: Database, project_id: int) -> list[tuple[int, str]]:
    """Id and address of the meters in service that hang at no point."""
    async with db.transaction([project_id]) as connection:
        rows = await devices.free_meters(connection, project_id)
    return [(row["id"], f"{row['address']} ({row['model']})") for row in rows]


async def points(db: Database, project_id: int, *, metered: bool | None = None) -> Sequence[Any]:
    """id, commodity, place of points, all or those with or without a meter."""
    async with db.transaction([project_id]) as connection:
        return await devices.point_names(connection, project_id, metered)


async def vacant_places(db: Database, project_id: int) -> Sequence[Any]:
    """id, name of places with points that nobody but the house pays for."""
    async with db.transaction([project_id]) as connection:
        return await devices.vacant_places(connection, project_id)


async def _check_tariff(
    connection: Any, project_id: int, tariff_id: int | None, commodity: str
) -> Any:
    if tariff_id is None:
        return None
    with chosen("tariff_id"):
        tariff = await catalog.get_tariff(connection, project_id, tariff_id)
    if tariff["commodity"] != commodity:
        raise OtherCommodity
    return tariff


def _address(facts: GatewayFacts) -> str | None:
    if facts.direction == "dial_in":
        return None
    host, _, port = (facts.address or "").rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise AddressMissing
    return facts.address
