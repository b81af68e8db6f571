"""Acts on people of staff and API clients, in a project, a group, or the platform.

Owns what is asked and said. Each act is declared once and made for the three realms, because what
differs between them is the address alone. Must never decide who may give what; the flow does.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, StringConstraints

from meterhouse.flows import client, links, role, staff, staff_facts
from meterhouse.flows.access import ROLES, Scope, ScopeKind, Verb, granted_verbs
from meterhouse.flows.act import Done
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import (
    Act,
    Ask,
    Choices,
    Doing,
    Form,
    Name,
    NoFields,
    Why,
)
from meterhouse.web.api import people
from meterhouse.web.realms import REALMS, Realm, base_of, where
from meterhouse.web.rolewords import SCOPE, role_word
from meterhouse.words import LANGUAGES, N_

# Shown in the answer of the act alone.
_ONCE: Final = {"link", "sent_to"}
INVITED: Final = N_("They can now choose a password")


def _to(folder: str, id_name: str) -> Callable[[Doing, Any], str]:
    """The page of the person or program an act was about."""
    return lambda doing, _: f"{base_of(doing.ids)}/{folder}/{doing.ids[id_name]}"


async def _roles(doing: Doing) -> Choices:
    """The roles whoever acts may give here."""
    own = {one["name"]: one for one in await role.own_roles(doing.db)}
    names = [
        name for name in (*ROLES, *own)
        if granted_verbs(name, own.get(name, {}).get("verbs"), "", "staff") <= doing.granted
    ]  # fmt: skip
    return [
        (name, role_word(name, own.get(name, {}).get("title", ""), doing.words)) for name in names
    ]


async def _places(doing: Doing) -> Choices:
    """Where a role may be given here, as `project:12`."""
    found = await staff.places(doing.db, doing.doer_id, *where(doing.ids))
    said = []
    for scope, name in found:
        kind = doing.words(SCOPE[scope.kind])
        text = doing.words(N_("{kind}: {name}"), kind=kind, name=name) if name else kind
        said.append((f"{scope.kind}:{scope.id}", text))
    return said


RoleName = Annotated[
    str, StringConstraints(max_length=41, min_length=1), Ask(N_("Role"), kind="choice",
                                                             choices=_roles)
]  # fmt: skip
Place = Annotated[
    str, StringConstraints(pattern=r"^(platform|group|project|building):\d{1,18}$"),
    Ask(N_("Where"), kind="choice", choices=_places),
]  # fmt: skip
Days = Annotated[
    int, Field(ge=1, le=client.KEY_DAYS_MAX),
    Ask(N_("Days until it ends"), hint=N_("At most 365; make a new key before then.")),
]  # fmt: skip


def _scope(place: str, doing: Doing) -> Scope:
    kind, _, number = place.partition(":")
    is_building = kind == ScopeKind.BUILDING
    return Scope(ScopeKind(kind), int(number), doing.ids.get("project_id", 0) if is_building else 0)


class Invitation(Form):
    """Somebody who is to work here."""

    name: Annotated[Name, Ask(N_("Full name"))] = Field(examples=["Wang Fang"])
    """Their name."""
    login: Annotated[
        str, StringConstraints(min_length=2, max_length=100),
        Ask(N_("User name"), hint=N_("Letters, figures and . _ - @, such as an e-mail address.")),
    ] = Field(examples=["wang.fang@example.org"])  # fmt: skip
    """What they sign in with; it cannot be changed."""
    email: Annotated[
        str, StringConstraints(max_length=120, pattern=typed.EMAIL_PATTERN),
        Ask(N_("E-mail"), hint=N_("The link is sent there, where this installation sends e-mail.")),
    ] = Field(default="", examples=["wang.fang@example.org"])  # fmt: skip
    """Where links to choose a password are sent; empty: the link is shown to whoever invites."""
    role: RoleName = Field(examples=["cashier"])
    """Name of their first role."""
    place: Place = Field(examples=["project:12"])
    """Where it is granted: `platform:0`, or a group, project or building with its id."""


class StaffChange(Form):
    """What is said anew of somebody; what is left empty stays as it is."""

    name: Annotated[
        str, StringConstraints(max_length=staff.NAME_CHARS_MAX),
        Ask(N_("Full name"), hint=N_("Empty: as it is")),
    ] = Field(default="", examples=["Wang Fang"])  # fmt: skip
    """Their name; empty: as it is."""
    email: Annotated[
        str, StringConstraints(max_length=120, pattern=typed.EMAIL_PATTERN),
        Ask(N_("E-mail"), hint=N_("Empty: as it is")),
    ] = Field(default="", examples=["wang.fang@example.org"])  # fmt: skip
    """Where links to choose a password are sent; empty: as it is. Links sent before are void."""
    language: Annotated[
        str, StringConstraints(pattern=f"^({'|'.join(LANGUAGES)})?$"),
        Ask(N_("Language"), kind="choice", words=LANGUAGES),
    ] = Field(default="", examples=["zh-Hans"])  # fmt: skip
    """The language they read; empty: as it is."""


class NewLink(Form):
    """Whether a link is sent or shown."""

    is_shown: Annotated[
        bool,
        Ask(N_("Show me the link"), kind="flag",
            hint=N_("Where their e-mail is wrong or not read; nothing is sent then.")),
    ] = Field(default=False, examples=[False])  # fmt: skip
    """Whether the link is shown to whoever asks and sent to nobody."""


class Giving(Form):
    """A role, and where."""

    role: RoleName = Field(examples=["cashier"])
    """Name of the role."""
    place: Place = Field(examples=["building:12"])
    """Where it is granted: `platform:0`, or a group, project or building with its id."""


class ClientName(Form):
    """What a program is called."""

    name: Annotated[Name, Ask(N_("Name"), hint=N_("The program that uses it."))] = Field(
        examples=["ERP"]
    )
    """What it is called."""


class NewClient(ClientName):
    """A program that is to use the API."""

    role: RoleName = Field(examples=["read_only"])
    """Name of its first role."""
    place: Place = Field(examples=["project:12"])
    """Where it is granted: `platform:0`, or a group, project or building with its id."""
    days: Days = Field(default=90, examples=[90])
    """How many days its first key lives, 1 to 365."""


class NewKey(Form):
    """How long a key lives."""

    days: Days = Field(default=90, examples=[90])
    """How many days the key lives, 1 to 365."""


def _hand_over(
    doing: Doing, person_id: int, token: str, life: timedelta, *, is_shown: bool = False
) -> None:
    """Let the link be shown once; where it can be sent and may, that is done in its place."""
    link = f"{doing.origin}/set-password?token={token}"
    doing.once["link"] = link
    if is_shown:
        return

    async def send(doing: Doing) -> None:
        services = doing.services
        to = await links.reader(doing.db, person_id)
        if to is None or services.postman is None:
            return
        if await links.send(services.postman, to, link, life, services.settings.title):
            del doing.once["link"]
            doing.once["sent_to"] = to.shown

    doing.afterwards.append(send)


async def _invite(doing: Doing, form: Invitation) -> Done:
    """Invite somebody: they choose a password by a link that works once, within a day."""
    person_id, token = await staff.invite(
        doing.db, doing.doer_id, *where(doing.ids), form.login, form.name, form.role,
        _scope(form.place, doing), doing.doer.at, form.email or None,
    )  # fmt: skip
    _hand_over(doing, person_id, token, staff.INVITATION_LIFE)
    answer = people.Invited(
        person_id=person_id, expires_at=doing.doer.at + staff.INVITATION_LIFE
    ).model_dump(mode="json", exclude=_ONCE)
    after = {"role": form.role, "place": form.place}
    return Done(f"person:{person_id}", answer, after=after)


async def _reset(doing: Doing, form: NewLink) -> Done:
    """Let somebody choose a new password by a link that works once; older links are void."""
    person_id = doing.ids["person_id"]
    token, expires_at = await staff.new_link(
        doing.db, doing.doer_id, *where(doing.ids), person_id, doing.doer.at
    )
    life = expires_at - doing.doer.at
    _hand_over(doing, person_id, token, life, is_shown=form.is_shown)
    answer = people.Invited(person_id=person_id, expires_at=expires_at)
    return Done(f"person:{person_id}", answer.model_dump(mode="json", exclude=_ONCE),
                after={"is_shown": form.is_shown})  # fmt: skip


async def _edit(doing: Doing, form: StaffChange) -> Done:
    """Say anew who somebody is, how to reach them, or what they read; what is empty stays."""
    person_id = doing.ids["person_id"]
    facts = staff_facts.Facts(form.name, form.email, form.language)
    await staff_facts.edit(
        doing.db, doing.doer_id, *where(doing.ids), person_id, facts, doing.doer.at
    )
    changed = [name for name in ("name", "email") if getattr(facts, name)]
    after = {"changed": changed} | ({"language": form.language} if form.language else {})
    return Done(f"person:{person_id}", after=after)


async def _edited(doing: Doing) -> Mapping[str, Any]:
    found = await staff.member(doing.db, doing.doer_id, *where(doing.ids), doing.ids["person_id"])
    return {"name": found.row["name"] or "", "language": found.row["language"]}


async def _erase(doing: Doing, form: Why) -> Done:
    """Erase who somebody was that has been shut out; what they did stays, by their number."""
    person_id = doing.ids["person_id"]
    await staff_facts.erase(doing.db, doing.doer_id, *where(doing.ids), person_id, doing.doer.at)
    return Done(
        f"person:{person_id}", before={"erased": False}, after={"erased": True},
        reason=form.reason,
    )  # fmt: skip


def _told_link(doing: Doing, _: Any) -> Choices:
    if "sent_to" in doing.once:
        sent = doing.words(N_("by the link that was sent to them, which works once"))
        return ((INVITED, sent), (N_("Sent to"), doing.once["sent_to"]))
    link = doing.once.get("link") or doing.words(N_("It was shown once and is not shown again."))
    return ((INVITED, doing.words(N_("by this link, which works once"))), (N_("Link"), link))


async def _end_sessions(doing: Doing, _: NoFields) -> Done:
    """End all sessions of somebody."""
    person_id = doing.ids["person_id"]
    count = await staff.end_sessions(doing.db, doing.doer_id, *where(doing.ids), person_id)
    return Done(f"person:{person_id}", {"count": count}, before={"sessions": count})


async def _forget_codes(doing: Doing, form: Why) -> Done:
    """Ask somebody who lost their authenticator for no codes any more; their sessions end."""
    person_id = doing.ids["person_id"]
    await staff_facts.take_off_codes(doing.db, doing.doer_id, *where(doing.ids), person_id)
    return Done(
        f"person:{person_id}", before={"codes": True}, after={"codes": False}, reason=form.reason
    )


async def _add_client(doing: Doing, form: NewClient) -> Done:
    """Make an API client with one role; its first key is shown in this answer alone."""
    client_id, key, expires_at = await client.add(
        doing.db, doing.doer_id, *where(doing.ids), form.name, form.role,
        _scope(form.place, doing), form.days, doing.doer.at,
    )  # fmt: skip
    doing.once["key"] = key
    answer = people.KeyMade(client_id=client_id, expires_at=expires_at)
    after = {"role": form.role, "place": form.place, "days": form.days}
    return Done(f"person:{client_id}", answer.model_dump(mode="json", exclude={"key"}), after=after)


async def _add_key(doing: Doing, form: NewKey) -> Done:
    """Make another key, to take the place of one; it is shown in this answer alone."""
    client_id = doing.ids["client_id"]
    key, expires_at = await client.add_key(
        doing.db, doing.doer_id, *where(doing.ids), client_id, form.days, doing.doer.at
    )
    doing.once["key"] = key
    answer = people.KeyMade(client_id=client_id, expires_at=expires_at)
    return Done(
        f"person:{client_id}", answer.model_dump(mode="json", exclude={"key"}),
        after={"days": form.days},
    )  # fmt: skip


def _told_key(doing: Doing, _: Any) -> Choices:
    key = doing.once.get("key") or doing.words(N_("It was shown once and is not shown again."))
    return ((N_("Key"), key), (N_("Keep it"), doing.words(N_("It is not shown again."))))


async def _rename_client(doing: Doing, form: ClientName) -> Done:
    """Give a program another name; its keys and roles stay."""
    client_id = doing.ids["client_id"]
    await client.rename(doing.db, doing.doer_id, *where(doing.ids), client_id, form.name)
    return Done(f"person:{client_id}", after={"changed": ["name"]})


async def _client_typed(doing: Doing) -> Mapping[str, Any]:
    client_id = doing.ids["client_id"]
    found = await staff.member(doing.db, doing.doer_id, *where(doing.ids), client_id, "client")
    return {"name": found.row["name"] or ""}


async def _revoke_key(doing: Doing, form: Why) -> Done:
    """Revoke a key at once; whatever still uses it is refused."""
    client_id, key_id = doing.ids["client_id"], doing.ids["key_id"]
    hint = await client.revoke_key(
        doing.db, doing.doer_id, *where(doing.ids), client_id, key_id, doing.doer.at
    )
    return Done(f"person:{client_id}", before={"key": hint}, reason=form.reason)


def _giver(person_kind: str, id_name: str) -> Callable[[Doing, Giving], Awaitable[Done]]:
    async def run(doing: Doing, form: Giving) -> Done:
        """Give a role somewhere; nobody gives more than they hold there."""
        person_id = doing.ids[id_name]
        await staff.give(
            doing.db, doing.doer_id, *where(doing.ids), person_id, form.role,
            _scope(form.place, doing), doing.doer.at, person_kind,
        )  # fmt: skip
        return Done(f"person:{person_id}", after={"role": form.role, "place": form.place})

    return run


def _taker(person_kind: str, id_name: str) -> Callable[[Doing, Why], Awaitable[Done]]:
    async def run(doing: Doing, form: Why) -> Done:
        """Take a role away; the last administrator's stays."""
        person_id = doing.ids[id_name]
        name, scope = await staff.take(
            doing.db, doing.doer_id, *where(doing.ids), person_id, doing.ids["grant_id"],
            person_kind,
        )  # fmt: skip
        before = {"role": name, "place": f"{scope.kind}:{scope.id}"}
        return Done(f"person:{person_id}", before=before, reason=form.reason)

    return run


def _shutter(
    person_kind: str, id_name: str, is_out: bool
) -> Callable[[Doing, Why], Awaitable[Done]]:
    async def run(doing: Doing, form: Why) -> Done:
        person_id = doing.ids[id_name]
        await staff.set_disabled(
            doing.db, doing.doer_id, *where(doing.ids), person_id, is_out, doing.doer.at,
            person_kind,
        )  # fmt: skip
        before, after = {"disabled": not is_out}, {"disabled": is_out}
        return Done(f"person:{person_id}", before=before, after=after, reason=form.reason)

    run.__doc__ = (
        "Shut somebody or a program out at once; sessions end and keys are refused."
        if is_out
        else "Let somebody or a program in again, with the roles they have."
    )
    return run


def _about(person_kind: str, id_name: str) -> Callable[[Doing], Awaitable[Choices]]:
    async def about(doing: Doing) -> Choices:
        found = await staff.member(
            doing.db, doing.doer_id, *where(doing.ids), doing.ids[id_name], person_kind
        )
        return ((N_("Name"), found.row["name"] or ""), (N_("User name"), found.row["login"]))

    return about


def _acts_of(realm: Realm, noun: str, id_name: str, verb: Verb) -> list[Act[Any]]:
    """What can be done to people and programs alike."""
    kind, folder = (noun, "staff" if noun == "staff" else "clients")
    one, about = f"{realm.address}/{folder}/{{{id_name}}}", _about(kind, id_name)
    then = _to(folder, id_name)

    def act(deed: str, address: str, title: str, form: type[Form], run: Any, **more: Any) -> Any:
        name = f"{realm.prefix}{noun}.{deed}"
        return Act(
            name, verb, address, title, form, None, run, tag="staff", about=about, then=then, **more
        )

    return [
        act("give", f"{one}/grants", N_("Give a role"), Giving, _giver(kind, id_name)),
        act(
            "take", f"{one}/grants/{{grant_id}}/take", N_("Take the role away"), Why,
            _taker(kind, id_name), danger=True,
            consequence=N_("From the next moment on they can do and see no more than by the roles "
                           "they have left."),
        ),
        act(
            "disable", f"{one}/disable", N_("Shut out"), Why, _shutter(kind, id_name, True),
            danger=True,
            consequence=N_("Every session ends and every key is refused, until they are let in "
                           "again. Their roles stay."),
        ),
        act(
            "enable", f"{one}/enable", N_("Let in again"), Why,
            _shutter(kind, id_name, False),
            consequence=N_("They come back with the roles they have."),
        ),
    ]  # fmt: skip


def _staff_acts(realm: Realm) -> list[Act[Any]]:
    one, about = f"{realm.address}/staff/{{person_id}}", _about("staff", "person_id")

    def act(
        deed: str, address: str, title: str, form: type[Form], answer: type[BaseModel] | None,
        run: Any, **more: Any,
    ) -> Act[Any]:  # fmt: skip
        name = f"{realm.prefix}staff.{deed}"
        return Act(name, Verb.STAFF_EDIT, address, title, form, answer, run, tag="staff", **more)

    return [
        act(
            "invite", f"{realm.address}/staff", N_("Invite"), Invitation, people.Invited, _invite,
            told=_told_link,
        ),
        act(
            "reset", f"{one}/reset", N_("New link for a password"), NewLink, people.Invited,
            _reset, told=_told_link, about=about,
            consequence=N_("The link is sent by e-mail where they have an address, else it is "
                           "shown to you; links from before are void. Whoever opens it chooses "
                           "the password; all sessions end then."),
        ),
        act(
            "edit", f"{one}/edit", N_("Edit person"), StaffChange, None, _edit, about=about,
            typed=_edited, then=_to("staff", "person_id"),
            consequence=N_("With another e-mail, links that were sent before are void."),
        ),
        act(
            "erase", f"{one}/erase", N_("Erase person"), Why, None, _erase, about=about,
            danger=True, then=lambda doing, _: f"{base_of(doing.ids)}/staff",
            consequence=N_("Name, user name and e-mail are overwritten, and roles, password and "
                           "authenticator go. Nobody can bring them back. What they did stays in "
                           "the audit, by a number that leads to nobody."),
        ),
        act(
            "end_sessions", f"{one}/end-sessions", N_("End all sessions"), NoFields, people.Ended,
            _end_sessions, about=about, then=_to("staff", "person_id"),
            consequence=N_("They are signed out everywhere and can sign in again."),
        ),
        act(
            "forget_codes", f"{one}/forget-codes", N_("Take the authenticator off"), Why,
            None, _forget_codes, about=about, then=_to("staff", "person_id"), danger=True,
            consequence=N_("The password alone opens their account until they set up an "
                           "authenticator again. Make sure that it is them who ask."),
        ),
    ]  # fmt: skip


def _client_acts(realm: Realm) -> list[Act[Any]]:
    all_of, about = f"{realm.address}/clients", _about("client", "client_id")
    one, prefix, verb = f"{all_of}/{{client_id}}", f"{realm.prefix}client", Verb.CLIENT_EDIT
    return [
        Act(
            f"{prefix}.add", verb, all_of, N_("Add an API client"), NewClient, people.KeyMade,
            _add_client, tag="staff", told=_told_key,
        ),
        Act(
            f"{prefix}.rename", verb, f"{one}/rename", N_("Rename program"), ClientName, None,
            _rename_client, tag="staff", typed=_client_typed, then=_to("clients", "client_id"),
        ),
        Act(
            f"{prefix}.add_key", verb, f"{one}/keys", N_("Make a key"), NewKey, people.KeyMade,
            _add_key, tag="staff", told=_told_key, about=about,
        ),
        Act(
            f"{prefix}.revoke_key", verb, f"{one}/keys/{{key_id}}/revoke-key", N_("Revoke the key"),
            Why, None, _revoke_key, tag="staff", danger=True, about=about,
            then=_to("clients", "client_id"),
            consequence=N_("Whatever still uses this key is refused from now on."),
        ),
    ]  # fmt: skip


ACTS: Final[tuple[Act[Any], ...]] = tuple(
    act
    for realm in REALMS
    for act in (
        *_staff_acts(realm),
        *_acts_of(realm, "staff", "person_id", Verb.STAFF_EDIT),
        *_client_acts(realm),
        *_acts_of(realm, "client", "client_id", Verb.CLIENT_EDIT),
    )
)
