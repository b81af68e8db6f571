"""Opening points: meters hung, households attached, purses opened, for one room or ten thousand.

Owns what a point needs before it can be rated, in sets of rows. Must never know where the rows
came from: a form, a sheet, a program. Works inside its caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from meterhouse import meter_models
from meterhouse.errors import BadInput
from meterhouse.flows import lastcoin, vacancy
from meterhouse.flows.lastread import FRESH
from meterhouse.ledger.chart import DRAW_ORDER
from meterhouse.model import Commodity, Compartment
from meterhouse.store import customers, devices, personal, readings
from meterhouse.store.customers import Attached
from meterhouse.store.db import Connection
from meterhouse.store.personal import Facts

DIGITS_OF_ADDRESS = 12


class AddressUnusable(BadInput):
    """Address {address} does not fit {model}: it has {digits} digits at most."""

    code = "address_unusable"
    field = "address"


class Purse(StrEnum):
    """How a household that buys several commodities keeps its money (水电一体, or apart)."""

    APART = "apart"
    TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Household:
    """Who pays from an instant on, and how far below zero they may fall; None: without limit."""

    facts: Facts
    opened_at: datetime
    floor_minor: int | None = 0
    language: str = "zh-Hans"


@dataclass(frozen=True, slots=True)
class Opening:
    """A point that an agreement pays for from an instant on, out of which kind of purse."""

    point_id: int
    commodity: Commodity
    agreement_id: int
    opened_at: datetime
    floor_minor: int | None
    purse: Purse = Purse.APART


def meter_of(
    model: str, address: str, gateway_id: int | None, multiplier: int,
    point_id: int | None = None,
) -> devices.NewMeter:  # fmt: skip
    """A meter as its model makes it; a short address is filled with zeros on the left.

    Raises:
        NotFound: there is no such model.
        AddressUnusable: the address is not what the model's protocol prints.
    """
    known = meter_models.load(model)
    digits = address.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= known.address_digits):
        raise AddressUnusable(address=address, model=model, digits=known.address_digits)
    return devices.NewMeter(
        gateway_id, model, digits.zfill(DIGITS_OF_ADDRESS), multiplier, known.modulus_milli,
        known.max_power_w, point_id,
    )  # fmt: skip


async def enrol(
    connection: Connection, project_id: int, facts: Sequence[Facts], languages: Sequence[str]
) -> list[int]:
    """Customers without an agreement; answers them in the order given."""
    people = await personal.insert_many(connection, project_id, facts)
    return await customers.insert_customers(connection, project_id, people, languages)


async def admit(
    connection: Connection, project_id: int, households: Sequence[Household]
) -> list[int]:
    """Customers with an agreement each; answers the agreements in the order given."""
    ids = await enrol(
        connection, project_id, [one.facts for one in households],
        [one.language for one in households],
    )  # fmt: skip
    return await customers.insert_agreements(
        connection, project_id, ids, [one.opened_at for one in households], [1] * len(ids)
    )


async def attach(
    connection: Connection, project_id: int, currency: str, openings: Sequence[Opening]
) -> None:
    """Purses for the agreements, and the points handed over to them.

    Apart, a commodity draws its own compartment, then the common one, which may not fall below
    zero. Together, all of them draw the common one, and it is this that may fall to the floor.
    """
    purses = [
        customers.Purse(one.agreement_id, part, one.floor_minor if first else 0)
        for one in openings
        for part, first in _drawn(one)
    ]
    accounts = await customers.open_purses(connection, project_id, currency, purses)
    attached = []
    for one in openings:
        ids = [accounts[one.agreement_id, part] for part, _ in _drawn(one)]
        common_id = ids[1] if len(ids) > 1 else None
        attached.append(Attached(one.point_id, one.agreement_id, ids[0], common_id, one.opened_at))
    await customers.attach_points(connection, project_id, attached, FRESH)


async def hand_over(
    connection: Connection, project: Any, openings: Sequence[Opening], actor_id: int | None,
    at: datetime,
) -> None:  # fmt: skip
    """Settle what has accrued with whoever paid until now, then let these agreements pay.

    Credit in a vacant point's meter goes along with it; an overdraft the house makes good.

    Raises:
        RechargeLive: something is on its way to the meter of a vacant point.
    """
    points = [one.point_id for one in openings]
    await lastcoin.settle(connection, project, points, at)
    before = await vacancy.found(connection, project["id"], points)
    await attach(connection, project["id"], project["currency"], openings)
    await vacancy.go_along(connection, project, before, actor_id, at)
    await readings.bump(connection, project["id"])


def _drawn(one: Opening) -> list[tuple[Compartment, bool]]:
    """The compartments a point draws, in order; the first may fall to the floor."""
    if one.purse is Purse.TOGETHER:
        return [(Compartment.COMMON, True)]
    own, common = DRAW_ORDER[one.commodity]
    return [(own, True), (common, False)]
