"""Who keeps a point's money changes, and meters come and go: never away from under money."""

from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.flows import close, correct, customer, device, estimate, recharge, replay, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.explain import explain_transfer
from meterhouse.flows.keeping import MeterHoldsMoney
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.flows.wallet import MeterMoneyUnfit
from meterhouse.model import Commodity, Keeper
from meterhouse.store import days, proofs
from meterhouse.store.personal import Facts
from meterhouse.store.recharges import RechargeLive
from premises import FLAT, HASTY
from replayed import made_replay, silent
from street import build_street


@pytest.fixture
async def street(db, clock):
    return await build_street(db, clock, credit_minor=1_000, purchase_count=6)


@pytest.fixture(autouse=True)
async def proven(address):
    yield
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


async def keep(site, keeper):
    point = await device.point(site.db, site.project_id, site.points[0])
    return await device.edit_point(
        site.db, site.project_id, site.points[0], point["version"], point["tariff_id"], keeper,
        site.clock(),
    )  # fmt: skip


async def remove(site):
    return await device.remove_meter(site.db, site.project_id, site.meters[0], site.clock())


async def readdress(site, address="000000000099", gateway_id=0):
    meter = await device.meter(site.db, site.project_id, site.meters[0])
    gateway = gateway_id or meter["gateway_id"]
    return await device.edit_meter(
        site.db, site.project_id, site.meters[0], meter["version"], gateway, address
    )


async def turn_to_platform(site):
    return await keep(site, Keeper.PLATFORM)


@pytest.mark.parametrize("act", [remove, turn_to_platform, readdress])
async def test_nothing_moves_away_from_under_a_live_recharge(street, act):
    await street.pay(500)
    with pytest.raises(RechargeLive):
        await act(street.site)


@pytest.mark.parametrize("act", [remove, turn_to_platform, readdress])
async def test_nothing_moves_away_from_under_money_in_the_meter(street, act):
    await street.read()
    with pytest.raises(MeterHoldsMoney):
        await act(street.site)


async def test_a_meter_with_money_may_move_to_another_line_but_not_while_some_is_on_its_way(
    street,
):
    site = street.site
    await street.read()
    other = await device.add_gateway(
        site.db, site.project_id, device.GatewayFacts("B", "B-1", "dial_in", None, "dlt645-2007")
    )
    await readdress(site, "000000000001", other)
    await street.pay(500)
    with pytest.raises(RechargeLive):
        await readdress(site, "000000000001", site.gateway_id)


@pytest.mark.parametrize("act", [remove, turn_to_platform, readdress])
async def test_an_empty_meter_may_go(street, act):
    await street.read()
    taken = await recharge.take_back(
        street.site.db, street.site.project_id, street.site.points[0], None, None,
        street.site.clock(),
    )  # fmt: skip
    assert await street.run()
    assert (await street.recharge(taken))["state"] == "applied"
    await act(street.site)


async def test_what_is_rated_while_nobody_pays_is_never_booked(new_site):
    site = await new_site(rooms=1)
    total = 0

    async def use(milli):
        nonlocal total
        total += milli
        site.clock.step(minutes=30)
        await site.say(total)

    await use(1_000)
    await use(1_333)
    await keep(site, Keeper.NONE)
    # What was used until then is booked to the last coin: 1.333 kWh at 0.60 are 79.98 cents.
    state = await site.state()
    assert (state["accrued_nano"], state["rounded_nano"]) == (0, 799_800_000 - 790_000_000)
    await use(5_000)
    await keep(site, Keeper.EXTERNAL)
    await use(7_000)
    await keep(site, Keeper.PLATFORM)
    assert (await site.state())["accrued_nano"] == 0
    await use(1_000)
    assert (await site.state())["accrued_nano"] == 600_000_000
    await close.book_day(site.db, site.project_id, site.clock())
    purse = await site.row(
        """select (credit_minor - debit_minor)::int8 as held from account
           where id = (select account_id from point)"""
    )
    assert purse["held"] == -80 - 60
    # The nightly check asks the same.
    async with site.db.transaction([site.project_id]) as connection:
        found = [
            await days.contradicting(
                connection, site.project_id, "booked_and_accrued_equal_rated", share, site.clock()
            )
            for share in range(days.SHARES)
        ]
    assert sum(found) == 0


async def test_a_meter_speaks_of_hundredths_and_keeps_no_other_money(street, new_site):
    await street.site.rows("update project set currency_exponent = 3 returning id")
    with pytest.raises(MeterMoneyUnfit):
        await street.pay(500)
    await street.read()
    assert await street.balances() == {}
    site = await new_site(rooms=1)
    await site.rows("update project set currency_exponent = 0 returning id")
    with pytest.raises(MeterMoneyUnfit):
        await keep(site, Keeper.METER)
    with pytest.raises(MeterMoneyUnfit):
        await device.add_point(
            site.db, site.project_id, site.rooms[0].place_id, Commodity.WATER, None, Keeper.METER,
            site.clock(),
        )  # fmt: skip


async def test_a_meter_that_keeps_again_is_taken_over_as_it_is_found(street):
    site = street.site
    await street.read()
    await recharge.take_back(site.db, site.project_id, site.points[0], None, None, site.clock())
    assert await street.run()
    await keep(site, Keeper.PLATFORM)
    site.clock.step(minutes=30)
    # Somebody fills it by hand meanwhile; that is no contradiction of anything known.
    street.faces[0].meter.buy(300, street.faces[0].meter.purchase_count + 1)
    await keep(site, Keeper.METER)
    site.clock.step(minutes=1)
    await street.read()
    assert await site.alarms() == []
    known = await site.row(
        """select w.credit_minor from wallet w join meter m on (m.id, m.wallet_epoch)
           = (w.meter_id, w.wallet_epoch)"""
    )
    assert known["credit_minor"] == 300


KWH_NANO, DAY_NANO = 600_000_000, 1_000_000_000
# A Tuesday's ten in the morning in Shanghai, when another begins to keep the money.
CHANGED = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
DAILY = FLAT | {
    "versions": [FLAT["versions"][0] | {"standing": {"per": "day", "amount_micro": 1_000_000}}]
}


async def read(site, *said):
    """Readings as (minutes from the change of keeper, kWh), all in one batch."""
    rows = [(site.meters[0], CHANGED + timedelta(minutes=one), kwh * 1_000) for one, kwh in said]
    site.clock.at = max(site.clock.at, *(row[1] for row in rows))
    await site.read(*rows)


async def turn(site, keeper):
    site.clock.at = CHANGED
    await keep(site, keeper)


async def owed(site):
    """What households were ever made to owe in Nano, on their purses or not yet booked."""
    taken = await site.row(
        """select coalesce(sum(case when d.kind = 'purse' then t.amount_minor
                else -t.amount_minor end), 0)::int8 as coins
           from transfer t join account d on d.id = t.debit_account_id
           where t.kind in ('booking', 'rounding')"""
    )
    return taken["coins"] * 10_000_000 + (await site.state())["accrued_nano"]


async def explained(site):
    """How many bookings there are; each of them is told to the last Nano."""
    rows = await site.rows("select id from transfer where kind in ('booking', 'rounding')")
    for row in rows:
        told = await explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
        assert told.booking.is_exact, told
    return len(rows)


async def charged(site):
    """What was rated at all, in Nano."""
    return (await site.state())["rated_nano"]


async def corrected(site, micro, since):
    """Another price from a past instant on, swept over the charges."""
    version = FLAT["versions"][0] | {"prices_micro": {"flat": [micro]}}
    body = FLAT | {"versions": [version | {"effective_from": since.isoformat()}]}
    asked, _ = await replay.asked_of_correction(
        site.db, site.tariffs, site.project_id, site.tariff_id, since, body, site.clock()
    )
    made = await made_replay(site.db, site.project_id, asked, site.clock())
    told = await correct.begin(
        site.db, site.tariffs, site.project_id, made, "wrong", None, None, site.clock()
    )
    await correct.sweep(site.db, site.tariffs, site.project_id, told, None, site.clock, silent)


DAY = 24 * 60
# By the day before: 10 kWh. By the morning of the change: 100. Just after it, and a day later.
STORY = ((-DAY, 10), (-40, 100), (30, 101), (60, 103), (DAY, 110))


async def told(site, keeper, arrival):
    """The story of a point whose keeper changes, as it arrives: places of its readings."""
    site.clock.at = CHANGED - timedelta(days=2)
    await read(site, (-2 * DAY, 0))
    before, after = arrival
    for place in before:
        await read(site, STORY[place])
    await turn(site, keeper)
    for place in after:
        await read(site, STORY[place])


ARRIVALS = [
    ((0, 1), (2, 3, 4)), ((0,), (1, 2, 3, 4)), ((), (2, 0, 1, 3, 4)), ((), (4, 3, 2, 1, 0)),
    ((0, 1), (4, 2, 3)), ((1,), (4, 0, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("arrival", ARRIVALS)
async def test_what_was_used_under_the_platform_is_owed_whenever_it_comes(new_site, arrival):
    site = await new_site(rooms=1, tariff=DAILY)
    await told(site, Keeper.EXTERNAL, arrival)
    # Up to the reading after the change: two days and 101 kWh. The interval of the change began
    # under the platform.
    assert await owed(site) == 2 * DAY_NANO + 101 * KWH_NANO
    assert (await site.state())["accrued_nano"] == 0
    assert await charged(site) == 3 * DAY_NANO + 110 * KWH_NANO
    assert await explained(site)


@pytest.mark.parametrize("arrival", ARRIVALS)
async def test_what_was_used_under_another_is_owed_to_nobody_whenever_it_comes(new_site, arrival):
    site = await new_site(rooms=1, tariff=DAILY, keeper=Keeper.EXTERNAL)
    await told(site, Keeper.PLATFORM, arrival)
    await close.book_day(site.db, site.project_id, site.clock())
    assert await owed(site) == DAY_NANO + 9 * KWH_NANO
    assert await charged(site) == 3 * DAY_NANO + 110 * KWH_NANO
    assert await explained(site)


@pytest.mark.parametrize("arrival", ARRIVALS)
async def test_a_corrected_price_reaches_the_keeper_of_the_time_and_no_other(new_site, arrival):
    site = await new_site(rooms=1)
    await told(site, Keeper.EXTERNAL, arrival)
    await corrected(site, 700_000, CHANGED - timedelta(days=3))
    assert await owed(site) == 101 * 700_000_000
    assert await charged(site) == 110 * 700_000_000
    await corrected(site, 500_000, CHANGED - timedelta(days=3))
    assert await owed(site) == 101 * 500_000_000
    assert await explained(site)
    other = await new_site(rooms=1, keeper=Keeper.EXTERNAL, name="other")
    await told(other, Keeper.PLATFORM, arrival)
    await corrected(other, 700_000, CHANGED - timedelta(days=3))
    assert await owed(other) == 9 * 700_000_000
    assert await charged(other) == 110 * 700_000_000


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_keeper_for_a_while_has_what_was_used_in_it(new_site, is_late):
    site = await new_site(rooms=1)
    site.clock.at = CHANGED - timedelta(days=1)
    await site.pay(10_000)
    await read(site, (-DAY, 0))
    within = ((-30, 7), (30, 20), (90, 37))
    for minutes, keeper in ((0, Keeper.NONE), (60, Keeper.PLATFORM)):
        if not is_late:
            await read(site, within[minutes // 60])
        site.clock.at = CHANGED + timedelta(minutes=minutes)
        await keep(site, keeper)
    await read(site, (120, 50))
    if is_late:
        await read(site, within[1])
    await read(site, *within)
    # 7 kWh and what began in them, the 13 after; then those after the platform kept it again.
    assert await owed(site) == (20 + 13) * KWH_NANO
    assert await charged(site) == 50 * KWH_NANO
    state = await site.state()
    assert state["accrued_nano"] == 13 * KWH_NANO
    assert state["aside_nano"] == 17 * KWH_NANO


async def test_what_is_below_a_coin_of_a_time_that_ended_adds_up_to_coins(new_site):
    site = await new_site(rooms=1)
    site.clock.at = CHANGED - timedelta(days=1)
    await site.pay(10_000)
    await read(site, (-DAY, 0))
    await turn(site, Keeper.EXTERNAL)
    # Each of them is worth 0.36 cents and none of them alone a coin: 3.6 cents together.
    for place in range(1, 11):
        rows = [(site.meters[0], CHANGED - timedelta(minutes=30 - place), place * 6)]
        site.clock.at = CHANGED + timedelta(minutes=place)
        await site.read(*rows)
    assert await owed(site) == 40_000_000
    state = await site.state()
    assert (state["rated_nano"], state["rounded_nano"]) == (36_000_000, -4_000_000)
    booked = await site.rows("select booking from transfer where kind = 'booking' order by id")
    assert len({row["booking"] for row in booked}) == len(booked) == 4 == await explained(site)


async def test_an_account_that_is_closed_meanwhile_owes_in_the_houses_books(new_site):
    site = await new_site(rooms=1)
    site.clock.at = CHANGED - timedelta(days=1)
    await site.pay(10_000)
    await read(site, (-DAY, 0), (-60, 10))
    await turn(site, Keeper.EXTERNAL)
    await read(site, (10, 30))
    guest = await customer.add(site.db, site.project_id, Facts("Next"), "zh-Hans")
    await settle.move_tenants(
        site.db, site.project_id, site.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        Leaving("moved away"), None, site.clock(),
    )  # fmt: skip
    await read(site, (60, 37), (-30, 20))
    assert (await site.state())["accrued_nano"] == 0
    await corrected(site, 700_000, CHANGED - timedelta(days=3))
    house = await site.row(
        """select (debit_minor - credit_minor)::int8 as owed from account
           where kind = 'receivable' and agreement_id is null"""
    )
    # 30 kWh were the household's, dearer by ten cents now.
    assert house["owed"] == 300
    assert await owed(site) == 30 * KWH_NANO - 300 * 10_000_000


async def test_nothing_is_estimated_from_before_the_platform_kept_the_money(new_site):
    site = await new_site(rooms=1, keeper=Keeper.EXTERNAL, policy=HASTY | {"estimate_after_h": 1})
    site.clock.at = CHANGED - timedelta(days=9)
    await read(site, *((-day * DAY, 10 - day) for day in range(9, 0, -1)))
    await turn(site, Keeper.PLATFORM)
    site.clock.step(hours=8)
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    assert (await site.state())["estimated_nano"] == 0
    await read(site, (9 * 60, 12), (10 * 60, 13))
    assert await owed(site) == KWH_NANO
