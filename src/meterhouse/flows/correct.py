"""A price that was wrong (价格更正): corrected from a past instant on, the difference posted today.

Owns what a correction may be and how it is carried out, also where not the price but the tariff of
points was wrong, which `backdate` plans. Nothing that was published or charged is
edited: versions get others in their place, which a further *edition* of the tariff says; charges
get further versions; and the differences go into the accruals, to be booked in the open period. Who
paid then gets what is theirs, by `past`, as with a late reading.

The sweep goes point by point in small transactions. What was swept has no difference any more, so a
sweep that was killed and begins again, at any place, posts nothing twice. It decides nothing: what
becomes owing is seen by the next reading, with every notice and guard that any debt has.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import late, past, payers
from meterhouse.flows.past import Owner
from meterhouse.flows.prices import Laid, Tariffs, band_sources
from meterhouse.flows.reprice import END_US, Anew, Flags, rate_anew
from meterhouse.flows.task import Progress, Tell
from meterhouse.ports import Clock
from meterhouse.rating.tariff import parse
from meterhouse.store import (
    bookings,
    catalog,
    corrections,
    monitor,
    points,
    readings,
    replays,
)
from meterhouse.store.corrections import NewCorrection
from meterhouse.store.db import Connection, Database
from meterhouse.store.points import Columns, Ints
from meterhouse.units import to_us

POINTS_AT_ONCE: Final = 8
# In the order in which people write them.
_HEADER: Final = ("name", "commodity", "currency", "billing", "source")


class CorrectionTooEarly(BadInput):
    """A correction begins in the past, and at most {days} days ago by this project's policy."""

    code = "correction_too_early"
    field = "since"


class CorrectionUnfit(BadInput):
    """A correction changes prices, times and blocks; {what} stays as it was."""

    code = "correction_unfit"
    field = "scheme"


class ReplayUnfit(MeterhouseError):
    """This replay is of no correction, or its correction was made; replay the correction anew."""

    code = "replay_unfit"
    http_status = 409


class NothingCorrected(MeterhouseError):
    """No price of this tariff was ever corrected."""

    code = "nothing_corrected"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Planned:
    """A correction that may be made.

    Attributes:
        laid: the whole scheme as it would be.
        versions: (effective_from, body) of what would be published.
        version_count: how many versions the tariff has.
    """

    laid: Laid
    versions: Sequence[tuple[datetime, Mapping[str, Any]]]
    version_count: int
    name: str
    commodity: str


async def plan(
    connection: Connection, tariffs: Tariffs, project: Any, tariff_id: int, since: datetime,
    body: Mapping[str, Any], at: datetime,
) -> Planned:  # fmt: skip
    """Check a correction: the tariff's versions from an instant on are those of a scheme.

    Of its versions those count that are in force at the instant or later; the one in force then
    begins with it.

    Raises:
        CorrectionTooEarly: the policy does not reach back so far, or it is not in the past.
        CorrectionUnfit: it is of another commodity or currency, or of other deciders of bands.
        TariffInvalid: the scheme does not hold together.
    """
    check_reach(project, since, at)
    row = await catalog.get_tariff(connection, project["id"], tariff_id)
    bodies = (await catalog.tariff_bodies(connection, project["id"], [tariff_id]))[tariff_id]
    scheme = parse(body)
    begins = [version.effective_from for version in scheme.versions]
    in_force = max((place for place, one in enumerate(begins) if one <= since), default=0)
    header = {name: given for name, given in body.items() if name != "versions"}
    header["name"] = bodies[-1]["name"]
    for what in ("commodity", "currency"):
        if header[what] != bodies[-1][what]:
            raise CorrectionUnfit(what=what)
    versions = []
    for place, part in enumerate(body["versions"][in_force:]):
        effective_from = begins[in_force + place] if place else since
        begun = {**part, "effective_from": effective_from.isoformat()}
        versions.append((effective_from, header | {"versions": [begun]}))
    kept = [one for one in bodies if parse(one).versions[0].effective_from < since]
    laid = tariffs.laid([*kept, *(part for _, part in versions)])
    if band_sources(laid[1]) != band_sources(tariffs.laid(bodies)[1]):
        raise CorrectionUnfit(what="band_source")
    return Planned(laid, versions, row["version_count"], row["name"], row["commodity"])


def check_reach(project: Any, since: datetime, at: datetime) -> None:
    """Raises `CorrectionTooEarly` where the policy does not reach, or the instant is not past."""
    days = policies.read(project["policy"]).correction_days_max
    if not at - timedelta(days=days) <= since < at:
        raise CorrectionTooEarly(days=days)


async def begin(
    db: Database, tariffs: Tariffs, project_id: int, replay_id: int, reason: str,
    actor_id: int | None, second_id: int | None, at: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Publish the correction that a replay showed; answers what its sweep needs to know.

    Raises:
        ReplayUnfit: it was no replay of a correction, or its correction was made before.
        PublishedMeanwhile: the tariff has changed since; nobody has seen what this would do now.
    """
    # Nothing is rated meanwhile, and nobody counts the same edition.
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        project = await catalog.get_project(connection, project_id)
        asked = await suitable(connection, project_id, replay_id)
        tariff_id, since = asked["tariff_id"], asked["since_at"]
        told = json.loads(asked["asked"])
        if told.get("gives"):
            raise ReplayUnfit
        planned = await plan(connection, tariffs, project, tariff_id, since, told["scheme"], at)
        new = NewCorrection(
            since, planned.versions, told["version_count"], reason, actor_id, second_id, replay_id
        )
        edition = await corrections.publish(connection, project_id, tariff_id, new, at)
        total = await corrections.count_points(connection, project_id, planned.commodity)
        await readings.bump(connection, project_id)
    return {
        "tariff_id": tariff_id, "edition": edition, "since": since.isoformat(),
        "commodity": planned.commodity, "name": planned.name, "total": total,
    }  # fmt: skip


async def check(db: Database, project_id: int, replay_id: int) -> Any:
    """The replay that a correction is to rest on. Raises `ReplayUnfit`."""
    async with db.transaction([project_id]) as connection:
        return await suitable(connection, project_id, replay_id)


async def last(db: Database, project_id: int, tariff_id: int) -> dict[str, Any]:
    """What the sweep of a tariff's last correction is asked. Raises `NothingCorrected`."""
    async with db.transaction([project_id]) as connection:
        row = await catalog.get_tariff(connection, project_id, tariff_id)
        made = await corrections.of_tariff(connection, project_id, tariff_id)
        if not made:
            raise NothingCorrected
        total = await corrections.count_points(connection, project_id, row["commodity"])
    # An earlier one may have reached further back, and may not have come to its end.
    since = min(one["corrects_from"] for one in made)
    return {
        "tariff_id": tariff_id, "edition": made[0]["edition"], "since": since.isoformat(),
        "commodity": row["commodity"], "name": row["name"], "total": total,
    }  # fmt: skip


async def reach(db: Database, project_id: int) -> int:
    """How many days ago a correction may begin, by the project's rules; 0: none may be made."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
    return policies.read(project["policy"]).correction_days_max


async def made_of(db: Database, project_id: int, tariff_id: int) -> Sequence[Any]:
    """The corrections of a tariff, the newest first."""
    async with db.transaction([project_id]) as connection:
        return await corrections.of_tariff(connection, project_id, tariff_id)


async def present(db: Database, project_id: int, tariff_id: int) -> dict[str, Any]:
    """A tariff's versions in force as one scheme file. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        await catalog.get_tariff(connection, project_id, tariff_id)
        bodies = (await catalog.tariff_bodies(connection, project_id, [tariff_id]))[tariff_id]
    parts = [part for body in bodies for part in body["versions"]]
    return {
        name: parts if name == "versions" else bodies[-1][name]
        for name in (*_HEADER, "versions") if name in bodies[-1]
    }  # fmt: skip


async def suitable(connection: Connection, project_id: int, replay_id: int) -> Any:
    """The replay's row, if a correction may rest on it. Raises `ReplayUnfit`."""
    row = await replays.get(connection, project_id, replay_id)
    if row is None or not row["corrects"]:
        raise ReplayUnfit
    if await corrections.was_of(connection, project_id, replay_id):
        raise ReplayUnfit
    return row


async def sweep(
    db: Database, tariffs: Tariffs, project_id: int, asked: Mapping[str, Any],
    before: Mapping[str, Any] | None, clock: Clock, tell: Tell,
) -> Progress:  # fmt: skip
    """Rate every point anew whose energy the corrected tariff has priced, and post differences.

    Args:
        db: the database.
        tariffs: the cache of this process.
        project_id: the project.
        asked: as `begin` answers it.
        before: what a worker before has told last; None at first.
        clock: says when what is posted.
        tell: hears how far it is.
    """
    result = dict(before or {"after_id": 0, "done": 0, "points": 0, "added_nano": 0})
    since_us = to_us(datetime.fromisoformat(asked["since"]))
    while True:
        async with db.transaction([project_id]) as connection:
            point_ids = np.array(
                await corrections.points_after(
                    connection,
                    project_id,
                    asked["commodity"],
                    result["after_id"],
                    POINTS_AT_ONCE,
                    asked.get("given"),
                ),
                dtype=np.int64,
            )
            if not len(point_ids):
                break
            added = await _sweep_some(
                connection, tariffs, project_id, point_ids, asked["tariff_id"], since_us, clock()
            )
            await readings.bump(connection, project_id)
        result["after_id"] = int(point_ids[-1])
        result["done"] += len(point_ids)
        result["points"] += len(added)
        result["added_nano"] += sum(added.values())
        await tell(Progress(result["done"], asked["total"], result))
    return Progress(result["done"], result["done"], result)


async def _sweep_some(
    connection: Connection, tariffs: Tariffs, project_id: int, point_ids: Ints, tariff_id: int,
    since_us: int, at: datetime,
) -> dict[int, int]:  # fmt: skip
    """A few points, while readings of their meters wait; answers what each got, in Nano."""
    meter_ids = await bookings.meters_of(connection, project_id, point_ids)
    await monitor.lock_meters(connection, project_id, meter_ids)
    project = await catalog.get_project(connection, project_id)
    columns = await points.load(connection, project_id, meter_ids)
    estimated = await _estimated_by(connection, project_id, columns, tariff_id)
    estimated &= np.isin(columns["point_id"], point_ids)
    given_back = {
        int(columns["point_id"][row]): await late.drop_estimates(
            connection, project, columns, row, at
        )
        for row in np.flatnonzero(estimated).tolist()
    }
    anew = await rate_anew(connection, tariffs, project, point_ids, since_us, {})
    concerned = np.unique(anew.row[anew.priced_by(tariff_id)])
    standings = await corrections.standings(connection, project_id, point_ids[concerned])
    changed = _changed(anew) & np.isin(anew.row, concerned)
    await _set_blocks(connection, project_id, point_ids, anew, concerned)
    written: list[dict[str, Any]] = []
    added = {point_id: nano for point_id, nano in given_back.items() if nano}
    for row in np.unique(anew.row[changed]).tolist():
        point_id = int(point_ids[row])
        mine = np.flatnonzero(changed & (anew.row == row))
        charges, added_nano = await _post(
            connection, project, standings[point_id], point_id, anew, mine, at
        )
        written.append(charges)
        added[point_id] = added.get(point_id, 0) + added_nano
    if written:
        columns = {name: np.concatenate([one[name] for one in written]) for name in written[0]}
        await readings.insert_charges(connection, project_id, columns)
    return added


async def _set_blocks(
    connection: Connection, project_id: int, point_ids: Ints, anew: Anew, concerned: Ints
) -> None:
    """Blocks stand where the last charge leaves them, though no charge may have changed."""
    for row in concerned.tolist():
        await corrections.set_blocks(
            connection, project_id, int(point_ids[row]), int(anew.rated.block_milli[row]),
            int(anew.rated.block_period_us[row]),
        )  # fmt: skip


async def _estimated_by(
    connection: Connection, project_id: int, columns: Columns, tariff_id: int
) -> Flags:
    """Which points a tariff prices, or priced at any instant since their last good reading."""
    found: Flags = columns["tariff_id"] == tariff_id
    given_since = np.flatnonzero(columns["tariff_at"] > columns["good_at"])
    if len(given_since):
        point_ids = columns["point_id"][given_since].tolist()
        before = await catalog.tariffs_before(connection, project_id, point_ids)
        for place, point_id in zip(given_since.tolist(), point_ids, strict=True):
            history, good_us = before[point_id], int(columns["good_at"][place])
            ends_us = [*(to_us(at) for at, *_ in history[1:]), END_US]
            found[place] |= any(
                one == tariff_id and end_us > good_us
                for (_, one, _), end_us in zip(history, ends_us, strict=True)
            )
    return found


def _changed(anew: Anew) -> Any:
    charges, rated = anew.charges, anew.rated
    return (
        (rated.amount_nano != charges["amount_nano"])
        | (rated.before_milli != charges["block_milli"])
        | (rated.before_period_us != charges["block_period_at"])
    )


async def _post(
    connection: Connection, project: Any, standing: Any, point_id: int, anew: Anew, mine: Ints,
    at: datetime,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """Further versions of one point's charges, and who gets the difference."""
    few = {name: column[mine] for name, column in anew.charges.items()}
    amount_nano = anew.rated.amount_nano[mine]
    charges = few | {
        "project_id": np.full(len(mine), project["id"]), "version": few["version"] + 1,
        "tariff_id": anew.tariff_of(mine), "amount_nano": amount_nano,
        "block_milli": anew.rated.before_milli[mine],
        "block_period_at": anew.rated.before_period_us[mine],
        "edition": np.full(len(mine), anew.edition),
        "booking": np.full(len(mine), standing["booking"]),
    }  # fmt: skip
    row, every = np.zeros(len(mine), dtype=np.int64), np.ones(len(mine), dtype=np.bool_)
    found = await payers.whose(
        connection, project["id"], _present(point_id, standing), row, few["started_at"], every
    )
    added: dict[Owner, int] = defaultdict(int)
    differs = (amount_nano - few["amount_nano"]).tolist()
    owners = zip(found.since_us.tolist(), few["account_id"].tolist(), strict=True)
    for owner, nano in zip(owners, differs, strict=True):
        added[owner] += nano
    difference = await past.divide(
        connection, project["id"], point_id, to_us(standing["payer_at"]), added
    )
    past.number(charges, found.since_us, difference.shares)
    is_kept, whole_nano = standing["is_kept"], difference.whole_nano
    await readings.add_accrual(
        connection, project["id"], point_id, difference.present_nano if is_kept else 0, whole_nano
    )
    await past.book(connection, project, point_id, difference.shares, at, is_kept=is_kept)
    return charges, whole_nano


def _present(point_id: int, standing: Any) -> Columns:
    """A point as `payers.whose` asks for it; who is charged stands in the charges themselves."""
    said = {"point_id": point_id, "account_id": 0, "payer_at": to_us(standing["payer_at"])}
    return {name: np.array([one], dtype=np.int64) for name, one in said.items()}
