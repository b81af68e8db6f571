"""A database is brought to today's schema, twice without a difference, and nobody owns it."""

from meterhouse.store.migrate import migrate, revision


async def test_a_fresh_database_is_at_the_head_and_migrating_again_changes_nothing(address):
    first = await revision(address)
    assert first is not None
    assert await migrate(address) == first
    assert await migrate(address) == first
