"""The SDK and the real application: what is read, what is paid, and what a lost answer costs."""

import asyncio
import runpy
import socket
from decimal import Decimal

import httpx
import pytest
import uvicorn

import fresh_sdk  # noqa: F401  # before anything imports the SDK
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse_sdk import AsyncClient, Client, errors, shapes
from small_site import NOW, small_site
from tidy import ROOT


@pytest.fixture(scope="module")
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture(scope="module")
def app(site):
    return create_app(Services(site.db, lambda: NOW, WebSettings(secure_cookies=False)))


@pytest.fixture(scope="module")
async def address(app):
    """Where the application listens, on this event loop; blocking clients need another thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
    listener.close()


@pytest.fixture
async def client(app, site):
    transport = httpx.ASGITransport(app=app)
    async with AsyncClient("http://desk", site.key, transport=transport) as one:
        yield one


class Losing(httpx.BaseTransport):
    """A line that breaks after the platform did what it was asked, `times` times."""

    def __init__(self, times):
        self.line, self.times = httpx.HTTPTransport(), times

    def handle_request(self, request):
        answer = self.line.handle_request(request)
        if self.times:
            self.times -= 1
            answer.read()
            raise httpx.ReadError("the line broke")
        return answer

    def close(self):
        self.line.close()


class AsyncLosing(httpx.ASGITransport):
    """The same for a client that is awaited."""

    times = 2

    async def handle_async_request(self, request):
        answer = await super().handle_async_request(request)
        if self.times:
            self.times -= 1
            raise httpx.ReadError("the line broke")
        return answer


def available(room):
    return room.points[0].available.amount


async def test_rooms_are_read_exactly(client, site):
    (project,) = [one async for one in client.projects.list()]
    assert (project.id, project.currency) == (site.project_id, "CNY")
    by_name = {room.name: room async for room in client.rooms.list(project.id)}
    assert by_name["A101"].available == shapes.Money(amount=Decimal("194.00"), currency="CNY")
    assert by_name["B102"].state is shapes.RoomState.OFFLINE
    room = await client.rooms.get(project.id, by_name["A101"].id)
    today = room.points[0].days[-1]
    assert today.energy == shapes.Quantity(amount=Decimal(4), unit="kWh")
    assert today.cost.amount == Decimal(2)


async def test_a_lost_answer_pays_once(app, site):
    room, pauses_s = site.rooms["A101"], []

    async def sleep(pause_s):
        pauses_s.append(pause_s)

    transport = AsyncLosing(app=app)
    async with AsyncClient("http://desk", site.key, transport=transport, sleep=sleep) as client:
        before = available(await _room(client, site, room))
        pauses_s.clear()
        transport.times = 2
        paid = await client.credits.add(site.project_id, room.point_id, amount=Decimal("12.34"))
        assert len(pauses_s) == 2
        assert paid.available.amount == before + Decimal("12.34")
        assert available(await _room(client, site, room)) == paid.available.amount


async def _room(client, site, room):
    return await client.rooms.get(site.project_id, room.place_id)


async def test_a_lost_answer_pays_once_over_a_socket(address, site):
    room, transport = site.rooms["A102"], Losing(times=0)

    def work():
        with Client(address, site.key, transport=transport, sleep=lambda _: None) as client:
            before = available(client.rooms.get(site.project_id, room.place_id))
            transport.times = 1
            paid = client.credits.add(
                site.project_id, room.point_id, amount=Decimal("50"), channel="card"
            )
            again = available(client.rooms.get(site.project_id, room.place_id))
            return paid, before, again

    paid, before, after = await asyncio.to_thread(work)
    assert paid.amount.amount == 50
    assert after == paid.available.amount == before + 50


async def test_the_till_of_the_guide_takes_an_order_once(address, site, monkeypatch, capsys):
    till = runpy.run_path(str(ROOT / "docs" / "guides" / "till.py"))
    monkeypatch.setenv("METERHOUSE_KEY", site.key)
    for _ in range(2):
        order = (address, str(site.project_id), "A103", "50.00", "order-a103")
        await asyncio.to_thread(till["main"], *order)
    first, second = capsys.readouterr().out.split("A栋 A103: 50.00 CNY\n")[1:]
    assert first == second
    assert first.startswith("Payment ")


async def test_the_same_key_is_the_same_act(client, site):
    room = site.rooms["B101"]
    pay = {"idempotency_key": "order-4711"}
    first = await client.credits.add(site.project_id, room.point_id, amount=Decimal(5), **pay)
    again = await client.credits.add(site.project_id, room.point_id, amount=Decimal(5), **pay)
    assert again == first
    with pytest.raises(errors.KeyReused):
        await client.credits.add(site.project_id, room.point_id, amount=Decimal(6), **pay)


async def test_refusals_have_their_classes(app, client, site):
    room = site.rooms["B102"]
    with pytest.raises(errors.FieldsInvalid):
        await client.meters.disconnect(site.project_id, room.meter_id, reason="x")
    with pytest.raises(errors.BadInput) as caught:
        await client.credits.add(site.project_id, room.point_id, amount=Decimal("0.001"))
    assert caught.value.code == "amount_unusable"
    with pytest.raises(errors.NotFound):
        await client.rooms.list(site.other_id).page()
    transport = httpx.ASGITransport(app=app)
    async with AsyncClient("http://desk", site.other_key, transport=transport) as reader:
        with pytest.raises(errors.NotAllowed) as caught:
            await reader.meters.disconnect(site.other_id, 1, reason="repair")
        assert len(caught.value.request_id) == 16
    async with AsyncClient("http://desk", "mh_guess", transport=transport) as stranger:
        with pytest.raises(errors.NotSignedIn):
            await stranger.projects.list().page()
