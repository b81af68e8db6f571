"""Acts on who a customer is: shown to one who may know, or erased.

Owns what is said before and after. Must never put a name into an address or a page that stays.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from meterhouse.flows import personal
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.personal import Fact
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Why
from meterhouse.web.api import schemas
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_

_CUSTOMER: Final = "/projects/{project_id}/customers/{customer_id}/personal"


class Which(Form):
    """Which facts are needed; the audit names them."""

    facts: Annotated[
        list[Fact],
        Ask(N_("Show"), kind="many", words={fact.value: labels.FACT[fact] for fact in Fact}),
    ] = Field(default=list(Fact), min_length=1, max_length=len(Fact), examples=[["phone"]])
    """What to show; all of it when left out."""


async def _show(doing: Doing, form: Which) -> Done:
    """Show who one customer is, unmasked; who looked at what is kept in the audit."""
    return await personal.show(doing.db, doing.project_id, doing.ids["customer_id"], form.facts)


async def _erase(doing: Doing, form: Why) -> Done:
    """Erase who a customer is, for good; bookings stay."""
    return await personal.erase(
        doing.db, doing.project_id, doing.ids["customer_id"], form.reason, doing.doer.at
    )


def _told(doing: Doing, answer: Any) -> Choices:
    if answer["is_erased"]:
        return ((N_("Customer"), doing.words(N_("Erased"))),)
    return tuple((labels.FACT[fact], answer[fact] or ABSENT) for fact in Fact)


SHOW: Final = Act(
    "personal.show",
    Verb.PERSONAL_SHOW,
    f"{_CUSTOMER}/show",
    N_("Show customer"),
    Which,
    schemas.Personal,
    _show,
    consequence=N_("The audit keeps that you looked, and at what."),
    tag="customers",
    told=_told,
)
ERASE: Final = Act(
    "personal.erase",
    Verb.PERSONAL_ERASE,
    f"{_CUSTOMER}/erase",
    N_("Erase customer"),
    Why,
    None,
    _erase,
    consequence=N_(
        "Name, phone, e-mail and identity number are overwritten, and the texts sent to this "
        "customer are emptied. Nobody can bring them back. Bookings and commands stay."
    ),
    danger=True,
    tag="customers",
    told=lambda doing, _: ((N_("Customer"), doing.words(N_("Erased"))),),
)

ACTS: Final = (SHOW, ERASE)
