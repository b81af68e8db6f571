"""What a meter that keeps the money is told: its prices, warnings and overdraft; and what it holds.

Owns when they are sent, what counts as proven, when it is tried again and when somebody is told. A
price is compiled (`rating.inmeter`), written into the meter's standby set, read back, and only then
given its time; what the meter holds after that time is read again. Must never write a frame: the
driver carries it out in one conversation, of which any part may be done twice.

Doubt leaves the old price in force. Trying again is safe, because the same set is written and its
time comes last; another set waits until no copy of a doubtful write can arrive any more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from meterhouse import meter_models
from meterhouse.control.recharge import LIFETIME
from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows.enqueue import enqueue
from meterhouse.meter_models import MeterModel
from meterhouse.model import AlarmKind, CommandKind, CommandState, Keeper, Reason
from meterhouse.ports import Effect, Outcome, ReadParameters, WriteSet
from meterhouse.rating import inmeter
from meterhouse.rating import tariff as tariffs
from meterhouse.rating.inmeter import Holds, InMeter, Unfit
from meterhouse.rating.live import live
from meterhouse.rating.periods import Billing
from meterhouse.rating.tariff import Version
from meterhouse.store import catalog, devices, parameters, queue, readings
from meterhouse.store.db import Connection, Database
from meterhouse.wire.dlt645 import DIALECTS
from meterhouse.wire.dlt645.layout import Number
from meterhouse.words import N_

KINDS: Final = (CommandKind.TARIFF, CommandKind.SETTING, CommandKind.CHECK)
LEAD: Final = timedelta(minutes=30)
"""How far ahead a price comes into force where nobody says when."""
LEAD_MIN: Final = timedelta(minutes=15)
LEAD_MAX: Final = timedelta(days=400)
MARGIN: Final = timedelta(minutes=10)
"""What is not proven this long before its time is not begun any more."""
CHECK_AFTER: Final = timedelta(minutes=2)
LIFE: Final = timedelta(days=1)
"""How long warnings and checks wait for a meter that does not answer."""
AGAIN: Final = (60, 300, 900, 1_800, 3_600)
"""Seconds until it is tried again: after the first try, the second, …; the last one repeats."""
TRIES_MAX: Final = 12
QUARTER_S: Final = 900
# Another try may fare better: nobody answered, or the meter did half of it.
_PASSING: Final = frozenset(
    {
        "silence", "line_lost", "interrupted", "refused", "value_unchanged", "clock_unproven",
        "not_bcd", "data_too_short", "unreadable",
    }
)  # fmt: skip
_WARNINGS: Final = ("alarm_amount_1", "alarm_amount_2", "overdraft_limit")
_MONEY_DECIMALS: Final = 2


class MeterKeepsNoPrice(MeterhouseError):
    """This meter keeps no prices: its money is kept elsewhere, or its model knows none."""

    code = "meter_keeps_no_price"
    http_status = 409


class NoTariff(MeterhouseError):
    """No tariff was assigned here."""

    code = "no_tariff"
    http_status = 409


class BehindTransformers(MeterhouseError):
    """The meter charges what its own registers count; behind transformers that is too little."""

    code = "behind_transformers"
    http_status = 409


class SwitchTimeUnusable(BadInput):
    """Choose a time between {first} and {last}."""

    code = "switch_time_unusable"
    field = "takes_effect"


class NothingSent(MeterhouseError):
    """No prices were sent to this meter yet."""

    code = "nothing_sent"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be sent: the tariff's version, compiled, and when it comes into force."""

    tariff_id: int
    tariff: str
    version: int
    switch_at: datetime
    compiled: InMeter


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a meter: what it should hold, and what it said it holds (None: not read)."""

    name: str
    wanted: str
    said: str | None

    @property
    def differs(self) -> bool:
        """Whether it was read to hold something else."""
        return self.said is not None and self.said != self.wanted


@dataclass(frozen=True, slots=True)
class Sent:
    """The last command of a kind: how it stands, and setting by setting."""

    id: int
    kind: CommandKind
    state: CommandState
    why: str
    asked_at: datetime
    ended_at: datetime | None
    tariff_id: int | None
    tariff: str
    version: int | None
    switch_at: datetime | None
    settings: tuple[Setting, ...]


async def plan(
    db: Database, project_id: int, meter_id: int, switch_at: datetime | None, at: datetime
) -> Planned:
    """What sending prices would send. Raises as `send_prices`."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        where = await _place(connection, project_id, meter_id)
        return await _plan(connection, project, where, switch_at, at)


async def unfit(
    db: Database, project_id: int, meter_id: int, switch_at: datetime | None, at: datetime
) -> list[Unfit]:
    """All that the meter would charge otherwise than the price that would be sent; empty: nothing.

    Raises:
        As `send_prices`, but for the price itself.
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        where = await _place(connection, project_id, meter_id)
        asked = await _asked(connection, project, where, switch_at, at)
        return list(inmeter.unfit(asked.version, asked.holds))


async def send_prices(
    db: Database, project_id: int, meter_id: int, switch_at: datetime | None, note: str,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Send a meter the price that its point's tariff has from an instant on; answers the command.

    Args:
        switch_at: when it comes into force, to the minute; None: with the tariff's next version,
            or else soon.

    Raises:
        NotFound: there is no such meter in service.
        MeterKeepsNoPrice, NoTariff, BehindTransformers: nothing can be sent here.
        SwitchTimeUnusable: too soon, or too far ahead.
        BadInput: the price is one the meter cannot hold (`rating.inmeter` says why).
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        where = await _place(connection, project_id, meter_id)
        planned = await _plan(connection, project, where, switch_at, at)
        compiled = planned.compiled
        asked = {
            "items": compiled.standby, "switches": compiled.switches,
            "expects": compiled.expects, "in_force": compiled.in_force,
            "switch_at": planned.switch_at.isoformat(), "tariff_id": planned.tariff_id,
            "tariff": planned.tariff, "version": planned.version, "tries": 0,
        }  # fmt: skip
        until = planned.switch_at - MARGIN
        return await _send(connection, where, CommandKind.TARIFF, note, actor_id, at, until, asked)


async def send_warnings(
    db: Database, project_id: int, meter_id: int, note: str, actor_id: int | None, at: datetime
) -> int:
    """Send a meter its household's first two warning levels and how far it may fall.

    Raises:
        NotFound, MeterKeepsNoPrice: as `send_prices`.
        PriceTooFine: the currency has more decimals than the meter.
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        where = await _place(connection, project_id, meter_id)
        exponent = project["currency_exponent"]
        levels = (
            where["warning_1_minor"], where["warning_2_minor"], -min(where["floor_minor"] or 0, 0),
        )  # fmt: skip
        known = meter_models.load(where["model"]).parameters
        items = [
            (name, inmeter.price_text(level, exponent, _MONEY_DECIMALS))
            for name, level in zip(_WARNINGS, levels, strict=True)
            if name in known and known[name].writable
        ]
        if not items:
            raise MeterKeepsNoPrice
        asked = {"items": items, "tries": 0}
        return await _send(
            connection, where, CommandKind.SETTING, note, actor_id, at, at + LIFE, asked
        )


async def check(
    db: Database, project_id: int, meter_id: int, actor_id: int | None, at: datetime
) -> int:
    """Read back what a meter charges by, and compare it with what it was sent; the command.

    Raises:
        NotFound: there is no such meter in service.
        NothingSent: there is nothing to compare it with yet.
    """
    async with db.transaction([project_id]) as connection:
        where = await _place(connection, project_id, meter_id)
        sent = await parameters.in_force(connection, project_id, meter_id, at)
        if sent is None:
            raise NothingSent
        asked = _check_of(json.loads(sent["asked"]))
        return await _send(connection, where, CommandKind.CHECK, "", actor_id, at, at + LIFE, asked)


async def held(db: Database, project_id: int, meter_id: int) -> dict[CommandKind, Sent]:
    """What a meter was last sent and last said, by kind; empty where nothing ever was.

    Raises:
        NotFound: there is no such meter in sight.
    """
    async with db.transaction([project_id]) as connection:
        await devices.get_meter(connection, project_id, meter_id)
        rows = await parameters.latest(connection, project_id, meter_id)
    return {CommandKind(kind): _sent(row) for kind, row in rows.items()}


# ---- the head end's and the command's side


def intent_of(kind: CommandKind, asked: Mapping[str, Any], timezone: str, at: datetime) -> Any:
    """What the driver is to do for a command that carries settings."""
    if kind is CommandKind.CHECK:
        return ReadParameters(tuple(name for name, _ in asked["in_force"]))
    zone = ZoneInfo(timezone)
    local = [
        instant.astimezone(zone).replace(tzinfo=None)
        for instant in (datetime.fromisoformat(asked["switch_at"]), at)
    ] if "switch_at" in asked else [None, None]  # fmt: skip
    return WriteSet(
        _pairs(asked["items"]), tuple(asked.get("switches", ())), local[0], local[1],
        _pairs(asked.get("expects", ())),
    )  # fmt: skip


def judged(kind: CommandKind, asked: Mapping[str, Any] | None, outcome: Outcome) -> Outcome:
    """The outcome of a check: it is done only where the meter holds what it was sent."""
    if kind is not CommandKind.CHECK or outcome.effect is not Effect.DONE or asked is None:
        return outcome
    said = outcome.values.parameters
    if all(said.get(name) == text for name, text in asked["in_force"]):
        return outcome
    return replace(outcome, effect=Effect.NOT_DONE, why="differs")


async def ended(
    connection: Connection, project_id: int, row: Any, state: CommandState, why: str, at: datetime
) -> None:
    """A command with settings has ended: what follows, and who is told, inside its transaction."""
    kind, asked = CommandKind(row["kind"]), json.loads(row["asked"])
    # A check that finds another price is not answered by a sending that went well, nor the reverse.
    subject = f"{kind}:{row['meter_id']}"
    if state is CommandState.CONFIRMED:
        await queue.close_alarms(connection, project_id, AlarmKind.PARAMETERS_DIFFER, [subject], at)
        if kind is CommandKind.TARIFF:
            due_at = datetime.fromisoformat(asked["switch_at"]) + CHECK_AFTER
            wait_s = max(int((due_at - at).total_seconds()), 0)
            await enqueue(
                connection, project_id, row, CommandKind.CHECK, Reason(row["reason"]), row["note"],
                row["actor_id"], at, int(LIFE.total_seconds()), wait_s, _check_of(asked),
            )  # fmt: skip
        return
    alarm = queue.NewAlarm(
        AlarmKind.PARAMETERS_DIFFER, subject, point_id=row["point_id"], meter_id=row["meter_id"],
        gateway_id=row["gateway_id"],
        facts={"command_id": row["id"], "kind": kind, "state": state, "why": why},
    )  # fmt: skip
    await queue.open_alarms(connection, project_id, [alarm], at)
    tries = asked["tries"] + 1
    wait_s = AGAIN[min(tries, len(AGAIN)) - 1]
    life_s = int((row["expires_at"] - at).total_seconds()) - wait_s
    if why in _PASSING and tries < TRIES_MAX and life_s > 0:
        await enqueue(
            connection, project_id, row, kind, Reason(row["reason"]), row["note"],
            row["actor_id"], at, life_s, wait_s, asked | {"tries": tries},
        )  # fmt: skip


# ---- inside


async def _place(connection: Connection, project_id: int, meter_id: int) -> Any:
    where = await parameters.place(connection, project_id, meter_id)
    if where is None:
        raise NotFound(N_("Meter"), meter_id)
    if where["keeper"] != Keeper.METER:
        raise MeterKeepsNoPrice
    return dict(where) | {"project_id": project_id}


@dataclass(frozen=True, slots=True)
class _Asked:
    """The version of a tariff that holds at an instant, and the meter that is to hold it."""

    tariff: Any
    number: int
    version: Version
    billing: Billing | None
    holds: Holds
    switch_at: datetime


async def _plan(
    connection: Connection, project: Any, where: Any, switch_at: datetime | None, at: datetime
) -> Planned:
    asked = await _asked(connection, project, where, switch_at, at)
    compiled = inmeter.compiled(asked.version, asked.holds, asked.billing)
    row = asked.tariff
    return Planned(row["id"], row["name"], asked.number, asked.switch_at, compiled)


async def _asked(
    connection: Connection, project: Any, where: Any, switch_at: datetime | None, at: datetime
) -> _Asked:
    if where["tariff_id"] is None:
        raise NoTariff
    if where["multiplier"] != 1:
        raise BehindTransformers
    holds = holds_of(meter_models.load(where["model"]))
    if not holds.bands:
        raise MeterKeepsNoPrice
    row = await catalog.get_tariff(connection, project["id"], where["tariff_id"])
    bodies = await catalog.tariff_bodies(connection, project["id"], [row["id"]])
    parts = [part for body in bodies[row["id"]] for part in body["versions"]]
    whole = live(tariffs.parse({**bodies[row["id"]][0], "versions": parts}))
    scheme = whole.of_household(where["persons"])
    versions = scheme.versions
    if switch_at is None:
        coming = [v.effective_from for v in versions if v.effective_from >= at + LEAD_MIN]
        switch_at = coming[0] if coming else _soon(at)
    first, last = at + LEAD_MIN, at + LEAD_MAX
    if not first <= switch_at <= last or switch_at.second or switch_at.microsecond:
        zone = ZoneInfo(project["timezone"])
        raise SwitchTimeUnusable(
            first=f"{first.astimezone(zone):%Y-%m-%d %H:%M}",
            last=f"{last.astimezone(zone):%Y-%m-%d %H:%M}",
        )
    holding = [n for n, v in enumerate(versions, 1) if v.effective_from <= switch_at]
    if not holding:
        raise NoTariff
    number = holding[-1]
    return _Asked(row, number, versions[number - 1], scheme.billing, holds, switch_at)


def _soon(at: datetime) -> datetime:
    """The next quarter of an hour that lies far enough ahead."""
    seconds = int((at + LEAD).timestamp())
    return datetime.fromtimestamp(-(-seconds // QUARTER_S) * QUARTER_S, at.tzinfo)


async def _send(
    connection: Connection, where: Any, kind: CommandKind, note: str, actor_id: int | None,
    at: datetime, until: datetime, asked: Mapping[str, Any],
) -> int:  # fmt: skip
    """Queue it, behind the life of what may still arrive from an earlier try."""
    project_id = where["project_id"]
    wait_s = 0
    if kind is not CommandKind.CHECK:
        doubt_at = await parameters.last_doubt(connection, project_id, where["meter_id"], KINDS)
        if doubt_at is not None and doubt_at + LIFETIME > at:
            wait_s = int((doubt_at + LIFETIME - at).total_seconds()) + 1
    life_s = max(int((until - at).total_seconds()) - wait_s, 1)
    made = await enqueue(
        connection, project_id, where, kind, Reason.PERSON, note, actor_id, at, life_s, wait_s,
        asked,
    )  # fmt: skip
    await readings.bump(connection, project_id)
    return made


def holds_of(model: MeterModel) -> Holds:
    """What a model's settings have room for; no bands where it keeps no prices."""
    known = model.parameters

    def count(name: str) -> int:
        return sum(f"standby_{name}_{n}" in known for n in range(1, len(known) + 1))

    decimals = 0
    if "standby_price_1" in known:
        layout = DIALECTS[model.protocol].definition(known["standby_price_1"].di).layout
        decimals = layout.decimals if isinstance(layout, Number) else 0
    return Holds(
        bands=model.bands[: count("price")], price_decimals=decimals, limits=count("limit"),
        tables=count("slots") if "standby_zones" in known else 0,
    )  # fmt: skip


def _check_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a check compares, and of which sending."""
    names = ("in_force", "switch_at", "tariff_id", "tariff", "version")
    return {name: asked[name] for name in names} | {"tries": 0}


def _pairs(said: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in said)


def _sent(row: Any) -> Sent:
    asked = json.loads(row["asked"])
    said = json.loads(row["said"]).get("parameters", {}) if row["said"] else {}
    wanted = _pairs(asked["in_force"] if row["kind"] == CommandKind.CHECK else asked["items"])
    switch_at = asked.get("switch_at")
    return Sent(
        row["id"], CommandKind(row["kind"]), CommandState(row["state"]), row["why"],
        row["created_at"], row["ended_at"], asked.get("tariff_id"), asked.get("tariff", ""),
        asked.get("version"), switch_at and datetime.fromisoformat(switch_at),
        tuple(Setting(name, text, said.get(name)) for name, text in wanted),
    )  # fmt: skip
