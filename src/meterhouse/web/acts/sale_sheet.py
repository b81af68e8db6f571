"""Many recharges from one sheet: checked as a whole, then done row by row by a task.

Owns how the rows are asked for and told. Every fault is named before anything is queued; after
that each row is a sale of its own, done once however often the worker dies, with its own result.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput, MeterhouseError, RowFault, RowsRefused
from meterhouse.flows import desk, task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.desk import Named
from meterhouse.model import Commodity
from meterhouse.store.tasks import NewTask
from meterhouse.web import labels
from meterhouse.web.acts.bulk import KIND
from meterhouse.web.acts.frame import REASON_CHARS_MAX, Ask, Choices, Doing, Form
from meterhouse.web.acts.money import ADD, CHANNELS, read_amount_minor
from meterhouse.web.acts.sheets import Sheet
from meterhouse.web.api import work
from meterhouse.words import N_

Text = Annotated[str, StringConstraints(max_length=60)]


class RechargeLine(Form):
    """A household and what is paid for it."""

    building: Annotated[Text, Ask(N_("Building"), hint=N_("Needed with a room"))] = Field(
        default="", examples=["1"]
    )
    """The building; needed with a room."""
    room: Annotated[Text, Ask(N_("Room"), hint=N_("Or give the meter's address"))] = Field(
        default="", examples=["101"]
    )
    """The room; or the meter's address is given."""
    commodity: Annotated[
        Commodity,
        Ask(N_("Commodity"), kind="choice",
            words={one.value: word for one, word in labels.COMMODITY.items()}),
    ] = Field(default=Commodity.ELECTRICITY, examples=["electricity"])  # fmt: skip
    """What is paid for, where a room has several meters."""
    address: Annotated[
        str, StringConstraints(pattern=r"^\d{0,12}$"),
        Ask(N_("Meter address"), hint=N_("Instead of building and room")),
    ] = Field(default="", examples=["000000000001"])  # fmt: skip
    """Address of the meter, instead of building and room."""
    amount: Annotated[
        str, StringConstraints(min_length=1, max_length=15), Ask(N_("Amount"), kind="money")
    ] = Field(examples=["100.00"], json_schema_extra={"format": "decimal"})
    """Decimal string in the project's currency, above zero."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid by"), kind="choice", words=CHANNELS),
    ] = Field(default="transfer", examples=["transfer"])  # fmt: skip
    """How it was paid."""
    reason: Annotated[
        str, StringConstraints(max_length=REASON_CHARS_MAX), Ask(N_("Note"))
    ] = Field(default="", examples=["March subsidy"])  # fmt: skip
    """A note."""


async def _run(doing: Doing, rows: Sequence[RechargeLine]) -> Done:
    """Queue one recharge a row; each is done once, and has a result of its own."""
    _, fmt = doing.here
    wanted = [Named(one.building, one.room, one.commodity, one.address) for one in rows]
    found = await desk.points_named(doing.db, doing.project_id, wanted)
    forms: list[dict[str, Any]] = []
    faults, ids, total_minor = [], [], 0
    for place, (row, point) in enumerate(zip(rows, found, strict=True)):
        if isinstance(point, MeterhouseError):
            field = "address" if row.address else "room"
            faults.append(RowFault(place, field, point))
            continue
        ids.append(point)
        forms.append({"amount": row.amount, "channel": row.channel, "reason": row.reason})
        try:
            total_minor += read_amount_minor(row.amount, fmt)
        except BadInput as error:
            faults.append(RowFault(place, "amount", error))
    if faults:
        raise RowsRefused(faults)
    payers = await desk.payers(doing.db, doing.project_id, ids)
    for point_id, form in zip(ids, forms, strict=True):
        form["agreement_id"] = payers.get(point_id)
    asked = {
        "act": ADD.name, "verb": ADD.verb, "ids": ids, "forms": forms, "reason": "",
        "via": doing.doer.via, "language": doing.words.language,
    }  # fmt: skip
    new = NewTask(KIND, RECHARGES.title, asked, total_count=len(ids))
    doer = doing.doer
    task_id = await task.start(doing.db, doing.project_id, new, doer.actor_id, doer.at)
    row_now = await task.get(doing.db, doing.project_id, task_id)
    return Done(
        f"task:{task_id}", work.task(row_now).model_dump(mode="json"),
        after={"task_id": task_id, "count": len(ids), "total_minor": total_minor},
    )  # fmt: skip


def _told(doing: Doing, done: Done) -> Choices:
    """How many rows, and what they come to."""
    _, fmt = doing.here
    after = done.after or {}
    return (
        (N_("How many"), fmt.number(after["count"])),
        (N_("Together"), fmt.money(after["total_minor"])),
    )


def _then(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/tasks/{answer['id']}"


RECHARGES: Final = Sheet(
    "credit.import", Verb.CREDIT_ADD, "/projects/{project_id}/supplies", N_("Recharge many"),
    RechargeLine, _run,
    hint=N_("A row a household, by building and room or by the meter's address."),
    tag="money", answer=work.Task, told=_told, then=_then,
)  # fmt: skip

SHEETS: Final[tuple[Sheet[Any], ...]] = (RECHARGES,)
