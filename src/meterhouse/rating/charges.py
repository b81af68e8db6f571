"""What a scheme charges beside the price of energy, as data.

Owns surcharges, standing charge, minimum, free allowance, demand (两部制), multiplier, losses and
tax: their shape, JSON form and bounds. Must never know how a bill is made of them (`bill`). Nothing
of it is charged unless it is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from meterhouse.rating.fields import (
    TariffInvalid,
    identifier_of,
    list_of,
    object_of,
    truth_of,
    whole_of,
    word_of,
)
from meterhouse.units import INTERVAL_MILLI_MAX, MICRO_PER_UNIT, PRICE_MICRO_MAX
from meterhouse.words import N_

AMOUNT_MICRO_MAX = 10**15
SURCHARGES_MAX = 16
MULTIPLIER_MAX = 1_000_000

FIELDS = frozenset(
    {"surcharges", "standing", "minimum_micro", "allowance", "demand", "multiplier", "loss_micro",
     "tax"}
)  # fmt: skip
"""The fields of a version that this room reads."""


class Per(StrEnum):
    """What a standing charge is for: each billing day, or each billing period."""

    DAY = "day"
    PERIOD = "period"


class Grant(StrEnum):
    """When free energy is given: once when an account opens, or with every billing period."""

    ONCE = "once"
    PERIOD = "period"


class DemandBy(StrEnum):
    """What power is charged: the contracted capacity, or the highest measured mean power."""

    CAPACITY = "capacity"
    MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True)
class Surcharge:
    """A price on every unit that is not free, whatever its band and block; below 0 a rebate."""

    name: str
    price_micro: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A charge for being connected (基本费)."""

    per: Per
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """Free energy (基础免费电量): the first that is used; it fills no block and bears no surcharge.

    What is left at a period's end lapses unless it `carries`; what was given once never lapses.
    With `per_person` it is given as often as the household has persons.
    """

    grant: Grant
    energy_milli: int
    carries: bool = False
    per_person: bool = False


@dataclass(frozen=True, slots=True)
class Demand:
    """A price per kW (or kVA) and billing period, beside that of energy."""

    by: DemandBy
    price_micro: int


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax shown on the bill: contained in all prices, or added to them; rate in millionths."""

    rate_micro: int
    included: bool = True


@dataclass(frozen=True, slots=True)
class Charges:
    """All of it together; the default charges nothing.

    Attributes:
        surcharges: in the order of the bill.
        standing: for being connected.
        minimum_micro: what a billing period costs at least, before tax that is added.
        allowance: free energy.
        demand: charge for power.
        multiplier: billed units per measured one, where the load is not multiplied yet.
        loss_micro: losses (线损、变损) billed on top of the energy, in millionths of it.
        tax: shown on the bill.
    """

    surcharges: tuple[Surcharge, ...] = ()
    standing: Standing | None = None
    minimum_micro: int = 0
    allowance: Allowance | None = None
    demand: Demand | None = None
    multiplier: int = 1
    loss_micro: int = 0
    tax: Tax | None = None


NO_CHARGES = Charges()


def parse_charges(fields: Mapping[str, Any], path: str) -> Charges:
    """What a version's fields charge beside energy."""
    return Charges(
        surcharges=_surcharges(fields.get("surcharges", []), f"{path}.surcharges"),
        standing=_standing(fields["standing"], f"{path}.standing")
        if "standing" in fields else None,
        minimum_micro=whole_of(
            fields.get("minimum_micro", 0), f"{path}.minimum_micro", 0, AMOUNT_MICRO_MAX
        ),
        allowance=_allowance(fields["allowance"], f"{path}.allowance")
        if "allowance" in fields else None,
        demand=_demand(fields["demand"], f"{path}.demand") if "demand" in fields else None,
        multiplier=whole_of(fields.get("multiplier", 1), f"{path}.multiplier", 1, MULTIPLIER_MAX),
        loss_micro=whole_of(fields.get("loss_micro", 0), f"{path}.loss_micro", 0, MICRO_PER_UNIT),
        tax=_tax(fields["tax"], f"{path}.tax") if "tax" in fields else None,
    )  # fmt: skip


def dump_charges(charges: Charges) -> dict[str, Any]:
    """The fields of a version that say what is charged; what charges nothing is left out."""
    said: dict[str, Any] = {}
    if charges.surcharges:
        said["surcharges"] = [
            {"name": each.name, "price_micro": each.price_micro} for each in charges.surcharges
        ]
    if charges.standing:
        standing = charges.standing
        said["standing"] = {"per": standing.per.value, "amount_micro": standing.amount_micro}
    if charges.minimum_micro:
        said["minimum_micro"] = charges.minimum_micro
    if charges.allowance:
        free = charges.allowance
        said["allowance"] = {
            "grant": free.grant.value, "energy_milli": free.energy_milli,
            "carries": free.carries, "per_person": free.per_person,
        }  # fmt: skip
    if charges.demand:
        demand = charges.demand
        said["demand"] = {"by": demand.by.value, "price_micro": demand.price_micro}
    if charges.multiplier != 1:
        said["multiplier"] = charges.multiplier
    if charges.loss_micro:
        said["loss_micro"] = charges.loss_micro
    if charges.tax:
        said["tax"] = {"rate_micro": charges.tax.rate_micro, "included": charges.tax.included}
    return said


def _surcharges(data: Any, path: str) -> tuple[Surcharge, ...]:
    found: list[Surcharge] = []
    for place, each in enumerate(list_of(data, path, 0, SURCHARGES_MAX)):
        at = f"{path}[{place}]"
        fields = object_of(each, at, {"name", "price_micro"}, set())
        name = identifier_of(fields["name"], f"{at}.name")
        if name in {one.name for one in found}:
            raise TariffInvalid(f"{at}.name", N_("name each surcharge once"))
        price_micro = whole_of(
            fields["price_micro"], f"{at}.price_micro", -PRICE_MICRO_MAX, PRICE_MICRO_MAX
        )
        found.append(Surcharge(name, price_micro))
    return tuple(found)


def _standing(data: Any, path: str) -> Standing:
    fields = object_of(data, path, {"per", "amount_micro"}, set())
    return Standing(
        per=word_of(Per, fields["per"], f"{path}.per"),
        amount_micro=whole_of(
            fields["amount_micro"], f"{path}.amount_micro", 1, AMOUNT_MICRO_MAX
        ),
    )  # fmt: skip


def _allowance(data: Any, path: str) -> Allowance:
    fields = object_of(data, path, {"grant", "energy_milli"}, {"carries", "per_person"})
    allowance = Allowance(
        grant=word_of(Grant, fields["grant"], f"{path}.grant"),
        energy_milli=whole_of(
            fields["energy_milli"], f"{path}.energy_milli", 1, INTERVAL_MILLI_MAX
        ),
        carries=truth_of(fields.get("carries", False), f"{path}.carries"),
        per_person=truth_of(fields.get("per_person", False), f"{path}.per_person"),
    )  # fmt: skip
    if allowance.grant is Grant.ONCE and allowance.carries:
        raise TariffInvalid(f"{path}.carries", N_("leave it out: what is given once never lapses"))
    return allowance


def _demand(data: Any, path: str) -> Demand:
    fields = object_of(data, path, {"by", "price_micro"}, set())
    return Demand(
        by=word_of(DemandBy, fields["by"], f"{path}.by"),
        price_micro=whole_of(fields["price_micro"], f"{path}.price_micro", 1, PRICE_MICRO_MAX),
    )


def _tax(data: Any, path: str) -> Tax:
    fields = object_of(data, path, {"rate_micro"}, {"included"})
    return Tax(
        rate_micro=whole_of(fields["rate_micro"], f"{path}.rate_micro", 1, MICRO_PER_UNIT),
        included=truth_of(fields.get("included", True), f"{path}.included"),
    )
