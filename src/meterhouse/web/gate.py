"""The gate that stands on the flows of access: sessions and keys become callers.

Owns nothing but the translation. Must never know how a password is checked or a grant is stored.
"""

from meterhouse.flows import access, signin
from meterhouse.flows.access import Known
from meterhouse.flows.signin import SignedIn
from meterhouse.ports import Clock
from meterhouse.store.db import Database
from meterhouse.web.access import Caller


class FlowGate:
    """Asks the database who a credential belongs to, at every request."""

    def __init__(self, database: Database, clock: Clock, secret_key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._secret_key = secret_key

    async def caller_of_session(self, token: str) -> Caller | None:
        """The person of a live session."""
        return caller_of(await access.known_by_session(self._database, token, self._clock()))

    async def caller_of_key(self, key: str) -> Caller | None:
        """The API client of a live key."""
        return caller_of(await access.known_by_key(self._database, key, self._clock()))

    async def sign_in(self, login: str, password: str, agent: str, peer: str) -> SignedIn | None:
        """A new session, or None."""
        at = self._clock()
        return await signin.sign_in(self._database, login, password, agent, at, peer)

    async def sign_out(self, token: str) -> None:
        """End a session."""
        await signin.sign_out(self._database, token, self._clock())

    async def enter_code(self, token: str, code: str, agent: str, peer: str) -> SignedIn | None:
        """The session behind the second step, or None. Raises `NotFound` when it is too late."""
        return await signin.enter_code(
            self._database, token, code, self._secret_key, agent, self._clock(), peer
        )

    async def prove(self, caller: Caller, token: str, proof: str) -> str | None:
        """The session's next token, or None."""
        if caller.person_id is None or caller.session_id is None:
            return None
        return await signin.prove(
            self._database, caller.person_id, caller.session_id, token, proof, self._secret_key,
            self._clock(),
        )  # fmt: skip


def caller_of(known: Known | None) -> Caller | None:
    """What the web knows of somebody known."""
    if known is None:
        return None
    language = known.language.replace("_", "-")
    reaches = {reach.project_id: reach for reach in known.reaches}
    return Caller(
        known.person_id, known.name, language, reaches, known.groups, known.platform,
        known.session_id, known.proved_at, known.needs_code,
    )  # fmt: skip
