"""Moving money between purses (转账): of one household, or from one to another.

Owns what may be moved: what is available, never what is on its way into a meter or begun to be
used, and never from one payee's customers to another's. Must never know why it is moved.
"""

from datetime import datetime
from typing import Any

from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import lastcoin, ordering, parties, react
from meterhouse.flows.account import AccountEnded
from meterhouse.flows.parties import PayeesDiffer
from meterhouse.ledger.book import available_minor
from meterhouse.model import PaymentKind
from meterhouse.store import bookings, catalog, customers, ledger, monitor, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment
from meterhouse.units import Minor, to_decimal
from meterhouse.words import N_


class MoreThanAvailable(MeterhouseError):
    """Only {available} is available there."""

    code = "more_than_available"
    http_status = 409
    field = "amount"


class SamePurse(BadInput):
    """That is the purse it comes from."""

    code = "same_purse"
    field = "to"


async def move(
    db: Database, project_id: int, agreement_id: int, part: str, to_agreement_id: int,
    to_part: str, amount_minor: Minor, key: str, reason: str, actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Move money from one purse to another; answers the order.

    What has been used is booked first, so that nothing is moved twice; what is left below a coin
    stays, and so does what the floor would allow beyond zero.

    Raises:
        NotFound: there is no such account, or it has no such purse.
        SamePurse: it is one and the same.
        PayeesDiffer: it would go to another payee's customers.
        MoreThanAvailable: there is not so much.
        Conflict: the key was used for another payment.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        project = await catalog.get_project(connection, project_id)
        from_id = await _purse(connection, project_id, agreement_id, part)
        to_id = await _purse(connection, project_id, to_agreement_id, to_part)
        if from_id == to_id:
            raise SamePurse
        drawn = await parties.drawn_by(connection, project_id, [agreement_id, to_agreement_id])
        if parties.is_pooled(
            await parties.of_project(connection, project_id), part, to_part, drawn
        ):
            raise PayeesDiffer
        new = NewPayment(agreement_id, from_id, "move", amount_minor, key, PaymentKind.MOVE, reason)
        await lastcoin.book_purse(connection, project, to_id, at)
        free_minor = await free_of(connection, project, from_id, at)
        payment_id, is_new = await ordering.place(
            connection, project, new, from_id, to_id, actor_id, at
        )
        if is_new and amount_minor > free_minor:
            exponent = project["currency_exponent"]
            raise MoreThanAvailable(available=to_decimal(max(free_minor, 0), exponent))
        meters = await bookings.meters_of_purses(connection, project_id, [from_id, to_id])
        await react.look_again(connection, project, meters, at)
        await readings.bump(connection, project_id)
        return payment_id


async def free_of(connection: Connection, project: Any, purse_id: int, at: datetime) -> int:
    """What may be taken out of a purse now, its account locked; overdraft is not used.

    What all who draw it have used is booked first; the purse of a point that owes may be below 0.
    """
    await lastcoin.book_purse(connection, project, purse_id, at)
    row = (await ledger.lock_accounts(connection, project["id"], [purse_id]))[purse_id]
    accrued_nano = await bookings.accrued_of_purse(connection, project["id"], purse_id)
    free_minor: int = available_minor(
        row["balance_minor"], row["pending_debit_minor"], max(accrued_nano, 0),
        project["currency_exponent"],
    )  # fmt: skip
    return free_minor


async def _purse(connection: Connection, project_id: int, agreement_id: int, part: str) -> int:
    """The account of a compartment of a household that has not ended."""
    agreement = await customers.get_agreement(connection, project_id, agreement_id)
    if agreement["valid_to"] is not None or agreement["kind"] != "tenant":
        raise AccountEnded
    rows = await customers.purses_of(connection, project_id, [agreement_id])
    found = next((row["id"] for row in rows if row["compartment"] == part), None)
    if found is None:
        raise NotFound(N_("Purse"), part)
    return int(found)
