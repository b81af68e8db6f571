"""A closed day: what belongs to it, that it never changes, and that its proofs can fail."""

from datetime import date, timedelta

import pytest

from meterhouse.errors import Conflict, NotFound
from meterhouse.flows import day
from meterhouse.flows.day import DayNotOver
from meterhouse.store.db import maintenance
from premises import MORNING

WEDNESDAY = date(2026, 3, 4)
NIGHT = timedelta(hours=14, minutes=10)  # from ten in the morning to ten past midnight


async def used(site, energy_milli=10_000):
    await site.say(0)
    site.clock.step(hours=1)
    await site.say(energy_milli)


async def test_a_day_holds_what_was_paid_booked_and_used(site):
    await site.pay(5_000)
    await used(site)
    site.clock.at = MORNING + NIGHT
    assert await day.close_days(site.db, site.project_id, None, None, site.clock()) == [WEDNESDAY]
    closed = await day.closed_day(site.db, site.project_id, WEDNESDAY)
    assert closed.is_proved
    assert set(closed.proofs) == set(day.PROOFS)
    assert closed.totals["in_minor"] == 5_000
    assert closed.totals["booked"] == [
        {"commodity": "electricity", "count": 1, "amount_minor": 600}
    ]
    assert closed.totals["energy"] == [
        {"commodity": "electricity", "energy_milli": 10_000, "amount_nano": 6_000_000_000}
    ]
    assert await day.close_days(site.db, site.project_id, None, None, site.clock()) == []
    with pytest.raises(NotFound):
        await day.closed_day(site.db, site.project_id, WEDNESDAY + timedelta(days=1))


async def test_days_missed_are_closed_in_their_order_and_nothing_counts_twice(site):
    await site.pay(1_000)
    site.clock.at = MORNING + NIGHT
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    for paid in (2_000, 3_000):
        site.clock.step(days=1)
        await site.pay(paid)
    site.clock.step(days=1)
    done = await day.close_days(site.db, site.project_id, None, None, site.clock())
    assert done == [WEDNESDAY + timedelta(days=n) for n in (1, 2, 3)]
    found = [await day.closed_day(site.db, site.project_id, one) for one in (WEDNESDAY, *done)]
    assert [one.totals["in_minor"] for one in found] == [1_000, 0, 2_000, 3_000]
    assert all(one.is_proved for one in found)


async def test_what_comes_late_lands_in_the_open_day(site, address):
    await site.pay(1_000)
    site.clock.at = MORNING + NIGHT
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    before = await day.closed_day(site.db, site.project_id, WEDNESDAY)
    # It was begun before midnight and committed after the day was closed.
    late = site.clock()
    site.clock.at = MORNING + timedelta(hours=13)
    await site.pay(700)
    site.clock.at = late + timedelta(days=1)
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    assert await day.closed_day(site.db, site.project_id, WEDNESDAY) == before
    after = await day.closed_day(site.db, site.project_id, WEDNESDAY + timedelta(days=1))
    assert after.totals["in_minor"] == 700
    assert after.is_proved


async def test_today_may_be_ended_early_and_never_tomorrow(site):
    await site.pay(1_000)
    site.clock.step(hours=1)
    with pytest.raises(DayNotOver):
        await day.close_days(
            site.db, site.project_id, WEDNESDAY + timedelta(days=1), None, site.clock()
        )
    await day.close_days(site.db, site.project_id, WEDNESDAY, None, site.clock())
    site.clock.step(hours=1)
    await site.pay(300)
    site.clock.at = MORNING + NIGHT + timedelta(days=1)
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    thursday = await day.closed_day(site.db, site.project_id, WEDNESDAY + timedelta(days=1))
    assert thursday.totals["in_minor"] == 300
    assert thursday.is_proved


MONEY_ELSEWHERE = """insert into account (project_id, kind, unit, agreement_id, compartment,
        credit_minor, floor_minor)
    select project_id, '{}', unit, agreement_id, 'electricity', 5, null
    from account where kind = 'purse' order by id limit 1"""
FAULTS = {
    "debits_equal_credits": "update account set debit_minor = debit_minor + 1 where kind = 'cash'",
    "sums_equal_transfers": "update account set debit_minor = debit_minor + 1 where kind = 'cash'",
    "accounts_equal_transfers": """update account set credit_minor = credit_minor + x.by
        from (select id, case when row_number() over (order by id) = 1 then 1 else -1 end as by
              from account where kind = 'purse' and credit_minor > 0 order by id limit 2) x
        where account.id = x.id""",
    "booked_and_accrued_equal_rated": "update point_state set rated_nano = rated_nano + 1",
    "in_flight_equals_recharges": MONEY_ELSEWHERE.format("in_flight"),
    "on_meter_equals_purses": MONEY_ELSEWHERE.format("on_meter"),
    "orders_equal_transfers": """insert into payment (project_id, agreement_id, account_id,
            channel, amount_minor, key, created_at)
        select project_id, agreement_id, id, 'cash', 5, 'planted', now() from account
        where kind = 'purse' limit 1""",
    "shifts_closed": """insert into shift (project_id, cashier_id, float_minor, opened_at)
        select (select id from project limit 1), (select id from person limit 1), 0,
            '2026-03-04 03:00+00'""",
}


@pytest.mark.parametrize("proof", day.PROOFS)
async def test_a_planted_fault_opens_an_alarm_that_closes_when_it_holds(site, address, proof):
    for room in range(2):
        await site.pay(5_000, room=room)
    await used(site)
    await day.close_days(
        site.db, site.project_id, WEDNESDAY - timedelta(days=1), None, site.clock()
    )
    async with maintenance(address) as connection:
        if proof == "shifts_closed":
            await connection.execute("""insert into personal (project_id, name) values (0, 'n')""")
            await connection.execute(
                """insert into person (kind, login, personal_id, created_at)
                   select 'staff', 'c', max(id), now() from personal where project_id = 0"""
            )
        await connection.execute(FAULTS[proof])
    site.clock.at = MORNING + NIGHT
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    found = await day.prove_again(site.db, site.project_id, site.clock())
    assert found[proof] > 0
    assert ("proof_failed", f"proof:{proof}") in await site.alarms()
    if proof in ("booked_and_accrued_equal_rated", "shifts_closed"):
        mend = {
            "booked_and_accrued_equal_rated": "update point_state set rated_nano = rated_nano - 1",
            "shifts_closed": """update shift set closed_at = now(), counted_minor = 0,
                expected_minor = 0""",
        }[proof]
        async with maintenance(address) as connection:
            await connection.execute(mend)
        await day.prove_again(site.db, site.project_id, site.clock())
        assert ("proof_failed", f"proof:{proof}") in await site.alarms(is_open=False)


async def test_nothing_is_proved_before_the_first_day(site):
    with pytest.raises(Conflict):
        await day.prove_again(site.db, site.project_id, site.clock())
