"""Acts on points and meters: where what is delivered, and by which meter it is counted.

Owns how they are asked for. Must never know a frame or a sum of money.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse import meter_models
from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows import device, onboard, place, scan, tariff, task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import Commodity, Keeper
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, Why
from meterhouse.web.acts.typed import EXAMPLE, Number, Version, register_milli
from meterhouse.web.api import setup as shapes
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_

_TAG: Final = "devices"
_POINT: Final = "/projects/{project_id}/points/{point_id}"
_METERS: Final = "/projects/{project_id}/meters"
_METER: Final = f"{_METERS}/{{meter_id}}"

MODELS: Final = {name: name for name in meter_models.names()}


async def _tariffs(doing: Doing) -> Choices:
    rows = await tariff.names(doing.db, doing.project_id)
    return [(str(row["id"]), row["name"]) for row in rows]


async def _gateways(doing: Doing) -> Choices:
    found = await device.gateways(doing.db, doing.project_id)
    return [(str(number), name) for number, name in found]


async def _free_points(doing: Doing) -> Choices:
    rows = await device.points(doing.db, doing.project_id, metered=False)
    word = {one: labels.label(doing.words, one) for one in Commodity}
    return [(str(row["id"]), f"{row['place']} · {word[row['commodity']]}") for row in rows]


Model = Annotated[
    str,
    StringConstraints(max_length=60),
    Field(examples=["DDSY1352-NK"]),
    Ask(N_("Model"), kind="choice", words=MODELS),
]
Address = Annotated[
    str, StringConstraints(pattern=r"^\s*\d{1,12}\s*$"),
    Field(examples=["000000000012"]),
    Ask(N_("Address"), hint=N_("Up to 12 digits, as printed on the meter")),
]  # fmt: skip
Multiplier = Annotated[
    int,
    Field(ge=1, le=100_000, examples=[1]),
    Ask(N_("Multiplier"), hint=N_("Ratio of the transformers")),
]
TariffChoice = Annotated[Number | None, EXAMPLE, Ask(N_("Tariff"), kind="choice", choices=_tariffs)]
KeeperChoice = Annotated[
    Keeper,
    Field(examples=[Keeper.PLATFORM]),
    Ask(N_("Who keeps the money"), kind="choice",
        words={one.value: word for one, word in labels.KEEPER.items()}),
]  # fmt: skip
GatewayChoice = Annotated[
    Number | None, EXAMPLE, Ask(N_("Gateway"), kind="choice", choices=_gateways)
]


Opening = Annotated[
    str,
    StringConstraints(max_length=20),
    Ask(N_("Register now"), hint=N_("As the meter shows it, in kWh or m³; empty: the first "
                                    "reading by wire is the beginning")),
]  # fmt: skip


class NothingNew(MeterhouseError):
    """The search found no meter that is not known already."""

    code = "nothing_new"
    http_status = 409


class NewPoint(Form):
    """Where one commodity is delivered."""

    commodity: Annotated[
        Commodity,
        Ask(N_("Commodity"), kind="choice",
            words={one.value: word for one, word in labels.COMMODITY.items()}),
    ] = Commodity.ELECTRICITY  # fmt: skip
    """What is delivered."""
    tariff_id: TariffChoice = None
    """Id of the tariff it is rated by."""
    keeper: KeeperChoice = Keeper.PLATFORM
    """Who keeps the money."""


class PointChange(Form):
    """A point as it shall be from now on."""

    version: Version
    """The version it was read at."""
    tariff_id: TariffChoice = None
    """Id of the tariff that prices what is used from now on."""
    keeper: KeeperChoice
    """Who keeps the money of what is used between two readings, the first not before now."""


class NewMeter(Form):
    """A meter to be put into service."""

    model: Model
    """Its model."""
    address: Address
    """Its address; a short one is filled with zeros on the left."""
    gateway_id: GatewayChoice = None
    """Id of the gateway on whose line it hangs."""
    point_id: Annotated[
        Number | None, EXAMPLE, Ask(N_("Room"), kind="choice", choices=_free_points)
    ] = None
    """Id of the point it serves; none: it waits."""
    multiplier: Multiplier = 1
    """What its registers are multiplied by."""
    opening: Opening = Field(default="", examples=["1234.56"])
    """What its total register shows as it is put in at a point, in the billing unit; empty: the
    first reading by wire is the beginning."""


class MeterChange(Form):
    """A meter as it shall be from now on."""

    version: Version
    """The version it was read at."""
    address: Address
    """Its address."""
    gateway_id: GatewayChoice = None
    """Id of the gateway on whose line it hangs."""


class Found(Form):
    """Meters found on a gateway's line."""

    model: Model
    """The model of all of them."""
    addresses: Annotated[
        str, StringConstraints(min_length=1, max_length=20_000),
        Ask(N_("Addresses"), kind="area", hint=N_("One in a line")),
    ] = Field(examples=["000000000012\n000000000013"])  # fmt: skip
    """Their addresses, one in a line."""


class Hang(Form):
    """Which point a meter serves from now on."""

    point_id: Annotated[Number, EXAMPLE, Ask(N_("Room"), kind="choice", choices=_free_points)]
    """Id of the point; it has no meter."""
    opening: Opening = Field(default="", examples=["1234.56"])
    """What its total register shows now, in the billing unit; empty: the first reading by wire is
    the beginning."""


async def _add_point(doing: Doing, form: NewPoint) -> Done:
    """Add a point to a place; the house pays for it until somebody opens an account."""
    place_id = doing.ids["place_id"]
    made = await device.add_point(
        doing.db, doing.project_id, place_id, form.commodity, form.tariff_id, form.keeper,
        doing.doer.at,
    )  # fmt: skip
    after = form.model_dump(mode="json") | {"place_id": place_id}
    return Done(f"point:{made}", {"id": made}, after=after)


async def _edit_point(doing: Doing, form: PointChange) -> Done:
    """Give a point another tariff, or keeper of its money, from now on."""
    point_id = doing.ids["point_id"]
    was = await device.edit_point(
        doing.db, doing.project_id, point_id, form.version, form.tariff_id, form.keeper,
        doing.doer.at,
    )  # fmt: skip
    after = form.model_dump(mode="json", exclude={"version"})
    return Done(f"point:{point_id}", {"id": point_id}, {key: was[key] for key in after}, after)


async def _point_typed(doing: Doing) -> Mapping[str, Any]:
    row = await device.point(doing.db, doing.project_id, doing.ids["point_id"])
    return {
        "version": row["version"], "tariff_id": row["tariff_id"] or "", "keeper": row["keeper"]
    }  # fmt: skip


async def _remove_point(doing: Doing, form: Why) -> Done:
    """Take away a point that never had a meter."""
    point_id = doing.ids["point_id"]
    was = await device.remove_point(doing.db, doing.project_id, point_id)
    before = {"place_id": was["place_id"], "commodity": was["commodity"]}
    return Done(f"point:{point_id}", before=before, reason=form.reason)


async def _about_point(doing: Doing) -> Choices:
    row = await device.point(doing.db, doing.project_id, doing.ids["point_id"])
    word = labels.label(doing.words, Commodity(row["commodity"]))
    return ((N_("Place"), row["place"]), (N_("Commodity"), word))


async def _about_place(doing: Doing) -> Choices:
    now = await place.look(doing.db, doing.project_id, doing.ids["place_id"])
    return ((N_("Place"), " ".join(one["name"] for one in now.path)),)


async def _add_meter(doing: Doing, form: NewMeter) -> Done:
    """Put a meter on a gateway's line, at a point or waiting for one."""
    made = await device.add_meter(
        doing.db, doing.project_id, form.gateway_id, form.point_id, form.model, form.address,
        form.multiplier, doing.doer.at, register_milli(form.opening, "opening"),
    )  # fmt: skip
    return Done(f"meter:{made}", {"id": made}, after=form.model_dump(mode="json"))


async def _edit_meter(doing: Doing, form: MeterChange) -> Done:
    """Correct a meter's address, or put it on another gateway's line."""
    meter_id = doing.ids["meter_id"]
    was = await device.edit_meter(
        doing.db, doing.project_id, meter_id, form.version, form.gateway_id, form.address
    )
    after = form.model_dump(mode="json", exclude={"version"})
    return Done(f"meter:{meter_id}", {"id": meter_id}, {key: was[key] for key in after}, after)


async def _meter_typed(doing: Doing) -> Mapping[str, Any]:
    row = await device.meter(doing.db, doing.project_id, doing.ids["meter_id"])
    return {
        "version": row["version"], "address": row["address"], "gateway_id": row["gateway_id"] or ""
    }  # fmt: skip


async def _add_found(doing: Doing, form: Found) -> Done:
    """Add meters found on a gateway's line; they hang at no point yet; all or none."""
    gateway_id = doing.ids["gateway_id"]
    found = [(line.strip(), form.model) for line in form.addresses.splitlines() if line.strip()]
    ids = await onboard.add_meters(doing.db, doing.project_id, gateway_id, found, doing.doer.at)
    after = {"count": len(ids), "model": form.model}
    return Done(f"gateway:{gateway_id}", {"count": len(ids)}, after=after)


async def _new_ones(doing: Doing) -> tuple[int, list[tuple[str, str]]]:
    """The gateway of a search, and what it found that nobody knows, each as its likeliest model."""
    row = await task.get(doing.db, doing.project_id, doing.ids["task_id"])
    if row["kind"] != scan.KIND:
        raise NotFound(N_("Task"), doing.ids["task_id"])
    found = await scan.found(doing.db, doing.project_id, row)
    likely = [
        (one.address, one.facts["candidates"][0]["model"])
        for one in found
        if one.known == "new" and one.facts["candidates"]
    ]
    return row["gateway_id"], likely


async def _add_scanned(doing: Doing, _: NoFields) -> Done:
    """Add every new meter that a search found, as the model it most likely is; all or none."""
    gateway_id, found = await _new_ones(doing)
    if not found:
        raise NothingNew
    ids = await onboard.add_meters(doing.db, doing.project_id, gateway_id, found, doing.doer.at)
    after = {"count": len(ids), "task_id": doing.ids["task_id"]}
    return Done(f"gateway:{gateway_id}", {"count": len(ids)}, after=after)


async def _about_scan(doing: Doing) -> Choices:
    _, found = await _new_ones(doing)
    return ((N_("New meters"), str(len(found))),)


async def _hang(doing: Doing, form: Hang) -> Done:
    """Let a meter that hangs nowhere serve a point from now on."""
    meter_id = doing.ids["meter_id"]
    await device.hang_meter(
        doing.db, doing.project_id, meter_id, form.point_id, doing.doer.at,
        register_milli(form.opening, "opening"),
    )  # fmt: skip
    after = {"point_id": form.point_id, "opening": form.opening}
    return Done(f"meter:{meter_id}", {"id": meter_id}, {"point_id": None}, after)


async def _remove_meter(doing: Doing, form: Why) -> Done:
    """Take a meter out of service; its readings and what they cost stay."""
    meter_id = doing.ids["meter_id"]
    was = await device.remove_meter(doing.db, doing.project_id, meter_id, doing.doer.at)
    before = {"point_id": was["point_id"], "address": was["address"]}
    return Done(f"meter:{meter_id}", before=before, reason=form.reason)


async def about_meter(doing: Doing) -> Choices:
    """The meter of the address, its model and its room."""
    row = await device.meter(doing.db, doing.project_id, doing.ids["meter_id"])
    return (
        (N_("Meter"), row["address"]),
        (N_("Model"), row["model"]),
        (N_("Room"), row["place"] or ABSENT),
    )


async def _about_gateway(doing: Doing) -> Choices:
    now = await device.gateway(doing.db, doing.project_id, doing.ids["gateway_id"])
    return ((N_("Gateway"), now.row["name"]),)


def _one(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/meters/{answer['id']}"


def _list(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/meters"


ADD_POINT: Final = Act(
    "point.add", Verb.DEVICE_EDIT, "/projects/{project_id}/places/{place_id}/points",
    N_("Add point"), NewPoint, shapes.Made, _add_point, tag=_TAG, about=_about_place,
)  # fmt: skip
EDIT_POINT: Final = Act(
    "point.edit", Verb.DEVICE_EDIT, _POINT, N_("Edit point"), PointChange, shapes.Made,
    _edit_point, method="PUT", tag=_TAG, about=_about_point, typed=_point_typed,
    consequence=N_("What was used until the last reading keeps its price."),
)  # fmt: skip
REMOVE_POINT: Final = Act(
    "point.remove", Verb.DEVICE_EDIT, f"{_POINT}/remove", N_("Remove point"), Why, None,
    _remove_point, tag=_TAG, about=_about_point, danger=True,
    consequence=N_("The point is gone. One that ever had a meter cannot be removed."),
)  # fmt: skip
ADD_METER: Final = Act(
    "meter.add", Verb.DEVICE_EDIT, _METERS, N_("Add meter"), NewMeter, shapes.Made, _add_meter,
    tag=_TAG, then=_one,
)  # fmt: skip
EDIT_METER: Final = Act(
    "meter.edit", Verb.DEVICE_EDIT, _METER, N_("Edit meter"), MeterChange, shapes.Made,
    _edit_meter, method="PUT", tag=_TAG, typed=_meter_typed,
)  # fmt: skip
ADD_FOUND: Final = Act(
    "meter.add_found", Verb.DEVICE_EDIT, "/projects/{project_id}/gateways/{gateway_id}/meters",
    N_("Add meters"), Found, shapes.Counted, _add_found, tag=_TAG, about=_about_gateway,
)  # fmt: skip
ADD_SCANNED: Final = Act(
    "meter.add_scanned", Verb.DEVICE_EDIT, "/projects/{project_id}/scans/{task_id}/meters",
    N_("Add the new meters"), NoFields, shapes.Counted, _add_scanned, tag=_TAG, about=_about_scan,
    consequence=N_("They are read once they are assigned to rooms."),
)  # fmt: skip
HANG: Final = Act(
    "meter.assign", Verb.DEVICE_EDIT, f"{_METER}/assign", N_("Assign to a room"), Hang,
    shapes.Made, _hang, tag=_TAG, about=about_meter,
    consequence=N_("From now on what this meter counts is charged there."),
)  # fmt: skip
REMOVE_METER: Final = Act(
    "meter.remove", Verb.DEVICE_EDIT, f"{_METER}/remove", N_("Remove meter"), Why, None,
    _remove_meter, tag=_TAG, about=about_meter, danger=True, then=_list,
    consequence=N_("It is read no more. Read it once before, or what it counted since is lost."),
)  # fmt: skip

ACTS: Final = (
    ADD_POINT, EDIT_POINT, REMOVE_POINT, ADD_METER, EDIT_METER, ADD_FOUND, ADD_SCANNED, HANG,
    REMOVE_METER,
)  # fmt: skip
