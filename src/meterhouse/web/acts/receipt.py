"""Acts on receipts: made later, printed, made void, and how a project's receipts look.

Owns what is asked and said. A print is counted here, and its file can then be had for a while by
whoever printed it; a name on it is asked for, needs its own verb, and stands in the audit.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import receipt
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.paper.sheet import TICKET_COLUMNS, Paper
from meterhouse.press.fonts import chinese_family
from meterhouse.store.receipts import Settings
from meterhouse.web import paperwords
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, ReasonText
from meterhouse.web.acts.typed import Version
from meterhouse.web.api import paper as shapes
from meterhouse.web.api.setup import Made
from meterhouse.words import LANGUAGES, N_

_TAG: Final = "receipts"
_RECEIPT: Final = "/projects/{project_id}/receipts/{receipt_id}"
_PAPERS: Final = {one.value: word for one, word in paperwords.PAPER.items()}


class Printing(Form):
    """On what, in which language, and whether with the customer's name."""

    paper: Annotated[Paper | None, Ask(N_("Paper"), kind="choice", words=_PAPERS)] = Field(
        default=None, examples=["a5"]
    )
    """On what; the project's choice when left out. Tickets are bytes for an ESC/POS printer."""
    language: Annotated[
        str | None, StringConstraints(pattern="^(zh-Hans|en)$"),
        Ask(N_("Language"), kind="choice", words=LANGUAGES),
    ] = Field(default=None, examples=["zh-Hans"])  # fmt: skip
    """Its language; the reader's when left out."""
    is_named: Annotated[
        bool,
        Ask(N_("Print the customer's full name"), hint=N_("Otherwise it is masked."), kind="flag"),
    ] = Field(default=False, examples=[False])
    """Whether to print the customer's name unmasked; needs the verb `personal.show`."""


class Voiding(Form):
    """Why a receipt does not count any more."""

    reason: ReasonText
    """Why; it is printed on every later copy and kept in the audit."""


class Look(Form):
    """How a project's receipts look from now on."""

    version: Version
    """The version they were read at."""
    prefix: Annotated[
        str, StringConstraints(max_length=12, pattern=r"^[A-Za-z0-9./_-]*$"),
        Ask(N_("Number begins with"), hint=N_("For payments without a payee, such as R-2026-")),
    ] = Field(default="", examples=["R-2026-"])  # fmt: skip
    """What the numbers begin with; those of a payee begin with its document series."""
    paper: Annotated[Paper, Ask(N_("Paper"), kind="choice", words=_PAPERS)] = Field(
        default=Paper.A5, examples=["a5"]
    )
    """What is offered first for printing."""
    footer: Annotated[
        str, StringConstraints(max_length=200),
        Ask(N_("Text below"), hint=N_("Such as a telephone number, or that it is no tax invoice")),
    ] = Field(default="", examples=["Not a tax invoice."])  # fmt: skip
    """What stands below each receipt."""
    quiet_channels: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,20}$")]],
        Ask(N_("No receipt by itself for"), kind="many", words=paperwords.PAID_BY),
    ] = Field(default=[], max_length=20, examples=[["transfer"]])  # fmt: skip
    """Ways of paying for which a sale brings no receipt; one can still be made later."""


async def _issue(doing: Doing, _: NoFields) -> Done:
    """Make the receipt of a payment that has none that counts."""
    payment_id = doing.ids["payment_id"]
    made = await receipt.issue_later(
        doing.db, doing.project_id, payment_id, doing.doer.actor_id, doing.doer.at
    )
    return Done(f"receipt:{made}", {"id": made}, after={"payment_id": payment_id})


async def _print(doing: Doing, form: Printing) -> Done:
    """Count a print and answer where its file is, for a quarter of an hour; 1 is the original."""
    if form.is_named and not doing.may(Verb.PERSONAL_SHOW):
        raise NotAllowed(Verb.PERSONAL_SHOW)
    receipt_id, doer = doing.ids["receipt_id"], doing.doer
    chosen = (await receipt.settings(doing.db, doing.project_id)).paper
    paper = form.paper or Paper(chosen)
    if paper not in TICKET_COLUMNS:
        # What cannot be set is not counted.
        await asyncio.to_thread(chinese_family)
    language = form.language or doing.words.language
    copy = await receipt.count_print(
        doing.db, doing.project_id, receipt_id, paper, language, form.is_named, doer.actor_id,
        doer.at,
    )  # fmt: skip
    file = f"/api/v1{_RECEIPT}/prints/{copy}/file".format(**doing.ids)
    return Done(
        f"receipt:{receipt_id}",
        {"copy_number": copy, "paper": paper, "file": file},
        after={"copy": copy, "paper": paper} | ({"shown": ["name"]} if form.is_named else {}),
    )


async def _void(doing: Doing, form: Voiding) -> Done:
    """Make a receipt void; its number stays taken."""
    receipt_id, doer = doing.ids["receipt_id"], doing.doer
    label = await receipt.void(
        doing.db, doing.project_id, receipt_id, form.reason, doer.actor_id, doer.at
    )
    return Done(
        f"receipt:{receipt_id}",
        before={"void": False},
        after={"void": True, "label": label},
        reason=form.reason,
    )


async def _look(doing: Doing, form: Look) -> Done:
    """Choose how receipts look, and for which ways of paying a sale brings none."""
    new = Settings(form.prefix, form.paper, form.footer, form.quiet_channels, form.version)
    was = await receipt.change_settings(doing.db, doing.project_id, new)
    after = form.model_dump(mode="json", exclude={"version"})
    return Done(
        f"project:{doing.project_id}",
        {"id": doing.project_id},
        {name: was[name] for name in after},
        after,
    )


async def _look_typed(doing: Doing) -> Mapping[str, Any]:
    return (await receipt.settings(doing.db, doing.project_id))._asdict()


async def _print_typed(doing: Doing) -> Mapping[str, Any]:
    chosen = await receipt.settings(doing.db, doing.project_id)
    return {"paper": chosen.paper, "language": doing.words.language}


async def _about(doing: Doing) -> Choices:
    now = await receipt.look(doing.db, doing.project_id, doing.ids["receipt_id"])
    _, fmt = doing.here
    return (
        (N_("No."), now.row["label"]),
        (N_("Room"), f"{now.facts.building} {now.facts.room}"),
        (N_("Amount"), fmt.money(now.facts.amount_minor)),
        (N_("Printed so far"), str(now.row["print_count"])),
    )


async def _names(doing: Doing, receipt_ids: Sequence[int]) -> list[str]:
    return [
        (await receipt.look(doing.db, doing.project_id, one)).row["label"] for one in receipt_ids
    ]


def _printed(doing: Doing, answer: Any) -> str:
    page = f"/projects/{doing.project_id}/receipts/{doing.ids['receipt_id']}"
    return f"{page}?copy={answer['copy_number']}"


def _page(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/receipts/{doing.ids['receipt_id']}"


ISSUE: Final = Act(
    "receipt.issue", Verb.RECEIPT_PRINT,
    "/projects/{project_id}/payments/{payment_id}/receipts", N_("Make receipt"), NoFields, Made,
    _issue, tag=_TAG,
    then=lambda doing, answer: f"/projects/{doing.project_id}/receipts/{answer['id']}",
)  # fmt: skip
PRINT: Final = Act(
    "receipt.print", Verb.RECEIPT_PRINT, f"{_RECEIPT}/prints", N_("Print receipt"), Printing,
    shapes.Printed, _print, tag=_TAG, about=_about, typed=_print_typed, then=_printed,
    consequence=N_(
        "The print is counted. Only the first is the original; every later one says that it is a "
        "copy."
    ),
)  # fmt: skip
VOID: Final = Act(
    "receipt.void", Verb.RECEIPT_VOID, f"{_RECEIPT}/void", N_("Void receipt"), Voiding, None,
    _void, tag=_TAG, about=_about, then=_page, danger=True, bulk=_names,
    consequence=N_(
        "The paper does not count any more, and its number is never given again. The money stays "
        "as it is; another receipt can be made for the payment."
    ),
)  # fmt: skip
LOOK: Final = Act(
    "receipt.look", Verb.PROJECT_EDIT, "/projects/{project_id}/receipt-settings",
    N_("Receipt settings"), Look, Made, _look, method="PUT", tag=_TAG, typed=_look_typed,
    then=lambda doing, _: f"/projects/{doing.project_id}/settings",
)  # fmt: skip

ACTS: Final = (ISSUE, PRINT, VOID, LOOK)
