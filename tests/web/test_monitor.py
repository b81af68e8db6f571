"""Looking: the board, a room, lists — from the database, scoped to one project."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import command, monitor, recharge
from meterhouse.flows.monitor import Wanted
from meterhouse.model import CommandKind, Relay, RoomState
from meterhouse.web.live import Boards
from small_site import NOW


async def test_board_has_every_room_in_order_with_its_state(site):
    board = await monitor.board(site.db, site.project_id)
    assert [(p.building, p.room, p.state) for p in board.points if p.room != "A103"] == [
        ("A栋", "A101", RoomState.OPEN),
        ("A栋", "A102", RoomState.WARNING_2),
        ("A栋", "A104", RoomState.NOT_OPEN),
        ("B栋", "B101", RoomState.OPEN),
        ("B栋", "B102", RoomState.OFFLINE),
    ]
    by_room = {point.room: point for point in board.points}
    # 20000 paid, three days of 4 kWh at 0.50.
    assert by_room["A101"].available_minor == 20_000 - 600
    assert by_room["A104"].available_minor is None
    assert by_room["B101"].relay is Relay.OPEN
    assert by_room["B102"].read_at is None


async def test_board_of_one_building(site):
    (first, _), (second, _) = await monitor.buildings(site.db, site.project_id)
    rooms = [p.room for p in (await monitor.board(site.db, site.project_id, second)).points]
    assert rooms == ["B101", "B102"]
    assert first != second


async def test_another_project_sees_nothing(site):
    assert (await monitor.board(site.db, site.other_id)).points == []
    for name in monitor.LISTS:
        found = await monitor.listing(site.db, site.other_id, name, Wanted())
        assert (found.rows, found.row_count) == ([], 0)
    room_id = site.rooms["A101"].place_id
    with pytest.raises(NotFound):
        await monitor.room(site.db, site.other_id, room_id, "Asia/Shanghai", NOW)


async def test_room_has_its_days_today_last(site):
    room_id = site.rooms["A101"].place_id
    now = await monitor.room(site.db, site.project_id, room_id, "Asia/Shanghai", NOW)
    days = now.days[now.points[0].point_id]
    assert len(days) == monitor.DAYS_SHOWN
    assert days[-1].day.isoformat() == "2026-11-21"
    assert [day.energy_milli for day in days[-4:]] == [0, 4_000, 4_000, 4_000]
    assert [day.amount_nano for day in days[-2:]] == [2 * 10**9, 2 * 10**9]


async def test_day_of_an_interval_is_the_local_day_it_ends_in(site):
    room_id = site.rooms["A101"].place_id
    now = await monitor.room(site.db, site.project_id, room_id, "Pacific/Auckland", NOW)
    days = now.days[now.points[0].point_id]
    assert sum(day.energy_milli for day in days) == 12_000


async def test_lists_filter_sort_and_page(site):
    text = monitor.contains("A10")
    wanted = Wanted({"text": text, "online": True}, "room", descending=True, limit=2, offset=1)
    found = await monitor.listing(site.db, site.project_id, "meters", wanted)
    assert [row["room"] for row in found.rows] == ["A103", "A102"]
    assert found.row_count == 4
    found = await monitor.listing(site.db, site.project_id, "meters", Wanted({"online": False}))
    assert [row["room"] for row in found.rows] == ["B102"]


@pytest.mark.parametrize("name", monitor.LISTS)
async def test_every_order_and_filter_of_every_list_is_sound(site, name):
    query = monitor.LISTS[name]
    for order in query.orders:
        for descending in (False, True):
            wanted = Wanted(sort=order, descending=descending)
            await monitor.listing(site.db, site.project_id, name, wanted)
    typed = {"from": NOW, "to": NOW, "text": "%x%", "open": True, "online": True,
             "meter": 1, "gateway": 1, "building": 1, "actor": 1, "let": True, "void": True,
             "payment": 1, "customer": 1, "point": 1, "cashier": 1, "proved": True,
             "agreement": 1, "order": 1, "replay": 1}  # fmt: skip
    filters = {
        key: typed.get(key, next(iter(spec)) if isinstance(spec, Mapping) else "x")
        for key, spec in query.filters.items()
    }
    assert (await monitor.listing(site.db, site.project_id, name, Wanted(filters))).rows == []


async def test_text_filter_takes_signs_as_they_are(site):
    for text in ("%", "_", "\\", "'"):
        wanted = Wanted({"text": monitor.contains(text)})
        found = await monitor.listing(site.db, site.project_id, "meters", wanted)
        assert found.row_count == 0, text


async def test_stream_brings_every_row_once(site):
    wanted = Wanted(sort="address", limit=1)
    chunks = [rows async for rows in monitor.stream(site.db, site.project_id, "meters", wanted)]
    addresses = [row["address"] for rows in chunks for row in rows]
    assert addresses == sorted(addresses)
    assert len(addresses) == 6


async def test_alarms_now_and_past(site):
    wanted = Wanted({"open": True, "kind": "meter_offline"})
    found = await monitor.listing(site.db, site.project_id, "alarms", wanted)
    assert [row["room"] for row in found.rows] == ["B102"]
    wanted = Wanted({"open": False, "kind": "meter_offline"})
    assert (await monitor.listing(site.db, site.project_id, "alarms", wanted)).row_count == 0


async def test_boards_send_only_what_changed(site):
    boards = Boards()
    first = await boards.look(site.db, site.project_id, None)
    assert await boards.look(site.db, site.project_id, None, first.seq) is None
    room = site.rooms["A103"]
    await recharge.add_credit(
        site.db, site.project_id, room.point_id, 5_000, "cash", "boards", "", None, NOW
    )
    second = await boards.look(site.db, site.project_id, None, first.seq)
    assert [tile.room for tile in second.changed] == ["A103"]
    assert second.seq > first.seq
    # Another process has not seen the first version and sends everything.
    fresh = await Boards().look(site.db, site.project_id, None, first.seq)
    assert len(fresh.changed) == len(fresh.tiles)


async def test_command_is_seen_with_its_room_and_not_by_others(site):
    meter_id = site.rooms["B101"].meter_id
    ids = await command.request(
        site.db, site.project_id, [meter_id], CommandKind.READ, "look", None,
        NOW + timedelta(minutes=1),
    )  # fmt: skip
    row = await monitor.command(site.db, site.project_id, ids[0])
    assert (row["room"], row["state"]) == ("B101", "queued")
    with pytest.raises(NotFound):
        await monitor.command(site.db, site.other_id, ids[0])
