"""A price that was wrong: corrected from a past instant, posted today, explained for ever."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.flows import (
    close,
    correct,
    customer,
    day,
    device,
    estimate,
    explain,
    onboard,
    replay,
    settle,
    tariff,
)
from meterhouse.flows.account import Terms
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.model import Keeper
from meterhouse.rating.fields import TariffInvalid
from meterhouse.store import catalog, proofs
from meterhouse.store.catalog import PublishedMeanwhile
from meterhouse.store.personal import Facts
from premises import FLAT, HASTY
from replayed import made_replay, silent

# Noon in Shanghai.
START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SINCE = START + timedelta(days=1)
STEP_MILLI = 10_000


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


def dearer(price_micro, since=SINCE):
    body = deepcopy(FLAT)
    body["versions"] = [
        {"effective_from": since.isoformat(), "prices_micro": {"flat": price_micro}}
    ]
    return body


async def shown(site, price_micro=700_000, since=SINCE, actor_id=None):
    """The replay of a correction."""
    asked, _ = await replay.asked_of_correction(
        site.db, Tariffs(), site.project_id, site.tariff_id, since, dearer(price_micro),
        site.clock(),
    )  # fmt: skip
    return await made_replay(site.db, site.project_id, asked, site.clock(), actor_id)


async def made(site, replay_id, reason="a digit was wrong"):
    """The correction published; what its sweep is asked."""
    return await correct.begin(
        site.db, Tariffs(), site.project_id, replay_id, reason, None, None, site.clock()
    )


async def swept(site, asked, before=None, tell=silent):
    return await correct.sweep(
        site.db, site.tariffs, site.project_id, asked, before, site.clock, tell
    )


async def rated(site):
    rows = await site.rows("select rated_nano from point_state order by point_id")
    return [row["rated_nano"] for row in rows]


async def test_what_the_preview_shows_is_what_is_posted_and_closed_days_stay(used, address):
    closed = await used.rows("select * from day_close order by day")
    before = await rated(used)
    replay_id = await shown(used)
    preview = await used.rows(
        "select would_nano - charged_nano as added from replay_row order by point_id"
    )
    # Of seven intervals of each, five and a half end later than a day after the first reading.
    assert [row["added"] for row in preview] == [5 * 10_000 * 100_000, 5 * 20_000 * 100_000]
    assert await rated(used) == before
    told = await swept(used, await made(used, replay_id))
    after = await rated(used)
    assert [b - a for a, b in zip(before, after, strict=True)] == [row["added"] for row in preview]
    assert told.result["added_nano"] == sum(row["added"] for row in preview)
    assert await used.rows("select * from day_close order by day") == closed
    assert await close.book_day(used.db, used.project_id, used.clock()) == 2
    booked = await used.rows("select amount_minor from transfer where kind = 'booking' order by id")
    assert [row["amount_minor"] for row in booked[-2:]] == [500, 1_000]
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_a_sweep_that_is_killed_goes_on_and_posts_nothing_twice(used, monkeypatch):
    monkeypatch.setattr(correct, "POINTS_AT_ONCE", 1)
    asked = await made(used, await shown(used))

    async def killed(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await swept(used, asked, tell=killed)
    once = await rated(used)
    await swept(used, asked)
    all_of_it = await rated(used)
    assert once[0] == all_of_it[0]
    assert once[1] < all_of_it[1]
    await swept(used, asked)
    assert await rated(used) == all_of_it
    versions = await used.rows("select max(version) as most from charge")
    assert versions[0]["most"] == 2


async def test_a_further_correction_takes_its_place_and_what_was_published_stays(used):
    original = await rated(used)
    await swept(used, await made(used, await shown(used, 700_000)))
    await swept(used, await made(used, await shown(used, 600_000), reason="it was right"))
    assert await rated(used) == original
    async with used.db.transaction([used.project_id]) as connection:
        now = await catalog.tariff_bodies(connection, used.project_id, [used.tariff_id])
        key = connection, used.project_id, [used.tariff_id]
        first, second = [await catalog.tariff_bodies(*key, last) for last in (0, 1)]
    prices = [
        [body["versions"][0]["prices_micro"]["flat"] for body in bodies]
        for bodies in (one[used.tariff_id] for one in (now, first, second))
    ]  # fmt: skip
    assert prices == [[[600_000], 600_000], [[600_000]], [[600_000], 700_000]]
    made_so_far = await correct.made_of(used.db, used.project_id, used.tariff_id)
    assert [(one["edition"], one["reason"]) for one in made_so_far] == [
        (2, "it was right"), (1, "a digit was wrong")
    ]  # fmt: skip


async def test_every_coin_of_it_is_explained_with_the_reason(used):
    await swept(used, await made(used, await shown(used)))
    await close.book_day(used.db, used.project_id, used.clock())
    rows = await used.rows("select id from transfer where kind = 'booking' order by id")
    for row in rows:
        told = await explain.explain_transfer(used.db, used.tariffs, used.project_id, row["id"])
        assert told.booking.is_exact, row["id"]
    last = [one for one in told.booking.intervals if one.correction is not None]
    assert len(last) == 5
    assert {one.correction.reason for one in last} == {"a digit was wrong"}
    assert [one.lines[0].price_micro for one in last] == [700_000] * 5


async def test_later_and_late_readings_follow_the_corrected_price(used):
    await swept(used, await made(used, await shown(used)))
    before = await rated(used)
    await used.say(8 * STEP_MILLI, room=0)
    assert (await rated(used))[0] - before[0] == STEP_MILLI * 700_000
    late = START + timedelta(days=2, hours=6)
    await used.read((used.meters[0], late, 4 * STEP_MILLI + 1_000))
    assert (await rated(used))[0] - before[0] == STEP_MILLI * 700_000
    edition = await used.row("select max(edition) as most from charge")
    assert edition["most"] == 1


async def test_who_lived_there_then_gets_what_is_theirs(used, address):
    await used.say(8 * STEP_MILLI, room=0)
    used.clock.step(minutes=1)
    guest = await customer.add(used.db, used.project_id, Facts("李四"), "zh-Hans")
    await settle.move_tenants(
        used.db, used.project_id, used.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        Leaving("moved away"), None, used.clock(),
    )  # fmt: skip
    await used.pay(5_000, room=0)
    used.clock.step(hours=12)
    await used.say(9 * STEP_MILLI, room=0)
    before = await used.row(
        "select accrued_nano from point_state where point_id = $1", used.points[0]
    )
    await swept(used, await made(used, await shown(used)))
    after = await used.row(
        "select accrued_nano from point_state where point_id = $1", used.points[0]
    )
    # Whoever moved in has one interval at the corrected price, and nothing of the days before.
    assert after["accrued_nano"] - before["accrued_nano"] == STEP_MILLI * 100_000
    owed = await used.row(
        """select debit_minor - credit_minor as owed_minor from account
           where kind = 'receivable' and agreement_id is null"""
    )
    assert owed["owed_minor"] == 600
    assert ("payer_left", f"agreement:{used.rooms[0].agreement_id}") in await used.alarms()
    moved = await used.row("select id from transfer where booking < 0")
    told = await explain.explain_transfer(used.db, used.tariffs, used.project_id, moved["id"])
    assert told.booking.is_exact
    assert all(one.correction is not None for one in told.booking.intervals)
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_nobody_is_switched_off_by_it_unannounced(new_site):
    site = await new_site(rooms=1, policy={"notice_age_s": 1800}, email="tenant@example.org")
    site.clock.at = START
    await site.pay(5_000)
    for step in range(8):
        await site.say(step * STEP_MILLI)
        site.clock.step(hours=12)
    kinds = ["disconnect", "connect"]
    before = await site.rows("select id from command where kind = any($1)", kinds)
    told = await site.row("select count(*) as count from notice where subject <> ''")
    await swept(site, await made(site, await shown(site, 1_600_000)))
    assert await site.rows("select id from command where kind = any($1)", kinds) == before
    # The next reading tells the household first; only later ones may switch it off.
    await site.say(7 * STEP_MILLI)
    assert await site.rows("select id from command where kind = any($1)", kinds) == before
    now = await site.row("select count(*) as count from notice where subject <> ''")
    assert now["count"] > told["count"]
    await site.deliver()
    site.clock.step(minutes=31)
    await site.say(7 * STEP_MILLI)
    (cut,) = await site.rows("select kind from command where kind = any($1)", kinds)
    assert cut["kind"] == "disconnect"


async def test_a_correction_is_of_the_past_within_the_policy_and_of_prices(used):
    async def asked(body, since):
        return await replay.asked_of_correction(
            used.db, Tariffs(), used.project_id, used.tariff_id, since, body, used.clock()
        )

    for since in (used.clock(), used.clock() - timedelta(days=401)):
        with pytest.raises(correct.CorrectionTooEarly):
            await asked(dearer(1), since)
    with pytest.raises(correct.CorrectionUnfit):
        await asked(dearer(1) | {"commodity": "water"}, SINCE)
    metered = dearer(1)
    metered["versions"][0] |= {"band_source": "meter", "bands": ["flat"]}
    with pytest.raises((correct.CorrectionUnfit, TariffInvalid)):
        await asked(metered, SINCE)
    with pytest.raises(TariffInvalid):
        await asked(dearer(-1), SINCE)


async def test_a_correction_rests_on_a_replay_of_exactly_itself_once(used):
    first, second = await shown(used), await shown(used, 800_000)
    await made(used, first)
    with pytest.raises(correct.ReplayUnfit):
        await made(used, first)
    # The tariff has changed since the second was looked at.
    with pytest.raises(PublishedMeanwhile):
        await made(used, second)
    trial, _ = await replay.asked_of(
        used.db, Tariffs(), used.project_id,
        {"place_id": None, "tariff_id": None, "point_ids": None}, (START, used.clock()),
        dearer(700_000),
    )  # fmt: skip
    with pytest.raises(correct.ReplayUnfit):
        await made(used, await made_replay(used.db, used.project_id, trial, used.clock()))
    assert (await correct.last(used.db, used.project_id, used.tariff_id))["edition"] == 1


async def test_a_price_published_for_later_survives_only_where_the_correction_names_it(used):
    later = used.clock() + timedelta(days=30)
    part = {"effective_from": later.isoformat(), "prices_micro": {"flat": [650_000]}}
    await tariff.publish_version(used.db, used.project_id, used.tariff_id, part, None, used.clock())
    body = await correct.present(used.db, used.project_id, used.tariff_id)
    assert [one["prices_micro"]["flat"] for one in body["versions"]] == [[600_000], [650_000]]
    body["versions"][0]["prices_micro"]["flat"] = [700_000]
    asked, _ = await replay.asked_of_correction(
        used.db, Tariffs(), used.project_id, used.tariff_id, SINCE, body, used.clock()
    )
    await made(used, await made_replay(used.db, used.project_id, asked, used.clock()))
    now = await correct.present(used.db, used.project_id, used.tariff_id)
    assert [one["prices_micro"]["flat"] for one in now["versions"]] == [
        [600_000], [700_000], [650_000]
    ]  # fmt: skip


async def given(site, body, at):
    """Another tariff for the first room, from an instant on."""
    site.clock.at = at
    made_id = await onboard.publish_tariff(site.db, site.project_id, body, None, at)
    row = await device.point(site.db, site.project_id, site.points[0])
    key = site.db, site.project_id, site.points[0], row["version"]
    await device.edit_point(*key, made_id, Keeper(row["keeper"]), at)


async def test_an_interval_in_which_the_tariff_was_given_follows_the_one_before_too(new_site):
    """The charge says the tariff it ends with; its first half is by the meter's bands."""
    bands = {"sharp": 900_000, "peak": 800_000, "flat": 600_000, "valley": 300_000}
    metered = deepcopy(FLAT)
    metered["versions"][0] |= {
        "band_source": "meter", "bands": list(bands), "prices_micro": bands,
    }  # fmt: skip
    site = await new_site(rooms=1, tariff=metered)
    await site.read((site.meters[0], START, 0, 1, (0, 0, 0, 0)))
    await given(site, FLAT, START + timedelta(minutes=10))
    site.clock.at = START + timedelta(minutes=20)
    await site.read((site.meters[0], site.clock(), 2_000, 1, (0, 2_000, 0, 0)))
    assert await rated(site) == [1_000 * 800_000 + 1_000 * 600_000]
    body = deepcopy(metered)
    body["versions"][0]["prices_micro"] = bands | {"peak": 850_000}
    asked, _ = await replay.asked_of_correction(
        site.db, Tariffs(), site.project_id, site.tariff_id, START - timedelta(hours=1), body,
        site.clock(),
    )  # fmt: skip
    replay_id = await made_replay(site.db, site.project_id, asked, site.clock())
    shown_of = await site.row("select would_nano - charged_nano as added from replay_row")
    await swept(site, await made(site, replay_id))
    assert shown_of["added"] == 1_000 * 50_000
    assert await rated(site) == [1_000 * 850_000 + 1_000 * 600_000]


async def test_an_estimate_under_a_tariff_that_was_given_since_follows_the_one_before(new_site):
    site = await new_site(rooms=1, policy=HASTY | {"estimate_after_h": 1})
    for hour in range(49):
        site.clock.at = START + timedelta(hours=hour)
        await site.say(hour * 1_000)
    silent_since = site.clock()
    await given(site, deepcopy(FLAT) | {"name": "Other"}, silent_since + timedelta(hours=2))
    site.clock.step(hours=2)
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    before = await rated(site)
    body = dearer(700_000, silent_since)
    asked, _ = await replay.asked_of_correction(
        site.db, Tariffs(), site.project_id, site.tariff_id, silent_since, body, site.clock()
    )
    replay_id = await made_replay(site.db, site.project_id, asked, site.clock())
    await swept(site, await made(site, replay_id))
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    after = await rated(site)
    # Of four hours the first two are at the corrected price.
    assert after[0] - before[0] == 2_000 * 100_000
