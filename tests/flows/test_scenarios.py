"""The cases that any metering must bill right, each through the real store and flows.

What is expected is worked by hand beside each test, in yuan; the docs tell each in `docs/vee.md`.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from meterhouse.flows import doubt, estimate, exchange
from meterhouse.flows.doubt import Decision
from meterhouse.model import Quality
from meterhouse.rating.decided import Decided
from meterhouse.rating.delta import Verdict
from meterhouse.store import proofs
from meterhouse.units import to_us
from premises import HASTY, MODEL

YUAN_NANO = 10**9
HALF_HOURS = {
    "00:00": "valley", "08:30": "peak", "11:30": "flat", "17:30": "peak", "22:30": "valley",
}  # fmt: skip
DAY_PRICES = {"peak": [1_200_000], "flat": [700_000], "valley": [300_000]}
DAY = {"bands": ["peak", "flat", "valley"], "day_tables": {"every_day": HALF_HOURS},
       "prices_micro": DAY_PRICES}  # fmt: skip
# 0–200 kWh at 0.60, to 400 at 0.66 (×1.1), above at 0.90 (×1.5).
BLOCKS = {"blocks": {"period": "month", "limits_milli": [200_000, 400_000]},
          "prices_micro": {"flat": [600_000, 660_000, 900_000]}}  # fmt: skip
FLAT = {"prices_micro": {"flat": [600_000]}}
BY_METER = {"band_source": "meter", "bands": ["sharp", "peak", "flat", "valley"],
            "prices_micro": DAY_PRICES | {"sharp": [1_500_000]}}  # fmt: skip


def tariff(*versions, **since):
    """A tariff of these versions; the first holds since long ago."""
    begin = {"effective_from": "2020-01-01T00:00:00+08:00"}
    return {
        "name": "worked", "commodity": "electricity", "currency": "CNY",
        "versions": [begin | version for version in versions],
    } | since  # fmt: skip


class Home:
    """One room whose readings are told as (local time, kWh the register shows)."""

    def __init__(self, site, zone):
        self.site, self.zone = site, ZoneInfo(zone)

    def at(self, text, fold=0):
        return datetime.fromisoformat(text).replace(tzinfo=self.zone, fold=fold).astimezone(UTC)

    async def read(self, *said, source=0):
        """Readings arrive together, once all of them have been made."""
        rows = [(self.site.meters[0], self.at(text), round(kwh * 1000)) for text, kwh in said]
        self.site.clock.at = max(self.site.clock.at, *(row[1] for row in rows))
        await self.site.read(*rows, source=source)

    async def charged(self):
        """(yuan, quality) of every interval in force, in order; exact to a billionth."""
        rows = await self.site.rows(
            """select * from (select distinct on (ended_at) * from charge
               order by ended_at, version desc) c where started_at < ended_at order by ended_at"""
        )
        return [
            (row["amount_nano"] / YUAN_NANO, Quality(row["quality"]).name.lower()) for row in rows
        ]

    async def owed(self):
        """What was rated altogether, in yuan."""
        return (await self.site.state())["rated_nano"] / YUAN_NANO

    async def waits(self):
        """Why readings wait for a person."""
        rows = await self.site.rows(
            """select d.verdict from doubt d join point_state s using (project_id, point_id)
               where d.is_doubtful and d.read_at > s.good_at order by d.read_at"""
        )
        return [Verdict(row["verdict"]).name.lower() for row in rows]

    async def decide(self, decided, **more):
        row = await self.site.row("select id from doubt order by read_at limit 1")
        key = (self.site.db, self.site.tariffs, self.site.project_id, row["id"])
        said = Decision(decided, "seen at the meter", **more)
        await doubt.decide(*key, said, None, self.site.clock())


@pytest.fixture
async def home(new_site, address):
    """Makes homes; at the end the proofs hold over all of them."""

    async def make(tariff_of, zone="Asia/Shanghai", begins="2026-03-04T00:00", **more):
        site = await new_site(rooms=1, tariff=tariff_of, timezone=zone, **more)
        made = Home(site, zone)
        site.clock.at = made.at(begins)
        await site.pay(1_000_000)
        return made

    yield make
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


async def test_half_hour_band_edges(home):
    here = await home(tariff(DAY))
    # Two kWh across each edge, one on either side; nothing in between.
    await here.read(
        ("2026-03-04T08:15", 0), ("2026-03-04T08:45", 2), ("2026-03-04T11:15", 2),
        ("2026-03-04T11:45", 4), ("2026-03-04T17:15", 4), ("2026-03-04T17:45", 6),
        ("2026-03-04T22:15", 6), ("2026-03-04T22:45", 8),
    )  # fmt: skip
    charged = [yuan for yuan, _ in await here.charged()]
    # 08:30: 0.30 + 1.20; 11:30: 1.20 + 0.70; 17:30: 0.70 + 1.20; 22:30: 1.20 + 0.30.
    assert charged == [1.5, 0, 1.9, 0, 1.9, 0, 1.5]


async def test_a_reading_on_the_edge_itself_divides_it(home):
    here = await home(tariff(DAY))
    await here.read(("2026-03-04T08:00", 0), ("2026-03-04T08:30", 2), ("2026-03-04T09:00", 4))
    # 2 × 0.30, then 2 × 1.20.
    assert [yuan for yuan, _ in await here.charged()] == [0.6, 2.4]


SILENCE = [("2026-03-04T06:00", 0), ("2026-03-04T06:30", 1)]
RESUMED = [("2026-03-04T12:30", 13), ("2026-03-04T13:00", 14)]


async def test_six_hours_of_silence_then_the_meter_resumes(home):
    here = await home(tariff(DAY))
    await here.read(*SILENCE)
    await here.read(*RESUMED)
    # 12 kWh in six hours, two an hour: 4 in the valley to 08:30 (1.20), 6 at the peak to 11:30
    # (7.20), 2 in the flat to 12:30 (1.40). The energy is measured, its split is not.
    assert await here.charged() == [(0.3, "good"), (9.8, "apportioned"), (0.7, "good")]
    assert await here.waits() == []


async def test_the_same_with_the_gateway_uploading_its_stored_readings_late(home):
    here = await home(tariff(DAY))
    await here.read(*SILENCE)
    await here.read(*RESUMED)
    assert await here.owed() == 10.8
    stored = [
        (f"2026-03-04T{hour:02}:{minute:02}", min(13, 1 + 3 * step))
        for step, (hour, minute) in enumerate(
            [(6 + half // 2, 30 * (half % 2)) for half in range(2, 13)], 1
        )
    ]
    # Newest first, as some gateways send them: all 12 kWh were used by 08:30, at 0.30: 3.60.
    for one in reversed(stored):
        await here.read(one, source=1)
    assert await here.owed() == pytest.approx(0.3 + 3.6 + 0.7, abs=1e-12)
    charged = await here.charged()
    assert [yuan for yuan, _ in charged] == [0.3, 0.9, 0.9, 0.9, 0.9, *[0] * 8, 0.7]
    assert {quality for _, quality in charged} == {"good"}


async def test_register_rollover_at_100000(home):
    here = await home(tariff(FLAT))
    # Five digits before the point, as older meters have them.
    await here.site.rows("update meter set modulus_milli = 100000000 returning id")
    await here.read(("2026-03-04T10:00", 99_999.5), ("2026-03-04T10:30", 0.7))
    # 0.5 to the end and 0.7 from zero: 1.2 × 0.60.
    assert await here.charged() == [(0.72, "good")]
    row = await here.site.row("select verdict from charge")
    assert row["verdict"] == Verdict.ROLLOVER


async def test_one_zero_reading_between_good_ones(home):
    here = await home(tariff(FLAT))
    await here.read(("2026-03-04T10:00", 5_000), ("2026-03-04T10:30", 5_001))
    await here.read(("2026-03-04T11:00", 0))
    assert await here.waits() == ["zero"]
    await here.read(("2026-03-04T11:30", 5_003))
    # 1 × 0.60, then the whole span over the zero: 2 × 0.60.
    assert [yuan for yuan, _ in await here.charged()] == [0.6, 1.2]
    assert await here.waits() == []
    assert await here.site.alarms() == []


@pytest.mark.parametrize(
    ("from_kwh", "before_yuan", "yuan"),
    [
        # To 360: 200 × 0.60 + 160 × 0.66. Then 40 × 0.66 + 10 × 0.90 = 26.40 + 9.00.
        (360, 225.6, 35.4),
        # To 250: 200 × 0.60 + 50 × 0.66. Then 150 × 0.66 + 10 × 0.90 = 99.00 + 9.00.
        (250, 153.0, 108.0),
    ],
)
async def test_an_increment_that_crosses_blocks(home, from_kwh, before_yuan, yuan):
    here = await home(tariff(BLOCKS))
    await here.read(("2026-03-04T00:00", 0), ("2026-03-04T10:00", from_kwh))
    await here.read(("2026-03-04T14:00", 410))
    assert [one for one, _ in await here.charged()] == [before_yuan, yuan]


@pytest.mark.parametrize(
    ("period", "eve", "day_after", "yuan"),
    [
        # A month ends: one kWh in the second block (0.66), one in the first of the new month.
        ("month", "2026-01-31", "2026-02-01", 1.26),
        # Within a year nothing begins anew: 2 × 0.66.
        ("year", "2026-01-31", "2026-02-01", 1.32),
        ("month", "2026-12-31", "2027-01-01", 1.26),
        ("year", "2026-12-31", "2027-01-01", 1.26),
    ],
)
async def test_block_reset_at_month_and_year_end_in_the_projects_zone(
    home, period, eve, day_after, yuan
):
    blocks = BLOCKS["blocks"] | {"period": period}
    # In UTC this midnight is at 16:00: a reset there would bill 1.32 or 1.20.
    here = await home(tariff(BLOCKS | {"blocks": blocks}), begins=f"{eve}T09:00")
    await here.read((f"{eve}T10:00", 0), (f"{eve}T23:00", 300), (f"{day_after}T01:00", 302))
    # 200 × 0.60 + 100 × 0.66 before.
    assert [one for one, _ in await here.charged()] == [186.0, yuan]


async def test_price_change_in_the_middle_of_an_interval(home):
    dearer = {"effective_from": "2026-03-04T12:15:00+08:00",
              "prices_micro": {"flat": [800_000]}}  # fmt: skip
    here = await home(tariff(FLAT, dearer))
    await here.read(("2026-03-04T12:00", 0), ("2026-03-04T12:30", 2))
    # A quarter of an hour at 0.60, and one at 0.80.
    assert [yuan for yuan, _ in await here.charged()] == [1.4]


async def test_meter_swap_in_the_middle_of_a_block(home):
    here = await home(tariff(BLOCKS))
    await here.read(("2026-03-04T00:00", 0), ("2026-03-04T10:00", 190))
    site, registers = here.site, (5_000_000, -1, -1, -1, -1)
    new = exchange.Exchange(MODEL, "000000009999", None, 1, registers, "worn out")
    done = await exchange.exchange(
        site.db, site.project_id, site.meters[0], new, None, site.clock()
    )
    site.rooms[0] = type(site.rooms[0])(
        **{name: getattr(site.rooms[0], name) for name in site.rooms[0].__dataclass_fields__}
        | {"meter_id": done.meter_id}
    )
    await here.read(("2026-03-04T11:00", 5_020))
    # 190 × 0.60; then 10 up to 200 at 0.60 and 10 at 0.66: the blocks are the point's.
    assert [yuan for yuan, _ in await here.charged()] == [114.0, 12.6]
    await here.read(("2026-03-04T10:30", 5_012))
    # The late one divides it: 10 × 0.60 + 2 × 0.66, and 8 × 0.66.
    assert [yuan for yuan, _ in await here.charged()] == [114.0, 7.32, 5.28]


async def test_a_register_per_band_against_platform_bands(home):
    owed = {}
    for name, version in (("meter", BY_METER), ("platform", DAY)):
        here = await home(tariff(version))
        meter_id, noon = here.site.meters[0], here.at("2026-03-04T12:00")
        here.site.clock.at = noon + timedelta(hours=1)
        await here.site.read(
            (meter_id, noon, 10_000, 1, (1_000, 3_000, 4_000, 2_000)),
            (meter_id, noon + timedelta(minutes=30), 14_000, 1, (1_000, 6_000, 4_000, 3_000)),
        )
        owed[name] = await here.owed()
        # The bands move by three of the four the total moves by.
        await here.site.read(
            (meter_id, noon + timedelta(hours=1), 18_000, 1, (1_000, 9_000, 4_000, 3_000))
        )
        owed[f"{name} torn"] = await here.owed() - owed[name]
        owed[f"{name} waits"] = await here.waits()
    # The meter counted 3 at the peak and 1 in the valley: 3.60 + 0.30. Noon is flat here: 4 × 0.70.
    assert (owed["meter"], owed["platform"]) == (3.9, 2.8)
    # What does not add up is not billed by the bands; the platform bills by the total.
    assert (owed["meter torn"], owed["meter waits"]) == (0, ["band_mismatch"])
    assert owed["platform torn"] == pytest.approx(2.8, abs=1e-12)
    assert owed["platform waits"] == []


async def banded(here, text, total, *bands):
    """A reading arrives once it was made, with the meter's own bands, all in kWh."""
    here.site.clock.at = max(here.site.clock.at, here.at(text))
    milli = tuple(round(kwh * 1000) for kwh in bands)
    await here.site.read(
        (here.site.meters[0], here.at(text), round(total * 1000), 1, milli or (-1, -1, -1, -1))
    )


async def test_from_the_meters_bands_to_the_platforms(home):
    """By the meter until noon, at 0.60 from then on."""
    since = {"effective_from": "2026-03-04T12:00:00+08:00"}
    fresh = (await home(tariff(BY_METER, since | FLAT)) for _ in range(3))
    told = [
        ("2026-03-04T11:00", 10, 1, 3, 4, 2),
        # The total alone cannot say what the hour before noon costs, and 0 would be wrong.
        ("2026-03-04T13:00", 18),
        ("2026-03-04T13:30", 20),
        ("2026-03-04T14:00", 22, 1, 9, 4, 8),
        ("2026-03-04T15:00", 23),
    ]  # fmt: skip
    here = await anext(fresh)
    for one in told[:3]:
        await banded(here, *one)
    assert (await here.owed(), await here.waits()) == (0, ["unusable", "unusable"])
    await banded(here, *told[3])
    # 12 kWh in three hours: of 6 at the peak and 6 in the valley a third by the meter until noon,
    # 2 × 1.20 + 2 × 0.30; two thirds of the total after it, 8 × 0.60.
    assert (await here.charged(), await here.waits()) == ([(7.8, "apportioned")], [])
    assert await here.site.alarms() == []
    await banded(here, *told[4])
    assert await here.owed() == 8.4
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        other = await anext(fresh)
        for place in order:
            await banded(other, *told[place])
        assert await other.charged() == await here.charged()
        assert (await other.waits(), await other.site.alarms()) == ([], [])


async def test_energy_of_no_band_is_not_said_of_the_meters_bands_time(home):
    here = await home(tariff(BY_METER, {"effective_from": "2026-03-04T12:00:00+08:00"} | FLAT))
    await banded(here, "2026-03-04T11:00", 10, 1, 3, 4, 2)
    await banded(here, "2026-03-04T13:00", 18)
    with pytest.raises(doubt.UsedUnfit):
        await here.decide(Decided.BEGIN, used_milli=8_000)
    # Registers with their bands can be said; so can that nothing was used.
    bands = (18_000, 1_000, 11_000, 4_000, 2_000)
    await here.decide(Decided.CORRECT, registers_milli=bands)
    # 4 × 1.20 before noon, 4 × 0.60 after it.
    assert await here.charged() == [(7.2, "edited")]


async def test_from_the_platforms_bands_to_the_meters(home):
    here = await home(tariff(FLAT, {"effective_from": "2026-03-04T12:00:00+08:00"} | BY_METER))
    await banded(here, "2026-03-04T10:30", 9, 1, 3, 3, 2)
    await banded(here, "2026-03-04T11:00", 10)
    await banded(here, "2026-03-04T13:00", 18, 1, 8, 7, 2)
    # Where the bands stood at eleven nobody knows: what was used since waits, told aloud.
    assert (await here.owed(), await here.waits()) == (0.6, ["band_mismatch"])
    # Without the reading that lacks them it is billed from the last one with bands on.
    site = here.site
    number = to_us(here.at("2026-03-04T11:00"))
    said = Decision(Decided.DISCARD, "it has the total alone")
    which = doubt.OfMeter(site.meters[0], number)
    await doubt.decide(site.db, site.tariffs, site.project_id, which, said, None, site.clock())
    # 9 in two and a half hours: three fifths of the total at 0.60; two fifths of 5 at the peak
    # and 4 flat.
    assert await here.charged() == [(round(5.4 * 0.6 + 2 * 1.2 + 1.6 * 0.7, 2), "apportioned")]
    assert (await here.waits(), await site.alarms()) == ([], [])


async def test_negative_and_stuck_registers(home):
    here = await home(tariff(FLAT), policy=HASTY | {"stuck_after_h": 24})
    await here.read(("2026-03-04T10:00", 50), ("2026-03-04T10:30", 51))
    # It runs backwards: nothing is billed, and nothing is given back.
    await here.read(("2026-03-04T11:00", 50.9), ("2026-03-04T11:30", 50.8))
    assert await here.owed() == 0.6
    assert await here.waits() == ["decrease", "decrease"]
    # Somebody saw that it was set back: it begins there, and moves no more.
    await here.decide(Decided.BEGIN)
    await here.decide(Decided.DISCARD)
    await here.decide(Decided.CORRECT, registers_milli=(51_000, -1, -1, -1, -1))
    site, still = here.site, 51.0
    for hour in range(12, 12 + 25):
        day, of_day = divmod(hour, 24)
        await here.read((f"2026-03-{4 + day:02}T{of_day:02}:00", still))
        await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    assert await here.owed() == 0.6
    assert ("meter_stuck", f"meter:{site.meters[0]}") in await site.alarms()


async def test_daylight_saving_zones(home):
    night = {"bands": ["peak", "valley"], "prices_micro": {"peak": [1_200_000],
             "valley": [300_000]}, "day_tables": {"every_day": {"00:00": "valley",
             "06:00": "peak"}}}  # fmt: skip
    spring = await home(tariff(night), zone="Europe/Berlin", begins="2026-03-28T12:00")
    # The clock jumps from two to three: five hours, one kWh each. Four in the valley, one after.
    await spring.read(("2026-03-29T01:00", 0), ("2026-03-29T07:00", 5))
    assert [yuan for yuan, _ in await spring.charged()] == [4 * 0.3 + 1.2]
    # In autumn the hour from two to three comes twice: seven hours, six of them in the valley.
    autumn = await home(tariff(night), zone="Europe/Berlin", begins="2026-10-24T12:00")
    await autumn.read(("2026-10-25T01:00", 0), ("2026-10-25T07:00", 7))
    rows = await autumn.site.rows("select amount_nano from charge")
    assert [row["amount_nano"] for row in rows] == [3_000_000_000]
    # A day of 25 hours is one day, and its month ends at the local midnight in winter time.
    last = await home(
        tariff(BLOCKS | {"blocks": BLOCKS["blocks"]}), zone="Europe/Berlin",
        begins="2026-10-31T09:00",
    )  # fmt: skip
    await last.read(("2026-10-31T10:00", 0), ("2026-10-31T23:00", 300), ("2026-11-01T01:00", 302))
    assert [yuan for yuan, _ in await last.charged()] == [186.0, 1.26]


MONTHLY = {**FLAT, "standing": {"per": "period", "amount_micro": 31_000_000}}


async def test_a_standing_charge_comes_with_each_day_that_begins(home):
    here = await home(tariff(MONTHLY), begins="2026-03-04T20:00", policy=HASTY)
    # March has 31 days, so each is 1.00; 0.60 a kWh beside it.
    await here.read(
        ("2026-03-04T20:00", 0), ("2026-03-04T23:30", 1), ("2026-03-05T00:00", 1),
        ("2026-03-05T00:30", 2), ("2026-03-05T01:00", 2),
    )  # fmt: skip
    assert [yuan for yuan, _ in await here.charged()] == [0.6, 0, 1.6, 0]
    # Three silent days come with the next reading, each once, whatever was used.
    await here.read(("2026-03-08T01:00", 2))
    assert (await here.charged())[-1][0] == 3
    # A stored reading that comes late divides them and makes no day dearer or cheaper.
    await here.read(("2026-03-07T00:00", 2), ("2026-03-06T12:00", 2))
    assert [yuan for yuan, _ in await here.charged()][-3:] == [1, 0, 2]
    assert await here.owed() == 5.2
