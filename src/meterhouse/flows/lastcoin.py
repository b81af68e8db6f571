"""The last coin: what is below one is rounded where a point changes hands, so that nobody pays it.

Owns rounding half up against the rounding account, once a change of payer; the difference between
the coin and what was rated stays with the point as *rounded*, so that booked + accrued + rounded =
rated. Must never know why hands change. Works inside its caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from meterhouse.flows import close
from meterhouse.ledger.book import draw
from meterhouse.model import AccountKind, TransferKind
from meterhouse.store import bookings, ledger
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor, Nano, nano_per_minor, round_minor


async def book_purse(connection: Connection, project: Any, purse_id: int, at: datetime) -> None:
    """Book what every point that may draw a purse has accrued."""
    for account_id in await bookings.drawers_of(connection, project["id"], purse_id):
        await close.book(connection, project, account_id, at)


async def settle(
    connection: Connection, project: Any, point_ids: Sequence[int], at: datetime
) -> None:
    """Book the accruals of points to the last coin: nothing of them is left to who pays next."""
    project_id, exponent = project["id"], project["currency_exponent"]
    rows = await bookings.rests(connection, project_id, point_ids)
    for account_id in sorted({row["account_id"] for row in rows}):
        while await close.book(connection, project, account_id, at):
            pass
    rows = await bookings.rests(connection, project_id, point_ids)
    if not rows:
        return
    rounding_id = await ledger.house_account(connection, project_id, AccountKind.ROUNDING)
    locked = await ledger.lock_accounts(
        connection, project_id, {one for row in rows for one in _purses(row)}
    )
    left_minor = {one: row["balance_minor"] for one, row in locked.items()}
    transfers: list[NewTransfer] = []
    size_nano = nano_per_minor(exponent)
    for row in rows:
        draw_ids = _purses(row)
        due_minor = round_minor(Nano(row["accrued_nano"]), exponent)
        parts = draw(due_minor, [left_minor[one] for one in draw_ids])
        for one, part in zip(draw_ids, parts, strict=True):
            left_minor[one] -= part
            transfers += _rounding(one, rounding_id, part, row, due_minor * size_nano)
    await ledger.post(connection, project_id, transfers, None, at)
    rests_nano = {row["point_id"]: row["accrued_nano"] for row in rows}
    await bookings.take_rests(
        connection, project_id, rests_nano,
        {
            point_id: rest_nano - round_minor(Nano(rest_nano), exponent) * size_nano
            for point_id, rest_nano in rests_nano.items()
        },
    )  # fmt: skip


def _purses(row: Any) -> list[int]:
    return [one for one in (row["account_id"], row["common_account_id"]) if one is not None]


def _rounding(
    purse_id: int, house_id: int, part_minor: int, row: Any, due_nano: int
) -> list[NewTransfer]:
    """The transfer of one part; a negative one (a correction) goes back the other way.

    It has the number of the booking it stands for, and what rounding left or added as its rest.
    """
    if part_minor == 0:
        return []
    sides = (purse_id, house_id) if part_minor > 0 else (house_id, purse_id)
    new = NewTransfer(*sides, Minor(abs(part_minor)), TransferKind.ROUNDING, row["point_id"])
    rest_nano = row["accrued_nano"] - due_nano
    return [replace(new, booking=row["booking"], rest_nano=rest_nano)]
