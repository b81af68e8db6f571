"""Acts on one's own shift at the desk: open it, close it, hand it over."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import refund, shift
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.units import Minor, to_decimal
from meterhouse.web.acts import typed
from meterhouse.web.acts.bulk import wait_for_second
from meterhouse.web.acts.frame import REASON_CHARS_MAX, Act, Ask, Choices, Doing, Form, ReasonText
from meterhouse.web.api import desk as shapes
from meterhouse.web.api import shapes as values
from meterhouse.words import N_

_TAG: Final = "money"
_ALL: Final = "/projects/{project_id}/shifts"
_ONE: Final = f"{_ALL}/{{shift_id}}"

MoneyText = Annotated[str, StringConstraints(min_length=1, max_length=15)]


class NewShift(Form):
    """A shift to be opened."""

    drawer: Annotated[
        MoneyText, Ask(N_("Float"), kind="money", hint=N_("The change that lies in the drawer"))
    ] = Field(default="0", examples=["200.00"])
    """The change that lies in the drawer, decimal, zero or above."""


class ShiftEnd(Form):
    """The drawer, counted."""

    counted: Annotated[
        MoneyText, Ask(N_("Cash counted"), kind="money", hint=N_("Everything in the drawer"))
    ] = Field(examples=["1350.00"])
    """The cash that lies in the drawer, decimal, zero or above."""
    note: Annotated[
        str, StringConstraints(max_length=REASON_CHARS_MAX), Ask(N_("Note"))
    ] = Field(default="", examples=["one note was torn"])  # fmt: skip
    """Why it differs, where it does."""


class ShiftLeft(Form):
    """The drawer of somebody who does not come back, counted."""

    counted: Annotated[
        MoneyText, Ask(N_("Cash counted"), kind="money", hint=N_("Everything in the drawer"))
    ] = Field(examples=["1350.00"])
    """The cash that lies in the drawer, decimal, zero or above."""
    reason: ReasonText
    """Why its cashier does not close it."""


class ShiftGiven(ShiftEnd):
    """The drawer, counted, and who goes on with it."""

    to: Annotated[
        str, StringConstraints(min_length=1, max_length=60),
        Ask(N_("Hand over to"), hint=N_("Your colleague's login")),
    ] = Field(examples=["wang"])  # fmt: skip
    """Login of the colleague who goes on; the cash counted is their float."""
    expected: Annotated[
        str, StringConstraints(max_length=20), Ask(N_("Expected in the drawer"), kind="hidden")
    ] = Field(default="", examples=["1350.00"])
    """What was expected when it was counted; refused where that has changed. Empty: counted now."""


def _amount_minor(doing: Doing, text: str, field: str, least: int | None = 0) -> Minor:
    scope, _ = doing.here
    amount_minor = typed.money_minor(text, scope.currency_exponent, field)
    if not (least is None or least <= amount_minor) or amount_minor > shift.FLOAT_MINOR_MAX:
        raise typed.beside(typed.MoneyUnusable(decimals=scope.currency_exponent), field)
    return amount_minor


async def _open(doing: Doing, form: NewShift) -> Done:
    """Open one's shift with a float in the drawer."""
    float_minor = _amount_minor(doing, form.drawer, "drawer")
    made = await shift.open_one(
        doing.db, doing.project_id, doing.doer_id, float_minor, doing.doer.at
    )
    return Done(f"shift:{made}", {"id": made}, after={"float_minor": float_minor})


async def _close(doing: Doing, form: ShiftEnd) -> Done:
    """Close one's shift with the cash counted; what it differs by is kept."""
    return await _ended(doing, form, "")


async def _close_for(doing: Doing, form: ShiftLeft) -> Done:
    """Close the shift of a cashier who does not, with the cash counted and the reason."""
    shift_id = doing.ids["shift_id"]
    counted_minor = _amount_minor(doing, form.counted, "counted")
    done = await shift.close_for(
        doing.db,
        doing.project_id,
        shift_id,
        doing.doer_id,
        counted_minor,
        form.reason,
        doing.doer.at,
    )
    answer = _shape(doing, done.expected_minor, counted_minor, None)
    after = {"expected_minor": done.expected_minor, "counted_minor": counted_minor}
    return Done(
        f"shift:{shift_id}", answer.model_dump(mode="json"), after=after, reason=form.reason
    )


async def _hand_over(doing: Doing, form: ShiftGiven) -> Done:
    """Close one's shift and open a colleague's with what was counted.

    Above the project's limit it waits until somebody else has agreed, most simply the colleague.
    """
    scope, _ = doing.here
    now = await shift.look(doing.db, doing.project_id, doing.ids["shift_id"])
    counted_minor = _amount_minor(doing, form.counted, "counted")
    is_much = doing.second_id is None and await refund.needs_second(
        doing.db, doing.project_id, counted_minor
    )
    if not is_much or now.row["cashier_id"] != doing.doer_id:
        return await _ended(doing, form, form.to, form.expected)
    seen = form.expected or to_decimal(now.expected_minor, scope.currency_exponent)
    waiting = form.model_copy(update={"expected": seen})
    reason = form.note or doing.words(HAND_OVER.title)
    task_id = await wait_for_second(HAND_OVER, doing, waiting, reason)
    answer = _shape(doing, now.expected_minor, counted_minor, None, task_id)
    after = {"task_id": task_id, "counted_minor": counted_minor, "waits": True}
    return Done(f"task:{task_id}", answer.model_dump(mode="json"), after=after, reason=form.note)


def _shape(
    doing: Doing, expected_minor: int, counted_minor: int, next_id: int | None,
    task_id: int | None = None,
) -> shapes.ShiftEnded:  # fmt: skip
    scope, _ = doing.here
    return shapes.ShiftEnded(
        id=doing.ids["shift_id"],
        expected=values.money(expected_minor, scope),
        counted=values.money(counted_minor, scope),
        difference=values.money(counted_minor - expected_minor, scope),
        next_shift_id=next_id,
        task_id=task_id,
    )


async def _ended(doing: Doing, form: ShiftEnd, to_login: str, seen: str = "") -> Done:
    shift_id = doing.ids["shift_id"]
    counted_minor = _amount_minor(doing, form.counted, "counted")
    seen_minor = _amount_minor(doing, seen, "expected", least=None) if seen else None
    done = await shift.close(
        doing.db, doing.project_id, shift_id, doing.doer_id, counted_minor, form.note,
        doing.doer.at, to_login, doing.second_id, seen_minor,
    )  # fmt: skip
    answer = _shape(doing, done.expected_minor, counted_minor, done.next_id)
    after = {
        "expected_minor": done.expected_minor, "counted_minor": counted_minor,
        "next_shift_id": done.next_id,
    }  # fmt: skip
    return Done(f"shift:{shift_id}", answer.model_dump(mode="json"), after=after, reason=form.note)


async def _about(doing: Doing) -> Choices:
    now = await shift.look(doing.db, doing.project_id, doing.ids["shift_id"])
    _, fmt = doing.here
    return (
        (N_("Cashier"), now.row["cashier"]),
        (N_("Since"), fmt.instant(now.row["opened_at"])),
        (N_("Float"), fmt.money(now.row["float_minor"])),
        (N_("Expected in the drawer"), fmt.money(now.expected_minor)),
    )


def _page(doing: Doing, answer: Any) -> str:
    project = f"/projects/{doing.project_id}"
    if answer.get("task_id"):
        return f"{project}/tasks/{answer['task_id']}"
    return f"{project}/shifts/{answer['id']}"


OPEN: Final = Act(
    "shift.open", Verb.SHIFT_OWN, _ALL, N_("Open shift"), NewShift, shapes.ShiftOpened, _open,
    tag=_TAG, then=_page,
)  # fmt: skip
CLOSE: Final = Act(
    "shift.close", Verb.SHIFT_OWN, f"{_ONE}/close", N_("Close shift"), ShiftEnd,
    shapes.ShiftEnded, _close, tag=_TAG, about=_about, then=_page,
    consequence=N_("The shift ends; what was counted and what it differs by are kept."),
)  # fmt: skip
CLOSE_FOR: Final = Act(
    "shift.close_for", Verb.DAY_CLOSE, f"{_ONE}/close-for", N_("Close for the cashier"), ShiftLeft,
    shapes.ShiftEnded, _close_for, tag=_TAG, about=_about, then=_page, danger=True,
    consequence=N_(
        "Somebody else's shift ends; what was counted, what it differs by and the reason are kept."
    ),
)  # fmt: skip
HAND_OVER: Final[Act[Any]] = Act(
    "shift.hand_over", Verb.SHIFT_OWN, f"{_ONE}/hand-over", N_("Hand over"), ShiftGiven,
    shapes.ShiftEnded, _hand_over, tag=_TAG, about=_about, then=_page,
    consequence=N_(
        "Your shift ends, and your colleague's begins with the cash counted. Above the project's "
        "limit it waits until somebody else, most simply your colleague, has agreed."
    ),
)  # fmt: skip

ACTS: Final = (OPEN, CLOSE, CLOSE_FOR, HAND_OVER)
