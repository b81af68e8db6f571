"""Bytes for ticket printers, compared one by one, and texts that try to steer them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.paper.sheet import TICKET_COLUMNS, Paper, Row, Sheet, plain
from meterhouse.paper.ticket import encoded, ticket

SHEET = Sheet(
    language="zh-Hans",
    title="收据",
    payee="滨江能源",
    mark="副本 2",
    void="作废",
    number=Row("票据号", "E-17"),
    rows=(Row("房号", "3号楼 1204"), Row("单价", "0.6 元/kWh"), Row("备注", "")),
    total=Row("金额", "¥101.50"),
    capitals=Row("大写", "人民币壹拾贰万叁仟肆佰伍拾陆元柒角捌分"),
    signs=(Row("收款人", "李"), Row("交款人", "")),
    footer="Thank you 谢谢",
)
GOLDEN_32 = (
    "1b40 1c26 1b6101"
    " b1f5bdadc4dcd4b40a"  # 滨江能源
    " 1b4501 1d2111 cad5bedd0a"  # bold, large: 收据
    " 1d2101 b8b1b1be20320a d7f7b7cf0a 1d2100"  # tall: 副本 2, 作废
    " 1b4500 1b6100" + "2d" * 32 + "0a"
    # 票据号 (6 cells), 22 blanks, E-17
    " c6b1bedd bac5" + "20" * 22 + "452d31370a"
    # 房号 (4), 17 blanks, 3号楼 1204 (1 + 4 + 1 + 4 ... 10)
    " b7bfbac5" + "20" * 18 + "33bac5c2a5 20313230340a"
    # 单价 (4), 0.6 元/kWh (3 + 1 + 2 + 4 = 10)
    " b5a5bcdb" + "20" * 18 + "302e3620d4aa2f6b57680a" + "2d" * 32 + "0a"
    # bold: 金额, ￥101.50 (2 + 6)
    " 1b4501 bdf0b6ee" + "20" * 20 + "a3a43130312e35300a"
    # 大写 stands alone; 19 characters want 38 cells: 16 and 3
    " b4f3d0b40a"
    " c8cbc3f1b1d2d2bccab0b7a1cdf2c8fec7aacbc1b0dbcee9cab0c2bdd4aac6e20a"
    + "20" * 26 + "bdc7b0c6b7d60a"
    " 1b4500" + "2d" * 32 + "0a"
    " cad5bfeec8cb" + "20" * 24 + "c0ee0a"  # 收款人 … 李
    " 1b6101 5468616e6b20796f7520d0bbd0bb0a"
    " 1d286b04003141 3200 1d286b0300314306 1d286b0300314531"
    " 1d286b0700315030 452d3137 1d286b0300315130"  # 4 bytes stored: 4 + 3 = 07 00
    " 1b6100 1d564203"
)  # fmt: skip


def test_a_receipt_of_32_columns_byte_for_byte():
    assert ticket(SHEET, Paper.TICKET_58).hex(" ") == bytes.fromhex(GOLDEN_32).hex(" ")


def test_48_columns_differ_in_the_blanks_alone():
    wide = ticket(SHEET, Paper.TICKET_80)
    assert b"-" * 48 + b"\n" in wide
    assert "大写".encode("gb18030") + b" " * 6 + "人民币".encode("gb18030") in wide
    assert wide.replace(b" ", b"").replace(b"-", b"") == (
        ticket(SHEET, Paper.TICKET_58).replace(b" ", b"").replace(b"-", b"")
        .replace("大写\n".encode("gb18030"), "大写".encode("gb18030"))
        .replace("柒\n".encode("gb18030"), "柒".encode("gb18030"))
    )  # fmt: skip


def test_an_english_receipt_has_no_capitals_and_no_copy():
    once = replace(SHEET, mark="", void="", payee="", capitals=Row("", ""), footer="")
    assert b"\x1d!\x01" + b"\x1d!\x00" in ticket(once, Paper.TICKET_58)
    assert encoded("大写") not in ticket(once, Paper.TICKET_58)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("\x1b@\x1dV0", b"@V0"),
        ("¥−1", b"\xa3\xa4-1"),
        ("😀", b"?"),
        ("㐀", b"?"),
        ("\ud800", b""),
        ("a\u00a0b", b"a b"),
    ],
)
def test_what_the_printer_has_not_is_replaced(typed, sent):
    assert encoded(typed) == sent


@given(st.text(max_size=200), st.sampled_from(list(TICKET_COLUMNS)))
def test_no_text_steers_the_printer_or_runs_over(typed, paper):
    quiet = ticket(replace(SHEET, rows=(), footer=""), paper)
    printed = ticket(replace(SHEET, rows=(Row("x", plain(typed)),), footer=plain(typed)), paper)
    for byte in (0x00, 0x1B, 0x1C, 0x1D, 0x10):
        assert printed.count(byte) == quiet.count(byte)
    line_width = max(len(line) for line in printed[60:].split(b"\n")[1:] if b"\x1d(k" not in line)
    assert line_width <= TICKET_COLUMNS[paper] + len(b"\x1b!\x00" * 4)
