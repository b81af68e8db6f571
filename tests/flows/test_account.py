"""Accounts begin: at once or prepared, one or many, with money brought along and a deposit."""

from dataclasses import replace

import pytest

from meterhouse.errors import RowsRefused
from meterhouse.flows import (
    account,
    customer,
    device,
    households,
    parties,
    place,
    project,
    recharge,
    refund,
)
from meterhouse.flows.account import Terms
from meterhouse.flows.households import HouseholdRow
from meterhouse.flows.opening import Purse
from meterhouse.flows.refund import Slip
from meterhouse.model import Commodity, Keeper
from meterhouse.store import proofs
from meterhouse.store.openings import PreparedAlready
from meterhouse.store.personal import Facts
from meterhouse.store.projects import Payee
from meterhouse.store.recharges import RechargeLive
from premises import FLAT
from street import build_street

WATER = FLAT | {"name": "Water", "commodity": "water"}
GENEROUS = Terms(-1_000, (900, 600, 300), Purse.APART, 5_000, 20_000)


async def vacant(new_site):
    """A site of three vacant rooms, the first of which counts water too; and a customer."""
    site = await new_site(is_let=False)
    await device.add_point(
        site.db, site.project_id, site.rooms[0].place_id, Commodity.WATER, None, Keeper.PLATFORM,
        site.clock(),
    )  # fmt: skip
    site.clock.step(minutes=1)
    guest = await customer.add(site.db, site.project_id, Facts("Guest"), "en")
    return site, guest


async def opened(site, guest, terms, room=0):
    return await account.open_account(
        site.db, site.project_id, site.rooms[room].place_id, guest, terms, None, site.clock()
    )


async def balances(site, agreement_id):
    """Kind and compartment → balance and floor of an agreement's accounts."""
    rows = await site.rows(
        """select kind, compartment, credit_minor - debit_minor as minor, floor_minor
           from account where agreement_id = $1""",
        agreement_id,
    )
    return {(row["kind"], row["compartment"]): (row["minor"], row["floor_minor"]) for row in rows}


async def holds(site):
    """Every proof of the books."""
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


async def test_what_a_household_brings_along_and_deposits_is_in_the_books(new_site):
    site, guest = await vacant(new_site)
    made = await opened(site, guest, GENEROUS, room=1)
    assert await balances(site, made) == {
        ("purse", "electricity"): (5_000, -1_000),
        ("purse", "common"): (0, 0),
        ("deposit", None): (20_000, 0),
    }
    assert await site.rows("select kind, amount_minor, channel from payment order by id") == [
        {"kind": "opening", "amount_minor": 5_000, "channel": "opening"},
        {"kind": "deposit", "amount_minor": 20_000, "channel": "cash"},
    ]
    house = await site.rows(
        "select kind, debit_minor from account where agreement_id is null and debit_minor > 0"
    )
    assert {row["kind"]: row["debit_minor"] for row in house} == {"opening": 5_000, "cash": 20_000}
    await holds(site)


async def test_commodities_draw_one_purse_together_or_each_its_own_apart(new_site):
    site, guest = await vacant(new_site)
    apart = await opened(site, guest, GENEROUS)
    assert (await balances(site, apart))["purse", "common"] == (5_000, 0)
    assert (await balances(site, apart))["purse", "water"] == (0, -1_000)
    together = await opened(site, guest, replace(GENEROUS, purse=Purse.TOGETHER), room=2)
    assert await balances(site, together) == {
        ("purse", "common"): (5_000, -1_000),
        ("deposit", None): (20_000, 0),
    }
    await site.say(0, room=2)
    site.clock.step(minutes=30)
    await site.say(10_000, room=2)
    await site.pay(100, room=2)
    assert (await balances(site, together))["purse", "common"] == (5_000 - 600 + 100, -1_000)
    await holds(site)


async def test_opening_credit_that_was_mistyped_is_taken_back_once_while_it_is_unused(new_site):
    site, guest = await vacant(new_site)
    made = await opened(site, guest, Terms(credit_minor=50_000))
    await opened(site, guest, Terms(credit_minor=700), room=1)
    slip = Slip("cash", "undo", "a comma too far", None, site.clock.step(minutes=2))
    ids = [row["id"] for row in await site.rows("select id from payment order by id")]
    await refund.reverse(site.db, site.project_id, ids[0], slip)
    assert await refund.reverse(site.db, site.project_id, ids[0], slip)
    assert (await balances(site, made))["purse", "common"] == (0, 0)
    with pytest.raises(refund.ReversedAlready):
        await refund.reverse(site.db, site.project_id, ids[0], replace(slip, key="again"))
    mirror = await site.row("select id from payment where of_payment_id is not null")
    with pytest.raises(refund.NotReversible):
        await refund.reverse(site.db, site.project_id, mirror["id"], replace(slip, key="third"))
    await site.say(0, room=1)
    site.clock.step(minutes=30)
    await site.say(100, room=1)
    used = replace(slip, key="used", at=site.clock.step(minutes=1))
    with pytest.raises(refund.MoneyUsed):
        await refund.reverse(site.db, site.project_id, ids[1], used)
    assert not await site.rows("select from receipt")
    await holds(site)


async def test_two_payees_do_not_share_one_purse(new_site):
    site, guest = await vacant(new_site)
    for part in ("electricity", "water"):
        payee = Payee(part, f"{part} works", "", "", "")
        await project.add_payee(site.db, site.project_id, payee)
    together = Terms(purse=Purse.TOGETHER)
    with pytest.raises(parties.PurseShared):
        await opened(site, guest, together)
    place_id = site.rooms[0].place_id
    with pytest.raises(parties.PurseShared):
        await account.prepare(
            site.db, site.project_id, place_id, guest, together, None, site.clock()
        )
    made = await opened(site, guest, together, room=1)
    at = site.clock.step(minutes=1)
    with pytest.raises(parties.PurseShared):
        await account.join(site.db, site.project_id, made, place_id, None, at)
    assert await opened(site, guest, Terms())


async def test_an_account_pays_for_a_further_room_out_of_the_same_purse(new_site):
    site, guest = await vacant(new_site)
    made = await opened(site, guest, replace(GENEROUS, purse=Purse.TOGETHER), room=1)
    await account.join(site.db, site.project_id, made, site.rooms[2].place_id, None, site.clock())
    rows = await site.rows(
        "select distinct account_id from point where id = any($1::int8[])", site.points[1:]
    )
    assert len(rows) == 1
    with pytest.raises(account.LetAlready):
        await account.join(
            site.db, site.project_id, made, site.rooms[1].place_id, None,
            site.clock.step(minutes=1),
        )  # fmt: skip
    for room in (1, 2):
        await site.say(0, room)
    site.clock.step(minutes=30)
    for room in (1, 2):
        await site.say(5_000, room)
    await site.pay(1, room=1)
    assert (await balances(site, made))["purse", "common"][0] == 5_000 - 600 + 1
    await holds(site)


async def test_a_prepared_account_changes_nothing_until_it_is_opened_once(new_site):
    site, guest = await vacant(new_site)
    place_id = site.rooms[1].place_id
    made = await account.prepare(
        site.db, site.project_id, place_id, guest, GENEROUS, None, site.clock()
    )
    with pytest.raises(PreparedAlready):
        await account.prepare(
            site.db, site.project_id, place_id, guest, Terms(), None, site.clock()
        )
    assert not await site.rows("select from agreement where kind = 'tenant'")
    assert await account.opening_names(site.db, site.project_id, [made]) == [(made, "A 102")]
    site.clock.step(days=3)
    agreement_id = await account.open_prepared(site.db, site.project_id, made, None, site.clock())
    assert (await balances(site, agreement_id))["purse", "electricity"] == (5_000, -1_000)
    with pytest.raises(account.OpeningEnded):
        await account.open_prepared(site.db, site.project_id, made, None, site.clock())
    with pytest.raises(account.OpeningEnded):
        await account.withdraw(site.db, site.project_id, made, site.clock())
    with pytest.raises(account.LetAlready):
        await account.prepare(
            site.db, site.project_id, place_id, guest, Terms(), None, site.clock()
        )


async def test_a_withdrawn_one_makes_room_for_another(new_site):
    site, guest = await vacant(new_site)
    key = (site.db, site.project_id, site.rooms[1].place_id, guest, Terms(), None, site.clock())
    await account.withdraw(site.db, site.project_id, await account.prepare(*key), site.clock())
    assert await account.prepared(site.db, site.project_id, site.rooms[1].place_id) is None
    again = await account.prepare(*key)
    assert await account.prepared(site.db, site.project_id, site.rooms[1].place_id) == again


async def test_what_the_house_began_of_a_coin_is_not_the_tenants(new_site):
    site, guest = await vacant(new_site)
    await site.say(0, room=1)
    site.clock.step(minutes=30)
    await site.say(109, room=1)  # 6.54 fen: six are booked, the rest rounds up
    made = await opened(site, guest, Terms(), room=1)
    state = await site.state(room=1)
    assert (state["accrued_nano"], state["rounded_nano"]) == (0, 5_400_000)
    rounding = await site.row("select credit_minor from account where kind = 'rounding'")
    assert rounding["credit_minor"] == 1
    assert (await balances(site, made))["purse", "electricity"] == (0, 0)
    await holds(site)


async def vacant_street(db, clock, **more):
    """A vacant room whose meter keeps money and was read once; and a customer."""
    street = await build_street(db, clock, purchase_count=6, is_let=False, **more)
    await street.read()
    clock.step(minutes=1)
    return street, await customer.add(db, street.site.project_id, Facts("Guest"), "en")


async def held(site, agreement_id):
    """What a household has, by kind of account, where it is not zero."""
    rows = await site.rows(
        """select kind, sum(credit_minor - debit_minor)::int8 as minor from account
           where agreement_id = $1 group by kind""", agreement_id,
    )  # fmt: skip
    return {row["kind"]: row["minor"] for row in rows if row["minor"]}


async def test_what_a_vacant_meter_holds_goes_along_to_who_moves_in(db, clock):
    street, guest = await vacant_street(db, clock, credit_minor=5_000)
    made = await opened(street.site, guest, Terms())
    assert await held(street.site, made) == {"on_meter": 5_000}
    await holds(street.site)


async def overdraw(street, clock):
    """The meter of a vacant room lets it have more than is in it."""
    meter = street.faces[0].meter
    meter.overdraft_minor = 500
    clock.step(minutes=30)
    await street.read()
    clock.step(minutes=1)
    return -street.faces[0].meter.credit_minor


async def test_what_a_vacant_room_overdrew_the_house_makes_good_and_no_tenant_owes(db, clock):
    street, guest = await vacant_street(db, clock, price_micro=500_000)
    site = street.site
    owed_minor = await overdraw(street, clock)
    assert 0 < owed_minor < 500
    at = clock()
    made = await opened(site, guest, Terms())
    house = await site.row("select id from agreement where kind = 'house'")
    assert await held(site, made) == {"on_meter": -owed_minor, "in_flight": owed_minor}
    assert await held(site, house["id"]) == {"purse": -owed_minor}
    order = await site.row("select * from payment")
    assert (order["kind"], order["amount_minor"]) == ("move", owed_minor)
    assert (order["agreement_id"], order["key"]) == (
        house["id"], f"vacancy:{made}:{site.points[0]}"
    )  # fmt: skip
    assert order["created_at"] == at
    await street.wait(minutes=5)
    assert street.faces[0].meter.purchased_minor == owed_minor
    assert "in_flight" not in await held(site, made)
    await holds(site)


async def test_what_the_house_makes_good_waits_in_the_purse_where_the_meter_takes_none(db, clock):
    street, guest = await vacant_street(db, clock, price_micro=500_000)
    site = street.site
    owed_minor = await overdraw(street, clock)
    await site.rows("update wallet set frozen_at = $1 returning 1", clock())
    made = await opened(site, guest, Terms())
    assert await held(site, made) == {"on_meter": -owed_minor, "purse": owed_minor}
    await holds(site)


async def test_a_room_that_joins_an_account_brings_no_debt_along(db, clock):
    street = await build_street(
        db, clock, rooms=2, purchase_count=6, is_let=False, price_micro=500_000
    )
    site = street.site
    guest = await customer.add(db, site.project_id, Facts("Guest"), "en")
    made = await opened(site, guest, Terms(), room=1)
    await street.read()
    owed_minor = await overdraw(street, clock)
    await account.join(site.db, site.project_id, made, site.rooms[0].place_id, None, clock())
    assert sum((await held(site, made)).values()) == 0 < owed_minor
    await holds(site)


async def test_nobody_moves_in_while_money_is_on_its_way_out_of_the_vacant_meter(db, clock):
    street = await build_street(db, clock, credit_minor=900, purchase_count=6, is_let=False)
    site = street.site
    await street.read()
    guest = await customer.add(db, site.project_id, Facts("Guest"), "en")
    await recharge.take_back(db, site.project_id, site.points[0], None, None, clock())
    clock.step(minutes=1)
    with pytest.raises(RechargeLive):
        await opened(site, guest, Terms())
    await street.wait(minutes=5)
    await opened(site, guest, Terms())
    assert (await street.balances()) == {"purse": 900, "opening": -900}
    await holds(site)


def household(number, **changes):
    return replace(HouseholdRow("A", f"10{number}", f"Guest {number}", "1"), **changes)


async def test_many_households_come_from_a_sheet_at_once_or_prepared(new_site):
    site, _ = await vacant(new_site)
    rows = [household(n, terms=GENEROUS) for n in (1, 2)]
    taken = await households.take(site.db, site.project_id, rows, None, site.clock())
    assert taken == 2
    prepared = await households.take(
        site.db, site.project_id, [household(3)], None, site.clock(), is_prepared=True
    )
    assert prepared == 1
    levels = await site.rows(
        "select warning_1_minor from point where id = any($1::int8[])", site.points
    )
    assert [row["warning_1_minor"] for row in levels] == [900, 900, 3_000]
    sums = await site.row("select sum(amount_minor)::int8 as minor from payment")
    assert sums["minor"] == 2 * 25_000
    await holds(site)


async def test_every_fault_of_a_sheet_of_households_is_named_and_nothing_taken(new_site):
    site, guest = await vacant(new_site)
    await opened(site, guest, Terms(), room=0)
    await account.prepare(
        site.db, site.project_id, site.rooms[1].place_id, guest, Terms(), None, site.clock()
    )
    await place.add(site.db, site.project_id, site.floor_id, "room", "199", None)
    rows = [
        household(1),
        household(2),
        household(3, terms=Terms(0, (1, 2, 3))),
        household(3),
        household(9),
        household(1, room="199"),
    ]
    with pytest.raises(RowsRefused) as refused:
        await households.take(site.db, site.project_id, rows, None, site.clock(), is_prepared=True)
    assert [(one.row, one.field, one.error.code) for one in refused.value.faults] == [
        (0, "room", "let_already"),
        (1, "room", "prepared_already"),
        (2, "warning_2", "warnings_unordered"),
        (3, "room", "twice_in_sheet"),
        (4, "room", "room_unknown"),
        (5, "room", "nothing_to_pay_for"),
    ]
    assert len(await site.rows("select from customer")) == 1
