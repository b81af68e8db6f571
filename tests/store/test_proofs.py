"""Each question of `verify` finds the corruption it is there for."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from meterhouse.flows import close, command, day, receipt
from meterhouse.model import CommandKind
from meterhouse.store import proofs
from premises import HOMES
from street import build_street

_AGAIN = """insert into charge select project_id, point_id, ended_at, version + 1, {started},
    meter_id, register_epoch, account_id, tariff_id, {energy}, block_milli, block_period_at,
    amount_nano, verdict, quality from charge where ended_at = (select max(ended_at) from charge)"""
_ORDER = """insert into payment (project_id, agreement_id, account_id, channel, created_at, kind,
    of_payment_id, amount_minor, key) select project_id, agreement_id, account_id, channel,
    created_at,"""
PLANTED = {
    "every account's sums equal its transfers":
        "update transfer set amount_minor = amount_minor + 1 where kind = 'recharge'",
    "debits equal credits in every project":
        "update account set credit_minor = credit_minor + 1 where kind = 'revenue'",
    "every payment has exactly one transfer of its amount":
        "update transfer set payment_id = null",
    "a reversal undoes one sale or fee: once, whole, between the accounts it went between":
        f"{_ORDER} 'reversal', id, amount_minor - 1, 'r-' || id from payment",
    "a fee is earned out of a purse or over the counter, and its reversal goes the way back":
        "update payment set kind = 'fee' where kind = 'recharge'",
    "what comes from before these books stands against the opening balance":
        "update payment set kind = 'opening_debt' where kind = 'recharge'",
    "no more is paid back out of a purse than was paid into it, channel by channel":
        f"{_ORDER} 'refund', null, amount_minor + 1, 'r-' || id from payment",
    "opening credit is taken back once, whole, out of the purse it went into":
        f"{_ORDER} 'opening', id, amount_minor, 'o-' || id from payment",
    "a deposit is given back at most once, and whole":
        f"{_ORDER} 'deposit_refund', id, amount_minor, 'r-' || id from payment",
    "what was rated equals the charges in force":
        "update point_state set rated_nano = rated_nano + 1, accrued_nano = accrued_nano + 1",
    "booked plus accrued equals rated, less what is owed to nobody":
        "update point_state set accrued_nano = accrued_nano - 1",
    "what was used while another kept the money is owed to nobody":
        """insert into point_payer (project_id, point_id, since_at, account_id, keeper)
           select project_id, point_id, min(ended_at) - interval '1 minute', min(account_id),
               'external' from charge group by 1, 2""",
    "nothing accrues where the platform does not keep the money":
        "update point_state set accrued_nano = accrued_nano + 1",
    "charged intervals of a chain neither overlap nor leave a gap":
        _AGAIN.format(started="started_at + interval '1 second'", energy="energy_milli"),
    "energy is conserved: charged equals last good minus first, rollovers included":
        _AGAIN.format(started="started_at", energy="energy_milli + 1"),
    "between two tracks is billed what a person said, and nothing without one":
        "update charge set verdict = 12 where energy_milli > 0",
    "estimated energy stands only after the last good reading, and is what it was rated at":
        "update point_state set estimated_nano = estimated_nano + 1",
    "the energy of closed days, and what came of them since, is what is charged":
        """insert into energy_difference (project_id, commodity, after_at, energy_milli,
               amount_nano) select project_id, 'electricity', '-infinity', 0, 1 from day_close""",
    "every charge ends and begins at a stored reading":
        "delete from reading where read_at = (select max(read_at) from reading)",
    "every sent command has an actor or a rule, and an expiry after it was sent":
        "update command set sent_at = expires_at",
    "every customer and person leads to one who is known, or was erased":
        "update customer set personal_id = personal_id + 1000",
    "every account of a closed agreement is at zero":
        """insert into settlement (project_id, agreement_id, settled_at, registers,
               refunded_minor, reason, created_at)
           select project_id, agreement_id, now(), '[]', 0, 'nothing was paid out', now()
           from payment limit 1""",
    "money in flight is what live recharges carry, household by household":
        "delete from recharge where state = 'reserved'",
    "money on meters is what their purses were last known to hold, household by household":
        "update wallet set credit_minor = credit_minor + 1",
    "what moved by a meter's report is what two looks into its purse differ by":
        "update purse_report set said_minor = said_minor + 1",
    "a recharge left the purse once, and reached the meter or came back once, or is live":
        "update recharge set state = 'returned', ended_at = applied_at where state = 'applied'",
    "a meter takes one amount under one number of one purse":
        """drop index recharge_number;
           update recharge set number = 1 where state in ('applied', 'verified')""",
    "what was sent was written down before":
        "update recharge set frame = null",
    "a point has as many persons as the household that pays for it, and their number is dated":
        "update point set persons = persons + 1",
    "the receipts of every series are numbered from 1 without a gap":
        "update receipt_series set next_number = next_number + 1",
    "no two agreements pay for a point at once":
        """insert into agreement_point (project_id, point_id, agreement_id, valid_from)
           select project_id, point_id, agreement_id, valid_from + interval '1 hour'
           from agreement_point""",
}  # fmt: skip


@pytest.fixture
async def books(new_site, clock):
    """A site with a little of everything that is proven."""
    site = await new_site(tariff=HOMES)
    paid = await site.pay(2_000)
    await receipt.issue_later(site.db, site.project_id, paid.payment_id, None, clock())
    for total_milli in (0, 4_000, 9_000):
        clock.step(minutes=30)
        await site.say(total_milli)
    await site.read((site.meters[0], clock() - timedelta(minutes=45), 2_000))
    await close.book_day(site.db, site.project_id, clock())
    today = clock().astimezone(ZoneInfo("Asia/Shanghai")).date()
    await day.close_days(site.db, site.project_id, today, None, clock())
    # What comes late is of the next day.
    await site.read((site.meters[0], clock() - timedelta(minutes=40), 2_100))
    await command.request(
        site.db, site.project_id, site.meters[:1], CommandKind.READ, "look", None, clock()
    )
    await command.claim(site.db, site.project_id, site.gateway_id, clock())
    street = await build_street(site.db, clock, rooms=2, credit_minor=100)
    for room in (0, 0, 1):
        await street.pay(500, room, f"{room} {clock.step(minutes=1)}")
        if room == 0:
            await street.run()
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
