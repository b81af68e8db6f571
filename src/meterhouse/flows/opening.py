"""Opening points: meters hung, households attached, purses opened, for one room or ten thousand.

Owns what a point needs before it can be rated, in sets of rows. Must never know where the rows
came from: a form, a sheet, a program. Works inside its caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from meterhouse import meter_models
from meterhouse.errors import BadInput
from meterhouse.ledger.chart import DRAW_ORDER
from meterhouse.model import Commodity, Compartment
from meterhouse.store import customers, devices, personal
from meterhouse.store.customers import Attached, Purse
from meterhouse.store.db import Connection
from meterhouse.store.personal import Facts

DIGITS_OF_ADDRESS = 12


class AddressUnusable(BadInput):
    """Address {address} does not fit {model}: it has {digits} digits at most."""

    code = "address_unusable"
    field = "address"


@dataclass(frozen=True, slots=True)
class Household:
    """Who pays from an instant on, and how far below zero they may fall; None: without limit."""

    facts: Facts
    opened_at: datetime
    floor_minor: int | None = 0
    language: str = "zh-Hans"


@dataclass(frozen=True, slots=True)
class Opening:
    """A point that an agreement pays for from an instant on."""

    point_id: int
    commodity: Commodity
    agreement_id: int
    opened_at: datetime
    floor_minor: int | None


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


async def admit(
    connection: Connection, project_id: int, households: Sequence[Household]
) -> list[int]:
    """Customers with an agreement each; answers the agreements in the order given."""
    people = await personal.insert_many(connection, project_id, [one.facts for one in households])
    ids = await customers.insert_customers(
        connection, project_id, people, [one.language for one in households]
    )
    return await customers.insert_agreements(
        connection, project_id, ids, [one.opened_at for one in households]
    )


async def attach(
    connection: Connection, project_id: int, currency: str, openings: Sequence[Opening]
) -> None:
    """Purses for the agreements, and the points handed over to them.

    A commodity draws its own compartment, then the common one, which may not fall below zero.
    """
    purses = [
        Purse(one.agreement_id, part, one.floor_minor if part is not Compartment.COMMON else 0)
        for one in openings
        for part in DRAW_ORDER[one.commodity]
    ]
    accounts = await customers.open_purses(connection, project_id, currency, purses)
    attached = []
    for one in openings:
        own, common = DRAW_ORDER[one.commodity]
        account_id, common_id = (accounts[one.agreement_id, part] for part in (own, common))
        attached.append(
            Attached(one.point_id, one.agreement_id, account_id, common_id, one.opened_at)
        )
    await customers.attach_points(connection, project_id, attached)
