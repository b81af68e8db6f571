"""From what flows answer to the shapes of the API.

Owns the translation, one function a shape. Must never know a request.
"""

import json
from typing import Any

from meterhouse.flows.access import Reach
from meterhouse.flows.monitor import PointNow, RoomNow
from meterhouse.flows.rooms import Tile
from meterhouse.model import Commodity, Quality, Relay
from meterhouse.units import to_decimal, to_us
from meterhouse.web.api import schemas
from meterhouse.web.labels import UNIT

_NANO_EXPONENT = 9


def money(amount_minor: int, scope: Reach) -> schemas.Money:
    """Money of a project."""
    amount = to_decimal(amount_minor, scope.currency_exponent)
    return schemas.Money(amount=amount, currency=scope.currency)


def project(scope: Reach) -> schemas.Project:
    """A project as a key sees it."""
    return schemas.Project(
        id=scope.project_id,
        name=scope.name,
        timezone=scope.timezone,
        currency=scope.currency,
        verbs=sorted(scope.verbs),
    )


def room(tile: Tile, scope: Reach) -> schemas.Room:
    """A room of the monitor."""
    return schemas.Room(
        id=tile.room_id, name=tile.room, floor=tile.floor, building_id=tile.building_id,
        building=tile.building, customer=tile.customer, state=tile.state,
        relay=tile.relay.name.lower(), override=tile.override,
        available=_maybe_money(tile.available_minor, scope),
    )  # fmt: skip


def room_detail(now: RoomNow, scope: Reach) -> schemas.RoomDetail:
    """A room with its points."""
    first = now.points[0]
    return schemas.RoomDetail(
        id=first.room_id, name=first.room, floor=first.floor, building=first.building,
        customer=first.customer, points=[_point(point, now, scope) for point in now.points],
    )  # fmt: skip


def _point(point: PointNow, now: RoomNow, scope: Reach) -> schemas.Point:
    unit = UNIT[point.commodity]
    return schemas.Point(
        id=point.point_id, commodity=point.commodity, keeper=point.keeper,
        override=point.override, state=point.state,
        available=_maybe_money(point.available_minor, scope), tariff=point.tariff,
        meter_id=point.meter_id, address=point.address, model=point.model,
        gateway_id=point.gateway_id, read_at=point.read_at,
        registers=[_quantity(milli, unit) for milli in point.registers_milli if milli >= 0],
        power=_power(point.power_w), relay=point.relay.name.lower(),
        days=[
            schemas.Day(
                day=day.day, energy=_quantity(day.energy_milli, unit),
                estimated=_quantity(day.estimated_milli, unit),
                cost=schemas.Money(
                    amount=to_decimal(day.amount_nano, _NANO_EXPONENT), currency=scope.currency
                ),
            )
            for day in now.days[point.point_id]
        ],
    )  # fmt: skip


def meter(row: Any) -> schemas.Meter:
    """A meter of the list."""
    was_read = row["is_online"] or row["offline_since"] is not None
    unit = UNIT[Commodity(row["commodity"])] if row["commodity"] else ""
    return schemas.Meter(
        id=row["id"], address=row["address"], model=row["model"], multiplier=row["multiplier"],
        room_id=row["room_id"], room=row["room"], gateway_id=row["gateway_id"],
        online=bool(row["is_online"]), read_at=row["read_at"] if was_read else None,
        total=_quantity(row["good_0_milli"] or 0, unit) if was_read else None,
        power=_power(row["power_w"]), relay=Relay(row["relay"] or 0).name.lower(),
    )  # fmt: skip


def gateway(row: Any) -> schemas.Gateway:
    """A gateway of the list."""
    return schemas.Gateway(
        id=row["id"], name=row["name"], registration=row["registration"],
        direction=row["direction"], online=bool(row["online"]), peer=row["peer"] or "",
        seen_at=row["seen_at"], meter_count=row["meter_count"],
        offline_count=row["offline_count"],
    )  # fmt: skip


def reading(row: Any) -> schemas.Reading:
    """A reading of the history."""
    bands = [row[f"band_{n}_milli"] for n in range(1, 5)]
    unit = UNIT[Commodity(row["commodity"])]
    quality: Any = Quality(row["quality"]).name.lower()
    return schemas.Reading(
        id=to_us(row["read_at"]), read_at=row["read_at"], received_at=row["received_at"],
        total=_quantity(row["total_milli"], unit),
        bands=[None if milli < 0 else _quantity(milli, unit) for milli in bands],
        power=_power(row["power_w"]), relay=Relay(row["relay"]).name.lower(),
        quality=quality,
    )  # fmt: skip


def alarm(row: Any) -> schemas.Alarm:
    """An alarm of the list."""
    return schemas.Alarm(
        id=row["id"], kind=row["kind"], subject=row["subject"], room_id=row["room_id"],
        room=row["room"], level=row["level"], why=str(json.loads(row["facts"]).get("why", "")),
        opened_at=row["opened_at"], closed_at=row["closed_at"],
    )  # fmt: skip


def notice(row: Any) -> schemas.Notice:
    """A notice of the list."""
    return schemas.Notice(
        id=row["id"], channel=row["channel"], room=row["room"], subject=row["subject"],
        text=row["text"], state=row["state"], created_at=row["created_at"],
        sent_at=row["sent_at"],
    )  # fmt: skip


def audit_entry(row: Any) -> schemas.AuditEntry:
    """An entry of the audit."""
    return schemas.AuditEntry(
        id=row["id"], at=row["at"], actor_id=row["actor_id"], actor=row["actor"], via=row["via"],
        act=row["act"], verb=row["verb"], object=row["object"],
        before=None if row["before"] is None else json.loads(row["before"]),
        after=None if row["after"] is None else json.loads(row["after"]),
        reason=row["reason"], request_id=row["request_id"], is_sealed=row["is_sealed"],
    )  # fmt: skip


def command(row: Any) -> schemas.Command:
    """A command, as it is now."""
    return schemas.Command(
        id=row["id"], meter_id=row["meter_id"], kind=row["kind"], state=row["state"],
        why=row["why"], cause=row["reason"], reason=row["note"], created_at=row["created_at"],
        ended_at=row["ended_at"],
    )  # fmt: skip


def _maybe_money(amount_minor: int | None, scope: Reach) -> schemas.Money | None:
    return None if amount_minor is None else money(amount_minor, scope)


def _quantity(milli: int, unit: str) -> schemas.Quantity:
    return schemas.Quantity(amount=to_decimal(milli, 3), unit=unit)


def _power(power_w: int | None) -> schemas.Quantity | None:
    return None if power_w is None or power_w < 0 else _quantity(power_w, "kW")
