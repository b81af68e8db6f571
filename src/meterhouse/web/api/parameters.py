"""What meters were told to hold and what they said they hold, in `/api/v1`.

Owns what other software may rely on. Must never know what a setting is for.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import Field

from meterhouse.flows import parameter
from meterhouse.flows.access import Verb
from meterhouse.flows.parameter import Sent
from meterhouse.model import CommandKind, CommandState
from meterhouse.web.access import database_of
from meterhouse.web.api import schemas
from meterhouse.web.api.schemas import At, Id, Shape
from meterhouse.web.api.v1 import KEYED, MeterId, NumberedRoute, ProjectId, may

router = APIRouter(**KEYED, route_class=NumberedRoute)
SETTINGS_MAX: Final = 100


class Setting(Shape):
    """One setting of a meter."""

    name: str = schemas.text("price_1", "standby_price_1", "alarm_amount_1", most=60)
    """Its name in the meter's model."""
    wanted: str = schemas.text("0.6000", most=400)
    """What the meter should hold, as its register writes it."""
    said: Annotated[str, Field(max_length=400, examples=["0.6000"])] | None
    """What it was read to hold on that occasion; null where it was not read."""


class SentSettings(Shape):
    """The last command of its kind that carried settings to a meter."""

    command_id: Id
    """The command."""
    kind: CommandKind
    """`tariff`: prices sent, `setting`: warnings sent, `check`: prices read back."""
    state: CommandState
    """`confirmed`: everything was read back as wanted; anything else: not applied, or in doubt."""
    why: str = schemas.text("", "differs", most=60)
    """Why it ended so, as a stable code; empty when done."""
    asked_at: At
    """When it was asked for."""
    ended_at: At | None
    """When it ended; null while it lives."""
    tariff_id: Id | None
    """The tariff the prices are of; null for warnings."""
    version: Annotated[int, Field(ge=1, le=1_000, examples=[2])] | None
    """The tariff's version; null for warnings."""
    takes_effect_at: At | None
    """When the prices come, or came, into force; null for warnings, which hold at once."""
    settings: list[Setting] = Field(max_length=SETTINGS_MAX)
    """Setting by setting."""


class MeterSettings(Shape):
    """What a meter was last told to hold, and what it said it holds."""

    items: list[SentSettings] = Field(max_length=3)
    """One for each kind there was."""


def _shape(sent: Sent) -> SentSettings:
    return SentSettings(
        command_id=sent.id, kind=sent.kind, state=sent.state, why=sent.why,
        asked_at=sent.asked_at, ended_at=sent.ended_at, tariff_id=sent.tariff_id,
        version=sent.version, takes_effect_at=sent.switch_at,
        settings=[Setting(name=one.name, wanted=one.wanted, said=one.said)
                  for one in sent.settings],
    )  # fmt: skip


@router.get(
    "/projects/{project_id}/meters/{meter_id}/settings",
    dependencies=may(Verb.DEVICE_READ),
    tags=["devices"],
)
async def get_meter_settings(
    request: Request, project_id: ProjectId, meter_id: MeterId
) -> MeterSettings:
    """What a meter was told to hold and what was read back; empty where nothing was sent."""
    held = await parameter.held(database_of(request), project_id, meter_id)
    return MeterSettings(items=[_shape(sent) for sent in held.values()])
