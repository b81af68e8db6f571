"""`meterhouse bench`: measure this machine, one room of `meterhouse.bench` after the other.

Owns the list of what can be measured and how figures are shown. Must never measure by itself. Rooms
are imported when their turn comes, because compiling kernels takes longer than most measurements.
"""

import asyncio
import inspect
import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import typer
import uvloop

from meterhouse.config import Settings
from meterhouse.errors import BadInput

ROOMS = {
    "decode": "one energy-block reply to integers",
    "rate": "readings judged and intervals rated, in memory",
    "bill": "a year's bill, against NREL's PySAM where it is installed",
    "town": "a simulated town of 10,000 meters",
    "ingest": "a round of 100,000 points to committed money",
    "late": "a round with a tenth late, against a clean one",
    "million": "the same with 1,000,000 points present",
    "wire": "simulated gateways over TCP to committed money",
    "disconnect": "reading arrived to disconnect on the wire",
    "board": "the room monitor of 2,000 rooms",
    "search": "one box over 100,000 points",
    "desk": "the desk's search over 1,000,000 accounts",
    "sell": "recharges one by one against bare commits",
    "export": "a list of 100,000 rows as a file",
    "permission": "one permission check, in memory",
    "signin": "signing in, and how much of it is argon2",
    "lists": "lists of 100,000 points under fifty readers",
    "receipt": "a receipt from its values to a file",
    "close": "a million accruals booked in the daily close",
    "replay": "a year of 1,000 accounts rated again, from the database",
    "audit": "an act with its entry; entries sealed and proven",
}


class BenchUnknown(BadInput):
    """There is no measurement {name}; choose among {known}."""

    code = "bench_unknown"

    def __init__(self, name: str) -> None:
        super().__init__(name=name, known=", ".join(ROOMS))


def measure(settings: Settings, names: list[str], as_json: bool) -> None:
    """Run the named measurements, or all, and print their figures.

    Raises:
        BenchUnknown: one of the names is none.
    """
    for name in names:
        if name not in ROOMS:
            raise BenchUnknown(name)
    machine = _machine()
    if not as_json:
        typer.echo(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}\n")
    for name in names or ROOMS:
        if not as_json:
            typer.echo(f"{name}: {ROOMS[name]} …", err=True)
        for figure in _figures(name, settings):
            typer.echo(
                json.dumps(figure | {"machine": machine}, ensure_ascii=False)
                if as_json
                else _line(figure)
            )


def _figures(name: str, settings: Settings) -> list[dict[str, Any]]:
    work = import_module(f"meterhouse.bench.{name}").figures
    if not inspect.iscoroutinefunction(work):
        return cast(list[dict[str, Any]], work())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return cast(list[dict[str, Any]], runner.run(work(settings)))


def _line(figure: dict[str, Any]) -> str:
    """A figure for people: name, value, unit, and how it stands to its reference."""
    line = f"  {figure['name']:<28} {figure['value']:>14,} {figure['unit']:<24}"
    if figure.get("reference") is not None:
        line += f" reference {figure['reference']:,}, ratio {figure['ratio']}"
    return line.rstrip()


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "argv": " ".join(sys.argv[1:]),
    }


def _cpu_model() -> str:
    """What the processor calls itself."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown processor"
