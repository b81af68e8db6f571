"""Booking a column of accruals gives what booking one after the other gives."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.ledger.book import book_accrual, book_accruals
from meterhouse.units import Nano, nano_per_minor, take_minor

AMOUNT = st.one_of(st.integers(-3 * 10**10, 3 * 10**10), st.integers(-(10**16), 10**16), st.just(0))


@st.composite
def accruals(draw_):
    """Some accounts, and accruals each of which draws its own and perhaps a common one."""
    count = draw_(st.integers(2, 8))
    balances = draw_(st.lists(st.integers(-5_000, 5_000), min_size=count, max_size=count))
    rows = draw_(st.lists(
        st.tuples(AMOUNT, st.integers(0, count - 1), st.integers(-1, count - 1))
        .filter(lambda row: row[1] != row[2]), max_size=12,
    ))  # fmt: skip
    return balances, rows


@given(accruals(), st.integers(0, 4))
@settings(max_examples=400, deadline=None)
def test_a_column_books_as_one_after_the_other(case, exponent):
    balances, rows = case
    left, wanted = list(balances), []
    for accrued_nano, own, common in rows:
        mine = [own] if common < 0 else [own, common]
        parts, rest = book_accrual(Nano(accrued_nano), [left[one] for one in mine], exponent)
        for one, part in zip(mine, parts, strict=True):
            left[one] -= part
        wanted.append((parts[0], parts[1] if common >= 0 else 0, rest))
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    booked = book_accruals(*columns, np.array(balances, np.int64), exponent)
    assert list(zip(*(column.tolist() for column in booked), strict=True)) == wanted


@given(AMOUNT, st.integers(0, 4))
def test_what_is_taken_and_what_stays_add_up(accrued_nano, exponent):
    whole, rest = take_minor(accrued_nano, exponent)
    size = nano_per_minor(exponent)
    assert whole * size + rest == accrued_nano
    assert abs(rest) < size
    assert rest == 0 or (rest < 0) == (accrued_nano < 0)
