"""Transactions: what they begin with, what of them is left in a session, parts of them."""

import asyncpg
import pytest

from meterhouse.store import monitor
from meterhouse.store.db import Database, DatabaseBusy, Joined, ScopeWidened, savepoint

LEFT = """select current_setting('meterhouse.scope', true) as scope,
    current_setting('meterhouse.buildings', true) as buildings,
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
    pg_backend_pid() as pid"""


@pytest.fixture
async def narrow(address):
    """A database with one session, so that each transaction gets what the last one left."""
    db = Database(address, size=1)
    await db.open()
    yield db
    await db.close()


async def test_a_transaction_begins_with_its_scope_and_its_lock(narrow):
    db = narrow.within(frozenset({7}))
    async with db.transaction([3, 4], monitor.project_lock(3)) as connection:
        found = await connection.fetchrow(LEFT)
        assert tuple(found)[:3] == ("3,4", "7", 1)


async def test_nothing_of_a_transaction_is_left_in_its_session(narrow):
    """The pool does not reset sessions: all that is set in them ends with its transaction."""
    async with narrow.transaction([3], monitor.project_lock(3)) as connection:
        pid = await connection.fetchval("select pg_backend_pid()")
    with pytest.raises(ZeroDivisionError):
        async with narrow.transaction([3], monitor.project_lock(3)):
            raise ZeroDivisionError
    with pytest.raises(asyncpg.UndefinedTableError):
        async with narrow.transaction([3]) as connection:
            await connection.execute("select * from nowhere")
    async with narrow.transaction(()) as connection:
        assert tuple(await connection.fetchrow(LEFT)) == ("", "", 0, pid)


async def test_a_lock_that_does_not_come_leaves_a_session_that_can_be_used(address, narrow):
    async with narrow.transaction(()) as connection:
        pid = await connection.fetchval("select pg_backend_pid()")
    holder = await asyncpg.connect(**address.arguments(None))
    async with holder.transaction():
        await holder.execute(monitor.project_lock(3))
        impatient = f"set local lock_timeout = '10ms'; {monitor.project_lock(3)}"
        with pytest.raises(DatabaseBusy):
            async with narrow.transaction([3], impatient):
                pytest.fail("the lock is somebody else's")
    await holder.close()
    async with narrow.transaction(()) as connection:
        assert tuple(await connection.fetchrow(LEFT)) == ("", "", 0, pid)


async def fail_within(connection):
    """Write, and fail in the same part."""
    async with savepoint(connection):
        await connection.execute("insert into kept values (2)")
        await connection.execute("select * from nowhere")


async def fail_late(joined):
    """Write in a part and in a part of it, then fail."""
    async with joined.transaction([3]) as part:
        await part.execute("insert into kept values (1)")
        async with savepoint(part):
            await part.execute("insert into kept values (2)")
        await part.execute("select * from nowhere")


async def test_a_part_sees_less_and_what_it_did_goes_when_it_fails(narrow):
    async with narrow.transaction([3, 4]) as connection:
        joined = Joined(narrow, connection, [3, 4])
        async with joined.transaction([4], monitor.project_lock(4)) as part:
            assert tuple(await part.fetchrow(LEFT))[:3] == ("4", "", 1)
        assert tuple(await connection.fetchrow(LEFT))[:3] == ("3,4", "", 1)
        await connection.execute("create temporary table kept (n integer)")
        with pytest.raises(asyncpg.UndefinedTableError):
            await fail_late(joined)
        assert await connection.fetchval("select count(*) from kept") == 0
        assert (await connection.fetchrow(LEFT))["scope"] == "3,4"
        with pytest.raises(ScopeWidened):
            async with joined.transaction([5]):
                pytest.fail("nobody may see more than the whole")


async def test_an_inner_part_that_fails_takes_nothing_of_the_outer_one(narrow):
    async with narrow.transaction(()) as connection:
        await connection.execute("create temporary table kept (n integer)")
        async with savepoint(connection):
            await connection.execute("insert into kept values (1)")
            with pytest.raises(asyncpg.UndefinedTableError):
                await fail_within(connection)
        assert await connection.fetchval("select sum(n) from kept") == 1
