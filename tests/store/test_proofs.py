"""Each question of `verify` finds the corruption it is there for."""

from datetime import timedelta

import asyncpg
import pytest

from meterhouse.flows import close, command
from meterhouse.model import CommandKind
from meterhouse.store import proofs
from premises import HOMES

_AGAIN = """insert into charge select project_id, point_id, ended_at, version + 1, {started},
    meter_id, register_epoch, account_id, tariff_id, {energy}, block_milli, block_period_at,
    amount_nano, verdict, quality from charge where ended_at = (select max(ended_at) from charge)"""
PLANTED = {
    "every account's sums equal its transfers":
        "update transfer set amount_minor = amount_minor + 1 where kind = 'recharge'",
    "debits equal credits in every project":
        "update account set credit_minor = credit_minor + 1 where kind = 'revenue'",
    "every payment has exactly one transfer of its amount":
        "update transfer set payment_id = null",
    "what was rated equals the charges in force":
        "update point_state set rated_nano = rated_nano + 1, accrued_nano = accrued_nano + 1",
    "booked plus accrued equals rated wherever the platform keeps the money":
        "update point_state set accrued_nano = accrued_nano - 1",
    "charged intervals of a chain neither overlap nor leave a gap":
        _AGAIN.format(started="started_at + interval '1 second'", energy="energy_milli"),
    "energy is conserved: charged equals last good minus first, rollovers included":
        _AGAIN.format(started="started_at", energy="energy_milli + 1"),
    "every charge ends and begins at a stored reading":
        "delete from reading where read_at = (select max(read_at) from reading)",
    "every sent command has an actor or a rule, and an expiry after it was sent":
        "update command set sent_at = expires_at",
    "every customer and person leads to one who is known, or was erased":
        "update customer set personal_id = personal_id + 1000",
    "no two agreements pay for a point at once":
        """insert into agreement_point (project_id, point_id, agreement_id, valid_from)
           select project_id, point_id, agreement_id, valid_from + interval '1 hour'
           from agreement_point""",
}  # fmt: skip


@pytest.fixture
async def books(new_site, clock):
    """A site with a little of everything that is proven."""
    site = await new_site(tariff=HOMES)
    await site.pay(2_000)
    for total_milli in (0, 4_000, 9_000):
        clock.step(minutes=30)
        await site.say(total_milli)
    await site.read((site.meters[0], clock() - timedelta(minutes=45), 2_000))
    await close.book_day(site.db, site.project_id, clock())
    await command.request(
        site.db, site.project_id, site.meters[:1], CommandKind.READ, "look", None, clock()
    )
    await command.claim(site.db, site.project_id, site.gateway_id, clock())
    return site


async def broken(address):
    return [one.says for one in await proofs.prove(address) if not one.holds]


def test_every_question_has_its_corruption():
    assert set(PLANTED) == set(proofs.QUESTIONS)


@pytest.mark.parametrize("says", PLANTED)
async def test_a_planted_corruption_is_found(books, address, says):
    assert await broken(address) == []
    connection = await asyncpg.connect(**address.arguments(None))
    # As a careless superuser, past every trigger and foreign key.
    await connection.execute("set session_replication_role = replica")
    done = await connection.execute(PLANTED[says])
    await connection.close()
    assert not done.endswith(" 0")
    assert says in await broken(address)


async def test_the_proofs_look_at_every_project(books, new_site, address):
    other = await new_site(name="other")
    await other.pay(100)
    connection = await asyncpg.connect(**address.arguments(None))
    await connection.execute(
        "update account set debit_minor = debit_minor + 1 where project_id = $1 and kind = 'cash'",
        other.project_id,
    )
    await connection.close()
    counts = {one.says: one.contradicting for one in await proofs.prove(address)}
    assert counts["debits equal credits in every project"] == 1
