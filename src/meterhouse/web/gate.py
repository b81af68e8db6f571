"""The gate that stands on the flows of access: sessions and keys become callers.

Owns nothing but the translation. Must never know how a password is checked or a grant is stored.
"""

from meterhouse.flows import access
from meterhouse.flows.access import Known
from meterhouse.ports import Clock
from meterhouse.store.db import Database
from meterhouse.web.access import Caller


class FlowGate:
    """Asks the database who a credential belongs to, at every request."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def caller_of_session(self, token: str) -> Caller | None:
        """The person of a live session."""
        return caller_of(await access.known_by_session(self._database, token, self._clock()))

    async def caller_of_key(self, key: str) -> Caller | None:
        """The API client of a live key."""
        return caller_of(await access.known_by_key(self._database, key))

    async def sign_in(self, login: str, password: str, agent: str) -> str | None:
        """A new session's token, or None."""
        return await access.sign_in(self._database, login, password, agent, self._clock())

    async def sign_out(self, token: str) -> None:
        """End a session."""
        await access.sign_out(self._database, token, self._clock())


def caller_of(known: Known | None) -> Caller | None:
    """What the web knows of somebody known."""
    if known is None:
        return None
    language = known.language.replace("_", "-")
    reaches = {reach.project_id: reach for reach in known.reaches}
    return Caller(known.person_id, known.name, language, reaches, known.groups, known.platform)
