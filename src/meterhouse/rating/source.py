"""Where a scheme comes from: the document that published its prices.

Owns these words and their JSON form. Must never know the prices themselves: whoever doubts one
looks it up in the document that stands here.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from meterhouse.rating.fields import TariffInvalid, object_of, text_of
from meterhouse.words import N_

TEXT_MAX = 500


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

    title: str
    issuer: str
    issued_on: date | None
    as_of: date
    note: str = ""


def parse_source(data: Any, path: str) -> Source:
    """The source that a JSON object names."""
    fields = object_of(data, path, {"title", "issuer", "as_of"}, {"issued_on", "note"})
    issued = fields.get("issued_on")
    return Source(
        title=text_of(fields["title"], f"{path}.title", TEXT_MAX),
        issuer=text_of(fields["issuer"], f"{path}.issuer", TEXT_MAX),
        issued_on=None if issued is None else _day(issued, f"{path}.issued_on"),
        as_of=_day(fields["as_of"], f"{path}.as_of"),
        note=text_of(fields["note"], f"{path}.note", TEXT_MAX) if "note" in fields else "",
    )


def dump_source(source: Source) -> dict[str, Any]:
    """Its JSON form; what is not known is left out."""
    issued = {"issued_on": source.issued_on.isoformat()} if source.issued_on else {}
    note = {"note": source.note} if source.note else {}
    named = {"title": source.title, "issuer": source.issuer}
    return named | issued | {"as_of": source.as_of.isoformat()} | note


def _day(data: Any, path: str) -> date:
    try:
        return date.fromisoformat(text_of(data, path))
    except ValueError:
        raise TariffInvalid(path, N_("write the date as YYYY-MM-DD")) from None
