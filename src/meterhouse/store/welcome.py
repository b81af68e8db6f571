"""The ways into an installation that nobody can sign in to yet, as rows.

Owns hashes and when they end. Must never see an address in the clear.
"""

from datetime import datetime

from meterhouse.store.db import Connection


async def insert_link(
    connection: Connection, token_hash: bytes, at: datetime, expires_at: datetime
) -> None:
    """A way into an empty installation; those that are over are swept away."""
    await connection.execute("delete from welcome_link where expires_at <= $1", at)
    await connection.execute(
        "insert into welcome_link (token_hash, created_at, expires_at) values ($1, $2, $3)",
        token_hash, at, expires_at,
    )  # fmt: skip


async def lock(connection: Connection) -> None:
    """Let one at a time begin an installation."""
    await connection.execute("select pg_advisory_xact_lock(7308, 0)")


async def opens(connection: Connection, token_hash: bytes, at: datetime) -> bool:
    """Whether this way is open now."""
    found: bool = await connection.fetchval(
        "select exists (select from welcome_link where token_hash = $1 and expires_at > $2)",
        token_hash, at,
    )  # fmt: skip
    return found


async def end_links(connection: Connection) -> None:
    """Close every way in."""
    await connection.execute("delete from welcome_link")
