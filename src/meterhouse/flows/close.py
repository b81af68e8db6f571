"""River 3, its first part: accruals become transfers, daily and whenever money moves.

Owns the booking of whole coins out of accruals; the remainder stays, so that booked + accrued =
rated holds at every instant.
"""

from datetime import datetime
from typing import Any, Final

import numpy as np

from meterhouse.ledger.book import book_accruals
from meterhouse.model import AccountKind
from meterhouse.store import catalog, ledger, monitor, readings
from meterhouse.store.columns import distinct, find
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import Bookings
from meterhouse.units import nano_per_minor

CHUNK: Final = 25_000


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
    """Book the accruals of one account's points, or of up to `CHUNK` points, inside a flow.

    The caller holds the project's lock. Answers how many transfers were written.
    """
    project_id, exponent = project["id"], project["currency_exponent"]
    size_nano = nano_per_minor(exponent)
    due = await ledger.accruals_to_book(connection, project_id, account_id, size_nano, CHUNK)
    if not len(due["point_id"]):
        return 0
    revenue_id = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
    own_id, common_id = due["account_id"], due["common_account_id"]
    ids = distinct(np.concatenate([own_id, common_id]))
    known = await ledger.balances(connection, project_id, ids[ids > 0])
    own, _ = find(known["account_id"], own_id)
    common, has = find(known["account_id"], common_id)
    booked = book_accruals(
        due["accrued_nano"], own, np.where(has, common, -1), known["balance_minor"], exponent
    )
    rows = Bookings(
        due["point_id"], due["booking"], own_id, booked.own_minor, common_id, booked.common_minor,
        due["accrued_nano"] - booked.rest_nano, booked.rest_nano,
    )  # fmt: skip
    return await ledger.post_bookings(connection, project_id, revenue_id, rows, at)
