"""Any order of arrival leads to the same money: the design's law, on the real store.

A set of readings is told twice: once in order, and once permuted, repeated and cut into batches at
will, with bookings and a closed day in between. What the books then say must be the same to the
last Nano, and the intervals must be those that an independent oracle of the judgement finds. People
decide about some of the readings: at the end of the one story, and in the other as soon as there is
something to decide about, whatever arrives afterwards. In the other story what is not known yet is
estimated again and again; in the end both estimate what nobody ever read. Late readings are put in
both ways there are: chain by chain, and those of many chains at once.

`METERHOUSE_SOAK=1` lets it run for as long as a long coffee takes.
"""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meterhouse.flows import (
    bills,
    close,
    day,
    device,
    doubt,
    estimate,
    latecomers,
    onboard,
    persons,
)
from meterhouse.flows.doubt import Decision
from meterhouse.model import Keeper, Quality
from meterhouse.rating.decided import Decided
from meterhouse.store import catalog, points, proofs
from meterhouse.units import EPOCH, to_us
from oracle.chain_oracle import Meter, judge_chain
from premises import FLAT, HASTY, HOMES, MORNING, Clock, Site, build_site

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
EXAMPLES = 2_500 if SOAK else 20

# The last hours of March in Shanghai: the blocks begin again at 16:00 UTC.
START = datetime(2026, 3, 31, 13, 0, tzinfo=UTC)
STEP = timedelta(minutes=30)
INSTANTS = 14
METER = Meter(modulus=1_000_000_000, max_power_w=52_800)
ALWAYS = (0, 10**18)
BY_METER: dict[str, Any] = FLAT | {
    "name": "By the meter's bands",
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00",
            "band_source": "meter",
            "bands": ["sharp", "peak", "flat", "valley"],
            "blocks": {"period": "month", "limits_milli": [15_000]},
            "prices_micro": {
                "sharp": [1_000_003, 1_100_003], "peak": [800_001, 900_001],
                "flat": [600_007, 700_007], "valley": [300_011, 400_011],
            },
        }
    ],
}  # fmt: skip
# A day begins at 16:00 UTC, too; 31 parts of it are no whole Nano each.
STANDING = {"per": "period", "amount_micro": 10_000_003}
STOOD: dict[str, Any] = HOMES | {
    "name": "Homes that pay for being connected",
    "versions": [version | {"standing": STANDING} for version in HOMES["versions"]],
}  # fmt: skip
# All that is known only when the month has ended.
ENDED = {
    "minimum_micro": 4_000_003,
    "loss_micro": 31_000,
    "demand": {"by": "maximum", "price_micro": 300_007},
    "allowance": {"grant": "period", "energy_milli": 6_001, "carries": True, "per_person": True},
    "tax": {"rate_micro": 130_000, "included": False},
    "blocks": {
        "period": "month",
        "limits_milli": [15_000],
        "persons": [{"persons": 3, "add_milli": [6_000]}],
    },
    "prices_micro": {"flat": [600_000, 750_001]},
}
BILLED: dict[str, Any] = FLAT | {
    "name": "Billed when the month has ended",
    "billing": {"proration": "whole"},
    "versions": [FLAT["versions"][0] | ENDED],
}
BY_PERSONS: dict[str, Any] = FLAT | {
    "name": "For large households",
    "billing": {"anchor_day": 1, "anchor_hour": 0, "proration": "whole"},
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00",
            "bands": ["peak", "valley"],
            "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
            "blocks": {"period": "month", "limits_milli": [9_000, 21_000],
                       "persons": [{"persons": 3, "add_milli": [4_000, 7_001]},
                                   {"persons": 5, "add_milli": [9_000, 9_000]}]},
            "prices_micro": {"peak": [600_007, 700_007, 900_001],
                             "valley": [300_011, 400_011, 500_009]},
            "allowance": {"grant": "period", "energy_milli": 1_500, "per_person": True},
        }
    ],
}  # fmt: skip
TARIFFS = {
    "flat": FLAT, "homes": HOMES, "by meter": BY_METER, "stood": STOOD, "by persons": BY_PERSONS,
    "billed": BILLED,
}  # fmt: skip
PERSONS = [1, 2, 3, 4, 6]
ODDITIES = ["gap", "zero", "jump", "reset", "twice", "torn", "no total", "no bands"]

Told = tuple[int, datetime, int, tuple[int, int, int, int]]
Said = tuple[int, datetime, Decision]
"""What somebody says of a room's reading at an instant."""


def idle(*places: int) -> list[Told]:
    """Readings of a meter that nobody uses, at these places in time."""
    return [(0, START + STEP * place, 0, (0, 0, 0, 0)) for place in places]


# The blocks' period was not known when the first charge was made; a soak found it.
FIRST_COMES_LAST = ("by meter", idle(0, 1, 2, 3, 4), [idle(1, 2), idle(0, 3, 4)], [])


@st.composite
def chains(draw: st.DrawFn, room: int) -> list[Told]:
    """What one meter might say over some hours, the odd things of the field included."""
    total = draw(st.sampled_from([0, 5_000, METER.modulus - 30_000]))
    bands = [total // 4] * 3 + [total - total // 4 * 3]
    told: list[Told] = []
    if total and draw(st.booleans()):
        # Days that estimates can be made from.
        before = total - 4_800
        at, rest = START - timedelta(days=draw(st.integers(1, 9))), before // 4
        told.append((room, at, before, (rest, rest, rest, before - rest * 3)))
    for place in range(draw(st.integers(1, INSTANTS))):
        at = START + STEP * place
        odd = draw(st.sampled_from([None] * 8 + ODDITIES))
        if odd == "gap":
            continue
        if odd == "reset":
            total, bands = 0, [0] * 4
        used = draw(st.integers(0, 8_000))
        share = draw(st.integers(0, 3))
        bands[share] = (bands[share] + used) % METER.modulus
        total = (total + used) % METER.modulus
        said = (total, *bands)
        if odd == "zero":
            said = (0, 0, 0, 0, 0)
        if odd == "jump":
            said = ((total + 400_000) % METER.modulus, *bands)
        told.append((room, at, said[0], said[1:]))
        if odd == "no total":
            told[-1] = (room, at, -1, said[1:])
        if odd == "no bands":
            told[-1] = (room, at, said[0], (-1, -1, -1, -1))
        if odd == "torn":
            other = draw(st.sampled_from([-1, 0, (said[0] + 10) % METER.modulus]))
            told.append((room, at, other, said[1:]))
        if odd == "twice":
            told.append(told[-1])
    return told


@st.composite
def decisions(draw: st.DrawFn, told: list[Told]) -> list[Said]:
    """What people say of a few of the readings, one decision a reading."""
    if not told:
        return []
    of = draw(st.lists(st.sampled_from(told), max_size=4, unique_by=lambda one: one[:2]))
    said = []
    for room, at, total, bands in of:
        decided = draw(st.sampled_from(list(Decided)[1:]))
        registers = None
        if decided is Decided.CORRECT:
            off = draw(st.sampled_from([0, 10, -10, 5_000]))
            registers = (max(total + off, 0) % METER.modulus, *bands)
        used = draw(st.sampled_from([0, 7_000])) if decided is Decided.BEGIN else 0
        said.append((room, at, Decision(decided, "as it was seen", registers, used)))
    return said


@st.composite
def stories(
    draw: st.DrawFn, tariff: str | None = None
) -> tuple[str, list[Told], list[list[Told]], list[Said]]:
    """A tariff, readings of one to three meters, the batches they arrive in, and decisions."""
    tariff = tariff or draw(st.sampled_from(sorted(TARIFFS)))
    told = [one for room in range(draw(st.integers(1, 3))) for one in draw(chains(room))]
    arrived = draw(st.permutations(told))
    if told:
        arrived = arrived + draw(st.lists(st.sampled_from(told), max_size=4))
    cuts = sorted(draw(st.lists(st.integers(0, len(arrived)), max_size=6)))
    edges = [0, *cuts, len(arrived)]
    batches = [arrived[a:b] for a, b in pairwise(edges)]
    return tariff, told, batches, draw(decisions(told))


@pytest.fixture
async def books(address, db):
    """The database of all stories; at the end the proofs must hold over all of them."""
    yield db
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


async def told_to(site: Site, batch: list[Told]) -> None:
    await site.read(*((site.meters[room], at, total, 1, bands) for room, at, total, bands in batch))


async def books_of(site: Site) -> list[dict[str, Any]]:
    """All that money depends on, room by room, without ids."""
    found = []
    for point_id in site.points:
        state = await site.row(
            """select s.*, (a.credit_minor - a.debit_minor) as balance_minor
               from point_state s join point p on p.id = s.point_id
               join account a on a.id = p.account_id where s.point_id = $1""",
            point_id,
        )
        charges = await site.rows(
            """select * from (select distinct on (ended_at) started_at, ended_at, energy_milli,
                   amount_nano, block_milli, block_period_at, verdict, quality from charge
                   where point_id = $1 order by ended_at, version desc) c
               where started_at < ended_at""",
            point_id,
        )
        billed = await site.rows(
            """select * from (select distinct on (from_at) from_at, to_at, energy_milli,
                   charged_nano, total_minor, amount_nano, after_milli, after_period_at,
                   after_kept_milli from bill
                   where point_id = $1 order by from_at, version desc) b where from_at < to_at""",
            point_id,
        )
        # Registers mean something only where there is an instant.
        tracks = [one for one in ("good_", "suspect_") if state[f"{one}at"] > EPOCH]
        named = (*tracks, "block_", "read_at", "rated_nano", "suspect_count", "estimated_nano")
        kept = {name: given for name, given in state.items() if name.startswith(named)}
        kept["left_nano"] = state["balance_minor"] * 10**7 - state["accrued_nano"]
        found.append(kept | {"charges": charges, "bills": billed})
    return found


def differ(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}


async def estimated_at(site: Site) -> None:
    """Estimate what nobody has told yet."""
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())


async def billed_at(site: Site) -> None:
    """Bill the periods that have ended."""
    await bills.tend(site.db, site.tariffs, site.project_id, site.clock())


async def decided_by(site: Site, said: list[Said]) -> None:
    """Write decisions, whether or not they make a reading good."""
    for room, read_at, decision in said:
        async with site.db.transaction([site.project_id]) as connection:
            project = await catalog.get_project(connection, site.project_id)
            columns = await points.load(connection, site.project_id, np.array(site.meters))
            row = columns["meter_id"].tolist().index(site.meters[room])
            await doubt.put(
                connection, site.tariffs, project, columns, row, read_at, decision, None,
                site.clock(),
            )  # fmt: skip


def deeds_of(said: list[Said], room: int) -> dict[int, tuple]:
    """Decisions about one room's readings, as the oracle takes them."""
    deeds: dict[int, tuple] = {}
    for who, at, one in said:
        if who == room:
            deeds[to_us(at)] = (one.decided.name.lower(), one.registers_milli or one.used_milli)
    return deeds


def oracle_intervals(
    tariff: str, told: list[Told], room: int, said: list[Said]
) -> list[tuple[int, int, int]]:
    meter = Meter(
        METER.modulus, METER.max_power_w, by_bands=ALWAYS if tariff == "by meter" else None
    )
    readings = {(to_us(at), (total, *bands)) for who, at, total, bands in told if who == room}
    # What is told in two ways bills in none, whether or not one of them could be billed alone.
    # Only what it should have read makes it whole.
    ways = Counter(at_us for at_us, _ in readings)
    deeds = deeds_of(said, room)
    whole = {
        one[0]: one for one in readings
        if ways[one[0]] == 1 or deeds.get(one[0], ("",))[0] == "correct"
    }  # fmt: skip
    return judge_chain(meter, list(whole.values()), deeds)[1]


@pytest.fixture(params=[1, 1_000], ids=["at once", "one by one"])
def worth(request, monkeypatch):
    """From how many late chains on they are put in together."""
    monkeypatch.setattr(latecomers, "WORTH", request.param)


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=stories())
@example(story=FIRST_COMES_LAST)
async def test_any_order_of_arrival_leads_to_the_same_money(books, worth, story):
    tariff, told, batches, said = story
    clock = Clock(START + STEP * (INSTANTS + 3))
    rooms = 1 + max((one[0] for one in told), default=0)
    in_order, at_will = [
        await build_site(
            books,
            Clock(MORNING),
            rooms=rooms,
            tariff=TARIFFS[tariff],
            name=name,
            policy=HASTY | {"estimate_after_h": 1},
        )
        for name in ("in order", "at will")
    ]
    in_order.clock = at_will.clock = clock
    for one in sorted(told, key=lambda one: one[1]):
        await told_to(in_order, [one])
    await decided_by(in_order, said)
    heard: set[tuple[int, datetime]] = set()
    for batch in batches:
        await told_to(at_will, batch)
        new = {one[:2] for one in batch} - heard
        await decided_by(at_will, [one for one in said if one[:2] in new])
        heard |= new
        await estimated_at(at_will)
        await billed_at(at_will)
        # The first time it closes the day, so that all of the rest comes after that.
        await day.close_days(books, at_will.project_id, clock().date(), None, clock())
        await close.book_day(books, at_will.project_id, clock())
    for one in (in_order, at_will):
        await estimated_at(one)
        await billed_at(one)
    straight, crooked = await books_of(in_order), await books_of(at_will)
    assert [differ(*pair) for pair in zip(straight, crooked, strict=True)] == [{}] * len(straight)
    for room, books in enumerate(straight):
        billed = [
            (to_us(one["started_at"]), to_us(one["ended_at"]), one["energy_milli"])
            for one in books["charges"]
            if one["quality"] != Quality.ESTIMATED
        ]
        assert billed == oracle_intervals(tariff, told, room, said)


@settings(
    max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=stories(), data=st.data())
async def test_a_tariff_given_meanwhile_charges_what_is_used_from_then_on(
    books, worth, story, data
):
    tariff, told, batches, _ = story
    other = data.draw(st.sampled_from([None, *sorted(TARIFFS.keys() - {tariff})]))
    # A first one, after weeks without, as well as another one.
    is_first = other is not None and data.draw(st.booleans())
    given_at = START + STEP * data.draw(st.integers(0, INSTANTS)) + timedelta(minutes=7)
    turn = data.draw(st.integers(0, len(batches) - 1))
    rooms = 1 + max((one[0] for one in told), default=0)
    in_order, at_will = [
        await build_site(books, Clock(MORNING), rooms=rooms, tariff=TARIFFS[tariff], name=name)
        for name in ("given in order", "given at will")
    ]
    if is_first:
        for site in (in_order, at_will):
            await give(site, None, MORNING)
    in_order.clock = at_will.clock = clock = Clock(START + STEP * INSTANTS)
    for one in sorted(one for one in told if one[1] < given_at):
        await told_to(in_order, [one])
    await give(in_order, other, given_at)
    for one in sorted(one for one in told if one[1] > given_at):
        await told_to(in_order, [one])
    # Nothing is told before it was read: what is read later arrives after the tariff was given.
    early = [[one for one in batch if one[1] < given_at] for batch in batches[:turn]]
    for place, batch in enumerate([*early, *batches]):
        if place == turn:
            await give(at_will, other, given_at)
        await told_to(at_will, batch)
        await billed_at(at_will)
        await close.book_day(books, at_will.project_id, clock())
    for one in (in_order, at_will):
        await billed_at(one)
    straight, crooked = await books_of(in_order), await books_of(at_will)
    assert [differ(*pair) for pair in zip(straight, crooked, strict=True)] == [{}] * len(straight)
    # All but those with free energy have a price for whatever is used.
    free = [one for room in straight for one in room["charges"]
            if one["energy_milli"] > 9 and not one["amount_nano"]]  # fmt: skip
    is_free = other is None or is_first or bool({"billed", "by persons"} & {tariff, other})
    assert is_free or free == []


@settings(
    max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=st.one_of(stories("by persons"), stories("billed")), data=st.data())
async def test_persons_who_come_and_go_count_for_what_is_used_from_then_on(
    books, worth, story, data
):
    tariff, told, batches, _ = story
    instants = data.draw(st.sets(st.integers(0, INSTANTS), min_size=1, max_size=2))
    changes = [
        (START + STEP * place + timedelta(minutes=7), data.draw(st.sampled_from(PERSONS)))
        for place in sorted(instants)
    ]
    rooms = 1 + max((one[0] for one in told), default=0)
    in_order, at_will = [
        await build_site(books, Clock(MORNING), rooms=rooms, tariff=TARIFFS[tariff], name=name)
        for name in ("persons in order", "persons at will")
    ]
    in_order.clock = at_will.clock = clock = Clock(START + STEP * INSTANTS)
    since = datetime.min.replace(tzinfo=UTC)
    late = [one for batch in batches for one in batch]
    for at, number in [*changes, (clock() + STEP, 1)]:
        for one in sorted(one for one in told if since < one[1] < at):
            await told_to(in_order, [one])
        # Nothing arrives before it was read, and all of it some day.
        ready = [place for place, one in enumerate(late) if one[1] < at]
        come = len(ready) if at > clock() else data.draw(st.integers(0, len(ready)))
        half = data.draw(st.integers(0, come))
        for some in (ready[:half], ready[half:come]):
            await told_to(at_will, [late[place] for place in some])
            await billed_at(at_will)
            await close.book_day(books, at_will.project_id, clock())
        late = [one for place, one in enumerate(late) if place not in ready[:come]]
        for site in (in_order, at_will):
            await count(site, number, at)
        since = at
    for one in (in_order, at_will):
        await billed_at(one)
    straight, crooked = await books_of(in_order), await books_of(at_will)
    assert [differ(*pair) for pair in zip(straight, crooked, strict=True)] == [{}] * len(straight)


async def count(site: Site, number: int, at: datetime) -> None:
    """Every household has so many persons from an instant on."""
    for room in site.rooms:
        await persons.change(site.db, site.project_id, room.agreement_id, number, at)


async def give(site: Site, other: str | None, at: datetime) -> None:
    """Another tariff, or none, for every point from an instant on."""
    made = None
    if other is not None:
        body = TARIFFS[other]
        made = await onboard.publish_tariff(site.db, site.project_id, body, None, at)
    for point_id in site.points:
        row = await device.point(site.db, site.project_id, point_id)
        keeper = Keeper(row["keeper"])
        key = site.db, site.project_id, point_id, row["version"]
        await device.edit_point(*key, made, keeper, at)
