"""A database is brought to today's schema, twice without a difference, and nobody owns it."""

import asyncpg

from databases import address_of
from meterhouse.store import migrate as migrating
from meterhouse.store.db import maintenance
from meterhouse.store.migrate import migrate, revision

TREE = (
    "insert into project_group (name) values ('g')",
    "insert into project (id, group_id, name, created_at) values (1, 1, 'p', now())",
    """insert into place (project_id, parent_id, kind, name) values (1, null, 'building', 'A'),
        (1, 1, 'floor', '1F'), (1, 2, 'room', '101'), (1, null, 'building', 'B'),
        (1, 4, 'room', 'S')""",
)


async def test_a_fresh_database_is_at_the_head_and_migrating_again_changes_nothing(address):
    first = await revision(address)
    assert first is not None
    assert await migrate(address) == first
    assert await migrate(address) == first


async def test_places_from_before_learn_which_building_they_lie_in(postgres, monkeypatch):
    address, upgrade = address_of(postgres, "without_buildings"), migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0003"))
        assert await migrate(address) == "0003"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in TREE:
        await connection.execute(statement)
    await connection.close()
    await migrate(address)
    async with maintenance(address) as connection:
        rows = await connection.fetch("select building_id from place order by id")
    await migrating.drop_database(address)
    assert [row["building_id"] for row in rows] == [1, 1, 1, 4, 4]
