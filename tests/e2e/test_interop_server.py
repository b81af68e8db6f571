"""Our head end dials the server of an independent package (`dlt645`) and reads it."""

from dataclasses import replace

import pytest
from dlt645.aio import AsyncMeterServerService

from meterhouse import meter_models
from meterhouse.drivers.dlt645 import driver as dlt645_driver
from meterhouse.flows import onboard
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.wire.dlt645 import encode_address
from premises import MODEL
from townhall import HOST, INTERVAL, SPEED, eventually

ADDRESS = "240000000042"
TOTAL = 0x00010000


@pytest.fixture(autouse=True)
def total_alone(monkeypatch):
    """The foreign server knows single registers, not blocks, and no status word."""
    monkeypatch.setattr(
        dlt645_driver, "load", lambda name: replace(meter_models.load(name), round=(TOTAL,))
    )


@pytest.fixture
async def foreign():
    """The foreign server, listening as one meter."""
    service = AsyncMeterServerService.new_tcp_server(HOST, 0)
    assert service.set_address(encode_address(ADDRESS))
    async with service:
        yield service


async def test_reads_the_energy_total_into_the_books(foreign, site, clock, db):
    gateway_id = await onboard.add_gateway(
        db, site.project_id, "foreign", "foreign", "dial_out", f"{HOST}:{foreign.server.port}"
    )
    room = onboard.NewRoom(
        site.floor_id, "foreign", 9, None, site.tariff_id, MODEL, ADDRESS, gateway_id, clock(),
        customer_name="Somebody",
    )  # fmt: skip
    (made,) = await onboard.add_rooms(db, site.project_id, [room])
    assert foreign.set_00(TOTAL, 1234.56)
    head = HeadEnd(db, clock, HeadEndSettings(HOST, 0, SPEED, "tcp"))
    await head.start()
    try:
        query = "select total_milli from reading where meter_id = $1 order by read_at"
        assert await eventually(lambda: site.rows(query, made.meter_id)) == [
            {"total_milli": 1_234_560}
        ]
        assert foreign.set_00(TOTAL, 1236.57)
        clock.at += INTERVAL
        await eventually(lambda: _count(site.rows(query, made.meter_id), 2))
        charge = await site.row("select energy_milli, amount_nano from charge")
        assert charge == {"energy_milli": 2_010, "amount_nano": 2_010 * 600_000}
    finally:
        await head.stop()


async def _count(rows, wanted):
    return len(await rows) == wanted
