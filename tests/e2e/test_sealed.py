"""Meters with a security chip over a socket: opened, recharged, read back, and told a new price."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from meterhouse.drivers.dlt645 import driver as dlt645_driver
from meterhouse.flows import parameter, recharge, sale
from meterhouse.flows.sale import Wish
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.plugins import SIMULATED, open_security
from meterhouse.sim.spec import GatewaySpec, MeterSpec, TownSpec
from meterhouse.sim.town import Town
from meterhouse.store.proofs import prove
from meterhouse.units import Minor
from townhall import HABITS, HOST, SPEED, eventually, found, hasty_model

ADDRESS = "260305510012"
METER = MeterSpec(
    ADDRESS, "DLT645-2007-ESAM", load_class="steady", keeps_purse=True, credit_minor=250,
    purchase_count=4, price_micro=(500_000,) * 4,
)  # fmt: skip
SPEC = TownSpec(1, 8 * 3_600_000, (), (GatewaySpec("GW1", (ADDRESS,)),), (METER,))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(dlt645_driver, "load", hasty_model)


@asynccontextmanager
async def at_work(db, clock, module):
    """A site with one sealed meter behind a gateway, and a head end with this module."""
    town = Town(SPEC, clock, habits=HABITS)
    site, _ = await found(db, clock, SPEC)
    await site.rows("update point set keeper = 'meter' returning id")
    head = HeadEnd(
        db, clock, HeadEndSettings(HOST, 0, SPEED, "rs485"), security=open_security(module)
    )
    await head.start()
    dialling = asyncio.create_task(town.dial(HOST, head.port))
    try:
        await eventually(lambda: site.rows("select * from gateway_state where seals is not null"))
        yield site, town
    finally:
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        await head.stop()


async def ended(site, recharge_id, state="applied"):
    async def look():
        row = await site.row("select * from recharge where id = $1", recharge_id)
        return row if row["state"] == state else None

    return await eventually(look, f"recharge {recharge_id} {state}")


async def test_a_sealed_meter_is_opened_recharged_and_told_its_price(db, clock, address):
    async with at_work(db, clock, SIMULATED) as (site, town):
        point_id, meter_id = site.points[0], site.meters[0]
        opened = await recharge.open_wallet(db, site.project_id, point_id, None, clock())
        await ended(site, opened)
        wish = Wish(Minor(5_000), None, "cash", None, "paid-once")
        paid = await sale.sell(db, site.project_id, point_id, wish, None, clock())
        row = await site.row("select id from recharge where payment_id = $1", paid.payment_id)
        landed = await ended(site, row["id"])
        assert (landed["number"], landed["send_count"]) == (2, 1)
        meter = town.meter(ADDRESS)
        assert (meter.purchase_count, meter.credit_minor) == (2, 5_250)
        purse = await recharge.purse_of(db, site.project_id, meter_id)
        assert (purse["net_minor"], purse["customer_number"]) == (5_250, f"{point_id:012d}")
        command_id = await parameter.send_prices(
            db, site.project_id, meter_id, None, "new price", None, clock()
        )

        async def confirmed():
            row = await site.row("select state from command where id = $1", command_id)
            return row["state"] == "confirmed"

        await eventually(confirmed, "a price in the meter")
        clock.at += timedelta(hours=1)
        assert town.meter(ADDRESS).sets.now.price_micro == (600_000,) * 4
    assert [proof.says for proof in await prove(address) if not proof.holds] == []


async def test_a_head_end_without_a_module_says_so_and_no_money_is_taken(db, clock):
    async with at_work(db, clock, "") as (site, _):
        wish = Wish(Minor(5_000), None, "cash", None, "paid-once")
        with pytest.raises(recharge.NoSecurityModule):
            await sale.sell(db, site.project_id, site.points[0], wish, None, clock())
        assert await site.rows("select id from payment") == []
