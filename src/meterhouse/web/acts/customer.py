"""Acts on customers: added, edited.

Owns how they are asked for. Must never put a name or a phone into an answer, an address or an
audit entry.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import customer
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.store.personal import Facts
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name
from meterhouse.web.acts.typed import Version
from meterhouse.web.api import setup as shapes
from meterhouse.web.formats import ABSENT
from meterhouse.words import LANGUAGES, N_

_TAG: Final = "customers"
_ALL: Final = "/projects/{project_id}/customers"
_ONE: Final = f"{_ALL}/{{customer_id}}"

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


def facts_of(form: NewCustomer | CustomerChange) -> Facts:
    """Who somebody is, as typed."""
    return Facts(form.name or None, form.phone or None, form.email or None)


async def _add(doing: Doing, form: NewCustomer) -> Done:
    """Add a customer without an account yet."""
    made = await customer.add(doing.db, doing.project_id, facts_of(form), form.language)
    return Done(f"customer:{made}", {"id": made}, after={"language": form.language})


async def _edit(doing: Doing, form: CustomerChange) -> Done:
    """Say anew who a customer is or how to reach them; what is left empty stays."""
    customer_id = doing.ids["customer_id"]
    facts = facts_of(form)
    await customer.edit(doing.db, doing.project_id, customer_id, form.version, facts, form.language)
    changed = [name for name in ("name", "phone", "email") if getattr(facts, name)]
    after = {"changed": changed, "language": form.language}
    return Done(f"customer:{customer_id}", {"id": customer_id}, after=after)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    row = (await customer.look(doing.db, doing.project_id, doing.ids["customer_id"])).row
    return {"version": row["version"], "language": row["language"]}


async def about(doing: Doing) -> Choices:
    """The customer of the address, masked."""
    row = (await customer.look(doing.db, doing.project_id, doing.ids["customer_id"])).row
    return ((N_("Customer"), row["name"] or ABSENT), (N_("Phone"), row["phone"] or ABSENT))


def _page(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/customers/{answer['id']}"


ADD: Final = Act(
    "customer.add", Verb.CUSTOMER_EDIT, _ALL, N_("Add customer"), NewCustomer, shapes.Made, _add,
    tag=_TAG, then=_page,
)  # fmt: skip
EDIT: Final = Act(
    "customer.edit", Verb.CUSTOMER_EDIT, _ONE, N_("Edit customer"), CustomerChange, shapes.Made,
    _edit, method="PUT", tag=_TAG, about=about, typed=_typed,
)  # fmt: skip
ACTS: Final = (ADD, EDIT)
