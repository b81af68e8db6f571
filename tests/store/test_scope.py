"""One project never sees another: row-level security alone, and the queries' own scope alone.

Each is tested with the other out of the way. For the second, every function of the store that
takes a project is found by looking, called as the maintenance role (which no policy binds) for one
project with the ids of another, and must neither show nor change anything of that other one.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import asyncpg
import numpy as np
import pytest

from meterhouse import store
from meterhouse.errors import MeterhouseError
from meterhouse.store import bookings, catalog, days, latecomers, monitor, readings, reports
from meterhouse.store.db import maintenance, savepoint
from meterhouse.units import EPOCH, to_us
from others import foreign, lively

# These never serve a person: they fill a bench, move a database on, or set the scope itself.
BELOW = {"bulk", "copyfmt", "db", "migrate", "proofs", "server"}
ROOMS_OF_STORE = tuple(
    importlib.import_module(f"meterhouse.store.{found.name}")
    for found in pkgutil.iter_modules(store.__path__)
    if not found.ispkg and found.name not in BELOW
)
# A row of another project's ids that a query forgot to scope would be among these.
TABLES = (
    "account", "agreement", "agreement_point", "alarm", "assignment", "charge", "command",
    "commissioning", "customer", "day_close", "decision", "doubt", "drift", "energy_difference",
    "energy_mark", "estimate", "exchange", "gateway", "gateway_state", "meter", "notice",
    "opening", "payment", "personal", "place", "point", "point_payer", "point_state", "pulse",
    "purse_report", "reading", "reading_aside", "receipt", "receipt_print", "receipt_series",
    "recharge", "recharge_step", "settlement", "shift", "tariff", "tariff_version", "task",
    "task_file", "transfer", "wallet",
)  # fmt: skip


@pytest.fixture
async def two(new_site):
    """Ours, and the other one."""
    return await lively(new_site, "ours"), await lively(new_site, "theirs")


async def test_security_alone_shows_the_scope_and_nothing_else(two):
    ours, theirs = two
    for table in TABLES:
        for site in two:
            found = await site.rows(f"select distinct project_id from {table}")
            assert [one["project_id"] for one in found] == [site.project_id], table
        both = [ours.project_id, theirs.project_id]
        async with ours.db.transaction(both) as connection:
            found = await connection.fetch(f"select distinct project_id from {table} order by 1")
        assert [one["project_id"] for one in found] == both


async def test_every_table_with_a_project_stands_under_forced_security(two, address):
    async with maintenance(address) as connection:
        open_tables = await connection.fetch(
            """select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'meterhouse' and c.relkind in ('r', 'p') and not c.relispartition
               and exists (select from pg_attribute a where a.attrelid = c.oid
                   and a.attname = 'project_id')
               and not (c.relrowsecurity and c.relforcerowsecurity)"""
        )
    assert [row["relname"] for row in open_tables] == []


async def test_without_a_scope_there_is_nothing(two):
    ours, _ = two
    async with ours.db.transaction(()) as connection:
        for table in ("project", *TABLES):
            assert await connection.fetchval(f"select count(*) from {table}") == 0, table


async def test_a_scope_ends_with_its_transaction(two):
    ours, _ = two
    async with ours.db.transaction([ours.project_id]) as connection:
        assert await connection.fetchval("select count(*) from point") == 3
    async with ours.db.transaction(()) as connection:
        assert await connection.fetchval("select count(*) from point") == 0


async def test_a_row_for_another_project_is_refused(two):
    ours, theirs = two
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with ours.db.transaction([ours.project_id]) as connection:
            await catalog.insert_place(
                connection, theirs.project_id, None, "building", "B", 0, None
            )
    async with ours.db.transaction([ours.project_id]) as connection:
        await monitor.set_override(connection, theirs.project_id, theirs.points[0], "on")
    row = await theirs.row("select override from point where id = $1", theirs.points[0])
    assert row["override"] == "off"


async def test_a_partition_is_closed_to_reading_changing_and_removing(two):
    ours, _ = two
    async with ours.db.transaction([ours.project_id]) as connection:
        part = await connection.fetchval("select tableoid::regclass::text from charge limit 1")
        for statement in (f"select 1 from {part}", f"update {part} set version = 9",
                          f"delete from {part}", f"truncate {part}"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with savepoint(connection):
                    await connection.execute(statement)


def one_reading(site) -> dict[str, Any]:
    one = dict.fromkeys((name for name, _ in readings.READING), 0) | {
        "project_id": site.project_id, "meter_id": site.meters[0], "register_epoch": 1,
        "read_at": to_us(site.clock()) + 1, "received_at": to_us(site.clock()),
    }  # fmt: skip
    return {name: np.array([given]) for name, given in one.items()}


async def test_a_copy_beyond_the_scope_is_refused_by_the_store(two, monkeypatch):
    ours, theirs = two
    rows = one_reading(theirs)
    with pytest.raises(readings.OutOfScope):
        async with ours.db.transaction([ours.project_id]) as connection:
            await readings.insert_fresh(connection, "reading", readings.READING, rows)

    async def nods(connection, project_id):
        """What would happen without the check: PostgreSQL lets the row in."""

    before = await theirs.row("select count(*) from reading")
    monkeypatch.setattr(readings, "check_scope", nods)
    async with ours.db.transaction([ours.project_id]) as connection:
        await readings.insert_fresh(connection, "reading", readings.READING, rows)
    assert (await theirs.row("select count(*) from reading"))["count"] == before["count"] + 1


async def test_one_foreign_row_among_many_refuses_them_all(two):
    ours, theirs = two
    mixed = {
        name: np.concatenate([values, one_reading(theirs)[name]])
        for name, values in one_reading(ours).items()
    }
    before = await ours.row("select count(*) from reading")
    with pytest.raises(readings.OutOfScope):
        async with ours.db.transaction([ours.project_id]) as connection:
            await readings.insert_fresh(connection, "reading", readings.READING, mixed)
    assert await ours.row("select count(*) from reading") == before


def scoped_functions() -> Iterator[tuple[str, Any]]:
    """Every coroutine of the store that takes a project or several, by name."""
    for room in ROOMS_OF_STORE:
        for name, function in inspect.getmembers(room, inspect.iscoroutinefunction):
            taken = inspect.signature(function).parameters
            ours = function.__module__ == room.__name__ and not name.startswith("_")
            if ours and {"project_id", "project_ids"} & set(taken):
                yield f"{room.__name__.rpartition('.')[2]}.{name}", function


FUNCTIONS = dict(scoped_functions())


SPECIAL = {
    "monitor.lock_meters": ("meter_ids", np.array),
    "points.load": ("meter_ids", np.array),
    "readings.shared_accruals": ("account_ids", np.array),
    "readings.note_read": ("point_ids", np.array),
    "bookings.meters_of": ("point_ids", np.array),
    "meterings.meters": ("meter_ids", np.array),
    "corrections.standings": ("point_ids", np.array),
    "replays.charges": ("point_ids", np.array),
}


def shown_ids(answer: Any) -> Iterator[int]:
    """Every project id that stands in an answer, however it is packed."""
    if isinstance(answer, asyncpg.Record | Mapping):
        for name, given in answer.items():
            if name == "project_id":
                yield given
            else:
                yield from shown_ids(given)
    elif isinstance(answer, list | tuple):
        for one in answer:
            yield from shown_ids(one)


async def everything_of(connection, project_id) -> dict[str, Any]:
    return {
        table: sorted(
            repr(dict(row))
            for row in await connection.fetch(
                f"select * from {table} where project_id = $1", project_id
            )
        )
        for table in TABLES
    }


def bookings_of(given) -> bookings.Bookings:
    """One booking of the other's point."""
    one = {field.name: np.array([1]) for field in fields(bookings.Bookings)} | {
        "point_id": np.array(given["point_ids"][:1]), "account_id": np.array([given["account_id"]]),
        "common_account_id": np.array([given["common_account_id"]]),
    }  # fmt: skip
    return bookings.Bookings(**one)


def latecomers_of(given) -> dict[str, Any]:
    """The other's chain, from its beginning on, and where it would stand."""
    chain = {name: np.array([given[name]]) for name in ("point_id", "meter_id")}
    chain |= {"place": np.array([0]), "register_epoch": np.array([1])}
    instants = {"since": np.array([1]), "until": np.array([to_us(given["at"]) + 10**12])}
    stands = {name: np.array([7]) for name, _ in latecomers.CHAIN}
    return {"spans": chain | instants, "chains": stands | {"point_id": chain["point_id"]}}


async def call(connection, name, project_id, given) -> Any:
    """Call one function of the store; a refusal is an answer too."""
    function, arguments = FUNCTIONS[name], {}
    given = given | {"project_id": project_id, "project_ids": [project_id]}
    if name in SPECIAL:
        parameter, make = SPECIAL[name]
        given[parameter] = make(given[parameter], dtype=np.int64)
    if name == "readings.set_chain":
        given["state"] = {key: int(column[0]) for key, column in given["rows"].items()}
    if name == "readings.lay_aside":
        given["key"] = (project_id, given["meter_id"], 1, given["at"], given["at"])
    if name == "doubts.note":
        given["rows"] = [(given["point_id"], given["meter_id"], 1, given["at"], 8)]
    if name == "estimates.insert":
        of = (given["meter_id"], 1, given["at"], 0, 0, given["at"], "r")
        given["rows"] = [(given["point_id"], given["at"], 9, *of)]
    if name == "catalog.insert_place":
        given["kind"] = "room"
    if name.startswith("days."):
        given["before"] = days.Mark(0, EPOCH)
    if name in ("tasks.end", "openings.end"):
        given["state"] = "withdrawn"
    if name == "bookings.post_bookings":
        given["rows"] = bookings_of(given)
    if name == "recharges.change":
        given["changes"] = {"why": "theft"}
    if name == "recharges.set_wallet":
        given["changes"] = {"credit_minor": 7}
    if name in ("receipts.insert", "sales.write"):
        given["facts"] = {}
    if name == "sales.write":
        given["paper"] = {}
    if name == "people.persons_within":
        given["after"] = (None, None, None)
    if name == "people.building_names":
        given["building_ids"] = [given["place_id"]]
    if name.startswith("latecomers."):
        given |= latecomers_of(given)
        await latecomers.set_spans(connection, given["spans"])
    for parameter in list(inspect.signature(function).parameters)[1:]:
        if parameter == "query":
            arguments[parameter] = reports.READINGS.within(None)
        else:
            arguments[parameter] = given[parameter]
    if inspect.isasyncgenfunction(function):
        return [one async for one in function(connection, **arguments)]
    return await function(connection, **arguments)


def test_the_store_has_functions_to_look_at():
    assert len(FUNCTIONS) > 50


@pytest.fixture
async def past_the_policy(address):
    async with maintenance(address) as connection:
        yield connection


async def test_scope_alone_neither_shows_nor_changes_another_project(two, past_the_policy):
    ours, theirs = two
    connection, given = past_the_policy, await foreign(theirs)
    before = await everything_of(connection, theirs.project_id)
    for name in FUNCTIONS:
        step = connection.transaction()
        await step.start()
        try:
            async with connection.transaction():
                answer = await call(connection, name, ours.project_id, given)
        except (MeterhouseError, asyncpg.PostgresError):
            answer = None
        try:
            assert set(shown_ids(answer)) <= {ours.project_id}, name
            after = await everything_of(connection, theirs.project_id)
            assert after == before, name
        finally:
            await step.rollback()


FINDERS = {
    "agreements.accounts", "agreements.names", "agreements.of_place", "agreements.payments",
    "agreements.points", "agreements.richer_than", "agreements.transfers", "books.accounts_of",
    "books.get_agreement", "books.movements", "catalog.tariff_bodies", "commissionings.commands",
    "commissionings.get", "commissionings.latest_of", "commissionings.open_of",
    "customers.agreements_of", "customers.points_of_agreement", "customers.purses_of",
    "doubts.around", "doubts.charged", "doubts.get_doubt", "doubts.get_reading", "doubts.history",
    "doubts.names", "doubts.payers", "doubts.waiting", "doubts.waiting_points", "estimates.owed",
    "estimates.used_before", "estimates.versions",
    "explain.decided_in", "desk.get_payment", "desk.last_payments", "desk.paid_in",
    "desk.point_names", "desk.purses",
    "sales.facts", "desk.used_since", "devices.meters_of_gateway", "devices.points_of_place",
    "exchanges.standing", "explain.charges_of", "explain.get_transfer", "explain.readings_at",
    "journeys.journey", "journeys.steps", "bookings.balances", "bookings.drawers_of",
    "latecomers.charges", "latecomers.readings",
    "ledger.lock_accounts", "bookings.meters_of_purses", "bookings.rests", "monitor.contacts",
    "monitor.meter_place", "monitor.meters_of_account", "monitor.payer", "openings.names",
    "orders.get_order", "orders.transfers_of", "personal.of_customer", "places.path_to",
    "points.load", "queue.live_commands", "queue.next_command", "readings.charge_before",
    "readings.load_chain", "readings.load_charges", "receipts.prints", "recharges.live_of_meter",
    "recharges.live_of_meters", "recharges.lock", "recharges.next_due", "recharges.payer_of",
    "reports.days", "reports.get_command", "reports.last_commands", "reports.room_points",
    "shifts.get", "tasks.get", "tasks.get_file",
}  # fmt: skip


async def test_asked_for_the_others_ids_a_query_finds_nothing(two, past_the_policy):
    ours, theirs = two
    async with past_the_policy.transaction():
        given = await foreign(theirs)
        for name in FINDERS:
            assert size(await call(past_the_policy, name, theirs.project_id, given)) > 0, name
            assert size(await call(past_the_policy, name, ours.project_id, given)) == 0, name


def size(answer: Any) -> int:
    """How much an answer shows: rows, or the length of its columns."""
    if answer is None:
        return 0
    if isinstance(answer, asyncpg.Record):
        return 1
    if isinstance(answer, dict) and answer:
        first = next(iter(answer.values()))
        return len(first) if isinstance(first, np.ndarray) else len(answer)
    return len(answer)
