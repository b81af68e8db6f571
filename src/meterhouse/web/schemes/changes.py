"""What a further version or a correction changes against what is in force, field by field.

Owns the comparison and its words. Must never know who publishes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from meterhouse.rating.tariff import Scheme, Version, dump
from meterhouse.web.formats import ABSENT
from meterhouse.web.schemes import names
from meterhouse.web.schemes.written import MICRO, MILLI, PERCENT, plain
from meterhouse.words import N_, Words

_BESIDE: Final = (
    "special_days", "surcharges", "allowance", "tax", "standing", "minimum_micro", "demand",
    "loss_micro",
)  # fmt: skip


class Change(NamedTuple):
    """A field by its title, what it says now and what it shall say, in the reader's language."""

    title: str
    now: str
    then: str


class Stretch(NamedTuple):
    """A time between two changes of versions, without an end where it is open; what changes."""

    begins: datetime
    ends: datetime | None
    changes: Sequence[Change]


def changes(before: Scheme, after: Scheme, words: Words) -> Sequence[Change]:
    """What the last version of one scheme says otherwise than that of another."""
    was, will = (dump(one)["versions"][-1] for one in (before, after))
    return list(_changes(was, will, words))


def stretches(before: Scheme, after: Scheme, since: datetime, words: Words) -> Sequence[Stretch]:
    """What a correction changes from an instant on, stretch by stretch.

    The first version that counts holds from that instant on, as `flows.correct` publishes it.
    """
    was, will = (dump(one)["versions"] for one in (before, after))
    edges = {since} | {
        one.effective_from for scheme in (before, after) for one in scheme.versions
        if one.effective_from > since
    }  # fmt: skip
    found: list[Stretch] = []
    for begins, ends in pairwise([*sorted(edges), None]):
        assert begins is not None
        old, new = _at(before, begins), max(_at(after, begins), 0)
        told = list(_changes(was[old] if old >= 0 else {}, will[new], words))
        if found and found[-1].changes == told:
            found[-1] = found[-1]._replace(ends=ends)
        else:
            found.append(Stretch(begins, ends, told))
    return found


def _at(scheme: Scheme, at: datetime) -> int:
    """The place of the version in force at an instant; -1 before the first."""
    return sum(one.effective_from <= at for one in scheme.versions) - 1


def beside(scheme: Scheme, number: int, words: Words) -> Sequence[tuple[str, str]]:
    """What a version says beside its prices, as (title, text); what it does not say is left out."""
    said = dump(scheme)["versions"][number]
    told = [
        (words(names.FIELD[name]), _told(name, said[name], words))
        for name in _BESIDE if said.get(name)
    ]  # fmt: skip
    if said["band_source"] == "meter":
        title = words(names.FIELD["band_source"])
        told.insert(0, (title, _told("band_source", "meter", words)))
    for season, limits in said["blocks"].get("seasonal", {}).items():
        named = names.shown(names.SEASON, season, words)
        title = words(N_("Blocks end at, {season}"), season=named)
        told.append((title, " / ".join(plain(one, MILLI) for one in limits)))
    if billed := period_end(scheme.versions[number], words):
        told.append((words(N_("Billed when a billing period has ended")), ", ".join(billed)))
    return told


def period_end(version: Version, words: Words) -> Sequence[str]:
    """What of a version is known only when a billing period has ended, and is billed then."""
    charges = version.charges
    free, tax = charges.allowance, charges.tax
    known_late = (
        (bool(charges.minimum_micro), names.FIELD["minimum_micro"]),
        (charges.demand is not None, names.FIELD["demand"]),
        (bool(charges.loss_micro), names.FIELD["loss_micro"]),
        (tax is not None and not tax.included, N_("Added tax")),
        (free is not None and free.carries, N_("Free energy carried over")),
    )
    return [words(title) for is_named, title in known_late if is_named]


def _changes(was: Mapping[str, Any], will: Mapping[str, Any], words: Words) -> Iterator[Change]:
    for name, title in names.FIELD.items():
        # What is not said may be left out, or said to be none.
        old, new = was.get(name) or {}, will.get(name) or {}
        if name in ("effective_from", "adders_micro") or old == new:
            continue
        if name == "prices_micro":
            for band in dict.fromkeys((*old, *new)):
                if old.get(band) != new.get(band):
                    said = names.shown(names.BAND, band, words)
                    label = words(N_("Price, {band}"), band=said)
                    yield Change(label, _prices(old.get(band)), _prices(new.get(band)))
            continue
        yield Change(words(title), _told(name, old, words), _told(name, new, words))


def _prices(row: Sequence[int] | None) -> str:
    return ABSENT if row is None else " / ".join(plain(one, MICRO) for one in row)


def _told(name: str, said: Any, words: Words) -> str:
    if said in (None, [], {}):
        return ABSENT
    match name:
        case "bands":
            return ", ".join(names.shown(names.BAND, one, words) for one in said)
        case "band_source":
            return words(names.BAND_SOURCE[said])
        case "weekend":
            return ", ".join(words(names.WEEKDAY[str(one)]) for one in said)
        case "special_days":
            return words.plural(N_("{count} day"), N_("{count} days"), len(said))
        case "day_tables":
            return "; ".join(_table(table, one, words) for table, one in said.items())
        case "seasons":
            return "; ".join(_season(one, words) for one in said)
        case "blocks":
            limits = " / ".join(plain(one, MILLI) for one in said["limits_milli"]) or ABSENT
            told = (limits, words(names.PERIOD[said["period"]]), words(names.FILL[said["fill"]]))
            return " · ".join(told)
        case "surcharges":
            return ", ".join(
                f"{names.shown(names.SURCHARGE, one['name'], words)} "
                f"{plain(one['price_micro'], MICRO)}"
                for one in said
            )
        case "allowance":
            return f"{plain(said['energy_milli'], MILLI)} · {words(names.GRANT[said['grant']])}"
        case "tax":
            kind = names.TAX["included" if said["included"] else "added"]
            return f"{plain(said['rate_micro'], PERCENT)} % · {words(kind)}"
        case "loss_micro":
            return f"{plain(said, PERCENT)} %"
        case "minimum_micro":
            return plain(said, MICRO)
        case "standing":
            return f"{plain(said['amount_micro'], MICRO)} · {words(names.PER[said['per']])}"
        case "demand":
            return f"{plain(said['price_micro'], MICRO)} · {words(names.DEMAND[said['by']])}"
    return str(said)


def _season(said: Mapping[str, Any], words: Words) -> str:
    """A season with its day tables, unless one holds every day."""
    text = f"{names.shown(names.SEASON, said['name'], words)} {said['first']} – {said['last']}"
    if set(said["tables"].values()) == {"every_day"}:
        return text
    tables = ", ".join(
        f"{words(names.DAY[kind])}: {names.shown(names.TABLE, table, words)}"
        for kind, table in said["tables"].items()
    )
    return f"{text} ({tables})"


def _table(name: str, table: Mapping[str, str], words: Words) -> str:
    told = ", ".join(
        f"{clock} {names.shown(names.BAND, band, words)}" for clock, band in table.items()
    )
    return f"{names.shown(names.TABLE, name, words)}: {told}"
