"""Acts of whoever puts meters into service: search a bus, fill a checklist, sign it.

Owns their fields and the words before each button. Must never know how a bus is searched or what
proves an item.
"""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.control.commission import Item
from meterhouse.errors import BadInput, NotFound
from meterhouse.flows import commission, monitor, scan, task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import Relay
from meterhouse.units import from_decimal
from meterhouse.web import labels
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, ReasonText
from meterhouse.web.api import field as shapes
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_

_MILLI_EXPONENT: Final = 3
_SEEN: Final = {
    "closed": Relay.CLOSED,
    "open": Relay.OPEN,
    "armed": Relay.ARMED,
}


class NotSafeYet(BadInput):
    """Make sure first that nobody is put in danger, and say so."""

    code = "not_safe_yet"


# ---- searching a bus


class NewScan(Form):
    """How a bus is searched."""

    ending: Annotated[
        str, StringConstraints(pattern=r"^(\d\d){0,6}$"),
        Ask(N_("Ending"), N_("2, 4, 6 … last digits, to search among these alone")),
    ] = Field(default="", examples=["", "05"])  # fmt: skip
    """Only addresses with these last digits, an even number of them; empty for all."""
    patience_ms: Annotated[
        int, Field(ge=scan.PATIENCE_MS_MIN, le=scan.PATIENCE_MS_MAX),
        Ask(N_("Patience"), N_("600 on a wire, 2000 over a network, 8000 over LoRa"), N_("ms")),
    ] = Field(default=scan.PATIENCE_MS["tcp"], examples=[2000])  # fmt: skip
    """How long each question is listened to, in milliseconds."""
    tries: Annotated[
        int, Field(ge=1, le=scan.TRIES_MAX),
        Ask(N_("Tries"), N_("how often silence is asked again before it is believed")),
    ] = Field(default=scan.TRIES, examples=[2])  # fmt: skip
    """How often silence is asked again before it is believed."""


async def _begin_scan(doing: Doing, wish: scan.Wish, gateway_id: int) -> Done:
    task_id = await scan.start(
        doing.db, doing.project_id, gateway_id, wish, doing.doer.actor_id, doing.doer.at
    )
    row = await task.get(doing.db, doing.project_id, task_id)
    shape = shapes.shape_scan(row, ()).model_dump(mode="json")
    return Done(f"gateway:{gateway_id}", shape, after={"task_id": task_id})


async def _scan(doing: Doing, form: NewScan) -> Done:
    """Search a gateway's bus for meters; ask for the search until it has ended."""
    wish = scan.Wish(form.ending, form.patience_ms, form.tries)
    return await _begin_scan(doing, wish, doing.ids["gateway_id"])


async def _of_scan(doing: Doing) -> dict[str, Any]:
    row = await task.get(doing.db, doing.project_id, doing.ids["task_id"])
    if row["kind"] != scan.KIND:
        raise NotFound(N_("Task"), doing.ids["task_id"])
    return row


async def _go_on(doing: Doing, _: NoFields) -> Done:
    """Go on with a search that was stopped, where it was stopped."""
    row = await _of_scan(doing)
    given = row["input"]
    wish = scan.Wish("", given["patience_ms"], given["tries"], row["id"])
    return await _begin_scan(doing, wish, row["gateway_id"])


async def _cancel(doing: Doing, _: NoFields) -> Done:
    """Stop a search; what it has found stays, and it can be gone on with."""
    row = await _of_scan(doing)
    await task.cancel(doing.db, doing.project_id, row["id"], doing.doer.at)
    return Done(f"task:{row['id']}", before={"state": row["state"]})


def _scan_page(doing: Doing, answer: Any) -> str:
    task_id = answer["id"] if answer else doing.ids["task_id"]
    return f"/projects/{doing.project_id}/scans/{task_id}"


SCANS: Final = (
    Act(
        "scan.start",
        Verb.DEVICE_COMMISSION,
        "/projects/{project_id}/gateways/{gateway_id}/scans",
        N_("Search for meters"),
        NewScan,
        shapes.Scan,
        _scan,
        consequence=N_(
            "Every address is asked for in turn; rounds and commands go first. Nothing is changed "
            "at any meter. A hundred questions of silence take about seven minutes over a network."
        ),
        tag="commissioning",
        then=_scan_page,
    ),
    Act(
        "scan.go_on",
        Verb.DEVICE_COMMISSION,
        "/projects/{project_id}/scans/{task_id}/go-on",
        N_("Go on"),
        NoFields,
        shapes.Scan,
        _go_on,
        consequence=N_("The search goes on where it was stopped."),
        tag="commissioning",
        then=_scan_page,
    ),
    Act(
        "scan.cancel",
        Verb.DEVICE_COMMISSION,
        "/projects/{project_id}/scans/{task_id}/cancel",
        N_("Stop the search"),
        NoFields,
        None,
        _cancel,
        consequence=N_("What was found stays, and the search can be gone on with."),
        tag="commissioning",
        then=_scan_page,
    ),
)


# ---- the checklist


class NewChecklist(Form):
    """A new checklist."""

    expected: Annotated[
        str, StringConstraints(max_length=16),
        Ask(N_("Register on the display"), N_("as you read it now; leave it empty if you cannot"),
            N_("kWh")),
    ] = Field(default="", examples=["1234.56"])  # fmt: skip
    """What somebody reads off the display, a decimal string in the unit of the register."""


class Safe(Form):
    """A person's word that power may be cut."""

    is_safe: Annotated[
        bool, Ask(N_("I have made sure that nobody is put in danger"), kind="flag")
    ] = Field(default=False, examples=[True])
    """Whether power may be cut off and brought back now."""


class Seen(Form):
    """What is seen at the meter."""

    seen: Annotated[
        str, StringConstraints(pattern="^(closed|open|armed)$"),
        Ask(N_("Seen at the meter"), kind="choice",
            words={key: labels.RELAY[relay] for key, relay in _SEEN.items()}),
    ] = Field(examples=["closed"])  # fmt: skip
    """`closed` power on, `open` power off, `armed` waiting for the button."""


class LeftOut(Form):
    """An item that is not checked."""

    item: Annotated[
        Item, Ask(N_("Item"), kind="choice", words={k.value: w for k, w in labels.CHECK.items()})
    ] = Field(examples=["relay"])
    """Which item."""
    reason: ReasonText
    """Why it is left out."""


class Signature(Form):
    """The end of a checklist."""

    note: Annotated[
        str, StringConstraints(max_length=500),
        Ask(N_("Note"), N_("needed if something failed: what is to become of it"), kind="area"),
    ] = Field(default="", examples=["Clock will be set on Monday."])  # fmt: skip
    """A note; needed if something failed."""


async def _done(doing: Doing, number: int, deed: str, reason: str = "", **after: Any) -> Done:
    checked = await commission.get(doing.db, doing.project_id, number)
    shape = shapes.checklist(checked).model_dump(mode="json")
    facts = {"commissioning_id": number, "deed": deed, **after}
    return Done(f"meter:{checked.row['meter_id']}", shape, after=facts, reason=reason)


async def _start(doing: Doing, form: NewChecklist) -> Done:
    """Begin a meter's checklist: it is read at once, and again a minute later."""
    expected = None
    if form.expected:
        try:
            expected = from_decimal(form.expected, _MILLI_EXPONENT)
        except BadInput as error:
            error.field = "expected"
            raise
    meter_id, doer = doing.ids["meter_id"], doing.doer
    number = await commission.start(
        doing.db, doing.project_id, meter_id, expected, doer.actor_id, doer.at
    )
    return await _done(doing, number, "start", expected_milli=expected)


async def _try_relay(doing: Doing, form: Safe) -> Done:
    """Cut power off and bring it back, each read back; needs meter.switch, too."""
    if not doing.may(Verb.METER_SWITCH):
        raise NotAllowed(Verb.METER_SWITCH)
    if not form.is_safe:
        error = NotSafeYet()
        error.field = "is_safe"
        raise error
    number, doer = doing.ids["commissioning_id"], doing.doer
    await commission.try_relay(doing.db, doing.project_id, number, doer.actor_id, doer.at)
    return await _done(doing, number, "try_relay")


async def _say_state(doing: Doing, form: Seen) -> Done:
    """Say what is seen at the meter; passed if it is shown like that."""
    number, doer = doing.ids["commissioning_id"], doing.doer
    await commission.say_state(
        doing.db, doing.project_id, number, _SEEN[form.seen], doer.actor_id, doer.at
    )
    return await _done(doing, number, "say_state", seen=form.seen)


async def _ask_again(doing: Doing, _: NoFields) -> Done:
    """Read the meter again for what did not pass."""
    number = doing.ids["commissioning_id"]
    await commission.ask_again(doing.db, doing.project_id, number, doing.doer.at)
    return await _done(doing, number, "ask_again")


async def _leave_out(doing: Doing, form: LeftOut) -> Done:
    """Leave an item out, with a reason."""
    number, doer = doing.ids["commissioning_id"], doing.doer
    await commission.leave_out(
        doing.db, doing.project_id, number, form.item, form.reason, doer.actor_id, doer.at
    )
    return await _done(doing, number, "leave_out", form.reason, item=form.item.value)


async def _sign(doing: Doing, form: Signature) -> Done:
    """Sign a checklist on which everything is settled; it never changes again."""
    number, doer = doing.ids["commissioning_id"], doing.doer
    assert doer.actor_id is not None, "whoever calls an act is somebody"
    await commission.sign(doing.db, doing.project_id, number, form.note, doer.actor_id, doer.at)
    return await _done(doing, number, "sign", form.note)


async def _about_meter(doing: Doing) -> Choices:
    now = await monitor.point(doing.db, doing.project_id, meter_id=doing.ids["meter_id"])
    return _told(now.building, now.room, now.address, now.model)


async def _about(doing: Doing) -> Choices:
    checked = await commission.get(doing.db, doing.project_id, doing.ids["commissioning_id"])
    row = checked.row
    return _told(row["building"], row["room"], row["address"], row["model"])


def _told(building: str, room: str, address: str | None, model: str | None) -> Choices:
    return (
        (N_("Room"), f"{building} {room}"),
        (N_("Meter"), address or ABSENT),
        (N_("Model"), model or ABSENT),
    )


def _page(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/commissioning/{answer['meter_id']}"


def _deed(
    deed: str, title: str, form: type[Form], run: Any, consequence: str, danger: bool = False
) -> Act[Any]:
    return Act(
        f"commissioning.{deed}",
        Verb.DEVICE_COMMISSION,
        f"/projects/{{project_id}}/commissionings/{{commissioning_id}}/{deed.replace('_', '-')}",
        title,
        form,
        shapes.Checklist,
        run,
        consequence=consequence,
        danger=danger,
        tag="commissioning",
        about=_about,
        then=_page,
    )


START: Final = Act(
    "commissioning.start",
    Verb.DEVICE_COMMISSION,
    "/projects/{project_id}/meters/{meter_id}/commissionings",
    N_("Begin a checklist"),
    NewChecklist,
    shapes.Checklist,
    _start,
    consequence=N_("The meter is read now and again a minute later. Nothing is switched."),
    tag="commissioning",
    about=_about_meter,
    then=_page,
)
TRY_RELAY: Final = _deed(
    "try_relay",
    N_("Try the relay"),
    Safe,
    _try_relay,
    N_(
        "Power is cut off for some seconds and comes back; a relay that is open is closed for "
        "some seconds. It ends as it is now. Make sure that nobody is put in danger."
    ),
    danger=True,
)
SAY_STATE: Final = _deed(
    "say_state",
    N_("Say what you see"),
    Seen,
    _say_state,
    N_("Look at the meter: the platform must show the same, and the meter as online."),
)
ASK_AGAIN: Final = _deed(
    "ask_again",
    N_("Read again"),
    NoFields,
    _ask_again,
    N_("The meter is read again for every item of reading that did not pass."),
)
LEAVE_OUT: Final = _deed(
    "leave_out",
    N_("Leave an item out"),
    LeftOut,
    _leave_out,
    N_("The report says that it was not checked, and why."),
)
SIGN: Final = _deed(
    "sign",
    N_("Sign"),
    Signature,
    _sign,
    N_("The checklist is kept with your name and never changes again."),
)
DEEDS: Final = (TRY_RELAY, SAY_STATE, ASK_AGAIN, LEAVE_OUT, SIGN)

ACTS: Final = (*SCANS, START, *DEEDS)
