"""The desk (收费台) as a cashier sees it: who is found, what they have, what was sold to them.

Owns what a household is at a glance. Looking only computes; `sale` takes money. Must never know
how it is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import sale, search
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.monitor import PointNow, points_now
from meterhouse.flows.opening import DIGITS_OF_ADDRESS
from meterhouse.flows.search import HitKind
from meterhouse.model import CommandState, Commodity, Compartment, Keeper, RechargeState, Relay
from meterhouse.store import desk, reports, sales
from meterhouse.store.db import Database
from meterhouse.units import nano_per_minor
from meterhouse.words import N_

FOUND_MAX: Final = 8
PAYMENTS_SHOWN: Final = desk.PAYMENTS_SHOWN
SPAN_MIN: Final = timedelta(days=1)
"""Of less than a day nothing is foretold."""

_KINDS: Final = (HitKind.ROOM, HitKind.PERSON, HitKind.METER)


class PointAmbiguous(BadInput):
    """More than one is called so; give the meter's address instead."""

    code = "point_ambiguous"


UNDER_WAY: Final = (RechargeState.RESERVED, RechargeState.SENT, RechargeState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Named:
    """What is paid for as people write it: a room and commodity, or a meter's address."""

    building: str
    room: str
    commodity: Commodity
    address: str


@dataclass(frozen=True, slots=True)
class Found:
    """A room that a text led to, with who pays there (masked; None while it is vacant)."""

    room_id: int
    room: str
    building: str
    customer: str | None
    is_erased: bool
    phone: str
    meters: str


@dataclass(frozen=True, slots=True)
class Purse:
    """One of a household's own accounts: a compartment of its purse, or its deposit."""

    kind: str
    compartment: Compartment | None
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Supply:
    """One point of a household: as it is now, and for how many days it lasts.

    `days_left` is None where the last week does not say.
    """

    now: PointNow
    days_left: int | None


@dataclass(frozen=True, slots=True)
class Household:
    """A room at the desk: its supplies, who pays, their accounts and latest payments."""

    supplies: Sequence[Supply]
    phone: str
    purses: Sequence[Purse]
    payments: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Priced:
    """What a point delivers, and the one price of a unit, None where there is none."""

    commodity: str
    price_micro: int | None


@dataclass(frozen=True, slots=True)
class Receipted:
    """A sale afterwards: its payment, what the household has, and whether the power is back.

    `commands` are (state, why) of the connects that the sale led to.
    """

    payment: Any
    now: PointNow
    commands: Sequence[tuple[CommandState, str]]

    @property
    def is_live(self) -> bool:
        """Whether more is to be heard of the power, or of money on its way into the meter."""
        waits = any(s in (CommandState.QUEUED, CommandState.SENT) for s, _ in self.commands)
        return waits or self.payment["recharge_state"] in UNDER_WAY


async def find(db: Database, reach: Reach, text: str) -> list[Found]:
    """Rooms that are called so, or whose household or meter is; the best first."""
    hits = [hit for hit in await search.find(db, [reach], text, _KINDS)
            if hit.kind is HitKind.PERSON or hit.room_id is not None]  # fmt: skip
    if not hits:
        return []
    rooms = [hit.room_id for hit in hits if hit.room_id is not None]
    people = [hit.id for hit in hits if hit.kind is HitKind.PERSON]
    async with db.transaction([reach.project_id]) as connection:
        rows = await desk.households(connection, reach.project_id, rooms, people)
    seen = reach.asked(Verb.MONEY_READ).building_ids
    order = {room_id: place for place, room_id in reversed(list(enumerate(rooms)))}
    rows = sorted(rows, key=lambda row: (order.get(row["room_id"], len(order)), row["room_id"]))
    return [
        Found(
            row["room_id"], row["room"], row["building"], row["customer"], row["is_erased"],
            row["phone"] or "", row["meters"] or "",
        )
        for row in rows
        if seen is None or row["building_id"] in seen
    ][:FOUND_MAX]  # fmt: skip


async def household(
    db: Database, project_id: int, room_id: int, currency_exponent: int, at: datetime
) -> Household:
    """A room at the desk. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        points = points_now(await reports.room_points(connection, project_id, room_id))
        if not points:
            raise NotFound(N_("Room"), room_id)
        used = await desk.used_since(
            connection, project_id, [one.point_id for one in points], at - sale.WEEK
        )
        payer = next((one for one in points if one.customer_id is not None), None)
        purses: Sequence[Any] = ()
        payments: Sequence[Any] = ()
        phone = None
        if payer is not None and payer.agreement_id and payer.customer_id:
            purses = await desk.purses(connection, project_id, payer.agreement_id)
            payments = await desk.last_payments(connection, project_id, payer.agreement_id)
            phone = await desk.phone_of(connection, project_id, payer.customer_id)
    weeks = {row["point_id"]: row for row in used}
    return Household(
        [Supply(one, days_left(one, points, weeks, currency_exponent)) for one in points],
        phone or "",
        [_purse(row) for row in purses],
        payments,
    )


def days_left(
    point: PointNow, points: Sequence[PointNow], weeks: Mapping[int, Any], currency_exponent: int
) -> int | None:
    """For how many whole days what is available lasts at the last week's use.

    None where nothing is kept, nothing was used, or less than a day is known: a guess would be
    believed. Points of one account and commodity use it up together.
    """
    if point.available_minor is None or point.available_minor <= 0:
        return 0 if point.available_minor is not None else None
    together = [weeks[one.point_id] for one in points
                if (one.agreement_id, one.commodity) == (point.agreement_id, point.commodity)
                and one.point_id in weeks]  # fmt: skip
    if not together:
        return None
    span = max(w["ended_at"] for w in together) - min(w["started_at"] for w in together)
    used_nano = sum(w["amount_nano"] for w in together)
    if span < SPAN_MIN or used_nano <= 0:
        return None
    available_nano = point.available_minor * nano_per_minor(currency_exponent)
    seconds = available_nano * int(span.total_seconds()) // used_nano
    return int(seconds // timedelta(days=1).total_seconds())


async def price(db: Database, project_id: int, point_id: int, at: datetime) -> Priced:
    """What a point delivers and costs a unit. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        facts = await sales.facts(connection, project_id, point_id, None, "")
        if facts is None:
            raise NotFound(N_("Point"), point_id)
        found = await sale.flat_price_micro(connection, project_id, facts["tariff_id"], at)
    return Priced(facts["commodity"], found)


async def sold(db: Database, project_id: int, payment_id: int) -> Receipted:
    """A sale afterwards. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await desk.get_payment(connection, project_id, payment_id)
        if row is None or row["point_id"] is None:
            raise NotFound(N_("Payment"), payment_id)
        point = await reports.one_point(connection, project_id, row["point_id"], None)
        commands = await desk.power_commands(
            connection, project_id, row["account_id"], row["created_at"]
        )
    (now,) = points_now([point])
    return Receipted(row, now, [(CommandState(one["state"]), one["why"]) for one in commands])


async def names(db: Database, project_id: int, point_ids: Sequence[int]) -> list[str]:
    """Building, room and meter of points, in the order asked for. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        rows = await desk.point_names(connection, project_id, point_ids)
    by_id = {row["id"]: row for row in rows}
    if missing := [one for one in point_ids if one not in by_id]:
        raise NotFound(N_("Point"), missing[0])
    found = [by_id[one] for one in point_ids]
    return [" ".join(filter(None, (r["building"], r["room"], r["address"]))) for r in found]


async def payers(db: Database, project_id: int, point_ids: Sequence[int]) -> dict[int, int]:
    """Point → the agreement that pays for it now, where a household does."""
    async with db.transaction([project_id]) as connection:
        rows = await desk.payers(connection, project_id, point_ids)
    return {row["point_id"]: row["agreement_id"] for row in rows}


async def points_named(
    db: Database, project_id: int, wanted: Sequence[Named]
) -> list[int | MeterhouseError]:
    """The point each name means, or what stands against taking money for it."""
    rooms = [one.room for one in wanted if one.room]
    addresses = [_padded(one.address) for one in wanted if one.address]
    async with db.transaction([project_id]) as connection:
        rows = await desk.points_named(connection, project_id, rooms, addresses)
    by_room: dict[tuple[str, str, str], list[Any]] = {}
    by_address: dict[str, list[Any]] = {}
    for row in rows:
        by_room.setdefault((row["building"], row["room"], row["commodity"]), []).append(row)
        by_address.setdefault(row["address"] or "", []).append(row)
    found: list[int | MeterhouseError] = []
    for one in wanted:
        if one.address:
            meant = by_address.get(_padded(one.address), [])
        else:
            meant = by_room.get((one.building, one.room, one.commodity), [])
        found.append(_meant(one, meant))
    return found


def _meant(one: Named, meant: Sequence[Any]) -> int | MeterhouseError:
    if not meant:
        what = N_("Meter") if one.address else N_("Room")
        return NotFound(what, one.address or f"{one.building} {one.room}".strip())
    if len(meant) > 1:
        return PointAmbiguous()
    (row,) = meant
    if not row["is_let"]:
        return sale.NoLiveAgreement()
    if row["keeper"] not in (Keeper.PLATFORM, Keeper.METER):
        return sale.NotSoldHere()
    point_id: int = row["id"]
    return point_id


def _padded(address: str) -> str:
    return address.zfill(DIGITS_OF_ADDRESS)


def is_sold_here(point: PointNow) -> bool:
    """Whether a point's money is taken at the desk."""
    return point.customer_id is not None and point.keeper in (Keeper.PLATFORM, Keeper.METER)


def power_is_on(point: PointNow) -> bool | None:
    """Whether the relay conducts; None while nobody knows."""
    return None if point.relay is Relay.UNKNOWN else point.relay is not Relay.OPEN


def _purse(row: Any) -> Purse:
    part = row["compartment"]
    return Purse(row["kind"], Compartment(part) if part else None, row["balance_minor"])
