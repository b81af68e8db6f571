"""A closed day: what belongs to it, that it never changes, and that its proofs can fail."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from meterhouse.errors import Conflict, NotFound
from meterhouse.flows import day, doubt, estimate
from meterhouse.flows.day import DayNotOver
from meterhouse.flows.doubt import Decision, OfMeter
from meterhouse.rating.decided import Decided
from meterhouse.store import proofs
from meterhouse.store.db import maintenance
from meterhouse.units import to_us
from premises import HASTY, MORNING

WEDNESDAY = date(2026, 3, 4)


class Killed(Exception):
    """Somebody pulled the plug."""


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


async def closed_energy(site):
    """The energy of every closed day in kWh, by day."""
    rows = await site.rows("select totals->'energy' as energy from day_close order by day")
    found = [json.loads(row["energy"]) for row in rows]
    assert all(len(one) <= 1 for one in found)
    return [one[0]["energy_milli"] / 1000 if one else 0 for one in found]


async def closes(site, day_of_month):
    """Every day up to this one of March is closed, at two in the night after it."""
    site.clock.at = datetime(2026, 3, day_of_month, 18, tzinfo=UTC)
    await day.close_days(site.db, site.project_id, None, None, site.clock())


def half_past(day_of_month, hour):
    """An instant of March by the wall clock of the site."""
    return datetime(2026, 3, day_of_month, hour, 30, tzinfo=UTC) - timedelta(hours=8)


async def says(site, *told):
    """A meter says its totals in kWh, stored there since (day, hour); they arrive now."""
    meter_id = site.meters[0]
    await site.read(*((meter_id, half_past(*when), round(kwh * 1000)) for when, kwh in told))


async def holds(address):
    return [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


async def test_what_was_used_on_a_closed_day_and_is_read_late_counts_when_it_is_known(
    site, address
):
    site.clock.at = half_past(4, 23)
    await says(site, ((4, 10), 0), ((4, 20), 5))
    await closes(site, 4)
    await says(site, ((5, 1), 9))
    await says(site, ((4, 23), 8))
    assert await holds(address)
    await closes(site, 5)
    # 5 were known when the fourth was closed; the fifth has 1 of its own, and the 3 of before.
    assert await closed_energy(site) == [5, 4]
    await says(site, ((4, 22), 7), ((6, 1), 10))
    await closes(site, 6)
    # One reading more divides what is counted already, and changes nothing of it.
    assert await closed_energy(site) == [5, 4, 1]
    assert await holds(address)


async def test_an_estimate_that_is_taken_back_counts_less_on_the_day_it_is_known(new_site, address):
    site = await new_site(rooms=1, policy=HASTY | {"estimate_after_h": 2})
    await site.pay(1_000_000)
    site.clock.at = half_past(8, 0)
    await says(
        site, *(((n, hour), 24 * (n - 4) + hour) for n in range(4, 8) for hour in (0, 12, 23))
    )
    site.clock.at = half_past(8, 23)
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    estimated = (await site.state())["estimated_nano"]
    await closes(site, 8)
    assert estimated > 0
    known = 95 + round(estimated / 600_000 / 1000, 3)
    assert sum(await closed_energy(site)) == pytest.approx(known, abs=1e-9)
    site.clock.at = half_past(9, 12)
    await says(site, ((9, 12), 100))
    await closes(site, 9)
    # The true reading says 5 since the seventh, whatever was estimated of the eighth.
    days_milli = await closed_energy(site)
    assert days_milli[-1] < 0
    assert sum(days_milli) == pytest.approx(100, abs=1e-9)
    assert await holds(address)


async def test_a_decision_counts_on_the_day_it_is_made(site, address):
    site.clock.at = half_past(4, 23)
    await says(site, ((4, 10), 0), ((4, 20), 5), ((4, 23), 8))
    await closes(site, 4)
    reading = await site.row("select max(read_at) as at from reading where total_milli = 5000")
    which = OfMeter(site.meters[0], to_us(reading["at"]))
    last = await site.row("select max(read_at) as at from reading where total_milli = 8000")
    said = Decision(Decided.CORRECT, "a slip", (6_000, -1, -1, -1, -1))
    key = site.db, site.tariffs, site.project_id
    await doubt.decide(*key, OfMeter(site.meters[0], to_us(last["at"])), said, None, site.clock())
    await doubt.decide(*key, which, Decision(Decided.DISCARD, "no"), None, site.clock())
    await closes(site, 5)
    assert await closed_energy(site) == [8, -2]
    assert await holds(address)


async def test_what_arrives_while_a_day_is_closed_is_counted_once(site, address, monkeypatch):
    site.clock.at = half_past(4, 23)
    await says(site, ((4, 10), 0), ((4, 20), 5))
    added_up, told = day._totals, []

    async def late(*arguments):
        # The day has begun to close: it is told of, but holds no more.
        await says(site, told.pop())
        if told:
            raise Killed
        return await added_up(*arguments)

    monkeypatch.setattr(day, "_totals", late)
    told += [((4, 23), 8), ((4, 21), 6)]
    with pytest.raises(Killed):
        await closes(site, 4)
    assert await site.rows("select 1 from day_close") == []
    await closes(site, 4)
    # What came with the close that broke is known to the one that did not.
    assert await closed_energy(site) == [6]
    assert await holds(address)
    monkeypatch.setattr(day, "_totals", added_up)
    await closes(site, 5)
    assert await closed_energy(site) == [6, 2]
    assert await holds(address)


async def test_two_who_close_at_once_write_the_day_once(site, address, monkeypatch):
    site.clock.at = half_past(4, 23)
    await says(site, ((4, 10), 0), ((4, 20), 5))
    added_up = day._totals

    async def overtaken(*arguments):
        monkeypatch.setattr(day, "_totals", added_up)
        await day.close_days(site.db, site.project_id, WEDNESDAY, None, site.clock())
        return await added_up(*arguments)

    monkeypatch.setattr(day, "_totals", overtaken)
    early = site.clock() - timedelta(minutes=5)
    assert await day.close_days(site.db, site.project_id, WEDNESDAY, None, early) == []
    (row,) = await site.rows("select until_at from day_close")
    assert row["until_at"] == site.clock()
    assert await closed_energy(site) == [5]
    assert await holds(address)


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
