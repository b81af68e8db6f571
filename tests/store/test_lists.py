"""Every list, in every order and both directions, a page at a time: each row exactly once."""

import json
import random
from datetime import timedelta

import pytest

from databases import copy_database, drop_copy, keep_plans
from meterhouse.flows.monitor import LISTS
from meterhouse.store import lists, people
from meterhouse.store.db import Database, maintenance
from meterhouse.store.lists import PositionUnfit, Wanted
from premises import MORNING, Clock, build_site

SIZES = (1, 5, 200)
FILTERS = {
    "meters": [{"online": True}, {"online": False}, {"text": "%1%"}, {"text": "%10_%"}],
    "alarms": [{"open": True}, {"open": False}, {"kind": "credit_low"}, {"text": "%01%"}],
    "commands": [{"state": "confirmed"}, {"kind": "read"}, {"from": MORNING}],
    "notices": [{"state": "sent"}, {"channel": "email"}, {"to": MORNING}],
    "gateways": [{"online": False}, {"text": "%g%"}],
    "audit": [{"act": "meter.read"}, {"object": "%meter%", "to": MORNING}],
    "readings": [{"meter": None}, {"to": MORNING}],
    "tasks": [{"state": "queued"}, {"kind": "bulk"}, {"to": MORNING}],
    "rooms": [{"text": "%10_%"}],
    "tariffs": [{"text": "%nothing%"}],
    "customers": [{"let": False}],
    "drift": [{"from": MORNING}, {"text": "%10_%"}],
    "replays": [{"from": MORNING}, {"text": "%trial%"}],
    "replay_rows": [{"replay": 1}, {"change": "less"}, {"text": "%10_%"}],
    "bills": [{"agreement": 2}, {"to": MORNING}, {"text": "%10_%"}],
    "doubts": [{"why": "jump"}, {"to": MORNING}, {"block": "%nothing%"}, {"text": "%10_%"}],
    "estimates": [{"state": "missing"}, {"to": MORNING}, {"text": "%nothing%"}],
    "days": [{"proved": False}, {"from": MORNING}],
    "journal": [{"account": "revenue"}, {"kind": "booking"}, {"to": MORNING}],
    "orders": [{"kind": "refund"}, {"channel": "card"}, {"block": "%nothing%"}, {"from": MORNING}],
    "commissioning": [{"state": "signed"}],
    "recharges": [{"state": "applied"}, {"from": MORNING}, {"text": "%10_%"}],
    "receipts": [{"void": True}, {"to": MORNING}, {"text": "%no-3%"}],
    "openings": [{"state": "withdrawn"}, {"text": "%nothing%"}],
    "agreements": [{"text": "%nothing%"}],
    "exchanges": [{"from": MORNING}, {"text": "%nothing%"}],
    "shifts": [{"from": MORNING}],
    "supplies": [{"text": "%nothing%"}],
}


async def add_money(connection, project_id, dice, where):
    """A transfer, a closed day and an order."""
    point_id, at, number = where
    await connection.execute(
        """insert into transfer (project_id, debit_account_id, credit_account_id,
               amount_minor, state, kind, point_id, created_at)
           select $1, p.id, r.id, $2, 'posted', $3, $4, $5 from account p, account r
           where p.project_id = $1 and p.kind = 'purse' and r.project_id = $1
           and r.kind = $6 order by p.id limit 1""",
        project_id, dice.choice([1, 2]), dice.choice(["booking", "fee"]), point_id, at,
        dice.choice(["revenue", "fee"]),
    )  # fmt: skip
    await connection.execute(
        """insert into day_close (project_id, day, until_at, totals, proofs, is_proved,
               last_transfer_id, closed_at)
           values ($1, $2::date, $2, $3, '{}', $4, 0, $2)""",
        project_id, MORNING + timedelta(days=number - 45),
        json.dumps({"in_minor": dice.choice([None, 1, 2])}), dice.random() < 0.5,
    )  # fmt: skip
    await connection.execute(
        """insert into payment (project_id, agreement_id, account_id, channel, amount_minor,
               key, created_at, kind, point_id)
           select $1, agreement_id, id, $2, $3, $4, $5, $6, $7 from account
           where project_id = $1 and kind = 'purse' order by id limit 1""",
        project_id, dice.choice(["cash", "card"]), dice.choice([100, 200]), f"list:{number}", at,
        dice.choice(["recharge", "refund", "move"]), point_id,
    )  # fmt: skip


async def add_desk(connection, site, dice, where):
    """A recharge, a comparison, a receipt, a prepared opening, an exchange and a shift."""
    at, number = where
    project_id, point_id, meter_id = site.project_id, site.points[0], site.meters[0]
    payment_id = await connection.fetchval(
        "select id from payment where project_id = $1 and key = $2", project_id, f"list:{number}"
    )
    ended_at, state = dice.choice([(None, "applied"), (at, "verified"), (at, "returned")])
    await connection.execute(
        """insert into recharge (project_id, payment_id, agreement_id, account_id, point_id,
               meter_id, wallet_epoch, number, order_number, amount_minor, state, ended_at,
               created_at)
           select $1, $2, agreement_id, account_id, $3, $4, 1, $5, $6, amount_minor, $7, $8, $9
           from payment where project_id = $1 and id = $2""",
        project_id, payment_id, point_id, meter_id, number, f"{number}", state, ended_at, at,
    )  # fmt: skip
    await connection.execute(
        """insert into drift (project_id, point_id, day, since_at, until_at, meter_id,
               deducted_total_minor, rated_total_nano, deducted_minor, rated_nano)
           values ($1, $2, $3::date, $3, $3, $4, 0, 0, $5, 10000000)""",
        project_id, dice.choice(site.points), MORNING + timedelta(days=number - 45), meter_id,
        dice.choice([1, 2]),
    )  # fmt: skip
    await connection.execute(
        """insert into doubt (project_id, point_id, meter_id, register_epoch, read_at, verdict,
               noted_at) values ($1, $2, $3, 1, $4, $5, $6)""",
        project_id, point_id, meter_id, MORNING + timedelta(days=400, minutes=number),
        dice.choice([4, 6, 8]), at,
    )  # fmt: skip
    voided_at = dice.choice([None, at])
    await connection.execute(
        """insert into receipt (project_id, number, label, payment_id, facts, issued_at,
               voided_at, void_reason) values ($1, $2, $3, $4, '{}', $5, $6, $7)""",
        project_id, number + 1, f"no-{number}", payment_id, at, voided_at,
        "wrong" if voided_at else "",
    )  # fmt: skip
    state = "prepared" if number == 40 else "withdrawn"
    await connection.execute(
        """insert into opening (project_id, place_id, customer_id, terms, state, created_at)
           select $1, p.place_id, (select min(id) from customer where project_id = $1), '{}', $2, $3
           from point p where p.project_id = $1 and p.id = $4""",
        project_id, state, at, point_id,
    )  # fmt: skip
    await connection.execute(
        """with old as (insert into meter (project_id, model, address, modulus_milli, max_power_w,
                   installed_at, removed_at)
               values ($1, 'DDSY1352-NK', $2, 1000, 1000, $3, $3) returning id)
           insert into exchange (project_id, point_id, old_meter_id, new_meter_id, exchanged_at,
               closing_milli, closing_source, opening_milli, reason, created_at)
           select $1, $4, id, $5, $3, '{1}', 'hand', '{0}', 'broken', $3 from old""",
        project_id, f"8{number:011}", at, point_id, meter_id,
    )  # fmt: skip
    person_id = await people.insert_person(
        connection, "staff", f"clerk-{number}", "Clerk", None, None, at
    )
    await connection.execute(
        """insert into shift (project_id, cashier_id, float_minor, opened_at, closed_at,
               expected_minor, counted_minor) values ($1, $2, $3, $4, $4, 1, $5)""",
        project_id, person_id, dice.choice([0, 100]), at, dice.choice([1, 2]),
    )  # fmt: skip


async def add_replay(connection, site, dice, where):
    """A replay under its task's number, with a household or two."""
    replay_id, at = where
    found = {"households": 2, "charged_nano": "10000000", "would_nano": dice.choice("12") + "0" * 7}
    await connection.execute(
        """insert into replay (project_id, id, since_at, until_at, asked, found, corrects, made_at)
           values ($1, $2, $3, $3, $4, $5, false, $3)""",
        site.project_id, replay_id, at, json.dumps({"name": dice.choice(["trial", "other"])}),
        json.dumps(found),
    )  # fmt: skip
    for point_id in site.points[: dice.choice([1, 2])]:
        await connection.execute(
            """insert into replay_row (project_id, replay_id, point_id, account_id, interval_count,
                   energy_milli, charged_nano, would_nano)
               select $1, $2, $3, account_id, 1, $4, 10000000, $5 from point where id = $3""",
            site.project_id, replay_id, point_id, dice.choice([1, 2]),
            dice.choice([10_000_000, 20_000_000]),
        )  # fmt: skip


async def add_bill(connection, site, dice, where):
    """A bill of a point, and perhaps a further version of it, or one that takes it back."""
    number, begin = where
    from_at = begin + timedelta(days=number)
    for version in range(1, dice.choice([2, 3])):
        await connection.execute(
            """insert into bill (project_id, point_id, from_at, version, to_at, period_from_at,
                   period_to_at, account_id, payer_at, tariff_id, energy_milli, charged_nano,
                   total_minor, amount_nano, after_milli, after_period_at, after_kept_milli, said,
                   booking, edition, made_at)
               select project_id, id, $3, $4, $5, $6, $3, account_id, payer_at, tariff_id, $7, $8,
                   $9, 0, 0, $3, 0, '{}', 0, 0, $3 from point where project_id = $1 and id = $2""",
            site.project_id, dice.choice(site.points), from_at, version,
            from_at + timedelta(days=dice.choice([0, 1])), begin, dice.choice([1, 2]),
            dice.choice([10_000_000, 20_000_000]), dice.choice([1, 2]),
        )  # fmt: skip


async def add_rows(connection, site, count, seed):
    """Rows with few distinct values and many gaps, so that ties and nulls meet page borders."""
    dice = random.Random(seed)
    project_id, points, meters = site.project_id, site.points, site.meters
    for n in range(count):
        at = MORNING + timedelta(hours=dice.randrange(-3, 3))
        point_id, meter_id = dice.choice([None, *points]), dice.choice(meters)
        await connection.execute(
            """insert into alarm (project_id, kind, subject, point_id, opened_at, closed_at)
               values ($1, $2, $3, $4, $5, $6)""",
            project_id, dice.choice(["credit_low", "clock_skew"]), f"{seed}:{n}", point_id, at,
            dice.choice([None, at, at + timedelta(hours=1)]),
        )  # fmt: skip
        await connection.execute(
            """insert into command (project_id, meter_id, point_id, kind, reason, generation, state,
                   created_at, not_before, expires_at, ended_at)
               values ($1, $2, $3, $4, 'person', $5, $6, $7, $7,
                   $7::timestamptz + interval '1 hour', $8)""",
            project_id, meter_id, point_id, dice.choice(["read", "connect"]), 1000 * seed + n,
            dice.choice(["confirmed", "refused"]), at, dice.choice([None, at]),
        )  # fmt: skip
        await connection.execute(
            """insert into notice (project_id, channel, subject, text, point_id, key, state,
                   next_at, sent_at, created_at)
               values ($1, $2, 's', 't', $3, $4, 'sent', $5, $6, $5)""",
            project_id, dice.choice(["email", "console"]), point_id, f"{seed}:{n}", at,
            dice.choice([None, at]),
        )  # fmt: skip
        await add_money(connection, project_id, dice, (point_id, at, 40 * seed + n))
        await add_desk(connection, site, dice, (at, 40 * seed + n))
        await connection.execute(
            """insert into audit_entry (project_id, at, via, act, verb, object)
               values ($1, $2, 'api', $3, 'meter.read', $4)""",
            project_id, at, dice.choice(["meter.read", "alarm.close"]), f"meter:{meter_id}",
        )  # fmt: skip
        task_id = await connection.fetchval(
            """insert into task (project_id, kind, title, input, state, created_at, ended_at)
               values ($1, $2, 't', '{}', $3, $4, $5) returning id""",
            project_id, dice.choice(["bulk", "export"]), dice.choice(["queued", "done"]), at,
            dice.choice([None, at]),
        )  # fmt: skip
        await add_replay(connection, site, dice, (task_id, at))
        await add_bill(connection, site, dice, (40 * seed + n, at))
        if n % 4 == 0:
            await connection.execute(
                """insert into meter (project_id, model, address, modulus_milli, max_power_w,
                       installed_at) values ($1, $2, $3, 1000, 1000, $4)""",
                project_id, dice.choice(["DDSY1352-NK", "DTSY1352-NK"]), f"9{seed:02}{n:08}", at,
            )  # fmt: skip
            await connection.execute(
                """insert into gateway (project_id, name, registration, direction)
                   values ($1, $2, $3, 'dial_in')""",
                project_id, dice.choice("ABC"), f"{project_id}-{seed}-{n}",
            )  # fmt: skip


async def add_estimates(connection, site):
    """One point that stands on an estimate, and three that cannot be estimated."""
    at, (first, *others) = site.clock() + timedelta(hours=1), site.points
    await connection.execute(
        """insert into charge (project_id, point_id, ended_at, version, started_at, meter_id,
               register_epoch, account_id, tariff_id, energy_milli, block_milli, block_period_at,
               amount_nano, verdict, quality, booking, edition)
           select project_id, point_id, $2, 1, ended_at, meter_id, register_epoch, account_id,
               tariff_id, 7, block_milli, block_period_at, 7, verdict, 2, booking, edition
           from charge where point_id = $1 order by ended_at desc limit 1""",
        first, at,
    )  # fmt: skip
    await connection.execute(
        "update point_state set estimated_at = $2, estimated_nano = 7 where point_id = $1",
        first, at,
    )  # fmt: skip
    for point_id in others[:3]:
        await connection.execute(
            """insert into alarm (project_id, kind, subject, point_id, opened_at, facts)
               values ($1, 'estimate_missing', $2, $3, $4, '{"why": "days_unknown"}')""",
            site.project_id, f"point:{point_id}", point_id, at,
        )  # fmt: skip


async def made_busy(site):
    """A site with rows in every list; answers it."""
    for n in range(6):
        site.clock.step(minutes=1)
        await site.say(1000 * (n // 2), room=n % 2)
    async with maintenance(site.db.address) as connection:
        await add_rows(connection, site, 16, 1)
        await add_estimates(connection, site)
    return site


@pytest.fixture(scope="module")
async def busy(template):
    """One for all who only look; its plans are kept, for each query is asked very often."""
    address = await copy_database(template)
    await keep_plans(address)
    db = Database(address, size=4)
    await db.open()
    yield await made_busy(await build_site(db, Clock(), rooms=5))
    await db.close()
    await drop_copy(address)


@pytest.fixture
async def growing(new_site):
    """One of a test's own, which it adds to."""
    return await made_busy(await new_site(rooms=5))


def names(query, rows):
    return [tuple(row[column] for column in query.key) for row in rows]


async def walked(site, query, wanted):
    """All rows, a page after the other."""
    after, found = None, []
    while True:
        async with site.db.transaction([site.project_id]) as connection:
            rows = await lists.fetch_after(connection, query, site.project_id, wanted, after)
        found += rows
        if len(rows) < wanted.limit:
            return found
        after = lists.position(query, wanted, rows[-1])


async def numbered(site, query, wanted):
    """The same by page numbers, and how many rows the first page promised."""
    found, counted = [], None
    while True:
        async with site.db.transaction([site.project_id]) as connection:
            page = await lists.fetch_list(
                connection, query, site.project_id,
                Wanted(wanted.filters, wanted.sort, wanted.descending, wanted.limit, len(found)),
            )  # fmt: skip
        counted = page.row_count if counted is None else counted
        found += page.rows
        if not page.rows:
            return found, counted


@pytest.mark.parametrize("name", LISTS)
async def test_pages_of_any_size_bring_the_whole_list_once_and_in_order(busy, name):
    query = LISTS[name].within(None)
    for sort in ("", *query.orders):
        for descending in (False, True):
            whole = None
            for limit in SIZES:
                wanted = Wanted(sort=sort, descending=descending, limit=limit)
                found = names(query, await walked(busy, query, wanted))
                whole = found if whole is None else whole
                assert found == whole, (sort, descending, limit)
            assert len(whole) == len(set(whole)) > 0
            by_number, counted = await numbered(
                busy, query, Wanted(sort=sort, descending=descending, limit=7)
            )
            assert names(query, by_number) == whole, (sort, descending)
            assert counted == len(whole)


@pytest.mark.parametrize("name", LISTS)
async def test_what_has_nothing_to_sort_by_comes_last_in_both_directions(busy, name):
    query = LISTS[name].within(None)
    for sort, columns in query.orders.items():
        first, *more = columns.split(", ")
        for descending in (False, True):
            wanted = Wanted(sort=sort, descending=descending, limit=200)
            rows = await walked(busy, query, wanted)
            given = [tuple(row[one] for one in (first, *more)) for row in rows]
            there = [one for one in given if one[0] is not None]
            assert given[: len(there)] == sorted(there, reverse=descending)
            assert not any(None in one for one in there)
            assert sort not in query.solid or given == there, sort


@pytest.mark.parametrize("name", LISTS)
async def test_filters_and_pages_go_together(busy, name):
    query = LISTS[name].within(None)
    whole = {repr(dict(row)) for row in await walked(busy, query, Wanted(limit=200))}
    for filters in FILTERS[name]:
        some = names(query, await walked(busy, query, Wanted(filters, limit=200)))
        for sort in query.orders:
            found = names(query, await walked(busy, query, Wanted(filters, sort, limit=2)))
            assert sorted(found) == sorted(some), (filters, sort)
        assert len(some) < len(whole) or set(filters.values()) == {None} or name == "gateways"


@pytest.mark.parametrize("name", ["alarms", "commands", "notices", "meters", "gateways"])
async def test_rows_added_meanwhile_hide_and_repeat_nothing(growing, name):
    query = LISTS[name].within(None)
    for number, sort in enumerate(query.orders, 2):
        wanted = Wanted(sort=sort, descending=number % 2 == 0, limit=5)
        before = names(query, await walked(growing, query, wanted))
        after, found = None, []
        async with maintenance(growing.db.address) as elsewhere:
            while True:
                async with growing.db.transaction([growing.project_id]) as connection:
                    rows = await lists.fetch_after(
                        connection, query, growing.project_id, wanted, after
                    )
                found += names(query, rows)
                if len(rows) < wanted.limit:
                    break
                after = lists.position(query, wanted, rows[-1])
                if len(found) <= 10:
                    await add_rows(elsewhere, growing, 4, 10 * number + len(found))
        assert len(found) == len(set(found)), sort
        assert [one for one in found if one in set(before)] == before, sort


@pytest.mark.parametrize("name", LISTS)
async def test_whoever_names_no_building_and_sees_not_all_sees_nothing(busy, name):
    assert await walked(busy, LISTS[name], Wanted(limit=200)) == []


async def test_stream_brings_what_pages_bring(busy):
    query = LISTS["alarms"].within(None)
    for sort in query.orders:
        wanted = Wanted(sort=sort)
        async with busy.db.transaction([busy.project_id]) as connection:
            chunks = lists.stream_list(connection, query, busy.project_id, wanted, 20)
            streamed = [row async for rows in chunks for row in rows]
        assert names(query, streamed) == names(query, await walked(busy, query, wanted))[:20]


async def test_counting_stops(busy, monkeypatch):
    monkeypatch.setattr(lists, "COUNT_MAX_ROWS", 10)
    async with busy.db.transaction([busy.project_id]) as connection:
        page = await lists.fetch_list(
            connection, LISTS["alarms"].within(None), busy.project_id, Wanted()
        )
    assert (page.row_count, page.is_more, len(page.rows) > 10) == (10, True, True)


@pytest.mark.parametrize(
    "place", [[], ["a", 1], [MORNING], [MORNING, "1"], [MORNING, 2**70], [1, 1], [None, None, 1]]
)
async def test_a_place_of_another_kind_is_refused(busy, place):
    async with busy.db.transaction([busy.project_id]) as connection:
        with pytest.raises(PositionUnfit):
            await lists.fetch_after(
                connection, LISTS["alarms"].within(None), busy.project_id, Wanted(), place
            )


async def test_found_points_are_those_of_the_scope_alone(busy):
    for scope, wanted in (([busy.project_id], 5), ([], 0)):
        async with busy.db.transaction(scope) as connection:
            rows = await connection.fetch("select found_points($1, '%10%')", busy.project_id)
        assert len(rows) == wanted
