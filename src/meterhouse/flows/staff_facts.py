"""Saying anew who somebody of staff is, and forgetting it, or the authenticator they lost.

Owns what is corrected and what is overwritten when somebody works here no more. Must never put a
name into an entry or a log; who may act on whom is decided in `staff`.
"""

from dataclasses import dataclass
from datetime import datetime

from meterhouse.errors import MeterhouseError
from meterhouse.flows import staff
from meterhouse.flows.access import ScopeKind
from meterhouse.store import credentials, people, personal
from meterhouse.store.db import PLATFORM, Database


class StillLetIn(MeterhouseError):
    """Shut them out first; whoever works here is not erased."""

    code = "still_let_in"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said anew of somebody of staff; empty stays as it is."""

    name: str = ""
    email: str = ""
    language: str = ""


async def edit(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int, facts: Facts,
    at: datetime,
) -> None:  # fmt: skip
    """Say anew who somebody is. Links that went to an address which is no longer theirs are void.

    Raises:
        BeyondYours: they hold more than the doer.
        StaffErased: nobody knows any more who they were, and nobody shall.
    """
    async with db.transaction([PLATFORM]) as connection:
        await staff.meet_covered(
            connection, doer_id, kind, place_id, person_id, "staff", or_self=True
        )
        await staff.check_there(connection, person_id)
        name, email = facts.name.strip() or None, facts.email or None
        await personal.change_staff(connection, person_id, name, email)
        if email:
            await credentials.void_links(connection, person_id, at)
        if facts.language:
            await people.set_language(connection, person_id, facts.language)


async def erase(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int, at: datetime
) -> None:
    """Overwrite who somebody was that works here no more, with what they signed in by.

    Their roles go too. The audit knows an id that now leads to nobody.

    Raises:
        BeyondYours: they hold more than the doer, or are the doer.
        StillLetIn: they have not been shut out.
        StaffErased: it was done before.
    """
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        row = await staff.meet_covered(connection, doer_id, kind, place_id, person_id, "staff")
        if row["disabled_at"] is None:
            raise StillLetIn
        if not await personal.erase_staff(connection, person_id, at):
            raise staff.StaffErased
        await people.forget(connection, person_id)
        await credentials.end_sessions(connection, person_id, None)
        await credentials.void_links(connection, person_id, at)


async def take_off_codes(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int
) -> None:
    """Ask somebody who lost their authenticator for no codes any more; their sessions end."""
    async with db.transaction([PLATFORM]) as connection:
        await staff.meet_covered(connection, doer_id, kind, place_id, person_id, "staff")
        await people.set_totp(connection, person_id, None, None, 0)
        await people.set_recovery(connection, person_id, [])
        await credentials.end_sessions(connection, person_id, None)
