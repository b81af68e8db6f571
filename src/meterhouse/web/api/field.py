"""Searches of a bus and checklists of meters in `/api/v1`: their shapes and where to look at them.

Owns what other software may rely on when it puts meters into service. Must never know a page.
Beginning, stopping, filling and signing are acts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
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
from meterhouse.web.access import Permission
from meterhouse.web.api import schemas, v1
from meterhouse.web.api.schemas import Id, Quantity, Shape
from meterhouse.web.labels import Commissioned, Known, TaskState
from meterhouse.words import N_

KWH = "kWh"


class Candidate(Shape):
    """A model that a device may be."""

    model: str = Field(examples=["DDSY1352-NK"])
    """Name of the meter model."""
    confidence: Confidence
    """How sure that is; never surer than what the device said of itself."""


class Device(Shape):
    """A device that a search has met."""

    address: str = Field(pattern=r"^\d{12}$", examples=["240000000001"])
    """Twelve digits."""
    known: Known
    """`here`: a meter of this gateway; `project`: of another gateway of this project; `new`."""
    meter_id: Id | None
    """The meter it is known as."""
    candidates: list[Candidate]
    """The models it may be, surest first; empty when it says no register."""
    total: Quantity | None
    """Its total register, where it said one."""
    relay: str = Field(examples=["closed", "unknown"])
    """Its relay: closed, open, armed or unknown."""
    phases: int | None = Field(examples=[1, 3])
    """Phases that have a voltage."""
    clock_off_s: int | None = Field(examples=[-12])
    """How far its clock is ahead of the project's time, in seconds."""
    texts: dict[str, str] = Field(examples=[{"type": "DDSY1352"}])
    """What it says of itself, by name."""
    why: str = Field(examples=["", "silence"])
    """Why it said no more, empty when it said all it was asked."""


class ScanState(Shape):
    """How far a search of a gateway's bus is."""

    id: Id
    """Id of the search."""
    gateway_id: Id
    """Whose bus."""
    state: TaskState
    """How far it is."""
    done_count: int = Field(ge=0, examples=[370_000])
    """How much of the line is settled, of `total_count`."""
    total_count: int = Field(ge=0, examples=[1_000_000])
    """The whole line; 0 before it has begun."""
    created_at: datetime
    """When it was asked for."""
    ended_at: datetime | None
    """When it ended."""


class Scan(ScanState):
    """A search of a gateway's bus, with what it has found."""

    ending: str = Field(examples=[""])
    """Only addresses with these last digits were asked for."""
    left_count: int = Field(ge=0, examples=[63])
    """Endings that are still to be asked."""
    clashes: list[str]
    """Addresses under which more than one device answers."""
    devices: list[Device]
    """What was found so far, by address."""


class CheckedItem(Shape):
    """A line of a checklist."""

    item: Item
    """What was checked."""
    state: Verdict
    """How it stands: open for a person, waiting for the meter, passed, failed, skipped."""
    why: str = Field(examples=["", "clock_off"])
    """Why it failed or was left out."""
    at: datetime | None
    """When it came to stand so."""
    facts: dict[str, Any]
    """What was seen; the fields depend on the item."""


class Checklist(Shape):
    """A meter's checklist."""

    id: Id
    """Id of the checklist."""
    meter_id: Id
    """The meter; another meter takes another checklist."""
    address: str = Field(examples=["240000000001"])
    """The meter's address."""
    model: str = Field(examples=["DDSY1352-NK"])
    """Its model."""
    building: str | None
    """Where it is."""
    room: str | None
    """Where it is."""
    started_at: datetime
    """When it was begun."""
    started_by: Id | None
    """Who began it."""
    signed_at: datetime | None
    """When it was signed; from then on it never changes."""
    signed_by: Id | None
    """Who signed it."""
    note: str
    """The signer's note."""
    version: int = Field(ge=1, examples=[4])
    """Grows with every change."""
    items: list[CheckedItem]
    """Its lines, in their order."""


class CommissionedMeter(Shape):
    """A meter in service and how far its latest checklist is."""

    id: Id
    """Id of the meter."""
    address: str = Field(examples=["240000000001"])
    """Its address."""
    model: str = Field(examples=["DDSY1352-NK"])
    """Its model."""
    building: str | None
    """Where it is."""
    room: str | None
    """Where it is."""
    gateway: str | None
    """Name of its gateway."""
    state: Commissioned
    """`none`: no checklist yet; `open`: not signed; `signed`; `signed_with_faults`."""
    commissioning_id: Id | None
    """Its latest checklist."""
    passed_count: int = Field(ge=0, le=5)
    """Items that passed."""
    failed_count: int = Field(ge=0, le=5)
    """Items that failed."""
    signed_at: datetime | None
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


router = APIRouter(**v1.KEYED)
_MAY = [Depends(Permission(Verb.DEVICE_READ))]
_TAG = "commissioning"
ScanId = Annotated[int, Path(description="Id of the search.", ge=1)]


@router.get("/projects/{project_id}/scans/{task_id}", dependencies=_MAY, tags=[_TAG])
async def get_scan(request: Request, project_id: int, task_id: ScanId) -> Scan:
    """How far a search is, and what it has found."""
    db = request.app.state.services.database
    row = await task.get(db, project_id, task_id)
    if row["kind"] != scan.KIND:
        raise NotFound(N_("Task"), task_id)
    return shape_scan(row, await scan.found(db, project_id, row))


@router.get("/projects/{project_id}/gateways/{gateway_id}/scans", dependencies=_MAY, tags=[_TAG])
async def list_scans(request: Request, project_id: int, gateway_id: int) -> list[Scan]:
    """The latest searches of a gateway's bus, newest first, without what they found."""
    db = request.app.state.services.database
    rows = await task.latest(db, project_id, scan.KIND, gateway_id)
    return [shape_scan(dict(row) | {"result": None, "input": {"ending": ""}}, ()) for row in rows]


@router.get(
    "/projects/{project_id}/commissionings/{commissioning_id}", dependencies=_MAY, tags=[_TAG]
)
async def get_checklist(request: Request, project_id: int, commissioning_id: int) -> Checklist:
    """A checklist as it stands."""
    db = request.app.state.services.database
    return checklist(await commission.get(db, project_id, commissioning_id))


@router.get("/projects/{project_id}/commissioning", dependencies=_MAY, tags=[_TAG])
async def list_commissioning(
    request: Request,
    project_id: int,
    paging: Annotated[v1.Paging, Depends()],
    state: Annotated[Commissioned | None, Query(description="Only in this state.")] = None,
    building_id: Annotated[int | None, Query(description="Only in this building.", ge=1)] = None,
    text: v1.Text = "",
    sort: v1.Sort = "",
) -> schemas.Page[CommissionedMeter]:
    """Meters in service with their latest checklist, by place unless sorted otherwise."""
    page = await v1.page_of(
        request, project_id, "commissioning", paging, sort, state=state, building=building_id,
        text=monitor.contains(text),
    )  # fmt: skip
    wanted = CommissionedMeter.model_fields
    items = [CommissionedMeter(**{name: row[name] for name in wanted}) for row in page["items"]]
    return schemas.Page[CommissionedMeter](**page | {"items": items})
