"""Telling a household that its money has arrived.

Owns that one notice (F1). Called inside the transaction in which the money reached the purse, or
the meter that keeps it; a key makes a second telling harmless.
"""

from datetime import datetime
from typing import Any

from meterhouse.store import monitor, queue
from meterhouse.store.db import Connection
from meterhouse.store.queue import NewNotice
from meterhouse.units import to_decimal
from meterhouse.words import N_, words

SUBJECT = N_("Payment received: {room}")
TEXT = N_("{amount} {currency} have arrived for room {room}.")


async def tell(
    connection: Connection, project: Any, point_id: int, payment_id: int, amount_minor: int,
    at: datetime,
) -> None:  # fmt: skip
    """Queue the notice of one payment on every channel of the household."""
    who = (await monitor.contacts(connection, project["id"], [point_id]))[point_id]
    told = notices(project, who, point_id, payment_id, amount_minor)
    await queue.insert_notices(connection, project["id"], told, at)


def notices(
    project: Any, who: Any, point_id: int, payment_id: int | str, amount_minor: int
) -> list[NewNotice]:
    """The notice of one payment, once for each channel of the household.

    `who` has `room`, `language`, `customer_id` and `has_email`.
    """
    say = words(who["language"])
    facts = {
        "room": who["room"],
        "amount": to_decimal(amount_minor, project["currency_exponent"]),
        "currency": project["currency"],
    }
    subject, text = say(SUBJECT, **facts), say(TEXT, **facts)
    return [
        NewNotice(
            channel, who["customer_id"], subject, text, f"received:{payment_id}:{channel}", point_id
        )
        for channel in (("console", "email") if who["has_email"] else ("console",))
    ]
