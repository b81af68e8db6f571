"""Which font sets Chinese on this machine.

Owns the families we know to hold simplified Chinese, best first, and the refusal where none is
installed: a receipt of empty boxes would be worse than none. Must never know a template.
"""

from functools import cache
from typing import Final

import typst

from meterhouse.errors import MeterhouseError

FAMILIES: Final = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Noto Serif CJK SC", "Source Han Serif SC", "Noto Serif SC",
    "PingFang SC", "Microsoft YaHei", "SimHei", "SimSun", "FangSong", "KaiTi",
)  # fmt: skip
HOW_TO_INSTALL: Final = "install one: `apt-get install fonts-noto-cjk` or `fonts-wqy-zenhei`"


class ChineseFontMissing(MeterhouseError):
    """No font with Chinese characters is installed on the server; `doctor` names one."""

    code = "chinese_font_missing"
    http_status = 503


@cache
def installed() -> typst.Fonts:
    """The fonts of this machine and those that typst brings; looked for once, 0.1 to 0.3 s."""
    return typst.Fonts()


def chinese_family() -> str:
    """The family that sets Chinese. Raises `ChineseFontMissing`."""
    there = set(installed().families())
    for family in FAMILIES:
        if family in there:
            return family
    raise ChineseFontMissing
