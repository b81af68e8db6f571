"""Acts on accounts: prepared, opened, widened, one or many.

Owns how they are asked for. Must never put a name or a phone into an answer, an address or an
audit entry.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows import account, customer, device, place
from meterhouse.flows.access import Verb
from meterhouse.flows.account import Terms
from meterhouse.flows.act import Done
from meterhouse.flows.choice import chosen
from meterhouse.flows.opening import Purse
from meterhouse.rating.blocks import PERSONS_MAX
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts import typed
from meterhouse.web.acts.customer import NewCustomer, about, facts_of
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, Why
from meterhouse.web.acts.money import CHANNELS
from meterhouse.web.acts.typed import EXAMPLE, Number, Short
from meterhouse.web.api import setup as shapes
from meterhouse.web.lifewords import PURSE
from meterhouse.words import N_

_TAG: Final = "accounts"
_PROJECT: Final = "/projects/{project_id}"
_CUSTOMER: Final = f"{_PROJECT}/customers/{{customer_id}}"
_PLACE: Final = f"{_PROJECT}/places/{{place_id}}"
_OPENING: Final = f"{_PROJECT}/openings/{{opening_id}}"

PurseChoice = Annotated[
    Purse,
    Field(examples=[Purse.APART]),
    Ask(N_("Kind of purse"), kind="choice",
        words={one.value: word for one, word in PURSE.items()},
        hint=N_("Where several commodities are counted")),
]  # fmt: skip
Channel = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_]{1,20}$"),
    Ask(N_("Deposit paid by"), kind="choice", words=CHANNELS, half=True),
]


async def _vacant(doing: Doing) -> Choices:
    rows = await device.vacant_places(doing.db, doing.project_id)
    return [(str(row["id"]), row["name"]) for row in rows]


Persons = Annotated[
    int,
    Field(ge=1, le=PERSONS_MAX, examples=[3]),
    Ask(N_("Persons"), hint=N_("How many live there; limits and free energy may depend on it")),
]


class TermsForm(Form):
    """On what terms an account is opened."""

    persons: Persons = 1
    """How many live there, so far as known; limits and free energy may depend on it."""
    purse: PurseChoice = Purse.APART
    """together: all commodities draw one purse; apart: each draws its own, then a common one."""
    overdraft: Annotated[
        str,
        Short,
        Ask(N_("Overdraft"), kind="money", hint=N_("How far below zero it may fall"), half=True),
    ] = Field(default="0", examples=["0.00"])
    """How far below zero the purse may fall, decimal, zero or above."""
    opening_credit: Annotated[
        str,
        Short,
        Ask(N_("Opening credit"), kind="money", hint=N_("Brought along; no cash moves"), half=True),
    ] = Field(default="0", examples=["0.00"])
    """What it had before these books began, decimal, zero or above; no cash moves for it."""
    opening_debt: Annotated[
        str,
        Short,
        Ask(
            N_("Opening debt"), kind="money", hint=N_("Owed from before; no cash moves"), half=True
        ),
    ] = Field(default="0", examples=["0.00"])
    """What it owed before these books began, decimal, zero or above; not beside opening credit."""
    deposit: Annotated[
        str,
        Short,
        Ask(N_("Deposit"), kind="money", hint=N_("Kept apart, paid at the opening"), half=True),
    ] = Field(default="0", examples=["200.00"])
    """A deposit that is paid at the opening, decimal, zero or above; it is never spent."""
    deposit_channel: Channel = Field(default="cash", examples=["cash"])
    """How the deposit is paid."""
    opening_deposit: Annotated[
        str,
        Short,
        Ask(N_("Deposit from before"), kind="money", hint=N_("Held already; no cash moves"),
            half=True),
    ] = Field(default="0", examples=["0.00"])  # fmt: skip
    """A deposit that was taken before these books began, decimal, zero or above; paid back later
    as any other."""
    warning_1: Annotated[str, Short, Ask(N_("Warning 1 at"), kind="money", half=True)] = Field(
        default="30", examples=["30.00"]
    )
    """The household is warned first when this is left."""
    warning_2: Annotated[str, Short, Ask(N_("Warning 2 at"), kind="money", half=True)] = Field(
        default="15", examples=["15.00"]
    )
    """And again, lower."""
    warning_3: Annotated[str, Short, Ask(N_("Warning 3 at"), kind="money", half=True)] = Field(
        default="5", examples=["5.00"]
    )
    """And for the last time, lower still."""


class NewAccount(TermsForm, NewCustomer):
    """A new household opens an account for a place."""


class WhichRoom(Form):
    """Which place somebody opens an account for."""

    place_id: Annotated[Number, EXAMPLE, Ask(N_("Room"), kind="choice", choices=_vacant)]
    """Id of the place; nobody but the house pays for it."""


class KnownAccount(TermsForm, WhichRoom):
    """A customer who is known opens an account for a further place."""


def terms_of(doing: Doing, form: TermsForm) -> Terms:
    """The terms as exact values.

    Raises:
        MoneyUnusable: beside its field.
        NotAllowed: the doer may open accounts, but not with this.
    """
    scope, _ = doing.here
    exponent = scope.currency_exponent

    def money_minor(name: str) -> int:
        found = typed.money_minor(getattr(form, name), exponent, name)
        if found < 0:
            raise typed.beside(typed.MoneyUnusable(decimals=exponent), name)
        return found

    levels = [
        typed.money_minor(getattr(form, f"warning_{level}"), exponent, f"warning_{level}")
        for level in (1, 2, 3)
    ]
    terms = Terms(
        -money_minor("overdraft"), (levels[0], levels[1], levels[2]), form.purse,
        money_minor("opening_credit"), money_minor("deposit"), form.deposit_channel,
        money_minor("opening_debt"), money_minor("opening_deposit"), form.persons,
    )  # fmt: skip
    for field, error in beyond(doing, terms):
        raise typed.beside(error, field)
    return terms


def beyond(doing: Doing, terms: Terms) -> list[tuple[str, MeterhouseError]]:
    """What of these terms the doer may not give, by field.

    What comes from before is money that nobody counts when it is entered, so whoever opens accounts
    and pays money out does not enter it; a deposit is money taken.
    """
    scope, _ = doing.here
    given = (
        ("opening_credit", terms.credit_minor, Verb.OPENING_CREDIT),
        ("opening_debt", terms.debt_minor, Verb.OPENING_CREDIT),
        ("opening_deposit", terms.held_minor, Verb.OPENING_CREDIT),
        ("deposit", terms.deposit_minor, Verb.CREDIT_ADD),
    )
    return [
        (field, NotAllowed(verb)) for field, amount_minor, verb in given
        if amount_minor and not scope.covers(verb, None)
    ]  # fmt: skip


def told_of(terms: Terms) -> dict[str, Any]:
    """Terms as the audit tells them."""
    return {
        "purse": terms.purse, "floor_minor": terms.floor_minor,
        "warnings_minor": list(terms.warnings_minor), "credit_minor": terms.credit_minor,
        "deposit_minor": terms.deposit_minor, "debt_minor": terms.debt_minor,
        "held_minor": terms.held_minor, "persons": terms.persons,
    }  # fmt: skip


async def _open(doing: Doing, form: NewAccount) -> Done:
    """Open an account for a place: from now on this new household pays for all its points."""
    made = await customer.add(doing.db, doing.project_id, facts_of(form), form.language)
    return await _opened(doing, doing.ids["place_id"], made, terms_of(doing, form))


async def _open_known(doing: Doing, form: KnownAccount) -> Done:
    """Open an account of a known customer: from now on they pay for all points of a place."""
    customer_id = doing.ids["customer_id"]
    await customer.look(doing.db, doing.project_id, customer_id)
    with chosen("place_id"):
        return await _opened(doing, form.place_id, customer_id, terms_of(doing, form))


async def _opened(doing: Doing, place_id: int, customer_id: int, terms: Terms) -> Done:
    doer = doing.doer
    made = await account.open_account(
        doing.db, doing.project_id, place_id, customer_id, terms, doer.actor_id, doer.at
    )
    after = {"agreement_id": made, "customer_id": customer_id} | told_of(terms)
    return Done(f"place:{place_id}", {"id": made}, after=after)


async def _join(doing: Doing, form: WhichRoom) -> Done:
    """Add a further room to an account: from now on it pays for all its points too."""
    agreement_id = doing.ids["agreement_id"]
    with chosen("place_id"):
        doer = doing.doer
        await account.join(
            doing.db, doing.project_id, agreement_id, form.place_id, doer.actor_id, doer.at
        )
    after = {"place_id": form.place_id}
    return Done(f"agreement:{agreement_id}", {"id": agreement_id}, after=after)


async def _prepare(doing: Doing, form: NewAccount) -> Done:
    """Prepare an account for a place; it is opened later with one click."""
    place_id, doer = doing.ids["place_id"], doing.doer
    terms = terms_of(doing, form)
    customer_id = await customer.add(doing.db, doing.project_id, facts_of(form), form.language)
    made = await account.prepare(
        doing.db, doing.project_id, place_id, customer_id, terms, doer.actor_id, doer.at
    )
    after = {"opening_id": made, "customer_id": customer_id} | told_of(terms)
    return Done(f"place:{place_id}", {"id": made}, after=after)


async def _open_prepared(doing: Doing, _: NoFields) -> Done:
    """Open a prepared account; from now on this household pays for the place."""
    opening_id, doer = doing.ids["opening_id"], doing.doer
    made = await account.open_prepared(
        doing.db, doing.project_id, opening_id, doer.actor_id, doer.at
    )
    return Done(f"opening:{opening_id}", {"id": made}, after={"agreement_id": made})


async def _withdraw(doing: Doing, form: Why) -> Done:
    """Withdraw a prepared account; the place stays vacant."""
    opening_id = doing.ids["opening_id"]
    await account.withdraw(doing.db, doing.project_id, opening_id, doing.doer.at)
    return Done(
        f"opening:{opening_id}", {"id": opening_id}, after={"state": "withdrawn"},
        reason=form.reason,
    )  # fmt: skip


async def _rooms(doing: Doing, ids: Sequence[int]) -> list[str]:
    found = dict(await account.opening_names(doing.db, doing.project_id, ids))
    if missing := [one for one in ids if one not in found]:
        raise NotFound(N_("Opening"), missing[0])
    return [found[one] for one in ids]


async def _about_opening(doing: Doing) -> Choices:
    (name,) = await _rooms(doing, [doing.ids["opening_id"]])
    return ((N_("Room"), name),)


async def about_place(doing: Doing) -> Choices:
    """The place of the address with all that it lies in."""
    now = await place.look(doing.db, doing.project_id, doing.ids["place_id"])
    return ((N_("Place"), " ".join(one["name"] for one in now.path)),)


_PAYS: Final = N_("From now on this household pays for everything that is counted here.")

OPEN_KNOWN: Final = Act(
    "account.open_known", Verb.ACCOUNT_OPEN, f"{_CUSTOMER}/accounts",
    N_("Open account for a room"), KnownAccount, shapes.Made, _open_known, tag=_TAG, about=about,
)  # fmt: skip
OPEN: Final = Act(
    "account.open", Verb.ACCOUNT_OPEN, f"{_PLACE}/accounts", N_("Open account"), NewAccount,
    shapes.Made, _open, tag=_TAG, about=about_place, consequence=_PAYS,
)  # fmt: skip
JOIN: Final = Act(
    "account.join", Verb.ACCOUNT_OPEN, f"{_PROJECT}/agreements/{{agreement_id}}/places",
    N_("Add a room"), WhichRoom, shapes.Made, _join, tag=_TAG,
    consequence=N_("From now on this account pays for everything that is counted there too."),
)  # fmt: skip
PREPARE: Final = Act(
    "opening.prepare", Verb.ACCOUNT_OPEN, f"{_PLACE}/openings", N_("Prepare account"), NewAccount,
    shapes.Made, _prepare, tag=_TAG, about=about_place,
    consequence=N_("Nothing changes yet. It is opened later with one click."),
)  # fmt: skip
OPEN_PREPARED: Final = Act(
    "opening.open", Verb.ACCOUNT_OPEN, f"{_OPENING}/open", N_("Open prepared account"), NoFields,
    shapes.Made, _open_prepared, tag=_TAG, about=_about_opening, bulk=_rooms, consequence=_PAYS,
)  # fmt: skip
WITHDRAW: Final = Act(
    "opening.withdraw", Verb.ACCOUNT_OPEN, f"{_OPENING}/withdraw", N_("Withdraw"), Why,
    shapes.Made, _withdraw, tag=_TAG, about=_about_opening, bulk=_rooms, danger=True,
    consequence=N_("What was prepared is given up; the place stays vacant."),
)  # fmt: skip

ACTS: Final = (OPEN_KNOWN, OPEN, JOIN, PREPARE, OPEN_PREPARED, WITHDRAW)
