"""Databases to throw away: copies of a migrated template on a server that need not be safe."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import asyncpg

from meterhouse.store.db import Address
from meterhouse.store.server import EmbeddedServer

# A database is a thousand files, and a disk takes six times as long as memory to make and remove
# them. Half a gigabyte is used; where there is much less than this, the disk will do.
MEMORY = Path("/dev/shm")  # the folder made in it is ours alone to write
MEMORY_FREE_BYTES = 4 << 30
_numbers = count(1)


def quick_place() -> Path | None:
    """Where a server that need not outlive the tests is best put; None for wherever the rest is."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_FREE_BYTES:
        return MEMORY
    return None


def address_of(server: EmbeddedServer, database: str) -> Address:
    """Where a database of an embedded server is, as the house itself connects to it."""
    return Address(
        host=str(server.socket_folder), port=server.port, database=database,
        superuser=server.superuser, login_roles=True,
    )  # fmt: skip


async def hasten(server: EmbeddedServer) -> None:
    """Do not wait for the disk: these databases are thrown away."""
    connection = await asyncpg.connect(**address_of(server, "postgres").arguments(None))
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
        await connection.execute(f"alter system set {setting} = off")
    for setting in ("min_wal_size = '64MB'", "max_wal_size = '256MB'"):
        await connection.execute(f"alter system set {setting}")
    await connection.execute("select pg_reload_conf()")
    await connection.close()


@asynccontextmanager
async def tended(address: Address) -> AsyncIterator[None]:
    """The server keeps its statistics meanwhile, as in life: a site that grows fast needs them."""
    where = address.arguments(None) | {"database": "postgres"}
    connection = await asyncpg.connect(**where)
    try:
        await connection.execute("alter system set autovacuum = on")
        await connection.execute("select pg_reload_conf()")
        yield
    finally:
        await connection.execute("alter system set autovacuum = off")
        await connection.execute("select pg_reload_conf()")
        await connection.close()


async def copy_database(template: Address) -> Address:
    """A copy of a database that nobody is connected to, under a name of its own."""
    fresh = replace(template, database=f"test_{next(_numbers)}")
    connection = await asyncpg.connect(**template.arguments(None) | {"database": "postgres"})
    await connection.execute(
        f"create database {fresh.database} template {template.database} strategy file_copy"
    )
    await connection.close()
    return fresh


async def drop_copy(address: Address) -> None:
    """Remove a copy, whoever is still connected."""
    connection = await asyncpg.connect(**address.arguments(None) | {"database": "postgres"})
    await connection.execute(f"drop database {address.database} with (force)")
    await connection.close()


async def keep_plans(address: Address) -> None:
    """Let a database plan each statement once: for one whose few rows are asked for very often."""
    connection = await asyncpg.connect(**address.arguments(None))
    await connection.execute(
        f"alter database {address.database} set plan_cache_mode = force_generic_plan"
    )
    await connection.close()
