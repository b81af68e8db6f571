"""Values as text: exact, in the project's zone and currency, from integers."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from meterhouse.web.formats import Formats
from meterhouse.words import words

NOON = datetime(2026, 11, 21, 16, 30, 5, tzinfo=UTC)


@pytest.fixture
def fmt():
    return Formats(words("zh-Hans"), ZoneInfo("Asia/Shanghai"), "CNY", 2)


@pytest.mark.parametrize(
    ("amount_minor", "text"),
    [(0, "¥0.00"), (123456, "¥1,234.56"), (-37, "−¥0.37"), (10**15, "¥10,000,000,000,000.00")],
)
def test_money(fmt, amount_minor, text):
    assert fmt.money(amount_minor) == text


def test_money_sign_is_short_in_english_and_other_currencies_keep_theirs():
    zone = ZoneInfo("UTC")
    assert Formats(words("en"), zone, "CNY", 2).money(1) == "¥0.01"
    assert Formats(words("en"), zone, "JPY", 0).money(1500) == "¥1,500"
    assert Formats(words("en"), zone, "EUR", 2).money(150) == "€1.50"


@pytest.mark.parametrize(
    ("energy_milli", "text"),
    [(None, "—"), (0, "0.00"), (4, "0.00"), (5, "0.01"), (-5, "−0.01"), (12_345_678, "12,345.68")],
)
def test_energy_rounds_half_up(fmt, energy_milli, text):
    assert fmt.energy(energy_milli) == text


def test_accrued_money_is_never_rounded_up(fmt):
    assert fmt.money_nano(19_999_999) == "¥0.01"
    assert fmt.money_nano(-19_999_999) == "−¥0.01"


def test_instants_are_local(fmt):
    assert fmt.instant(NOON) == "2026-11-22 00:30:05"
    assert fmt.instant(None) == "—"
