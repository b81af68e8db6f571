"""What a head end does when its line to the database breaks and comes back."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

from meterhouse.headend import service
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.store.db import DatabaseUnreachable

NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)


class Going:
    """A database that can be listened to, then is away, then can be listened to again."""

    def __init__(self):
        self.lost = asyncio.Event()
        self.tries = 0

    @asynccontextmanager
    async def listener(self, channel, heard):
        self.tries += 1
        if self.tries == 2:
            raise DatabaseUnreachable(why="gone")
        self.lost.clear()
        yield self.lost


async def test_every_pump_looks_when_commands_can_be_heard_again(monkeypatch):
    """What was committed meanwhile was told to nobody."""
    monkeypatch.setattr(service, "RETRY_S", 0)
    db, woken_at = Going(), []
    head = HeadEnd(db, lambda: NOON, HeadEndSettings("127.0.0.1", 0, 1, "rs485"))
    head._pumps[9] = SimpleNamespace(wake=lambda: woken_at.append(db.tries))
    listening = asyncio.create_task(head._listen())
    async with asyncio.timeout(5):
        while db.tries < 1 or not woken_at:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0)
        db.lost.set()
        while db.tries < 3 or len(woken_at) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    listening.cancel()
    assert woken_at == [1, 3]
