"""Replay (重算): charged time rated again under any scheme, beside what was charged.

Owns how a selection of points is rated over a span without touching the books, and what is told of
it. Charges come as columns, a chunk of points at a time, so that a year of a large project needs
little memory. A charge counts whole where it ends, on either side of the comparison: its amount
cannot be divided by its energy, for bands, blocks and standing charges are not. Blocks begin where
the period begins in which the first charge does: energy from there on is rated, and only what ends
in the span counts. What lies before the scheme's first version is rated by that one, for a price
may be tried out on a time in which it was not yet thought of.

A replay *of a correction* is another thing: each charge is rated by the tariff it was rated by,
one of them corrected, or by the one its point should have had, as the correction itself will do it
(`reprice`); nothing else is its preview.

Either is of intervals alone: what is known only when a billing period has ended is in no figure of
it, neither of what was charged nor of what would be, and `get` says where that matters.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import backdate, correct
from meterhouse.flows.backdate import Selection
from meterhouse.flows.prices import History, Laid, Tariffs, alone, is_by_meter, runs_of
from meterhouse.flows.reprice import Flags, band_energy, rate_anew
from meterhouse.flows.task import Claimed, Progress
from meterhouse.flows.task import Tell as TellTask
from meterhouse.rating import runs
from meterhouse.rating.kernel import Intervals, RatingOutcome, rate_intervals
from meterhouse.rating.live import is_billed
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import pack
from meterhouse.store import bills, catalog, corrections, replays
from meterhouse.store.columns import find
from meterhouse.store.db import Connection, Database
from meterhouse.store.points import Columns, Ints
from meterhouse.units import nano_per_minor, to_us
from meterhouse.words import N_

CHUNK_ROWS: Final = 500_000
LANES: Final = 2
"""So many chunks are rated side by side: while one comes out, another is rated."""
POINTS_MAX: Final = 100_000
SPAN_DAYS_MAX: Final = 1_100
# Where a difference lies, in percent of what was charged: up to the first edge, and so on.
EDGES_PERCENT: Final = (-50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50)
_DAWN: Final = datetime(1970, 1, 2, tzinfo=UTC)
_TRIED: Final = 1
"""The one tariff there is where a scheme is tried out."""
ROW: Final = ("point_id", "account_id", "month")
_SUMMED: Final = ("interval_count", "energy_milli", "charged_nano", "would_nano")

Tell: TypeAlias = Callable[[int, int], Awaitable[None]]
"""Hears how many points are done, of how many."""


class ReplaySpanUnusable(BadInput):
    """A span ends after it begins and not in the future, and is at most {days} days long."""

    code = "replay_span_unusable"
    field = "until"

    def __init__(self) -> None:
        super().__init__(days=SPAN_DAYS_MAX)


class NothingToReplay(MeterhouseError):
    """No point of this commodity is among those chosen."""

    code = "nothing_to_replay"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be rated again.

    Attributes:
        point_ids: ascending.
        since, until: the span.
        laid: the scheme.
        corrects: the tariff that `laid` is the corrected scheme of; None: every charge is rated by
            `laid`, whatever it was rated by.
        is_given: whether that tariff shall have been that of all these points since `since`.
    """

    point_ids: Ints
    since: datetime
    until: datetime
    laid: Laid
    corrects: int | None = None
    is_given: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a replay found.

    Attributes:
        rows: a row for each household of a point and month, by point: `ROW` and `_SUMMED`; month is
            a place in `months`.
        months: the months of the span as YYYY-MM, by the project's calendar.
        unrated_count: intervals that the scheme could not price; they count as charged.
    """

    rows: Columns
    months: Sequence[str]
    unrated_count: int


async def replay(
    db: Database, tariffs: Tariffs, project_id: int, question: Question, tell: Tell
) -> Found:
    """Rate a selection again; nothing is written.

    Args:
        db: the database.
        tariffs: the cache of this process.
        project_id: the project.
        question: what is asked.
        tell: hears how many points are done, of how many.
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
    months, edges_us = _months(question, ZoneInfo(project["timezone"]))
    chunks = _chunks(question, project["reading_interval_s"])
    found: dict[int, tuple[Columns, int]] = {}
    waiting = iter(enumerate(chunks))
    done = 0

    async def lane() -> None:
        nonlocal done
        for place, point_ids in waiting:
            async with db.transaction([project_id]) as connection:
                charges, would_nano, unrated = await _rated(
                    connection, tariffs, project, question, point_ids
                )
            rows = _added_up(question, charges, would_nano, edges_us)
            found[place] = rows, unrated
            done += len(point_ids)
            await tell(done, len(question.point_ids))

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())
    parts = [found[place] for place in range(len(chunks))]
    names = (*ROW, *_SUMMED)
    rows = {name: np.concatenate([part[name] for part, _ in parts]) for name in names}
    return Found(rows, months, sum(unrated for _, unrated in parts))


def _chunks(question: Question, interval_s: int) -> list[Ints]:
    """The points in pieces of about `CHUNK_ROWS` charges."""
    span_s = max((question.until - question.since).total_seconds(), 1)
    count = max(int(CHUNK_ROWS // (span_s // interval_s + 1)), 1)
    return [
        question.point_ids[start : start + count]
        for start in range(0, len(question.point_ids), count)
    ]


def _months(question: Question, zone: ZoneInfo) -> tuple[list[str], Ints]:
    """The months of a span by the wall clock, and where each begins, in µs."""
    first = question.since.astimezone(zone).replace(day=1, hour=0, minute=0, second=0,
                                                    microsecond=0, tzinfo=None)  # fmt: skip
    months, edges_us = [], []
    while (at := first.replace(tzinfo=zone)) < question.until:
        months.append(f"{first:%Y-%m}")
        edges_us.append(to_us(at))
        first = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return months, np.array(edges_us, dtype=np.int64)


async def _rated(
    connection: Connection, tariffs: Tariffs, project: Any, question: Question, point_ids: Ints
) -> tuple[Columns, Ints, int]:
    """The charges of a chunk, what each would cost, and how many that count cannot be priced."""
    if question.corrects is not None:
        schemes = {question.corrects: question.laid}
        given = (question.since, question.corrects) if question.is_given else None
        anew = await rate_anew(
            connection, tariffs, project, point_ids, to_us(question.since), schemes, given
        )
        concerned = anew.row[anew.priced_by(question.corrects)]
        mine = np.isin(anew.row, concerned)
        charges = {name: column[mine] for name, column in anew.charges.items()}
        unrated = int((anew.rated.outcome[mine] == RatingOutcome.NO_BANDS).sum())
        return charges, anew.rated.amount_nano[mine], unrated
    laid = _throughout(question.laid)
    charges = await _charges(connection, tariffs, project, question, laid, point_ids)
    count = len(charges["point_id"])
    if not count:
        return charges, np.zeros(0, dtype=np.int64), 0
    every = np.full(count, is_by_meter(laid[1]))
    bands, lacking = await band_energy(connection, project["id"], charges, every)
    before = dict[int, History]()
    if laid[1].counts_persons:
        before = await _households(connection, project["id"], point_ids)
    start_us, end_us = charges["started_at"], charges["ended_at"]
    plans, plan = runs_of(
        charges["point_id"], start_us, end_us, np.full(count, _TRIED), before, {_TRIED: laid}
    )
    span_us = int(start_us.min()), int(end_us.max())
    timelines = [
        tariffs.lay_out({_TRIED: laid}, one, project["timezone"], *span_us) for one in plans
    ]
    row, _ = find(point_ids, charges["point_id"])
    intervals = Intervals(row, plan, start_us, end_us, charges["energy_milli"], bands)
    blocks = np.zeros((2, len(point_ids)), dtype=np.int64)
    rated = await asyncio.to_thread(rate_intervals, pack(timelines), intervals, *blocks)
    unrated = lacking | (rated.outcome != RatingOutcome.RATED)
    rated.amount_nano[unrated] = charges["amount_nano"][unrated]
    unrated &= _counts(question, charges)
    return charges, rated.amount_nano, int(unrated.sum())


async def _households(
    connection: Connection, project_id: int, point_ids: Ints
) -> dict[int, History]:
    """Since when points had how many persons, each under the scheme that is tried out."""
    before = await catalog.persons_before(connection, project_id, point_ids.tolist())
    return {
        point_id: [(_DAWN, _TRIED, 1), *((since, _TRIED, persons) for since, persons in history)]
        for point_id, history in before.items()
    }


async def _charges(
    connection: Connection, tariffs: Tariffs, project: Any, question: Question, laid: Laid,
    point_ids: Ints,
) -> Columns:  # fmt: skip
    """The charges that end in a span, and those before them that fill their first one's blocks."""
    since_us, until_us = to_us(question.since), to_us(question.until)
    layout = replays.CHARGE if is_by_meter(laid[1]) else replays.INTERVAL
    # Where the span begins with a period, charges mostly begin a little before it.
    first_us = since_us - 2 * project["reading_interval_s"] * 1_000_000
    while True:
        from_us = _blocks_from(tariffs, laid, project["timezone"], first_us)
        charges = await replays.charges(
            connection, project["id"], layout, point_ids, from_us, until_us
        )
        begun_us = charges["started_at"][charges["ended_at"] > since_us]
        if not len(begun_us) or begun_us.min() >= first_us:
            return charges
        first_us = int(begun_us.min())


def _throughout(laid: Laid) -> Laid:
    """The scheme with its first version in force since ever."""
    text, scheme = laid
    first, *others = scheme.versions
    versions = (replace(first, effective_from=_DAWN), *others)
    return f"since ever {text}", replace(scheme, versions=versions)


def _blocks_from(tariffs: Tariffs, laid: Laid, timezone: str, since_us: int) -> int:
    """From when on energy must be known: where the blocks' period of an instant begins."""
    if not any(version.blocks.limits_milli for version in laid[1].versions):
        return since_us
    timeline = tariffs.lay_out({_TRIED: laid}, alone(_TRIED), timezone, since_us, since_us + 1)
    piece = int(np.searchsorted(timeline.edge_us, since_us, side="right")) - 1
    return min(int(timeline.period_start_us[piece]), since_us)


def _counts(question: Question, charges: Columns) -> Flags:
    """Which charges end in the span; a correction has no end but now."""
    counts: Flags = charges["ended_at"] > to_us(question.since)
    return counts


def _added_up(question: Question, charges: Columns, would_nano: Ints, edges_us: Ints) -> Columns:
    """What ends in the span, by point, household and month."""
    inside = _counts(question, charges)
    begun_us = np.maximum(charges["started_at"][inside], to_us(question.since))
    month = np.searchsorted(edges_us, begun_us, "right") - 1
    keys = [charges["point_id"][inside], charges["account_id"][inside], month]
    ones = np.ones(len(month), dtype=np.int64)
    energy_milli, charged_nano = (charges[name][inside] for name in ("energy_milli", "amount_nano"))
    columns = [ones, energy_milli, charged_nano, would_nano[inside]]
    keys, columns = runs.sums(keys, columns)
    return dict(zip((*ROW, *_SUMMED), (*keys, *columns), strict=True))


def by_household(found: Found) -> Columns:
    """The rows of a replay without their months, by point and household."""
    rows = found.rows
    order = np.lexsort((rows["account_id"], rows["point_id"]))
    keys, columns = runs.sums(
        [rows[name][order] for name in ROW[:2]], [rows[name][order] for name in _SUMMED]
    )
    return dict(zip((*ROW[:2], *_SUMMED), (*keys, *columns), strict=True))


def told(found: Found, households: Columns, exponent: int) -> dict[str, Any]:
    """The sums of a replay, as they are kept; money in Nano, exact.

    Whoever would pay a coin more or less counts as a loser or a winner, the rest as unchanged.
    """
    size = nano_per_minor(exponent)
    charged, would = (households[name] for name in ("charged_nano", "would_nano"))
    difference = (would - charged + size // 2) // size
    loses, wins = difference > 0, difference < 0
    added = would - charged
    base = np.maximum(np.abs(charged), 1).astype(object)
    percent = np.array((added.astype(object) * 100) // base, dtype=object)
    shares = [0] * (len(EDGES_PERCENT) + 2)
    for one, moves in zip(percent.tolist(), (loses | wins).tolist(), strict=True):
        place = sum(one >= edge for edge in EDGES_PERCENT)
        shares[place if moves else -1] += 1
    rows, by_month = found.rows, []
    for place, month in enumerate(found.months):
        mine = rows["month"] == place
        by_month.append(
            {"month": month} | {name: sum(rows[name][mine].tolist()) for name in _SUMMED}
        )
    return {
        "points": len(np.unique(households["point_id"])), "households": len(charged),
        **{name: sum(households[name].tolist()) for name in _SUMMED},
        "unrated": found.unrated_count, "winners": int(wins.sum()), "losers": int(loses.sum()),
        "unchanged": int((difference == 0).sum()),
        "winners_nano": sum(added[wins].tolist()), "losers_nano": sum(added[loses].tolist()),
        "months": by_month, "shares": shares,
    }  # fmt: skip


async def get(db: Database, project_id: int, replay_id: int) -> Any:
    """A replay's row, what it was asked and has found as JSON values. Raises `NotFound`.

    `is_made`: whether its correction was made. `is_partial`: whether a billing period's bill says,
    or would say, more than its figures, which are of intervals alone.
    """
    async with db.transaction([project_id]) as connection:
        row = await replays.get(connection, project_id, replay_id)
        if row is None:
            raise NotFound(N_("Replay"), replay_id)
        is_made = await corrections.was_of(connection, project_id, replay_id)
        has_bills = await bills.any_within(connection, project_id, row["since_at"], row["until_at"])
    told = {name: json.loads(row[name]) for name in ("asked", "found")}
    named = (told["asked"].get(name) for name in ("scheme", "was"))
    is_partial = has_bills or any(is_billed(parse(body)) for body in named if body)
    return dict(row) | told | {"is_made": is_made, "is_partial": is_partial}


def scheme_of(tariffs: Tariffs, body: Mapping[str, Any]) -> Laid:
    """A scheme file's scheme as it runs along with readings. Raises `TariffInvalid`."""
    parse(body)
    return tariffs.laid([{**body, "versions": [part]} for part in body["versions"]])


def check_span(since: datetime, until: datetime, at: datetime) -> None:
    """Raises `ReplaySpanUnusable` where it is none."""
    if not since < until <= at or until - since > timedelta(days=SPAN_DAYS_MAX):
        raise ReplaySpanUnusable


async def asked_of(
    db: Database, tariffs: Tariffs, project_id: int, selection: Mapping[str, Any],
    span_of: tuple[datetime, datetime], body: Mapping[str, Any],
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """What a replay's task is given, checked, and how many points it concerns.

    Args:
        db: the database.
        tariffs: the cache of this process.
        project_id: the project.
        selection: place_id, tariff_id and point_ids, each None where it does not matter.
        span_of: since and until.
        body: a scheme file's content.

    Raises:
        TariffInvalid: the scheme does not hold together, or cannot run along with readings.
        NothingToReplay: no point is selected.
    """
    laid = scheme_of(tariffs, body)
    async with db.transaction([project_id]) as connection:
        point_ids = await replays.points_of(connection, project_id, laid[1].commodity, **selection)
    if not 0 < len(point_ids) <= POINTS_MAX:
        raise NothingToReplay
    since, until = span_of
    return {
        "selection": dict(selection), "since": since.isoformat(), "until": until.isoformat(),
        "scheme": dict(body), "name": laid[1].name, "corrects": None,
    }, len(point_ids)  # fmt: skip


async def asked_of_correction(
    db: Database, tariffs: Tariffs, project_id: int, tariff_id: int, since: datetime,
    body: Mapping[str, Any], at: datetime,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """The same of a correction; raises as `correct.plan`."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        planned = await correct.plan(connection, tariffs, project, tariff_id, since, body, at)
        count = await corrections.count_points(connection, project_id, planned.commodity)
    return {
        "since": since.isoformat(), "until": at.isoformat(), "scheme": dict(body),
        "name": planned.name, "corrects": tariff_id, "version_count": planned.version_count,
        "was": await correct.present(db, project_id, tariff_id),
    }, count  # fmt: skip


async def asked_of_assignment(
    db: Database, tariffs: Tariffs, project_id: int, tariff_id: int, since: datetime,
    selection: Selection, at: datetime,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """The same of a tariff given since a past instant; raises as `backdate.plan`."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        point_ids = await backdate.chosen(connection, project_id, tariff_id, selection)
        planned = await backdate.plan(connection, tariffs, project, tariff_id, since, point_ids, at)
    return {
        "since": since.isoformat(), "until": at.isoformat(), "name": planned.name,
        "scheme": await correct.present(db, project_id, tariff_id), "corrects": tariff_id,
        "gives": {"point_ids": point_ids, "digest": planned.digest},
    }, len(point_ids)  # fmt: skip


async def carry_out(
    db: Database, tariffs: Tariffs, claimed: Claimed, at: datetime, tell: TellTask
) -> Progress:
    """A replay as a task: rate, and keep what was found under the task's number."""
    asked, project_id = claimed.input, claimed.project_id
    since, until = (datetime.fromisoformat(asked[name]) for name in ("since", "until"))
    corrects, gives = asked["corrects"], asked.get("gives")
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        if gives is not None:
            laid = (await tariffs.load(connection, project_id, [corrects]))[corrects]
            point_ids = np.array(gives["point_ids"], dtype=np.int64)
        elif corrects is not None:
            planned = await correct.plan(
                connection, tariffs, project, corrects, since, asked["scheme"], at
            )
            laid, commodity = planned.laid, planned.commodity
            point_ids = await replays.all_points(connection, project_id, commodity)
        else:
            laid = scheme_of(tariffs, asked["scheme"])
            point_ids = await replays.points_of(
                connection, project_id, laid[1].commodity, **asked["selection"]
            )

    async def told_so_far(done: int, total: int) -> None:
        await tell(Progress(done, total))

    question = Question(point_ids, since, until, laid, corrects, gives is not None)
    found = await replay(db, tariffs, project_id, question, told_so_far)
    households = by_household(found)
    sums = told(found, households, project["currency_exponent"])
    kept = {
        "tariff_id": corrects, "since_at": since, "until_at": until, "corrects": bool(corrects),
        "actor_id": claimed.actor_id,
        "asked": {name: asked.get(name) for name in
                  ("selection", "scheme", "name", "version_count", "was", "gives")},
    }  # fmt: skip
    async with db.transaction([project_id]) as connection:
        await replays.insert(connection, project_id, claimed.id, kept, sums, households, at)
    count = len(point_ids)
    return Progress(count, count, {"replay_id": claimed.id})
