"""Households: who they are, and what they pay for from when to when.

Owns opening an account for a room and moving out to vacancy. Must never know how money is taken or
paid out: what is left in a purse stays there. Names and phones pass through, and are never told in
an answer or an audit entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import close, opening
from meterhouse.flows.opening import Opening
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.model import Commodity, Keeper
from meterhouse.store import catalog, customers, devices, monitor, personal, places, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.personal import Facts


class NothingToPayFor(MeterhouseError):
    """Nobody can pay for this place: it has no point, or none that money is kept for."""

    code = "nothing_to_pay_for"
    http_status = 409


class LetAlready(MeterhouseError):
    """Somebody pays for this place already; let them move out first."""

    code = "let_already"
    http_status = 409


class VacantAlready(MeterhouseError):
    """Nobody has an account for this place."""

    code = "vacant_already"
    http_status = 409


class WarningsUnordered(BadInput):
    """Each warning level lies below the one before it."""

    code = "warnings_unordered"
    field = "warning_2"


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a household pays.

    `floor_minor` is how far the purse may fall, zero or below; `warnings_minor` the three levels
    at which it is warned, falling.
    """

    floor_minor: int = 0
    warnings_minor: tuple[int, int, int] = (3000, 1500, 500)


@dataclass(frozen=True, slots=True)
class CustomerNow:
    """A customer, masked, with the agreements they have and had."""

    row: Any
    agreements: Sequence[Any]


async def add(db: Database, project_id: int, facts: Facts, language: str) -> int:
    """A customer without an account yet."""
    async with db.transaction([project_id]) as connection:
        return await _insert(connection, project_id, facts, language)


async def edit(
    db: Database, project_id: int, customer_id: int, version: int, facts: Facts, language: str
) -> None:
    """Replace what is said anew of a customer; what is None stays as it is.

    Raises:
        ChangedMeanwhile: it is not at this version any more, or was erased.
    """
    async with db.transaction([project_id]) as connection:
        await customers.get_customer(connection, project_id, customer_id)
        if not await customers.change_customer(
            connection, project_id, customer_id, version, language
        ):
            raise ChangedMeanwhile
        if not await personal.change(connection, project_id, customer_id, facts):
            raise ChangedMeanwhile
        await readings.bump(connection, project_id)


async def look(db: Database, project_id: int, customer_id: int) -> CustomerNow:
    """One customer. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return CustomerNow(
            await customers.get_customer(connection, project_id, customer_id),
            await customers.agreements_of(connection, project_id, customer_id),
        )


async def open_account(
    db: Database, project_id: int, place_id: int, customer_id: int, terms: Terms, at: datetime
) -> int:
    """From now on a customer pays for all points of a place; answers the agreement.

    What had accrued until now is booked to whoever paid before, except for less than a coin.

    Raises:
        NotFound: there is no such place or customer.
        NothingToPayFor: the place has no point that money is kept for.
        LetAlready: somebody pays for it already.
        WarningsUnordered: the warning levels do not fall.
    """
    first, second, third = terms.warnings_minor
    if not first > second > third:
        raise WarningsUnordered
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        project = await catalog.get_project(connection, project_id)
        await places.get_place(connection, project_id, place_id)
        await customers.get_customer(connection, project_id, customer_id)
        rows = await devices.points_of_place(connection, project_id, place_id)
        points = [row for row in rows if row["keeper"] != Keeper.NONE]
        if not points:
            raise NothingToPayFor
        if any(row["agreement_kind"] == "tenant" for row in points):
            raise LetAlready
        (agreement_id,) = await customers.insert_agreements(
            connection, project_id, [customer_id], [at]
        )
        await _hand_over(connection, project, points, agreement_id, terms.floor_minor, at)
        await customers.set_warnings(
            connection, project_id, [row["id"] for row in points], terms.warnings_minor
        )
        return agreement_id


async def move_out(db: Database, project_id: int, place_id: int, at: datetime) -> int:
    """From now on the house pays for a place; answers the agreement that ended.

    Raises:
        VacantAlready: nobody has an account for it.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        project = await catalog.get_project(connection, project_id)
        rows = await devices.points_of_place(connection, project_id, place_id)
        agreement_id = next(
            (row["agreement_id"] for row in rows if row["agreement_kind"] == "tenant"), None
        )
        if agreement_id is None:
            raise VacantAlready
        house_id = await catalog.house_agreement(connection, project_id)
        points = await customers.points_of_agreement(connection, project_id, agreement_id)
        await _hand_over(connection, project, points, house_id, None, at)
        await customers.end_agreement(connection, project_id, agreement_id, at)
        return int(agreement_id)


async def _hand_over(
    connection: Connection, project: Any, points: Sequence[Any], agreement_id: int,
    floor_minor: int | None, at: datetime,
) -> None:  # fmt: skip
    """Book what has accrued, then let another agreement pay."""
    for row in points:
        point = await devices.get_point(connection, project["id"], row["id"])
        if point["account_id"] is not None:
            await close.book(connection, project, point["account_id"], at)
    openings = [
        Opening(row["id"], Commodity(row["commodity"]), agreement_id, at, floor_minor)
        for row in points
    ]
    await opening.attach(connection, project["id"], project["currency"], openings)
    await readings.bump(connection, project["id"])


async def _insert(connection: Connection, project_id: int, facts: Facts, language: str) -> int:
    personal_ids = await personal.insert_many(connection, project_id, [facts])
    (made,) = await customers.insert_customers(connection, project_id, personal_ids, [language])
    return made
