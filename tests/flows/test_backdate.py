"""A tariff that was wrong at a point for weeks: given since then, agreed to, posted, explained."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.errors import MeterhouseError
from meterhouse.flows import backdate, close, correct, day, device, explain, onboard, replay, tariff
from meterhouse.flows.backdate import Selection
from meterhouse.flows.intervals import intervals_of
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Keeper
from meterhouse.store import catalog, proofs
from meterhouse.store import explain as explained
from premises import FLAT, HASTY, HOMES, MODEL
from replayed import dearer, made_replay, silent

# Noon in Shanghai.
START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SINCE = START + timedelta(days=1)
STEP_MILLI = 10_000


def flat(name, price_micro, begins="2020-01-01T00:00:00+08:00", **more):
    version = {"effective_from": begins, "prices_micro": {"flat": [price_micro]}}
    return FLAT | {"name": name, "versions": [version]} | more


CHEAP = flat("Cheap", 500_000)


@pytest.fixture
async def used(new_site):
    """Four days of two households at 0.60 the kWh; all of it booked and closed but today."""
    site = await new_site(rooms=2, policy=HASTY)
    site.clock.at = START
    await site.pay(50_000, room=0)
    await site.pay(50_000, room=1)
    for step in range(8):
        await site.say(step * STEP_MILLI, room=0)
        await site.say(step * STEP_MILLI * 2, room=1)
        site.clock.step(hours=12)
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    return site


async def published(site, body):
    return await onboard.publish_tariff(site.db, site.project_id, body, None, START)


async def shown(site, tariff_id, selection, since=SINCE):
    """The replay of an assignment."""
    asked, _ = await replay.asked_of_assignment(
        site.db, Tariffs(), site.project_id, tariff_id, since, selection, site.clock()
    )
    return await made_replay(site.db, site.project_id, asked, site.clock())


async def made(site, replay_id):
    return await backdate.begin(
        site.db, Tariffs(), site.project_id, replay_id, "billed as a shop", None, None,
        site.clock(),
    )  # fmt: skip


async def swept(site, asked):
    return await correct.sweep(
        site.db, site.tariffs, site.project_id, asked, None, site.clock, silent
    )


async def rated(site):
    rows = await site.rows("select rated_nano from point_state order by point_id")
    return [row["rated_nano"] for row in rows]


async def told(site, point_id):
    async with site.db.transaction([site.project_id]) as connection:
        project = await catalog.get_project(connection, site.project_id)
        rows = await explained.charges_between(
            connection, site.project_id, point_id, START, site.clock()
        )
        return await intervals_of(connection, site.tariffs, project, rows)


async def test_what_the_preview_shows_is_what_is_posted_and_others_stay(used, address):
    closed = await used.rows("select * from day_close order by day")
    before = await rated(used)
    cheap = await published(used, CHEAP)
    replay_id = await shown(used, cheap, Selection(rooms=["A 102"]))
    preview = await used.rows("select point_id, would_nano - charged_nano as added from replay_row")
    # Of seven intervals five end later than a day after the first reading.
    assert [(row["point_id"], row["added"]) for row in preview] == [
        (used.points[1], -5 * 20_000 * 100_000)
    ]
    asked = await made(used, replay_id)
    done = await swept(used, asked)
    assert done.result["added_nano"] == preview[0]["added"]
    assert await rated(used) == [before[0], before[1] + preview[0]["added"]]
    assert await used.rows("select * from day_close order by day") == closed
    assert await close.book_day(used.db, used.project_id, used.clock()) == 1
    booked = await used.row(
        "select amount_minor, debit_account_id from transfer where kind = 'booking'"
        " order by id desc limit 1"
    )
    assert booked["amount_minor"] == 1_000
    again = await swept(used, asked | {"given": None})
    assert again.result["added_nano"] == 0
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_what_it_replaced_stays_readable_and_every_charge_explained(used):
    cheap = await published(used, CHEAP)
    since = SINCE + timedelta(hours=6)
    asked = await made(used, await shown(used, cheap, Selection(point_ids=used.points[:1]), since))
    await swept(used, asked)
    point_id = used.points[0]
    said = await told(used, point_id)
    assert all(one.is_exact for one in said)
    assert [one.tariff for one in said] == ["Flat"] * 2 + ["Flat → Cheap"] + ["Cheap"] * 4
    async with used.db.transaction([used.project_id]) as connection:
        now, then = [
            (await catalog.tariffs_before(connection, used.project_id, [point_id], edition))
            for edition in (None, asked["edition"] - 1)
        ]
    assert [which for _, which, _ in now[point_id]] == [used.tariff_id, cheap]
    assert [which for _, which, _ in then[point_id]] == [used.tariff_id]
    rows = await correct.made_of(used.db, used.project_id, cheap)
    assert [(row["point_count"], row["reason"]) for row in rows] == [(1, "billed as a shop")]
    await close.book_day(used.db, used.project_id, used.clock())
    booking = await used.row("select max(id) as id from transfer where kind = 'booking'")
    page = await explain.explain_transfer(used.db, used.tariffs, used.project_id, booking["id"])
    whys = {one.correction for one in page.booking.intervals}
    assert [(one.is_given, one.reason, one.since) for one in whys] == [
        (True, "billed as a shop", since)
    ]


async def test_late_and_later_readings_follow_it_and_so_does_a_later_correction(used, address):
    cheap = await published(used, CHEAP)
    await swept(used, await made(used, await shown(used, cheap, Selection())))
    before = await rated(used)
    # Half of the second interval after SINCE was used in its first hour.
    await used.read((used.meters[0], SINCE + timedelta(hours=13), 35_000))
    assert await rated(used) == before
    used.clock.step(hours=1)
    await used.say(90_000, room=0)
    assert (await rated(used))[0] == before[0] + 20_000 * 500_000
    replay_id = await dearer(used.db, used.project_id, cheap, SINCE, used.clock())
    asked = await correct.begin(
        used.db, Tariffs(), used.project_id, replay_id, "dearer", None, None, used.clock()
    )
    await swept(used, asked)
    assert (await rated(used))[0] == 2 * 10_000 * 600_000 + 70_000 * 550_000
    assert all(one.is_exact for one in await told(used, used.points[0]))
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_weeks_without_a_tariff_are_charged_when_one_is_given_since_then(new_site):
    site = await new_site(rooms=1)
    point_id = await device.add_point(
        site.db, site.project_id, site.rooms[0].place_id, "electricity", None, Keeper.PLATFORM,
        site.clock(),
    )  # fmt: skip
    key = site.db, site.project_id, site.gateway_id, point_id, MODEL, "000000008888", 1
    meter_id = await device.add_meter(*key, site.clock())
    began = site.clock()
    for hour in range(1, 4):
        await site.read((meter_id, site.clock.step(hours=1), hour * 1_000))
    cheap = await published(site, CHEAP)
    asked = await made(site, await shown(site, cheap, Selection(point_ids=[point_id]), began))
    done = await swept(site, asked)
    assert done.result["added_nano"] == 2_000 * 500_000


async def test_blocks_stand_where_the_given_tariff_leaves_them(used):
    homes = await published(used, HOMES)
    await swept(used, await made(used, await shown(used, homes, Selection(rooms=["101"]))))
    state = await used.state(0)
    assert state["block_milli"] == 70_000 - 20_000
    assert state["block_period_at"] == datetime(2026, 2, 28, 16, tzinfo=UTC)


async def test_what_does_not_fit_is_refused(used, new_site):
    by_meter = deepcopy(FLAT) | {"name": "By the meter"}
    bands = {"sharp": 1, "peak": 2, "flat": 3, "valley": 4}
    by_meter["versions"][0] |= {
        "band_source": "meter", "bands": list(bands), "prices_micro": bands,
    }  # fmt: skip
    late = flat("Late", 1, (SINCE + timedelta(hours=1)).isoformat())
    for body, since, selection, code in (
        (CHEAP, used.clock(), {}, "correction_too_early"),
        (CHEAP, used.clock() - timedelta(days=401), {}, "correction_too_early"),
        (late, SINCE, {}, "tariff_not_yet"),
        (by_meter, SINCE, {}, "assignment_unfit"),
        (flat("Euro", 1, currency="EUR"), SINCE, {}, "assignment_unfit"),
        (flat("Water", 1, commodity="water"), SINCE, {}, "no_point_there"),
        (flat("Water", 1, commodity="water"), SINCE, {"point_ids": used.points},
         "assignment_unfit"),
        (CHEAP, SINCE, {"rooms": ["999"]}, "room_unclear"),
    ):  # fmt: skip
        made_id = await published(used, body)
        with pytest.raises(MeterhouseError) as refused:
            await shown(used, made_id, Selection(**selection), since)
        assert refused.value.code == code, (body["name"], selection)
    of_meters = await new_site(rooms=1, name="meters", keeper=Keeper.METER)
    of_meters.clock.at = used.clock()
    with pytest.raises(backdate.MetersPriceThemselves):
        await shown(of_meters, await published(of_meters, CHEAP), Selection())


async def test_it_rests_on_a_replay_of_what_is_still_so_and_is_made_once(used):
    cheap = await published(used, CHEAP)
    stale = await shown(used, cheap, Selection(rooms=["101"]))
    await tariff.assign(used.db, used.project_id, cheap, None, used.clock())
    with pytest.raises(backdate.AssignedMeanwhile):
        await made(used, stale)
    fresh = await shown(used, cheap, Selection(rooms=["101"]))
    with pytest.raises(correct.ReplayUnfit):
        await correct.begin(
            used.db, Tariffs(), used.project_id, fresh, "as a price", None, None, used.clock()
        )
    await made(used, fresh)
    with pytest.raises(correct.ReplayUnfit):
        await made(used, fresh)
