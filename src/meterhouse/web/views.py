"""The lists there are: alarms, meters, gateways, notices, commands, audit, readings.

Owns the columns, filters, order and links of each list; a page, an export and an API list are
made of the same declaration. Must never know a request. Keys of filters and sortable columns are
those of the flow's list of the same name.
"""

from collections.abc import Callable
from typing import Any, Final

from meterhouse.flows import alarm
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Via
from meterhouse.model import (
    AlarmKind,
    CommandKind,
    CommandState,
    Commodity,
    Keeper,
    Quality,
    Reason,
    Relay,
)
from meterhouse.units import EPOCH, to_us
from meterhouse.web import bookviews, deskviews, labels, lifeviews
from meterhouse.web.acts import customer, gateway, install, scheme, site_sheet, tariff
from meterhouse.web.audited import ACT_TITLES, act_title, change_told, object_link, object_told
from meterhouse.web.billview import BILLS
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell, masked_name
from meterhouse.web.doubtviews import DOUBTS, ESTIMATES
from meterhouse.web.doubtwords import QUALITY_CLASS
from meterhouse.web.labels import NoticeState, Online, Source, TaskState
from meterhouse.web.listview import KNOWN, ListView, RowAct
from meterhouse.web.receiptview import RECEIPTS
from meterhouse.web.rechargeview import RECHARGES
from meterhouse.web.replayview import REPLAYS
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_


def since_read(key: str) -> Callable[[Any], Any]:
    """Reads a figure of a meter's last reading: nothing before there was one."""
    return lambda row: None if row["read_at"] is None or row["read_at"] <= EPOCH else row[key]


def reported(key: str) -> Callable[[Any], Any]:
    """Reads a figure that is −1 where the meter did not say."""
    return lambda row: None if row[key] is None or row[key] < 0 else row[key]


def counted(key: str) -> Callable[[Any], Any]:
    """Reads a count of a checklist's items; nothing is counted where there is no checklist."""
    return lambda row: None if row["commissioning_id"] is None else row[key]


def online(key: str) -> Callable[[Any], Online]:
    """Reads a truth as online or offline."""
    return lambda row: Online.ONLINE if row[key] else Online.OFFLINE


def online_colour(key: str) -> Callable[[Any], str]:
    """The colour that goes with it."""
    return lambda row: "ok" if row[key] else "off"


def closes_by_hand(row: Any) -> bool:
    """Whether an alarm is open and nothing else closes it."""
    return row["closed_at"] is None and row["kind"] in alarm.BY_HAND


def is_stopped_sweep(row: Any) -> bool:
    """Whether an alarm is a sweep that waits for somebody's yes."""
    return row["closed_at"] is None and row["kind"] == AlarmKind.SWEEP_STOPPED


def task_count(row: Any) -> str:
    """How far a task is, as `40 / 120`."""
    return f"{row['done_count']} / {row['total_count']}" if row["total_count"] else ""


def relay_colour(row: Any) -> str:
    """The colour of a relay's word."""
    return labels.RELAY_CLASS[Relay(row["relay"] or 0)]


def quality_colour(row: Any) -> str:
    """The colour of how a reading is known."""
    return QUALITY_CLASS[Quality(row["quality"])]


def reading_link(row: Any) -> str:
    """A reading's own page, as seen from the page of a room or a meter."""
    return f"../meters/{row['meter_id']}/readings/{to_us(row['read_at'])}"


def sealed(row: Any) -> labels.Sealed:
    """Whether an entry is under a seal."""
    return labels.Sealed.SEALED if row["is_sealed"] else labels.Sealed.OPEN


ONLINE: Final = Filter("online", N_("State"), {"true": N_("Online"), "false": N_("Offline")})
ALARMS: Final = ListView(
    Table(
        "alarms",
        (
            Column("kind", N_("Alarm"), cell("kind", AlarmKind), Kind.STATE, sortable=True,
                   colour=lambda row: labels.alarm_colour(row["kind"], row["closed_at"])),
            BUILDING,
            ROOM,
            Column("address", N_("Meter"), cell("address")),
            Column("gateway", N_("Gateway"), cell("gateway")),
            Column("level", N_("Level"), lambda row: row["level"] or None, Kind.COUNT),
            Column("why", N_("Detail"), labels.alarm_why, Kind.WORD),
            Column("opened_at", N_("Raised"), cell("opened_at"), Kind.INSTANT, sortable=True),
            Column("closed_at", N_("Cleared"), cell("closed_at"), Kind.INSTANT, sortable=True),
        ),
        (
            Filter("open", N_("State"), {"true": N_("Now"), "false": N_("Past")}),
            Filter("kind", N_("Alarm"), {k.value: word for k, word in labels.ALARM_KIND.items()}),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="opened_at",
        descending=True,
        empty=N_("No alarms."),
        empty_hint=N_("Alarms open and close by themselves; there is nothing to do."),
    ),
    N_("Alarms"),
    Verb.ALARM_READ,
    links=((N_("Doubtful readings"), "doubts"), (N_("Estimates"), "estimates")),
    row_acts=(RowAct("alarm.close", closes_by_hand), RowAct("sweep.release", is_stopped_sweep)),
)  # fmt: skip

METERS: Final = ListView(
    Table(
        "meters",
        (
            Column("address", N_("Address"), cell("address"), sortable=True,
                   link=lambda row: f"meters/{row['id']}"),
            Column("online", N_("State"), online("is_online"), Kind.STATE,
                   colour=online_colour("is_online")),
            Column("building", N_("Building"), cell("building"), sortable=True),
            ROOM,
            Column("model", N_("Model"), cell("model"), sortable=True),
            Column("gateway", N_("Gateway"), cell("gateway"), sortable=True),
            Column("read_at", N_("Last seen"), since_read("read_at"), Kind.INSTANT,
                   sortable=True),
            Column("energy", N_("Total"), since_read("good_0_milli"), Kind.ENERGY, sortable=True),
            Column("power", N_("Power (kW)"), reported("power_w"), Kind.POWER, sortable=True),
            Column("relay", N_("Relay"), cell("relay", Relay), Kind.STATE, colour=relay_colour),
            Column("offline_since", N_("Offline since"), cell("offline_since"), Kind.INSTANT,
                   optional=True),
            Column("multiplier", N_("Multiplier"), cell("multiplier"), Kind.COUNT, optional=True),
            Column("installed_at", N_("Installed"), cell("installed_at"), Kind.INSTANT,
                   optional=True),
        ),
        (ONLINE, Filter("text", N_("Search"), hint=N_("Room or meter"))),
        sort="room",
        empty=N_("No meters yet."),
        empty_hint=N_("Add gateways and meters when you set up the site."),
    ),
    N_("Meters"),
    Verb.DEVICE_READ,
    (install.ADD_METER,),
    (site_sheet.SITE.act,),
    links=((N_("Meter exchanges"), "exchanges"),),
    row_acts=(
        *(RowAct(f"meter.{deed}") for deed in (
            "read", "disconnect", "connect", "keep_power", "restore_prepay",
        )),
        *(RowAct(f"meter.{deed}", lambda row: row["keeper"] == Keeper.METER) for deed in (
            "send_prices", "send_warnings", "check_prices",
        )),
    ),
)  # fmt: skip

GATEWAYS: Final = ListView(
    Table(
        "gateways",
        (
            Column("name", N_("Gateway"), cell("name"), sortable=True,
                   link=lambda row: f"gateways/{row['id']}"),
            Column("online", N_("State"), online("online"), Kind.STATE,
                   colour=online_colour("online")),
            Column("registration", N_("Registration"), cell("registration"), sortable=True),
            Column("direction", N_("Direction"), cell("direction", labels.Direction), Kind.STATE),
            Column("peer", N_("Connected from"), cell("peer")),
            Column("since_at", N_("Since"), cell("since_at"), Kind.INSTANT),
            Column("seen_at", N_("Last seen"), cell("seen_at"), Kind.INSTANT, sortable=True),
            Column("meters", N_("Meters"), cell("meter_count"), Kind.COUNT, sortable=True),
            Column("offline", N_("Meters offline"), cell("offline_count"), Kind.COUNT,
                   sortable=True),
            Column("protocol", N_("Protocol"), cell("protocol"), optional=True),
            Column("search", N_("Bus"), lambda _: N_("Search for meters"), Kind.WORD,
                   link=lambda row: f"gateways/{row['id']}/scans"),
        ),
        (ONLINE, Filter("text", N_("Search"), hint=N_("Name, registration or address"))),
        sort="name",
        empty=N_("No gateways yet."),
        empty_hint=N_("Add gateways and meters when you set up the site."),
    ),
    N_("Gateways"),
    Verb.DEVICE_READ,
    (gateway.ADD,),
)  # fmt: skip

COMMISSIONING: Final = ListView(
    Table(
        "commissioning",
        (
            Column("address", N_("Meter"), cell("address"), sortable=True,
                   link=lambda row: f"commissioning/{row['id']}"),
            Column("building", N_("Building"), cell("building"), sortable=True),
            ROOM,
            Column("model", N_("Model"), cell("model")),
            Column("gateway", N_("Gateway"), cell("gateway")),
            Column("state", N_("Checklist"), cell("state", labels.Commissioned), Kind.STATE,
                   sortable=True,
                   colour=lambda row: labels.COMMISSIONED_CLASS[
                       labels.Commissioned(row["state"])
                   ]),
            Column("passed", N_("Passed"), counted("passed_count"), Kind.COUNT),
            Column("failed", N_("Not passed"), counted("failed_count"), Kind.COUNT),
            Column("signed_at", N_("Signed at"), cell("signed_at"), Kind.INSTANT, sortable=True),
            Column("signer", N_("Signed by"), cell("signer_name")),
            Column("installed_at", N_("Installed"), cell("installed_at"), Kind.INSTANT,
                   optional=True),
        ),
        (
            Filter("state", N_("Checklist"),
                   {s.value: word for s, word in labels.COMMISSIONED.items()}),
            Filter("text", N_("Search"), hint=N_("Room, building or address")),
        ),
        sort="building",
        empty=N_("No meters yet."),
        empty_hint=N_("Add gateways and meters when you set up the site."),
    ),
    N_("Commissioning"),
    Verb.DEVICE_READ,
    links=((N_("Reports to print"), "commissioning/report"),),
)  # fmt: skip

COMMANDS: Final = ListView(
    Table(
        "commands",
        (
            Column("created_at", N_("Asked"), cell("created_at"), Kind.INSTANT, sortable=True),
            Column("kind", N_("Command"), cell("kind", CommandKind), Kind.STATE, sortable=True),
            BUILDING,
            ROOM,
            Column("address", N_("Meter"), cell("address")),
            Column("state", N_("State"), cell("state", CommandState), Kind.STATE, sortable=True,
                   colour=lambda row: labels.COMMAND_CLASS[CommandState(row["state"])]),
            Column("why", N_("Result"), labels.why_of, Kind.WORD),
            Column("reason", N_("Cause"), cell("reason", Reason), Kind.STATE),
            Column("actor", N_("By"), cell("actor")),
            Column("note", N_("Reason given"), cell("note")),
            Column("sent_at", N_("Sent"), cell("sent_at"), Kind.INSTANT, optional=True),
            Column("ended_at", N_("Ended"), cell("ended_at"), Kind.INSTANT, sortable=True),
        ),
        (
            Filter("state", N_("State"),
                   {s.value: word for s, word in labels.COMMAND_STATE.items()}),
            Filter("kind", N_("Command"),
                   {k.value: word for k, word in labels.COMMAND_KIND.items()}),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("No commands yet."),
        empty_hint=N_("Open a room to read, disconnect or connect its meter."),
    ),
    N_("Commands"),
    Verb.COMMAND_READ,
)  # fmt: skip

NOTICES: Final = ListView(
    Table(
        "notices",
        (
            Column("created_at", N_("Written"), cell("created_at"), Kind.INSTANT, sortable=True),
            Column("state", N_("State"), cell("state", NoticeState), Kind.STATE, sortable=True,
                   colour=lambda row: labels.NOTICE_CLASS[NoticeState(row["state"])]),
            ROOM,
            Column("channel", N_("Channel"), labels.channel_of, Kind.WORD),
            Column("recipient", N_("Recipient"), cell("recipient"), optional=True),
            Column("subject", N_("Subject"), cell("subject")),
            Column("text", N_("Text"), cell("text")),
            Column("sent_at", N_("Sent"), cell("sent_at"), Kind.INSTANT, sortable=True),
            Column("why", N_("Failure"), cell("why"), optional=True),
        ),
        (
            Filter("state", N_("State"),
                   {s.value: word for s, word in labels.NOTICE_STATE.items()}),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("No notices yet."),
        empty_hint=N_("Warnings and receipts to customers appear here."),
    ),
    N_("Notices"),
    Verb.NOTICE_READ,
)  # fmt: skip

AUDIT: Final = ListView(
    Table(
        "audit",
        (
            Column("at", N_("When"), cell("at"), Kind.INSTANT, sortable=True),
            Column("actor", N_("Who"), cell("actor"), sortable=True),
            Column("via", N_("Through"), cell("via", Via), Kind.STATE),
            Column("act", N_("Act"), lambda row: act_title(row["act"]), Kind.WORD, sortable=True),
            Column("object", N_("Object"), object_told, Kind.TOLD, sortable=True,
                   link=object_link),
            Column("difference", N_("Before → after"), change_told, Kind.TOLD),
            Column("reason", N_("Reason given"), cell("reason")),
            Column("sealed", N_("Seal"), sealed, Kind.STATE,
                   colour=lambda row: "ok" if row["is_sealed"] else "busy"),
            Column("object_id", N_("Object's number"), cell("object"), optional=True),
            Column("verb", N_("Verb"), cell("verb"), optional=True),
            Column("request_id", N_("Request"), cell("request_id"), optional=True),
        ),
        (
            Filter("person", N_("Who"), hint=N_("Part of a name")),
            Filter("act", N_("Act"), ACT_TITLES),
            Filter("object", N_("Object"), hint=N_("As in meter:12")),
            FROM,
            TO,
        ),
        sort="at",
        descending=True,
        empty=N_("Nothing was done here yet."),
        empty_hint=N_("Every change by a person or a program leaves a line here."),
    ),
    N_("Audit"),
    Verb.AUDIT_READ,
)  # fmt: skip

READINGS: Final = ListView(
    Table(
        "readings",
        (
            Column("read_at", N_("Read"), cell("read_at"), Kind.INSTANT, sortable=True,
                   link=reading_link),
            Column("total", N_("Total"), cell("total_milli"), Kind.ENERGY, sortable=True),
            Column("band_1", N_("Sharp"), reported("band_1_milli"), Kind.ENERGY),
            Column("band_2", N_("Peak"), reported("band_2_milli"), Kind.ENERGY),
            Column("band_3", N_("Flat"), reported("band_3_milli"), Kind.ENERGY),
            Column("band_4", N_("Valley"), reported("band_4_milli"), Kind.ENERGY),
            Column("power", N_("Power (kW)"), reported("power_w"), Kind.POWER, sortable=True),
            Column("relay", N_("Relay"), cell("relay", Relay), Kind.STATE, colour=relay_colour),
            Column("quality", N_("Quality"), cell("quality", Quality), Kind.STATE,
                   colour=quality_colour),
            Column("credit", N_("Credit in the meter"), reported("credit_minor"), Kind.MONEY,
                   optional=True),
            Column("source", N_("Source"), cell("source", Source), Kind.STATE, optional=True),
            Column("received_at", N_("Received"), cell("received_at"), Kind.INSTANT,
                   optional=True),
        ),
        (FROM, TO),
        sort="read_at",
        descending=True,
        empty=N_("No readings yet."),
        empty_hint=N_("The next round brings the first one; or read the meter now."),
    ),
    N_("Readings"),
    Verb.ROOM_READ,
)  # fmt: skip

TASKS: Final = ListView(
    Table(
        "tasks",
        (
            Column("title", N_("Task"), cell("title"), Kind.WORD,
                   link=lambda row: f"tasks/{row['id']}"),
            Column("state", N_("State"), cell("state", TaskState), Kind.STATE, sortable=True,
                   colour=lambda row: labels.TASK_CLASS[TaskState(row["state"])]),
            Column("count", N_("Progress"), task_count),
            Column("actor", N_("By"), cell("actor")),
            Column("created_at", N_("Asked"), cell("created_at"), Kind.INSTANT, sortable=True),
            Column("started_at", N_("Began"), cell("started_at"), Kind.INSTANT, optional=True),
            Column("ended_at", N_("Ended"), cell("ended_at"), Kind.INSTANT, sortable=True),
        ),
        (
            Filter("state", N_("State"), {s.value: word for s, word in labels.TASK_STATE.items()}),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("No tasks yet."),
        empty_hint=N_("What is done to many rows, large imports and long files appear here."),
    ),
    N_("Tasks"),
    Verb.TASK_READ,
    row_acts=(
        RowAct("task.approve", lambda row: row["state"] == "waiting"),
        RowAct("task.cancel", lambda row: row["state"] in ("waiting", "queued", "running")),
    ),
)  # fmt: skip

TARIFFS: Final = ListView(
    Table(
        "tariffs",
        (
            Column("name", N_("Tariff"), cell("name"), sortable=True,
                   link=lambda row: f"tariffs/{row['id']}"),
            Column("commodity", N_("Commodity"), cell("commodity", Commodity), Kind.STATE,
                   sortable=True),
            Column("effective_from", N_("Latest version from"), cell("effective_from"),
                   Kind.INSTANT, sortable=True),
            Column("versions", N_("Versions"), cell("version_count"), Kind.COUNT, sortable=True),
            Column("points", N_("Points"), cell("point_count"), Kind.COUNT, sortable=True),
        ),
        (Filter("text", N_("Search"), hint=N_("Name of the tariff")),),
        sort="name",
        empty=N_("No tariffs yet."),
        empty_hint=N_("Add a price; then assign it to points."),
    ),
    N_("Tariffs"),
    Verb.TARIFF_READ,
    tariff.ADDERS,
    pages=(scheme.ADD,),
    links=((N_("Published schemes"), "library"), (N_("Calculator"), "calculator")),
)  # fmt: skip

CUSTOMERS: Final = ListView(
    Table(
        "customers",
        (
            Column("name", N_("Customer"), masked_name, Kind.WORD,
                   link=lambda row: f"customers/{row['id']}"),
            Column("rooms", N_("Rooms"), cell("rooms")),
            Column("phone", N_("Phone"), cell("phone")),
            Column("email", N_("E-mail"), cell("email")),
            Column("language", N_("Language"), cell("language"), optional=True),
            Column("balance", N_("Balance"), cell("balance_minor"), Kind.MONEY, sortable=True),
            Column("since", N_("Since"), cell("valid_from"), Kind.INSTANT, sortable=True),
        ),
        (
            Filter("let", N_("State"), {"true": N_("Has an account"), "false": N_("Has none")}),
            Filter("text", N_("Search"), hint=N_("Room")),
        ),
        sort="since",
        descending=True,
        empty=N_("No customers yet."),
        empty_hint=N_("Open an account for a room, or import a sheet."),
    ),
    N_("Customers"),
    Verb.CUSTOMER_READ,
    (customer.ADD,),
    (site_sheet.HOUSEHOLDS.act,),
)  # fmt: skip

LISTS: Final = {
    view.table.name: view
    for view in (
        ALARMS, METERS, GATEWAYS, COMMISSIONING, COMMANDS, NOTICES, TASKS, AUDIT, TARIFFS,
        BILLS, CUSTOMERS, RECEIPTS, RECHARGES, REPLAYS, DOUBTS, ESTIMATES, *deskviews.LISTS,
        *lifeviews.LISTS, *bookviews.LISTS,
    )
}  # fmt: skip
KNOWN.update(LISTS)
