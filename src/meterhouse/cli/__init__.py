"""The command line: one command a job, each with a help that teaches.

Owns arguments, the terminal and the exit status. Must never do a job itself. Heavy rooms are
imported inside the commands: `--help` stays quick, and numba learns its cache folder first.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meterhouse import logs
from meterhouse.config import EMBEDDED, Settings, load
from meterhouse.errors import MeterhouseError
from meterhouse.plugins import SIMULATED

if TYPE_CHECKING:
    from meterhouse.app import House
    from meterhouse.store.audit import Chain

app = typer.Typer(
    help="meterhouse: meters read, money exact, relays switched.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Host = Annotated[str | None, typer.Option(help="Address the console and the API listen on.")]
Port = Annotated[int | None, typer.Option(help="Their port; 0 takes a free one.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder of the embedded database and compiled kernels.")
]
Name = Annotated[
    str, typer.Option(help="Database within the embedded server; the demo's is 'demo'.")
]
Url = Annotated[
    str | None, typer.Option(help="'embedded', or postgresql://user:password@host/name.")
]


def main() -> None:
    """Run the command line; an expected error ends it with its message and status 1."""
    logs.configure("text", "warning")
    try:
        app()
    except MeterhouseError as error:
        typer.echo(f"meterhouse: {spoken(error)} [{error.code}]", err=True)
        sys.exit(1)


def spoken(error: MeterhouseError) -> str:
    """An error's message in the terminal's language; in English where that is not said."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    if not next(filter(None, named), "").startswith("zh"):
        return error.message()
    from meterhouse.words import words

    return words("zh-Hans").error(error)


def settle(**chosen: Any) -> Settings:
    """Settings in force; the log takes its form, and compiled kernels get their folder."""
    settings = load(chosen)
    logs.configure(settings.log_format, settings.log_level)
    kernels = settings.data / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels.absolute()))
    return settings


def run(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run something until it ends or is asked to stop (Ctrl-C, SIGTERM); both end it cleanly."""
    import uvloop

    async def guarded() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, stop.set)
        await work(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(guarded())


@app.command()
def demo(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    speed: Annotated[int, typer.Option(min=1, max=600, help="Town seconds per second.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same town.")] = 2007,
) -> None:
    """A living town in your browser: 200 metered rooms, simulated meters, real protocol.

    Starts everything on this machine, fills a database of its own, and prints where to sign in.
    Every start begins the same town anew.
    """
    settings = settle(
        host=host, port=port, data=data, headend_port=0, transport="rs485",
        security_module=SIMULATED,
    )  # fmt: skip
    from meterhouse.cli.demo import live

    run(lambda stop: live(settings, speed, seed, stop))


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    database_url: Url = None,
    only: Annotated[
        str | None, typer.Option(help="One part alone: web, headend or worker.")
    ] = None,
    headend_host: Annotated[str | None, typer.Option(help="Where gateways dial in.")] = None,
    headend_port: Annotated[int | None, typer.Option(help="Their port.")] = None,
) -> None:
    """Run the platform: console, API, head end and worker, or one of them alone.

    SIGTERM ends it in order. Settings for logs, metrics, secrets and the public address stand in
    meterhouse.toml or the environment; `meterhouse doctor` prints them all.
    """
    settings = settle(
        host=host, port=port, data=data, database_url=database_url, headend_host=headend_host,
        headend_port=headend_port,
    )  # fmt: skip
    from meterhouse import app as composition

    if only is not None and only not in composition.PARTS:
        raise typer.BadParameter(f"choose one of {', '.join(composition.PARTS)}", param_hint="only")
    parts = frozenset([only] if only else composition.PARTS)

    async def work(stop: asyncio.Event) -> None:
        async with composition.run_house(settings, composition.Plan(parts)) as house:
            announce(house)
            await stop.wait()
        typer.echo("meterhouse has stopped.")

    run(work)


def announce(house: "House") -> None:
    """Say where everything is, and the first password if one has just been made."""
    address = f"http://{house.settings.host}:{house.web.port if house.web else 0}"
    if house.web is not None:
        typer.echo(f"Console and API   {address}/")
    if house.headend is not None:
        typer.echo(f"Gateways dial in  {house.settings.headend_host}:{house.headend.port}")
    if house.welcome is not None:
        outside = house.settings.public_url or address
        typer.echo(f"Set it up at      {outside}/welcome/{house.welcome}   (once, within an hour)")
    if house.first_password is not None:
        typer.echo("Sign in           admin")
        typer.echo(f"Password          {house.first_password}   (shown this once)")
    typer.echo("Ctrl-C stops it.")


@app.command()
def migrate(data: Data = None, database_url: Url = None) -> None:
    """Bring the database to the schema this program needs; running it twice changes nothing."""
    settings = settle(data=data, database_url=database_url)
    from meterhouse import app as composition
    from meterhouse.store.db import Address
    from meterhouse.store.migrate import head_revision
    from meterhouse.store.migrate import migrate as bring

    async def work(_: asyncio.Event) -> None:
        if settings.database_url == EMBEDDED:
            async with composition.open_address(settings, composition.Plan()):
                typer.echo(f"The database is at revision {head_revision()}.")
        else:
            found = await bring(Address(url=settings.database_url))
            typer.echo(f"The database is at revision {found}.")

    run(work)


@app.command()
def doctor(data: Data = None, database_url: Url = None) -> None:
    """Check this installation, print the settings in force, and say how to mend what is wrong."""
    settings = settle(data=data, database_url=database_url)
    from meterhouse.cli.doctor import examine

    healthy = True

    async def work(_: asyncio.Event) -> None:
        nonlocal healthy
        async for ok, line in examine(settings):
            healthy = healthy and ok
            typer.echo(f"{'ok  ' if ok else 'MEND'}  {line}")

    run(work)
    if not healthy:
        raise typer.Exit(1)


@app.command()
def verify(
    data: Data = None,
    database_url: Url = None,
    database: Name = "meterhouse",
    head: Annotated[
        list[str] | None, typer.Option(help="A head printed earlier, that must still be there.")
    ] = None,
) -> None:
    """Prove ledger and audit over the whole database: a line a proof, status 1 if one fails.

    Each audit line ends with the head of its chain. Whoever could rewrite the whole database could
    make a new chain, but not one that has a head you keep somewhere else.
    """
    settings = settle(data=data, database_url=database_url)
    from meterhouse import app as composition
    from meterhouse.store import proofs

    failed = 0

    async def work(_: asyncio.Event) -> None:
        nonlocal failed
        plan = composition.Plan(database=database)
        async with composition.open_address(settings, plan, join=True) as address:
            for proof in await proofs.prove(address):
                failed += not proof.holds
                typer.echo(f"{'ok    ' if proof.holds else 'FAILED'}  {proof.says}")
            for holds, line in audit_lines(await proofs.prove_audit(address, head or ()), head):
                failed += not holds
                typer.echo(f"{'ok    ' if holds else 'FAILED'}  {line}")

    run(work)
    if failed:
        raise typer.Exit(1)


def audit_lines(
    chains: "list[Chain]", heads: list[str] | None = None
) -> Iterator[tuple[bool, str]]:
    """A line for each chain of the audit, and one for each head that was kept."""
    for chain in chains:
        of = f"project {chain.project_id}" if chain.project_id else "the platform"
        where = f"; seals {', '.join(map(str, chain.broken))} do not fit" if chain.broken else ""
        counts = f"{chain.sealed} sealed, {chain.open} not yet"
        yield not chain.broken, f"the audit of {of} is as it was sealed ({counts}){where}"
        if chain.head:
            yield True, f"  head {chain.head}"
    for head in heads or ():
        yield any(head in chain.knows for chain in chains), f"kept head {head} is still there"


@app.command()
def client(
    login: Annotated[str, typer.Argument(help="What the client is called, such as 'erp'.")],
    role: Annotated[
        str, typer.Option(help="project_manager, cashier, field_engineer, read_only, …")
    ] = "read_only",
    project: Annotated[
        int | None, typer.Option(help="Only this project; all projects when left out.")
    ] = None,
    data: Data = None,
    database_url: Url = None,
    database: Name = "meterhouse",
) -> None:
    """Make an API client and print its key, once; works beside a running platform."""
    settings = settle(data=data, database_url=database_url)
    from meterhouse import app as composition
    from meterhouse.flows import access
    from meterhouse.flows.act import Doer, Done, Via, perform
    from meterhouse.store.db import Database

    if role not in access.ROLES:
        raise typer.BadParameter(f"choose one of {', '.join(access.ROLES)}", param_hint="role")

    async def work(_: asyncio.Event) -> None:
        plan = composition.Plan(database=database)
        doer = Doer(None, Via.CLI, composition.utc_now())
        scope = ("project", project) if project else ("platform", 0)
        verb = access.Verb.CLIENT_EDIT

        async def make(inner: Database) -> Done:
            made = await access.add_client(inner, login, login, role, *scope, doer.at)
            facts = {"role": role, "scope": ":".join(map(str, scope))}
            return Done(f"person:{made[0]}", made[1], after=facts)

        async with composition.open_database(settings, plan) as db:
            where = [project] if project else []
            answered = await perform(db, doer, where, "client.add", verb, None, make)
        typer.echo(answered.answer)

    run(work)


@app.command()
def administrator(
    login: Annotated[str, typer.Argument(help="What the administrator signs in with.")],
    data: Data = None,
    database_url: Url = None,
    database: Name = "meterhouse",
) -> None:
    """Make a platform administrator with a random password and print it, once."""
    settings = settle(data=data, database_url=database_url)
    from meterhouse import app as composition
    from meterhouse.flows import access, passwords

    async def work(_: asyncio.Event) -> None:
        plan = composition.Plan(database=database)
        new = passwords.new_password()
        async with composition.open_database(settings, plan) as db:
            await access.add_person(
                db, login, login, new, "platform_administrator", "platform", 0,
                composition.utc_now(),
            )  # fmt: skip
        typer.echo(new)

    run(work)


@app.command()
def password(
    login: Annotated[str, typer.Argument(help="Whose password is replaced.")],
    data: Data = None,
    database_url: Url = None,
    database: Name = "meterhouse",
) -> None:
    """Replace a person's password by a random one and print it, once.

    Their authenticator is forgotten and their sessions end: the way in for who has lost all else.
    """
    settings = settle(data=data, database_url=database_url)
    from meterhouse import app as composition
    from meterhouse.flows import access, passwords
    from meterhouse.flows.act import Doer, Done, Via, perform
    from meterhouse.store.db import Database

    async def work(_: asyncio.Event) -> None:
        plan = composition.Plan(database=database)
        new = passwords.new_password()
        doer = Doer(None, Via.CLI, composition.utc_now())

        async def replace(inner: Database) -> Done:
            person_id = await access.id_of_login(inner, login)
            await access.reset_password(inner, login, new)
            return Done(f"person:{person_id}")

        async with composition.open_database(settings, plan) as db:
            await perform(db, doer, [], "password.replace", access.Verb.STAFF_EDIT, None, replace)
        typer.echo(new)

    run(work)


@app.command()
def sim(
    meters: Annotated[int, typer.Option(min=3, help="How many meters.")] = 200,
    gateways: Annotated[int, typer.Option(min=1, help="How many gateways share them.")] = 8,
    host: Annotated[str, typer.Option(help="The head end to dial; where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; the first of ours with --listen.")] = 7645,
    seed: Annotated[int, typer.Option(help="The same seed gives the same town.")] = 2007,
    speed: Annotated[int, typer.Option(min=1, help="Town seconds per second.")] = 1,
    listen: Annotated[bool, typer.Option(help="Wait for the head end to dial out.")] = False,
    baud: Annotated[int | None, typer.Option(help="Imitate RS-485 at this speed.")] = None,
) -> None:
    """A fleet of simulated meters behind gateways that speak the real protocol."""
    from meterhouse.cli.sim import run_fleet

    run_fleet(meters, gateways, host, port, seed, speed, listen=listen, baud=baud)


@app.command()
def decode(
    protocol: Annotated[str, typer.Option(help="dlt645-2007 or dlt645-1997.")] = "dlt645-2007",
) -> None:
    """Explain frames: hex on standard input, one JSON object a frame on standard output."""
    from meterhouse.cli.decode import decode_lines

    for found in decode_lines(protocol, sys.stdin):
        typer.echo(json.dumps(found, ensure_ascii=False))


@app.command()
def rate(
    scheme: Annotated[str, typer.Argument(help="A scheme file, or a published scheme's name.")],
    load: Annotated[Path, typer.Argument(help="CSV: start (local ISO time), energy_wh.")],
    explain: Annotated[bool, typer.Option(help="Every day and every interval too.")] = False,
    timezone: Annotated[str, typer.Option(help="Whose wall clock holds.")] = "Asia/Shanghai",
    persons: Annotated[int, typer.Option(min=1, max=100, help="How many live there.")] = 1,
    capacity_w: Annotated[int, typer.Option(min=0, help="Contracted capacity, W or VA.")] = 0,
    decimals: Annotated[int, typer.Option(min=0, max=9, help="Of the currency.")] = 2,
    data: Data = None,
) -> None:
    """What a load costs by a scheme, without a database: bills, line by line, as JSON.

    The scheme's form and the load's are in docs/nouns/tariff.md.
    """
    settle(data=data)
    from meterhouse.cli.rate import rate_files
    from meterhouse.rating.bill import Household

    household = Household(persons, capacity_w)
    said = rate_files(scheme, load, timezone, household, decimals, explain=explain)
    typer.echo(json.dumps(said, ensure_ascii=False, indent=1))


@app.command()
def contract() -> None:
    """Print the contract of the API in OpenAPI 3.1, as `/api/v1/openapi.json` has it."""
    from meterhouse.web.app import contract_alone

    typer.echo(json.dumps(contract_alone(), ensure_ascii=False, indent=1))


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a figure.")] = False,
    data: Data = None,
) -> None:
    """Measure this machine: what it decodes, rates, stores and switches in a second."""
    settings = settle(data=data)
    from meterhouse.cli.bench import measure

    measure(settings, names or [], as_json)
