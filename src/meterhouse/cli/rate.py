"""`meterhouse rate`: a scheme file and a load file in, bills out, no database.

Owns how the two files are found and read. Must never rate: what a bill says is `rating`'s.
"""

import json
from pathlib import Path
from typing import Any

from meterhouse.errors import BadInput
from meterhouse.flows import library
from meterhouse.flows.calculator import calculate
from meterhouse.rating.bill import Household
from meterhouse.rating.tariff import Scheme, parse

SCHEME_BYTES_MAX = 4_000_000


class SchemeFileMissing(BadInput):
    """There is no scheme file {name}; published schemes are {published}."""

    code = "scheme_file_missing"


class SchemeNoJson(BadInput):
    """The scheme file {name} is no JSON: {why}."""

    code = "scheme_no_json"


class LoadFileMissing(BadInput):
    """There is no load file {name}."""

    code = "load_file_missing"


def read_scheme(name: str) -> Scheme:
    """A scheme by the path of its file, or by the name of a published one.

    Raises:
        SchemeFileMissing, SchemeNoJson: as they say.
        TariffInvalid: it is no usable scheme.
    """
    path = Path(name)
    if path.is_file():
        content = path.read_bytes()[: SCHEME_BYTES_MAX + 1]
    elif name in library.names():
        return library.scheme(name)
    else:
        raise SchemeFileMissing(name=name, published=", ".join(library.names()))
    if len(content) > SCHEME_BYTES_MAX:
        raise SchemeNoJson(name=name, why=f"more than {SCHEME_BYTES_MAX} bytes")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SchemeNoJson(name=name, why=str(error)) from None
    return parse(data)


def rate_files(
    scheme: str, load: Path, timezone: str, household: Household, currency_exponent: int, *,
    explain: bool,
) -> dict[str, Any]:  # fmt: skip
    """The bills of a load file by a scheme file; see `told`."""
    plan = read_scheme(scheme)
    if not load.is_file():
        raise LoadFileMissing(name=str(load))
    with load.open(encoding="utf-8", errors="replace", newline="") as lines:
        done = calculate(plan, lines, timezone, household, currency_exponent, explain=explain)
    return done.told
