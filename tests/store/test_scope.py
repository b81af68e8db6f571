"""One project never sees another: row-level security alone, and the queries' own scope alone.

Each is tested with the other out of the way. For the second, every function of the store that
takes a project is found by looking, called as the maintenance role (which no policy binds) for one
project with the ids of another, and must neither show nor change anything of that other one.
"""

import inspect
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import asyncpg
import numpy as np
import pytest

from meterhouse.errors import MeterhouseError
from meterhouse.flows import command
from meterhouse.model import (
    AccountKind,
    AlarmKind,
    CommandKind,
    CommandState,
    Commodity,
    Compartment,
    Keeper,
    Reason,
)
from meterhouse.store import (
    audit,
    catalog,
    customers,
    devices,
    filters,
    ledger,
    lists,
    monitor,
    overview,
    personal,
    places,
    points,
    projects,
    queue,
    readings,
    reports,
    search,
)
from meterhouse.store.copyfmt import Columns
from meterhouse.store.db import maintenance
from meterhouse.units import EPOCH, Minor, to_us
from premises import HASTY

ROOMS_OF_STORE = (
    audit, catalog, customers, devices, filters, ledger, lists, monitor, overview, personal, places,
    points, projects, queue, readings, reports, search,
)  # fmt: skip
# A row of another project's ids that a query forgot to scope would be among these.
TABLES = (
    "account", "agreement", "agreement_point", "alarm", "charge", "command", "customer",
    "gateway", "gateway_state", "meter", "notice", "payment", "personal", "place", "point",
    "point_state", "pulse", "reading", "reading_aside", "tariff", "tariff_version", "transfer",
)  # fmt: skip


async def lively(new_site, name):
    """A site that has rows in every table."""
    site = await new_site(name=name, policy=HASTY, email="tenant@example.org")
    site.clock.at = site.clock.at.replace(hour=2)
    await site.pay(100)
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(2_000)
    site.clock.step(minutes=30)
    await site.say(4_000)
    await site.read((site.meters[0], site.clock(), 4_010), (10**9, site.clock(), 1))
    await command.request(
        site.db, site.project_id, site.meters[:2], CommandKind.DISCONNECT, "note", None,
        site.clock(),
    )  # fmt: skip
    return site


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
                async with connection.transaction():
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


def columns_for(theirs) -> Columns:
    """Every column that any bulk function takes, one row of the other project's."""
    layouts = (readings.ROUND, readings.READING, readings.CHARGE)
    names = {name for layout in layouts for name, _ in layout}
    names |= {*points.STATE, *points.TRACK}
    one = dict.fromkeys(names, 1) | {
        "project_id": theirs.project_id, "point_id": theirs.points[0],
        "meter_id": theirs.meters[0], "read_at": to_us(theirs.clock()) + 1,
    }  # fmt: skip
    return {name: np.array([given], dtype=np.int64) for name, given in one.items()}


async def foreign(theirs) -> dict[str, Any]:
    """An argument for every parameter name, all of them the other project's ids."""
    account = await theirs.row(
        "select account_id, common_account_id from point where id = $1", theirs.points[0]
    )
    sent = (await theirs.commands())[0]
    notice = await theirs.row("select min(id) as id from notice")
    alarm = await theirs.row("select min(id) as id from alarm")
    household = await theirs.row("select min(id) as id from customer")
    now: datetime = theirs.clock()
    first = {"meter": theirs.meters[0], "point": theirs.points[0], "account": account["account_id"],
             "room": theirs.rooms[0].place_id}  # fmt: skip
    return {
        "meter_id": first["meter"], "meter_ids": theirs.meters, "point_id": first["point"],
        "point_ids": theirs.points, "account_id": first["account"], "gateway_id": theirs.gateway_id,
        "account_ids": [first["account"]], "agreement_id": theirs.rooms[0].agreement_id,
        "common_account_id": account["common_account_id"], "tariff_id": theirs.tariff_id,
        "tariff_ids": [theirs.tariff_id], "place_id": first["room"], "parent_id": theirs.floor_id,
        "room_id": first["room"], "building_id": None, "command_id": sent["id"],
        "notice_id": notice["id"], "alarm_id": alarm["id"], "alarm_ids": [alarm["id"]],
        "command_ids": [sent["id"]], "person_id": 1, "filter_id": 1, "list_name": "meters",
        "text": "1", "limit": 9,
        "reasons": list(Reason), "subject": f"point:{first['point']}",
        "customer_id": household["id"],
        "register_epoch": 1, "at": now,
        "expires_at": now, "next_at": now, "sent_before": now, "read_before": now,
        "read_since": EPOCH, "seen_before": now, "installed_before": now, "since": EPOCH,
        "valid_from": now, "from_at_us": 1, "after_us": 1, "before_us": to_us(now) + 10**9,
        "count": 100, "levels": [0] * 3, "override": "off", "relay": 1, "keep_power": True,
        "online": True, "peer": "", "kinds": list(CommandKind), "why": "", "note": "",
        "state": CommandState.CONFIRMED,
        "subjects": [f"point:{first['point']}", "meter:1000000000"],
        "alarms": [queue.NewAlarm(AlarmKind.READING_DOUBTFUL, f"point:{first['point']}")],
        "notices": [queue.NewNotice("console", None, "", "", "key")], "actor_id": None,
        "batch_id": None, "rows": columns_for(theirs), "least_nano": 0, "taken_nano": [1],
        "accrued_nano": 1, "rated_nano": 1, "amount_minor": Minor(1), "key": "new key",
        "channel": "cash", "reason": "", "name": "N", "kind": AccountKind.PURSE, "sort": 0,
        "area_dm2": None, "phone": None, "email": None, "language": "en", "commodity":
        Commodity.ELECTRICITY, "keeper": Keeper.PLATFORM, "registration": "new", "direction":
        "dial_in", "address": None, "protocol": "dlt645-2007", "unit": "CNY", "compartment":
        Compartment.WATER, "floor_minor": 0, "versions": [], "timezone": "UTC",
        "transfers": [ledger.NewTransfer(first["account"], account["common_account_id"], Minor(1),
                                         "theft")],
        "new": SimpleNamespace(
            meter_id=first["meter"], point_id=first["point"], gateway_id=theirs.gateway_id,
            kind=CommandKind.READ, reason=Reason.PERSON, note="", not_before=now,
            expires_at=now.replace(hour=23), model="M", address="1", multiplier=1,
            modulus_milli=10, max_power_w=1, agreement_id=theirs.rooms[0].agreement_id,
            account_id=first["account"], channel="cash", amount_minor=Minor(1), key="theft",
            of_payment_id=None, payee_id=None, shift_id=None, second_id=None,
            tender_minor=None, energy_milli=None, price_micro=None,
        ),
        "read_at_us": np.array([to_us(now)] * 3, dtype=np.int64), "registers_milli": [1] * 5,
        "row_max": 100, "wanted": lists.Wanted(), "after": None,
        "facts": personal.Facts("N"), "before": now,
        "entry": audit.Entry(now, None, "cli", "a", "v", "meter:1"), "digest": b"", "status": 200,
        "heads": (), "until_id": 2**62, "addresses": ["000000000001"], "said": {},
        "body": {},
    } | set_up(theirs, first, account)  # fmt: skip


def set_up(theirs, first, account) -> dict[str, Any]:
    """The arguments that only setting a site up takes."""
    now = theirs.clock()
    agreement_id = theirs.rooms[0].agreement_id
    meter = devices.NewMeter(theirs.gateway_id, "M", "000000000099", 1, 10, 1, first["point"])
    return {
        "version": 1, "number": 9, "effective_from": now, "ats": [now],
        "personal_ids": [1], "people": [personal.Facts("N")], "languages": ["en"],
        "customer_ids": [1], "warnings_minor": [3, 2, 1],
        "purses": [customers.Purse(agreement_id, Compartment.WATER, 0)],
        "attached": [
            customers.Attached(first["point"], agreement_id, account["account_id"],
                               account["common_account_id"], now)
        ],
        "points": [devices.NewPoint(first["room"], "water", theirs.tariff_id, "platform")],
        "meters": [meter], "hung": [(first["meter"], first["point"])], "metered": True,
        "tariffs": {first["point"]: theirs.tariff_id},
        "places": [places.NewPlace(theirs.floor_id, "room", "N")],
        "areas_dm2": {first["room"]: 1}, "group_id": 1, "currency": "EUR",
        "currency_exponent": 3, "reading_interval_s": 60, "policy": {}, "frozen": True,
        "days": [(now.date(), "holiday", "")], "day": now.date(), "payee_id": 1,
        "payee": projects.Payee("water", "N", "", "", ""),
    }  # fmt: skip


SPECIAL = {
    "monitor.lock_meters": ("meter_ids", np.array),
    "points.load": ("meter_ids", np.array),
    "readings.shared_accruals": ("account_ids", np.array),
    "readings.note_read": ("point_ids", np.array),
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
    if name == "catalog.insert_place":
        given["kind"] = "room"
    for parameter in list(inspect.signature(function).parameters)[1:]:
        if parameter == "query":
            arguments[parameter] = reports.READINGS
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
    "monitor.meters_of_account", "monitor.meter_place", "monitor.contacts",
    "monitor.payer", "queue.live_commands", "queue.next_command", "readings.load_chain",
    "readings.load_charges", "readings.charge_before", "points.load", "reports.days",
    "reports.room_points", "reports.last_commands", "reports.get_command", "ledger.lock_accounts",
    "catalog.tariff_bodies", "personal.of_customer",
    "places.path_to",
    "devices.points_of_place", "devices.meters_of_gateway",
    "customers.agreements_of", "customers.points_of_agreement",
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
