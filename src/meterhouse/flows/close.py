"""River 3, its first part: accruals become transfers, daily and whenever money moves.

Owns the booking of whole coins out of accruals; the remainder stays, so that booked + accrued =
rated holds at every instant.
"""

from datetime import datetime
from typing import Any

from meterhouse.ledger.book import book_accrual
from meterhouse.model import AccountKind
from meterhouse.store import catalog, ledger, monitor, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor, Nano, nano_per_minor

CHUNK = 5_000


async def book_day(db: Database, project_id: int, at: datetime) -> int:
    """Book every accrual of a project; answers how many transfers were written.

    A large project goes in chunks, a transaction each, so that payments and readings pass between
    them; booking is the same in one piece or in many.
    """
    count = 0
    while True:
        async with db.transaction([project_id]) as connection:
            await monitor.lock_project(connection, project_id)
            project = await catalog.get_project(connection, project_id)
            written = await book(connection, project, None, at)
            await readings.bump(connection, project_id)
        count += written
        if not written:
            return count


async def book(connection: Connection, project: Any, account_id: int | None, at: datetime) -> int:
    """Book the accruals of one account's points, or of up to `CHUNK` points, inside a flow."""
    project_id, exponent = project["id"], project["currency_exponent"]
    due = await ledger.accruals_to_book(
        connection, project_id, account_id, nano_per_minor(exponent), CHUNK
    )
    if not due:
        return 0
    ids = {row["account_id"] for row in due} | {
        row["common_account_id"] for row in due if row["common_account_id"] is not None
    }
    revenue_id = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
    rows = await ledger.lock_accounts(connection, project_id, ids)
    left_minor = {one: row["balance_minor"] for one, row in rows.items()}
    transfers: list[NewTransfer] = []
    taken: list[tuple[int, int]] = []
    for row in due:
        draw_ids = [one for one in (row["account_id"], row["common_account_id"]) if one is not None]
        parts, rest_nano = book_accrual(
            Nano(row["accrued_nano"]), [left_minor[one] for one in draw_ids], exponent
        )
        for one, part in zip(draw_ids, parts, strict=True):
            left_minor[one] -= part
            transfers += _booking(one, revenue_id, part, row["point_id"])
        taken.append((row["point_id"], row["accrued_nano"] - rest_nano))
    await ledger.post(connection, project_id, transfers, None, at)
    await ledger.take_accruals(
        connection, project_id, [one for one, _ in taken], [nano for _, nano in taken]
    )
    return len(transfers)


def _booking(purse_id: int, revenue_id: int, part_minor: int, point_id: int) -> list[NewTransfer]:
    """The transfer of one part; a negative one (a correction) goes back the other way."""
    if part_minor == 0:
        return []
    if part_minor > 0:
        return [NewTransfer(purse_id, revenue_id, Minor(part_minor), "booking", point_id)]
    return [NewTransfer(revenue_id, purse_id, Minor(-part_minor), "booking", point_id)]
