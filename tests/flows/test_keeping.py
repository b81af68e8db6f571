"""Who keeps a point's money changes, and meters come and go: never away from under money."""

import pytest

from meterhouse.flows import close, device, recharge
from meterhouse.flows.keeping import MeterHoldsMoney
from meterhouse.flows.wallet import MeterMoneyUnfit
from meterhouse.model import Commodity, Keeper
from meterhouse.store import days, proofs
from meterhouse.store.recharges import RechargeLive
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
