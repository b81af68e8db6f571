"""What people type into fields that hold more than one figure."""

import pytest

from meterhouse.web.acts.typed import RegistersUnusable, registers

TOTAL = (1_234_500, -1, -1, -1, -1)
BANDS = (10_000, 1_000, 2_000, 3_000, 4_000)


@pytest.mark.parametrize(
    "line", ["240000000101 1234.5", "240000000101, 1234.5", "240000000101,1234.5",
             "  240000000101\t1234.5", "２４００００００0101，1234.5"],
)  # fmt: skip
def test_a_meters_register_is_read_however_it_is_set_apart(line):
    assert registers(f"\n{line}\n", "registers") == {"240000000101": TOTAL}


def test_bands_follow_the_total_and_short_addresses_are_filled():
    assert registers("7, 10 1 2 3 4", "registers") == {"000000000007": BANDS}


@pytest.mark.parametrize(
    "text", ["240000000101", "240000000101,", "meter 5", "7 1\n000000000007 2", "7, 1, 2", "7 -1"]
)
def test_what_is_no_register_is_refused_beside_its_field(text):
    with pytest.raises(RegistersUnusable) as refused:
        registers(text, "closing")
    assert (refused.value.code, refused.value.field) == ("registers_unusable", "closing")
