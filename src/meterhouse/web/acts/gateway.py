"""Acts on gateways."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import device
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.device import GatewayFacts
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, Why
from meterhouse.web.acts.typed import Short, Version
from meterhouse.web.api import setup as shapes
from meterhouse.words import N_

_TAG: Final = "devices"
_ALL: Final = "/projects/{project_id}/gateways"
_ONE: Final = f"{_ALL}/{{gateway_id}}"

Protocol = Annotated[
    str, StringConstraints(pattern="^dlt645-(2007|1997)$"),
    Field(examples=["dlt645-2007"]),
    Ask(N_("Protocol"), kind="choice", words=labels.PROTOCOL),
]  # fmt: skip


class NewGateway(Form):
    """A gateway as it shall be."""

    name: Annotated[Name, Ask(N_("Gateway name"), hint=N_("What people here call it"))]
    """What people call it."""
    registration: Annotated[
        str, StringConstraints(pattern=r"^[\x21-\x7e]{1,60}$"),
        Ask(N_("Registration"), hint=N_("The text it sends first, set in the gateway itself")),
    ] = Field(examples=["MHGW00000001"])  # fmt: skip
    """The text it registers with; no other gateway has it."""
    direction: Annotated[
        labels.Direction,
        Ask(N_("Direction"), kind="choice",
            words={one.value: word for one, word in labels.DIRECTION.items()}),
    ] = labels.Direction.DIAL_IN  # fmt: skip
    """dial_in: it calls us; dial_out: we call it."""
    address: Annotated[
        str, Short, Ask(N_("Network address"), hint=N_("host:port, only if we call it"))
    ] = Field(default="", examples=["10.0.0.7:4001"])
    """host:port of one that we call; empty for one that calls us."""
    protocol: Protocol = "dlt645-2007"
    """What the meters on its line speak."""


class GatewayChange(NewGateway):
    """A gateway as it shall be from now on."""

    version: Version
    """The version it was read at."""


def _facts(form: NewGateway) -> GatewayFacts:
    return GatewayFacts(
        form.name, form.registration, form.direction, form.address or None, form.protocol
    )


async def _add(doing: Doing, form: NewGateway) -> Done:
    """Add a gateway; the head end knows it at once."""
    made = await device.add_gateway(doing.db, doing.project_id, _facts(form))
    return Done(f"gateway:{made}", {"id": made}, after=form.model_dump(mode="json"))


async def _edit(doing: Doing, form: GatewayChange) -> Done:
    """Change a gateway's name, registration, direction or address."""
    gateway_id = doing.ids["gateway_id"]
    was = await device.edit_gateway(
        doing.db, doing.project_id, gateway_id, form.version, _facts(form)
    )
    after = form.model_dump(mode="json", exclude={"version"})
    before = {key: was[key] for key in after}
    return Done(f"gateway:{gateway_id}", {"id": gateway_id}, before, after)


async def _remove(doing: Doing, form: Why) -> Done:
    """Take a gateway out of use on which no meter hangs."""
    gateway_id = doing.ids["gateway_id"]
    was = await device.remove_gateway(doing.db, doing.project_id, gateway_id, doing.doer.at)
    before = {"name": was["name"], "registration": was["registration"]}
    return Done(f"gateway:{gateway_id}", before=before, reason=form.reason)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    row = (await device.gateway(doing.db, doing.project_id, doing.ids["gateway_id"])).row
    names = ("name", "registration", "direction", "protocol", "version")
    return {name: row[name] for name in names} | {"address": row["address"] or ""}


async def _about(doing: Doing) -> Choices:
    now = await device.gateway(doing.db, doing.project_id, doing.ids["gateway_id"])
    return ((N_("Gateway"), now.row["name"]), (N_("Meters"), str(len(now.meters))))


def _list(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/gateways"


def _one(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/gateways/{answer['id']}"


ADD: Final = Act(
    "gateway.add", Verb.DEVICE_EDIT, _ALL, N_("Add gateway"), NewGateway, shapes.Made, _add,
    tag=_TAG, then=_one,
)  # fmt: skip
EDIT: Final = Act(
    "gateway.edit", Verb.DEVICE_EDIT, _ONE, N_("Edit gateway"), GatewayChange, shapes.Made, _edit,
    method="PUT", tag=_TAG, typed=_typed,
)  # fmt: skip
REMOVE: Final = Act(
    "gateway.remove", Verb.DEVICE_EDIT, f"{_ONE}/remove", N_("Remove gateway"), Why, None, _remove,
    tag=_TAG, danger=True, about=_about, then=_list,
    consequence=N_("Its line is closed, and it is refused when it calls again."),
)  # fmt: skip

ACTS: Final = (ADD, EDIT, REMOVE)
