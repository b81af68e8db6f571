"""Which transfers are due: available credit, the draw order, and booking an accrual.

Owns the one function that says what a household can still spend. Must never know why an amount
is due. Rounding happens in `units.take_minor` alone, so booked + accrued = rated holds exactly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterhouse.units import Minor, Nano, Whole, nano_per_minor, take_minor

Ints = NDArray[np.int64]


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
    due_minor, rest_nano = take_minor(int(accrued_nano), currency_exponent)
    return draw(Minor(due_minor), balances_minor), Nano(rest_nano)


class Booked(NamedTuple):
    """What n accruals give: `own_minor` and `common_minor` of the two compartments, `rest_nano`."""

    own_minor: Ints
    common_minor: Ints
    rest_nano: Ints


def book_accruals(
    accrued_nano: Ints, own: Ints, common: Ints, balance_minor: Ints, currency_exponent: int
) -> Booked:
    """Book n accruals one after the other, as `book_accrual` would, all at once.

    Args:
        accrued_nano: int64[n].
        own: int64[n], place of the point's own compartment among the balances.
        common: int64[n], place of the common one, −1 where there is none; never the own one.
        balance_minor: int64[k], before the first of them; not changed.
        currency_exponent: decimals of the currency.
    """
    due_minor, rest_nano = take_minor(accrued_nano, currency_exponent)
    has = common >= 0
    own_minor = np.minimum(due_minor, np.maximum(balance_minor[own], 0))
    left_minor = due_minor - own_minor
    common_minor = np.minimum(left_minor, np.maximum(np.where(has, balance_minor[common], 0), 0))
    common_minor = np.where(has & (due_minor > 0), common_minor, 0)
    booked = Booked(due_minor - common_minor, common_minor, rest_nano)
    _one_by_one(booked, due_minor, own, common, balance_minor)
    return booked


def _one_by_one(
    booked: Booked, due_minor: Ints, own: Ints, common: Ints, balance_minor: Ints
) -> None:
    """Book anew, in order, those that share an account: what one draws the next finds gone."""
    has = common >= 0
    uses = np.bincount(own, minlength=len(balance_minor))
    uses += np.bincount(common[has], minlength=len(balance_minor))
    shared = (uses[own] > 1) | (has & (uses[common] > 1))
    left_minor = {
        int(one): int(balance_minor[one])
        for one in np.unique(np.concatenate([own[shared], common[shared & has]]))
    }
    for place in np.flatnonzero(shared).tolist():
        mine = [int(one) for one in (own[place], common[place]) if one >= 0]
        given = draw(Minor(int(due_minor[place])), [left_minor[one] for one in mine])
        for one, part_minor in zip(mine, given, strict=True):
            left_minor[one] -= part_minor
        booked.own_minor[place] = given[0]
        booked.common_minor[place] = given[1] if len(given) > 1 else 0
