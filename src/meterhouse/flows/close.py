"""River 3, its first part: accruals become transfers, daily and whenever money moves.

Owns the booking of whole coins out of accruals; the remainder stays, so that booked + accrued =
rated holds at every instant. Whoever books keeps readings of the same meters away: a charge names
the booking that will take it, and would otherwise name the one that just went.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from meterhouse.ledger.book import book_accruals
from meterhouse.model import AccountKind
from meterhouse.store import bookings, catalog, ledger, monitor, readings
from meterhouse.store.bookings import Bookings
from meterhouse.store.columns import distinct, find
from meterhouse.store.db import Connection, Database
from meterhouse.store.points import Columns, Ints
from meterhouse.units import nano_per_minor

CHUNK: Final = 20_000
LANES: Final = 2
"""So many chunks are booked side by side: two cores of the database work on them."""


async def book_day(db: Database, project_id: int, at: datetime) -> int:
    """Book every accrual of a project; answers how many transfers were written.

    A large project goes in chunks, a transaction each, so that payments and readings pass between
    them; booking is the same in one piece or in many. What one household draws on is never in two.
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        size_nano = nano_per_minor(project["currency_exponent"])
        due = await bookings.accruals_to_book(connection, project_id, size_nano)
    chunks = _chunks(due)
    done = await asyncio.gather(
        *(_book_lane(db, project, lane, at) for lane in _lanes(chunks)), return_exceptions=True
    )
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return sum(one for one in done if isinstance(one, int))


def _chunks(due: Columns) -> list[Ints]:
    """The due points cut into pieces, none of them between two that share an account."""
    own, common = due["account_id"], due["common_account_id"]
    household = np.where(common > 0, common, own)
    starts = np.flatnonzero(np.diff(household, prepend=-1))
    wanted = np.arange(CHUNK, len(household), CHUNK)
    cuts = distinct(starts[np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)])
    return [one for one in np.split(due["point_id"], cuts) if len(one)]


def _lanes(chunks: Sequence[Ints]) -> list[Sequence[Ints]]:
    """Neighbours in one lane, so that two lanes seldom want the same meters."""
    size = -(-len(chunks) // LANES)
    return [chunks[start : start + size] for start in range(0, len(chunks), size or 1)]


async def _book_lane(db: Database, project: Any, lane: Sequence[Ints], at: datetime) -> int:
    count = 0
    for point_ids in lane:
        async with db.transaction([project["id"]]) as connection:
            count += await _book_chunk(connection, project, point_ids, at)
            await readings.bump(connection, project["id"])
    return count


async def _book_chunk(connection: Connection, project: Any, point_ids: Ints, at: datetime) -> int:
    """Book points while their meters' readings and all payments wait."""
    size_nano = nano_per_minor(project["currency_exponent"])
    meter_ids = await bookings.meters_of(connection, project["id"], point_ids)
    await monitor.lock_meters(connection, project["id"], meter_ids)
    due = await bookings.accruals_to_book(
        connection, project["id"], size_nano, bookings.of_points(point_ids)
    )
    # A range holds points that nobody asked for, and a meter may have been exchanged meanwhile.
    wanted = np.isin(due["point_id"], point_ids) & np.isin(due["meter_id"], meter_ids)
    due = {name: column[wanted] for name, column in due.items()}
    return await _book(connection, project, due, at)


async def book(connection: Connection, project: Any, account_id: int, at: datetime) -> int:
    """Book the accruals of the points that draw an account first, inside a flow.

    The caller holds the project's lock. Answers how many transfers were written.
    """
    size_nano = nano_per_minor(project["currency_exponent"])
    due = await bookings.accruals_to_book(
        connection, project["id"], size_nano, bookings.of_account(account_id)
    )
    return await _book(connection, project, due, at)


async def _book(connection: Connection, project: Any, due: Columns, at: datetime) -> int:
    if not len(due["point_id"]):
        return 0
    project_id = project["id"]
    revenue_id = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
    own_id, common_id = due["account_id"], due["common_account_id"]
    ids = distinct(np.concatenate([own_id, common_id]))
    known = await bookings.balances(connection, project_id, ids[ids > 0])
    own, _ = find(known["account_id"], own_id)
    common, has = find(known["account_id"], common_id)
    booked = book_accruals(
        due["accrued_nano"], own, np.where(has, common, -1), known["balance_minor"],
        project["currency_exponent"],
    )  # fmt: skip
    rows = Bookings(
        due["point_id"], due["booking"], own_id, booked.own_minor, common_id, booked.common_minor,
        due["accrued_nano"] - booked.rest_nano, booked.rest_nano,
    )  # fmt: skip
    return await bookings.post_bookings(connection, project_id, revenue_id, rows, at)
