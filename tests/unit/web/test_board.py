"""The room monitor stays light and sends only what changed, whatever its size."""

import gzip
from zoneinfo import ZoneInfo

import pytest

from meterhouse.model import Override, Relay, RoomState
from meterhouse.web.assets import Assets
from meterhouse.web.console.rooms import _changes, _grid
from meterhouse.web.formats import Formats
from meterhouse.web.live import Snapshot, Tile, _Memory
from meterhouse.web.pages import make_environment
from meterhouse.words import words

ROOMS = 2_000
WEIGHT_BYTES_MAX = 150_000
LOADED = (
    "vendor/bootstrap.min.css", "vendor/bootstrap.bundle.min.js", "vendor/htmx.min.js",
    "css/theme.css", "js/early.js", "js/frame.js", "js/board.js", "icon.svg",
)  # fmt: skip


@pytest.fixture
def fmt():
    return Formats(words("zh-Hans"), ZoneInfo("Asia/Shanghai"), "CNY", 2)


def tile(number, **changes):
    states = list(RoomState)
    facts = {
        "room_id": number,
        "room": f"A{number:04d}",
        "floor": f"{number % 500 // 25 + 1}F",
        "building_id": number // 500,
        "building": f"{number // 500 + 1}号楼",
        "customer": f"王静{number % 97}",
        "is_erased": False,
        "state": states[number % len(states)],
        "relay": Relay.OPEN if number % 11 == 0 else Relay.CLOSED,
        "override": Override.OFF if number % 37 == 0 else Override.NONE,
        "available_minor": (number * 7919) % 100_000 - 2_000,
    }
    return Tile(**{**facts, **changes})


def test_two_thousand_rooms_weigh_less_than_the_limit(fmt):
    tiles = [tile(number) for number in range(ROOMS)]
    environment = make_environment()
    # The part between the grid's loop and its end is the page but for a constant frame.
    source = environment.loader.get_source(environment, "board.html")[0]
    loop = source[source.index("{% for name, floors in grid %}") : source.rindex("{% endblock %}")]
    page = environment.from_string(loop).render(grid=_grid(tiles, set(range(ROOMS)), fmt))
    assert page.count("<a ") == ROOMS
    assets = Assets()
    weight_bytes = len(gzip.compress(page.encode(), 5))
    for name in LOADED:
        asset = assets._files[name]
        weight_bytes += len(asset.compressed or asset.content)
    assert weight_bytes < WEIGHT_BYTES_MAX


def test_changes_are_told_in_finished_text(fmt):
    before = [tile(1, state=RoomState.OWING, relay=Relay.OPEN, available_minor=-37), tile(2)]
    told = _changes(Snapshot(9, before, before[:1]), fmt)
    assert told["version"] == 9
    assert told["rooms"] == [(1, "owe", "王静1", "−¥0.37", "欠费 · 已拉闸")]
    assert told["counts"][""] == 2
    assert told["counts"]["owe"] == 1


def test_memory_tells_each_asker_what_changed_since_they_asked():
    memory = _Memory()
    memory.take(5, [tile(1), tile(2)])
    assert memory.since(5) == []
    memory.take(6, [tile(1, available_minor=1), tile(2)])
    memory.take(8, [tile(1, available_minor=1), tile(2, available_minor=2)])
    assert [one.room_id for one in memory.since(5)] == [1, 2]
    assert [one.room_id for one in memory.since(6)] == [2]
    assert memory.since(8) == []
    # Whoever knows an older version than this memory does is told everything.
    assert len(memory.since(3)) == 2
