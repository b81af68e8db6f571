"""Amounts in Chinese capitals (大写金额), which nobody alters with one stroke of a pen.

Owns the one function. Must never know a currency's sign or a receipt. The rules are those for
filling in bills and settlement vouchers (正确填写票据和结算凭证的基本规定, annex 1 of 支付结算办法,
People's Bank of China, 银发〔1997〕393号) and article 52 of the basic norms of accounting work
(会计基础工作规范, Ministry of Finance, 财会字〔1996〕19号):

- an amount that ends with yuan or jiao takes 整 after it, one that ends with fen does not; the bank
  lets 整 be left out after jiao, the ministry does not, so it is written;
- one or several zeros between digits are one 零; ¥1,409.50 is 壹仟肆佰零玖元伍角整;
- yuan zero and jiao not: 零 may stand after 元 or be left out; it stands, as in the first of the
  bank's two examples (¥1,680.32, 壹仟陆佰捌拾元零叁角贰分);
- ten thousands zero and thousands not: 零 may be left out, and is (¥107,000.53,
  壹拾万柒仟元零伍角叁分), but not where a whole group of four zeros lies between;
- jiao zero and fen not: 零 stands after 元 (¥325.04, 叁佰贰拾伍元零肆分);
- ten is 壹拾, never 拾 alone.
"""

from typing import Final

from meterhouse.errors import OutOfRange
from meterhouse.units import AMOUNT_MINOR_MAX, Minor

RENMINBI: Final = "人民币"
"""What must stand before an amount in capitals, with no gap in which something could be added."""

FEN_PER_YUAN: Final = 100

_DIGITS: Final = "零壹贰叁肆伍陆柒捌玖"
_PLACES: Final = ("", "拾", "佰", "仟")
_GROUPS: Final = ("", "万", "亿", "万")


def capitals(amount_minor: Minor) -> str:
    """An amount of fen in capitals, as in 壹仟肆佰零玖元伍角整; 负 before one below zero.

    Raises:
        OutOfRange: beyond ±10¹⁵ fen.
    """
    if abs(amount_minor) > AMOUNT_MINOR_MAX:
        raise OutOfRange("amount_minor", amount_minor, -AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX)
    yuan, fen = divmod(abs(amount_minor), FEN_PER_YUAN)
    tenths, hundredths = divmod(fen, 10)
    text = "负" if amount_minor < 0 else ""
    if yuan or not fen:
        text += f"{_whole(yuan)}元"
    # Written after 元 alone: what is less than one yuan begins with its first digit.
    if yuan and fen and (not tenths or yuan % 10 == 0):
        text += "零"
    if tenths:
        text += f"{_DIGITS[tenths]}角"
    return text + (f"{_DIGITS[hundredths]}分" if hundredths else "整")


def _whole(yuan: int) -> str:
    """Yuan without their unit: groups of four digits, each read alike."""
    if not yuan:
        return _DIGITS[0]
    digits = [int(digit) for digit in str(yuan)]
    text, owes_zero, in_group = "", False, False
    for place, digit in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        group, within = divmod(place, 4)
        if digit:
            text += ("零" if owes_zero else "") + _DIGITS[digit] + _PLACES[within]
            owes_zero, in_group = False, True
        else:
            owes_zero = True
        if within == 0:
            # 亿 stands behind the ten thousands of it, too, when they are round.
            if in_group or (group == 2 and text):
                text += _GROUPS[group]
            # A zero that only ends its group is not read; a group of zeros is.
            owes_zero = owes_zero and not in_group
            in_group = False
    return text
