"""What was typed into the editor as a scheme, every field that cannot be used named with its mend.

Owns the way from fields to data, and which field a path within a scheme is typed in. Must never
know a page or a database. Decimals become integers here; whether the whole holds together is for
`rating` to say, whose findings come back beside the field they are about.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from meterhouse.errors import BadInput, MeterhouseError, Unreadable
from meterhouse.rating.fields import TariffInvalid
from meterhouse.rating.live import live
from meterhouse.rating.tariff import DAY_TYPES, SPECIAL_DAYS_MAX, Scheme, parse
from meterhouse.units import MICRO_PER_UNIT, REGISTER_MILLI_MAX, from_decimal
from meterhouse.web.acts import typed
from meterhouse.web.formats import Formats
from meterhouse.web.schemes import names
from meterhouse.web.schemes.homes import field_of
from meterhouse.web.schemes.written import MICRO, MILLI, PERCENT, Draft, kept_in
from meterhouse.words import Words

_DAYS: Final = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:\s*(?:–|—|~|\.\.|-|to|\u81f3)\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2}))?[\s,;:]*(.*)\Z"
)
_DAYS_IN_LINE_MAX: Final = 366
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d\d)\Z")


class FieldsLost(BadInput):
    """Some of these fields did not arrive; load the page again."""

    code = "fields_lost"


class ClockTwice(BadInput):
    """This time stands twice in the table."""

    code = "clock_twice"


class TimeOfDayUnusable(BadInput):
    """Enter the time as 08:30, from 00:00 to 23:59."""

    code = "time_of_day_unusable"


class SpecialDaysUnusable(BadInput):
    """Line {line}: write a date and its kind, as in 2026-10-01 holiday."""

    code = "special_days_unusable"


class PercentUnusable(BadInput):
    """Enter a percentage above zero, at most 100, with at most four decimals."""

    code = "percent_unusable"


class ChargeUnusable(BadInput):
    """Enter an amount above zero with at most six decimals."""

    code = "charge_unusable"


class AdditionUnusable(BadInput):
    """Enter an amount with at most six decimals; below zero it is taken off."""

    code = "addition_unusable"


class CountUnusable(BadInput):
    """Enter a whole number."""

    code = "count_unusable"


class BandUnchosen(BadInput):
    """Choose a band."""

    code = "band_unchosen"


class NameTwice(BadInput):
    """Another one has this name already."""

    code = "name_twice"


@dataclass(frozen=True, slots=True)
class Fault:
    """A field of the editor that cannot be used, "" for the form as a whole, and why."""

    field: str
    error: MeterhouseError

    def said(self, words: Words) -> str:
        """Why, and how to mend it, as a sentence to stand beside the field."""
        if isinstance(self.error, TariffInvalid):
            mend = words.said(self.error.facts["mend"])
            return mend[:1].upper() + mend[1:]
        return words.error(self.error)


@dataclass(slots=True)
class Typed:
    """A scheme as typed: its data as far as it could be read, and what is wrong with it.

    Attributes:
        body: the scheme file it makes.
        place: which of its versions the fields are of.
        since: from when on it corrects; None where it corrects nothing, or none can be read.
        scheme: the same, parsed; None where it does not hold together.
        faults: what stands in the way of publishing it, in the order of the form.
    """

    body: dict[str, Any]
    place: int
    since: datetime | None = None
    scheme: Scheme | None = None
    faults: list[Fault] = field(default_factory=list)

    def refused(self, error: MeterhouseError) -> None:
        """Something else stands in the way; it goes beside its field."""
        home = error.field
        if isinstance(error, TariffInvalid):
            home = field_of(error.facts["path"], self.body, self.place)
        self.faults.append(Fault(home, error))


def read(
    draft: Draft, fmt: Formats, now: datetime, header: Mapping[str, Any] | None,
    *, corrects: bool = False,
) -> Typed:  # fmt: skip
    """The scheme that was typed.

    Args:
        draft: the fields.
        fmt: how values look to whoever typed them.
        now: the present instant.
        header: the tariff's own where it has one already.
        corrects: whether the fields are one of several versions of a correction.
    """
    reader = _Reader(draft, fmt, now)
    since = reader.instant("since") if corrects else None
    version = reader.version()
    body, place = reader.body(version, header, corrects=corrects)
    found = Typed(body, place, since, faults=reader.faults)
    if reader.faults:
        return found
    try:
        found.scheme = parse(body)
        live(found.scheme)
    except TariffInvalid as error:
        found.refused(error)
    return found


class _Reader:
    """Reads the fields one after the other and gathers what is wrong with them."""

    def __init__(self, draft: Draft, fmt: Formats, now: datetime) -> None:
        self.draft, self.fmt, self.now = draft, fmt, now
        self.faults: list[Fault] = []

    def body(
        self, version: dict[str, Any], header: Mapping[str, Any] | None, *, corrects: bool
    ) -> tuple[dict[str, Any], int]:
        """The whole scheme around a version, and which of its versions that is."""
        kept = kept_in(self.draft)
        if header is not None and corrects:
            versions, place = list(kept.versions), kept.place
            if place >= len(versions):
                self._wrong("", FieldsLost())
            versions[place : place + 1] = [version]
            return {**header, "versions": versions}, min(place, len(versions) - 1)
        if header is not None:
            return {**header, "versions": [version]}, 0
        billing = self.draft["billing"]
        said = {
            "name": self.draft["name"].strip(),
            "commodity": self.draft["commodity"],
            "currency": self.fmt.currency,
            "billing": {
                "anchor_day": self._count("billing.anchor_day", billing["anchor_day"]),
                "anchor_hour": self._count("billing.anchor_hour", billing["anchor_hour"]),
                "proration": billing["proration"],
            },
            "versions": [*kept.versions, version],
        }
        whole = said | ({"source": kept.source} if kept.source is not None else {})
        return whole, len(kept.versions)

    def version(self) -> dict[str, Any]:
        """The version that the fields say."""
        draft = self.draft
        bands = self._names("bands", names.BAND)
        tables = self._names("tables", names.TABLE)
        seasons = self._names("seasons", names.SEASON)
        said: dict[str, Any] = {
            "effective_from": self.instant("effective_from")
            .astimezone(self.fmt.timezone).isoformat(),
            "band_source": draft["band_source"],
            "bands": bands,
            "prices_micro": {
                band: [self._price_micro(f"bands.{place}.prices.{at}", text)
                       for at, text in enumerate(draft["bands"][place]["prices"])]
                for place, band in enumerate(bands)
            },
            "weekend": [int(one) for one in draft["weekend"] if one in names.WEEKDAY],
            "blocks": self._blocks(seasons),
        }  # fmt: skip
        if draft["tables"]:
            said["day_tables"] = self._tables(tables, bands)
        elif draft["seasons"]:
            tables, said["day_tables"] = ["every_day"], {"every_day": {"00:00": bands[0]}}
        if draft["seasons"]:
            said["seasons"] = self._seasons(seasons, tables)
        if draft["special_days"].strip():
            said["special_days"] = self._special_days()
        if any(text.strip() for text in draft["adders"]):
            said["adders_micro"] = [
                self._decimal(f"adders.{at}", text or "0", MICRO, AdditionUnusable())
                for at, text in enumerate(draft["adders"])
            ]
        return said | self._charges()

    def _names(self, what: str, known: Mapping[str, str]) -> list[str]:
        found: list[str] = []
        for place, row in enumerate(self.draft[what]):
            name = names.meant(known, row["name"])
            if name and name in found:
                self._wrong(f"{what}.{place}.name", NameTwice())
            found.append(name)
        return found

    def _blocks(self, seasons: list[str]) -> dict[str, Any]:
        draft = self.draft
        said: dict[str, Any] = {
            "period": draft["period"], "fill": draft["fill"],
            "limits_milli": [self._energy_milli(f"limits.{at}", text)
                             for at, text in enumerate(draft["limits"])],
        }  # fmt: skip
        seasonal = {
            name: [self._energy_milli(f"seasons.{place}.limits.{at}", text)
                   for at, text in enumerate(draft["seasons"][place]["limits"])]
            for place, name in enumerate(seasons)
            if any(text.strip() for text in draft["seasons"][place]["limits"])
        }  # fmt: skip
        persons = [
            {"persons": self._count(f"persons.{place}.persons", row["persons"]),
             "add_milli": [
                 self._energy_milli(f"persons.{place}.adds.{at}", text or "0", least=0)
                 for at, text in enumerate(row["adds"])]}
            for place, row in enumerate(draft["persons"])
        ]  # fmt: skip
        if draft["counted"] != "meter":
            said["counted"] = draft["counted"]
        said |= {"seasonal": seasonal} if seasonal else {}
        return said | ({"persons": persons} if persons else {})

    def _tables(self, tables: list[str], bands: list[str]) -> dict[str, dict[str, str]]:
        said: dict[str, dict[str, str]] = {}
        for place, name in enumerate(tables):
            rows: dict[str, str] = {}
            for at, row in enumerate(self.draft["tables"][place]["rows"]):
                here = f"tables.{place}.rows.{at}"
                clock = self._clock(f"{here}.clock", row["clock"])
                if clock in rows:
                    self._wrong(f"{here}.clock", ClockTwice())
                if not row["band"].isdigit() or int(row["band"]) >= len(bands):
                    self._wrong(f"{here}.band", BandUnchosen())
                else:
                    rows[clock] = bands[int(row["band"])]
            said[name] = rows
        return said

    def _seasons(self, seasons: list[str], tables: list[str]) -> list[dict[str, Any]]:
        found = []
        for place, name in enumerate(seasons):
            row = self.draft["seasons"][place]
            chosen = {kind: row[kind] for kind in DAY_TYPES}
            if not chosen["workday"] and len(tables) == 1:
                chosen["workday"] = "0"
            of_kind = {
                kind: tables[int(at)] for kind, at in chosen.items()
                if at.isdigit() and int(at) < len(tables)
            }  # fmt: skip
            found.append(
                {"name": name, "first": _month_day(row["first"]), "last": _month_day(row["last"]),
                 "tables": of_kind}
            )  # fmt: skip
        return found

    def _special_days(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, line in enumerate(self.draft["special_days"].splitlines(), 1):
            text = unicodedata.normalize("NFKC", line).strip()
            if not text:
                continue
            days = _days_of(text)
            if not days or len(found) + len(days) > SPECIAL_DAYS_MAX:
                self._wrong("special_days", SpecialDaysUnusable(line=number))
                break
            found |= days
        return found

    def _charges(self) -> dict[str, Any]:
        draft = self.draft
        said: dict[str, Any] = {}
        if draft["surcharges"]:
            said["surcharges"] = [
                {"name": name, "price_micro": self._decimal(
                    f"surcharges.{place}.price", draft["surcharges"][place]["price"], MICRO,
                    AdditionUnusable())}
                for place, name in enumerate(self._names("surcharges", names.SURCHARGE))
            ]  # fmt: skip
        free, tax, standing = draft["allowance"], draft["tax"], draft["standing"]
        if free["grant"]:
            said["allowance"] = {
                "grant": free["grant"],
                "energy_milli": self._energy_milli("allowance.energy", free["energy"]),
                "carries": bool(free.get("carries")), "per_person": bool(free.get("per_person")),
            }  # fmt: skip
        if tax["kind"]:
            rate = self._share("tax.rate", tax["rate"])
            said["tax"] = {"rate_micro": rate, "included": tax["kind"] == "included"}
        if standing["per"]:
            amount_micro = self._charge_micro("standing.amount", standing["amount"])
            said["standing"] = {"per": standing["per"], "amount_micro": amount_micro}
        if draft["minimum"].strip():
            said["minimum_micro"] = self._charge_micro("minimum", draft["minimum"])
        if draft["demand"]["by"]:
            price_micro = self._charge_micro("demand.price", draft["demand"]["price"])
            said["demand"] = {"by": draft["demand"]["by"], "price_micro": price_micro}
        if draft["multiplier"].strip() not in ("", "1"):
            said["multiplier"] = self._count("multiplier", draft["multiplier"])
        if draft["loss"].strip():
            said["loss_micro"] = self._share("loss", draft["loss"])
        return said

    def instant(self, name: str) -> datetime:
        """The instant that a field says; now where none can be read."""
        try:
            return typed.instant(self.draft[name], self.fmt, self.now, name)
        except MeterhouseError as error:
            self._wrong(name, error)
            return self.now

    def _clock(self, name: str, text: str) -> str:
        found = _CLOCK.match(unicodedata.normalize("NFKC", text).strip())
        if not found or int(found[1]) > 23 or int(found[2]) > 59:
            self._wrong(name, TimeOfDayUnusable())
            return text
        return f"{int(found[1]):02}:{found[2]}"

    def _price_micro(self, name: str, text: str) -> int:
        return self._read(name, lambda: typed.price_micro(_narrow(text), name))

    def _charge_micro(self, name: str, text: str) -> int:
        return self._decimal(name, text, MICRO, ChargeUnusable(), least=1)

    def _share(self, name: str, text: str) -> int:
        return self._decimal(name, text, PERCENT, PercentUnusable(), 1, MICRO_PER_UNIT)

    def _energy_milli(self, name: str, text: str, least: int = 1) -> int:
        return self._decimal(name, text, MILLI, typed.EnergyUnusable(), least, REGISTER_MILLI_MAX)

    def _count(self, name: str, text: str) -> int:
        return self._decimal(name, text, 0, CountUnusable())

    def _decimal(
        self, name: str, text: str, exponent: int, wrong: MeterhouseError,
        least: int = -(10**15), most: int = 10**15,
    ) -> int:  # fmt: skip
        def found() -> int:
            try:
                scaled = from_decimal(_narrow(text), exponent)
            except Unreadable:
                raise wrong from None
            if not least <= scaled <= most:
                raise wrong
            return scaled

        return self._read(name, found)

    def _read(self, name: str, reading: Callable[[], int]) -> int:
        try:
            return reading()
        except MeterhouseError as error:
            self._wrong(name, error)
            return 0

    def _wrong(self, name: str, error: MeterhouseError) -> None:
        self.faults.append(Fault(name, error))


def _narrow(text: str) -> str:
    """Digits as every keyboard writes them, without grouping."""
    return unicodedata.normalize("NFKC", text).strip().replace(",", "")


def _month_day(text: str) -> str:
    """A day of the year, as MM-DD where it can be read so: 7-1 and 7.1 are 07-01."""
    found = re.fullmatch(r"(\d{1,2})[-/.\u6708](\d{1,2})\u65e5?", _narrow(text))
    return f"{int(found[1]):02}-{int(found[2]):02}" if found else text


def days_in(typed_text: str) -> tuple[dict[str, str], list[str]]:
    """The special days that are typed, with their kinds, and the lines that cannot be read."""
    found: dict[str, str] = {}
    unread = []
    for line in typed_text.splitlines():
        text = unicodedata.normalize("NFKC", line).strip()
        days = _days_of(text)
        found |= days
        if text and not days:
            unread.append(line)
    return found, unread


def _days_of(text: str) -> dict[str, str]:
    """The days of a line with their kind; empty where it cannot be read."""
    found = _DAYS.match(text)
    kind = names.meant(names.DAY, found[7]) if found else ""
    if found is None or kind not in names.DAY:
        return {}
    try:
        first = date(*(int(found[n]) for n in (1, 2, 3)))
        last = date(*(int(found[n]) for n in (4, 5, 6))) if found[4] else first
    except ValueError:
        return {}
    if not 0 <= (last - first).days < _DAYS_IN_LINE_MAX:
        return {}
    return {str(first + timedelta(days=at)): kind for at in range((last - first).days + 1)}
