"""Charged intervals within a span: cut at its ends, compared, and added up by runs of equal keys.

Owns three small passes over arrays that rating a past span anew needs. Must never know whose the
intervals are: keys are numbers. An interval that reaches over an end of the span counts with its
part: energy as the kernel splits it, what was charged in proportion to that energy.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from meterhouse.rating.arrays import Ints


class Spans(NamedTuple):
    """m charged intervals. `place` is which of the given ones each is, or is a part of."""

    place: Ints
    start_us: Ints
    end_us: Ints
    energy_milli: Ints
    charged_nano: Ints


def whole(start_us: Ints, end_us: Ints, energy_milli: Ints, charged_nano: Ints) -> Spans:
    """Intervals as they are."""
    return Spans(np.arange(len(start_us)), start_us, end_us, energy_milli, charged_nano)


def cut(spans: Spans, at_us: int) -> Spans:
    """The same with each interval that reaches over an instant in two, one after the other."""
    over = np.flatnonzero((spans.start_us < at_us) & (spans.end_us > at_us))
    if not len(over):
        return spans
    before_milli, before_nano = np.zeros((2, len(over)), np.int64)
    for i, one in enumerate(over.tolist()):
        start_us, end_us = int(spans.start_us[one]), int(spans.end_us[one])
        energy_milli, charged_nano = int(spans.energy_milli[one]), int(spans.charged_nano[one])
        part_milli = energy_milli * (at_us - start_us) // (end_us - start_us)
        before_milli[i] = part_milli
        before_nano[i] = charged_nano * part_milli // energy_milli if energy_milli else 0
    twice = np.ones(len(spans.place), np.int64)
    twice[over] = 2
    doubled = Spans(*(np.repeat(column, twice) for column in spans))
    first = over + np.arange(len(over))
    doubled.end_us[first] = at_us
    doubled.start_us[first + 1] = at_us
    for column, before in (
        (doubled.energy_milli, before_milli), (doubled.charged_nano, before_nano),
    ):  # fmt: skip
        column[first] = before
        column[first + 1] -= before
    return doubled


def sums(keys: Sequence[Ints], columns: Sequence[Ints]) -> tuple[list[Ints], list[Ints]]:
    """Columns added up over runs of rows whose keys are all the same.

    Returns:
        The keys and the sums, a row a run, in order.
    """
    count = len(keys[0])
    if not count:
        return [key[:0] for key in keys], [column[:0] for column in columns]
    changes = np.zeros(count, np.bool_)
    changes[0] = True
    for key in keys:
        changes[1:] |= np.diff(key) != 0
    starts = np.flatnonzero(changes)
    return [key[starts] for key in keys], [np.add.reduceat(column, starts) for column in columns]
