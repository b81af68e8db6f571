"""Acts on a house's own roles.

Owns what is asked. Must never decide which verbs somebody may put into a role; the flow does.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import Conflict
from meterhouse.flows import role
from meterhouse.flows.access import ROLES, ScopeKind, Verb
from meterhouse.flows.act import Done
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, Why
from meterhouse.web.acts.typed import Version
from meterhouse.web.api import people
from meterhouse.web.realms import REALMS, base_of, where
from meterhouse.web.rolewords import ROLE, VERB
from meterhouse.words import N_

Title = Annotated[Name, Ask(N_("What people call it"))]
Verbs = Annotated[
    list[Verb], Field(min_length=1), Ask(N_("It lets them"), kind="many",
                                         words={verb.value: word for verb, word in VERB.items()})
]  # fmt: skip


NeedsCode = Annotated[
    bool,
    Ask(N_("Whoever holds it needs an authenticator"), kind="flag",
        hint=N_("They set one up when they next sign in, before anything else.")),
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
    needs_code: NeedsCode = Field(default=False, examples=[False])
    """Whether whoever holds it needs an authenticator."""


class ChangedRole(Form):
    """What a role is to be from now on."""

    title: Title = Field(examples=["Night porter"])
    """What people call it."""
    verbs: Verbs = Field(max_length=500, examples=[["room.read", "meter.read"]])
    """What it lets do."""
    needs_code: NeedsCode = Field(default=False, examples=[False])
    """Whether whoever holds it needs an authenticator."""
    version: Version
    """That of the role as it was read."""


class CodeRule(Form):
    """Which ready roles need an authenticator."""

    roles: Annotated[
        list[Annotated[str, StringConstraints(pattern=f"^({'|'.join(ROLES)})$")]],
        Ask(N_("Whoever holds one of these needs an authenticator"), kind="many", words=ROLE),
    ] = Field(default=[], max_length=len(ROLES), examples=[["finance"]])
    """Names of ready roles; those of a group add to those of the platform."""
    version: Version
    """That of the rule as it was read."""


def _check_codes(doing: Doing, *, wanted: bool) -> None:
    """Nobody could set an authenticator up without a key. Raises `Conflict`."""
    if wanted and not doing.services.secret_key:
        raise Conflict("authenticator", "this installation has no secret key")


async def _set_codes(doing: Doing, form: CodeRule) -> Done:
    """Say which ready roles need an authenticator; holders set one up before anything else."""
    _check_codes(doing, wanted=bool(form.roles))
    kind, group_id = where(doing.ids)
    before = await role.set_code_rule(doing.db, group_id, form.roles, form.version)
    _, version = await role.code_rule(doing.db, group_id)
    roles = sorted(set(form.roles))
    answer = people.CodeRule(roles=roles, version=version).model_dump(mode="json")
    return Done(f"{kind}:{group_id}", answer, before={"roles": before}, after={"roles": roles})


async def _codes_typed(doing: Doing) -> Mapping[str, Any]:
    roles, version = await role.code_rule(doing.db, where(doing.ids)[1])
    return {"roles": roles, "version": version}


async def _add(doing: Doing, form: NewRole) -> Done:
    """Make a role; it can hold no verb that its maker lacks on the platform."""
    _check_codes(doing, wanted=form.needs_code)
    role_id, _ = await role.put(
        doing.db, doing.doer_id, form.name, form.title, form.verbs, doing.doer.at, is_new=True,
        needs_code=form.needs_code,
    )  # fmt: skip
    answer = people.RoleMade(id=role_id, name=form.name).model_dump(mode="json")
    after = {"verbs": sorted(form.verbs), "needs_code": form.needs_code}
    return Done(f"role:{role_id}", answer, after=after)


async def _change(doing: Doing, form: ChangedRole) -> Done:
    """Replace a role's title and verbs; whoever holds it can do so at once."""
    role_id = doing.ids["role_id"]
    _check_codes(doing, wanted=form.needs_code)
    found = await role.one_role(doing.db, role_id)
    _, had = await role.put(
        doing.db, doing.doer_id, found["name"], form.title, form.verbs, doing.doer.at,
        needs_code=form.needs_code, version=form.version,
    )  # fmt: skip
    answer = people.RoleMade(id=role_id, name=found["name"]).model_dump(mode="json")
    return Done(
        f"role:{role_id}", answer,
        before={"verbs": had, "needs_code": found["needs_code"]},
        after={"verbs": sorted(form.verbs), "needs_code": form.needs_code},
    )  # fmt: skip


async def _remove(doing: Doing, form: Why) -> Done:
    """Remove a role that nobody holds."""
    role_id = doing.ids["role_id"]
    name = await role.remove(doing.db, role_id)
    return Done(f"role:{role_id}", before={"name": name}, reason=form.reason)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    found = await role.one_role(doing.db, doing.ids["role_id"])
    return {name: found[name] for name in ("title", "verbs", "needs_code", "version")}


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
        "role.remove", Verb.ROLE_EDIT, "/platform/roles/{role_id}/remove", N_("Remove the role"),
        Why, None, _remove, tag="staff", about=_about, danger=True,
        then=lambda *_: "/roles",
        consequence=N_("The role is gone. It can be removed only while nobody holds it."),
    ),
    *(
        Act(
            f"{realm.prefix}codes.set", Verb.STAFF_EDIT, f"{realm.address}/codes",
            N_("Who needs an authenticator"), CodeRule, people.CodeRule, _set_codes, method="PUT",
            tag="staff", typed=_codes_typed,
            then=lambda doing, _: f"{base_of(doing.ids)}/staff",
            consequence=N_("Whoever holds such a role and has none sets one up before anything "
                           "else. Programs are not concerned."),
        )
        for realm in REALMS
        if realm.kind is not ScopeKind.PROJECT
    ),
)  # fmt: skip
