"""Accounts and transfers: balances are the replay of their transfers, whatever was posted."""

import asyncio
from collections import Counter
from dataclasses import replace

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterhouse.errors import Conflict, NotFound
from meterhouse.model import AccountKind, Compartment, PaymentKind
from meterhouse.store import ledger, proofs
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.units import Minor
from premises import MORNING, Clock, build_site

ACCOUNTS = 6
pairs = st.tuples(st.integers(0, ACCOUNTS - 1), st.integers(0, ACCOUNTS - 1)).filter(
    lambda pair: pair[0] != pair[1]
)
transfers = st.lists(st.tuples(pairs, st.integers(1, 10**9)), max_size=12)


@pytest.fixture
async def site(new_site):
    """A site of this test's own: the folder's is shared."""
    return await new_site()


async def accounts_of(site):
    rows = await site.rows("select id from account order by id limit $1", ACCOUNTS)
    return [row["id"] for row in rows]


async def post(site, moves):
    ids = await accounts_of(site)
    new = [NewTransfer(ids[d], ids[c], Minor(minor), "test") for (d, c), minor in moves]
    async with site.db.transaction([site.project_id]) as connection:
        return await ledger.post(connection, site.project_id, new, None, MORNING)


async def balances(site):
    rows = await site.rows("select id, credit_minor - debit_minor as minor from account")
    return {row["id"]: row["minor"] for row in rows if row["minor"]}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(posted=st.lists(transfers, max_size=5))
async def test_a_balance_is_the_replay_of_its_transfers_and_all_add_up_to_nothing(db, posted):
    site = await build_site(db, Clock(), rooms=1)
    ids = await accounts_of(site)
    replay: Counter[int] = Counter()
    for moves in posted:
        made = await post(site, moves)
        assert made == sorted(made)
        for (debit, credit), minor in moves:
            replay[ids[debit]] -= minor
            replay[ids[credit]] += minor
        now = await balances(site)
        assert now == {one: minor for one, minor in replay.items() if minor}
        assert sum(now.values()) == 0


async def test_after_many_transfers_at_once_the_proofs_hold(site, address):
    moves = [[((n % ACCOUNTS, (n * 5 + 1) % ACCOUNTS), n + 1)] for n in range(24)]
    moves = [one for one in moves if one[0][0][0] != one[0][0][1]]
    # In both directions between the same accounts: locks are taken in the order of the ids.
    await asyncio.gather(*(post(site, one) for one in moves))
    assert len(await site.rows("select 1 as one from transfer")) == len(moves)
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_nothing_to_post_is_nothing(site):
    assert await post(site, []) == []


@pytest.mark.parametrize("minor", [0, -1])
async def test_a_transfer_moves_something_from_one_account_to_another(site, minor):
    with pytest.raises(asyncpg.CheckViolationError):
        await post(site, [((0, 1), minor)])
    with pytest.raises(asyncpg.CheckViolationError):
        await post(site, [((0, 0), 5)])
    assert await balances(site) == {}


async def test_a_transfer_between_projects_cannot_be_written(site, new_site):
    other = await new_site(name="other")
    (ours, *_), (theirs, *_) = await accounts_of(site), await accounts_of(other)
    new = NewTransfer(ours, theirs, Minor(1), "test")
    async with site.db.transaction([site.project_id, other.project_id]) as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await ledger.post(connection, site.project_id, [new], None, MORNING)


@pytest.mark.parametrize(
    "unknown",
    [{"debit_account_id": 10**9}, {"credit_account_id": 10**9}, {"payment_id": 10**9},
     {"recharge_id": 10**9}],
)  # fmt: skip
async def test_a_transfer_refers_to_nothing_that_is_not_there(site, unknown):
    debit, credit, *_ = await accounts_of(site)
    new = NewTransfer(debit, credit, Minor(1), "test")
    many = [new, replace(new, **unknown), new]
    async with site.db.transaction([site.project_id]) as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await ledger.post(connection, site.project_id, many, None, MORNING)


async def test_a_pending_transfer_that_is_ended_is_one_that_is_there(site):
    debit, credit, *_ = await accounts_of(site)
    ended = """insert into transfer (project_id, debit_account_id, credit_account_id, amount_minor,
               state, pending_id, kind, created_at)
           values ($1, $2, $3, 1, $4, $5, 'test', $6) returning id"""
    async with site.db.transaction([site.project_id]) as connection:
        given = (site.project_id, debit, credit)
        first = await connection.fetchval(ended, *given, "pending", None, MORNING)
        await connection.fetchval(ended, *given, "voided", first, MORNING)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.fetchval(ended, *given, "voided", 10**9, MORNING)


async def test_an_account_of_a_key_is_opened_once(site):
    async with site.db.transaction([site.project_id]) as connection:
        key = (connection, site.project_id, AccountKind.PURSE, "CNY", site.rooms[0].agreement_id)
        water = await ledger.open_account(*key, Compartment.WATER)
        assert await ledger.open_account(*key, Compartment.WATER) == water
        assert await ledger.open_account(*key, Compartment.HEAT) != water


async def test_a_project_without_books_says_so(site):
    async with site.db.transaction([site.project_id]) as connection:
        with pytest.raises(NotFound):
            await ledger.house_account(connection, site.project_id, AccountKind.IN_FLIGHT)


async def test_a_payment_key_names_one_payment(site):
    point = await site.row("select account_id from point where id = $1", site.points[0])
    new = NewPayment(site.rooms[0].agreement_id, point["account_id"], "cash", Minor(5), "k")
    async with site.db.transaction([site.project_id]) as connection:

        async def pay(**other):
            asked = replace(new, **other)
            return await ledger.insert_payment(connection, site.project_id, asked, None, MORNING)

        first = await pay()
        assert first[1]
        assert await pay(reason="other words") == (first[0], False)
        for other in ({"amount_minor": Minor(6)}, {"kind": PaymentKind.FEE}):
            with pytest.raises(Conflict):
                await pay(**other)
