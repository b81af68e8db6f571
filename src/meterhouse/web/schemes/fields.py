"""The fields of the editor as they come from a form: one nested object, whole, of texts alone.

Owns the names of fields in a form and the shape of the whole. Must never know what a field means.
Whatever a browser sends becomes an object in which every field there is has a text.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from meterhouse.rating.tariff import DAY_TYPES
from meterhouse.web.schemes.written import Draft

_NAME: Final = re.compile(r"[a-z_]+(?:\.(?:\d{1,4}|[a-z_]+)){0,4}\Z")
_TEXT_MAX: Final = 200_000
_ROWS_MAX: Final = 1_500


def nest(sent: Iterable[tuple[str, Any]]) -> Draft:
    """The fields of a form as the nested object that their names say; what is odd is left out."""
    draft: Draft = {}
    for name, given in sent:
        if not isinstance(given, str) or not _NAME.match(name):
            continue
        text = given[:_TEXT_MAX].replace("\0", "").replace("\r\n", "\n")
        *path, last = [int(part) if part.isdigit() else part for part in name.split(".")]
        node: Any = draft
        for part in path:
            node = node.setdefault(part, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            # A box that may be ticked several times is sent several times.
            node[last] = [*node.get(last, ()), text] if name == "weekend" else text
    listed = _listed(draft)
    assert isinstance(listed, dict)
    return listed


def _listed(node: Any) -> Any:
    """Objects whose names are numbers, as lists in that order."""
    if not isinstance(node, dict):
        return node
    if node and all(isinstance(key, int) for key in node):
        return [_listed(node[key]) for key in sorted(node)[:_ROWS_MAX]]
    return {str(key): _listed(one) for key, one in node.items()}


def whole(draft: Draft, empty: Draft) -> Draft:
    """The same with every field there is, in the shape that it has in the empty form."""
    fixed: Draft = {}
    for name, given in empty.items():
        said = draft.get(name, "" if isinstance(given, str) else type(given)())
        if isinstance(given, dict):
            said = said if isinstance(said, dict) else {}
            said = dict.fromkeys(given, "") | {k: _text(v) for k, v in said.items()}
        elif isinstance(given, list):
            said = said if isinstance(said, list) else []
        else:
            said = _text(said)
        fixed[name] = said
    limits = [_text(one) for one in fixed["limits"]]
    count = len(limits) + 1
    fixed["limits"] = limits
    fixed["adders"] = _as_many(fixed["adders"], count)
    fixed["weekend"] = [_text(one) for one in fixed["weekend"]]
    fixed["bands"] = [{"name": _text(one.get("name")), "prices": _as_many(one.get("prices"), count)}
                      for one in _rows(fixed["bands"])] or empty["bands"]  # fmt: skip
    fixed["tables"] = [
        {"name": _text(one.get("name")),
         "rows": [{"clock": _text(row.get("clock")), "band": _text(row.get("band"))}
                  for row in _rows(one.get("rows"))]}
        for one in _rows(fixed["tables"])
    ]  # fmt: skip
    fixed["seasons"] = [
        {**{key: _text(one.get(key)) for key in ("name", "first", "last", *DAY_TYPES)},
         "limits": _as_many(one.get("limits"), count - 1)}
        for one in _rows(fixed["seasons"])
    ]  # fmt: skip
    fixed["surcharges"] = [{key: _text(one.get(key)) for key in ("name", "price")}
                           for one in _rows(fixed["surcharges"])]  # fmt: skip
    fixed["persons"] = [
        {"persons": _text(one.get("persons")), "adds": _as_many(one.get("adds"), count - 1)}
        for one in _rows(fixed["persons"])
    ]
    return fixed


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""


def _rows(given: Any) -> list[dict[str, Any]]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _as_many(given: Any, count: int) -> list[str]:
    """A list of exactly so many texts."""
    found = [_text(one) for one in given] if isinstance(given, list) else []
    return [*found, *[""] * count][:count]
