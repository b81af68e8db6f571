"""A house with a row in every table, and an argument for every parameter that the store takes.

For tests that call whatever the store has with the ids of another project.
"""

from datetime import datetime, timedelta
from string import Template
from types import SimpleNamespace
from typing import Any

import numpy as np

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
    customers,
    days,
    devices,
    ledger,
    lists,
    personal,
    places,
    points,
    projects,
    queue,
    readings,
    recharges,
    replays,
)
from meterhouse.store.copyfmt import Columns
from meterhouse.store.db import maintenance
from meterhouse.units import EPOCH, Minor, to_us
from premises import HASTY

# What only the money's way, paper, tasks and signatures leave behind.
LEFT_BEHIND = (
    """with named as (insert into personal (project_id, name) values (0, 'N') returning id)
        insert into person (kind, login, personal_id, created_at)
        select 'staff', 'cashier-$project', id, $at from named""",
    """insert into shift (project_id, cashier_id, float_minor, opened_at)
        values ($project, (select min(id) from person), 0, $at)""",
    "insert into receipt_series (project_id) values ($project)",
    """insert into point_persons (project_id, point_id, from_at, persons)
        values ($project, $point, $at, 1)""",
    """insert into receipt (project_id, number, label, payment_id, facts, issued_at)
        values ($project, 1, 'N-1', $payment, '{}', $at)""",
    """insert into receipt_print (project_id, receipt_id, copy, paper, language, is_named,
            printed_at)
        select $project, id, 1, 'a5', 'en', true, $at from receipt where project_id = $project""",
    """insert into recharge (project_id, payment_id, agreement_id, account_id, point_id, meter_id,
            wallet_epoch, number, order_number, amount_minor, state, next_at, created_at)
        values ($project, $payment, $agreement, $purse, $point, $meter, 1, 1, 'o-1', 1,
            'reserved', $at, $at)""",
    """insert into recharge_step (project_id, recharge_id, at, deed, rule)
        select $project, id, $at, 'look', 'r' from recharge where project_id = $project""",
    "insert into wallet (project_id, meter_id, wallet_epoch) values ($project, $meter, 1)",
    """insert into purse_report (project_id, transfer_id, meter_id, wallet_epoch, known_minor,
            read_at, said_minor)
        select $project, min(id), $meter, 1, 0, $at, 0 from transfer where project_id = $project""",
    """insert into opening (project_id, place_id, customer_id, terms, created_at)
        values ($project, $place, $customer, '{}', $at)""",
    """insert into exchange (project_id, point_id, old_meter_id, new_meter_id, exchanged_at,
            closing_milli, closing_source, opening_milli, reason, created_at)
        values ($project, $point, $meter, $other_meter, $at, '{1}', 'hand', '{0}', 'broken',
            $at)""",
    """insert into settlement (project_id, agreement_id, settled_at, registers, refunded_minor,
            reason, created_at) values ($project, $agreement, $at, '[]', 0, 'left', $at)""",
    """insert into day_close (project_id, day, until_at, totals, proofs, is_proved,
            last_transfer_id, closed_at)
        values ($project, $at::date, $at, '{}', '{}', true, 1, $at)""",
    """insert into energy_mark (project_id, after_at, until_at)
        values ($project, '1970-01-01', $at)""",
    """insert into energy_difference (project_id, commodity, after_at, energy_milli, amount_nano)
        values ($project, 'electricity', '1970-01-01', 1, 1)""",
    """insert into drift (project_id, point_id, day, since_at, until_at, meter_id,
            deducted_total_minor, rated_total_nano, deducted_minor, rated_nano)
        values ($project, $point, $at::date, $at, $at, $meter, 1, 1, 1, 1)""",
    """insert into decision (project_id, meter_id, register_epoch, read_at, number, decided, reason,
            decided_at)
        values ($project, $meter, 1, $at, 1, 1, 'seen', $at)""",
    """insert into estimate (project_id, point_id, read_at, version, meter_id, register_epoch,
            started_at, total_milli, block_milli, block_period_at, rule, made_at)
        values ($project, $point, $at, 1, $meter, 1, $at, 1, 1, $at, 'r', $at)""",
    "update point_state set estimated_nano = 1 where project_id = $project",
    """insert into task (project_id, kind, title, input, created_at)
        values ($project, 'export', 'N', '{}', $at)""",
    """insert into task_file (project_id, task_id, part, name, media_type, content)
        select $project, id, 'output', 'N', 'text/csv', '' from task where project_id = $project""",
    """insert into commissioning (project_id, meter_id, items, started_at)
        values ($project, $meter, '{}', $at)""",
    """insert into replay (project_id, id, since_at, until_at, asked, found, corrects, made_at)
        select $project, id, $at, $at, '{}', '{}', false, $at from task
        where project_id = $project""",
    """insert into replay_row (project_id, replay_id, point_id, account_id, interval_count,
            energy_milli, charged_nano, would_nano)
        select $project, id, $point, $purse, 1, 1, 1, 1 from replay where project_id = $project""",
    """insert into assignment (project_id, edition, tariff_id, since_at, reason, made_at, replay_id,
            point_count)
        select $project, 1, tariff_id, $at, 'N', $at, 1, 1 from point where id = $point""",
)


async def lively(new_site: Any, name: str) -> Any:
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
    purse = await site.row("select account_id from point where id = $1", site.points[0])
    ids = {
        "project": site.project_id, "payment": await first_of(site, "payment"),
        "agreement": site.rooms[0].agreement_id, "purse": purse["account_id"],
        "point": site.points[0], "meter": site.meters[0], "other_meter": site.meters[1],
        "place": site.rooms[0].place_id, "customer": await first_of(site, "customer"),
        "at": f"'{site.clock().isoformat()}'::timestamptz",
    }  # fmt: skip
    async with maintenance(site.db.address) as connection:
        for statement in LEFT_BEHIND:
            await connection.execute(Template(statement).substitute(ids))
    return site


async def first_of(site: Any, table: str) -> int:
    """The least id a project has in a table."""
    row = await site.row(
        f"select min(id) as id from {table} where project_id = $1", site.project_id
    )
    assert row["id"] is not None, table
    return int(row["id"])


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
    notice, alarm, household = [
        await first_of(theirs, one) for one in ("notice", "alarm", "customer")
    ]
    now: datetime = theirs.clock()
    first = {
        "meter": theirs.meters[0], "point": theirs.points[0],
        "account": account["account_id"], "room": theirs.rooms[0].place_id,
    }  # fmt: skip
    return {
        "meter_id": first["meter"], "meter_ids": theirs.meters, "point_id": first["point"],
        "room_ids": [first["room"]],
        "point_ids": theirs.points, "account_id": first["account"], "gateway_id": theirs.gateway_id,
        "account_ids": [first["account"]], "agreement_id": theirs.rooms[0].agreement_id,
        "common_account_id": account["common_account_id"], "tariff_id": theirs.tariff_id,
        "tariff_ids": [theirs.tariff_id], "place_id": first["room"], "parent_id": theirs.floor_id,
        "room_id": first["room"], "building_id": None, "command_id": sent["id"],
        "notice_id": notice, "alarm_id": alarm, "alarm_ids": [alarm],
        "command_ids": [sent["id"]], "person_id": 1, "filter_id": 1, "list_name": "meters",
        "text": "1", "limit": 9,
        "reasons": list(Reason), "subject": f"point:{first['point']}",
        "customer_id": household,
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
            of_payment_id=None, payee_id=None, shift_id=None, second_id=None, actor_id=None,
            tender_minor=None, energy_milli=None, price_micro=None, number=9, order_number="new",
            payment_id=await first_of(theirs, "payment"),
            replay_id=1, wallet_epoch=1, old_meter_id=first["meter"], new_meter_id=theirs.meters[1],
            closing_milli=[1], closing_source="hand", opening_milli=[0], moved_minor=0,
            asked=None, is_whole=False, prefix="N", paper="roll80", footer="N", quiet_channels=(),
            version=1, title="N", input={}, total_count=0, waits=False, settled_at=now,
            registers=[], refunded_minor=0, written_off_minor=0, transfer_id=9**9, known_at=now,
            known_minor=0, read_at=now, said_minor=0, decided=1, registers_milli=None, used_milli=0,
            since=now, versions=[(now, {})], version_count=1, tariff_id=theirs.tariff_id,
        ),
        "read_at_us": np.array([to_us(now)] * 3, dtype=np.int64), "registers_milli": [1] * 5,
        "row_max": 100, "wanted": lists.Wanted(), "after": None,
        "facts": personal.Facts("N"), "before": now,
        "entry": audit.Entry(now, None, "cli", "a", "v", "meter:1"), "digest": b"", "status": 200,
        "heads": (), "until_id": 2**62, "addresses": ["000000000001"], "said": {},
        "body": {},
    } | set_up(theirs, first, account) | await money_of(theirs)  # fmt: skip


def set_up(theirs, first, account) -> dict[str, Any]:
    """The arguments that only setting a site up takes."""
    now = theirs.clock()
    agreement_id = theirs.rooms[0].agreement_id
    meter = devices.NewMeter(theirs.gateway_id, "M", "000000000099", 1, 10, 1, first["point"])
    return {
        "version": 1, "number": 9, "effective_from": now, "ats": [now],
        "personal_ids": [1], "people": [personal.Facts("N")], "languages": ["en"],
        "customer_ids": [1], "warnings_minor": [3, 2, 1], "persons": 2, "persons_each": [2],
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


async def money_of(theirs) -> dict[str, Any]:
    """The arguments that the money's way, paper, the day's end and tasks take."""
    now = theirs.clock()
    payment, receipt, recharge, shift, task, opening, transfer, commissioning = [
        await first_of(theirs, table)
        for table in ("payment", "receipt", "recharge", "shift", "task", "opening", "transfer",
                      "commissioning")
    ]  # fmt: skip
    purse = (await theirs.row("select account_id from point where id = $1", theirs.points[0]))[
        "account_id"
    ]
    agreement, mark = theirs.rooms[0].agreement_id, days.Mark(2**62, now + timedelta(days=1))
    return {
        "payment_id": payment, "payment_ids": [payment], "receipt_id": receipt,
        "recharge_id": recharge, "shift_id": shift, "task_id": task, "opening_id": opening,
        "opening_ids": [opening], "transfer_id": transfer, "commissioning_id": commissioning,
        "agreement_ids": [agreement], "purse_id": purse, "purse_ids": [purse],
        "debit_account_id": purse, "credit_account_id": purse, "revenue_id": purse,
        "rests_nano": {theirs.points[0]: 1}, "below_nano": {theirs.points[0]: 1}, "correction": -1,
        "rounded_nano": 1, "aside_nano": 1, "condition": "true", "columns": "count(*)",
        "by": "true", "booking": 0, "mark": mark, "first": now.date(), "last": now.date(),
        "first_open": now.date(), "until": now, "until_at": now, "proof": next(iter(days.PROOFS)),
        "share": 0, "known": [], "totals": {}, "proofs": {}, "limit_minor": -(2**60),
        "cashier_id": 1, "float_minor": 0, "expected_minor": 0, "counted_minor": 0,
        "handed_to_id": None, "label": "N", "paper": "a5", "is_named": True, "items": {},
        "terms": {}, "changes": {}, "wallet_epoch": 1, "net": {"credit_minor": 9,
        "overdraft_minor": 0}, "step": recharges.Step("look", "r"), "created_before": now +
        timedelta(days=1), "dead_before": now, "claim_count": 0, "done_count": 1,
        "total_count": 1, "result": None, "second_id": 1, "part": "output",
        "media_type": "text/csv", "content": b"", "lock": True, "seals": False,
        "fresh": timedelta(minutes=15), "cash_id": purse, "is_all": True, "role": "finance",
        "scope_kind": "project", "scope_id": theirs.project_id, "granted_by": None,
        "building_ids": None, "day_count": 30, "rooms": ["101"], "area_dm2": 1, "areas_dm2": {},
        "keys": [(theirs.meters[0], 1, now)], "rests_nano_": 1,
        "begins": False, "models": ["M"],
        "after_at": EPOCH, "noted": (0, 2**62),
    } | await doubts_of(theirs) | await replays_of(theirs)  # fmt: skip


async def doubts_of(theirs) -> dict[str, Any]:
    """The arguments that doubts, decisions and estimates take."""
    now, doubt_id = theirs.clock(), await first_of(theirs, "doubt")
    meter_id, point_id, later = theirs.meters[0], theirs.points[0], now + timedelta(hours=1)
    return {
        "doubt_id": doubt_id, "doubt_ids": [doubt_id], "reading": (meter_id, 1, now),
        "reading_id": to_us(now),
        "doubt": {"point_id": point_id, "meter_id": meter_id, "register_epoch": 1,
                  "read_at": now},
        "doubtful": [], "most": 9, "after_id": 0, "good_since": EPOCH, "good_until": later,
        "ended_until": later, "sinces": [EPOCH] * 3, "untils": [later] * 3,
        "ends": [(point_id, now)], "rule": "r", "amount_nano": 1, "moved_before": now,
        "spans": [(meter_id, 1, EPOCH, later)], "until_us": to_us(now),
    }  # fmt: skip


async def replays_of(theirs) -> dict[str, Any]:
    """The arguments that rating the past again takes."""
    return {
        "replay_id": await first_of(theirs, "replay"), "layout": replays.CHARGE, "after_id": 0,
        "priced": [{"point_id": theirs.points[0], "tariff_id": theirs.tariff_id, "edition": 0,
                    "is_repriced": True}],
        "given": None, "names": ["101"],
        "charges": columns_for(theirs), "block_milli": 1,
        "period_us": 1, "found": {}, "last": None,
        "asked": {"tariff_id": None, "since_at": theirs.clock(), "until_at": theirs.clock(),
                  "asked": {}, "corrects": False, "actor_id": None},
    }  # fmt: skip
