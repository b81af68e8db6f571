"""Setting up a site: what belongs together is made together, and what contradicts is refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from meterhouse.errors import Conflict, MeterhouseError, NotFound
from meterhouse.flows import onboard, reading, upkeep
from meterhouse.flows.prices import Tariffs
from meterhouse.store import catalog, customers
from premises import FLAT, HOMES, MODEL, MORNING, batch_of


def room(site, name="201", address="000000000201", **changes):
    new = onboard.NewRoom(
        floor_id=site.floor_id, name=name, sort=1, area_dm2=None, tariff_id=site.tariff_id,
        model=MODEL, address=address, gateway_id=site.gateway_id, opened_at=MORNING,
        customer_name="Guest",
    )  # fmt: skip
    return replace(new, **changes)


async def test_a_project_begins_with_its_books_and_a_house_agreement(site):
    kinds = await site.rows("select kind from account where agreement_id is null order by kind")
    assert [one["kind"] for one in kinds] == [
        "cash", "fee", "opening", "revenue", "rounding", "subsidy", "suspense", "tax",
    ]  # fmt: skip
    assert (await site.row("select kind from agreement where customer_id is null"))["kind"] == (
        "house"
    )
    assert await upkeep.timezone_of(site.db, site.project_id) == "Asia/Shanghai"


async def test_a_household_gets_its_own_compartment_and_the_common_one(site):
    found = await site.rows(
        "select compartment, floor_minor from account where agreement_id = $1 order by id",
        site.rooms[0].agreement_id,
    )
    assert [tuple(one.values()) for one in found] == [("electricity", 0), ("common", 0)]


async def test_rooms_are_made_all_or_none(site):
    good, bad = room(site), room(site, "202", address="000000000001")
    with pytest.raises(Conflict):
        await onboard.add_rooms(site.db, site.project_id, [good, bad])
    assert len(await site.rows("select id from point")) == 3


async def test_an_address_may_come_again_on_another_line(site):
    other = await onboard.add_gateway(site.db, site.project_id, "GW2", "second")
    made = await onboard.add_rooms(
        site.db, site.project_id, [room(site, address="000000000001", gateway_id=other)]
    )
    assert len(made) == 1


async def test_a_registration_text_belongs_to_one_gateway_of_the_whole_house(site, new_site):
    other = await new_site(name="other")
    await onboard.add_gateway(site.db, site.project_id, "GW2", "taken")
    with pytest.raises(Conflict):
        await onboard.add_gateway(other.db, other.project_id, "GW2", "taken")


async def test_agreements_of_a_point_never_overlap(site):
    point = await site.row("select * from point where id = $1", site.points[0])
    agreement_id = site.rooms[1].agreement_id
    accounts = point["account_id"], point["common_account_id"]

    async def attach(at):
        async with site.db.transaction([site.project_id]) as connection:
            handed = customers.Attached(point["id"], agreement_id, *accounts, at)
            await customers.attach_points(
                connection, site.project_id, [handed], timedelta(minutes=15)
            )

    with pytest.raises(Conflict):
        await attach(MORNING - timedelta(days=1))
    await attach(MORNING)
    dates = await site.rows(
        "select valid_from, valid_to from agreement_point where point_id = $1 order by 1",
        point["id"],
    )
    assert [one["valid_to"] for one in dates] == [MORNING, None]
    with pytest.raises(Conflict):
        await attach(MORNING)


async def test_a_tariff_that_does_not_hold_together_is_not_published(site):
    for broken in (FLAT | {"versions": []}, FLAT | {"versions": [{"effective_from": "soon"}]}):
        with pytest.raises(MeterhouseError) as refused:
            await onboard.publish_tariff(site.db, site.project_id, broken, None, MORNING)
        assert refused.value.code == "tariff_invalid"


async def test_a_policy_that_makes_no_sense_opens_no_project(db):
    group_id = await onboard.open_group(db, "group")
    with pytest.raises(MeterhouseError):
        await onboard.open_project(
            db, onboard.NewProject("P", group_id, policy={"quiet_start": 5}), MORNING
        )
    assert await db.project_ids() == []


async def test_a_project_outside_the_scope_is_not_found(site, new_site):
    other = await new_site(name="other")
    async with site.db.transaction([site.project_id]) as connection:
        with pytest.raises(NotFound):
            await catalog.get_project(connection, other.project_id)


async def test_a_new_edition_of_a_tariff_is_in_force_from_its_own_instant(new_site, clock):
    dearer = HOMES["versions"][0] | {
        "effective_from": "2026-03-04T10:15:00+08:00",
        "prices_micro": {"peak": [1_000_000] * 3, "valley": [1_000_000] * 3},
    }
    site = await new_site(tariff=HOMES | {"versions": [HOMES["versions"][0], dearer]})
    await site.say(0)
    clock.step(minutes=30)
    await site.say(2_000)
    state = await site.state()
    assert state["rated_nano"] == 1_000 * 620_000 + 1_000 * 1_000_000


async def test_the_tariffs_of_a_process_are_laid_out_once_per_edition(site):
    tariffs = Tariffs()
    for at in (MORNING, MORNING + timedelta(minutes=30)):
        site.clock.at = at
        await reading.ingest(
            site.db, tariffs, site.project_id, batch_of([(site.meters[0], at, 10)]), at
        )
    async with site.db.transaction([site.project_id]) as connection:
        first = await tariffs.load(connection, site.project_id, [site.tariff_id])
        again = await tariffs.load(connection, site.project_id, [site.tariff_id])
    assert first[site.tariff_id][1] is again[site.tariff_id][1]
