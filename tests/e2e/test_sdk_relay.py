"""A program takes over: through the SDK it reads rooms, switches a meter, and pays.

The application, the head end and a simulated meter are real; only the clock stands still.
"""

from decimal import Decimal

import httpx
import pytest

import fresh_sdk  # noqa: F401  # before anything imports the SDK
from meterhouse.flows import access
from meterhouse.model import Relay
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse_sdk import AsyncClient
from meterhouse_sdk.shapes import CommandState
from townhall import open_hall


@pytest.fixture
async def hall(db, clock):
    async with open_hall(db, clock, meters=3) as made:
        await made.read_at_present(0)
        yield made


@pytest.fixture
async def client(hall):
    site = hall.site
    _, key = await access.add_client(
        site.db, "erp", "ERP", "project_manager", "project", site.project_id, site.clock()
    )
    app = create_app(Services(site.db, site.clock, WebSettings(secure_cookies=False)))
    async with AsyncClient("http://desk", key, transport=httpx.ASGITransport(app=app)) as one:
        yield one


async def test_a_disconnect_is_followed_until_the_meter_itself_reports_it(hall, client):
    project_id, meter_id = hall.site.project_id, hall.site.meters[0]
    asked = await client.meters.disconnect(project_id, meter_id, reason="repair")
    assert asked.state is CommandState.QUEUED
    done = await client.wait_for(project_id, asked, timeout_s=20)
    assert done.state is CommandState.CONFIRMED
    assert await hall.relay(0) is Relay.OPEN
    back = await client.meters.connect(project_id, meter_id, reason="repaired")
    assert (await client.wait_for(project_id, back, timeout_s=20)).state == "confirmed"
    assert await hall.relay(0) is Relay.CLOSED


async def test_what_is_paid_and_read_is_what_the_room_shows(hall, client):
    project_id = hall.site.project_id
    board = await client.room_changes.list(project_id, since=0)
    room = await client.rooms.get(project_id, board.items[0].id)
    (point,) = room.points
    paid = await client.credits.add(project_id, point.id, amount=Decimal("10.00"))
    assert paid.available.amount == point.available.amount + 10
    assert point.registers[0].unit == "kWh"
    assert point.registers[0].amount * 1000 == hall.shown(0)[0]
    changed = await client.room_changes.list(project_id, since=board.version)
    assert room.id in [one.id for one in changed.items]
