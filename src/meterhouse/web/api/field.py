"""Searches of a bus and checklists of meters in `/api/v1`: their shapes and where to look at them.

Owns what other software may rely on when it puts meters into service. Must never know a page.
Beginning, stopping, filling and signing are acts.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from meterhouse.control.commission import Item, Verdict
from meterhouse.errors import NotFound
from meterhouse.flows import commission, monitor, scan, task
from meterhouse.flows.access import Verb
from meterhouse.flows.commission import Checked
from meterhouse.flows.scan import Found
from meterhouse.meter_models import Confidence
from meterhouse.model import Relay
from meterhouse.units import to_decimal
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import schemas, v1
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Quantity, RelayState, Shape
from meterhouse.web.labels import Commissioned, Known, TaskState
from meterhouse.words import N_

KWH = "kWh"
Address = Annotated[str, Field(pattern=r"^\d{12}$", examples=["240000000001"])]
Said = Annotated[str, Field(max_length=32)]


class Candidate(Shape):
    """A model that a device may be."""

    model: str = Field(max_length=60, examples=["DDSY1352-NK"])
    """Name of the meter model."""
    confidence: Confidence
    """How sure that is; never surer than what the device said of itself."""


class Device(Shape):
    """A device that a search has met."""

    address: Address
    """Twelve digits."""
    known: Known
    """`here`: a meter of this gateway; `project`: of another gateway of this project; `new`."""
    meter_id: Id | None
    """The meter it is known as."""
    candidates: list[Candidate] = Field(max_length=100)
    """The models it may be, surest first; empty when it says no register."""
    total: Quantity | None
    """Its total register, where it said one."""
    relay: RelayState
    """Its relay: closed, open, armed or unknown."""
    phases: int | None = Field(ge=1, le=3, examples=[1, 3])
    """Phases that have a voltage."""
    clock_off_s: int | None = Field(ge=-COUNT_MAX, le=COUNT_MAX, examples=[-12])
    """How far its clock is ahead of the project's time, in seconds."""
    texts: dict[str, Said] = Field(max_length=10, examples=[{"type": "DDSY1352"}])
    """What it says of itself, by name."""
    why: str = Field(max_length=60, examples=["", "silence"])
    """Why it said no more, empty when it said all it was asked."""


class ScanState(Shape):
    """How far a search of a gateway's bus is."""

    id: Id
    """Id of the search."""
    gateway_id: Id
    """Whose bus."""
    state: TaskState
    """How far it is."""
    done_count: int = Field(ge=0, le=COUNT_MAX, examples=[370_000])
    """How much of the line is settled, of `total_count`."""
    total_count: int = Field(ge=0, le=COUNT_MAX, examples=[1_000_000])
    """The whole line; 0 before it has begun."""
    created_at: At
    """When it was asked for."""
    ended_at: At | None
    """When it ended."""


class Scan(ScanState):
    """A search of a gateway's bus, with what it has found."""

    ending: str = Field(max_length=12, examples=[""])
    """Only addresses with these last digits were asked for."""
    left_count: int = Field(ge=0, le=COUNT_MAX, examples=[63])
    """Endings that are still to be asked."""
    clashes: list[Address] = Field(max_length=1_000, examples=[[]])
    """Addresses under which more than one device answers."""
    devices: list[Device] = Field(max_length=1_000)
    """What was found so far, by address."""


class CheckedItem(Shape):
    """A line of a checklist."""

    item: Item
    """What was checked."""
    state: Verdict
    """How it stands: open for a person, waiting for the meter, passed, failed, skipped."""
    why: str = Field(max_length=60, examples=["", "clock_off"])
    """Why it failed or was left out."""
    at: At | None
    """When it came to stand so."""
    facts: dict[str, Any] = Field(max_length=20, examples=[{"clock_off_s": 4}])
    """What was seen; the fields depend on the item."""


class Checklist(Shape):
    """A meter's checklist."""

    id: Id
    """Id of the checklist."""
    meter_id: Id
    """The meter; another meter takes another checklist."""
    address: str = Field(max_length=60, examples=["240000000001"])
    """The meter's address."""
    model: str = Field(max_length=60, examples=["DDSY1352-NK"])
    """Its model."""
    building: str | None = Field(max_length=60, examples=["1#"])
    """Where it is."""
    room: str | None = Field(max_length=60, examples=["302"])
    """Where it is."""
    started_at: At
    """When it was begun."""
    started_by: Id | None
    """Who began it."""
    signed_at: At | None
    """When it was signed; from then on it never changes."""
    signed_by: Id | None
    """Who signed it."""
    note: str = Field(max_length=500, examples=["Clock will be set on Monday."])
    """The signer's note."""
    version: int = Field(ge=1, le=COUNT_MAX, examples=[4])
    """Grows with every change."""
    items: list[CheckedItem] = Field(max_length=5)
    """Its lines, in their order."""


class CommissionedMeter(Shape):
    """A meter in service and how far its latest checklist is."""

    id: Id
    """Id of the meter."""
    address: str = Field(max_length=60, examples=["240000000001"])
    """Its address."""
    model: str = Field(max_length=60, examples=["DDSY1352-NK"])
    """Its model."""
    building: str | None = Field(max_length=60, examples=["1#"])
    """Where it is."""
    room: str | None = Field(max_length=60, examples=["302"])
    """Where it is."""
    gateway: str | None = Field(max_length=60, examples=["GW-1"])
    """Name of its gateway."""
    state: Commissioned
    """`none`: no checklist yet; `open`: not signed; `signed`; `signed_with_faults`."""
    commissioning_id: Id | None
    """Its latest checklist."""
    passed_count: int = Field(ge=0, le=5, examples=[4])
    """Items that passed."""
    failed_count: int = Field(ge=0, le=5, examples=[1])
    """Items that failed."""
    signed_at: At | None
    """When it was signed."""


def device(found: Found) -> Device:
    """A device as the API tells it."""
    said = found.facts
    total_milli = said["total_milli"]
    return Device(
        address=found.address, known=Known(found.known), meter_id=found.meter_id,
        candidates=[Candidate(**one) for one in said["candidates"]],
        total=None if total_milli is None else Quantity(
            amount=to_decimal(total_milli, 3), unit=KWH
        ),
        relay=Relay(said["relay"] or 0).name.lower(), phases=said["phases"],
        clock_off_s=said["clock_off_s"], texts=said["texts"], why=said["why"],
    )  # fmt: skip


def scan_left(row: Mapping[str, Any]) -> tuple[int, list[str]]:
    """How many endings a search has left, and which addresses clash."""
    search = (row["result"] or {}).get("search")
    return (1, []) if search is None else (len(search["left"]), search["clashes"])


def shape_scan(row: Mapping[str, Any], found: Sequence[Found]) -> Scan:
    """A search as the API tells it."""
    left_count, clashes = scan_left(row)
    return Scan(
        **_scan_state(row).model_dump(), ending=row["input"]["ending"], left_count=left_count,
        clashes=clashes, devices=[device(one) for one in found],
    )  # fmt: skip


def _scan_state(row: Mapping[str, Any]) -> ScanState:
    return ScanState(**{name: row[name] for name in ScanState.model_fields})


def checklist(checked: Checked) -> Checklist:
    """A checklist as the API tells it."""
    row = checked.row
    same = (
        "id", "meter_id", "address", "model", "building", "room", "started_at", "started_by",
        "signed_at", "signed_by", "note", "version",
    )  # fmt: skip
    items = [
        CheckedItem(item=item, state=one["state"], why=one["why"], at=one["at"], facts=one["facts"])
        for item, one in checked.items.items()
    ]
    return Checklist(**{name: row[name] for name in same}, items=items)


def commissioned(row: Any) -> CommissionedMeter:
    """A meter of the list."""
    return CommissionedMeter(**{name: row[name] for name in CommissionedMeter.model_fields})


router = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)
_MAY = [Depends(Permission(Verb.DEVICE_READ))]
_TAG = "commissioning"
ScanId = Annotated[int, v1.path_id("search")]
GatewayId = Annotated[int, v1.path_id("gateway")]
ChecklistId = Annotated[int, v1.path_id("checklist")]


@router.get("/projects/{project_id}/scans/{task_id}", dependencies=_MAY, tags=[_TAG])
async def get_scan(request: Request, project_id: v1.ProjectId, task_id: ScanId) -> Scan:
    """How far a search is, and what it has found."""
    db = database_of(request)
    row = await task.get(db, project_id, task_id)
    if row["kind"] != scan.KIND:
        raise NotFound(N_("Task"), task_id)
    return shape_scan(row, await scan.found(db, project_id, row))


@router.get("/projects/{project_id}/gateways/{gateway_id}/scans", dependencies=_MAY, tags=[_TAG])
async def list_scans(
    request: Request, project_id: v1.ProjectId, gateway_id: GatewayId
) -> list[ScanState]:
    """The latest fifty searches of a gateway's bus, newest first."""
    db = database_of(request)
    rows = await task.latest(db, project_id, scan.KIND, gateway_id)
    return [_scan_state(row) for row in rows]


@router.get(
    "/projects/{project_id}/commissionings/{commissioning_id}", dependencies=_MAY, tags=[_TAG]
)
async def get_checklist(
    request: Request, project_id: v1.ProjectId, commissioning_id: ChecklistId
) -> Checklist:
    """A checklist as it stands."""
    db = database_of(request)
    return checklist(await commission.get(db, project_id, commissioning_id))


@router.get("/projects/{project_id}/commissioning", dependencies=_MAY, tags=[_TAG])
async def list_commissioning(
    request: Request,
    project_id: v1.ProjectId,
    pages: v1.Pages,
    state: Annotated[Commissioned | None, Query(description="Only in this state.")] = None,
    building: Annotated[int | None, v1.id_filter("building")] = None,
    text: v1.Text = "",
    sort: Annotated[str, SortOf("commissioning"), v1.sort_of("commissioning")] = "room",
) -> schemas.Page[CommissionedMeter]:
    """Meters in service with their latest checklist."""
    found = await page(
        request, project_id, "commissioning", pages, sort, commissioned, state=state,
        building=building, text=monitor.contains(text),
    )  # fmt: skip
    return schemas.Page[CommissionedMeter](**found)
