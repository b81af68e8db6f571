"""A process that works through an endless stream of readings, payments and bookings.

Started as `python -m crashing`, this is a nursery: it imports and compiles everything once, forks a
child that does the work whenever it is told to, and says how that child ended. A child begins with
nothing but what was imported, so to kill and to start one costs milliseconds. What an item of the
stream holds follows from its number alone; an acknowledgement is a line in a file, written and
synced only after the flow has returned.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from meterhouse.flows import close, reading, recharge
from meterhouse.flows.prices import Tariffs
from meterhouse.rating.warm import warm
from meterhouse.store.db import Address, Database, DatabaseUnreachable
from meterhouse.units import Minor
from premises import MORNING, Said, batch_of

METERS = 100
STEP = timedelta(minutes=10)
LATE = 1
LATE_BY = 4
PAYMENT_EVERY = 3
BOOKING_EVERY = 20
PAYMENT_MINOR = Minor(700)
RETRY_S = 0.01


def at_of(item: int) -> datetime:
    """When an item happens."""
    return MORNING + item * STEP


def is_payment(item: int) -> bool:
    """Whether an item is a payment; its key is its number."""
    return item % PAYMENT_EVERY == 1


def is_booking(item: int) -> bool:
    """Whether an item books a day."""
    return item % BOOKING_EVERY == 0


def is_late(item: int, meter: int) -> bool:
    """Whether a meter's reading of an item comes `LATE_BY` items later."""
    return (item * 7 - meter) % METERS < LATE


def said(item: int, meter: int) -> Said:
    """What a meter shows at the time of an item; meters are numbered from 1."""
    return meter, at_of(item), 10 * (1000 * meter + item * (3 + meter % 17))


def readings_of(item: int) -> list[Said]:
    """What arrives with an item: its own readings but for the late ones, and older late ones."""
    if is_payment(item) or is_booking(item):
        return []
    rows = [said(item, meter) for meter in range(1, METERS + 1) if not is_late(item, meter)]
    old = item - LATE_BY
    if old >= 0:
        rows += [said(old, meter) for meter in range(1, METERS + 1) if is_late(old, meter)]
    return rows


def readings_before(end: int) -> Iterator[Said]:
    """Everything that has arrived with the items before `end`."""
    for item in range(end):
        yield from readings_of(item)


async def work_on(db: Database, tariffs: Tariffs, item: int) -> None:
    """Let one item happen. To repeat it is harmless."""
    at = at_of(item)
    if is_payment(item):
        await recharge.add_credit(
            db, 1, 1 + item % METERS, PAYMENT_MINOR, "cash", str(item), "", None, at
        )
    elif is_booking(item):
        await close.book_day(db, 1, at)
    else:
        await reading.ingest(db, tariffs, 1, batch_of(readings_of(item)), at)


def last_acknowledged(acknowledged: Path) -> int:
    """The last item whose line is whole; −1 before the first."""
    lines = acknowledged.read_bytes().split(b"\n")[:-1]
    return int(lines[-1]) if lines else -1


async def run(address: Address, acknowledged: Path, until: Path, first: int) -> None:
    """Work from an item on until the item that the file `until` names, once it is there."""
    parent = os.getppid()
    db = Database(address, size=2)
    tariffs = Tariffs()
    item, is_open = first, False
    with acknowledged.open("ab") as file:
        while not (until.exists() and item >= int(until.read_text())):
            if os.getppid() != parent:
                return  # nobody is left who could stop us
            try:
                if not is_open:
                    await db.open()
                    is_open = True
                await work_on(db, tariffs, item)
            except DatabaseUnreachable:
                await asyncio.sleep(RETRY_S)
                continue
            file.write(b"%d\n" % item)
            file.flush()
            os.fsync(file.fileno())
            item += 1
    await db.close()


def tell(what: object) -> None:
    """A line for whoever started the nursery."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    """The nursery: for each item number read, fork a child that begins there."""
    host, database, acknowledged, until = sys.argv[1:]
    address = Address(host=host, database=database, login_roles=True)
    warm()
    tell("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            asyncio.run(run(address, Path(acknowledged), Path(until), int(line)))
            os._exit(0)
        tell(pid)
        _, status = os.waitpid(pid, 0)
        tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
