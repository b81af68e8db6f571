"""Which transfers are due: available credit, the draw order, and booking an accrual.

Owns the one function that says what a household can still spend. Must never know why an amount
is due. Rounding happens in `units.take_minor` alone, so booked + accrued = rated holds exactly.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from meterhouse.units import Minor, Nano, nano_per_minor, take_minor

Whole = TypeVar("Whole", int, NDArray[np.int64])


def available_minor(
    balance_minor: Whole, pending_debit_minor: Whole, accrued_nano: Whole, currency_exponent: int
) -> Whole:
    """What may still be spent: balance − pending debits − accrued, in whole coins rounded down.

    A coin that consumption has begun to eat is no longer available. Works on one account (int) and
    on a column of them (int64); nothing is multiplied, so nothing can overflow.

    Args:
        balance_minor: credits − debits of the drawable compartments.
        pending_debit_minor: reserved and not yet posted.
        accrued_nano: rated and not yet booked, of every point that draws here.
        currency_exponent: decimals of the currency.
    """
    return (
        balance_minor - pending_debit_minor + (-accrued_nano) // nano_per_minor(currency_exponent)
    )


def draw(due_minor: Minor, balances_minor: Sequence[int]) -> list[Minor]:
    """How much of a charge each compartment gives, in the draw order.

    A compartment gives what it has; what is left over falls on the first, which alone may go
    below zero. A negative due (a correction in the payer's favour) goes back to the first.
    """
    given = [Minor(0) for _ in balances_minor]
    if due_minor <= 0:
        given[0] = due_minor
        return given
    rest = int(due_minor)
    for index, balance_minor in enumerate(balances_minor):
        part = min(rest, max(0, balance_minor))
        given[index] = Minor(part)
        rest -= part
    given[0] = Minor(given[0] + rest)
    return given


def book_accrual(
    accrued_nano: Nano, balances_minor: Sequence[int], currency_exponent: int
) -> tuple[list[Minor], Nano]:
    """Whole coins of an accrual, shared over the compartments, and the remainder that stays."""
    due_minor, rest_nano = take_minor(accrued_nano, currency_exponent)
    return draw(due_minor, balances_minor), rest_nano
