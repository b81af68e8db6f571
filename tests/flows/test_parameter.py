"""Prices and warnings sent down to meters: real flows, driver and simulated meters."""

from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.flows import command, parameter, persons, tariff
from meterhouse.flows.parameter import (
    AGAIN,
    LEAD_MIN,
    MARGIN,
    BehindTransformers,
    MeterKeepsNoPrice,
    NothingSent,
    SwitchTimeUnusable,
)
from meterhouse.model import CommandKind, CommandState
from meterhouse.rating.inmeter import PriceTooFine
from premises import build_site
from street import ESAM, build_street


@pytest.fixture
async def street(db, clock):
    return await build_street(db, clock, credit_minor=1_000, price_micro=500_000)


def charges(street):
    street.way.settle()
    return street.faces[0].meter.sets.now.price_micro[0]


async def send(street, switch_at=None):
    site = street.site
    return await parameter.send_prices(
        site.db, site.project_id, site.meters[0], switch_at, "new prices", None, site.clock()
    )


async def pump(street):
    """What the head end does with the commands that are due; how each ended, and why."""
    site, ended = street.site, []
    while True:
        claimed = await command.claim(site.db, site.project_id, site.gateway_id, site.clock())
        if claimed is None:
            return ended
        intent = parameter.intent_of(claimed.kind, claimed.asked, claimed.timezone, site.clock())
        outcome = street.talk(claimed.address, intent)
        state = await command.finish(site.db, claimed, outcome, site.clock())
        row = await site.row("select why from command where id = $1", claimed.id)
        ended.append((claimed.kind.value, state.value, row["why"]))


async def alarms(street):
    rows = await street.site.rows(
        """select subject, facts ->> 'why' as why from alarm
           where kind = 'parameters_differ' and closed_at is null order by id"""
    )
    return [(row["subject"].partition(":")[0], row["why"]) for row in rows]


async def held(street):
    site = street.site
    return await parameter.held(site.db, site.project_id, site.meters[0])


async def publish(street, price_micro, hours):
    site = street.site
    part = {
        "effective_from": (site.clock() + timedelta(hours=hours)).isoformat(),
        "prices_micro": {"flat": price_micro},
    }
    await tariff.publish_version(site.db, site.project_id, site.tariff_id, part, None, site.clock())


async def test_a_price_is_sent_proven_switched_and_checked(street):
    command_id = await send(street)
    (row,) = await street.site.rows("select * from command")
    assert (row["id"], row["kind"]) == (command_id, "tariff")
    # Sent at ten: half an hour on is a quarter already.
    switch_at = datetime(2026, 3, 4, 2, 30, tzinfo=UTC)
    assert row["expires_at"] == switch_at - MARGIN
    assert await pump(street) == [("tariff", "confirmed", "")]
    sent = (await held(street))[CommandKind.TARIFF]
    assert (sent.tariff, sent.version, sent.switch_at) == ("Flat", 1, switch_at)
    assert {one.name: one.said for one in sent.settings}["standby_price_1"] == "0.6000"
    assert not any(one.differs for one in sent.settings)
    assert charges(street) == 500_000
    street.site.clock.step(minutes=31)
    assert charges(street) == 600_000
    assert await pump(street) == []
    street.site.clock.step(minutes=1)
    assert await pump(street) == [("check", "confirmed", "")]
    assert await alarms(street) == []
    checked = (await held(street))[CommandKind.CHECK]
    assert (checked.version, checked.switch_at) == (1, switch_at)


async def test_the_next_version_is_sent_with_its_own_time(street):
    await publish(street, 700_000, 5)
    planned = await parameter.plan(
        street.site.db, street.site.project_id, street.site.meters[0], None, street.site.clock()
    )
    assert (planned.version, planned.switch_at) == (2, street.site.clock() + timedelta(hours=5))
    assert dict(planned.compiled.in_force)["price_1"] == "0.7000"
    # Whoever names an instant before it gets the version in force then.
    planned = await parameter.plan(
        street.site.db, street.site.project_id, street.site.meters[0],
        street.site.clock() + timedelta(hours=1), street.site.clock(),
    )  # fmt: skip
    assert planned.version == 1


async def test_silence_is_tried_again_until_it_is_proven(street):
    await send(street)
    street.way.is_up = False
    assert await pump(street) == [("tariff", "unknown", "silence")]
    assert await alarms(street) == [("tariff", "silence")]
    street.site.clock.step(seconds=AGAIN[0] - 1)
    assert await pump(street) == []
    street.way.is_up = True
    street.site.clock.step(seconds=1)
    assert await pump(street) == [("tariff", "confirmed", "")]
    assert await alarms(street) == []


async def test_what_is_not_proven_in_time_is_given_up_and_the_old_price_stays(street):
    await send(street)
    street.way.is_up = False
    while street.site.clock() < datetime(2026, 3, 4, 2, 20, tzinfo=UTC):
        await pump(street)
        street.site.clock.step(minutes=1)
    await command.tend(street.site.db, street.site.project_id, street.site.clock())
    assert await pump(street) == []
    (open_alarm,) = await alarms(street)
    assert open_alarm[0] == "tariff"
    street.way.is_up = True
    street.site.clock.step(hours=1)
    assert charges(street) == 500_000


async def test_a_sender_that_died_leaves_a_command_that_is_tried_again(street):
    site = street.site
    await send(street, site.clock() + timedelta(hours=2))
    assert await command.claim(site.db, site.project_id, site.gateway_id, site.clock())
    site.clock.step(minutes=11)
    await command.tend(site.db, site.project_id, site.clock())
    assert await alarms(street) == [("tariff", "interrupted")]
    site.clock.step(seconds=AGAIN[0])
    assert await pump(street) == [("tariff", "confirmed", "")]


async def test_another_set_waits_until_no_copy_of_a_doubtful_one_can_arrive(street):
    site = street.site
    await send(street, site.clock() + timedelta(hours=2))
    street.way.is_up = False
    await pump(street)
    street.way.is_up = True
    await send(street, site.clock() + timedelta(hours=3))
    row = await site.row("select not_before from command where state = 'queued'")
    assert row["not_before"] > site.clock() + timedelta(minutes=9)
    assert await pump(street) == []
    site.clock.step(minutes=11)
    assert await pump(street) == [("tariff", "confirmed", "")]


async def test_a_meter_that_charges_something_else_is_reported(street):
    await send(street)
    await pump(street)
    street.site.clock.step(minutes=32)
    charges(street)
    meter = street.faces[0].meter
    meter.sets.now = meter.sets.standby
    assert await pump(street) == [("check", "refused", "differs")]
    assert await alarms(street) == [("check", "differs")]
    checked = (await held(street))[CommandKind.CHECK]
    assert {one.name: (one.wanted, one.said) for one in checked.settings if one.differs} == {
        f"price_{n}": ("0.6000", "0.5000") for n in range(1, 5)
    }
    # It is looked at again when somebody asks, and it is well once it is.
    meter.sets.now = meter.sets.standby.__class__(price_micro=(600_000,) * 4)
    site = street.site
    await parameter.check(site.db, site.project_id, site.meters[0], None, site.clock())
    assert await pump(street) == [("check", "confirmed", "")]
    assert await alarms(street) == []


async def test_a_price_disarmed_by_a_later_one_is_not_looked_for(street):
    site = street.site
    await send(street, site.clock() + timedelta(hours=1))
    await pump(street)
    await publish(street, 700_000, 5)
    await send(street, site.clock() + timedelta(hours=5))
    assert await pump(street) == [("tariff", "confirmed", "")]
    site.clock.step(hours=2)
    assert await pump(street) == []
    assert charges(street) == 500_000
    with pytest.raises(NothingSent):
        await parameter.check(site.db, site.project_id, site.meters[0], None, site.clock())
    site.clock.step(hours=3, minutes=2)
    assert await pump(street) == [("check", "confirmed", "")]
    assert charges(street) == 700_000


async def test_a_wrong_clock_is_no_matter_of_trying_again(street):
    await send(street)
    meter = street.faces[0].meter
    street.way.settle()
    meter.set_clock(meter.shown_ms + 600_000)
    assert await pump(street) == [("tariff", "refused", "clock_wrong")]
    street.site.clock.step(minutes=5)
    assert await pump(street) == []
    assert await alarms(street) == [("tariff", "clock_wrong")]


async def test_warnings_and_overdraft_are_those_of_the_household(street):
    site = street.site
    await site.rows("update point set warning_1_minor = 2550, warning_2_minor = 300 returning id")
    await site.rows("update account set floor_minor = -700 where kind = 'purse' returning id")
    await parameter.send_warnings(site.db, site.project_id, site.meters[0], "", None, site.clock())
    assert await pump(street) == [("setting", "confirmed", "")]
    sent = (await held(street))[CommandKind.SETTING]
    assert [(one.name, one.said) for one in sent.settings] == [
        ("alarm_amount_1", "25.50"), ("alarm_amount_2", "3.00"), ("overdraft_limit", "7.00"),
    ]  # fmt: skip
    assert street.faces[0].meter.overdraft_minor == 700


async def test_what_cannot_be_sent_is_said_beforehand(db, clock, street):
    site = street.site
    for switch_at in (
        site.clock() + LEAD_MIN - timedelta(minutes=1),
        site.clock() + timedelta(days=500),
        site.clock() + timedelta(hours=1, seconds=1),
    ):
        with pytest.raises(SwitchTimeUnusable):
            await send(street, switch_at)
    await publish(street, 612_345, 1)
    with pytest.raises(PriceTooFine) as fault:
        await send(street)
    assert fault.value.facts == {"price": "0.612345", "decimals": 4}
    await site.rows("update meter set multiplier = 40 returning id")
    with pytest.raises(BehindTransformers):
        await send(street)
    other = await build_site(db, clock, rooms=1, name="platform")
    with pytest.raises(MeterKeepsNoPrice):
        await parameter.send_prices(db, other.project_id, other.meters[0], None, "", None, clock())
    assert await site.rows("select id from command") == []


async def test_the_limits_sent_are_those_of_the_household(db, clock):
    site = (await build_street(db, clock, model=ESAM)).site
    part = {
        "effective_from": (clock() + timedelta(hours=1)).isoformat(),
        "blocks": {"period": "month", "limits_milli": [200_000],
                   "persons": [{"persons": 5, "add_milli": [100_000]}]},
        "prices_micro": {"flat": [500_000, 600_000]},
    }  # fmt: skip
    await tariff.publish_version(db, site.project_id, site.tariff_id, part, None, clock())
    limits = []
    for number in (4, 5):
        await persons.change(db, site.project_id, site.rooms[0].agreement_id, number, clock())
        planned = await parameter.plan(db, site.project_id, site.meters[0], None, clock())
        limits.append(dict(planned.compiled.in_force)["limit_1"])
    assert limits == ["200.00", "300.00"]


async def test_the_same_command_confirms_once(street):
    await send(street)
    site = street.site
    claimed = await command.claim(site.db, site.project_id, site.gateway_id, site.clock())
    intent = parameter.intent_of(claimed.kind, claimed.asked, claimed.timezone, site.clock())
    for _ in range(2):
        outcome = street.talk(claimed.address, intent)
        await command.finish(site.db, claimed, outcome, site.clock())
    rows = await site.rows("select kind, state from command order by id")
    assert [(row["kind"], row["state"]) for row in rows] == [
        ("tariff", CommandState.CONFIRMED), ("check", CommandState.QUEUED),
    ]  # fmt: skip
