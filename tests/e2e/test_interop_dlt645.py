"""An independent client (the package `dlt645`) reads our simulated meter over TCP."""

from datetime import UTC, datetime

import pytest
from dlt645.aio import AsyncMeterClientService

from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town
from meterhouse.wire.dlt645 import encode_address

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


@pytest.fixture
async def reading():
    """A town of one listening gateway, and the foreign client connected to it."""
    town = Town(plan_town(seed=5, meters=3, gateways=1), lambda: NOON)
    async with town.listening("127.0.0.1") as ports:
        (port,) = ports.values()
        async with AsyncMeterClientService.new_tcp_client("127.0.0.1", port, 5.0) as client:
            yield town, client


def call(client, address):
    # The package takes an address in wire order, low pair first.
    assert client.set_address(encode_address(address).hex())


async def test_reads_energy_total_and_bands(reading):
    town, client = reading
    for address in town.meters:
        call(client, address)
        registers_wh = town.meter(address).registers_wh()
        assert registers_wh[0] > 0
        for index, register_wh in enumerate(registers_wh):
            item = await client.read_00(0x00010000 + (index << 8))
            assert round(item.value * 100) == register_wh // 10


async def test_reads_voltage_current_and_power(reading):
    town, client = reading
    address = next(a for a, meter in town.meters.items() if meter.model.phases == 3)
    call(client, address)
    live = town.meter(address).live()
    for phase in range(3):
        voltage = await client.read_02(0x02010100 + (phase << 8))
        assert round(voltage.value * 10) == live.voltage_dv[phase]
        current = await client.read_02(0x02020100 + (phase << 8))
        assert round(current.value * 1000) == live.current_ma[phase]
    power = await client.read_02(0x02030000)
    assert round(power.value * 10_000) == sum(mw // 100 for mw in live.power_mw)


async def test_reads_status_word_and_clock(reading):
    town, client = reading
    address = next(iter(town.meters))
    call(client, address)
    town.meter(address).trip()
    word = await client.read_04(0x04000503)
    assert int(word.value, 16) & 0x50 == 0x50
    shown = await client.read_04(0x04000102)
    assert abs(int(shown.value) - 120000) < 100 or shown.value.startswith("1159")


async def test_asks_a_meter_alone_on_the_line_for_its_address():
    town = Town(plan_town(seed=5, meters=3, gateways=3), lambda: NOON)
    async with town.listening("127.0.0.1") as ports:
        port = next(iter(ports.values()))
        async with AsyncMeterClientService.new_tcp_client("127.0.0.1", port, 5.0) as client:
            item = await client.read_address()
    assert item.value == encode_address(next(iter(town.meters))).hex()


async def test_hears_nothing_of_an_absent_meter(reading):
    _, client = reading
    client.client.timeout = 0.05
    call(client, "240000009999")
    assert await client.read_00(0x00010000) is None
