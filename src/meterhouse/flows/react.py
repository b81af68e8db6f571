"""What follows from what a household can still spend: warnings, notices, and the relay.

Owns the step from decisions to rows. Called inside the transaction of whatever changed the
balance (a reading, a payment), so that the change and its consequences are committed together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from meterhouse.control.decide import (
    NO_FLOOR_MINOR,
    Decision,
    Facts,
    KeeperCode,
    Moment,
    OverrideCode,
    Want,
    blocked_by,
    decide,
    reason_of,
    sweep_stops,
    warning_level,
)
from meterhouse.control.policy import Policy, is_quiet, read
from meterhouse.flows.enqueue import enqueue
from meterhouse.ledger import book
from meterhouse.model import AlarmKind, CommandKind, Reason
from meterhouse.store import estimates, monitor, points, queue, readings, recharges
from meterhouse.store.db import Connection
from meterhouse.units import EPOCH, Minor, nano_per_minor, to_decimal, to_us
from meterhouse.words import N_, words

Ints = NDArray[np.int64]
OWING = 4
LAST_WARNING = 3
OLD_ROUNDS: Final = 2
"""What a meter said of its money so many rounds ago is told with its instant."""

LOW_SUBJECT = N_("Balance low: {room}")
LOW_TEXT = N_("The balance of room {room} is {balance} {currency}. Please top up.")
OUT_SUBJECT = N_("Balance used up: {room}")
OUT_TEXT = N_(
    "The balance of room {room} is {balance} {currency}. "
    "The supply will be switched off unless you top up."
)
METER_LOW_TEXT = N_("The meter of room {room} holds {balance} {currency}. Please top up.")
METER_OUT_TEXT = N_(
    "The credit in the meter of room {room} is used up: {balance} {currency}. "
    "The meter switches the supply off by itself unless you top up."
)
METER_WAS_LOW_TEXT = N_(
    "The meter of room {room} held {balance} {currency} when it was last read, at {time}. "
    "Please top up."
)
METER_WAS_OUT_TEXT = N_(
    "The credit in the meter of room {room} was used up when it was last read, at {time}: "
    "{balance} {currency}. The meter switches the supply off by itself unless you top up."
)
_METER_TEXTS: Final = {
    (False, False): METER_LOW_TEXT, (True, False): METER_OUT_TEXT,
    (False, True): METER_WAS_LOW_TEXT, (True, True): METER_WAS_OUT_TEXT,
}  # fmt: skip
"""By whether it is used up, and whether what is known of it is old."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The project a reaction happens in.

    `besides`: kinds of command that are not to be queued now, because one has just failed and
    asking again at once would only wear the relay out; the next reading asks again.
    """

    project_id: int
    timezone: str
    currency: str
    currency_exponent: int
    reading_interval_s: int
    frozen: bool
    policy: Policy
    besides: frozenset[CommandKind] = frozenset()

    @classmethod
    def of(cls, project: Any, besides: frozenset[CommandKind] = frozenset()) -> "Setting":
        """The setting of a project's row."""
        return cls(
            project["id"], project["timezone"], project["currency"],
            project["currency_exponent"], project["reading_interval_s"], project["frozen"],
            read(project["policy"]), besides,
        )  # fmt: skip


async def look_again(
    connection: Connection, project: Any, meter_ids: Sequence[int], at: datetime,
    besides: frozenset[CommandKind] = frozenset(),
) -> int:  # fmt: skip
    """Decide anew for a few meters of one account or one point; answers the commands queued."""
    if not meter_ids:
        return 0
    columns = await points.load(
        connection, project["id"], np.array(sorted(meter_ids), dtype=np.int64)
    )
    shared = await readings.shared_accruals(connection, project["id"], columns["account_id"])
    accrued_nano = columns["accrued_nano"].copy()
    for account_id, total_nano in shared.items():
        accrued_nano[columns["account_id"] == account_id] = total_nano
    available = book.available_minor(
        columns["balance_minor"], columns["pending_debit_minor"], accrued_nano,
        project["currency_exponent"],
    )  # fmt: skip
    level = levels(columns, available)
    commands = await react(connection, Setting.of(project, besides), columns, available, level, at)
    await monitor.set_levels(
        connection, project["id"], columns["point_id"].tolist(), level.tolist()
    )
    return commands


def levels(columns: Mapping[str, Ints], available_minor: Ints) -> NDArray[np.int8]:
    """The warning level of each point; whoever has no floor, or whose money nobody knows, has none.

    Where the meter keeps the money it stays: only a look into the meter moves it (`look_into`).
    """
    level = _of_floor(columns, available_minor, columns["floor_minor"])
    has_floor = columns["floor_minor"] > NO_FLOOR_MINOR
    stays = (columns["keeper"] == KeeperCode.METER) & has_floor
    level[columns["keeper"] != KeeperCode.PLATFORM] = 0
    level[stays] = columns["warning_level"][stays]
    return level


def _of_floor(
    columns: Mapping[str, Ints], available_minor: Ints, floor_minor: Ints
) -> NDArray[np.int8]:
    """The level by a point's own warnings; none where nothing is too little."""
    warnings = [columns[f"warning_{n}_minor"] for n in (1, 2, 3)]
    level = warning_level(available_minor, (warnings[0], warnings[1], warnings[2]), floor_minor)
    level[columns["floor_minor"] <= NO_FLOOR_MINOR] = 0
    return level


async def look_into(
    connection: Connection, project: Any, meter_ids: Sequence[int], at: datetime
) -> None:
    """Warn households whose meters keep their money by what these hold, as last known.

    The same levels, alarms and notices as where the platform keeps it, once for each level that is
    crossed; never a disconnect, for the meter does that itself, when nothing is left. While money
    is on its way to a meter, what it holds without it is told to nobody.
    """
    if not meter_ids:
        return
    found = await recharges.held(connection, project["id"], meter_ids)
    held = {row["meter_id"]: row for row in found}
    if not held:
        return
    loaded = await points.load(connection, project["id"], np.array(sorted(held), dtype=np.int64))
    asked = np.isin(loaded["meter_id"], list(held))
    columns = {name: values[asked] for name, values in loaded.items()}
    rows = [held[meter_id] for meter_id in columns["meter_id"].tolist()]
    net_minor = np.array([row["net_minor"] for row in rows], dtype=np.int64)
    # The platform acts on what is below the floor, a meter already where it is reached.
    level = _of_floor(columns, net_minor, columns["floor_minor"] + 1)
    changed = np.flatnonzero(level != columns["warning_level"])
    if not len(changed):
        return
    setting = Setting.of(project)
    known_at = [row["read_at"] for row in rows]
    await _warn(connection, setting, columns, net_minor, level, changed, at, known_at)
    changed_ids = columns["point_id"][changed].tolist()
    await monitor.set_levels(connection, project["id"], changed_ids, level[changed].tolist())


async def react(
    connection: Connection,
    setting: Setting,
    columns: Mapping[str, Ints],
    available_minor: Ints,
    level: NDArray[np.int8],
    at: datetime,
) -> int:
    """Open and close warnings, tell households, queue what the relay table asks for.

    Args:
        connection: the caller's transaction.
        setting: the project.
        columns: as `store.points.load` gives them, `relay` and `read_at` as just read.
        available_minor: of each point, after what has just happened.
        level: from `levels`; the caller stores it.
        at: the present instant.

    Returns:
        How many commands were queued.
    """
    changed = np.flatnonzero(level != columns["warning_level"])
    if len(changed):
        await _warn(connection, setting, columns, available_minor, level, changed, at)
    decision = decide(_facts(columns, available_minor, is_quiet(
        setting.policy, setting.timezone, at
    ), setting.policy))  # fmt: skip
    acting = np.flatnonzero(decision.act)
    if not len(acting):
        return 0
    return await _switch(connection, setting, columns, available_minor, decision, acting, at)


def _facts(
    columns: Mapping[str, Ints], available_minor: Ints, quiet: bool, policy: Policy
) -> Facts:
    count = len(available_minor)
    debt_minor = columns["floor_minor"] - available_minor
    return Facts(
        available_minor=available_minor,
        floor_minor=columns["floor_minor"],
        reconnect_minor=columns["reconnect_minor"],
        keeper=columns["keeper"],
        override=columns["override"],
        relay=columns["relay"],
        quiet=np.full(count, quiet) & (debt_minor < policy.quiet_debt_minor),
        safety_lock=np.zeros(count, dtype=np.bool_),
        timetable_off=np.zeros(count, dtype=np.bool_),
    )


async def _warn(
    connection: Connection, setting: Setting, columns: Mapping[str, Ints], available_minor: Ints,
    level: NDArray[np.int8], changed: Ints, at: datetime,
    known_at: Sequence[datetime] | None = None,
) -> None:  # fmt: skip
    """Open and close alarms and tell households; `known_at`: since when what is in meters is known.

    None where the platform keeps the money.
    """
    project_id = setting.project_id
    point_ids = columns["point_id"]
    alarms, notices = [], []
    worse = [int(i) for i in changed if level[i] > columns["warning_level"][i]]
    who = await monitor.contacts(connection, project_id, [int(point_ids[i]) for i in worse])
    for i in worse:
        point_id, balance_minor = int(point_ids[i]), int(available_minor[i])
        kind = AlarmKind.CREDIT_OUT if level[i] == OWING else AlarmKind.CREDIT_LOW
        facts = {"available_minor": balance_minor}
        alarms.append(
            queue.NewAlarm(kind, f"point:{point_id}", int(level[i]), point_id, facts=facts)
        )
        text, more = _told(setting, kind, None if known_at is None else known_at[i], at)
        tells_cutoff = known_at is None and bool(level[i] >= LAST_WARNING)
        more |= {"balance": to_decimal(Minor(balance_minor), setting.currency_exponent)}
        key = f"{kind}:{point_id}:{int(level[i])}:{to_us(at)}"
        notices += _notices(setting, who[point_id], kind, text, more, key, tells_cutoff)
    await queue.open_alarms(connection, project_id, alarms, at)
    await queue.insert_notices(connection, project_id, notices, at)
    # Whoever has paid must be told anew before the next cut-off.
    safe = [int(point_ids[i]) for i in changed if level[i] < LAST_WARNING]
    await queue.set_noticed(connection, project_id, safe, EPOCH)
    paid_up = [f"point:{point_ids[i]}" for i in changed if level[i] < OWING]
    await queue.close_alarms(connection, project_id, AlarmKind.CREDIT_OUT, paid_up, at)
    quiet = [f"point:{point_ids[i]}" for i in changed if level[i] in (0, OWING)]
    await queue.close_alarms(connection, project_id, AlarmKind.CREDIT_LOW, quiet, at)


def _told(
    setting: Setting, kind: AlarmKind, known_at: datetime | None, at: datetime
) -> tuple[str, dict[str, str]]:
    """What a household is told, and when what is told was known, where that is a while ago."""
    is_out = kind is AlarmKind.CREDIT_OUT
    if known_at is None:
        return OUT_TEXT if is_out else LOW_TEXT, {}
    is_old = at - known_at > OLD_ROUNDS * timedelta(seconds=setting.reading_interval_s)
    local = known_at.astimezone(ZoneInfo(setting.timezone))
    return _METER_TEXTS[is_out, is_old], {"time": f"{local:%Y-%m-%d %H:%M}"}


def _notices(
    setting: Setting, who: Any, kind: AlarmKind, text: str, facts: Mapping[str, str], key: str,
    tells_cutoff: bool,
) -> list[queue.NewNotice]:  # fmt: skip
    say = words(who["language"])
    facts = {**facts, "room": who["room"], "currency": setting.currency}
    subject = say(OUT_SUBJECT if kind is AlarmKind.CREDIT_OUT else LOW_SUBJECT, **facts)
    return [
        queue.NewNotice(
            channel,
            who["customer_id"],
            subject,
            say(text, **facts),
            f"{key}:{channel}",
            who["point_id"],
            tells_cutoff=tells_cutoff,
        )
        for channel in (("console", "email") if who["has_email"] else ("console",))
    ]


async def _switch(
    connection: Connection, setting: Setting, columns: Mapping[str, Ints], available_minor: Ints,
    decision: Decision, acting: Ints, at: datetime,
) -> int:  # fmt: skip
    project_id, policy = setting.project_id, setting.policy
    meters = columns["meter_id"]
    live: dict[int, set[str]] = {}
    for row in await queue.live_commands(connection, project_id, [int(meters[i]) for i in acting]):
        live.setdefault(row["meter_id"], set()).add(row["kind"])
    off = [int(i) for i in acting if decision.want[i] == Want.OFF]
    who = await monitor.contacts(connection, project_id, [int(columns["point_id"][i]) for i in off])
    estimated = await estimates.owed(
        connection, project_id, [int(columns["point_id"][i]) for i in off]
    )
    due: list[tuple[int, CommandKind, Reason]] = []
    for i in acting:
        reason = reason_of(int(decision.row[i]))
        waiting = live.get(int(meters[i]), set())
        if decision.want[i] == Want.ON:
            kind = CommandKind.CONNECT if policy.close_direct else CommandKind.ALLOW_CONNECT
            if not waiting & {CommandKind.CONNECT, CommandKind.ALLOW_CONNECT}:
                due.append((int(i), kind, reason))
        elif not waiting & {CommandKind.DISCONNECT, CommandKind.CONNECT}:
            has_channel = who[int(columns["point_id"][i])]["has_email"]
            moment = _moment(setting, columns, available_minor, int(i), has_channel, at)
            estimated_nano = estimated.get(int(columns["point_id"][i]), 0)
            moment = replace(moment, estimated=owes_by_estimate(
                moment.available_minor, moment.floor_minor, estimated_nano,
                setting.currency_exponent,
            ))  # fmt: skip
            if blocked_by(reason, moment, policy) is None:
                due.append((int(i), CommandKind.DISCONNECT, reason))
    due = [one for one in due if one[1] not in setting.besides]
    due = await _within_sweep(connection, setting, meters, due, at)
    # A person's standing order is carried out again in that person's name.
    ordered = [int(meters[i]) for i, _, reason in due if reason is Reason.PERSON]
    owners = await queue.standing_orders(connection, project_id, ordered) if ordered else {}
    for i, kind, reason in due:
        actor_id, note = owners.get(int(meters[i]), (None, ""))
        where = {
            "meter_id": int(meters[i]),
            "point_id": int(columns["point_id"][i]),
            "gateway_id": int(columns["gateway_id"][i]) or None,
        }
        await enqueue(
            connection, project_id, where, kind, reason, note, actor_id, at, policy.command_life_s
        )
    return len(due)


def _moment(
    setting: Setting, columns: Mapping[str, Ints], available_minor: Ints, i: int,
    has_channel: bool, at: datetime,
) -> Moment:  # fmt: skip
    now_us = to_us(at)
    noticed = int(columns["noticed_at"][i])
    return Moment(
        available_minor=int(available_minor[i]),
        floor_minor=int(columns["floor_minor"][i]),
        keep_power=columns["override"][i] == OverrideCode.ON or columns["keep_power"][i] == 1,
        quiet=is_quiet(setting.policy, setting.timezone, at),
        reading_age_s=(now_us - int(columns["read_at"][i])) // 1_000_000,
        noticed_age_s=(now_us - noticed) // 1_000_000 if noticed > 0 else -1,
        has_channel=has_channel,
        frozen=setting.frozen,
    )


def owes_by_estimate(
    available_minor: int, floor_minor: int, estimated_nano: int, currency_exponent: int
) -> bool:
    """Whether a household would not owe but for energy that nobody measured."""
    estimated_minor = -(-estimated_nano // nano_per_minor(currency_exponent))
    return available_minor < floor_minor <= available_minor + estimated_minor


async def _within_sweep(
    connection: Connection, setting: Setting, meters: Ints,
    due: list[tuple[int, CommandKind, Reason]], at: datetime,
) -> list[tuple[int, CommandKind, Reason]]:  # fmt: skip
    """What may be done without asking: a sweep that would cut off unusually many stops.

    A sweep is a whole reading interval, however many batches it comes in. Once stopped it stays
    so until a person has closed the alarm.
    """
    arrears = [one for one in due if one[2] is Reason.ARREARS]
    if not arrears:
        return due
    project_id, subject = setting.project_id, f"project:{setting.project_id}"
    others = [one for one in due if one[2] is not Reason.ARREARS]
    await monitor.lock_sweep(connection, project_id)
    if await queue.is_open(connection, project_id, AlarmKind.SWEEP_STOPPED, subject):
        return others
    since = at - timedelta(seconds=setting.reading_interval_s)
    lately = await queue.recent_disconnects(connection, project_id, Reason.ARREARS, None, since)
    wanted = len(lately | {int(meters[i]) for i, _, _ in arrears})
    count = await monitor.point_count(connection, project_id)
    if not sweep_stops(setting.policy, wanted, count):
        return due
    alarm = queue.NewAlarm(
        AlarmKind.SWEEP_STOPPED,
        subject,
        facts={"wanted_count": wanted, "point_count": count},
    )
    await queue.open_alarms(connection, project_id, [alarm], at)
    return others
