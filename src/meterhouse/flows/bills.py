"""Period bills (账期账单): what is known only when a billing period has ended is charged then.

Owns when a stretch of use is billed, and that the difference between its bill and what was charged
while energy flowed reaches whoever used it. A bill is a function of the charges in force, the
tariffs of the time and who paid, and of nothing else; so it does not matter in what order any of
them became known: what changes is billed again from there on, and the difference is posted.

Only measured energy is billed: an estimate ends with the next reading, and the bill waits for it.
A bill decides nothing: what becomes owing is seen by the next reading, with every notice and guard
that any debt has.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np

from meterhouse.errors import NotFound
from meterhouse.flows import past
from meterhouse.flows.payers import time_at
from meterhouse.flows.prices import History, Schemes, Tariffs, named, run_of
from meterhouse.model import Keeper, Quality
from meterhouse.rating.bill import Bill, Billed, Household, Position, bill, bill_of
from meterhouse.rating.explained import Line, explain_interval
from meterhouse.rating.live import is_billed
from meterhouse.rating.stretches import (
    Charged,
    Span,
    Stretch,
    for_persons,
    highest_w,
    spans,
    stretches,
)
from meterhouse.rating.tariff import Scheme, parse
from meterhouse.store import bills, catalog, monitor, payers, readings, replays
from meterhouse.store.bills import NewBill
from meterhouse.store.db import Connection, Database
from meterhouse.units import from_us, nano_per_minor, to_us
from meterhouse.words import N_

POINTS_AT_ONCE: Final = 50
AHEAD_US: Final = 32 * 86_400_000_000
"""No billing period is longer."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a point's bills follow from, besides its charges."""

    project: Any
    tariffs: Tariffs
    point_id: int
    history: History
    schemes: Schemes
    billed: Mapping[int, Scheme]
    booking: int
    edition: int

    @property
    def exponent(self) -> int:
        """Of the project's currency."""
        found: int = self.project["currency_exponent"]
        return found


async def tend(db: Database, tariffs: Tariffs, project_id: int, at: datetime) -> int:
    """Bill every point that has something to bill; answers how many."""
    count, after_id = 0, 0
    while True:
        async with db.transaction([project_id]) as connection:
            tariff_ids = await bills.billed_tariffs(connection, project_id)
            if not tariff_ids:
                return count
            due = await bills.waiting(connection, project_id, tariff_ids, after_id, POINTS_AT_ONCE)
            if not due:
                return count
            meter_ids = np.array([row["meter_id"] for row in due], dtype=np.int64)
            await monitor.lock_meters(connection, project_id, meter_ids)
            project = await catalog.get_project(connection, project_id)
            for row in due:
                await settle(connection, tariffs, project, row["point_id"], at)
            await readings.bump(connection, project_id)
        count += len(due)
        after_id = due[-1]["point_id"]


async def close(
    connection: Connection, tariffs: Tariffs, project: Any, point_ids: Sequence[int], at: datetime
) -> None:
    """Bill what the payers of points have used up to now; they pay no longer.

    Works inside its caller's transaction, after the last reading and before the last coin.
    """
    tariff_ids = await bills.billed_tariffs(connection, project["id"])
    if not tariff_ids:
        return
    had = await catalog.tariffs_before(connection, project["id"], list(point_ids))
    for point_id in sorted(had):
        if named([had[point_id]]) & set(tariff_ids):
            await settle(connection, tariffs, project, point_id, at, is_last=True)


async def settle(
    connection: Connection, tariffs: Tariffs, project: Any, point_id: int, at: datetime,
    *, is_last: bool = False,
) -> int:  # fmt: skip
    """Bill a point anew from where anything is new; answers what that adds, in Nano.

    Args:
        connection: the caller's transaction, in which the point's meter is locked.
        tariffs: the cache of this process.
        project: the project's row.
        point_id: which.
        at: the present instant.
        is_last: the present payer ceases to pay.
    """
    project_id = project["id"]
    stand = await bills.stand(connection, project_id, point_id)
    if stand is None:
        return 0
    known = await _known(connection, tariffs, project, point_id, stand["booking"])
    if known is None or stand["good_at"] <= known.history[0][0]:
        return 0
    begun_us, good_us = max(to_us(known.history[0][0]), 1), to_us(stand["good_at"])
    known_until = (stand["billed_until"], stand["touched_from"])
    first_us = min((to_us(one) for one in known_until if one is not None), default=begun_us)
    # The span that the first instant lies in is seen whole.
    every = spans(
        _tariffs(known.history), known.billed, project["timezone"],
        max(begun_us, first_us - AHEAD_US), good_us + AHEAD_US,
    )  # fmt: skip
    mine = [span for span in every if span.to_us > first_us]
    cuts = await _stretches(connection, known, mine)
    payer_us = None if is_last else to_us(stand["payer_at"])
    cuts = [
        one for one in cuts
        if one.to_us >= one.span.to_us or one.payer_us != payer_us
    ]  # fmt: skip
    rows = await bills.beginning(connection, project_id, point_id, from_us(mine[0].from_us))
    earlier = [row for row in rows if row["from_at"] < from_us(mine[0].from_us)]
    stood = {row["from_at"]: row for row in rows[len(earlier) :]}
    before = _ended(earlier[0]) if earlier else None
    new = await _bills(known, cuts, before)
    added_nano = await _post(connection, known, stand, stood, new, at)
    ended_us = [span.to_us for span in every if span.to_us <= good_us]
    until_us = max([every[0].from_us, *ended_us, *(one.to_us for one in cuts)])
    following = (span.to_us for span in every if span.to_us > until_us and span.tariff_id)
    next_us = next(following, every[-1].to_us)
    await bills.reach(connection, project_id, point_id, from_us(until_us), from_us(next_us))
    return added_nano


def _tariffs(history: History) -> list[tuple[int, int | None]]:
    """Since when a point had which tariff; that there are other persons ends no stretch."""
    found: list[tuple[int, int | None]] = []
    for since, tariff_id, _ in history:
        if not found or found[-1][1] != tariff_id:
            found.append((to_us(since), tariff_id))
    return found


async def _known(
    connection: Connection, tariffs: Tariffs, project: Any, point_id: int, booking: int
) -> _Known | None:
    """The tariffs of a point; None where it never had one."""
    before = await catalog.tariffs_before(connection, project["id"], [point_id])
    if not before:
        return None
    schemes = await tariffs.load(connection, project["id"], sorted(named(before.values())))
    billed = {
        tariff_id: whole
        for tariff_id, (text, _) in schemes.items()
        if is_billed(whole := _whole(text, before[point_id]))
    }
    edition = await catalog.edition(connection, project["id"])
    return _Known(project, tariffs, point_id, before[point_id], schemes, billed, booking, edition)


def _whole(text: str, history: History) -> Scheme:
    """A scheme with all that it charges a household, of the text that tells its edition."""
    return for_persons(_parsed(text), _counts(history))


def _counts(history: History) -> list[tuple[int, int]]:
    """Since when there were how many persons."""
    return [(to_us(since), count) for since, _, count in history]


@lru_cache(maxsize=64)
def _parsed(text: str) -> Scheme:
    return parse(json.loads(text))


_CHARGED: Final = (
    "started_at", "ended_at", "energy_milli", "amount_nano", "account_id", "payer_at",
    "block_milli", "block_period_at",
)  # fmt: skip


async def _stretches(connection: Connection, known: _Known, mine: Sequence[Span]) -> list[Stretch]:
    """What each account used in each span, as the charges in force say."""
    if not mine:
        return []
    charges = await replays.charges(
        connection, known.project["id"], replays.CHARGE, np.array([known.point_id], np.int64),
        mine[0].from_us, mine[-1].to_us,
    )  # fmt: skip
    measured = charges["quality"] != Quality.ESTIMATED
    charges = {name: column[measured] for name, column in charges.items()}
    times = (await payers.history(connection, known.project["id"], [known.point_id]))[
        known.point_id
    ]
    whose = [time_at(times, at_us) for at_us in charges["started_at"].tolist()]
    charges["payer_at"] = np.array([time.since_us for time in whose], np.int64)
    # What another keeper was owed is nobody's bill.
    kept = np.array([time.is_kept for time in whose], np.bool_)
    order = np.argsort(charges["started_at"], kind="stable")
    order = order[kept[order]]
    charged = Charged(*(charges[name][order] for name in _CHARGED))

    def lines_of(place: int) -> Sequence[Line]:
        start_us, end_us = int(charged.start_us[place]), int(charged.end_us[place])
        run = run_of(known.history, known.schemes, start_us, end_us)
        if run is None:
            return ()
        timeline = known.tariffs.lay_out(
            known.schemes, run, known.project["timezone"], start_us, end_us
        )
        return explain_interval(
            timeline, start_us, end_us, int(charged.energy_milli[place]),
            block_milli=int(charged.block_milli[place]),
            block_period_us=int(charged.block_period_us[place]),
        )  # fmt: skip

    return stretches(charged, mine, lines_of)


async def _bills(known: _Known, cuts: Sequence[Stretch], before: "_Ended | None") -> list[NewBill]:
    """The bills of stretches, each going on where the one before it ended."""
    made = []
    for one in cuts:
        scheme = known.billed[one.span.tariff_id]
        opening = _opening(one, scheme, before)
        billed = await asyncio.to_thread(
            bill, scheme, known.project["timezone"], one.load,
            Household(highest_w=highest_w(one.load)), opening, known.exponent,
        )  # fmt: skip
        made.append(_new(known, one, billed))
        before = _Ended(one.to_us, one.payer_us, one.span.tariff_id, billed.after)
    return made


@dataclass(frozen=True, slots=True)
class _Ended:
    """Where a bill ended, and what goes on from there."""

    at_us: int
    payer_us: int
    tariff_id: int
    after: Position


def _ended(row: Any) -> _Ended:
    after = Position(row["after_milli"], to_us(row["after_period_at"]), row["after_kept_milli"])
    return _Ended(to_us(row["to_at"]), to_us(row["payer_at"]), row["tariff_id"], after)


def _opening(one: Stretch, scheme: Scheme, before: _Ended | None) -> Position:
    """Where blocks and kept energy stand when a stretch begins.

    Blocks are the point's and go on; kept energy is the household's, under the tariff that gave it.
    Where nothing was billed just before, they stand as they ran along, without free energy, which
    fills no block of a bill.
    """
    if before is None or before.at_us != one.from_us:
        free = max(
            (version.charges.allowance.energy_milli
             for version in scheme.versions if version.charges.allowance), default=0,
        )  # fmt: skip
        return Position(max(one.block_milli - free, 0), one.block_period_us, 0)
    same = (before.payer_us, before.tariff_id) == (one.payer_us, one.span.tariff_id)
    return before.after if same else replace(before.after, kept_milli=0)


def _new(known: _Known, one: Stretch, billed: Billed) -> NewBill:
    (said,) = billed.bills
    return NewBill(
        from_at=from_us(one.from_us),
        version=1,
        to_at=from_us(one.to_us),
        period_from_at=from_us(one.span.period_from_us),
        period_to_at=from_us(one.span.period_to_us),
        account_id=one.account_id,
        payer_at=from_us(one.payer_us),
        tariff_id=one.span.tariff_id,
        energy_milli=int(one.load.energy_milli.sum()),
        charged_nano=one.charged_nano,
        total_minor=said.total_minor,
        amount_nano=said.total_minor * nano_per_minor(known.exponent) - one.charged_nano,
        after_milli=billed.after.block_milli,
        after_period_at=from_us(billed.after.block_period_us),
        after_kept_milli=billed.after.kept_milli or 0,
        said=asdict(said) | {"counts": _counts(known.history)},
        booking=known.booking,
        edition=known.edition,
    )


_COMPARED: Final = (
    "to_at", "period_from_at", "period_to_at", "account_id", "payer_at", "tariff_id",
    "energy_milli", "charged_nano", "total_minor", "amount_nano", "after_milli",
    "after_period_at", "after_kept_milli",
)  # fmt: skip


async def _post(
    connection: Connection, known: _Known, stand: Any, stood: Mapping[datetime, Any],
    made: Sequence[NewBill], at: datetime,
) -> int:  # fmt: skip
    """Keep what differs from the bills that stood, and post the difference; answers it, in Nano."""
    changed: list[NewBill] = []
    added: dict[past.Owner, int] = defaultdict(int)
    for one in made:
        old = stood.get(one.from_at)
        if old is not None and all(getattr(one, name) == old[name] for name in _COMPARED):
            continue
        changed.append(one if old is None else replace(one, version=old["version"] + 1))
        added[to_us(one.payer_at), one.account_id] += one.amount_nano
        if old is not None and (old["account_id"], old["payer_at"]) != (
            one.account_id, one.payer_at
        ):  # fmt: skip
            # Both are told what changed for them: it is taken back from one, and billed to another.
            changed[-1:] = [_taken_back(old, known), replace(one, version=old["version"] + 2)]
        if old is not None:
            added[to_us(old["payer_at"]), old["account_id"]] -= old["amount_nano"]
    begins = {one.from_at for one in made}
    for from_at, old in stood.items():
        if from_at not in begins and old["from_at"] < old["to_at"]:
            changed.append(_taken_back(old, known))
            added[to_us(old["payer_at"]), old["account_id"]] -= old["amount_nano"]
    if not changed:
        return 0
    return await _reach(connection, known, stand, changed, added, at)


def _taken_back(old: Any, known: _Known) -> NewBill:
    """A further version that bills nothing, from its beginning to its beginning."""
    return NewBill(
        old["from_at"], old["version"] + 1, old["from_at"], old["period_from_at"],
        old["period_to_at"], old["account_id"], old["payer_at"], old["tariff_id"], 0, 0, 0, 0, 0,
        old["after_period_at"], 0, {}, known.booking, known.edition,
    )  # fmt: skip


async def _reach(
    connection: Connection, known: _Known, stand: Any, changed: Sequence[NewBill],
    added: Mapping[past.Owner, int], at: datetime,
) -> int:  # fmt: skip
    """Let differences reach those whose bills changed; answers their sum, in Nano."""
    project_id, point_id = known.project["id"], known.point_id
    is_kept = stand["keeper"] == Keeper.PLATFORM
    difference = await past.divide(
        connection, project_id, point_id, to_us(stand["payer_at"]), added
    )
    number = {(one.since_us, one.account_id): one.booking for one in difference.shares}
    rows = [
        replace(one, booking=number.get((to_us(one.payer_at), one.account_id), one.booking))
        for one in changed
    ]
    await bills.insert(connection, project_id, point_id, rows, at)
    present_nano, whole_nano = difference.present_nano, difference.whole_nano
    await readings.add_accrual(
        connection, project_id, point_id, present_nano if is_kept else 0, whole_nano
    )
    await past.book(connection, known.project, point_id, difference.shares, at, is_kept=is_kept)
    return whole_nano


@dataclass(frozen=True, slots=True)
class Kept:
    """One bill as it was made: its row, the bill itself, and the scheme it was made by."""

    row: Any
    bill: Bill
    scheme: Scheme


async def look(db: Database, tariffs: Tariffs, project_id: int, bill_id: int) -> Kept:
    """One bill, or an earlier version of one. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await bills.get(connection, project_id, bill_id)
        if row is None or row["from_at"] == row["to_at"]:
            raise NotFound(N_("Bill"), bill_id)
        schemes = await tariffs.load(connection, project_id, [row["tariff_id"]], row["edition"])
    return Kept(row, *remade(schemes[row["tariff_id"]][0], row["said"]))


def remade(text: str, said: str) -> tuple[Bill, Scheme]:
    """A bill that was kept, and the scheme it was made by, for the persons known then."""
    fields = json.loads(said)
    counts = [(since_us, count) for since_us, count in fields.pop("counts")]
    return bill_of(fields), for_persons(_parsed(text), counts)
