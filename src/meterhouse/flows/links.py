"""One-time links that travel by e-mail, in the reader's language.

Owns the words of such a letter, and who is sent one that forgot their password. Must never keep a
link: it is made, sent and gone. Who asks for one learns nothing of whether the login exists.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.flows import passwords
from meterhouse.flows.access import Verb
from meterhouse.flows.staff import INVITATION_LIFE, RESET_LIFE
from meterhouse.logs import Log
from meterhouse.ports import Notice, Notifier
from meterhouse.store import audit, credentials, people, personal
from meterhouse.store.audit import Entry
from meterhouse.store.db import PLATFORM, Database
from meterhouse.words import N_, words

log = Log(__name__)

# Whoever asks more often is sent nothing more: nobody fills somebody else's letter box.
ASK_EVERY: Final = timedelta(minutes=5)

_SUBJECTS: Final = {
    INVITATION_LIFE: N_("Your invitation to {title}"),
    RESET_LIFE: N_("A new password for {title}"),
}
_TEXT: Final = N_(
    "{name},\n\nby this link you choose your password:\n\n{link}\n\nIt works once, within "
    "{hours} h. Your user name is {login}.\n\nIf you did not expect this letter, ignore it: "
    "without the link nothing changes.\n"
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a letter is for; `shown` is the address as it may be shown to others."""

    login: str
    name: str
    language: str
    email: str
    shown: str


async def reader(db: Database, person_id: int) -> Reader | None:
    """Somebody of staff who can be reached; None when nobody knows where."""
    async with db.transaction([PLATFORM]) as connection:
        return _reader(await personal.of_staff(connection, person_id))


async def send(notifier: Notifier, to: Reader, link: str, life: timedelta, title: str) -> bool:
    """Send a link; False when the mail server did not take it.

    Args:
        notifier: the channel.
        to: whom.
        link: the whole address.
        life: how long it works: `INVITATION_LIFE` or `RESET_LIFE`.
        title: what the installation is called.
    """
    say = words(to.language.replace("_", "-"))
    hours = life // timedelta(hours=1)
    text = say(_TEXT, name=to.name or to.login, link=link, hours=hours, login=to.login)
    subject = say(_SUBJECTS[life], title=title)
    try:
        await notifier.send(Notice(PLATFORM, 0, notifier.channel, to.email, subject, text))
    except Exception as error:
        log.warning("link_not_sent", error=error)
        return False
    return True


async def forgotten(db: Database, login: str, at: datetime) -> tuple[Reader, str] | None:
    """A link for somebody who forgot their password: whom to send it, and its token.

    None for whoever is unknown, shut out, no staff, not to be reached, or asked just now.
    """
    token = passwords.new_token()
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_login(connection, login)
        if person is None or person["kind"] != "staff" or person["disabled_at"] is not None:
            return None
        to = _reader(await personal.of_staff(connection, person["id"]))
        soon = await credentials.asked_link_since(connection, person["id"], at - ASK_EVERY)
        if to is None or soon:
            return None
        await credentials.insert_link(
            connection, passwords.digest(token), person["id"], "reset", None, at, at + RESET_LIFE
        )
        entry = Entry(
            at, None, "console", "password.forget", Verb.SESSION_OWN, f"person:{person['id']}"
        )
        await audit.write(connection, PLATFORM, entry)
    return to, token


async def email_of(db: Database, person_id: int) -> str:
    """Where one is reached oneself, as it may be shown; empty for nowhere."""
    found = await reader(db, person_id)
    return "" if found is None else found.shown


async def set_email(db: Database, person_id: int, email: str) -> None:
    """Where one wants to be reached from now on; empty for nowhere."""
    async with db.transaction([PLATFORM]) as connection:
        await personal.set_staff_email(connection, person_id, email or None)


def _reader(row: Any) -> Reader | None:
    if row is None or not row["email"]:
        return None
    return Reader(
        row["login"], row["name"] or "", row["language"], row["email"], row["masked"] or ""
    )
