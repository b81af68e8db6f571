"""A scheme's version as the fields of the editor hold it: texts, in the reader's language.

Owns the way from data to fields; `typed` owns the way back. Must never know a page. The fields are
one nested object of texts and lists of such objects, as their names in the form say: the price of
the second band's first block is `bands.1.prices.0`. Day tables name bands by their place, seasons
name day tables so, and whoever renames one renames it everywhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from meterhouse.rating.tariff import DAY_TYPES, dump, parse
from meterhouse.units import to_decimal
from meterhouse.web.formats import Formats
from meterhouse.web.schemes import names

Draft = dict[str, Any]

MILLI, MICRO, PERCENT = 3, 6, 4
KEPT: Final = "kept"
_RUN_DAYS_MIN: Final = 3


def plain(scaled: int, exponent: int) -> str:
    """A decimal without the zeros that say nothing, two decimals at least for a price."""
    whole, _, rest = to_decimal(scaled, exponent).partition(".")
    kept = rest.rstrip("0").ljust(2 if exponent == MICRO else 0, "0")
    return f"{whole}.{kept}" if kept else whole


def blank(fmt: Formats, name: str = "") -> Draft:
    """The fields of a scheme of one price that is yet to be typed."""
    return {
        "name": name, "commodity": "electricity", "effective_from": "",
        "billing": {"anchor_day": "1", "anchor_hour": "0", "proration": "days"},
        "band_source": "platform",
        "bands": [{"name": names.shown(names.BAND, "flat", fmt.words), "prices": [""]}],
        "period": "none", "fill": "chronological", "counted": "meter", "limits": [],
        "adders": [""], "tables": [], "seasons": [], "weekend": ["6", "7"], "special_days": "",
        "surcharges": [],
        "allowance": {"grant": "", "energy": "", "carries": "", "per_person": ""},
        "tax": {"kind": "", "rate": ""}, "standing": {"per": "", "amount": ""}, "minimum": "",
        "demand": {"by": "", "price": ""}, "multiplier": "1", "loss": "", "persons": [],
        "since": "", "shown": "", KEPT: "{}",
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """What goes along unseen: other versions, the source; of a correction, which one is shown."""

    versions: Sequence[Any] = ()
    source: Any = None
    place: int = 0


def kept_in(draft: Draft) -> Kept:
    """What goes along with the fields; nothing where it cannot be read."""
    try:
        said = json.loads(draft[KEPT])
        versions, place = said.get("versions", ()), said.get("place", 0)
    except (ValueError, AttributeError, RecursionError):
        return Kept()
    is_sound = isinstance(versions, Sequence) and isinstance(place, int) and place >= 0
    return Kept(versions, said.get("source"), place) if is_sound else Kept()


def drafted(body: Mapping[str, Any], fmt: Formats, place: int, since: str) -> Draft:
    """The fields of one of several versions that are corrected together.

    Raises:
        TariffInvalid: it is no usable scheme.
    """
    versions = list(body["versions"])
    draft = draft_of(body, fmt, place)
    kept = json.dumps({"versions": versions, "place": place}, ensure_ascii=False)
    return draft | {"since": since, "shown": str(place), KEPT: kept}


def draft_of(body: Mapping[str, Any], fmt: Formats, number: int = -1) -> Draft:
    """The fields of one version of a scheme; what the form does not show is kept beside them.

    Raises:
        TariffInvalid: it is no usable scheme.
    """
    scheme = parse(body)
    said: dict[str, Any] = dump(scheme)
    version = said["versions"][number]
    blocks = version["blocks"]
    billing = said.get("billing", {"anchor_day": 1, "anchor_hour": 0, "proration": "days"})
    draft = blank(fmt, scheme.name)
    draft |= {
        "commodity": scheme.commodity.value,
        "effective_from": local_text(scheme.versions[number].effective_from, fmt),
        "billing": {name: str(one) for name, one in billing.items()},
        "band_source": version["band_source"],
        "period": blocks["period"], "fill": blocks["fill"],
        "counted": blocks.get("counted", "meter"),
        "limits": [plain(one, MILLI) for one in blocks["limits_milli"]],
        "weekend": [str(one) for one in version["weekend"]],
        "special_days": days_text(version["special_days"], fmt),
        "persons": [
            {"persons": str(one["persons"]),
             "adds": [plain(add, MILLI) for add in one["add_milli"]]}
            for one in blocks.get("persons", ())
        ],
        KEPT: _kept(said, number),
    }  # fmt: skip
    draft |= _prices(version, body["versions"][number].get("adders_micro"), fmt)
    draft |= _days(version, fmt)
    draft |= _charges(version, fmt)
    return draft


def local_text(at: datetime, fmt: Formats) -> str:
    """An instant as it is typed: the project's time, with its seconds only where it has some."""
    local = at.astimezone(fmt.timezone)
    return f"{local:%Y-%m-%d %H:%M}" if not (local.second or local.microsecond) else str(local)


def next_month(now: datetime, fmt: Formats) -> str:
    """When a version usually begins: at the next first of a month, by the project's clock."""
    local = now.astimezone(fmt.timezone)
    later = local.replace(day=1) + timedelta(days=32)
    return f"{later:%Y-%m}-01 00:00"


def _kept(said: Mapping[str, Any], number: int) -> str:
    """The source and earlier versions, which go along unseen, as JSON for a hidden field."""
    source = {"source": said["source"]} if "source" in said else {}
    earlier = said["versions"][:number]
    return json.dumps(source | ({"versions": earlier} if earlier else {}), ensure_ascii=False)


def _prices(
    version: Mapping[str, Any], adders_micro: Sequence[int] | None, fmt: Formats
) -> dict[str, Any]:
    """The rows of prices; adders are told apart from them where the scheme does."""
    count = len(version["blocks"]["limits_milli"]) + 1
    added = list(adders_micro or [0] * count)
    return {
        "bands": [
            {
                "name": names.shown(names.BAND, band, fmt.words),
                "prices": [
                    plain(price - more, MICRO)
                    for price, more in zip(version["prices_micro"][band], added, strict=True)
                ],
            }
            for band in version["bands"]
        ],
        "adders": [plain(one, MICRO) if one else "" for one in added],
    }


def _days(version: Mapping[str, Any], fmt: Formats) -> dict[str, Any]:
    """Day tables and seasons; none where one price holds on every day alike."""
    bands, tables, seasons = version["bands"], version["day_tables"], version["seasons"]
    seasonal = version["blocks"].get("seasonal", {})
    if len(seasons) == 1 and len(tables) == 1 and not seasonal and (
        len(bands) == 1 or version["band_source"] == "meter"
    ):  # fmt: skip
        return {"tables": [], "seasons": []}
    places = list(tables)
    return {
        "tables": [
            {
                "name": names.shown(names.TABLE, name, fmt.words),
                "rows": [
                    {"clock": clock, "band": str(bands.index(band))}
                    for clock, band in table.items()
                ],
            }
            for name, table in tables.items()
        ],
        "seasons": [
            {
                "name": names.shown(names.SEASON, one["name"], fmt.words),
                "first": one["first"], "last": one["last"],
                **{kind: str(places.index(one["tables"][kind])) if kind in one["tables"] else ""
                   for kind in DAY_TYPES},
                "limits": [plain(limit, MILLI) for limit in seasonal.get(one["name"], ())]
                or [""] * len(version["blocks"]["limits_milli"]),
            }
            for one in seasons
        ],
    }  # fmt: skip


def _charges(version: Mapping[str, Any], fmt: Formats) -> dict[str, Any]:
    found: dict[str, Any] = {
        "surcharges": [
            {"name": names.shown(names.SURCHARGE, one["name"], fmt.words),
             "price": plain(one["price_micro"], MICRO)}
            for one in version.get("surcharges", ())
        ],
        "multiplier": str(version.get("multiplier", 1)),
    }  # fmt: skip
    if free := version.get("allowance"):
        flags = {name: "1" if free[name] else "" for name in ("carries", "per_person")}
        found["allowance"] = {
            "grant": free["grant"], "energy": plain(free["energy_milli"], MILLI), **flags,
        }  # fmt: skip
    if tax := version.get("tax"):
        kind = "included" if tax["included"] else "added"
        found["tax"] = {"kind": kind, "rate": plain(tax["rate_micro"], PERCENT)}
    if standing := version.get("standing"):
        amount = plain(standing["amount_micro"], MICRO)
        found["standing"] = {"per": standing["per"], "amount": amount}
    if demand := version.get("demand"):
        found["demand"] = {"by": demand["by"], "price": plain(demand["price_micro"], MICRO)}
    for field, name, exponent in (("minimum_micro", "minimum", MICRO), ("loss_micro", "loss", 4)):
        if version.get(field):
            found[name] = plain(version[field], exponent)
    return found


def days_text(days: Mapping[str, str], fmt: Formats) -> str:
    """Special days, a line each; three and more of a kind in a row are one line."""
    runs: list[tuple[date, date, str]] = []
    for text, kind in sorted(days.items()):
        day = date.fromisoformat(text)
        if runs and runs[-1][2] == kind and runs[-1][1] + timedelta(days=1) == day:
            runs[-1] = (runs[-1][0], day, kind)
        else:
            runs.append((day, day, kind))
    lines = []
    for first, last, kind in runs:
        word = fmt.words(names.DAY[kind])
        if (last - first).days + 1 >= _RUN_DAYS_MIN:
            lines.append(f"{first} – {last} {word}")
        else:
            lines += [f"{day} {word}" for day in ((first, last) if first < last else (first,))]
    return "\n".join(lines)
