"""A second opinion on the judgement of one chain of readings: plain lists, the rules as sentences.

Must never import `meterhouse.rating`. A reading is `(at_us, (total, sharp, peak, flat, valley))`.
"""

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Meter:
    modulus: int
    max_power_w: int
    multiplier: int = 1
    needs_bands: bool = False


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
    if meter.needs_bands and not bands_agree(meter, before, after):
        return "BAND_MISMATCH"
    return None


def may_be_accepted(meter: Meter, before: tuple, after: tuple) -> bool:
    """Whether a person may say that registers follow: forward, no more than one interval holds."""
    if not 0 <= after[0] - before[0] <= 10**9 // meter.multiplier - 50:
        return False
    if not meter.needs_bands:
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
    needed = 5 if meter.needs_bands else 1
    verdicts, billed = {}, []
    good = suspect = None
    count = 0
    usable = []
    said = {reading[0]: decided.get(reading[0], ("nothing",)) for reading in readings}
    for reading in sorted(set(readings)):
        deed = said[reading[0]]
        if deed[0] == "discard":
            verdicts[reading] = "DISCARDED"
            continue
        if deed[0] == "correct":
            reading = (reading[0], deed[1])
        if all(0 <= register < meter.modulus for register in reading[1][:needed]):
            usable.append(reading)
        else:
            verdicts[reading] = "UNUSABLE"
    for _, group in groupby(usable, key=lambda reading: reading[0]):
        same = list(group)
        if len(same) > 1:
            verdicts.update(dict.fromkeys(same, "CONFLICT"))
            continue
        (reading,) = same
        if good is None:
            verdicts[reading], good = "FIRST", reading
            continue
        deed = said[reading[0]]
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
            why_not(meter, good, reading) is None or may_be_accepted(meter, good[1], reading[1])
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
