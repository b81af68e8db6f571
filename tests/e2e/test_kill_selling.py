"""Kill the house and its database while tills sell and money travels into meters.

A whole `meterhouse serve` (console, API, head end, worker) on a durable PostgreSQL, gateways with
simulated meters on the line, and tills that sell through the API: for points whose money the
platform keeps, and for meters that keep their own. In every cycle `SIGKILL` takes the house, one
backend, all of PostgreSQL, or house and PostgreSQL at once, at a moment a seed chooses. What the
tills know, what the database holds and what is in the meters must then agree: nothing acknowledged
is lost, nothing is sold or put into a meter twice, and every recharge ends or halts with an alarm.

A run in which the kills met neither sales nor recharges under way fails. `METERHOUSE_SOAK=1` runs
240 cycles; `-s` prints the figures.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx

from conftest import address_of
from meterhouse.control.recharge import LIFETIME
from meterhouse.flows import access
from meterhouse.sim.bus import LineTiming
from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town
from meterhouse.store.db import Address, Database
from meterhouse.store.migrate import migrate
from meterhouse.store.proofs import prove
from meterhouse.store.queue import WAKE_CHANNEL
from meterhouse.store.server import EmbeddedServer
from premises import Site
from tills import ANSWER_S, Slips, Till
from townhall import HABITS, HOST, eventually, found

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
CYCLES, METERS, GATEWAYS = (240, 160, 16) if SOAK else (4, 24, 4)
SEED = 20261121
TILLS = 4
# Every second meter keeps its own money.
PURSE_MODEL = "DLT645-2007-ORDER"
PRICES_MICRO = (500_000,) * 4
VICTIMS = ("house", "backend", "postgres", "both")
PAUSE_MAX_S = 2.0
SOLD_BEFORE = 3
START_S = 90
END_S = 300
PROVED_EVERY = 20
LIVE = "('reserved', 'sent', 'unknown')"


def present() -> datetime:
    return datetime.now(UTC)


@dataclass
class Tally:
    """What the kills met.

    Attributes:
        kills: by victim.
        on_sales, on_recharges: kills while a sale, or a recharge, was under way.
        sales: sales that were under way; of them `kept` had been committed, without an answer.
        recharges: recharges that were under way, by state.
        starts_s: how long each start of a house took.
    """

    kills: Counter[str] = field(default_factory=Counter)
    on_sales: int = 0
    on_recharges: int = 0
    sales: int = 0
    kept: int = 0
    recharges: Counter[str] = field(default_factory=Counter)
    starts_s: list[float] = field(default_factory=list)


@dataclass
class Street:
    """Everything there is: the database, the town, the house that runs now, and the tills."""

    server: EmbeddedServer
    address: Address
    site: Site
    town: Town
    nursery: asyncio.subprocess.Process
    arguments: list[str]
    said: Path
    client: httpx.AsyncClient
    slips: Slips
    tally: Tally
    house: int = 0  # its process number, 0 while none runs

    async def start_house(self) -> None:
        """Fork a house; it is there when its last line is printed."""
        begun, printed = time.monotonic(), self.said.stat().st_size
        line = json.dumps([self.arguments, str(self.said)])
        self.nursery.stdin.write(f"{line}\n".encode())
        self.house = int(await self.nursery.stdout.readline())
        await eventually(
            lambda: b"Ctrl-C stops it." in self.said.read_bytes()[printed:] or self._is_dead(),
            "the house", START_S,
        )  # fmt: skip
        assert not self._is_dead(), self.said.read_text()[-4_000:]
        self.tally.starts_s.append(time.monotonic() - begun)

    def _is_dead(self) -> bool:
        """Whether it has ended by itself; the nursery has reaped it then."""
        return not Path(f"/proc/{self.house}").exists()

    async def end_house(self, way: int) -> int:
        """End the house with a signal; answers what it died of."""
        os.kill(self.house, way)
        status = int(await self.nursery.stdout.readline())
        self.house = 0
        return status

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows past the policies, as soon as the server answers."""

        async def ask() -> tuple[list[asyncpg.Record]] | None:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(**self.address.arguments(None))
                try:
                    return (await connection.fetch(query, *arguments),)
                finally:
                    await connection.close(timeout=5)
            return None

        (found_rows,) = await eventually(ask, "the server to answer", START_S)
        return found_rows

    async def number(self, query: str, *arguments: object) -> int:
        """The one number that a query answers."""
        ((number,),) = await self.rows(query, *arguments)
        return number


@asynccontextmanager
async def open_street() -> AsyncIterator[Street]:
    """A durable server, a site on it, its town, and an API client's tills; no house yet."""
    with tempfile.TemporaryDirectory(prefix="meterhouse-kill-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        said = folder / "said"
        said.touch()
        async with EmbeddedServer(folder / "postgres") as server:
            address = address_of(server, "meterhouse")
            await migrate(address)
            town = Town(_spec(), present, timing=LineTiming(9_600, 10), habits=HABITS)
            db = Database(address, size=2)
            await db.open()
            site, _ = await found(db, present, town.spec)
            _, key = await access.add_client(
                db, "tills", "Tills", "project_manager", "project", site.project_id, present()
            )
            await db.close()
            web, headend = free_port(), free_port()
            client = httpx.AsyncClient(
                base_url=f"http://{HOST}:{web}", headers={"Authorization": f"Bearer {key}"},
                timeout=ANSWER_S,
            )  # fmt: skip
            host = quote(str(server.socket_folder), safe="")
            url = f"postgresql://{server.superuser}@{host}:{server.port}/meterhouse"
            arguments = [
                "serve", "--data", str(folder / "data"), "--database-url", url,
                "--port", str(web), "--headend-port", str(headend),
            ]  # fmt: skip
            dialling = asyncio.create_task(town.dial(HOST, headend))
            async with _nursery(folder) as nursery, client:
                street = Street(
                    server, address, site, town, nursery, arguments, said, client, Slips(), Tally()
                )
                try:
                    yield street
                finally:
                    dialling.cancel()
                    await asyncio.gather(dialling, return_exceptions=True)
                    if street.house:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(street.house, signal.SIGKILL)


@asynccontextmanager
async def _nursery(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    limits = ("REQUESTS_A_MINUTE", "CHANGES_A_MINUTE", "STRANGER_REQUESTS_A_MINUTE")
    chosen = {f"METERHOUSE_{name}": "1000000" for name in limits}
    chosen["METERHOUSE_SECRET_KEY_FILE"] = str(folder / "secret")
    (folder / "secret").write_text("A" * 43 + "=\n")
    (folder / "secret").chmod(0o600)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "serving",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=os.environ | chosen | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        await process.wait()


def _spec():
    """A town where every second meter keeps its own money."""
    spec = plan_town(SEED, METERS, GATEWAYS)
    meters = [
        replace(one, model=PURSE_MODEL, keeps_purse=True, price_micro=PRICES_MICRO) if n % 2
        else one
        for n, one in enumerate(spec.meters)
    ]  # fmt: skip
    return replace(spec, meters=tuple(meters))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


async def test_kills_lose_no_sale_and_put_no_money_into_a_meter_twice():
    dice = random.Random(SEED)
    async with open_street() as street:
        begun = time.monotonic()
        await street.start_house()
        closing = asyncio.Event()
        points = street.site.points
        tills = [
            asyncio.create_task(
                Till(street.client, street.site.project_id, points, street.slips, n, SEED)
                .sell_until(closing)
            )
            for n in range(TILLS)
        ]  # fmt: skip
        plan = [one for _ in range(-(-CYCLES // len(VICTIMS))) for one in dice.sample(VICTIMS, 4)]
        for number, victim in enumerate(plan[:CYCLES], 1):
            await one_cycle(street, dice, victim, tills)
            if number % PROVED_EVERY == 0:
                await proofs_hold(street)
        closing.set()
        await asyncio.gather(*tills)
        assert not street.slips.open
        await come_to_rest(street)
        await check_sales(street)
        await check_meters(street)
        await check_paper(street)
        await proofs_hold(street)
        assert await street.end_house(signal.SIGTERM) == 0
        await tell(street, time.monotonic() - begun)
        check_faults(street.tally, street.slips)


async def one_cycle(street: Street, dice: random.Random, victim: str, tills: list) -> None:
    """Let it sell, kill at a random moment, look, and let it come back."""
    slips, tally = street.slips, street.tally
    sold = len(slips.acknowledged)
    await eventually(
        lambda: len(slips.acknowledged) >= sold + SOLD_BEFORE or any(t.done() for t in tills),
        "sales", START_S,
    )  # fmt: skip
    for till in tills:
        assert not till.done(), till.result()
    pause_s = dice.random() * PAUSE_MAX_S
    if tally.on_recharges:
        await asyncio.sleep(pause_s)  # the random moment, nothing else
    else:  # until one kill has met an order on the wire, the order chooses the moment
        await eventually(lambda: _any(street, "state = 'sent'"), "an order on the wire", START_S)
    waiting, promised = set(slips.waiting), dict(slips.acknowledged)
    if victim in ("house", "both"):
        os.kill(street.house, signal.SIGKILL)
    if victim == "backend":
        await kill_backend(street, dice)
    elif victim in ("postgres", "both"):
        await kill_postgres(street.server)
    if victim in ("house", "both"):
        status = int(await street.nursery.stdout.readline())
        assert status == -signal.SIGKILL
    tally.kills[victim] += 1
    await look_around(street, waiting, promised)
    if victim in ("house", "both"):
        await street.start_house()


async def look_around(street: Street, waiting: set[str], promised: dict[str, int]) -> None:
    """What was acknowledged before the kill is there, once; what was under way is counted."""
    tally = street.tally
    (row,) = await street.rows(
        """select count(*) filter (where o.id = p.id) as there,
               count(*) filter (where o.id <> p.id or o.id is null) as elsewhere
           from unnest($1::text[], $2::int8[]) as p (key, id)
           left join payment o on o.key like '%:' || p.key""",
        list(promised), list(promised.values()),
    )  # fmt: skip
    assert (row["there"], row["elsewhere"]) == (len(promised), 0), "an acknowledged sale is lost"
    tally.on_sales += bool(waiting)
    tally.sales += len(waiting)
    tally.kept += await street.number(
        "select count(*) from payment where split_part(key, ':', 3) = any($1::text[])",
        list(waiting),
    )
    live = await street.rows(
        f"select state, count(*) as count from recharge where state in {LIVE} group by state"
    )
    tally.on_recharges += any(row["state"] == "sent" for row in live)
    tally.recharges.update({row["state"]: row["count"] for row in live})


async def kill_backend(street: Street, dice: random.Random) -> None:
    """Kill one session of the house; the postmaster ends all the others and recovers."""
    sessions = await street.rows(
        """select pid from pg_stat_activity where application_name = 'meterhouse'
           and pid <> pg_backend_pid() order by state = 'idle', pid"""
    )
    # Those at work come first, and are the likelier ones.
    pid = sessions[int(len(sessions) * dice.random() ** 3)]["pid"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), "the backend to be reaped")


async def kill_postgres(server: EmbeddedServer) -> None:
    """Kill the postmaster and every backend; return once another postmaster has taken over."""
    before = server.pid
    for pid in [before, *server._leftovers()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await eventually(lambda: server.pid not in (None, before), "another postmaster", START_S)


async def come_to_rest(street: Street) -> None:
    """Wait until no recharge is on its way, then until every meter has been read and agrees.

    Whatever was killed on the wire waits for the end of its frame's lifetime. That is ten minutes
    on the platform's clock, and no copy can be left of a line that broke: so it is sent earlier
    in the books instead of being waited for.
    """
    await street.rows(
        f"""update recharge set dead_at = dead_at - $1::interval, sent_at = sent_at - $1::interval,
                before_at = before_at - $1::interval, next_at = now()
            where state in {LIVE} and dead_at is not null""",
        LIFETIME,
    )
    await street.rows("select pg_notify($1, project_id || ':' || id) from gateway", WAKE_CHANNEL)
    await eventually(lambda: _none(street, f"state in {LIVE}"), "every recharge to end", END_S)
    # A house that starts reads every meter at once.
    assert await street.end_house(signal.SIGTERM) == 0
    await street.start_house()
    await eventually(lambda: _none(street, "state = 'applied'"), "every meter to agree", END_S)


async def _any(street: Street, condition: str) -> bool:
    return await street.number(f"select count(*) from recharge where {condition}") > 0


async def _none(street: Street, condition: str) -> bool:
    return not await _any(street, condition)


async def check_sales(street: Street) -> None:
    """Every acknowledged sale is there once and whole, what was refused is not there at all."""
    slips = street.slips
    rows = await street.rows(
        """select split_part(o.key, ':', 3) as key, o.id, o.point_id, o.amount_minor,
               (select count(*) from transfer t where t.payment_id = o.id and t.state = 'posted'
                   and t.amount_minor = o.amount_minor) as transfers
           from payment o order by o.id"""
    )
    there = {row["key"]: row for row in rows}
    assert len(there) == len(rows)
    assert there.keys() == slips.acknowledged.keys()
    for key, row in there.items():
        asked = slips.asked[key]
        assert (row["id"], row["point_id"], row["amount_minor"], row["transfers"]) == (
            slips.acknowledged[key], asked.point_id, asked.amount_minor, 1,
        ), key  # fmt: skip
    paid_minor = sum(slips.asked[key].amount_minor for key in slips.acknowledged)
    where = {
        row["kind"]: int(row["minor"]) for row in await street.rows(
            "select kind, sum(credit_minor - debit_minor) as minor from account group by kind"
        )
    }  # fmt: skip
    # Money that a meter has deducted since is revenue, and that of platform points is booked so.
    held = {kind: minor for kind, minor in where.items() if kind != "cash"}
    assert where["cash"] == -paid_minor
    assert sum(held.values()) == paid_minor, where


async def check_meters(street: Street) -> None:
    """Every meter that keeps money took what was posted to it, order by order, and no more."""
    rows = await street.rows(
        """select m.address, r.state, r.amount_minor, r.number, a.id as alarm from meter m
           join recharge r on r.meter_id = m.id
           left join alarm a on a.kind = 'recharge_halted' and a.subject = 'recharge:' || r.id
               and a.closed_at is null
           order by r.id"""
    )
    halted = [row for row in rows if row["state"] == "halted"]
    assert all(row["alarm"] is not None for row in halted)
    doubtful = {row["address"] for row in halted}
    took = Counter(), Counter()
    for row in rows:
        assert row["state"] in ("verified", "returned", "halted"), row
        if row["state"] == "verified":
            took[0][row["address"]] += row["amount_minor"]
            took[1][row["address"]] += 1
    for address, meter in street.town.meters.items():
        if not meter.spec.keeps_purse or address in doubtful:
            continue
        assert (meter.purchased_minor, meter.purchase_count) == (
            took[0][address], took[1][address],
        ), address  # fmt: skip


async def check_paper(street: Street) -> None:
    """Every sale has its receipt; their numbers run without a gap; one entry tells of each."""
    (row,) = await street.rows(
        """select (select count(*) from payment) as payments, count(*) as receipts,
               count(distinct payment_id) as papered, min(number) as first, max(number) as last,
               (select count(*) from audit_entry where act = 'credit.add') as entries
           from receipt"""
    )
    sold = len(street.slips.acknowledged)
    assert tuple(row) == (sold, sold, sold, 1, sold, sold)


async def proofs_hold(street: Street) -> None:
    """All that `meterhouse verify` states of the books holds."""

    async def proved() -> list | None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return await prove(street.address)
        return None

    proofs = await eventually(proved, "the proofs", END_S)
    assert [one.says for one in proofs if not one.holds] == []


def check_faults(tally: Tally, slips: Slips) -> None:
    """The kills met what they were meant to meet."""
    assert sum(tally.kills.values()) == CYCLES
    assert min(tally.kills.values()) >= CYCLES // len(VICTIMS)
    assert tally.on_sales >= CYCLES // 2, tally
    assert tally.on_recharges >= CYCLES // 4, tally
    assert slips.lost > 0
    assert slips.again > 0


async def tell(street: Street, took_s: float) -> None:
    """Print the figures."""
    tally, slips = street.tally, street.slips
    ends = await street.rows("select state, count(*) as count from recharge group by state")
    read_back = await street.number(
        "select count(*) from recharge_step where deed = 'post' and reply <> 'positive'"
    )
    again = await street.number("select count(*) from recharge where send_count > 1")
    figures = {
        "cycles": CYCLES, "seed": SEED, "took_s": round(took_s), "kills": dict(tally.kills),
        "kills_on_sales": tally.on_sales, "kills_on_recharges": tally.on_recharges,
        "sales_under_way": tally.sales, "of_them_committed": tally.kept,
        "recharges_under_way": dict(tally.recharges), "answers_lost": slips.lost,
        "sales_asked_again": slips.again, "acknowledged": len(slips.acknowledged),
        "refused": dict(Counter(slips.refused.values())), "answers": dict(slips.said),
        "recharges": {row["state"]: row["count"] for row in ends},
        "posted_by_reading_back": read_back, "sent_again": again,
        "start_s": round(sorted(tally.starts_s)[len(tally.starts_s) // 2], 1),
    }  # fmt: skip
    print(json.dumps(figures, indent=1))  # the figures are what a soak is run for
