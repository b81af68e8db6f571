"""Acts on households: added, given an account for a room, moved out.

Owns how they are asked for. Must never put a name or a phone into an answer, an address or an
audit entry.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import customer, device, place
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.choice import chosen
from meterhouse.flows.customer import Terms
from meterhouse.store.personal import Facts
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, NoFields
from meterhouse.web.acts.typed import EXAMPLE, Number, Short, Version
from meterhouse.web.api import setup as shapes
from meterhouse.web.formats import ABSENT
from meterhouse.words import LANGUAGES, N_

_TAG: Final = "customers"
_ALL: Final = "/projects/{project_id}/customers"
_ONE: Final = f"{_ALL}/{{customer_id}}"
_PLACE: Final = "/projects/{project_id}/places/{place_id}"

Phone = Annotated[
    str, StringConstraints(pattern=r"^(\+?[\d -]{3,20})?$"), Ask(N_("Phone"), half=True)
]
Email = Annotated[
    str,
    StringConstraints(max_length=120, pattern=r"^([^@\s]+@[^@\s]+)?$"),
    Ask(N_("E-mail"), half=True),
]
Language = Annotated[
    str, StringConstraints(pattern="^(zh-Hans|en)$"),
    Field(examples=["zh-Hans"]),
    Ask(N_("Language"), kind="choice", words=LANGUAGES),
]  # fmt: skip


async def _vacant(doing: Doing) -> Choices:
    rows = await device.vacant_places(doing.db, doing.project_id)
    return [(str(row["id"]), row["name"]) for row in rows]


class NewCustomer(Form):
    """A household or firm."""

    name: Annotated[Name, Ask(N_("Name"))] = Field(examples=["Wang Jing"])
    """Who it is."""
    phone: Phone = Field(default="", examples=["13800000000"])
    """Phone."""
    email: Email = Field(default="", examples=["wang@example.org"])
    """E-mail, for notices."""
    language: Language = "zh-Hans"
    """The language of notices."""


class CustomerChange(Form):
    """What is said anew of a customer; what is left empty stays as it is."""

    version: Version
    """The version it was read at."""
    name: Annotated[
        str, StringConstraints(max_length=60), Ask(N_("Name"), hint=N_("Empty: as it is"))
    ] = Field(default="", examples=["Wang Jing"])
    """Who it is; empty: as it is."""
    phone: Annotated[Phone, Ask(N_("Phone"), hint=N_("Empty: as it is"))] = Field(
        default="", examples=["13800000000"]
    )
    """Phone; empty: as it is."""
    email: Annotated[Email, Ask(N_("E-mail"), hint=N_("Empty: as it is"))] = Field(
        default="", examples=["wang@example.org"]
    )
    """E-mail; empty: as it is."""
    language: Language
    """The language of notices."""


class TermsForm(Form):
    """On what terms an account is opened."""

    overdraft: Annotated[
        str,
        Short,
        Ask(N_("Overdraft"), kind="money", hint=N_("How far below zero it may fall"), half=True),
    ] = Field(default="0", examples=["0.00"])
    """How far below zero the purse may fall, decimal, zero or above."""
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


def _facts(form: NewCustomer | CustomerChange) -> Facts:
    return Facts(form.name or None, form.phone or None, form.email or None)


def _terms(doing: Doing, form: TermsForm) -> Terms:
    scope, _ = doing.here
    exponent = scope.currency_exponent
    first, second, third = (
        typed.money_minor(getattr(form, name), exponent, name)
        for name in ("warning_1", "warning_2", "warning_3")
    )
    overdraft_minor = typed.money_minor(form.overdraft, exponent, "overdraft")
    if overdraft_minor < 0:
        raise typed.beside(typed.MoneyUnusable(decimals=exponent), "overdraft")
    return Terms(-overdraft_minor, (first, second, third))


async def _add(doing: Doing, form: NewCustomer) -> Done:
    """Add a customer without an account yet."""
    made = await customer.add(doing.db, doing.project_id, _facts(form), form.language)
    return Done(f"customer:{made}", {"id": made}, after={"language": form.language})


async def _edit(doing: Doing, form: CustomerChange) -> Done:
    """Say anew who a customer is or how to reach them; what is left empty stays."""
    customer_id = doing.ids["customer_id"]
    facts = _facts(form)
    await customer.edit(doing.db, doing.project_id, customer_id, form.version, facts, form.language)
    changed = [name for name in ("name", "phone", "email") if getattr(facts, name)]
    after = {"changed": changed, "language": form.language}
    return Done(f"customer:{customer_id}", {"id": customer_id}, after=after)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    row = (await customer.look(doing.db, doing.project_id, doing.ids["customer_id"])).row
    return {"version": row["version"], "language": row["language"]}


async def _about(doing: Doing) -> Choices:
    row = (await customer.look(doing.db, doing.project_id, doing.ids["customer_id"])).row
    return ((N_("Customer"), row["name"] or ABSENT), (N_("Phone"), row["phone"] or ABSENT))


async def _open(doing: Doing, form: NewAccount) -> Done:
    """Open an account for a place: from now on this new household pays for all its points."""
    made = await customer.add(doing.db, doing.project_id, _facts(form), form.language)
    return await _opened(doing, doing.ids["place_id"], made, _terms(doing, form))


async def _open_known(doing: Doing, form: KnownAccount) -> Done:
    """Open an account of a known customer: from now on they pay for all points of a place."""
    customer_id = doing.ids["customer_id"]
    await customer.look(doing.db, doing.project_id, customer_id)
    with chosen("place_id"):
        return await _opened(doing, form.place_id, customer_id, _terms(doing, form))


async def _opened(doing: Doing, place_id: int, customer_id: int, terms: Terms) -> Done:
    made = await customer.open_account(
        doing.db, doing.project_id, place_id, customer_id, terms, doing.doer.at
    )
    after = {
        "agreement_id": made, "customer_id": customer_id, "floor_minor": terms.floor_minor,
        "warnings_minor": list(terms.warnings_minor),
    }  # fmt: skip
    return Done(f"place:{place_id}", {"id": made}, after=after)


async def _move_out(doing: Doing, _: NoFields) -> Done:
    """Let a household move out: from now on the house pays for the place."""
    place_id = doing.ids["place_id"]
    ended = await customer.move_out(doing.db, doing.project_id, place_id, doing.doer.at)
    return Done(f"place:{place_id}", {"id": ended}, before={"agreement_id": ended})


async def _about_place(doing: Doing) -> Choices:
    now = await place.look(doing.db, doing.project_id, doing.ids["place_id"])
    return ((N_("Place"), " ".join(one["name"] for one in now.path)),)


def _page(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/customers/{answer['id']}"


ADD: Final = Act(
    "customer.add", Verb.CUSTOMER_EDIT, _ALL, N_("Add customer"), NewCustomer, shapes.Made, _add,
    tag=_TAG, then=_page,
)  # fmt: skip
EDIT: Final = Act(
    "customer.edit", Verb.CUSTOMER_EDIT, _ONE, N_("Edit customer"), CustomerChange, shapes.Made,
    _edit, method="PUT", tag=_TAG, about=_about, typed=_typed,
)  # fmt: skip
OPEN_KNOWN: Final = Act(
    "account.open_known", Verb.CUSTOMER_EDIT, f"{_ONE}/accounts", N_("Open account for a room"),
    KnownAccount, shapes.Made, _open_known, tag=_TAG, about=_about,
)  # fmt: skip
OPEN: Final = Act(
    "account.open", Verb.CUSTOMER_EDIT, f"{_PLACE}/accounts", N_("Open account"), NewAccount,
    shapes.Made, _open, tag=_TAG, about=_about_place,
    consequence=N_("From now on this household pays for everything that is counted here."),
)  # fmt: skip
MOVE_OUT: Final = Act(
    "account.move_out", Verb.CUSTOMER_EDIT, f"{_PLACE}/move-out", N_("Move out"), NoFields,
    shapes.Made, _move_out, tag=_TAG, about=_about_place, danger=True,
    consequence=N_(
        "From now on the house pays here. What is left in the household's purse stays there."
    ),
)  # fmt: skip

ACTS: Final = (ADD, EDIT, OPEN_KNOWN, OPEN, MOVE_OUT)
