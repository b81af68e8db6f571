"""A site from a sheet: all rows or none, every fault named by its row and column."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterhouse.errors import RowsRefused
from meterhouse.flows import monitor, onboard
from meterhouse.flows.account import Terms
from meterhouse.flows.sheet import SiteRow
from meterhouse.model import Commodity
from meterhouse.store import monitor as monitor_rows
from premises import MODEL

LOCKS = """select exists (select from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())"""
COUNTED = ("place", "point", "meter", "customer", "agreement", "agreement_point", "account")


def row(number, **changes):
    said = SiteRow(
        building="B", floor="1F", room=f"{number}", gateway="GW", model=MODEL, tariff="Flat",
        address=f"{5000 + number}", customer=f"Household {number}",
    )  # fmt: skip
    return replace(said, **changes)


async def take(site, rows):
    return await onboard.import_rows(site.db, site.project_id, rows, None, site.clock())


async def faults(site, rows):
    """The (row, column) of every fault; nothing may have changed."""
    before = await counts(site)
    with pytest.raises(RowsRefused) as refused:
        await take(site, rows)
    assert await counts(site) == before
    return [(one.row, one.field, one.error.code) for one in refused.value.faults]


async def counts(site):
    return {table: (await site.row(f"select count(*) from {table}"))["count"] for table in COUNTED}


async def test_a_sheet_makes_a_site_that_counts_money(site):
    taken = await take(site, [row(n) for n in range(1, 6)])
    assert (taken.rooms, taken.points, taken.meters, taken.households) == (5, 5, 5, 5)
    board = await monitor.board(site.db, site.project_id)
    room = next(one for one in board.points if one.building == "B" and one.room == "3")
    assert (room.floor, room.address, room.tariff) == ("1F", "000000005003", "Flat")
    assert room.available_minor == 0
    await site.read((room.meter_id, site.clock.step(minutes=1), 1_000))
    await site.read((room.meter_id, site.clock.step(minutes=30), 2_000))
    now = await monitor.point(site.db, site.project_id, point_id=room.point_id)
    assert now.available_minor == -60


async def test_money_of_a_sheet_waits_for_whoever_counts_the_books(site):
    """As when a day closes, which compares sums with transfers of one instant."""
    rows = [row(1, terms=Terms(credit_minor=500), address="", gateway="", model="")]
    async with site.db.transaction([site.project_id]) as connection:
        await monitor_rows.lock_project(connection, site.project_id)
        taking = asyncio.create_task(take(site, rows))
        is_waiting = False
        while not (is_waiting or taking.done()):
            is_waiting = await connection.fetchval(f"{LOCKS} and not granted)")
        is_early = await connection.fetchval(f"{LOCKS} and granted and classid <> 7301)")
    await taking
    assert is_waiting
    assert not is_early


async def test_rows_of_one_room_share_an_agreement_and_a_room_that_stands_is_used(site):
    await take(site, [SiteRow("B", "1", floor="1F", area_dm2=5000)])
    water = await onboard.publish_tariff(
        site.db, site.project_id,
        {"name": "Water", "commodity": "water", "currency": "CNY", "versions": [
            {"effective_from": "2020-01-01T00:00:00+08:00", "prices_micro": {"all": [3_000_000]}}]},
        None, site.clock(),
    )  # fmt: skip
    assert water
    more = row(1, commodity=Commodity.WATER, tariff="Water", address="6001")
    taken = await take(site, [row(1), more, row(2, customer="", address="", gateway="", model="")])
    assert (taken.rooms, taken.points, taken.meters, taken.households) == (1, 3, 2, 1)
    area = await site.row("select area_dm2 from place where name = '1' and kind = 'room'")
    assert area["area_dm2"] == 5000
    paying = await site.rows(
        """select a.agreement_id from agreement_point a join agreement g on g.id = a.agreement_id
           join point p on p.id = a.point_id join place r on r.id = p.place_id
           where r.name = '1' and r.kind = 'room' and g.kind = 'tenant'"""
    )
    assert len(paying) == 2
    assert len({one["agreement_id"] for one in paying}) == 1


async def test_every_fault_of_every_row_is_named(site):
    rows = [
        row(1, tariff="None such"),
        row(2, gateway="None such"),
        row(3, model="None such"),
        row(4, address="1"),
        row(5),
        row(5, room="6", customer="Other"),
        row(7, gateway="", model=""),
        row(8, commodity=Commodity.WATER),
        SiteRow("A", "101", floor="1", customer="Somebody"),
        row(5, address="7000"),
    ]
    assert await faults(site, rows) == [
        (0, "tariff", "name_unknown"), (1, "gateway", "name_unknown"), (2, "model", "not_found"),
        (3, "address", "there_already"), (5, "address", "twice_in_sheet"),
        (6, "gateway", "needed"), (6, "model", "needed"), (7, "tariff", "other_commodity"),
        (8, "customer", "there_already"), (9, "room", "twice_in_sheet"),
    ]  # fmt: skip


BREAKS = st.sampled_from(
    [
        {"tariff": "None such"}, {"gateway": "None such"}, {"model": "None such"},
        {"address": "000000000001"}, {"commodity": Commodity.WATER}, {"model": ""},
    ]
)  # fmt: skip


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.integers(0, 11), BREAKS, min_size=1, max_size=6))
async def test_whatever_is_broken_nothing_is_taken(site, broken):
    rows = [row(n, **broken.get(n, {})) for n in range(12)]
    found = await faults(site, rows)
    assert {one for one, _, _ in found} == set(broken)


@pytest.mark.slow
async def test_ten_thousand_rows_are_taken_at_once(site):
    rows = [row(n, floor=f"{n // 100}F", address=f"{100_000 + n}") for n in range(10_000)]
    assert (await take(site, rows)).meters == 10_000
