"""`meterhouse sim`: a fleet of simulated meters behind gateways that dial a head end or listen.

Owns the fleet's life from the command line: its clock, its status line, its clean end. Must never
know what the meters do; that is `meterhouse.sim`.
"""

import asyncio
import signal
import time
from datetime import UTC, datetime, timedelta

import uvloop

from meterhouse.ports import Clock
from meterhouse.sim.bus import LineTiming
from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town

STATUS_S = 5


def fast_clock(speed: int) -> Clock:
    """A clock that starts at the present instant and runs `speed` times as fast."""
    started_at = datetime.now(UTC)
    started_s = time.monotonic()
    return lambda: started_at + timedelta(seconds=(time.monotonic() - started_s) * speed)


def run_fleet(
    meters: int,
    gateways: int,
    host: str,
    port: int,
    seed: int,
    speed: int = 1,
    *,
    listen: bool = False,
    baud: int | None = None,
) -> None:
    """Run a fleet until SIGINT or SIGTERM.

    Args:
        meters: number of meters, at least 3.
        gateways: number of gateways that share them.
        host: where the head end listens; where the fleet listens with `listen`.
        port: the head end's port; the first of the fleet's with `listen`.
        seed: the same seed gives the same town.
        speed: how many times faster than real time the town lives.
        listen: gateways wait for the head end to dial out.
        baud: RS-485 speed to imitate, in bit/s; None answers at once.
    """
    town = Town(
        plan_town(seed, meters, gateways),
        fast_clock(speed),
        timing=LineTiming(baud) if baud else None,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(town, host, port, listen))


async def _live(town: Town, host: str, port: int, listen: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, ended.set)
    _say(f"{len(town.meters)} meters behind {len(town.gateways)} gateways, seed {town.spec.seed}")
    if listen:
        async with town.listening(host, port) as ports:
            _say(f"listening on {host}, ports {min(ports.values())} to {max(ports.values())}")
            await _report_until(ended, town)
    else:
        _say(f"dialling {host}:{port}")
        dialling = asyncio.create_task(town.dial(host, port))
        await _report_until(ended, town)
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
    _say(f"ended after {town.traffic.answers} answers")


async def _report_until(ended: asyncio.Event, town: Town) -> None:
    """Print a status line every few seconds until the fleet is to end."""
    before = 0
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), STATUS_S)
        except TimeoutError:
            traffic = town.traffic
            rate = (traffic.answers - before) // STATUS_S
            before = traffic.answers
            _say(
                f"{town.present():%Y-%m-%d %H:%M} UTC  {traffic.connections} connections  "
                f"{traffic.answers} answers  {rate}/s"
            )


def _say(line: str) -> None:
    # Whoever started the fleet may be reading its pipe line by line.
    print(line, flush=True)
