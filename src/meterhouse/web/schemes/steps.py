"""Steps of the editor: a row more, a row less, four bands at once, the project's special days.

Owns what each does to the fields. Must never know whether they make a scheme. A step is named
by the button that was pressed, as in `tables.0.rows.remove.2`; one that no longer fits changes
nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Final

from meterhouse.rating.blocks import BLOCKS_MAX
from meterhouse.rating.charges import SURCHARGES_MAX
from meterhouse.rating.tariff import BANDS_MAX, DAY_TYPES, METER_BANDS
from meterhouse.web.formats import Formats
from meterhouse.web.schemes import names
from meterhouse.web.schemes.typed import days_in
from meterhouse.web.schemes.written import Draft, days_text
from meterhouse.words import Words

_TABLES_SHOWN_MAX: Final = 24
_SEASONS_SHOWN_MAX: Final = 24
_ROWS_SHOWN_MAX: Final = 96
_PERSONS_SHOWN_MAX: Final = 20
# A day that is special for other rules than prices is an ordinary one here.
_KIND_OF_DAY: Final = {"holiday": "holiday", "workday": "makeup_workday"}
_OFFERED_BANDS: Final = ("flat", "peak", "valley", "sharp", "deep_valley")


def step(draft: Draft, name: str, words: Words) -> None:
    """Do one step to the fields."""
    do = _STEPS.get(name)
    if do is not None:
        do(draft, words)
        return
    what, _, rest = name.partition(".")
    place, _, inner = rest.partition(".")
    if what == "tables" and place.isdigit() and int(place) < len(draft["tables"]):
        _step_of_table(draft["tables"][int(place)], inner)
    elif rest.startswith("remove.") and what in _REMOVERS:
        at = rest.removeprefix("remove.")
        if at.isdigit() and int(at) < len(draft[what]):
            _REMOVERS[what](draft, int(at))


def take_days(draft: Draft, calendar: Iterable[Mapping[str, Any]], fmt: Formats) -> int:
    """The special days of a project's calendar, in place of what is typed for the same days.

    Days before the version begins say nothing, and lines that cannot be read stay as they are.
    Answers how many there are.
    """
    known, unread = days_in(draft["special_days"])
    begins = date.min
    with suppress(ValueError):
        begins = date.fromisoformat(draft["effective_from"].strip()[:10])
    taken = {
        str(one["day"]): _KIND_OF_DAY[one["kind"]] for one in calendar
        if one["kind"] in _KIND_OF_DAY and one["day"] >= begins
    }  # fmt: skip
    draft["special_days"] = "\n".join([days_text(known | taken, fmt), *unread]).strip()
    return len(taken)


def _free(known: Mapping[str, str], rows: list[dict[str, Any]], words: Words, order: Any) -> str:
    """The first name offered that no row has yet."""
    taken = {names.meant(known, row["name"]) for row in rows}
    return next((names.shown(known, one, words) for one in order if one not in taken), "")


def _add_band(draft: Draft, words: Words) -> None:
    if len(draft["bands"]) >= BANDS_MAX:
        return
    row = {
        "name": _free(names.BAND, draft["bands"], words, _OFFERED_BANDS),
        "prices": [""] * (len(draft["limits"]) + 1),
    }
    draft["bands"].append(row)
    if not draft["tables"]:
        _add_table(draft, words)


def _four_bands(draft: Draft, words: Words) -> None:
    """The bands of a meter's registers; what is priced already keeps its prices."""
    have = {names.meant(names.BAND, row["name"]): row for row in draft["bands"]}
    count = len(draft["limits"]) + 1
    old = [names.meant(names.BAND, row["name"]) for row in draft["bands"]]
    draft["bands"] = [
        {"name": names.shown(names.BAND, band, words),
         "prices": have[band]["prices"] if band in have else [""] * count}
        for band in METER_BANDS
    ]  # fmt: skip
    moved = {str(at): str(METER_BANDS.index(name)) for at, name in enumerate(old)
             if name in METER_BANDS}  # fmt: skip
    for table in draft["tables"]:
        for row in table["rows"]:
            row["band"] = moved.get(row["band"], "")
    if not draft["tables"]:
        _add_table(draft, words)


def _remove_band(draft: Draft, at: int) -> None:
    if len(draft["bands"]) == 1:
        return
    del draft["bands"][at]
    for table in draft["tables"]:
        for row in table["rows"]:
            row["band"] = _less(row["band"], at)


def _less(place: str, removed: int) -> str:
    """A reference to a row, after another one was removed; "" to the one that was."""
    if not place.isdigit() or int(place) == removed:
        return ""
    return str(int(place) - (int(place) > removed))


def _add_table(draft: Draft, words: Words) -> None:
    if len(draft["tables"]) >= _TABLES_SHOWN_MAX:
        return
    name = _free(names.TABLE, draft["tables"], words, names.TABLE)
    first = "0" if len(draft["bands"]) == 1 else ""
    draft["tables"].append({"name": name, "rows": [{"clock": "00:00", "band": first}]})
    if len(draft["tables"]) > 1 and not draft["seasons"]:
        _add_season(draft, words)


def _remove_table(draft: Draft, at: int) -> None:
    del draft["tables"][at]
    for season in draft["seasons"]:
        for kind in DAY_TYPES:
            season[kind] = _less(season[kind], at)


def _step_of_table(table: dict[str, Any], name: str) -> None:
    rows = table["rows"]
    if name == "rows.add" and len(rows) < _ROWS_SHOWN_MAX:
        rows.append({"clock": "", "band": ""})
    elif name.startswith("rows.remove.") and len(rows) > 1:
        at = name.removeprefix("rows.remove.")
        if at.isdigit() and int(at) < len(rows):
            del rows[int(at)]


def _add_season(draft: Draft, words: Words) -> None:
    """The first holds the whole year; the further ones are for whoever adds them to say."""
    if len(draft["seasons"]) >= _SEASONS_SHOWN_MAX:
        return
    is_first = not draft["seasons"]
    for season in draft["seasons"]:
        if names.meant(names.SEASON, season["name"]) == "year":
            season["name"] = names.shown(names.SEASON, "rest", words)
    order = names.SEASON if is_first else [one for one in names.SEASON if one != "year"]
    draft["seasons"].append({
        "name": _free(names.SEASON, draft["seasons"], words, order),
        "first": "01-01" if is_first else "", "last": "12-31" if is_first else "",
        **dict.fromkeys(DAY_TYPES, ""), "workday": "0",
        "limits": [""] * len(draft["limits"]),
    })  # fmt: skip


def _add_block(draft: Draft, _: Words) -> None:
    """A block more at the end; it begins at the price of the one before it."""
    if len(draft["limits"]) + 1 >= BLOCKS_MAX:
        return
    draft["limits"].append("")
    if draft["period"] == "none":
        draft["period"] = "month"
    draft["adders"].append("")
    for row in draft["bands"]:
        row["prices"].append(row["prices"][-1])
    for row in draft["seasons"]:
        row["limits"].append("")
    for row in draft["persons"]:
        row["adds"].append("")


def _remove_block(draft: Draft, _: Words) -> None:
    if not draft["limits"]:
        return
    for rows in (draft["limits"], draft["adders"]):
        rows.pop()
    for what, name in (("bands", "prices"), ("seasons", "limits"), ("persons", "adds")):
        for row in draft[what]:
            row[name].pop()
    if not draft["limits"]:
        draft["period"] = "none"


def _add_surcharge(draft: Draft, words: Words) -> None:
    if len(draft["surcharges"]) < SURCHARGES_MAX:
        name = _free(names.SURCHARGE, draft["surcharges"], words, names.SURCHARGE)
        draft["surcharges"].append({"name": name, "price": ""})


def _add_persons(draft: Draft, _: Words) -> None:
    if len(draft["persons"]) < _PERSONS_SHOWN_MAX:
        draft["persons"].append({"persons": "", "adds": [""] * len(draft["limits"])})


_STEPS: Final[Mapping[str, Callable[[Draft, Words], None]]] = {
    "bands.add": _add_band,
    "bands.four": _four_bands,
    "tables.add": _add_table,
    "seasons.add": _add_season,
    "blocks.add": _add_block,
    "blocks.remove": _remove_block,
    "surcharges.add": _add_surcharge,
    "persons.add": _add_persons,
}
_REMOVERS: Final[Mapping[str, Callable[[Draft, int], None]]] = {
    "bands": _remove_band,
    "tables": _remove_table,
    "seasons": lambda draft, at: draft["seasons"].pop(at) and None,
    "surcharges": lambda draft, at: draft["surcharges"].pop(at) and None,
    "persons": lambda draft, at: draft["persons"].pop(at) and None,
}
