"""Integers with units: the only numbers money and energy are ever made of.

Owns the four scales (`Milli`, `Micro`, `Nano`, `Minor`), their bounds, and the exact ways between
them. Must never know a tariff, an account or a meter. Every other room names the unit last
(`energy_milli`, `price_micro`, `amount_nano`, `amount_minor`), so that wrong sums read wrong.

One billing unit is what a price is quoted for: a kilowatt hour, a cubic metre. `Milli` is its
thousandth (Wh, litre); a price is `Micro`, a millionth of the currency's unit per billing unit;
their product is `Nano`, a billionth of the currency's unit, and is never rounded. Instants that
travel in arrays are whole microseconds since 1970 UTC (`read_at_us`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NewType, TypeVar

import numpy as np
from numpy.typing import NDArray

from meterhouse.errors import OutOfRange, Unreadable

Milli = NewType("Milli", int)
Micro = NewType("Micro", int)
Nano = NewType("Nano", int)
Minor = NewType("Minor", int)

Whole = TypeVar("Whole", int, NDArray[np.int64])

MILLI_PER_UNIT = 1_000
MICRO_PER_UNIT = 1_000_000
NANO_PER_UNIT = 1_000_000_000

# A product of these two, summed over a thousand intervals, still fits a signed 64-bit integer.
INTERVAL_MILLI_MAX = 1_000_000_000
PRICE_MICRO_MAX = 1_000_000_000
REGISTER_MILLI_MAX = 10**15
AMOUNT_MINOR_MAX = 10**15


def nano_per_minor(currency_exponent: int) -> int:
    """How many `Nano` make one `Minor` of a currency with this many decimals (CNY: 2 → 10⁷)."""
    if not 0 <= currency_exponent <= 9:
        raise OutOfRange(what="currency exponent", value=currency_exponent, low=0, high=9)
    return int(10 ** (9 - currency_exponent))


def nano_of(energy_milli: Milli, price_micro: Micro) -> Nano:
    """The exact price of an amount of energy: `Milli × Micro = Nano`, nothing rounded.

    Raises:
        OutOfRange: energy or price is beyond what one interval can carry.
    """
    if abs(energy_milli) > INTERVAL_MILLI_MAX:
        raise OutOfRange("energy_milli", energy_milli, -INTERVAL_MILLI_MAX, INTERVAL_MILLI_MAX)
    if abs(price_micro) > PRICE_MICRO_MAX:
        raise OutOfRange("price_micro", price_micro, -PRICE_MICRO_MAX, PRICE_MICRO_MAX)
    return Nano(energy_milli * price_micro)


def take_minor(accrued_nano: Whole, currency_exponent: int) -> tuple[Whole, Whole]:
    """Whole coins out of an accrual, and what stays in it; the one place where money is rounded.

    Rounds toward zero, so an accrual never books a coin it has not fully earned, and
    `booked + rest == accrued` holds exactly for either sign; on one accrual or a column of them.
    """
    size = nano_per_minor(currency_exponent)
    sign = 1 - 2 * (accrued_nano < 0)
    whole = sign * (abs(accrued_nano) // size)
    return whole, accrued_nano - whole * size


def round_minor(rest_nano: Nano, currency_exponent: int) -> Minor:
    """What is left below a coin as whole coins, half up: how an account is settled to the last one.

    Only where a bill is issued or an account changes hands; what it adds or leaves out goes to the
    rounding account.
    """
    size = nano_per_minor(currency_exponent)
    return Minor((2 * rest_nano + size) // (2 * size))


def split_exact(total: int, weights: Sequence[int]) -> list[int]:
    """Share an integer by weights so that the shares add up to it exactly (largest remainder).

    Ties go to the earlier share, so the result depends on the order alone, never on a hash.

    Raises:
        OutOfRange: no weight is positive, or one is negative.
    """
    if not weights or min(weights) < 0 or sum(weights) == 0:
        raise OutOfRange("weights", sum(weights), 1, AMOUNT_MINOR_MAX)
    scale = sum(weights)
    sign = -1 if total < 0 else 1
    shares = [abs(total) * weight // scale for weight in weights]
    rests = [abs(total) * weight % scale for weight in weights]
    missing = abs(total) - sum(shares)
    for index in sorted(range(len(weights)), key=lambda i: (-rests[i], i))[:missing]:
        shares[index] += 1
    return [sign * share for share in shares]


def to_decimal(scaled: int, exponent: int) -> str:
    """An integer of 10^-exponent as a decimal string: `(12340, 3) → "12.340"`."""
    if exponent == 0:
        return str(scaled)
    whole, rest = divmod(abs(scaled), 10**exponent)
    return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{exponent}d}"


def from_decimal(text: str, exponent: int) -> int:
    """The integer of 10^-exponent that a decimal string names; never through a binary fraction.

    Raises:
        Unreadable: not a plain decimal number, or more decimals than the unit has.
    """
    plain = text.strip()
    sign = -1 if plain.startswith("-") else 1
    digits = plain.removeprefix("-").removeprefix("+")
    whole, _, rest = digits.partition(".")
    rest = rest.rstrip("0") if len(rest) > exponent else rest
    if not (whole + rest).isascii() or not (whole + rest).isdigit() or len(rest) > exponent:
        raise Unreadable(what="number", text=text, wanted=f"at most {exponent} decimals")
    if len(whole) > 16:
        raise Unreadable(what="number", text=text, wanted="at most 16 digits before the point")
    return sign * int((whole or "0") + rest.ljust(exponent, "0"))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(instant: datetime) -> int:
    """An aware instant as whole microseconds since 1970 UTC."""
    delta = instant - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_us(instant_us: int) -> datetime:
    """Whole microseconds since 1970 UTC as an aware instant."""
    seconds, rest = divmod(int(instant_us), 1_000_000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest)
