"""What has been written stays: readings, charges, transfers, payments, published tariffs."""

import importlib
from datetime import UTC, datetime, timedelta

import asyncpg
import numpy as np
import pytest

from meterhouse.flows.upkeep import ready_partitions
from meterhouse.store import readings
from meterhouse.units import to_us

APPEND_ONLY = importlib.import_module("meterhouse.store.migrations.versions.0001_first").APPEND_ONLY


@pytest.fixture
async def site(new_site):
    """A site of this test's own: the folder's is shared."""
    return await new_site()


@pytest.fixture
async def written(site, clock):
    """A site with a row in every table that only grows."""
    await site.pay(1_000)
    await site.say(0)
    clock.step(minutes=30)
    await site.say(2_000)
    await site.read((10**9, clock(), 1))
    return site


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_the_application_adds_and_never_changes_or_removes(written, table):
    assert await written.rows(f"select project_id from {table}")
    for statement in (f"update {table} set project_id = project_id", f"delete from {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await written.rows(statement)


@pytest.mark.parametrize("table", ["transfer", "payment", "tariff_version", "assignment"])
async def test_not_even_the_superuser_does_so_by_mistake(written, address, table):
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in (f"update {table} set project_id = project_id", f"delete from {table}"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(statement)
    await connection.close()


async def test_an_account_stays_where_transfers_look_for_it(written, address):
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in ("delete from account", "truncate account cascade",
                      "update account set project_id = project_id + 1"):  # fmt: skip
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(statement)
    await connection.close()


async def test_no_row_of_money_can_be_removed_by_the_application(written):
    for table in ("account", "point_state", "command", "alarm", "notice", "project"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await written.rows(f"delete from {table}")


async def test_a_fresh_row_that_is_there_already_says_so_and_loses_the_transaction(written):
    row = await written.row("select * from reading order by read_at limit 1")
    again = {
        name: [to_us(row[name]) if kind == readings.TIMESTAMP else row[name]]
        for name, kind in readings.READING
    }
    columns = {name: np.array(values) for name, values in again.items()}
    with pytest.raises(readings.StoredTwice):
        async with written.db.transaction([written.project_id]) as connection:
            await readings.insert_fresh(connection, "reading", readings.READING, columns)


@pytest.mark.parametrize(
    ("instant", "week"),
    [
        (datetime(2026, 3, 9, tzinfo=UTC), "2026w11"),
        (datetime(2026, 3, 9, tzinfo=UTC) - timedelta(microseconds=1), "2026w10"),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), "2026w53"),
        (datetime(2027, 1, 3, 23, 59, tzinfo=UTC), "2026w53"),
        (datetime(2027, 1, 4, tzinfo=UTC), "2027w01"),
    ],
)
async def test_a_partition_is_an_iso_week_of_utc(db, instant, week):
    async with db.transaction(()) as connection:
        assert await readings.ready_partition(connection, to_us(instant)) == week
        # The store's own arithmetic agrees about where a week begins.
        monday = (to_us(instant) - readings.MONDAY_US) // readings.WEEK_US * readings.WEEK_US
        monday += readings.MONDAY_US
        assert await readings.ready_partition(connection, monday) == week
        assert await readings.ready_partition(connection, monday - 1) != week


async def test_partitions_can_be_made_ahead_and_again(db, address):
    instants = [datetime(2026, 3, 4, tzinfo=UTC) + timedelta(days=7 * n) for n in range(3)]
    for _ in range(2):
        await ready_partitions(db, instants)
    connection = await asyncpg.connect(**address.arguments(None))
    made = await connection.fetch(
        """select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where c.relkind = 'r' order by 1"""
    )
    await connection.close()
    assert [row["relname"] for row in made] == [
        f"{parent}_2026w{week}" for parent in ("charge", "reading") for week in (10, 11, 12)
    ]
