"""Whoever comes pays for what is used from then on, and for nothing that was before."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from meterhouse.flows import account, close, customer, device, estimate, exchange, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.explain import explain_transfer
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.model import Keeper
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from premises import FLAT, HASTY, MODEL

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAILY = FLAT | {
    "versions": [FLAT["versions"][0] | {"standing": {"per": "day", "amount_micro": 1_000_000}}]
}
POLICY = HASTY | {"estimate_after_h": 1}


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


async def read(site, *said, meter_id=None):
    """Readings as (local time, kWh); the clock goes on to the last of them."""
    rows = [(meter_id or site.meters[0], at(text), round(kwh * 1_000)) for text, kwh in said]
    site.clock.at = max(site.clock.at, *(row[1] for row in rows))
    await site.read(*rows)


async def charged(site):
    """(kind of household, yuan) of everybody who was ever charged, the first one first."""
    rows = await site.rows(
        """select g.kind, sum(c.amount_nano)::float8 / 1e9 as yuan
           from (select distinct on (ended_at) * from charge order by ended_at, version desc) c
           join account a on a.id = c.account_id join agreement g on g.id = a.agreement_id
           where c.started_at < c.ended_at group by g.id, g.kind order by g.id"""
    )
    return [(row["kind"], round(row["yuan"], 9)) for row in rows]


async def move_in(site, when):
    site.clock.at = at(when)
    guest = await customer.add(site.db, site.project_id, Facts("Newcomer"), "zh-Hans")
    key = site.db, site.project_id, site.rooms[0].place_id, guest, Terms()
    await account.open_account(*key, None, site.clock())


@pytest.fixture
async def vacant(new_site, address):
    """A room that nobody lives in, read once on 4 March."""
    site = await new_site(rooms=1, tariff=DAILY, is_let=False, policy=POLICY)
    site.clock.at = at("2026-03-04T12:00")
    await read(site, ("2026-03-04T12:00", 0))
    yield site
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_nobody_is_cut_off_for_the_weeks_before_they_came(vacant):
    await move_in(vacant, "2026-03-25T12:00")
    await vacant.pay(2_000)
    # 21 days of standing charge; the interval began when the house paid.
    await read(vacant, ("2026-03-25T12:30", 0))
    assert await charged(vacant) == [("house", 21.0)]
    assert await vacant.commands() == []
    assert (await vacant.state())["accrued_nano"] == 0
    await read(vacant, ("2026-03-26T12:30", 5))
    assert await charged(vacant) == [("house", 21.0), ("tenant", 4.0)]


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_reading_of_before_costs_the_house_whenever_it_comes(vacant, is_late):
    before = ("2026-03-09T11:30", 10)
    if not is_late:
        await read(vacant, before)
    await move_in(vacant, "2026-03-09T12:00")
    await vacant.pay(2_000)
    await read(vacant, ("2026-03-09T12:10", 10), ("2026-03-09T12:30", 11))
    if is_late:
        await read(vacant, before)
    # Five days and 10 kWh before, 1 kWh since; between 11:30 and 12:10 nothing.
    assert await charged(vacant) == [("house", 11.0), ("tenant", 0.6)]


async def test_a_reading_within_the_interval_of_the_change_divides_it(vacant):
    await move_in(vacant, "2026-03-09T12:00")
    await vacant.pay(2_000)
    await read(vacant, ("2026-03-09T13:00", 12))
    assert await charged(vacant) == [("house", 12.2)]
    await close.book_day(vacant.db, vacant.project_id, vacant.clock())
    await read(vacant, ("2026-03-09T12:10", 10))
    assert await charged(vacant) == [("house", 11.0), ("tenant", 1.2)]
    await close.book_day(vacant.db, vacant.project_id, vacant.clock())
    # Each of the two is told what it pays: the house what it gets back, the newcomer what comes.
    rows = await vacant.rows("select id from transfer where kind = 'booking' order by id")
    told = [
        (await explain_transfer(vacant.db, vacant.tariffs, vacant.project_id, row["id"])).booking
        for row in rows
    ]
    assert [one.is_exact for one in told] == [True] * 3
    assert [one.booked_nano for one in told] == [12_200_000_000, -1_200_000_000, 1_200_000_000]


async def test_what_was_estimated_for_the_house_never_becomes_the_newcomers(vacant):
    await read(vacant, *((f"2026-03-{day:02}T12:00", 2 * (day - 4)) for day in range(5, 13)))
    vacant.clock.at = at("2026-03-15T12:00")
    await estimate.tend(vacant.db, vacant.tariffs, vacant.project_id, vacant.clock())
    assert (await vacant.state())["estimated_nano"] > 0
    await move_in(vacant, "2026-03-15T13:00")
    await vacant.pay(100)
    vacant.clock.at = at("2026-03-15T20:00")
    await estimate.tend(vacant.db, vacant.tariffs, vacant.project_id, vacant.clock())
    await read(vacant, ("2026-03-20T12:00", 100))
    assert await charged(vacant) == [("house", 8 * 2.2 + 84 * 0.6 + 8)]
    assert await vacant.commands() == []


async def test_who_moves_in_pays_from_the_reading_that_settled_the_one_before(new_site, address):
    site = await new_site(rooms=1, tariff=FLAT, policy=POLICY)
    site.clock.at = at("2026-03-05T08:00")
    await site.pay(10_000)
    await read(site, ("2026-03-05T08:00", 0), ("2026-03-05T08:50", 1))
    site.clock.at = at("2026-03-05T09:05")
    guest = await customer.add(site.db, site.project_id, Facts("Next"), "zh-Hans")
    await settle.move_tenants(
        site.db, site.project_id, site.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        Leaving("moved away"), None, site.clock(),
    )  # fmt: skip
    await read(site, ("2026-03-05T09:30", 4))
    await read(site, ("2026-03-05T09:00", 3), ("2026-03-05T08:30", 1))
    assert await charged(site) == [("tenant", 0.6), ("tenant", 1.8)]
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_a_meter_that_is_removed_takes_its_estimates_along(new_site, address):
    site = await new_site(rooms=1, tariff=FLAT, policy=POLICY)
    site.clock.at = at("2026-03-01T00:00")
    await site.pay(3_000)
    await read(site, *((f"2026-03-{day:02}T00:00", 3 * (day - 1)) for day in range(1, 11)))
    before = (await site.state())["rated_nano"]
    site.clock.at = at("2026-03-18T00:00")
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    assert (await site.state())["estimated_nano"] == 24 * 600_000_000
    await device.remove_meter(site.db, site.project_id, site.meters[0], site.clock())
    state = await site.state()
    assert (state["rated_nano"], state["estimated_nano"]) == (before, 0)
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_what_was_estimated_is_taken_back_before_another_keeps_the_money(new_site, address):
    site = await new_site(rooms=1, tariff=FLAT, policy=POLICY)
    site.clock.at = at("2026-03-01T00:00")
    await site.pay(3_000)
    await read(site, *((f"2026-03-{day:02}T00:00", 3 * (day - 1)) for day in range(1, 11)))
    site.clock.at = at("2026-03-18T00:00")
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    row = await device.point(site.db, site.project_id, site.points[0])
    await device.edit_point(
        site.db, site.project_id, site.points[0], row["version"], row["tariff_id"],
        Keeper.EXTERNAL, site.clock(),
    )  # fmt: skip
    # 27 kWh were measured; of the 24 that were guessed nothing stays booked.
    booked = await site.row(
        "select sum(amount_minor)::int8 as coins from transfer where kind = 'booking'"
    )
    assert booked["coins"] == 1_620
    await read(site, ("2026-03-18T01:00", 28))
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_no_day_is_lost_between_two_meters(new_site, address):
    site = await new_site(rooms=1, tariff=DAILY, policy=POLICY)
    site.clock.at = at("2026-03-04T20:00")
    await site.pay(10_000)
    await read(site, ("2026-03-04T20:00", 0), ("2026-03-04T23:55", 1))
    site.clock.at = at("2026-03-05T00:05")
    new = exchange.Exchange(MODEL, "000000009999", None, 1, (0, -1, -1, -1, -1), "worn")
    done = await exchange.exchange(
        site.db, site.project_id, site.meters[0], new, None, site.clock()
    )
    await read(site, ("2026-03-05T12:00", 0), meter_id=done.meter_id)
    assert await charged(site) == [("tenant", 1.6)]
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def taken_aside(site):
    """Why readings were laid aside, and what the console's alarms say of it."""
    rows = await site.rows("select why from reading_aside order by id")
    return [row["why"] for row in rows], [kind for kind, _ in await site.alarms()]


@pytest.mark.parametrize("by_hand", [{}, {"000000000001": (1_000, -1, -1, -1, -1)}])
async def test_what_a_meter_read_on_the_bench_costs_nobody(new_site, address, by_hand):
    site = await new_site(rooms=1, tariff=DAILY, policy=POLICY)
    site.clock.at = at("2026-03-04T20:00")
    await site.pay(10_000)
    await read(site, ("2026-03-04T20:00", 0), ("2026-03-05T00:00", 1))
    site.clock.at = at("2026-03-05T00:10")
    new = exchange.Exchange(
        MODEL, "000000009999", None, 1, (5_000, -1, -1, -1, -1), "worn", by_hand
    )
    done = await exchange.exchange(
        site.db, site.project_id, site.meters[0], new, None, site.clock()
    )
    # On the bench it ran from 3 to 5 kWh; what it says of that comes alone, and with its first one.
    await read(site, ("2026-03-04T23:55", 3), meter_id=done.meter_id)
    await read(
        site, ("2026-03-04T22:00", 2), ("2026-03-05T00:05", 5), ("2026-03-05T12:00", 6),
        meter_id=done.meter_id,
    )  # fmt: skip
    assert await charged(site) == [("tenant", 1 + 2 * 0.6)]
    assert await taken_aside(site) == (["before"] * 3, ["reading_unplaced"])
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


@pytest.mark.parametrize("opening_milli", [None, 5_000])
async def test_a_meter_that_is_hung_begins_to_serve_then(new_site, address, opening_milli):
    site = await new_site(rooms=1, tariff=FLAT, policy=POLICY)
    site.clock.at = at("2026-03-05T08:00")
    await site.pay(10_000)
    await read(site, ("2026-03-05T08:00", 0))
    await device.remove_meter(site.db, site.project_id, site.meters[0], site.clock())
    waiting = await device.add_meter(
        site.db, site.project_id, site.gateway_id, None, MODEL, "000000008888", 1, site.clock()
    )
    site.clock.at = at("2026-03-05T09:00")
    await device.hang_meter(
        site.db, site.project_id, waiting, site.points[0], site.clock(), opening_milli
    )
    await read(
        site, ("2026-03-05T08:30", 3), ("2026-03-05T09:00", 5), ("2026-03-05T10:00", 7),
        meter_id=waiting,
    )  # fmt: skip
    assert await charged(site) == [("tenant", 1.2)]
    assert await taken_aside(site) == (["before"], ["reading_unplaced"])
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


@pytest.mark.parametrize("opening_milli", [None, 5_000])
async def test_a_meter_that_follows_another_begins_with_it(new_site, address, opening_milli):
    site = await new_site(rooms=1, tariff=FLAT, policy=POLICY)
    site.clock.at = at("2026-03-05T08:00")
    await site.pay(10_000)
    await read(site, ("2026-03-05T08:00", 0))
    await device.remove_meter(site.db, site.project_id, site.meters[0], site.clock())
    site.clock.at = at("2026-03-05T09:00")
    second = await device.add_meter(
        site.db, site.project_id, site.gateway_id, site.points[0], MODEL, "000000008888", 1,
        site.clock(), opening_milli,
    )  # fmt: skip
    await read(site, ("2026-03-05T10:00", 7), ("2026-03-05T09:10", 5), meter_id=second)
    await read(site, ("2026-03-05T08:30", 3), meter_id=second)
    assert await charged(site) == [("tenant", 1.2)]
    assert await taken_aside(site) == (["before"], ["reading_unplaced"])
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []
