"""Acts on accounts that stand: closed, handed to the next household, their money moved.

Owns how they are asked for, and the preview that does the very thing and takes it back. Must never
put a name or a phone into an answer, an address or an audit entry.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows import agreement, customer, move, persons, settle
from meterhouse.flows.access import Verb
from meterhouse.flows.account import OpeningNeedsSecond
from meterhouse.flows.act import Done, rehearse
from meterhouse.flows.refund import PayoutNeedsSecond
from meterhouse.flows.settle import Balance, Closed, Debt, Leaving
from meterhouse.model import Compartment
from meterhouse.store.db import Database
from meterhouse.units import to_decimal
from meterhouse.web import lifewords
from meterhouse.web.acts import typed
from meterhouse.web.acts.account import Persons, TermsForm, terms_of, told_of
from meterhouse.web.acts.bulk import wait_for_second
from meterhouse.web.acts.customer import NewCustomer, facts_of
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, ReasonText
from meterhouse.web.acts.money import CHANNELS, read_amount_minor
from meterhouse.web.acts.typed import EXAMPLE, Number, RegisterLines
from meterhouse.web.api import agreements as shapes
from meterhouse.web.api import setup
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_

_TAG: Final = "accounts"
_ONE: Final = "/projects/{project_id}/agreements/{agreement_id}"

Part = Annotated[
    Compartment,
    Field(examples=[Compartment.ELECTRICITY]),
]


def _parts(title: str) -> Ask:
    words = {one.value: word for one, word in lifewords.COMPARTMENT.items()}
    return Ask(title, kind="choice", words=words, half=True)


class LeavingForm(Form):
    """How a household leaves."""

    registers: RegisterLines = ""
    """Registers read by hand: a line a meter, its address, total and where known its bands."""
    debt: Annotated[
        Debt,
        Ask(N_("If it owes"), kind="choice", half=True,
            words={one.value: word for one, word in lifewords.DEBT.items()}),
    ] = Field(default=Debt.REFUSE, examples=["paid"])  # fmt: skip
    """refuse: an owing account is not closed; paid: it is paid now; write_off: it is waived."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid out by"), kind="choice", words=CHANNELS, half=True),
    ] = Field(default="cash", examples=["cash"])  # fmt: skip
    """How money is paid out, or a debt paid."""
    reason: ReasonText
    """Why; also why a register was read by hand."""


class NextTenant(TermsForm, NewCustomer):
    """Who comes next, on what terms."""


class MovingForm(LeavingForm, NextTenant):
    """One household leaves and the next one begins, at one instant and register."""

    balance: Annotated[
        Balance,
        Ask(N_("What is left"), kind="choice",
            words={one.value: word for one, word in lifewords.BALANCE.items()}),
    ] = Field(default=Balance.PAY_OUT, examples=["pay_out"])  # fmt: skip
    """pay_out: to who leaves; move: to the purse of who comes."""
    customer_id: Annotated[Number | None, EXAMPLE, Ask(N_("Customer"), kind="hidden")] = None
    """Id of the customer who comes, where they are known; then name and contacts are not used."""


class PersonsForm(Form):
    """How many live there from now on."""

    persons: Persons
    """How many persons the household has from now on."""
    reason: ReasonText
    """Why."""


class MoveForm(Form):
    """Money from one purse to another."""

    amount: Annotated[
        str, StringConstraints(min_length=1, max_length=15), Ask(N_("Amount"), kind="money")
    ] = Field(examples=["20.00"])
    """Decimal string in the project's currency, above zero."""
    out_of: Annotated[Part, _parts(N_("Out of"))] = Compartment.ELECTRICITY
    """The compartment it comes out of."""
    to: Annotated[Part, _parts(N_("Into"))] = Compartment.COMMON
    """The compartment it goes into."""
    to_agreement_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Number of the other account"), hint=N_("Empty: the same household")),
    ] = None  # fmt: skip
    """Id of the agreement it goes to; none: it stays with the household."""
    reason: ReasonText
    """Why."""


def _leaving(form: LeavingForm) -> Leaving:
    registers = typed.registers(form.registers, "registers")
    return Leaving(form.reason, registers, form.channel, form.debt)


def _told(doing: Doing, closed: Closed) -> dict[str, Any]:
    """What a closing did, as answer and audit tell it."""
    scope, _ = doing.here
    shown = [
        {"kind": one.kind, "compartment": one.compartment,
         "amount": to_decimal(one.amount_minor, scope.currency_exponent),
         "payee_id": one.payee_id, "payee": one.payee, "point_id": one.point_id,
         "order_id": one.payment_id}
        for one in closed.paid
    ]  # fmt: skip
    answer = {
        "id": closed.agreement_id, "next_id": closed.next_id, "paid": shown,
        "registers": [one.plain() for one in closed.registers], "task_id": None,
    }  # fmt: skip
    return shapes.Closed.model_validate(answer).model_dump(mode="json")


async def _close(doing: Doing, form: LeavingForm) -> Done:
    """Close an account: booked to the last coin and paid out; then the house pays."""
    agreement_id, doer = doing.ids["agreement_id"], doing.doer
    try:
        closed = await settle.close(
            doing.db, doing.project_id, agreement_id, _leaving(form), doer.actor_id, doer.at,
            doing.second_id,
        )  # fmt: skip
    except PayoutNeedsSecond:
        return await _wait(doing, CLOSE, form)
    answer = _told(doing, closed)
    return Done(f"agreement:{agreement_id}", answer, after=answer, reason=form.reason)


async def _move_tenants(doing: Doing, form: MovingForm) -> Done:
    """Hand a place to the next household: one account closes, one opens, at one instant."""
    agreement_id, doer = doing.ids["agreement_id"], doing.doer
    terms, customer_id = terms_of(doing, form), form.customer_id
    if customer_id is None:
        customer_id = await customer.add(doing.db, doing.project_id, facts_of(form), form.language)
    try:
        closed = await settle.move_tenants(
            doing.db, doing.project_id, agreement_id, customer_id, terms, form.balance,
            _leaving(form), doer.actor_id, doer.at, doing.second_id,
        )  # fmt: skip
    except (PayoutNeedsSecond, OpeningNeedsSecond):
        # Who comes is a customer by now, so that no name lies in the task until somebody agrees.
        nameless = {"customer_id": customer_id, "name": "-", "phone": "", "email": ""}
        return await _wait(doing, MOVE_TENANTS, form.model_copy(update=nameless))
    answer = _told(doing, closed)
    after = answer | {"customer_id": customer_id} | told_of(terms)
    return Done(f"agreement:{agreement_id}", answer, after=after, reason=form.reason)


async def _wait(doing: Doing, act: Act[Any], form: LeavingForm) -> Done:
    """Nothing is closed yet: a task waits until a second person agrees to what is paid out.

    Raises:
        PayoutNeedsSecond: it is a row of a task that nobody else has agreed to.
    """
    if doing.is_row:
        raise PayoutNeedsSecond
    agreement_id = doing.ids["agreement_id"]
    task_id = await wait_for_second(act, doing, form, form.reason)
    answer: dict[str, Any] = {
        "id": agreement_id, "next_id": None, "paid": [], "registers": [], "task_id": task_id,
    }  # fmt: skip
    after = {"task_id": task_id, "waits": True}
    return Done(f"agreement:{agreement_id}", answer, after=after, reason=form.reason)


async def _move(doing: Doing, form: MoveForm) -> Done:
    """Move money to another purse of the household, or to another household."""
    agreement_id, doer = doing.ids["agreement_id"], doing.doer
    _, fmt = doing.here
    amount_minor = read_amount_minor(form.amount, fmt)
    to_id = form.to_agreement_id or agreement_id
    made = await move.move(
        doing.db, doing.project_id, agreement_id, form.out_of, to_id, form.to, amount_minor,
        f"{doer.via}:{doer.actor_id}:{doer.key}", form.reason, doer.actor_id, doer.at,
    )  # fmt: skip
    after = {
        "payment_id": made, "amount_minor": amount_minor, "out_of": form.out_of, "to": form.to,
        "to_agreement_id": to_id,
    }  # fmt: skip
    return Done(f"agreement:{agreement_id}", {"id": made}, after=after, reason=form.reason)


async def _count(doing: Doing, form: PersonsForm) -> Done:
    """From now on a household has so many persons; what it used before stays as it was charged."""
    agreement_id = doing.ids["agreement_id"]
    had = await persons.change(
        doing.db, doing.project_id, agreement_id, form.persons, doing.doer.at
    )
    return Done(
        f"agreement:{agreement_id}", {"id": agreement_id}, before={"persons": had},
        after={"persons": form.persons}, reason=form.reason,
    )  # fmt: skip


async def _counted(doing: Doing) -> Mapping[str, Any]:
    now = await agreement.look(doing.db, doing.project_id, doing.ids["agreement_id"])
    return {"persons": now.row["persons"]}


async def _preview(doing: Doing, form: LeavingForm) -> Choices:
    """What closing would do: it is done, and all of it is taken back."""

    async def work(db: Database) -> Done:
        return await _close(doing.within(db), form)

    try:
        done = await rehearse(doing.db, [doing.project_id], work)
    except MeterhouseError as error:
        if error.http_status >= 500:
            raise
        return ((N_("Not possible yet"), doing.words.error(error)),)
    if done.answer["task_id"]:
        waits = doing.words(
            N_("Needed: it waits until somebody else with the same right approves it.")
        )
        return ((N_("Second person"), waits),)
    return _lines(doing, done.answer)


def _lines(doing: Doing, answer: Any) -> Choices:
    """Last registers and payments, a line each."""
    scope, fmt = doing.here
    lines = [
        (N_("Last register"), f"{one['address']} · {fmt.energy(one['milli'][0])}")
        for one in answer["registers"]
    ]
    for one in answer["paid"]:
        amount_minor = typed.money_minor(one["amount"], scope.currency_exponent, "")
        part = one["compartment"]
        said = fmt.money(amount_minor)
        if part:
            word = doing.words(lifewords.COMPARTMENT[Compartment(part)])
            said = f"{said} · {word}"
        if one["payee"]:
            said = f"{said} · {one['payee']}"
        lines.append((lifewords.PAID[one["kind"]], said))
    return lines


async def _rooms(doing: Doing, ids: Sequence[int]) -> list[str]:
    found = dict(await agreement.names(doing.db, doing.project_id, ids))
    if missing := [one for one in ids if one not in found]:
        raise NotFound(N_("Agreement"), missing[0])
    return [found[one] for one in ids]


async def _about(doing: Doing) -> Choices:
    now = await agreement.look(doing.db, doing.project_id, doing.ids["agreement_id"])
    _, fmt = doing.here
    rooms = ", ".join(dict.fromkeys(f"{one['building']} {one['room']}" for one in now.points))
    read = [one["good_at"] for one in now.points if one["meter_id"] is not None]
    purse_minor = sum(one["balance_minor"] for one in now.accounts if one["kind"] == "purse")
    return (
        (N_("Rooms"), rooms or ABSENT),
        (N_("Last read"), fmt.instant(min(read)) if read and None not in read else ABSENT),
        (N_("Booked balance"), fmt.money(purse_minor)),
    )


async def _second(doing: Doing, ids: Sequence[int]) -> bool:
    return await settle.needs_second(doing.db, doing.project_id, ids)


def _page(doing: Doing, answer: Any) -> str:
    project = f"/projects/{doing.project_id}"
    if answer["task_id"]:
        return f"{project}/tasks/{answer['task_id']}"
    return f"{project}/agreements/{answer['next_id'] or answer['id']}"


CLOSE: Final = Act(
    "account.close", Verb.ACCOUNT_CLOSE, f"{_ONE}/close", N_("Close account"), LeavingForm,
    shapes.Closed, _close, tag=_TAG, about=_about, danger=True, proof=True, then=_page,
    preview=_preview, bulk=_rooms, second=_second,
    consequence=N_(
        "What was used until the last register is booked, and everything that is left is paid "
        "out. From then on the house pays. It cannot be undone; open a new account instead."
    ),
)  # fmt: skip
MOVE_TENANTS: Final = Act(
    "account.hand_over", Verb.ACCOUNT_CLOSE, f"{_ONE}/hand-over", N_("Change of tenants"),
    MovingForm, shapes.Closed, _move_tenants, tag=_TAG, about=_about, danger=True,
    proof=True, then=_page,
    consequence=N_("One account closes and the next one opens at the same instant and register."),
)  # fmt: skip
MOVE: Final = Act(
    "money.move", Verb.MONEY_MOVE, f"{_ONE}/moves", N_("Move money"), MoveForm, setup.Made, _move,
    tag="money", about=_about, proof=True,
    consequence=N_("Never more than is available, and never to another payee's customers."),
)  # fmt: skip
PERSONS: Final = Act(
    "account.persons", Verb.ACCOUNT_OPEN, f"{_ONE}/persons", N_("Change persons"), PersonsForm,
    setup.Made, _count, tag=_TAG, about=_about, typed=_counted,
    consequence=N_(
        "Limits and free energy that depend on it follow from now on, at every point of the "
        "household. What was used before stays as it was charged."
    ),
)  # fmt: skip

ACTS: Final = (CLOSE, MOVE_TENANTS, MOVE, PERSONS)
