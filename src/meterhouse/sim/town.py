"""A living town: the meters, buses and gateways of a spec, on a clock that is handed in.

Owns putting the parts together and addressing them. Must never ask the time itself, so the town
can live faster than we do. Meters are asked at the clock's instant; the same requests at the same
instants get the same bytes from two towns of one seed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from meterhouse.meter_models import load
from meterhouse.ports import Clock
from meterhouse.sim.answers import MeterFace
from meterhouse.sim.bus import Bus, LineTiming
from meterhouse.sim.dice import mix
from meterhouse.sim.faults import Faults
from meterhouse.sim.gateway import LinkHabits, SimGateway, Traffic
from meterhouse.sim.instant import town_ms
from meterhouse.sim.meter import SimMeter
from meterhouse.sim.spec import MeterSpec, TownSpec


class Town:
    """Meters and gateways of a spec.

    `meters` and `gateway_of` are found by address, `gateways` by registration. A gateway's switches
    for faults are `town.gateway_of[address].bus.faults`.

    Args:
        spec: the town's parts.
        clock: gives the present instant of the town.
        timing: RS-485 timing of every bus; None answers at once.
        habits: heartbeat and reconnection of every gateway.
        ending: what closes a registration packet.
    """

    def __init__(
        self,
        spec: TownSpec,
        clock: Clock,
        *,
        timing: LineTiming | None = None,
        habits: LinkHabits | None = None,
        ending: bytes = b"\r\n",
    ) -> None:
        self.spec = spec
        self._clock = clock
        self.traffic = Traffic()
        start_ms = self.now_ms()
        faces = {each.address: face_of(each, start_ms, spec.utc_offset_ms) for each in spec.meters}
        self.meters = {address: face.meter for address, face in faces.items()}
        self.gateways: dict[str, SimGateway] = {}
        self.gateway_of: dict[str, SimGateway] = {}
        for index, each in enumerate(spec.gateways):
            seed = mix(spec.seed, index)
            members = [faces[address] for address in each.meters]
            bus = Bus(members, faults=Faults(seed), timing=timing, seed=seed)
            gateway = SimGateway(
                bus,
                self.now_ms,
                registration=each.registration.encode("ascii") + ending,
                habits=habits,
                traffic=self.traffic,
                seed=seed,
            )
            self.gateways[each.registration] = gateway
            self.gateway_of |= dict.fromkeys(each.meters, gateway)

    def present(self) -> datetime:
        """The town's present instant."""
        return self._clock()

    def now_ms(self) -> int:
        """The same in the town's milliseconds."""
        return town_ms(self._clock())

    def meter(self, address: str) -> SimMeter:
        """One meter, brought to the present."""
        meter = self.meters[address]
        meter.advance(self.now_ms())
        return meter

    async def dial(self, host: str, port: int) -> None:
        """Let every gateway dial a head end and stay, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for gateway in self.gateways.values():
                group.create_task(gateway.dial(host, port))

    @asynccontextmanager
    async def listening(self, host: str, port: int = 0) -> AsyncIterator[dict[str, int]]:
        """Let every gateway listen: on consecutive ports, or on free ones when `port` is 0.

        Gives the port of each registration; at the end of the block all are closed.
        """
        async with AsyncExitStack() as stack:
            ports: dict[str, int] = {}
            for index, (registration, gateway) in enumerate(self.gateways.items()):
                wanted_port = port + index if port else 0
                ports[registration] = await stack.enter_async_context(
                    gateway.listening(host, wanted_port)
                )
            yield ports


def face_of(spec: MeterSpec, start_ms: int, utc_offset_ms: int) -> MeterFace:
    """The meter of a spec, switched on at a town time, with its face to the bus."""
    return MeterFace(SimMeter(spec, load(spec.model), start_ms, utc_offset_ms))
