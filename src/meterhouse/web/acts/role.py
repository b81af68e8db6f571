"""Acts on a house's own roles.

Owns what is asked. Must never decide which verbs somebody may put into a role; the flow does.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import role
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, NoFields
from meterhouse.web.api import people
from meterhouse.web.rolewords import VERB
from meterhouse.words import N_

Title = Annotated[Name, Ask(N_("What people call it"))]
Verbs = Annotated[
    list[Verb], Field(min_length=1), Ask(N_("It lets them"), kind="many",
                                         words={verb.value: word for verb, word in VERB.items()})
]  # fmt: skip


class NewRole(Form):
    """A role of the house's own."""

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,40}$"),
        Ask(N_("Name for programs"), hint=N_("Small letters, figures and _; it stays.")),
    ] = Field(examples=["night_porter"])  # fmt: skip
    """Its name in the API: small letters, figures and _."""
    title: Title = Field(examples=["Night porter"])
    """What people call it."""
    verbs: Verbs = Field(max_length=500, examples=[["room.read", "meter.read"]])
    """What it lets do."""


class ChangedRole(Form):
    """What a role is to be from now on."""

    title: Title = Field(examples=["Night porter"])
    """What people call it."""
    verbs: Verbs = Field(max_length=500, examples=[["room.read", "meter.read"]])
    """What it lets do."""


async def _add(doing: Doing, form: NewRole) -> Done:
    """Make a role; it can hold no verb that its maker lacks on the platform."""
    role_id, _ = await role.put(
        doing.db, doing.doer_id, form.name, form.title, form.verbs, doing.doer.at, is_new=True
    )
    answer = people.RoleMade(id=role_id, name=form.name).model_dump(mode="json")
    return Done(f"role:{role_id}", answer, after={"verbs": sorted(form.verbs)})


async def _change(doing: Doing, form: ChangedRole) -> Done:
    """Replace a role's title and verbs; whoever holds it can do so at once."""
    role_id = doing.ids["role_id"]
    found = await role.one_role(doing.db, role_id)
    _, had = await role.put(
        doing.db, doing.doer_id, found["name"], form.title, form.verbs, doing.doer.at
    )
    answer = people.RoleMade(id=role_id, name=found["name"]).model_dump(mode="json")
    return Done(
        f"role:{role_id}", answer, before={"verbs": had}, after={"verbs": sorted(form.verbs)}
    )


async def _remove(doing: Doing, _: NoFields) -> Done:
    """Remove a role that nobody holds."""
    role_id = doing.ids["role_id"]
    name = await role.remove(doing.db, role_id)
    return Done(f"role:{role_id}", before={"name": name})


async def _typed(doing: Doing) -> Mapping[str, Any]:
    found = await role.one_role(doing.db, doing.ids["role_id"])
    return {"title": found["title"], "verbs": found["verbs"]}


async def _about(doing: Doing) -> Choices:
    found = await role.one_role(doing.db, doing.ids["role_id"])
    return ((N_("Role"), found["title"]),)


ACTS: Final[tuple[Act[Any], ...]] = (
    Act(
        "role.add", Verb.ROLE_EDIT, "/platform/roles", N_("Make a role"), NewRole,
        people.RoleMade, _add, tag="staff", then=lambda *_: "/roles",
    ),
    Act(
        "role.change", Verb.ROLE_EDIT, "/platform/roles/{role_id}", N_("Change the role"),
        ChangedRole, people.RoleMade, _change, method="PUT", tag="staff", typed=_typed,
        then=lambda *_: "/roles",
        consequence=N_("Everybody who holds this role can do so much, and no more, at once."),
    ),
    Act(
        "role.remove", Verb.ROLE_EDIT, "/platform/roles/{role_id}", N_("Remove the role"),
        NoFields, None, _remove, method="DELETE", tag="staff", about=_about, danger=True,
        then=lambda *_: "/roles",
        consequence=N_("The role is gone. It can be removed only while nobody holds it."),
    ),
)  # fmt: skip
