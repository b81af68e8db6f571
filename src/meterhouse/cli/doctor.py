"""`meterhouse doctor`: what this installation is, what is wrong with it, and how to mend it."""

import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from meterhouse import __version__
from meterhouse.app import EMBEDDED, HEAD_REVISION, Plan, open_address
from meterhouse.config import Settings, masked
from meterhouse.errors import MeterhouseError
from meterhouse.meter_models import names
from meterhouse.store.db import Database
from meterhouse.store.migrate import revision

DISK_BYTES_MIN = 1_000_000_000
ASSETS = Path(__file__).parent.parent / "web" / "static" / "vendor"


async def examine(settings: Settings) -> AsyncIterator[tuple[bool, str]]:
    """Findings in order: whether it is well, and the line for people."""
    yield True, f"meterhouse {__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores"
    for name, text in masked(settings).items():
        yield True, f"setting {name} = {text}"
    free = shutil.disk_usage(settings.data).free
    yield (
        free >= DISK_BYTES_MIN,
        f"{free // 1_000_000:,} MB free in {settings.data}"
        + ("" if free >= DISK_BYTES_MIN else "; make room for at least 1,000 MB"),
    )
    yield True, f"meter models: {', '.join(names())}"
    there = (ASSETS / "htmx.min.js").exists()
    yield (
        there,
        "front-end files are in place"
        if there
        else ("front-end files are missing: reinstall with `sh run demo`, or `pip install -e .`"),
    )
    for name, host, port in (
        ("console", settings.host, settings.port),
        ("head end", settings.headend_host, settings.headend_port),
    ):
        yield _port_is_free(name, host, port)
    async for finding in _database(settings):
        yield finding


def _port_is_free(name: str, host: str, port: int) -> tuple[bool, str]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return False, f"{name} port {host}:{port}: {error.strerror}; stop what uses it, or " \
                "choose another port"  # fmt: skip
    return True, f"{name} port {host}:{port} is free"


async def _database(settings: Settings) -> AsyncIterator[tuple[bool, str]]:
    try:
        async with open_address(settings, Plan(), join=True) as address:
            found = await revision(address)
            yield found == HEAD_REVISION, f"database {address.masked()}, revision {found}"
            db = Database(address, size=1)
            await db.open()
            try:
                async with db.transaction(()) as connection:
                    server = await connection.fetchval("show server_version")
                    role = await connection.fetchval("select current_user")
                    owns = await connection.fetchval(
                        "select count(*) from pg_tables where tableowner = current_user"
                        " and schemaname not like 'pg_temp%'"  # every ingest has some of these
                    )
                yield True, f"PostgreSQL {server}"
                yield owns == 0, f"the application works as {role} and owns {owns} tables"
            finally:
                await db.close()
    except MeterhouseError as error:
        mend = "" if settings.database_url == EMBEDDED else "; see docs/guides/operator.md"
        yield False, f"database: {error} [{error.code}]{mend}"
