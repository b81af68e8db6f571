"""Amounts in capitals: the published examples, the rules between them, and back again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meterhouse.errors import OutOfRange
from meterhouse.paper.capitals import capitals
from meterhouse.units import AMOUNT_MINOR_MAX, Minor

PUBLISHED = [
    # The examples of the People's Bank, with 整 after jiao as the Ministry of Finance has it.
    ("1409.50", "壹仟肆佰零玖元伍角整"),
    ("6007.14", "陆仟零柒元壹角肆分"),
    ("1680.32", "壹仟陆佰捌拾元零叁角贰分"),
    ("107000.53", "壹拾万柒仟元零伍角叁分"),
    ("16409.02", "壹万陆仟肆佰零玖元零贰分"),
    ("325.04", "叁佰贰拾伍元零肆分"),
]
BY_HAND = [
    ("0.00", "零元整"),
    ("0.01", "壹分"),
    ("0.10", "壹角整"),
    ("0.53", "伍角叁分"),
    ("1.00", "壹元整"),
    ("1.01", "壹元零壹分"),
    ("1.10", "壹元壹角整"),
    ("10.00", "壹拾元整"),
    ("10.50", "壹拾元零伍角整"),
    ("10.05", "壹拾元零伍分"),
    ("11.23", "壹拾壹元贰角叁分"),
    ("100.00", "壹佰元整"),
    ("101.00", "壹佰零壹元整"),
    ("110.00", "壹佰壹拾元整"),
    ("1001.00", "壹仟零壹元整"),
    ("1010.00", "壹仟零壹拾元整"),
    ("10000.00", "壹万元整"),
    ("10001.00", "壹万零壹元整"),
    ("10010.00", "壹万零壹拾元整"),
    ("15000.00", "壹万伍仟元整"),
    ("100500.00", "壹拾万零伍佰元整"),
    ("105000.00", "壹拾万伍仟元整"),
    ("1000000.00", "壹佰万元整"),
    ("1010101.01", "壹佰零壹万零壹佰零壹元零壹分"),
    ("100000000.00", "壹亿元整"),
    ("100000001.00", "壹亿零壹元整"),
    ("100005000.00", "壹亿零伍仟元整"),
    ("100010000.00", "壹亿零壹万元整"),
    ("120000000.00", "壹亿贰仟万元整"),
    ("1070000000.00", "壹拾亿柒仟万元整"),
    ("1000000000000.00", "壹万亿元整"),
    ("1000000000000.01", "壹万亿元零壹分"),
    ("1000100000000.00", "壹万零壹亿元整"),
    ("1000050000000.00", "壹万亿零伍仟万元整"),
    ("9876543210123.45", "玖万捌仟柒佰陆拾伍亿肆仟叁佰贰拾壹万零壹佰贰拾叁元肆角伍分"),
    ("10000000000000.00", "壹拾万亿元整"),
    ("-0.05", "负伍分"),
    ("-1409.50", "负壹仟肆佰零玖元伍角整"),
]  # fmt: skip


def fen(figures: str) -> Minor:
    return Minor(int(figures.replace(".", "")))


@pytest.mark.parametrize(("figures", "written"), PUBLISHED, ids=[one for one, _ in PUBLISHED])
def test_the_published_examples(figures, written):
    assert capitals(fen(figures)) == written


@pytest.mark.parametrize(("figures", "written"), BY_HAND, ids=[one for one, _ in BY_HAND])
def test_what_was_written_by_hand(figures, written):
    assert capitals(fen(figures)) == written


def read(written: str) -> int:
    """Capitals back to fen, by what each character is worth alone; knows no rule about zeros."""
    sign = -1 if written.startswith("负") else 1
    written = written.removeprefix("负").removesuffix("整")
    whole, _, rest = written.rpartition("元")
    total = _whole(whole) * 100
    digit = 0
    for one in rest:
        if one in "角分":
            total += digit * (10 if one == "角" else 1)
        else:
            digit = "零壹贰叁肆伍陆柒捌玖".index(one)
    return sign * total


def _whole(written: str) -> int:
    for unit, size in (("亿", 10**8), ("万", 10**4), ("仟", 1000), ("佰", 100), ("拾", 10)):
        high, found, low = written.rpartition(unit)
        if found:
            return _whole(high) * size + _whole(low)
    return "零壹贰叁肆伍陆柒捌玖".index(written.lstrip("零") or "零")


@given(st.integers(-AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX) | st.integers(0, 10**7))
@example(AMOUNT_MINOR_MAX)
def test_it_reads_back_as_the_same_amount(amount_minor):
    written = capitals(Minor(amount_minor))
    assert read(written) == amount_minor
    assert "零零" not in written
    assert written.endswith(("整", "分"))


@given(st.lists(st.sampled_from([0, 0, 0, 1, 5]), min_size=1, max_size=15))
def test_zeros_anywhere_are_read_back(digits):
    amount_minor = int("".join(map(str, digits)))
    assert read(capitals(Minor(amount_minor))) == amount_minor


@pytest.mark.parametrize("amount_minor", [AMOUNT_MINOR_MAX + 1, -AMOUNT_MINOR_MAX - 1])
def test_more_than_the_books_hold_is_refused(amount_minor):
    with pytest.raises(OutOfRange):
        capitals(Minor(amount_minor))
