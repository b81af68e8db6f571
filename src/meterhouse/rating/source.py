"""Where a scheme comes from: the document that published its prices.

Owns these words and their JSON form. Must never know the prices themselves: whoever doubts one
looks it up in the document that stands here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias

from meterhouse.rating.fields import TariffInvalid, object_of, text_of
from meterhouse.words import N_

TEXT_MAX: Final = 500
LANGUAGES_MAX: Final = 10
LANGUAGE: Final = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"
"""A BCP 47 tag, as in en or zh-Hans."""

Text: TypeAlias = str | tuple[tuple[str, str], ...]
"""A text, or the same text by language, (language, text) each."""


class Said(NamedTuple):
    """A text as a reader gets it, and the language that it is known to be in, or ""."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Source:
    """A published document (政策文件), by its own words.

    Attributes:
        title: what the document is called.
        issuer: who issued it.
        issued_on: its date; None where only the year or nothing is printed.
        as_of: the day of which the figures are known to hold.
        note: what of the document the scheme leaves out, or "".
    """

    # Schemes are keys of caches, and texts by language cannot be hashed; they are compared.
    title: Text = field(hash=False)
    issuer: Text = field(hash=False)
    issued_on: date | None
    as_of: date
    note: Text = field(default="", hash=False)


def said_in(text: Text, language: str) -> Said:
    """A text in a reader's language; where it is not said in that, in the first one it is."""
    if isinstance(text, str):
        return Said(text, "")
    by_language = dict(text)
    chosen = language if language in by_language else text[0][0]
    return Said(by_language[chosen], chosen)


def parse_source(data: Any, path: str) -> Source:
    """The source that a JSON object names."""
    fields = object_of(data, path, {"title", "issuer", "as_of"}, {"issued_on", "note"})
    issued = fields.get("issued_on")
    return Source(
        title=_text(fields["title"], f"{path}.title"),
        issuer=_text(fields["issuer"], f"{path}.issuer"),
        issued_on=None if issued is None else _day(issued, f"{path}.issued_on"),
        as_of=_day(fields["as_of"], f"{path}.as_of"),
        note=_text(fields["note"], f"{path}.note") if "note" in fields else "",
    )


def dump_source(source: Source) -> dict[str, Any]:
    """Its JSON form; what is not known is left out."""
    issued = {"issued_on": source.issued_on.isoformat()} if source.issued_on else {}
    note = {"note": _plain(source.note)} if source.note else {}
    named = {"title": _plain(source.title), "issuer": _plain(source.issuer)}
    return named | issued | {"as_of": source.as_of.isoformat()} | note


def _plain(text: Text) -> str | dict[str, str]:
    return text if isinstance(text, str) else dict(text)


def _text(data: Any, path: str) -> Text:
    """A text, or one by language."""
    if not isinstance(data, Mapping):
        return text_of(data, path, TEXT_MAX)
    if not 1 <= len(data) <= LANGUAGES_MAX:
        mend = N_("give the text in {least} to {most} languages")
        raise TariffInvalid(path, mend, least=1, most=LANGUAGES_MAX)
    for language in data:
        if not isinstance(language, str) or not re.match(LANGUAGE, language):
            raise TariffInvalid(f"{path}.{language}", N_("name a language, as en or zh-Hans"))
    return tuple((name, text_of(said, f"{path}.{name}", TEXT_MAX)) for name, said in data.items())


def _day(data: Any, path: str) -> date:
    try:
        return date.fromisoformat(text_of(data, path))
    except ValueError:
        raise TariffInvalid(path, N_("write the date as YYYY-MM-DD")) from None
