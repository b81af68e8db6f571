"""A cashier's shift (班次): opened with a float, handed over or closed with the cash counted.

Owns what is expected in the drawer: float + cash in − cash out. A payment belongs to the shift that
its cashier has open; what was closed is never opened again. Must never know how it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from meterhouse.control import policy as policies
from meterhouse.errors import MeterhouseError, NotFound, OutOfRange
from meterhouse.flows import access
from meterhouse.flows.access import Verb
from meterhouse.flows.choice import ChoiceGone
from meterhouse.flows.orders import Direction, direction_of
from meterhouse.flows.refund import PayoutNeedsSecond
from meterhouse.flows.sale import CASH
from meterhouse.store import catalog, monitor, shifts
from meterhouse.store.db import Connection, Database
from meterhouse.words import N_

FLOAT_MINOR_MAX: Final = 10**9


class ShiftOpen(MeterhouseError):
    """You have a shift open already; close it or hand it over first."""

    code = "shift_open"
    http_status = 409


class ShiftClosed(MeterhouseError):
    """This shift is closed."""

    code = "shift_closed"
    http_status = 409


class ShiftOfAnother(MeterhouseError):
    """This is somebody else's shift; they close it or hand it over, or finance closes it."""

    code = "shift_of_another"
    http_status = 409


class ShiftMoved(MeterhouseError):
    """Money has moved in this shift since its cash was counted; count again."""

    code = "shift_moved"
    http_status = 409


class ShiftOwn(MeterhouseError):
    """This is your own shift; count the drawer and close it as your own."""

    code = "shift_own"
    http_status = 409


class ColleagueBusy(MeterhouseError):
    """Your colleague has a shift open already."""

    code = "colleague_busy"
    http_status = 409
    field = "to"


@dataclass(frozen=True, slots=True)
class ChannelSum:
    """What came in and went out over one channel."""

    channel: str
    in_count: int
    in_minor: int
    out_count: int
    out_minor: int


@dataclass(frozen=True, slots=True)
class ShiftNow:
    """A shift with what was taken in it; `expected_minor` is what the drawer should hold."""

    row: Any
    channels: Sequence[ChannelSum]
    expected_minor: int


@dataclass(frozen=True, slots=True)
class Closed:
    """How a shift ended; `next_id` is the colleague's, where it was handed over."""

    expected_minor: int
    difference_minor: int
    next_id: int | None = None


async def open_shift_of(
    connection: Connection, project_id: int, person_id: int | None
) -> int | None:
    """The shift that a person's payments belong to now."""
    return None if person_id is None else await shifts.open_of(connection, project_id, person_id)


async def mine(db: Database, project_id: int, person_id: int) -> int | None:
    """The open shift of a person."""
    async with db.transaction([project_id]) as connection:
        return await shifts.open_of(connection, project_id, person_id)


async def open_one(
    db: Database, project_id: int, cashier_id: int, float_minor: int, at: datetime
) -> int:
    """Open a shift with so much change in the drawer.

    Raises:
        OutOfRange: the float.
        ShiftOpen: the cashier has one open.
    """
    _check("float_minor", float_minor)
    async with db.transaction([project_id]) as connection:
        made = await shifts.insert(connection, project_id, cashier_id, float_minor, at)
        if made is None:
            raise ShiftOpen
        return made


async def look(db: Database, project_id: int, shift_id: int) -> ShiftNow:
    """A shift and what was taken in it. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return await _look(connection, project_id, shift_id)


async def close(
    db: Database, project_id: int, shift_id: int, cashier_id: int, counted_minor: int, note: str,
    at: datetime, to_login: str = "", second_id: int | None = None, seen_minor: int | None = None,
) -> Closed:  # fmt: skip
    """Close one's own shift with the cash counted, or hand it over to a colleague.

    Handing over makes somebody answer for money, so above the project's limit another than the
    cashier has to have agreed.

    Args:
        counted_minor: what lies in the drawer; on handing over it is the colleague's float.
        to_login: whose login takes over; empty: nobody.
        second_id: who has agreed to it.
        seen_minor: what was expected in the drawer when it was counted; None: it is counted now.

    Raises:
        NotFound, ShiftOfAnother, ShiftClosed: it is no open shift of this cashier.
        ChoiceGone: nobody of that login keeps a shift here, or it is oneself.
        ColleagueBusy: the colleague has a shift open.
        PayoutNeedsSecond: so much is handed over by two people alone.
        ShiftMoved: something was taken or paid out since it was counted.
    """
    _check("counted_minor", counted_minor)
    to_id = await _colleague(db, project_id, cashier_id, to_login) if to_login else None
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        # A sale holds the same lock, so none is added to the shift while it is counted.
        now = await _look(connection, project_id, shift_id)
        if now.row["cashier_id"] != cashier_id:
            raise ShiftOfAnother
        if seen_minor is not None and seen_minor != now.expected_minor:
            raise ShiftMoved
        if to_id is not None and second_id in (None, cashier_id):
            await _check_alone(connection, project_id, counted_minor)
        if not await shifts.close(
            connection, project_id, shift_id, now.expected_minor, counted_minor, to_id, note, at
        ):
            raise ShiftClosed
        next_id = None
        if to_id is not None:
            next_id = await shifts.insert(connection, project_id, to_id, counted_minor, at)
            if next_id is None:
                raise ColleagueBusy
        return Closed(now.expected_minor, counted_minor - now.expected_minor, next_id)


async def close_for(
    db: Database,
    project_id: int,
    shift_id: int,
    actor_id: int,
    counted_minor: int,
    note: str,
    at: datetime,
) -> Closed:
    """Close the shift of somebody who does not come back, with what lies in the drawer.

    Raises:
        NotFound, ShiftClosed: it is no open shift.
        ShiftOwn: it is one's own, which `close` closes.
    """
    _check("counted_minor", counted_minor)
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        now = await _look(connection, project_id, shift_id)
        if now.row["cashier_id"] == actor_id:
            raise ShiftOwn
        if not await shifts.close(
            connection, project_id, shift_id, now.expected_minor, counted_minor, None, note, at
        ):
            raise ShiftClosed
        return Closed(now.expected_minor, counted_minor - now.expected_minor)


async def _check_alone(connection: Connection, project_id: int, counted_minor: int) -> None:
    project = await catalog.get_project(connection, project_id)
    if policies.needs_second(policies.read(project["policy"]), counted_minor):
        error = PayoutNeedsSecond()
        error.field = ""
        raise error


async def _look(connection: Connection, project_id: int, shift_id: int) -> ShiftNow:
    row = await shifts.get(connection, project_id, shift_id)
    if row is None:
        raise NotFound(N_("Shift"), shift_id)
    channels = _sums(await shifts.taken(connection, project_id, shift_id))
    cash_minor = sum(one.in_minor - one.out_minor for one in channels if one.channel == CASH)
    return ShiftNow(row, channels, row["float_minor"] + cash_minor)


def _sums(rows: Sequence[Any]) -> list[ChannelSum]:
    """What came in and went out, by channel, cash first."""
    found = []
    for channel in sorted({row["channel"] for row in rows}, key=lambda name: (name != CASH, name)):
        mine = [r for r in rows if r["channel"] == channel]
        ins, outs = (
            [r for r in mine if direction_of(r["kind"], channel) is way]
            for way in (Direction.IN, Direction.OUT)
        )
        if ins or outs:
            found.append(
                ChannelSum(
                    channel, sum(r["count"] for r in ins), sum(r["amount_minor"] for r in ins),
                    sum(r["count"] for r in outs), sum(r["amount_minor"] for r in outs),
                )
            )  # fmt: skip
    return found


async def _colleague(db: Database, project_id: int, cashier_id: int, login: str) -> int:
    gone = ChoiceGone()
    gone.field = "to"
    try:
        person_id = await access.id_of_login(db, login)
    except NotFound as error:
        raise gone from error
    known = await access.known_by_id(db, person_id)
    reaches = known.reaches if known else ()
    may = any(
        one.project_id == project_id and Verb.SHIFT_OWN in one.verbs_in(None) for one in reaches
    )
    if not may or person_id == cashier_id:
        raise gone
    return person_id


def _check(what: str, amount_minor: int) -> None:
    if not 0 <= amount_minor <= FLOAT_MINOR_MAX:
        raise OutOfRange(what, amount_minor, 0, FLOAT_MINOR_MAX)
