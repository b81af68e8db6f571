"""What a project is and chose: name, zone, currency, rules, calendar, payees; how far it stands.

Owns what may still be changed, and the templates rules can start from. Must never know a screen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import available_timezones

from meterhouse.control import policy as policies
from meterhouse.control.policy import Policy
from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows.choice import chosen
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.store import catalog, monitor, projects, queue, readings, receipts
from meterhouse.store.db import Connection, Database
from meterhouse.store.projects import Payee
from meterhouse.store.receipts import SeriesTaken

CHARGE_CLASSES: Final = ("electricity", "water", "heat", "cooling", "fee")
YEAR_MIN, YEAR_MAX = 2000, 2100

TEMPLATES: Final[Mapping[str, Policy]] = {
    "residential": Policy(),
    # Students are told in time and never sit in the dark at night; a warden decides the rest.
    "dormitory": Policy(
        quiet_start_minute=21 * 60, quiet_end_minute=8 * 60, quiet_debt_minor=5_000,
        notice_age_s=4 * 3600, sweep_percent_max=10,
    ),
    # Shops run by day and read their mail: no quiet weekend, but a longer warning.
    "shops": Policy(
        quiet_start_minute=20 * 60, quiet_end_minute=9 * 60, quiet_weekdays=(),
        quiet_debt_minor=100_000, notice_age_s=24 * 3600, sweep_count_max=10,
    ),
}  # fmt: skip
"""Starting values of a project's rules, by the kind of house."""

# Public holidays of China whose date is fixed; those by the moon are entered every year by hand.
FIXED_HOLIDAYS: Final = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))


class TimezoneFixed(MeterhouseError):
    """Money has moved in this project; its time zone stays, because days and bands follow it."""

    code = "timezone_fixed"
    http_status = 409
    field = "timezone"


class CurrencyFixed(MeterhouseError):
    """Money has moved in this project; its currency stays."""

    code = "currency_fixed"
    http_status = 409
    field = "currency"


class TimezoneUnknown(BadInput):
    """There is no time zone of this name; give one such as Asia/Shanghai."""

    code = "timezone_unknown"
    field = "timezone"


class ClassUnknown(BadInput):
    """There is no such charge class."""

    code = "class_unknown"
    field = "charge_class"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a project is."""

    name: str
    timezone: str
    currency: str
    currency_exponent: int
    reading_interval_s: int


@dataclass(frozen=True, slots=True)
class ProjectNow:
    """A project's row, its rules, and what it may still change."""

    row: Any
    policy: Policy
    has_moved_money: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands of a site, and what is missing.

    `vacant` counts points that nobody but the house pays for; `read` those that were ever read.
    """

    buildings: int
    rooms: int
    gateways: int
    online: int
    meters: int
    unplaced: int
    tariffs: int
    unpriced: int
    agreements: int
    vacant: int
    read: int


def check_timezone(timezone: str) -> None:
    """Raises `TimezoneUnknown` for a name that is none."""
    if timezone not in available_timezones():
        raise TimezoneUnknown


def timezones() -> Sequence[str]:
    """Every time zone there is, by name."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


def rules(policy: Policy) -> dict[str, Any]:
    """Rules as a project keeps them."""
    return {
        key: list(given) if isinstance(given, tuple) else given
        for key, given in asdict(policy).items()
    }


def template(name: str) -> dict[str, Any]:
    """The rules of a template, as a project keeps them."""
    return rules(TEMPLATES[name])


async def look(db: Database, project_id: int) -> ProjectNow:
    """The project as it is."""
    async with db.transaction([project_id]) as connection:
        row = await catalog.get_project(connection, project_id)
        moved = await projects.has_moved_money(connection, project_id)
    return ProjectNow(row, policies.read(row["policy"]), moved)


async def edit(db: Database, project_id: int, version: int, new: Identity) -> Any:
    """Change what a project is; answers its row as it was.

    Raises:
        ChangedMeanwhile: it is not at this version any more.
        TimezoneUnknown: there is no such zone.
        CurrencyFixed, TimezoneFixed: another currency or time zone, and money has moved.
    """
    check_timezone(new.timezone)
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        was = await catalog.get_project(connection, project_id)
        unit = (new.currency, new.currency_exponent)
        is_fixed = await projects.has_moved_money(connection, project_id)
        if new.timezone != was["timezone"] and is_fixed:
            raise TimezoneFixed
        if unit != (was["currency"], was["currency_exponent"]):
            if is_fixed:
                raise CurrencyFixed
            await projects.change_units(connection, project_id, new.currency)
        if not await projects.change_project(connection, project_id, version, **asdict(new)):
            raise ChangedMeanwhile
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
        return was


async def set_policy(
    db: Database, project_id: int, version: int, chosen: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Replace a project's rules; answers those before.

    Raises:
        ChangedMeanwhile: it is not at this version any more.
        OutOfRange: a rule lies beyond its range.
    """
    policies.parse(chosen)
    async with db.transaction([project_id]) as connection:
        was = await catalog.get_project(connection, project_id)
        if not await projects.change_policy(connection, project_id, version, chosen):
            raise ChangedMeanwhile
        before: Mapping[str, Any] = json.loads(was["policy"])
        return before


async def freeze(db: Database, project_id: int, frozen: bool) -> bool:
    """Freeze: nothing is disconnected any more; thaw: rules decide again. False if it was so."""
    async with db.transaction([project_id]) as connection:
        done = await projects.set_frozen(connection, project_id, frozen)
        await readings.bump(connection, project_id)
        return done


async def groups(db: Database) -> Sequence[Any]:
    """Every group; for those who look after the platform."""
    async with db.transaction(()) as connection:
        return await projects.groups(connection)


async def rename_group(db: Database, group_id: int, name: str) -> str:
    """What a group is called from now on; answers what it was called. Raises `NotFound`."""
    async with db.transaction(()) as connection:
        was = await projects.get_group(connection, group_id)
        await projects.rename_group(connection, group_id, name)
    return str(was["name"])


async def group(db: Database, group_id: int) -> Any:
    """One group. Raises `NotFound`."""
    async with db.transaction(()) as connection:
        return await projects.get_group(connection, group_id)


async def calendar(db: Database, project_id: int) -> Sequence[Any]:
    """A project's special days, in order."""
    async with db.transaction([project_id]) as connection:
        return await projects.calendar(connection, project_id)


async def put_days(db: Database, project_id: int, days: Sequence[tuple[date, str, str]]) -> int:
    """Special days (day, kind, name); a day already there is overwritten."""
    async with db.transaction([project_id]) as connection:
        await projects.put_days(connection, project_id, days)
    return len(days)


async def remove_day(db: Database, project_id: int, day: date) -> None:
    """A day is an ordinary one again. Raises `ChoiceGone`."""
    async with db.transaction([project_id]) as connection:
        with chosen("day"):
            if not await projects.remove_day(connection, project_id, day):
                raise NotFound("Day", day)


def fixed_holidays(year: int, name: str) -> list[tuple[date, str, str]]:
    """The public holidays of a year whose date is fixed."""
    return [(date(year, month, day), "holiday", name) for month, day in FIXED_HOLIDAYS]


async def payees(db: Database, project_id: int) -> Sequence[Any]:
    """Who receives the money, per charge class."""
    async with db.transaction([project_id]) as connection:
        return await projects.payees(connection, project_id)


async def payee(db: Database, project_id: int, payee_id: int) -> Any:
    """One payee. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return await projects.get_payee(connection, project_id, payee_id)


async def add_payee(db: Database, project_id: int, new: Payee) -> int:
    """Who receives the money of a charge class.

    Raises:
        ClassUnknown: there is no such class.
        PayeeThere: the class has a payee.
        SeriesTaken: receipts of another begin as its would.
    """
    if new.charge_class not in CHARGE_CLASSES:
        raise ClassUnknown
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        made = await projects.insert_payee(connection, project_id, new)
        await _check_series(connection, project_id, made)
        return made


async def edit_payee(db: Database, project_id: int, payee_id: int, version: int, new: Payee) -> Any:
    """Change a payee, whose class stays; answers it as it was.

    Raises:
        ChangedMeanwhile: somebody changed it since it was read.
        SeriesTaken: receipts of another begin as its would.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        was = await projects.get_payee(connection, project_id, payee_id)
        if not await projects.change_payee(connection, project_id, payee_id, version, new):
            raise ChangedMeanwhile
        await _check_series(connection, project_id, payee_id)
        return was


async def _check_series(connection: Connection, project_id: int, payee_id: int) -> None:
    try:
        await receipts.check_series(connection, project_id, payee_id)
    except SeriesTaken as error:
        error.field = "series"
        raise


async def standing(db: Database, project_id: int) -> Standing:
    """What stands of a site; computed from the data at every look."""
    async with db.transaction([project_id]) as connection:
        return await _standing(connection, project_id)


async def _standing(connection: Connection, project_id: int) -> Standing:
    return Standing(**dict(await projects.standing(connection, project_id)))


@dataclass(frozen=True, slots=True)
class Step:
    """A step of setting a site up: how many there are, and how many are missing."""

    name: str
    done: bool
    have: int
    missing: int = 0


def steps(now: Standing) -> list[Step]:
    """The set-up checklist. A vacant room is no fault, a meter without a price is."""
    placed = now.meters - now.unplaced
    return [
        Step("rooms", now.rooms > 0, now.rooms),
        Step("gateways", 0 < now.gateways <= now.online, now.gateways, now.gateways - now.online),
        Step("meters", now.meters > 0 and not now.unplaced, now.meters, now.unplaced),
        Step("price", now.tariffs > 0 and not now.unpriced, now.tariffs, now.unpriced),
        Step("people", now.agreements > 0, now.agreements),
        Step("reading", 0 < placed <= now.read, now.read, max(placed - now.read, 0)),
    ]
