"""The audit: only ever added to, sealed in batches, and no tampering stays unseen."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from meterhouse.flows import audit as keeping
from meterhouse.store import audit, proofs
from meterhouse.store.audit import Entry
from meterhouse.store.bulk import superuser
from meterhouse.store.db import PLATFORM, Database
from meterhouse.units import EPOCH
from premises import MORNING

PROJECT_ID = 7


def entry(number: int = 1, **changes) -> Entry:
    """An entry with something in every column."""
    facts = {
        "at": MORNING + timedelta(seconds=number), "actor_id": 3, "via": "console",
        "act": "meter.disconnect", "verb": "meter.switch", "subject": f"meter:{number}",
        "before": {"relay": "closed"}, "after": {"relay": "open", "命令": number},
        "reason": "拉闸检修", "request_id": f"r{number}",
    }  # fmt: skip
    return Entry(**facts | changes)


async def add(db, *entries, project_id=PROJECT_ID):
    async with db.transaction([project_id]) as connection:
        for one in entries:
            await audit.write(connection, project_id, one)


async def chain_of(address, project_id=PROJECT_ID, heads=()):
    found = {chain.project_id: chain for chain in await proofs.prove_audit(address, heads)}
    return found[project_id]


@pytest.fixture
async def sealed(db):
    """Three seals over two entries each, the platform's own beside them, one entry still open."""
    for number in (1, 3, 5):
        await add(db, entry(number), entry(number + 1))
        assert await keeping.seal(db, PROJECT_ID, MORNING + timedelta(minutes=number)) == 2
    await add(db, entry(), project_id=PLATFORM)
    await keeping.seal(db, PLATFORM, MORNING)
    await add(db, entry(7))


async def tamper(address, *statements):
    """What somebody can do who is past every policy, right and trigger."""
    async with superuser(address) as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)


async def test_what_was_written_is_sealed_and_holds(sealed, address):
    chain = await chain_of(address)
    assert (chain.broken, chain.sealed, chain.open) == ((), 6, 1)
    assert chain.head.startswith(f"{PROJECT_ID}:3:")
    platform = await chain_of(address, PLATFORM)
    assert (platform.broken, platform.sealed, platform.open) == ((), 1, 0)


async def test_with_nothing_new_there_is_no_new_seal(sealed, db, address):
    assert await keeping.seal(db, PROJECT_ID, MORNING) == 1
    assert await keeping.seal(db, PROJECT_ID, MORNING) == 0
    assert (await chain_of(address)).head.startswith(f"{PROJECT_ID}:4:")


async def test_a_project_nothing_happened_in_has_no_chain_and_nothing_broken(db, address):
    (platform,) = await proofs.prove_audit(address)
    assert (platform.project_id, platform.broken, platform.head) == (PLATFORM, (), "")
    assert await keeping.seal(db, PROJECT_ID, MORNING) == 0


ALTERED = {
    "at": "at + interval '1 microsecond'", "actor_id": "4", "via": "'api'", "act": "'meter.read'",
    "verb": "'meter.read'", "object": "'meter:9'", "before": "null",
    "after": """after || '{"x": 1}'""", "reason": "''", "request_id": "'r'",
}  # fmt: skip


async def test_every_column_of_an_entry_is_under_the_seal(db):
    async with db.transaction([PROJECT_ID]) as connection:
        rows = await connection.fetch(
            """select attname from pg_attribute where attrelid = 'audit_entry'::regclass
               and attnum > 0"""
        )
    assert {row["attname"] for row in rows} == {*ALTERED, "id", "project_id"}


@pytest.mark.parametrize("column", ALTERED)
async def test_a_changed_cell_is_found(sealed, address, column):
    await tamper(address, f"update audit_entry set {column} = {ALTERED[column]} where id = 3")
    assert (await chain_of(address)).broken == (2,)


MOVE = """insert into audit_entry (project_id, id, at, actor_id, via, act, verb, object, before,
        after, reason, request_id) overriding system value
    select project_id, {}, at, actor_id, via, act, verb, object, before, after, reason, request_id
    from audit_entry"""
TAMPERINGS = {
    "an entry removed": (["delete from audit_entry where id = 4"], (2,)),
    "the first entry removed": (["delete from audit_entry where id = 1"], (1,)),
    "an entry moved to another project": (
        ["update audit_entry set project_id = 8 where id = 4"], (2,),
    ),
    "a number given anew": (
        [f"{MOVE.format('-1')} where id = 1", "delete from audit_entry where id = 1"], (1,),
    ),
    "two entries change places": (
        [
            f"{MOVE.format('id + 100')} where id in (3, 4)",
            "delete from audit_entry where id in (3, 4)",
            f"{MOVE.format('107 - id')} where id in (103, 104)",
            "delete from audit_entry where id in (103, 104)",
        ],
        (2,),
    ),
    "an entry put before all others": (
        [
            """insert into audit_entry (project_id, id, at, via, act, verb, object)
               overriding system value values (7, -5, now(), 'cli', 'a', 'v', 'x:1')"""
        ],
        (1,),
    ),
    "an entry put into a gap": (
        [
            "delete from audit_entry where id = 5",
            """insert into audit_entry (project_id, id, at, via, act, verb, object)
               overriding system value values (7, 5, now(), 'cli', 'a', 'v', 'x:1')""",
        ],
        (3,),
    ),
    "a seal removed": (["delete from audit_seal where project_id = 7 and number = 2"], (3,)),
    "the first seal removed": (
        ["delete from audit_seal where project_id = 7 and number = 1"], (2,),
    ),
    "a seal with its entries removed": (
        [
            "delete from audit_seal where project_id = 7 and number = 2",
            "delete from audit_entry where id in (3, 4)",
        ],
        (3,),
    ),
    "the seals numbered anew over a removed one": (
        [
            "delete from audit_seal where project_id = 7 and number = 2",
            "delete from audit_entry where id in (3, 4)",
            "update audit_seal set number = 2 where project_id = 7 and number = 3",
        ],
        (2,),
    ),
    "a seal's hash": (
        ["update audit_seal set hash = '\\x00' where project_id = 7 and number = 2"], (2, 3),
    ),
    "a seal's count": (
        ["update audit_seal set entry_count = 3 where project_id = 7 and number = 2"], (2,),
    ),
    "a seal's reach": (
        ["update audit_seal set last_id = 3 where project_id = 7 and number = 2"], (2, 3),
    ),
    "a seal's instant": (
        ["update audit_seal set sealed_at = now() where project_id = 7 and number = 2"], (2,),
    ),
    "a seal of another project": (
        ["update audit_seal set project_id = 8 where project_id = 7 and number = 3"], (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_tampering_past_every_right_is_found(sealed, address, what):
    statements, broken = TAMPERINGS[what]
    await tamper(address, *statements)
    chains = await proofs.prove_audit(address)
    assert [chain.broken for chain in chains if chain.project_id == PROJECT_ID] == [broken]
    assert any(chain.broken for chain in chains)


async def test_a_chain_cut_off_or_made_anew_lacks_the_head_that_was_kept(sealed, db, address):
    kept = (await chain_of(address)).head
    assert (await chain_of(address, heads=[kept])).knows == {kept}
    await tamper(
        address,
        "delete from audit_seal where project_id = 7",
        "delete from audit_entry where project_id = 7 and id = 6",
    )
    await keeping.seal(db, PROJECT_ID, MORNING)
    chain = await chain_of(address, heads=[kept])
    assert (chain.broken, chain.knows) == ((), frozenset())


async def test_a_slow_act_with_a_smaller_number_is_never_left_out(db, address):
    second = Database(address, size=1)
    await second.open()
    async with second.transaction([PROJECT_ID]) as slow:
        await audit.write(slow, PROJECT_ID, entry(1))
        await add(db, entry(2))
        # Entry 2 is committed; entry 1 is not, and may still be.
        assert await keeping.seal(db, PROJECT_ID, MORNING) == 0
        # Whoever writes meanwhile is not kept waiting.
        await add(db, entry(3))
    assert await keeping.seal(db, PROJECT_ID, MORNING) == 3
    await second.close()
    chain = await chain_of(address)
    assert (chain.broken, chain.sealed, chain.open) == ((), 3, 0)


async def test_a_slow_act_of_another_project_keeps_nobody(db, address):
    async with db.transaction([PROJECT_ID + 1]) as slow:
        await audit.write(slow, PROJECT_ID + 1, entry(1))
        await add(db, entry(2))
        assert await keeping.seal(db, PROJECT_ID, MORNING) == 1


async def test_two_sealers_and_many_writers_leave_one_whole_chain(db, address):
    counts: list[int] = []
    done = asyncio.Event()

    async def write(number):
        for step in range(20):
            await add(db, entry(100 * number + step))

    async def seal():
        while not done.is_set():
            counts.append(await keeping.seal(db, PROJECT_ID, MORNING))

    sealers = [asyncio.create_task(seal()) for _ in range(2)]
    await asyncio.gather(*(write(number) for number in range(3)))
    done.set()
    await asyncio.gather(*sealers)
    counts.append(await keeping.seal(db, PROJECT_ID, MORNING))
    chain = await chain_of(address)
    assert (chain.broken, chain.sealed, sum(counts)) == ((), 60, 60)


async def test_a_batch_larger_than_a_seal_becomes_several(db, address, monkeypatch):
    monkeypatch.setattr(audit, "SEAL_ENTRIES_MAX", 2)
    await add(db, *(entry(number) for number in range(5)))
    assert await keeping.seal(db, PROJECT_ID, MORNING) == 5
    assert (await chain_of(address)).head.startswith(f"{PROJECT_ID}:3:")


@pytest.mark.parametrize("table", ["audit_entry", "audit_seal"])
async def test_the_application_only_adds_and_not_even_the_owner_changes(sealed, db, address, table):
    for statement in (f"update {table} set project_id = project_id", f"delete from {table}",
                      f"truncate {table}"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.transaction([PROJECT_ID]) as connection:
                await connection.execute(statement)
        async with superuser(address) as connection:
            with pytest.raises(asyncpg.RestrictViolationError):
                await connection.execute(statement)


async def test_entries_of_another_project_can_be_neither_seen_nor_added(sealed, db):
    async with db.transaction([PROJECT_ID + 1]) as connection:
        assert await connection.fetchval("select count(*) from audit_entry") == 0
        assert await connection.fetchval("select count(*) from audit_seal") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.transaction([PROJECT_ID + 1]) as connection:
            await audit.write(connection, PROJECT_ID, entry())


async def test_answers_live_a_week(db):
    async with db.transaction([PROJECT_ID]) as connection:
        for key, at in (("old", EPOCH), ("new", MORNING)):
            await audit.keep_answer(connection, PROJECT_ID, 3, key, b"d", 200, {"a": 1}, at)
    await keeping.forget_answers(db, PROJECT_ID, MORNING + timedelta(days=6))
    async with db.transaction([PROJECT_ID]) as connection:
        assert await audit.answered(connection, PROJECT_ID, 3, "old") is None
        assert await audit.answered(connection, PROJECT_ID, 3, "new") is not None
        # An answer is kept, or gone; it never becomes another one.
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("update answer set status = 500")
