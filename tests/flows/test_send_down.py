"""Whole schemes sent down: the meter that holds one deducts what the platform's bill says.

A meter draws half a kilowatt for weeks. What it deducts by the tables it was sent is compared, to
the last Nano, with the bill of the same hours by the tariff's own scheme.
"""

from datetime import timedelta

import numpy as np
import pytest

from meterhouse.flows import command, device, onboard, parameter
from meterhouse.model import Keeper
from meterhouse.ports import Effect, WriteParameter
from meterhouse.rating.bill import bill
from meterhouse.rating.inmeter import (
    BandNotInMeter,
    BlocksNotSeparable,
    DaysNotInMeter,
    Part,
    PeriodNotInMeter,
    PriceTooFine,
    TablesNotInMeter,
)
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import parse
from meterhouse.units import to_us
from street import build_street

HOUR_WH = 500
HOUR = timedelta(hours=1)
BANDED = {
    "bands": ["peak", "valley"],
    "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
}
SCHEMES = {
    "flat": {"prices_micro": {"flat": 617_300}},
    "bands by blocks": BANDED | {
        "blocks": {"period": "month", "limits_milli": [20_000, 40_000]},
        "prices_micro": {"peak": 620_000, "valley": 320_000}, "adders_micro": [0, 50_000, 300_000],
    },
    "surcharges": BANDED | {
        "blocks": {"period": "month", "limits_milli": [20_000]},
        "prices_micro": {"peak": [620_000, 670_000], "valley": [320_000, 370_000]},
        "surcharges": [{"name": "funds", "price_micro": 29_000},
                       {"name": "rebate", "price_micro": -4_000}],
    },
    "free energy before blocks": {
        "blocks": {"period": "month", "limits_milli": [30_000]},
        "prices_micro": {"flat": [500_000, 900_000]},
        "allowance": {"grant": "period", "energy_milli": 10_000},
    },
    "cheaper blocks": {
        "blocks": {"period": "month", "limits_milli": [30_000]},
        "prices_micro": {"flat": [900_000, 500_000]},
    },
}  # fmt: skip


def scheme(version, **beside):
    begins = {"effective_from": "2026-01-01T00:00:00+08:00"}
    return {
        "name": "Sent down", "commodity": "electricity", "currency": "CNY",
        "versions": [begins | version], "billing": {"proration": "whole"},
    } | beside  # fmt: skip


@pytest.fixture
async def street(db, clock):
    return await build_street(db, clock, credit_minor=10_000_000, price_micro=500_000)


async def give(street, body):
    """The point's tariff is another one from now on."""
    site, at = street.site, street.site.clock()
    tariff_id = await onboard.publish_tariff(site.db, site.project_id, body, None, at)
    row = await device.point(site.db, site.project_id, site.points[0])
    await device.edit_point(
        site.db, site.project_id, site.points[0], row["version"], tariff_id, Keeper.METER, at
    )


async def send(street):
    """It is to hold from the next hour on; when that is."""
    site = street.site
    switch_at = site.clock() + HOUR
    await parameter.send_prices(
        site.db, site.project_id, site.meters[0], switch_at, "new prices", None, site.clock()
    )
    return switch_at


def left_nano(street, at):
    """The meter's credit at an instant."""
    street.site.clock.at = at
    street.way.settle()
    return street.faces[0].meter.credit_nano


def billed_nano(body, begun, since, until):
    """What the bill of the steady load says, of the hours between two instants."""
    hours = np.arange(to_us(begun), to_us(until), 3_600_000_000)
    load = Load(hours, hours + 3_600_000_000, np.full(len(hours), HOUR_WH))
    billed = bill(parse(body), "Asia/Shanghai", load)
    return int(billed.interval_nano[hours >= to_us(since)].sum())


@pytest.mark.parametrize("name", SCHEMES)
async def test_the_meter_deducts_what_the_bill_says(street, name):
    begun, body = street.site.clock(), scheme(SCHEMES[name])
    await give(street, body)
    switch_at = await send(street)
    assert await pump(street) == [("tariff", "confirmed", "")]
    before_nano = left_nano(street, switch_at)
    street.site.clock.step(minutes=3)
    assert await pump(street) == [("check", "confirmed", "")]
    # Over the end of March, where blocks begin again.
    until = switch_at + timedelta(days=32)
    spent_nano = before_nano - left_nano(street, until)
    assert spent_nano == billed_nano(body, begun, switch_at, until)


async def test_blocks_begin_at_the_billing_anchor_where_the_meter_settles_then(street):
    begun = street.site.clock()
    body = scheme(
        SCHEMES["bands by blocks"],
        billing={"anchor_day": 20, "anchor_hour": 9, "proration": "whole"},
    )
    await give(street, body)
    await send(street)
    # The meter settles on the first; it would begin its blocks on another day than the bill.
    assert await pump(street) == [("tariff", "refused", "not_as_expected")]
    wrote = street.talk(
        street.faces[0].meter.spec.address, WriteParameter("settlement_day", "20:09")
    )
    assert wrote.effect is Effect.DONE
    switch_at = await send(street)
    assert await pump(street) == [("tariff", "confirmed", "")]
    until = switch_at + timedelta(days=32)
    spent_nano = left_nano(street, switch_at) - left_nano(street, until)
    assert spent_nano == billed_nano(body, begun, switch_at, until)


async def test_all_that_a_meter_cannot_hold_is_said_before_anything_is_sent(street):
    site = street.site
    tables = {"a": {"00:00": "deep_valley"}, "b": {"00:00": "peak"}}
    whole = {"workday": "a", "weekend": "b"}
    await give(
        street,
        scheme(
            {
                "bands": ["deep_valley", "peak"], "day_tables": tables,
                "seasons": [{"name": "y", "first": "01-01", "last": "12-31", "tables": whole}],
                "blocks": {"period": "year", "limits_milli": [1_000]},
                "prices_micro": {"deep_valley": [100_050, 200_000], "peak": [300_000, 900_000]},
            }
        ),
    )  # fmt: skip
    lacking = await parameter.unfit(site.db, site.project_id, site.meters[0], None, site.clock())
    assert [(part, type(error)) for part, error in lacking] == [
        (Part.BANDS, BandNotInMeter), (Part.BLOCKS, BlocksNotSeparable),
        (Part.BLOCKS, PeriodNotInMeter), (Part.PRICES, PriceTooFine), (Part.DAYS, DaysNotInMeter),
        (Part.DAYS, TablesNotInMeter),
    ]  # fmt: skip
    with pytest.raises(BandNotInMeter):
        await send(street)
    assert await site.rows("select id from command") == []


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
