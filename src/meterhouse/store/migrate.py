"""Bring a database to today's schema: roles, schema, then Alembic's numbered steps.

Owns the roles' rights. Must never know a row. Running it twice changes nothing; two processes at
once wait for each other.
"""

from functools import cache

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from meterhouse.errors import MeterhouseError
from meterhouse.store.db import (
    APP,
    MAINTENANCE,
    OWNER,
    SCHEMA,
    Address,
    DatabaseUnreachable,
    RawConnection,
)

LOCK = 7_301_645


class RightsMissing(MeterhouseError):
    """The database's user may not prepare it: {why}. The operator's guide has the lines to run."""

    code = "rights_missing"


async def migrate(address: Address) -> str:
    """Create what is missing and answer the revision the database now has.

    Raises:
        DatabaseUnreachable: no connection.
        RightsMissing: the user may not create the roles that are missing.
    """
    if not address.url:
        await _create_database(address)
    try:
        await _create_roles(address)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RightsMissing(why=str(error)) from error

    async def connect() -> RawConnection:
        return await asyncpg.connect(**address.arguments(None))

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def drop_database(address: Address) -> None:
    """Remove an embedded database and everything in it; for the demo and for tests."""
    connection = await asyncpg.connect(**address.arguments(None) | {"database": "postgres"})
    try:
        await connection.execute(f'drop database if exists "{address.database}" with (force)')
    finally:
        await connection.close()


@cache
def head_revision() -> str:
    """The revision that this program needs: the last of its steps."""
    head = ScriptDirectory.from_config(_steps()).get_current_head()
    assert head is not None, "there are no steps"
    return head


def _steps() -> Config:
    config = Config()
    config.set_main_option("script_location", "meterhouse:store/migrations")
    return config


async def revision(address: Address) -> str | None:
    """The revision a database has, or None before the first step.

    Raises:
        DatabaseUnreachable: no connection.
    """
    try:
        connection = await asyncpg.connect(**address.arguments(None))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DatabaseUnreachable(why=str(error)) from error
    try:
        there = await connection.fetchval(f"select to_regclass('{SCHEMA}.alembic_version')::text")
        if there is None:
            return None
        found: str | None = await connection.fetchval(
            f"select version_num from {SCHEMA}.alembic_version"
        )
        return found
    finally:
        await connection.close()


def _upgrade(connection: SqlConnection) -> str:
    config = _steps()
    config.attributes["connection"] = connection
    connection.execute(text(f"select pg_advisory_lock({LOCK})"))
    connection.execute(text(f"set role {OWNER}"))
    connection.execute(text(f"set search_path = {SCHEMA}"))
    connection.commit()
    command.upgrade(config, "head")
    found = connection.execute(text("select version_num from alembic_version")).scalar_one()
    connection.execute(text("reset role"))
    connection.execute(text(f"select pg_advisory_unlock({LOCK})"))
    connection.commit()
    return str(found)


async def _create_database(address: Address) -> None:
    arguments = address.arguments(None) | {"database": "postgres"}
    try:
        connection = await asyncpg.connect(**arguments)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DatabaseUnreachable(why=str(error)) from error
    try:
        there = await connection.fetchval(
            "select 1 from pg_database where datname = $1", address.database
        )
        if there is None:
            await connection.execute(f'create database "{address.database}"')
    finally:
        await connection.close()


async def _create_roles(address: Address) -> None:
    try:
        connection = await asyncpg.connect(**address.arguments(None))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DatabaseUnreachable(why=str(error)) from error
    try:
        async with connection.transaction():
            await connection.execute(f"select pg_advisory_xact_lock({LOCK})")
            for role, rights in ((OWNER, ""), (APP, ""), (MAINTENANCE, "bypassrls")):
                there = await connection.fetchval("select 1 from pg_roles where rolname=$1", role)
                if there is None:
                    login = "login" if address.login_roles else "nologin"
                    await connection.execute(f"create role {role} {login} {rights}")
                await connection.execute(f"grant {role} to current_user")
            await connection.execute(f"grant {MAINTENANCE} to {OWNER}")
            await connection.execute(f"create schema if not exists {SCHEMA} authorization {OWNER}")
            await connection.execute(f"grant create, usage on schema {SCHEMA} to {MAINTENANCE}")
            database = await connection.fetchval("select current_database()")
            await connection.execute(f'grant temporary on database "{database}" to {APP}')
    finally:
        await connection.close()
