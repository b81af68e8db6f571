"""A second opinion on the judgement of one chain of readings: plain lists, the rules as sentences.

Must never import `meterhouse.rating`. A reading is `(at_us, (total, sharp, peak, flat, valley))`.
Of the meter's own bands it is told from when to when they price what is used.
"""

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Meter:
    modulus: int
    max_power_w: int
    multiplier: int = 1
    by_bands: tuple[int, int] | None = None

    def needs_bands(self, since: int, until: int) -> bool:
        """Whether anything of a span is priced by the meter's own bands."""
        return self.by_bands is not None and since < self.by_bands[1] and self.by_bands[0] < until


def moved(meter: Meter, before: int, after: int) -> int:
    return (after - before) % meter.modulus


def bands_agree(meter: Meter, before: tuple, after: tuple) -> bool:
    bands = sum(moved(meter, b, a) for b, a in zip(before[1:], after[1:], strict=True))
    return abs(bands - moved(meter, before[0], after[0])) <= 50


def bands_known(meter: Meter, registers: tuple) -> bool:
    return all(0 <= register < meter.modulus for register in registers)


def why_not(meter: Meter, one: tuple, other: tuple) -> str | None:
    """Why the other reading does not follow from the one; None when it does."""
    (at, before), (later, after) = one, other
    seconds = -(-(later - at) // 1_000_000)
    carried = seconds * meter.max_power_w // 3600
    limit = min(carried + carried // 50 + 10, 10**9 // meter.multiplier - 50)
    if moved(meter, before[0], after[0]) > limit:
        if after[0] >= before[0]:
            return "JUMP"
        return "ZERO" if after[0] == 0 else "DECREASE"
    if meter.needs_bands(at, later) and not (
        bands_known(meter, before + after) and bands_agree(meter, before, after)
    ):
        return "BAND_MISMATCH"
    return None


def may_be_accepted(meter: Meter, one: tuple, other: tuple) -> bool:
    """Whether a person may say that registers follow: forward, no more than one interval holds."""
    (at, before), (later, after) = one, other
    if not 0 <= after[0] - before[0] <= 10**9 // meter.multiplier - 50:
        return False
    if not meter.needs_bands(at, later):
        return True
    return bands_known(meter, before + after) and bands_agree(meter, before, after)


def judge_chain(
    meter: Meter, readings: list[tuple], decided: dict | None = None
) -> tuple[dict, list[tuple]]:
    """Verdict per distinct reading, and the billed intervals (start, end, unmultiplied energy).

    `decided` is what a person said of an instant: ("accept",), ("discard",), ("correct",
    registers) or ("begin", energy in between).
    """
    decided = decided or {}
    verdicts, billed = {}, []
    good = suspect = None
    count = 0
    for at, group in groupby(sorted(set(readings)), key=lambda reading: reading[0]):
        deed = decided.get(at, ("nothing",))
        since = at - 1 if good is None or deed[0] == "begin" else good[0]
        needed = 5 if meter.needs_bands(since, at) else 1
        same = []
        for reading in group:
            if deed[0] == "discard":
                verdicts[reading] = "DISCARDED"
                continue
            if deed[0] == "correct":
                reading = (reading[0], deed[1])
            if all(0 <= register < meter.modulus for register in reading[1][:needed]):
                same.append(reading)
            else:
                verdicts[reading] = "UNUSABLE"
        if len(same) > 1:
            verdicts.update(dict.fromkeys(same, "CONFLICT"))
        if len(same) != 1:
            continue
        (reading,) = same
        if good is None:
            verdicts[reading], good = "FIRST", reading
            continue
        if deed[0] == "begin":
            billed.append((good[0], reading[0], deed[1]))
            verdicts[reading] = "BEGUN"
            good, suspect, count = reading, None, 0
            continue
        doubt = why_not(meter, good, reading)
        follows_suspect = suspect is not None and why_not(meter, suspect, reading) is None
        if count >= 2 and follows_suspect:
            doubt = "OTHER_TRACK"
        if deed[0] in ("accept", "correct") and (
            why_not(meter, good, reading) is None or may_be_accepted(meter, good, reading)
        ):
            doubt = None
        if doubt:
            verdicts[reading] = doubt
            count = count + 1 if follows_suspect else 1
            suspect = reading
            continue
        billed.append((good[0], reading[0], moved(meter, good[1][0], reading[1][0])))
        verdicts[reading] = "GOOD"
        if reading[1][0] < good[1][0]:
            verdicts[reading] = "ROLLOVER"
        elif bands_known(meter, good[1] + reading[1]) and not bands_agree(
            meter, good[1], reading[1]
        ):
            verdicts[reading] = "BAND_MISMATCH"
        good, suspect, count = reading, None, 0
    return verdicts, billed
