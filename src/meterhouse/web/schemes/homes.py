"""Which field of the editor a path within a scheme is typed in.

Owns this table. Must never know what is wrong there: `rating` names what it refuses by its path,
and whoever typed it wants to read so beside the field.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_PLAIN_HOMES: Final = {
    "effective_from": "effective_from", "weekend": "weekend", "special_days": "special_days",
    "minimum_micro": "minimum", "multiplier": "multiplier", "loss_micro": "loss",
    "band_source": "band_source", "standing": "standing.per", "demand": "demand.by",
    "allowance.grant": "allowance.grant", "allowance.carries": "allowance.carries",
    "allowance.per_person": "allowance.per_person", "allowance": "allowance.energy",
    "tax.included": "tax.kind", "tax": "tax.rate", "blocks.period": "period",
    "blocks.fill": "fill", "blocks.counted": "counted", "bands": "bands", "seasons": "seasons",
    "day_tables": "tables", "surcharges": "surcharges", "blocks.persons": "persons",
}  # fmt: skip


def field_of(path: str, body: Mapping[str, Any], place: int) -> str:
    """The field that a path within the scheme is typed in; "" where no field is it.

    `place` is the place of the version that the fields are of.
    """
    own = f"$.versions[{place}]."
    if re.fullmatch(r"\$\.versions\[\d+\]\.effective_from", path):
        # Of two neighbours that do not follow each other only one is shown.
        return "effective_from"
    if not path.startswith(own):
        header = path.removeprefix("$.")
        is_shown = header in ("name", "commodity") or header.startswith("billing.")
        return header if is_shown else ""
    version, inner = body["versions"][place], path.removeprefix(own)
    tables, bands = list(version.get("day_tables", ())), list(version["bands"])
    seasons = [one["name"] for one in version.get("seasons", ())]
    rules: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
        (r"bands\[(\d+)\]", lambda m: f"bands.{m[1]}.name"),
        (r"prices_micro\.(\w+)\[(\d+)\]", lambda m: f"bands.{_at(bands, m[1])}.prices.{m[2]}"),
        (r"prices_micro\.(\w+)", lambda m: f"bands.{_at(bands, m[1])}.name"),
        (r"adders_micro\[(\d+)\]", lambda m: f"adders.{m[1]}"),
        (r"day_tables\.(\w+)\.?.*", lambda m: f"tables.{_at(tables, m[1])}.name"),
        (r"seasons\[(\d+)\]\.(name|first|last)", lambda m: f"seasons.{m[1]}.{m[2]}"),
        (r"seasons\[(\d+)\]\.tables\.(\w+)", lambda m: f"seasons.{m[1]}.{m[2]}"),
        (r"seasons\[(\d+)\]\.tables", lambda m: f"seasons.{m[1]}.workday"),
        (r"blocks\.limits_milli\[(\d+)\]", lambda m: f"limits.{m[1]}"),
        (r"blocks\.seasonal\.(\w+)\[(\d+)\]",
         lambda m: f"seasons.{_at(seasons, m[1])}.limits.{m[2]}"),
        (r"blocks\.persons\[(\d+)\]\.persons", lambda m: f"persons.{m[1]}.persons"),
        (r"blocks\.persons\[(\d+)\]\.add_milli(?:\[(\d+)\])?",
         lambda m: f"persons.{m[1]}.adds.{m[2] or 0}"),
        (r"surcharges\[(\d+)\]\.name", lambda m: f"surcharges.{m[1]}.name"),
        (r"surcharges\[(\d+)\]\.price_micro", lambda m: f"surcharges.{m[1]}.price"),
        (r"(?:tax|loss)\.?rate_micro", lambda _: "tax.rate"),
        (r"standing\.amount_micro", lambda _: "standing.amount"),
        (r"demand\.price_micro", lambda _: "demand.price"),
    )  # fmt: skip
    for pattern, home in rules:
        if found := re.fullmatch(pattern, inner):
            return home(found)
    for known, home_name in _PLAIN_HOMES.items():
        if inner == known or inner.startswith((f"{known}.", f"{known}[")):
            return home_name
    return ""


def _at(rows: list[str], name: str) -> int:
    return rows.index(name) if name in rows else 0
