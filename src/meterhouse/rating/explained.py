"""One interval's price told line by line, by the kernel that rated it.

Owns the shape of such a line. Must never know whose interval it is, nor in which words it is told.
"""

from dataclasses import dataclass

import numpy as np

from meterhouse.rating.kernel import Intervals, RatingOutcome, rate_lines
from meterhouse.rating.timeline import Timeline, pack


@dataclass(frozen=True, slots=True)
class Line:
    """One part of an interval's price: `amount_nano = energy_milli × price_micro`.

    A day's standing charge has no band, no energy and no price, and block −1; its span is the
    instant at which it fell due. What was used while no tariff was in force has no band either.
    """

    version: int
    band: str
    block: int
    energy_milli: int
    price_micro: int
    amount_nano: int
    from_us: int
    to_us: int

    @property
    def is_standing(self) -> bool:
        """Whether it is a day's standing charge."""
        return self.block < 0

    @property
    def is_unpriced(self) -> bool:
        """Whether no tariff was in force."""
        return not self.band and not self.is_standing


def explain_interval(
    timeline: Timeline,
    start_us: int,
    end_us: int,
    energy_milli: int,
    band_energy_milli: tuple[int, int, int, int] = (-1, -1, -1, -1),
    block_milli: int = 0,
    block_period_us: int = 0,
) -> list[Line]:
    """What one interval cost, line by line, by the arithmetic that rated it.

    The lines' amounts add up to the interval's exactly. Empty when nothing was rated.

    Raises:
        OutOfRange: as `rate_intervals`.
    """
    packed = pack([timeline])
    zero, start, end, energy = np.array([[0], [start_us], [end_us], [energy_milli]], np.int64)
    one = Intervals(zero, zero, start, end, energy, np.array([band_energy_milli], np.int64))
    blocks = (np.array([each], np.int64) for each in (block_milli, block_period_us))
    rated, lines = rate_lines(packed, one, *blocks)
    said = [_line(timeline, *columns) for _, *columns in lines.tolist()]
    if rated.outcome[0] == RatingOutcome.RATED:
        said += _days_begun(timeline, start_us, end_us)
    return said


def _line(timeline: Timeline, *columns: int) -> Line:
    section, band, block, energy_milli, price_micro, from_us, to_us = columns
    of = timeline.sections[section]
    amount_nano = energy_milli * price_micro
    return Line(
        of.version, of.rates.bands[band], block, energy_milli, price_micro, amount_nano, from_us,
        to_us,
    )  # fmt: skip


def _days_begun(timeline: Timeline, start_us: int, end_us: int) -> list[Line]:
    """The standing charges that fall due within [start, end)."""
    inside = (timeline.due_us >= start_us) & (timeline.due_us < end_us)
    said = []
    for at_us, nano in zip(
        timeline.due_us[inside].tolist(), timeline.due_nano[inside].tolist(), strict=True
    ):
        piece = int(np.searchsorted(timeline.edge_us, at_us, side="right")) - 1
        version = timeline.sections[timeline.section[piece]].version
        said.append(Line(version, "", -1, 0, 0, nano, at_us, at_us))
    return said
