"""Tariffs of a project: added, given further versions, assigned to points.

Owns what makes a further version of a published scheme. Must never know how a price is typed or
rated. A published version is never changed: what was charged by it stays explained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows.choice import chosen
from meterhouse.rating import tariff as tariffs
from meterhouse.rating.live import live
from meterhouse.rating.tariff import Scheme, Version
from meterhouse.store import bills, catalog, devices, monitor, places, readings
from meterhouse.store.db import Database


class VersionTooEarly(BadInput):
    """A further version begins after the one before it ({after}), and not in the past."""

    code = "version_too_early"
    field = "effective_from"


class NoPointThere(MeterhouseError):
    """There is no point of this commodity that anybody pays for."""

    code = "no_point_there"
    http_status = 409
    field = "place_id"


class TariffNotYet(MeterhouseError):
    """This tariff is in force from {begins} on only; give the present one a further version."""

    code = "tariff_not_yet"
    http_status = 409
    field = "tariff_id"


@dataclass(frozen=True, slots=True)
class TariffNow:
    """A tariff with its published versions as one scheme, oldest first, and who uses it.

    Attributes:
        row: its id, name, commodity and version_count.
        body: the scheme as it was published, as a file says it.
        scheme: the same, parsed.
        point_count: how many points are rated by it.
        published: published_at and published_by (a name, or "") of each version.
    """

    row: Any
    body: dict[str, Any]
    scheme: Scheme
    point_count: int
    published: Sequence[Any]


async def publish_version(
    db: Database, project_id: int, tariff_id: int, part: Mapping[str, Any],
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """A further version of a tariff, in force from its instant on; answers its number.

    Raises:
        VersionTooEarly: it begins before the last one does, or before now.
        TariffInvalid: it does not hold together, or cannot be charged while energy flows.
    """
    # No reading of after its instant is rated meanwhile by the version before it.
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        row = await catalog.get_tariff(connection, project_id, tariff_id)
        bodies = (await catalog.tariff_bodies(connection, project_id, [tariff_id]))[tariff_id]
        last = tariffs.parse(bodies[-1]).versions[-1]
        header = {key: given for key, given in bodies[-1].items() if key != "versions"}
        scheme = live(tariffs.parse(header | {"versions": [dict(part)]}))
        begins = scheme.versions[0].effective_from
        if is_too_early(begins, last, at):
            raise VersionTooEarly(after=last.effective_from.isoformat())
        number: int = row["version_count"] + 1
        await catalog.insert_version(
            connection, project_id, tariff_id, number, begins, header | {"versions": [dict(part)]},
            actor_id, at,
        )  # fmt: skip
        await bills.look_again(connection, project_id, tariff_id)
        await readings.bump(connection, project_id)
        return number


def is_too_early(begins: datetime, last: Version, at: datetime) -> bool:
    """Whether no further version may begin at an instant."""
    return begins <= last.effective_from or begins < at


async def look(db: Database, project_id: int, tariff_id: int) -> TariffNow:
    """One tariff. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await catalog.get_tariff(connection, project_id, tariff_id)
        bodies = (await catalog.tariff_bodies(connection, project_id, [tariff_id]))[tariff_id]
        count = await catalog.points_of_tariff(connection, project_id, tariff_id)
        published = await catalog.tariff_publishers(connection, project_id, tariff_id)
    whole = {**bodies[0], "versions": [part for body in bodies for part in body["versions"]]}
    return TariffNow(row, whole, tariffs.parse(whole), count, published)


async def names(db: Database, project_id: int, commodity: str | None = None) -> Sequence[Any]:
    """id, name, commodity of the tariffs, by name."""
    async with db.transaction([project_id]) as connection:
        return await catalog.tariff_names(connection, project_id, commodity)


async def assign(
    db: Database, project_id: int, tariff_id: int, place_id: int | None, at: datetime
) -> int:
    """Give a tariff to all points of its commodity in a building or in the whole project, from now.

    What was used before is charged by the tariff of before, whenever its reading arrives. What
    nobody pays for (keeper none) is left out. Answers how many points there were.

    Raises:
        NoPointThere: there is no such point.
        TariffNotYet: it prices nothing yet.
    """
    # No reading of after this instant is rated meanwhile by the tariff of before.
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        tariff = await catalog.get_tariff(connection, project_id, tariff_id)
        check_in_force(tariff, at)
        if place_id is not None:
            with chosen("place_id"):
                await places.get_place(connection, project_id, place_id)
        count = await devices.set_tariff(
            connection, project_id, place_id, tariff["commodity"], tariff_id, at
        )
        if not count:
            raise NoPointThere
        await readings.bump(connection, project_id)
        return count


def check_in_force(tariff: Any, at: datetime) -> None:
    """A tariff that takes another's place prices from this instant on. Raises `TariffNotYet`."""
    if tariff["effective_from"] > at:
        raise TariffNotYet(begins=tariff["effective_from"].isoformat())
