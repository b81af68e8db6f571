"""What an error means and what to do about it, at the address that a problem names as its type.

Owns how the page of errors is read, line by line. Must never hold a sentence of it: the
documentation has them, in each language, and the package carries the same files.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from markupsafe import Markup, escape
from starlette.responses import Response

from meterhouse.web.access import PUBLIC
from meterhouse.web.console.session import seeded
from meterhouse.web.pages import words_of
from meterhouse.web.problems import TYPES, PageNotFound

router = APIRouter()

# In an installed package beside the pages, in a working copy where the documentation is.
_FOLDERS: Final = (
    Path(__file__).parents[1] / "explained",
    Path(__file__).parents[4] / "docs",
)
_LINE: Final = re.compile(r"\| `([a-z_0-9]+)` \| (.+?) \| (.+) \|")
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_CODE: Final = re.compile(r"`([^`]+)`")


@router.get(TYPES + "{code}", dependencies=[Depends(PUBLIC)])
async def error_page(request: Request, code: Annotated[str, InPath(max_length=60)]) -> Response:
    """What one code means, and what to do; for anybody, because it says nothing of anybody."""
    found = explained(words_of(request).language).get(code)
    if found is None:
        raise PageNotFound
    happened, remedy = found
    facts = {"code": code, "happened": _shown(happened), "remedy": _shown(remedy)}
    return seeded(request, "explained.html", facts, 200)


@cache
def explained(language: str) -> Mapping[str, tuple[str, str]]:
    """Code → what happened and what to do, as the page of a language has them."""
    name = "errors.md" if language == "en" else f"errors.{language}.md"
    page = next(path for folder in _FOLDERS if (path := folder / name).exists())
    lines = _LINE.finditer(page.read_text(encoding="utf-8"))
    return {line[1]: (line[2], line[3]) for line in lines}


def _shown(text: str) -> Markup:
    """A sentence of the page: code is marked, a link is its words."""
    plain = str(escape(_LINK.sub(r"\1", text)))
    return Markup(_CODE.sub(r"<code>\1</code>", plain))  # noqa: S704  # escaped just before
