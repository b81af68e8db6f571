"""What may stand on paper: one line of printable characters, no longer than it should be."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.paper.sheet import TEXT_CHARS_MAX, plain


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("王小明", "王小明"),
        ("  two\n lines\t", "two lines"),
        ("a\0b\x1b@\x07V0", "ab@V0"),
        ("100\u202e00.1\u202c", "10000.1"),
        ("zero\u200bwidth\u2066!", "zerowidth!"),
        ("line\u2028end", "line end"),
        ("\ue000private", "private"),
        ("\ud800lone", "lone"),
        ("#panic() $x$ \\ */ 😀", "#panic() $x$ \\ */ 😀"),
    ],
)
def test_what_is_not_printed_goes(typed, printed):
    assert plain(typed) == printed


def test_a_long_text_is_cut_and_says_so():
    assert plain("x" * 500) == "x" * (TEXT_CHARS_MAX - 1) + "…"
    assert plain("x" * TEXT_CHARS_MAX) == "x" * TEXT_CHARS_MAX


@given(st.text())
def test_any_text_becomes_one_line_without_controls(typed):
    printed = plain(typed)
    assert plain(printed) == printed
    assert len(printed) <= TEXT_CHARS_MAX
    assert not {unicodedata.category(char) for char in printed} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
