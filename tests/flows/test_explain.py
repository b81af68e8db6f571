"""Every coin is explained to the last Nano, whatever arrived in whatever order."""

import random
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import bills, close, customer, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.explain import explain_transfer
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.store.bulk import superuser
from meterhouse.store.db import maintenance
from meterhouse.store.personal import Facts
from meterhouse.units import from_us
from premises import FLAT, HOMES

SHANGHAI = ZoneInfo("Asia/Shanghai")
METERED = {
    "name": "Metered",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00",
            "bands": ["sharp", "peak", "flat", "valley"],
            "band_source": "meter",
            "prices_micro": {
                "sharp": [1_234_567], "peak": [912_345], "flat": [623_457], "valley": [312_341],
            },
        }
    ],
}  # fmt: skip


async def explained(site):
    """Every booking of the project, explained."""
    rows = await site.rows("select id from transfer where kind = 'booking' order by id")
    return [
        await explain_transfer(site.db, site.tariffs, site.project_id, row["id"]) for row in rows
    ]


def random_price(dice):
    """The tariff for homes with prices of six decimals."""
    version = HOMES["versions"][0]
    prices = {
        band: sorted(dice.randrange(1, 3_000_000) for _ in steps)
        for band, steps in version["prices_micro"].items()
    }
    return HOMES | {"versions": [version | {"prices_micro": prices}]}


@pytest.mark.parametrize("seed", range(6))
async def test_every_booking_adds_up_to_the_last_nano(new_site, seed):
    dice = random.Random(seed)
    site = await new_site(rooms=1, tariff=random_price(dice), multiplier=dice.choice([1, 40]))
    await site.pay(1_000)
    total, held = 0, []
    for n in range(24):
        site.clock.step(minutes=dice.randrange(5, 600))
        total += dice.randrange(0, 2_000)
        # Some readings come late, in any order, after later ones were booked.
        if dice.random() < 0.3:
            held.append((site.meters[0], site.clock(), total))
        else:
            await site.say(total)
        if dice.random() < 0.3 and held:
            dice.shuffle(held)
            await site.read(held.pop())
        if dice.random() < 0.5:
            await close.book_day(site.db, site.project_id, site.clock())
        if dice.random() < 0.2:
            await site.pay(dice.randrange(1, 5_000), key=f"{seed}:{n}")
    for late in held:
        await site.read(late)
    await close.book_day(site.db, site.project_id, site.clock())
    found = await explained(site)
    assert len(found) > 3
    for one in found:
        booking = one.booking
        assert booking.is_exact, one.row
        assert booking.carried_nano + booking.added_nano == (
            booking.booked_nano + booking.rest_nano
        )
        assert sum(i.added_nano for i in booking.intervals) == booking.added_nano
        assert one.row["id"] in [part.transfer_id for part in booking.parts]
    state = await site.state()
    assert state["rated_nano"] == sum({
        one.row["booking"]: one.booking.added_nano for one in found
    }.values()) + await unbooked(site)  # fmt: skip


async def unbooked(site):
    """What was rated since the last booking."""
    row = await site.row(
        """select coalesce(sum(amount_nano - replaced), 0)::int8 as nano from (
               select *, coalesce(lag(amount_nano) over (
                   partition by ended_at order by version), 0) as replaced from charge) c
           where booking = (select booking from point_state)"""
    )
    return row["nano"]


async def test_an_interval_names_readings_version_band_and_block(new_site):
    site = await new_site(rooms=1, tariff=HOMES)
    await site.pay(10_000)
    await site.say(0)
    site.clock.step(hours=2)
    await site.say(25_000)
    await close.book_day(site.db, site.project_id, site.clock())
    (one,) = await explained(site)
    (interval,) = one.booking.intervals
    assert (interval.opening.total_milli, interval.closing.total_milli) == (0, 25_000)
    assert [(line.band, line.block, line.energy_milli, line.price_micro)
            for line in interval.lines] == [
        ("peak", 0, 20_000, 620_000), ("peak", 1, 5_000, 670_000),
    ]  # fmt: skip
    assert one.booking.booked_nano == 20_000 * 620_000 + 5_000 * 670_000
    assert one.booking.rest_nano == 0
    assert one.booking.is_exact


async def test_a_standing_charge_is_explained_day_by_day(new_site):
    version = FLAT["versions"][0] | {"standing": {"per": "day", "amount_micro": 250_000}}
    site = await new_site(rooms=1, tariff=FLAT | {"versions": [version]})
    await site.pay(10_000)
    await site.say(0)
    site.clock.step(hours=48)
    await site.say(1_000)
    await close.book_day(site.db, site.project_id, site.clock())
    (one,) = await explained(site)
    (interval,) = one.booking.intervals
    energy, *days = interval.lines
    assert (energy.energy_milli, energy.is_standing) == (1_000, False)
    assert [(line.is_standing, line.amount_nano) for line in days] == [(True, 250_000_000)] * 2
    assert [from_us(line.from_us).astimezone(SHANGHAI).hour for line in days] == [0, 0]
    assert one.booking.is_exact


async def test_bands_of_the_meter_are_explained_too(new_site):
    site = await new_site(rooms=1, tariff=METERED)
    await site.pay(10_000)
    for total, bands in ((0, (0, 0, 0, 0)), (10_000, (1_000, 2_000, 3_000, 4_000))):
        site.clock.step(hours=1)
        await site.read((site.meters[0], site.clock(), total, 1, bands))
    await close.book_day(site.db, site.project_id, site.clock())
    (one,) = await explained(site)
    assert one.booking.is_exact
    assert [line.band for line in one.booking.intervals[0].lines] == [
        "sharp", "peak", "flat", "valley",
    ]  # fmt: skip


async def test_what_does_not_add_up_is_said(new_site, address):
    site = await new_site(rooms=1, tariff=FLAT)
    await site.pay(10_000)
    await site.say(0)
    site.clock.step(hours=1)
    await site.say(1_000)
    await close.book_day(site.db, site.project_id, site.clock())
    async with maintenance(address) as connection:
        await connection.execute("update charge set amount_nano = amount_nano + 1")
    (one,) = await explained(site)
    assert not one.booking.is_exact


async def test_a_payment_leads_to_its_order(site):
    await site.pay(1_000)
    row = await site.row("select id, payment_id from transfer where kind = 'recharge'")
    one = await explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
    assert one.order["id"] == row["payment_id"]
    assert one.booking is None
    with pytest.raises(NotFound):
        await explain_transfer(site.db, site.tariffs, site.project_id, row["id"] + 99)


def month_long(**more):
    """The flat tariff with something that is known only when a month has ended."""
    return FLAT | {"versions": [FLAT["versions"][0] | more]}


def shanghai(month, day, hour=0):
    return datetime(2026, month, day, hour, tzinfo=SHANGHAI)


async def billed(site, *readings):
    """Readings in the order they arrive, then bills and bookings; explains every booking."""
    for at, milli in readings:
        site.clock.at = max(site.clock(), at)
        await site.read((site.meters[0], at, milli))
    await bills.tend(site.db, site.tariffs, site.project_id, site.clock())
    await close.book_day(site.db, site.project_id, site.clock())
    return await explained(site)


def adds_up(booking):
    """By every sum there is, not by the answer's own word alone."""
    said = booking.carried_nano + booking.interval_nano + booking.bill_nano
    assert said == booking.booked_nano + booking.rest_nano
    assert booking.bill_nano == sum(one.added_nano for one in booking.bills)
    assert booking.added_nano == booking.interval_nano + booking.bill_nano
    return booking.is_exact


async def test_a_bill_in_a_booking_adds_up_exactly(new_site):
    site = await new_site(rooms=1, tariff=month_long(minimum_micro=31_000_000))
    await site.pay(100_000)
    (one,) = await billed(site, (shanghai(3, 5), 0), (shanghai(4, 1), 20_001))
    (bill,) = one.booking.bills
    # 20.001 kWh at 0.60; 27 of 31 days of the minimum.
    assert bill.charged_nano == one.booking.interval_nano == 12_000_600_000
    assert (bill.total_nano, bill.replaced_nano) == (27_000_000_000, 0)
    assert bill.added_nano == 27_000_000_000 - 12_000_600_000
    assert (one.booking.booked_nano, one.booking.rest_nano) == (27_000_000_000, 0)
    assert [line.amount_minor for line in bill.bill.lines] == [1_200, 1_500]
    assert bill.scheme.versions[0].charges.minimum_micro == 31_000_000
    assert adds_up(one.booking)


async def test_a_further_version_of_a_bill_tells_what_it_replaces(new_site):
    site = await new_site(rooms=1, tariff=month_long(minimum_micro=31_000_000))
    await site.pay(100_000)
    (first,) = await billed(site, (shanghai(3, 5), 0), (shanghai(4, 10), 36_000))
    assert [one.added_nano for one in first.booking.bills] == [(27 * 1_000 - 27 * 600) * 10**6]
    # Little of it was used in March after all.
    *_, again = await billed(site, (shanghai(4, 1), 1_000))
    (bill,) = again.booking.bills
    assert bill.replaced_nano == (27_000 - 16_200) * 10**6
    assert bill.added_nano == (27_000 - 600) * 10**6 - bill.replaced_nano
    assert adds_up(again.booking)


async def test_a_bill_that_is_taken_back_is_told_too(new_site):
    site = await new_site(rooms=1, tariff=month_long(minimum_micro=31_000_000))
    await site.pay(100_000)
    (first,) = await billed(site, (shanghai(3, 6), 0), (shanghai(4, 1), 20_000))
    # The month began a day earlier than was known: another stretch, so another bill.
    *_, again = await billed(site, (shanghai(3, 5), 0))
    new, gone = again.booking.bills
    assert (gone.bill, gone.from_at, gone.total_nano) == (None, gone.to_at, 0)
    assert gone.added_nano == -first.booking.bills[0].added_nano
    assert (new.from_at, new.replaced_nano) == (shanghai(3, 5), 0)
    assert adds_up(again.booking)


async def test_a_bill_of_who_paid_before_is_explained_to_whom_it_went(new_site):
    demand = {"by": "maximum", "price_micro": 31_000_000}
    site = await new_site(rooms=1, tariff=month_long(demand=demand))
    await site.pay(100_000)
    await billed(site, (shanghai(3, 5), 0), (shanghai(3, 15), 24_000))
    guest = await customer.add(site.db, site.project_id, Facts("Next"), "zh-Hans")
    await settle.move_tenants(
        site.db, site.project_id, site.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        Leaving("moved away"), None, site.clock(),
    )  # fmt: skip
    # 2 kW instead of the mean 0.1 kW: 1.9 kW at 1.00 a day for ten days, when they have left.
    found = await billed(site, (shanghai(3, 5, 12), 24_000))
    *_, late = [one for one in found if one.row["booking"] < 0]
    (bill,) = late.booking.bills
    assert (bill.added_nano, late.booking.carried_nano) == (19_000_000_000, 0)
    assert adds_up(late.booking)
    assert all(adds_up(one.booking) for one in found)


async def test_a_bill_that_does_not_add_up_is_said(new_site, address):
    site = await new_site(rooms=1, tariff=month_long(minimum_micro=31_000_000))
    await site.pay(100_000)
    await billed(site, (shanghai(3, 5), 0), (shanghai(4, 1), 20_000))
    async with superuser(address) as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute("update bill set charged_nano = charged_nano + 1")
    (one,) = await explained(site)
    assert not one.booking.is_exact
