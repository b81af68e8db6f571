"""NREL's PySAM `Utilityrate5`, a rating engine that nobody here wrote, told a price by hand.

Owns how a price is said to it, and its limits. Must never read a scheme: the same price is written
down twice, once for each engine, so that a misreading of ours cannot hide in a translation.

It knows whole hours of a year of 365 days that begins on a Monday, months of the calendar, one
wall clock without changes, blocks that begin again each month, and floating point. 2018 is such a
year, and so is every bill with it: `YEAR_US` are its hours in China. Neither engine can be asked
about what the other does not know: minutes, clock changes, anchors, yearly and seasonal blocks,
versions, rounding and tax are left to our own oracle.

PySAM is a dependency of tests alone; where it is not installed, `is_there` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter

import numpy as np

from meterhouse.rating.arrays import Ints

HOURS = 8_760
HOUR_US = 3_600_000_000
YEAR_US: Ints = 1_514_736_000_000_000 + HOUR_US * np.arange(HOURS, dtype=np.int64)
"""When the hours of 2018 begin in China, in µs of UTC."""
ALL_THE_REST = 1e38
CHRONOLOGICAL = 2
"""`ur_metering_option` 2, net billing: each hour fills the blocks as it comes."""
PRO_RATA = 0
"""`ur_metering_option` 0, net metering: a month's use of every band fills them in proportion."""


@dataclass(frozen=True, slots=True)
class Price:
    """A price in the words of `Utilityrate5`.

    Attributes:
        rows: (period, block, up to kWh a month, currency per kWh), periods and blocks from 1;
            the last block of a period goes up to `ALL_THE_REST`.
        workday, weekend: 12 × 24, the period of each hour of each month.
        fill: `CHRONOLOGICAL` or `PRO_RATA`.
        fixed: currency a month.
        minimum: what a month costs at least.
        demand: currency per kW of the month's highest hour.
    """

    rows: Sequence[tuple[int, int, float, float]]
    workday: Sequence[Sequence[int]]
    weekend: Sequence[Sequence[int]]
    fill: int = CHRONOLOGICAL
    fixed: float = 0
    minimum: float = 0
    demand: float = 0


def is_there() -> bool:
    """Whether PySAM is installed."""
    return find_spec("PySAM") is not None


def monthly_bills(price: Price, energy_wh: Ints) -> tuple[list[float], float]:
    """What the twelve months cost that a year of hours adds up to, and seconds it took.

    The stopwatch runs from a load that is an array to twelve numbers, as it does for ours.
    """
    import PySAM.Utilityrate5 as Engine

    engine = Engine.new()
    engine.Lifetime.analysis_period = 1
    engine.Lifetime.system_use_lifetime_output = 0
    engine.Lifetime.inflation_rate = 0
    # Nothing is generated; what is asked is the bill without a system.
    engine.SystemOutput.gen = [0.0] * HOURS
    engine.SystemOutput.degradation = [0]
    engine.Load.load_escalation = [0]
    rates = engine.ElectricityRates
    rates.en_electricity_rates = 1
    rates.rate_escalation = [0]
    rates.ur_metering_option = price.fill
    rates.ur_ec_tou_mat = [[*row[:3], 0, row[3], 0] for row in price.rows]
    rates.ur_ec_sched_weekday, rates.ur_ec_sched_weekend = price.workday, price.weekend
    rates.ur_monthly_fixed_charge, rates.ur_monthly_min_charge = price.fixed, price.minimum
    rates.ur_annual_min_charge = 0
    for unused in (
        "ur_sell_eq_buy", "ur_nm_yearend_sell_rate", "ur_nm_credit_month", "ur_nm_credit_rollover",
        "ur_en_ts_buy_rate", "ur_en_ts_sell_rate", "TOU_demand_single_peak",
    ):  # fmt: skip
        setattr(rates, unused, 0)
    rates.ur_dc_enable = 1 if price.demand else 0
    if price.demand:
        rates.ur_dc_flat_mat = [[month, 1, ALL_THE_REST, price.demand] for month in range(12)]
        rates.ur_dc_tou_mat = [[1, 1, ALL_THE_REST, 0]]
        rates.ur_dc_sched_weekday = rates.ur_dc_sched_weekend = [[1] * 24] * 12
    begin = perf_counter()
    engine.Load.load = (energy_wh / 1_000).tolist()
    engine.execute(0)
    months = list(engine.Outputs.year1_monthly_utility_bill_wo_sys)
    return months, perf_counter() - begin


def every_month(*hours: tuple[int, int]) -> list[list[int]]:
    """A schedule of 12 × 24 whose days are alike, from (first hour, period) in order."""
    day = [period for hour in range(24) for period in [[p for h, p in hours if h <= hour][-1]]]
    return [day] * 12
