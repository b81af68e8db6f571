"""The way into an installation that nobody can sign in to yet.

Owns the one-time address that the terminal shows, and what is made through it in one transaction:
the first administrator, the first group, the first project. Only a hash of the address is kept;
it opens for an hour, and never again once somebody can sign in.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.errors import MeterhouseError
from meterhouse.flows import access, act, onboard
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Doer, Done, Via
from meterhouse.store import people
from meterhouse.store import welcome as links
from meterhouse.store.db import Connection, Database

LINK_LIFE: Final = timedelta(hours=1)
_TOKEN_BYTES: Final = 24


class WelcomeOver(MeterhouseError):
    """This address is not valid any more; the terminal shows a new one at each start."""

    code = "welcome_over"
    http_status = 404


@dataclass(frozen=True, slots=True)
class Beginning:
    """What an installation begins with."""

    login: str
    name: str
    password: str
    group: str
    project: str
    timezone: str
    policy: dict[str, Any]


async def issue(db: Database, at: datetime) -> str | None:
    """A new address's secret, to be shown once; None where somebody can sign in already."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    async with db.transaction(()) as connection:
        if await people.count_staff(connection):
            return None
        await links.insert_link(connection, _digest(token), at, at + LINK_LIFE)
    return token


async def check(db: Database, token: str, at: datetime) -> None:
    """Raises `WelcomeOver` unless the address opens now."""
    async with db.transaction(()) as connection:
        await _check(connection, token, at)


async def begin(db: Database, token: str, new: Beginning, request_id: str, at: datetime) -> int:
    """Make the first administrator, group and project; answers the project.

    Raises:
        WelcomeOver: the address opens no more.
        OutOfRange: the password is too short or too long.
        TimezoneUnknown: there is no such zone.
    """

    async def work(joined: Database) -> Done:
        async with joined.transaction(()) as connection:
            await links.lock(connection)
            await _check(connection, token, at)
        await access.add_person(
            joined, new.login, new.name, new.password, "platform_administrator", "platform", 0, at
        )
        group_id = await onboard.open_group(joined, new.group)
        project = onboard.NewProject(new.project, group_id, new.timezone, policy=new.policy)
        project_id = await onboard.open_project(joined, project, at)
        async with joined.transaction(()) as connection:
            await links.end_links(connection)
        after = {"group": new.group, "project": new.project}
        return Done(f"project:{project_id}", project_id, after=after, project_id=project_id)

    doer = Doer(None, Via.CONSOLE, at, request_id)
    asked = {"project": new.project}
    done = await act.perform(db, doer, [], "installation.begin", Verb.PROJECT_OPEN, asked, work)
    return int(done.answer)


async def _check(connection: Connection, token: str, at: datetime) -> None:
    is_open = await links.opens(connection, _digest(token), at)
    if not is_open or await people.count_staff(connection):
        raise WelcomeOver


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
