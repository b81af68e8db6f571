"""Who receives the money (收款主体) of what a purse pays for, so that two payees' is never pooled.

Owns the question whether money would go from one payee's customers to another's. The common
compartment belongs to whoever is paid out of it. Must never know why money moves.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from meterhouse.errors import MeterhouseError
from meterhouse.ledger.chart import DRAW_ORDER
from meterhouse.model import Compartment
from meterhouse.store import customers, projects
from meterhouse.store.db import Connection


class PayeesDiffer(MeterhouseError):
    """Another payee receives the money there; pay it out and in instead."""

    code = "payees_differ"
    http_status = 409


class PurseShared(MeterhouseError):
    """Different payees receive this household's money; it keeps a purse for each commodity."""

    code = "purse_shared"
    http_status = 409
    field = "purse"


async def of_project(connection: Connection, project_id: int) -> dict[str, str]:
    """Charge class → who receives its money: the tax identity, or the name where there is none."""
    rows = await projects.payees(connection, project_id)
    return {row["charge_class"]: row["tax_id"] or row["name"] for row in rows}


async def drawn_by(
    connection: Connection, project_id: int, agreement_ids: Sequence[int]
) -> set[str]:
    """The compartments whose charges these households pay, out of the common one too."""
    return own_parts(await customers.commodities_of(connection, project_id, agreement_ids))


def own_parts(commodities: Iterable[str]) -> set[str]:
    """The compartment of each commodity's own."""
    return {DRAW_ORDER[one][0] for one in commodities}


def is_pooled(parties: Mapping[str, str], one: str, other: str, drawn: Collection[str]) -> bool:
    """Whether moving between two compartments would pool the money of two payees.

    Args:
        parties: who receives what, as `of_project` says.
        one: a compartment.
        other: another, or the same one of another household.
        drawn: what both households draw their common compartments for.
    """
    paid_for = {part for part in (one, other) if part != Compartment.COMMON}
    if Compartment.COMMON in (one, other):
        paid_for |= set(drawn)
    return len({parties.get(part) for part in paid_for}) > 1


async def check_together(
    connection: Connection, project_id: int, points: Iterable[Any], drawn: Collection[str] = ()
) -> None:
    """One purse for all of these points, and what it is drawn for already, has one payee.

    Raises:
        PurseShared: it would have two.
    """
    parties = await of_project(connection, project_id)
    parts = own_parts(row["commodity"] for row in points) | set(drawn)
    if len({parties.get(part) for part in parts}) > 1:
        raise PurseShared
