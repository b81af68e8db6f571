"""Replays in `/api/v1`: which there are, what one comes to, and its households.

Owns what other software may rely on. Must never know how charges are rated again.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from meterhouse.flows import correct, monitor, replay
from meterhouse.flows.access import Reach, Verb
from meterhouse.units import to_decimal
from meterhouse.web.access import database_of
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Quantity, Shape
from meterhouse.web.api.v1 import (
    KEYED,
    From,
    NumberedRoute,
    Pages,
    ProjectId,
    Text,
    To,
    may,
    path_id,
    sort_of,
    span,
)
from meterhouse.web.labels import UNIT

router = APIRouter(**KEYED, route_class=NumberedRoute)

ReplayId = Annotated[int, path_id("replay")]
TariffId = Annotated[int, path_id("tariff")]
Change = Annotated[
    Literal["more", "less", "same"] | None,
    Query(description="Only those who would pay more, less or the same to the coin.",
          examples=["more"]),
]  # fmt: skip


class ReplayRow(Shape):
    """One replay and what it comes to."""

    id: Id
    """Its number, which is its task's too."""
    scheme: str = schemas.text("Shops", most=100)
    """Name of the scheme."""
    is_correction: bool = Field(examples=[False])
    """Whether it shows a correction, of prices or of points' tariffs, or is a mere trial."""
    since: At
    """The span's beginning."""
    until: At
    """The span's end."""
    household_count: int = Field(ge=0, le=COUNT_MAX, examples=[120])
    """Households of points; who has two points counts twice."""
    winner_count: int = Field(ge=0, le=COUNT_MAX, examples=[40])
    """Those who would pay less, by a coin at least."""
    loser_count: int = Field(ge=0, le=COUNT_MAX, examples=[70])
    """Those who would pay more."""
    charged: Money
    """What was charged."""
    would: Money
    """What would be charged."""
    difference: Money
    """Would be less was."""
    made_at: At
    """When it was made."""


class MonthSums(Shape):
    """A month of a replay."""

    month: str = Field(pattern=r"^\d{4}-\d{2}$", examples=["2026-01"])
    """The month by the project's calendar."""
    energy: Quantity
    """What was used."""
    charged: Money
    """What was charged, exactly."""
    would: Money
    """What would be charged, exactly."""


class ReplayDetail(Shape):
    """A replay with its sums, all of them exact."""

    id: Id
    """Its number."""
    scheme: str = schemas.text("Shops", most=100)
    """Name of the scheme."""
    is_correction: bool = Field(examples=[False])
    """Whether it shows a correction."""
    is_made: bool = Field(examples=[False])
    """Whether that correction was made."""
    since: At
    """The span's beginning."""
    until: At
    """The span's end."""
    point_count: int = Field(ge=0, le=COUNT_MAX, examples=[110])
    """Points with anything used."""
    household_count: int = Field(ge=0, le=COUNT_MAX, examples=[120])
    """Households of these points."""
    interval_count: int = Field(ge=0, le=COUNT_MAX, examples=[178_000])
    """Intervals, those cut at an end of the span among them."""
    unrated_count: int = Field(ge=0, le=COUNT_MAX, examples=[0])
    """Intervals the scheme could not price; they count as they were charged."""
    winner_count: int = Field(ge=0, le=COUNT_MAX, examples=[40])
    """Those who would pay less."""
    loser_count: int = Field(ge=0, le=COUNT_MAX, examples=[70])
    """Those who would pay more."""
    unchanged_count: int = Field(ge=0, le=COUNT_MAX, examples=[10])
    """Those who would pay the same to the coin."""
    charged: Money
    """What was charged."""
    would: Money
    """What would be charged."""
    won: Money
    """What the winners would pay less, as a negative amount."""
    lost: Money
    """What the losers would pay more."""
    months: list[MonthSums] = Field(max_length=40)
    """By month, each interval in the month it began in."""


class ReplayHousehold(Shape):
    """A household of a point in a replay."""

    point_id: Id
    """The point."""
    room: str = schemas.text("A302", most=200)
    """Its room."""
    energy: Quantity
    """What it used in the span."""
    interval_count: int = Field(ge=0, le=COUNT_MAX, examples=[1488])
    """In how many intervals."""
    charged: Money
    """What it was charged, exactly."""
    would: Money
    """What it would be charged, exactly."""
    difference: Money
    """Would be less was, exactly."""


class Correction(Shape):
    """A correction of the past: of a tariff's prices, or of who had it."""

    edition: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """The how manieth of the project."""
    since: At
    """From when on its versions, or the tariff itself, take the place of those before."""
    point_count: int | None = Field(ge=1, le=COUNT_MAX, examples=[12])
    """To how many points it was given since then; null where its prices were corrected."""
    reason: str = schemas.text("a wrong peak price", most=200)
    """Why."""
    made_at: At
    """When it was published."""
    replay_id: Id
    """The replay that showed what it does."""


def _fine(nano: int, scope: Reach) -> Money:
    """An exact amount."""
    return Money(amount=to_decimal(nano, 9), currency=scope.currency)


def _quantity(energy_milli: int, unit: str) -> Quantity:
    return Quantity(amount=to_decimal(energy_milli, 3), unit=unit)


def _row(row: Any, scope: Reach) -> ReplayRow:
    return ReplayRow(
        id=row["id"], scheme=row["scheme"], is_correction=row["corrects"], since=row["since_at"],
        until=row["until_at"], household_count=row["households"], winner_count=row["winners"],
        loser_count=row["losers"], charged=shapes.money(row["charged_minor"], scope),
        would=shapes.money(row["would_minor"], scope),
        difference=shapes.money(row["difference_minor"], scope), made_at=row["made_at"],
    )  # fmt: skip


def _household(row: Any, scope: Reach) -> ReplayHousehold:
    return ReplayHousehold(
        point_id=row["point_id"], room=row["room"],
        energy=_quantity(row["energy_milli"], UNIT[row["commodity"]]),
        interval_count=row["interval_count"], charged=_fine(row["charged_nano"], scope),
        would=_fine(row["would_nano"], scope),
        difference=_fine(row["would_nano"] - row["charged_nano"], scope),
    )  # fmt: skip


@router.get(
    "/projects/{project_id}/replays", dependencies=may(Verb.TARIFF_REPLAY), tags=["tariffs"]
)
async def list_replays(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    made_from: From = None,
    made_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("replays"), sort_of("replays")] = "-made_at",
) -> schemas.Page[ReplayRow]:
    """Replays, and what each comes to, to the coin."""
    scope = request.state.scope
    found = await page(
        request, project_id, "replays", pages, sort, lambda row: _row(row, scope),
        text=monitor.contains(text), **span(made_from, made_to),
    )  # fmt: skip
    return schemas.Page[ReplayRow](**found)


@router.get(
    "/projects/{project_id}/replays/{replay_id}", dependencies=may(Verb.TARIFF_REPLAY),
    tags=["tariffs"],
)  # fmt: skip
async def get_replay(request: Request, project_id: ProjectId, replay_id: ReplayId) -> ReplayDetail:
    """What a replay comes to."""
    row = await replay.get(database_of(request), project_id, replay_id)
    scope, found = request.state.scope, row["found"]
    unit = UNIT[row["asked"]["scheme"]["commodity"]]
    return ReplayDetail(
        id=row["id"], scheme=row["asked"]["name"], is_correction=row["corrects"],
        is_made=row["is_made"], since=row["since_at"], until=row["until_at"],
        point_count=found["points"], household_count=found["households"],
        interval_count=found["interval_count"], unrated_count=found["unrated"],
        winner_count=found["winners"], loser_count=found["losers"],
        unchanged_count=found["unchanged"], charged=_fine(found["charged_nano"], scope),
        would=_fine(found["would_nano"], scope), won=_fine(found["winners_nano"], scope),
        lost=_fine(found["losers_nano"], scope),
        months=[
            MonthSums(
                month=one["month"], energy=_quantity(one["energy_milli"], unit),
                charged=_fine(one["charged_nano"], scope), would=_fine(one["would_nano"], scope),
            )
            for one in found["months"]
        ],
    )  # fmt: skip


@router.get(
    "/projects/{project_id}/replays/{replay_id}/households", dependencies=may(Verb.TARIFF_REPLAY),
    tags=["tariffs"],
)  # fmt: skip
async def list_replay_households(
    request: Request,
    project_id: ProjectId,
    replay_id: ReplayId,
    pages: Pages,
    change: Change = None,
    text: Text = "",
    sort: Annotated[str, SortOf("replay_rows"), sort_of("replay_rows")] = "-difference",
) -> schemas.Page[ReplayHousehold]:
    """The households of a replay: what each was charged and would be."""
    scope = request.state.scope
    await replay.get(database_of(request), project_id, replay_id)
    found = await page(
        request, project_id, "replay_rows", pages, sort, lambda row: _household(row, scope),
        replay=replay_id, change=change, text=monitor.contains(text),
    )  # fmt: skip
    return schemas.Page[ReplayHousehold](**found)


@router.get(
    "/projects/{project_id}/tariffs/{tariff_id}/corrections",
    dependencies=may(Verb.TARIFF_READ), tags=["tariffs"],
)  # fmt: skip
async def list_corrections(
    request: Request, project_id: ProjectId, tariff_id: TariffId
) -> list[Correction]:
    """What was corrected of a tariff's past, the newest first."""
    rows = await correct.made_of(database_of(request), project_id, tariff_id)
    return [
        Correction(
            edition=row["edition"], since=row["corrects_from"], reason=row["reason"],
            point_count=row["point_count"],
            made_at=row["published_at"], replay_id=row["replay_id"],
        )
        for row in rows
    ]  # fmt: skip
