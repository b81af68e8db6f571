"""Databases to throw away: copies of a migrated template on a server that need not be safe."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import asyncpg

from meterhouse.store.db import Address
from meterhouse.store.server import EmbeddedServer

_numbers = count(1)


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
    await connection.execute(f"create database {fresh.database} template {template.database}")
    await connection.close()
    return fresh


async def drop_copy(address: Address) -> None:
    """Remove a copy, whoever is still connected."""
    connection = await asyncpg.connect(**address.arguments(None) | {"database": "postgres"})
    await connection.execute(f"drop database {address.database} with (force)")
    await connection.close()
