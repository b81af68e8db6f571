"""The town as a whole: addresses, gateways and clocks fit together."""

import asyncio
from datetime import UTC, datetime, timedelta

from meterhouse.sim.faults import Fault
from meterhouse.sim.instant import town_ms
from meterhouse.sim.plan import plan_town
from meterhouse.sim.spec import TownSpec
from meterhouse.sim.town import Town
from meterhouse.wire.dlt645 import Frame

START = datetime(2026, 3, 2, 4, tzinfo=UTC)
READS = [bytes.fromhex(head) for head in ("00ff0100", "03050004", "00ff0302", "02010004")]


class Clock:
    def __init__(self, present=START):
        self.present = present

    def __call__(self):
        return self.present


def transcript(spec, *, faults=()):
    """Everything a town answers to a day of rounds, in bytes."""
    clock = Clock()
    town = Town(spec, clock)
    for gateway in town.gateways.values():
        for fault in faults:
            gateway.bus.faults.switch_on(fault, permille=200)
    said = []
    for _ in range(12):
        clock.present += timedelta(hours=2, seconds=17)
        for registration, planned in zip(town.gateways, spec.gateways, strict=True):
            bus = town.gateways[registration].bus
            for address in planned.meters:
                for head in READS:
                    reply = bus.exchange(Frame(address, 0x11, head), town.now_ms())
                    said.append(None if reply is None else (reply.data, reply.delay_ms))
    return said


def test_the_same_seed_answers_the_same_bytes():
    first = transcript(plan_town(9, 24, 3))
    assert first == transcript(plan_town(9, 24, 3))
    assert first == transcript(TownSpec.from_json(plan_town(9, 24, 3).to_json()))
    assert first != transcript(plan_town(10, 24, 3))
    assert None not in first


def test_the_same_seed_fails_in_the_same_way():
    faults = (Fault.SILENCE, Fault.GARBAGE, Fault.CORRUPT_CHECKSUM, Fault.DOUBLED_FRAME)
    first = transcript(plan_town(9, 12, 2), faults=faults)
    assert first == transcript(plan_town(9, 12, 2), faults=faults)
    assert None in first


def test_a_meter_is_brought_to_the_present():
    clock = Clock()
    town = Town(plan_town(9, 12, 2), clock)
    address = next(iter(town.meters))
    before_wh = town.meter(address).registers_wh()[0]
    clock.present += timedelta(days=1)
    assert town.meter(address).registers_wh()[0] > before_wh
    assert town.meter(address).now_ms == town_ms(clock.present) == town.now_ms()
    assert town.present() == clock.present


def test_a_fault_finds_its_meter():
    town = Town(plan_town(9, 12, 2), Clock())
    first, *_, last = town.meters
    assert town.gateway_of[first] is not town.gateway_of[last]
    town.gateway_of[last].bus.faults.switch_on(Fault.SILENCE, where=last)
    for address, answers in ((first, True), (last, False)):
        bus = town.gateway_of[address].bus
        reply = bus.exchange(Frame(address, 0x11, READS[0]), town.now_ms())
        assert (reply is not None) is answers


async def test_every_gateway_listens_on_a_port_of_its_own():
    town = Town(plan_town(9, 12, 4), Clock())
    async with town.listening("127.0.0.1") as ports:
        assert list(ports) == list(town.gateways)
        assert len(set(ports.values())) == 4


async def test_every_gateway_dials_and_says_its_name():
    town = Town(plan_town(9, 12, 4), Clock(), ending=b"#")
    said, writers = set(), []
    everybody = asyncio.Event()

    async def take(reader, writer):
        writers.append(writer)
        said.add(await reader.readuntil(b"#"))
        if len(said) == len(town.gateways):
            everybody.set()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    dialling = asyncio.create_task(town.dial("127.0.0.1", server.sockets[0].getsockname()[1]))
    async with asyncio.timeout(5):
        await everybody.wait()
    assert said == {f"MHGW{n:08d}#".encode() for n in range(1, 5)}
    assert town.traffic.connections == 4
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)
    server.close()
    for writer in writers:
        writer.close()
    await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)
