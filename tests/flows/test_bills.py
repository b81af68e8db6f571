"""What is known only when a billing period has ended is charged then, whatever came in what order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from meterhouse.flows import bills, customer, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from premises import FLAT, HASTY

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def tariff(**more):
    return FLAT | {"versions": [FLAT["versions"][0] | more]}


async def read(site, *said):
    rows = [(site.meters[0], at(text), round(kwh * 1_000)) for text, kwh in said]
    site.clock.at = max(site.clock.at, *(row[1] for row in rows))
    await site.read(*rows)


async def tend(site):
    return await bills.tend(site.db, Tariffs(), site.project_id, site.clock())


async def billed(site):
    return [
        (row["from_at"].astimezone(SHANGHAI).strftime("%m-%d %H"), row["total_minor"],
         row["charged_nano"] / 1e7, row["version"])
        for row in await site.rows(
            "select distinct on (from_at) * from bill order by from_at, version desc")
        if row["from_at"] < row["to_at"]
    ]


@pytest.fixture
async def site_of(new_site, address):
    async def make(**more):
        site = await new_site(rooms=1, tariff=tariff(**more), policy=HASTY)
        site.clock.at = at("2026-03-01T00:00")
        await site.pay(100_000)
        return site

    yield make
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def test_the_minimum_is_charged_when_the_period_has_ended(site_of):
    site = await site_of(minimum_micro=30_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-20T12:00", 10))
    assert await tend(site) == 1
    assert await billed(site) == []
    await read(site, ("2026-04-01T00:00", 20))
    assert await tend(site) == 1
    print(await billed(site))
    assert await tend(site) == 0
