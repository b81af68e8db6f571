"""Acts on tariffs: three simple forms of a price, as a new tariff or a further version of one.

Owns how a flat price, prices by the time of day and prices by blocks are typed, and the scheme made
of them. Must never know how a scheme is rated.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput
from meterhouse.flows import onboard, place, tariff
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import Commodity
from meterhouse.rating.tariff import METER_BANDS, Period
from meterhouse.web import labels
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name
from meterhouse.web.acts.typed import EXAMPLE, InstantText, Number
from meterhouse.web.api import setup as shapes
from meterhouse.words import N_

_TAG: Final = "tariffs"
_ALL: Final = "/projects/{project_id}/tariffs"
_ONE: Final = f"{_ALL}/{{tariff_id}}"
_SPAN: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*[-–—~]\s*([01]?\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES: Final = 1_440

Price = Annotated[
    str, StringConstraints(min_length=1, max_length=20), Ask(N_("Price"), kind="money")
]
Times = StringConstraints(max_length=200)
Limit = StringConstraints(max_length=20)


class TimesUnusable(BadInput):
    """Write times as 08:00-11:00, 18:00-21:00."""

    code = "times_unusable"


class TimesTwice(BadInput):
    """{clock} lies in two of the times."""

    code = "times_twice"


class RestUnclear(BadInput):
    """Leave the times of exactly one price empty: it holds for the rest of the day."""

    code = "rest_unclear"


class LimitUnusable(BadInput):
    """Each block ends at more than the one before it; enter whole or decimal units."""

    code = "limit_unusable"


async def _buildings(doing: Doing) -> Choices:
    rows = await place.buildings(doing.db, doing.project_id)
    return [(str(row["id"]), row["name"]) for row in rows]


class Heading(Form):
    """What a new tariff is called and what it prices."""

    name: Annotated[Name, Ask(N_("Tariff name"))]
    """What it is called."""
    commodity: Annotated[
        Commodity,
        Ask(N_("Commodity"), kind="choice",
            words={one.value: word for one, word in labels.COMMODITY.items()}),
    ] = Commodity.ELECTRICITY  # fmt: skip
    """What it prices."""


class FlatPrice(Form):
    """One price at all times."""

    price: Price = Field(examples=["0.62"])
    """Price of a unit in the project's currency, at most six decimals."""
    effective_from: InstantText = Field(default="", examples=["2026-05-01 00:00"])
    """In force from this instant; the project's own time, or RFC 3339. Empty: now."""


class BandPrices(Form):
    """Prices by the time of day; the price without times holds for the rest of it."""

    flat_price: Annotated[str, StringConstraints(max_length=20),
                          Ask(N_("Flat band price"), kind="money", half=True)] = Field(
        default="", examples=["0.62"])  # fmt: skip
    """Price in the flat band."""
    flat_times: Annotated[str, Times, Ask(
        N_("Flat times"), hint=N_("As 08:00-11:00, 18:00-21:00; empty: the rest"), half=True)
    ] = Field(default="", examples=[""])  # fmt: skip
    """When it holds."""
    peak_price: Annotated[str, StringConstraints(max_length=20),
                          Ask(N_("Peak price"), kind="money", half=True)] = Field(
        default="", examples=["0.92"])  # fmt: skip
    """Price in the peak band."""
    peak_times: Annotated[str, Times, Ask(N_("Peak times"), half=True)] = Field(
        default="", examples=["08:00-11:00, 18:00-21:00"]
    )
    """When it holds."""
    valley_price: Annotated[str, StringConstraints(max_length=20),
                            Ask(N_("Valley price"), kind="money", half=True)] = Field(
        default="", examples=["0.32"])  # fmt: skip
    """Price in the valley band."""
    valley_times: Annotated[str, Times, Ask(N_("Valley times"), half=True)] = Field(
        default="", examples=["23:00-07:00"]
    )
    """When it holds."""
    sharp_price: Annotated[str, StringConstraints(max_length=20),
                           Ask(N_("Sharp price"), kind="money", half=True)] = Field(
        default="", examples=["1.20"])  # fmt: skip
    """Price in the sharp band."""
    sharp_times: Annotated[str, Times, Ask(N_("Sharp times"), half=True)] = Field(
        default="", examples=["11:00-12:00"]
    )
    """When it holds."""
    effective_from: InstantText = Field(default="", examples=["2026-05-01 00:00"])
    """In force from this instant; the project's own time, or RFC 3339. Empty: now."""


class BlockPrices(Form):
    """Prices by how much was used in a month or a year; each unit costs what its block costs."""

    period: Annotated[
        str, StringConstraints(pattern="^(month|year)$"),
        Field(examples=["month"]),
        Ask(N_("Counted by"), kind="choice", words={"month": N_("Month"), "year": N_("Year")}),
    ] = "month"  # fmt: skip
    """After how long the blocks begin again."""
    price_1: Annotated[Price, Ask(N_("Price of block 1"), kind="money", half=True)] = Field(
        examples=["0.52"]
    )
    """Price of a unit in the first block."""
    limit_1: Annotated[
        str, StringConstraints(min_length=1, max_length=20),
        Ask(N_("Block 1 ends at"), hint=N_("In kWh or m³"), half=True),
    ] = Field(examples=["200"])  # fmt: skip
    """Where the first block ends, in billing units."""
    price_2: Annotated[Price, Ask(N_("Price of block 2"), kind="money", half=True)] = Field(
        examples=["0.57"]
    )
    """Price of a unit in the second block."""
    limit_2: Annotated[str, Limit, Ask(N_("Block 2 ends at"), half=True)] = Field(
        default="", examples=["400"]
    )
    """Where the second block ends; empty: never."""
    price_3: Annotated[str, Limit, Ask(N_("Price of block 3"), kind="money", half=True)] = Field(
        default="", examples=["0.82"]
    )
    """Price of a unit in the third block."""
    limit_3: Annotated[str, Limit, Ask(N_("Block 3 ends at"), half=True)] = Field(
        default="", examples=["600"]
    )
    """Where the third block ends; empty: never."""
    price_4: Annotated[str, Limit, Ask(N_("Price of block 4"), kind="money", half=True)] = Field(
        default="", examples=["1.10"]
    )
    """Price of a unit in the fourth block."""
    effective_from: InstantText = Field(default="", examples=["2026-05-01 00:00"])
    """In force from this instant; the project's own time, or RFC 3339. Empty: now."""


class NewFlat(FlatPrice, Heading):
    """A tariff of one price."""


class NewBands(BandPrices, Heading):
    """A tariff of prices by the time of day."""


class NewBlocks(BlockPrices, Heading):
    """A tariff of prices by blocks."""


class Assignment(Form):
    """Which points a tariff shall rate."""

    place_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Building"), kind="choice", hint=N_("Empty: the whole project"),
            choices=_buildings),
    ] = None  # fmt: skip
    """Id of a building; none: the whole project."""


def flat_part(form: FlatPrice) -> dict[str, Any]:
    """A version's part of the scheme with one price."""
    return {"prices_micro": {"flat": [typed.price_micro(form.price, "price")]}}


def band_part(form: BandPrices) -> dict[str, Any]:
    """A version's part of the scheme with prices by the time of day.

    Raises:
        TimesUnusable: times that are none.
        TimesTwice: a minute lies in the times of two prices.
        RestUnclear: no price, or more than one, holds for the rest of the day.
    """
    said = form.model_dump()
    bands = [band for band in METER_BANDS if said[f"{band}_price"]]
    rest = [band for band in bands if not said[f"{band}_times"]]
    if len(rest) != 1:
        raise typed.beside(RestUnclear(), f"{(rest or ['flat'])[-1]}_times")
    day = [rest[0]] * _DAY_MINUTES
    for band in bands:
        for start, end in _spans(said[f"{band}_times"], f"{band}_times"):
            for minute in range(start, end if end > start else end + _DAY_MINUTES):
                place_of_day = minute % _DAY_MINUTES
                if day[place_of_day] != rest[0]:
                    clock = f"{place_of_day // 60:02}:{place_of_day % 60:02}"
                    raise typed.beside(TimesTwice(clock=clock), f"{band}_times")
                day[place_of_day] = band
    starts = [minute for minute in range(_DAY_MINUTES)
              if minute == 0 or day[minute] != day[minute - 1]]  # fmt: skip
    return {
        "bands": bands,
        "day_tables": {
            "every_day": {f"{minute // 60:02}:{minute % 60:02}": day[minute] for minute in starts}
        },
        "prices_micro": {
            band: [typed.price_micro(said[f"{band}_price"], f"{band}_price")] for band in bands
        },
    }  # fmt: skip


def _spans(text: str, field: str) -> list[tuple[int, int]]:
    spans = []
    if re.search(r"\w", _SPAN.sub("", text)):
        raise typed.beside(TimesUnusable(), field)
    for found in _SPAN.finditer(text):
        start, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
        if end > _DAY_MINUTES or start == end:
            raise typed.beside(TimesUnusable(), field)
        spans.append((start, end))
    return spans


def block_part(form: BlockPrices) -> dict[str, Any]:
    """A version's part of the scheme with prices by blocks.

    Raises:
        LimitUnusable: a block ends at no number, or not above the one before it.
        PriceUnusable: a block that begins has no price.
    """
    said = form.model_dump()
    prices = [typed.price_micro(form.price_1, "price_1")]
    limits_milli: list[int] = []
    for number in (1, 2, 3):
        text = said[f"limit_{number}"]
        if not text:
            break
        limit_milli = typed.energy_milli(text, f"limit_{number}")
        if limit_milli <= (limits_milli[-1] if limits_milli else 0):
            raise typed.beside(LimitUnusable(), f"limit_{number}")
        limits_milli.append(limit_milli)
        prices.append(typed.price_micro(said[f"price_{number + 1}"], f"price_{number + 1}"))
    return {
        "blocks": {"period": Period(form.period).value, "limits_milli": limits_milli},
        "prices_micro": {"flat": prices},
    }


Part = Callable[[Any], dict[str, Any]]


def _adder(part: Part, describe: str) -> Callable[[Doing, Any], Awaitable[Done]]:
    async def run(doing: Doing, form: Any) -> Done:
        scope, _ = doing.here
        version = part(form) | {"effective_from": _begins(doing, form).isoformat()}
        body = {
            "name": form.name, "commodity": form.commodity.value, "currency": scope.currency,
            "versions": [version],
        }  # fmt: skip
        made = await onboard.publish_tariff(
            doing.db, doing.project_id, body, doing.doer.actor_id, doing.doer.at
        )
        return Done(f"tariff:{made}", {"id": made}, after={"body": body})

    run.__doc__ = describe
    return run


def _publisher(part: Part, describe: str) -> Callable[[Doing, Any], Awaitable[Done]]:
    async def run(doing: Doing, form: Any) -> Done:
        tariff_id = doing.ids["tariff_id"]
        version = part(form) | {"effective_from": _begins(doing, form).isoformat()}
        number = await tariff.publish_version(
            doing.db, doing.project_id, tariff_id, version, doing.doer.actor_id, doing.doer.at
        )
        after = {"version": number, "body": version}
        return Done(f"tariff:{tariff_id}", {"id": tariff_id}, after=after)

    run.__doc__ = describe
    return run


def _begins(doing: Doing, form: Any) -> Any:
    _, fmt = doing.here
    return typed.instant(form.effective_from, fmt, doing.doer.at, "effective_from")


async def _assign(doing: Doing, form: Assignment) -> Done:
    """Rate all points of a building, or of the whole project, by a tariff."""
    tariff_id = doing.ids["tariff_id"]
    count = await tariff.assign(doing.db, doing.project_id, tariff_id, form.place_id, doing.doer.at)
    after = {"place_id": form.place_id, "count": count}
    return Done(f"tariff:{tariff_id}", {"count": count}, after=after)


def _assigned(_: Doing, answer: Any) -> Choices:
    return ((N_("Points"), str(answer["count"])),)


async def _about(doing: Doing) -> Choices:
    now = await tariff.look(doing.db, doing.project_id, doing.ids["tariff_id"])
    return ((N_("Tariff"), now.row["name"]), (N_("Points"), str(now.point_count)))


def _page(doing: Doing, answer: Mapping[str, Any]) -> str:
    return f"/projects/{doing.project_id}/tariffs/{answer['id']}"


_KINDS: Final[tuple[tuple[str, str, type[Form], type[Form], Part, str], ...]] = (
    ("flat", N_("Flat price"), NewFlat, FlatPrice, flat_part, "one price at all times"),
    ("bands", N_("Prices by time of day"), NewBands, BandPrices, band_part,
     "prices by the time of day"),
    ("blocks", N_("Prices by blocks"), NewBlocks, BlockPrices, block_part,
     "prices by how much was used"),
)  # fmt: skip

ADDERS: Final[tuple[Act[Any], ...]] = tuple(
    Act(
        f"tariff.add_{kind}", Verb.TARIFF_EDIT, f"{_ALL}/{kind}", title, new, shapes.Made,
        _adder(part, f"Publish a tariff of {what}."), tag=_TAG, then=_page,
    )
    for kind, title, new, _, part, what in _KINDS
)  # fmt: skip
PUBLISHERS: Final[tuple[Act[Any], ...]] = tuple(
    Act(
        f"tariff.publish_{kind}", Verb.TARIFF_EDIT, f"{_ONE}/versions/{kind}", title, form,
        shapes.Made, _publisher(part, f"Publish a further version with {what}."), tag=_TAG,
        about=_about, then=_page, proof=True,
        consequence=N_(
            "What is used from that instant on costs the new price. What was published before "
            "stays as it is."
        ),
    )
    for kind, title, _, form, part, what in _KINDS
)  # fmt: skip
ASSIGN: Final = Act(
    "tariff.assign", Verb.TARIFF_EDIT, f"{_ONE}/assign", N_("Assign to points"), Assignment,
    shapes.Counted, _assign, tag=_TAG, about=_about, told=_assigned, proof=True,
    consequence=N_(
        "Every point of its commodity there is rated by it from now on. What was used before costs "
        "what it cost then."
    ),
)  # fmt: skip

ACTS: Final[tuple[Act[Any], ...]] = (*ADDERS, *PUBLISHERS, ASSIGN)
