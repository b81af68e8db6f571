"""What `/api/v1` shows of a site as it is set up; what is done there are acts.

Owns addresses and the translation from what flows answer to `setup`'s shapes. What two may edit is
answered with its `ETag`. Must never know a page.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from meterhouse.flows import customer, device, monitor, place, project, tariff
from meterhouse.flows.access import Verb
from meterhouse.model import Commodity
from meterhouse.rating import tariff as tariffs
from meterhouse.units import to_decimal
from meterhouse.web.access import database_of
from meterhouse.web.api import setup, shapes
from meterhouse.web.api.etags import etag
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import Page
from meterhouse.web.api.v1 import (
    KEYED,
    MeterId,
    NumberedRoute,
    Pages,
    PointId,
    ProjectId,
    Text,
    may,
    path_id,
    sort_of,
    told_of,
)
from meterhouse.web.lifewords import OpeningState

router = APIRouter(**KEYED, route_class=NumberedRoute)

_PROJECT: Final = "/projects/{project_id}"

PlaceId = Annotated[int, path_id("place")]
GatewayId = Annotated[int, path_id("gateway")]
TariffId = Annotated[int, path_id("tariff")]
CustomerId = Annotated[int, path_id("customer")]
PayeeId = Annotated[int, path_id("payee")]


@router.get("/platform/groups", dependencies=may(Verb.GROUP_EDIT), tags=["projects"])
async def list_groups(request: Request) -> list[setup.Group]:
    """Every group of projects."""
    return [setup.Group(**dict(row)) for row in await project.groups(database_of(request))]


@router.get(_PROJECT, **told_of(Verb.PROJECT_READ), tags=["projects"])
async def get_project(
    request: Request, response: Response, project_id: ProjectId
) -> setup.ProjectDetail:
    """What a project is, its rules, and how far it is set up."""
    now = await project.look(database_of(request), project_id)
    standing = await project.standing(database_of(request), project_id)
    response.headers.update(etag(now.row["version"]))
    names = (
        "id", "group_id", "name", "timezone", "currency", "currency_exponent",
        "reading_interval_s", "frozen", "version",
    )  # fmt: skip
    return setup.ProjectDetail(
        **{name: now.row[name] for name in names},
        policy=project.rules(now.policy),
        has_moved_money=now.has_moved_money,
        steps=[
            setup.Step(name=one.name, done=one.done, have=one.have, missing=one.missing)
            for one in project.steps(standing)
        ],
    )


@router.get(f"{_PROJECT}/calendar", dependencies=may(Verb.PROJECT_READ), tags=["projects"])
async def list_special_days(request: Request, project_id: ProjectId) -> list[setup.SpecialDay]:
    """The special days of a project's calendar, in order."""
    rows = await project.calendar(database_of(request), project_id)
    return [setup.SpecialDay(**dict(row)) for row in rows]


@router.get(f"{_PROJECT}/payees", dependencies=may(Verb.PROJECT_READ), tags=["projects"])
async def list_payees(request: Request, project_id: ProjectId) -> list[setup.Payee]:
    """Who receives the money of each charge class."""
    rows = await project.payees(database_of(request), project_id)
    return [setup.Payee(**dict(row)) for row in rows]


@router.get(f"{_PROJECT}/payees/{{payee_id}}", **told_of(Verb.PROJECT_READ), tags=["projects"])
async def get_payee(
    request: Request, response: Response, project_id: ProjectId, payee_id: PayeeId
) -> setup.Payee:
    """Who receives the money of one charge class."""
    row = await project.payee(database_of(request), project_id, payee_id)
    response.headers.update(etag(row["version"]))
    return setup.Payee(**dict(row))


@router.get(f"{_PROJECT}/buildings", dependencies=may(Verb.ROOM_READ), tags=["places"])
async def list_buildings(request: Request, project_id: ProjectId) -> list[setup.Building]:
    """Every building and what it counts."""
    return [
        setup.Building(
            id=row["id"], name=row["name"], version=row["version"], area=_area(row["area_dm2"]),
            floor_count=row["floor_count"], room_count=row["room_count"],
            area_count=row["area_count"], meter_count=row["meter_count"],
        )
        for row in await place.buildings(database_of(request), project_id)
    ]  # fmt: skip


@router.get(f"{_PROJECT}/places/{{place_id}}", **told_of(Verb.ROOM_READ), tags=["places"])
async def get_place(
    request: Request, response: Response, project_id: ProjectId, place_id: PlaceId
) -> setup.PlaceDetail:
    """A place, what lies beneath it, its points and its meters' history."""
    now = await place.look(database_of(request), project_id, place_id)
    inside = await device.furnished(database_of(request), project_id, place_id)
    response.headers.update(etag(now.row["version"]))
    return setup.PlaceDetail(
        **_place(now.row),
        path=[one["name"] for one in now.path],
        places=[setup.Place(**_place(row)) for row in now.beneath],
        points=[
            setup.SetupPoint(
                id=row["id"], commodity=row["commodity"], keeper=row["keeper"],
                tariff_id=row["tariff_id"], meter_id=row["meter_id"],
                agreement_id=row["agreement_id"], customer_id=row["customer_id"],
                version=row["version"],
            )
            for row in inside.points
        ],
        meters=[
            setup.MeterSpan(
                id=row["id"], address=row["address"], model=row["model"],
                installed_at=row["installed_at"], removed_at=row["removed_at"],
            )
            for row in inside.meters
        ],
    )  # fmt: skip


@router.get(f"{_PROJECT}/gateways/{{gateway_id}}", **told_of(Verb.DEVICE_READ), tags=["devices"])
async def get_gateway(
    request: Request, response: Response, project_id: ProjectId, gateway_id: GatewayId
) -> setup.GatewayDetail:
    """A gateway in use and the meters on its line."""
    now = await device.gateway(database_of(request), project_id, gateway_id)
    response.headers.update(etag(now.row["version"]))
    names = ("id", "name", "registration", "direction", "address", "protocol", "version")
    return setup.GatewayDetail(
        **{name: now.row[name] for name in names},
        online=bool(now.row["online"]),
        meter_ids=[row["id"] for row in now.meters],
    )


@router.get(f"{_PROJECT}/meters/{{meter_id}}", **told_of(Verb.DEVICE_READ), tags=["devices"])
async def get_meter(
    request: Request, response: Response, project_id: ProjectId, meter_id: MeterId
) -> setup.MeterDetail:
    """A meter, in service or removed."""
    row = await device.meter(database_of(request), project_id, meter_id)
    response.headers.update(etag(row["version"]))
    return setup.MeterDetail(**{name: row[name] for name in setup.MeterDetail.model_fields})


@router.get(f"{_PROJECT}/points/{{point_id}}", **told_of(Verb.ROOM_READ), tags=["places"])
async def get_point(
    request: Request, response: Response, project_id: ProjectId, point_id: PointId
) -> setup.PointDetail:
    """A point as it is set up."""
    row = await device.point(database_of(request), project_id, point_id)
    response.headers.update(etag(row["version"]))
    return setup.PointDetail(**{name: row[name] for name in setup.PointDetail.model_fields})


@router.get(f"{_PROJECT}/tariffs", dependencies=may(Verb.TARIFF_READ), tags=["tariffs"])
async def list_tariffs(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    text: Text = "",
    sort: Annotated[str, SortOf("tariffs"), sort_of("tariffs")] = "name",
) -> Page[setup.TariffItem]:
    """The tariffs of a project."""
    pattern = monitor.contains(text)
    found = await page(request, project_id, "tariffs", pages, sort, _tariff, text=pattern)
    return Page[setup.TariffItem](**found)


@router.get(
    f"{_PROJECT}/tariffs/{{tariff_id}}", dependencies=may(Verb.TARIFF_READ), tags=["tariffs"]
)
async def get_tariff(
    request: Request, project_id: ProjectId, tariff_id: TariffId
) -> setup.TariffDetail:
    """A tariff with all its published versions."""
    now = await tariff.look(database_of(request), project_id, tariff_id)
    return setup.TariffDetail(
        id=tariff_id, name=now.row["name"], commodity=Commodity(now.row["commodity"]),
        point_count=now.point_count, scheme=tariffs.dump(now.scheme),
    )  # fmt: skip


@router.get(f"{_PROJECT}/customers", dependencies=may(Verb.CUSTOMER_READ), tags=["customers"])
async def list_customers(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    let: Annotated[
        bool | None, Query(description="Whether they have an account now.", examples=[True])
    ] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("customers"), sort_of("customers")] = "-since",
) -> Page[setup.CustomerItem]:
    """The customers of a project; who they are comes masked."""
    found = await page(
        request, project_id, "customers", pages, sort, _customer, let=let,
        text=monitor.contains(text),
    )  # fmt: skip
    return Page[setup.CustomerItem](**found)


@router.get(f"{_PROJECT}/openings", dependencies=may(Verb.CUSTOMER_READ), tags=["accounts"])
async def list_openings(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[
        OpeningState | None, Query(description="How far they have come.", examples=["prepared"])
    ] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("openings"), sort_of("openings")] = "-created_at",
) -> Page[setup.OpeningItem]:
    """Accounts made ready, to be opened with one click."""
    scope = request.state.scope

    def shape(row: Any) -> setup.OpeningItem:
        names = (
            "id", "place_id", "room", "customer_id", "state", "purse", "agreement_id",
            "created_at", "ended_at",
        )  # fmt: skip
        return setup.OpeningItem(
            **{name: row[name] for name in names},
            opening_credit=shapes.money(row["credit_minor"], scope),
            opening_debt=shapes.money(row["debt_minor"], scope),
            deposit=shapes.money(row["deposit_minor"], scope),
            opening_deposit=shapes.money(row["held_minor"], scope),
            overdraft=shapes.money(row["overdraft_minor"], scope),
        )

    found = await page(
        request, project_id, "openings", pages, sort, shape, state=state,
        text=monitor.contains(text),
    )  # fmt: skip
    return Page[setup.OpeningItem](**found)


@router.get(
    f"{_PROJECT}/customers/{{customer_id}}",
    **told_of(Verb.CUSTOMER_READ),
    tags=["customers"],
)
async def get_customer(
    request: Request, response: Response, project_id: ProjectId, customer_id: CustomerId
) -> setup.CustomerDetail:
    """A customer, masked, with their agreements."""
    now = await customer.look(database_of(request), project_id, customer_id)
    scope = request.state.scope
    response.headers.update(etag(now.row["version"]))
    return setup.CustomerDetail(
        **{name: now.row[name] for name in ("id", "name", "phone", "email", "language", "version")},
        agreements=[
            setup.AgreementSpan(
                id=row["id"], places=row["places"] or "", valid_from=row["valid_from"],
                valid_to=row["valid_to"], balance=shapes.money(row["balance_minor"], scope),
            )
            for row in now.agreements
        ],
    )  # fmt: skip


def _area(area_dm2: int | None) -> str | None:
    return None if area_dm2 is None else to_decimal(area_dm2, 2)


def _place(row: Any) -> dict[str, Any]:
    names = ("id", "parent_id", "kind", "name", "version")
    return {name: row[name] for name in names} | {"area": _area(row["area_dm2"])}


def _tariff(row: Any) -> setup.TariffItem:
    return setup.TariffItem(**{name: row[name] for name in setup.TariffItem.model_fields})


def _customer(row: Any) -> setup.CustomerItem:
    return setup.CustomerItem(
        id=row["id"], name=row["customer"], phone=row["phone"], email=row["email"],
        language=row["language"], room_count=row["room_count"] or 0,
    )  # fmt: skip
