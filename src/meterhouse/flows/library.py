"""The published schemes that ship as files: examples to look at, to rate by and to begin from.

Owns where they lie and how one is named. Must never know a project: what is charged by is published
there first.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

from meterhouse.errors import NotFound
from meterhouse.rating.tariff import Scheme, parse
from meterhouse.words import N_

_FOLDER: Final = files("meterhouse").joinpath("schemes")
_END: Final = ".json"


@cache
def names() -> tuple[str, ...]:
    """The names of all, in order."""
    found = (each.name for each in _FOLDER.iterdir())
    return tuple(sorted(one.removesuffix(_END) for one in found if one.endswith(_END)))


def body(name: str) -> dict[str, Any]:
    """A scheme as its file says it. Raises `NotFound`."""
    if name not in names():
        raise NotFound(N_("Published scheme"), name)
    said: dict[str, Any] = json.loads(_FOLDER.joinpath(f"{name}{_END}").read_bytes())
    return said


def scheme(name: str) -> Scheme:
    """A scheme, ready to rate by. Raises `NotFound`."""
    return parse(body(name))
