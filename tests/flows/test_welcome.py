"""The way into an empty installation opens once, within an hour, and never again."""

import pytest

from meterhouse.errors import OutOfRange
from meterhouse.flows import access, project, welcome
from meterhouse.flows.welcome import Beginning, WelcomeOver
from meterhouse.store.db import PLATFORM

PASSWORD = "ten rooms and one meter each"
NEW = Beginning(
    "jing", "Wang Jing", PASSWORD, "Group", "Site", "Asia/Shanghai", project.template("dormitory")
)


async def test_it_makes_administrator_group_and_project_and_closes(db, clock):
    first = await welcome.issue(db, clock())
    token = await welcome.issue(db, clock.step(minutes=30))
    await welcome.check(db, first, clock())
    project_id = await welcome.begin(db, token, NEW, "request-1", clock())
    assert (await project.look(db, project_id)).policy == project.TEMPLATES["dormitory"]
    assert await access.has_staff(db)
    for one in (first, token):
        with pytest.raises(WelcomeOver):
            await welcome.check(db, one, clock())
    assert await welcome.issue(db, clock()) is None
    async with db.transaction([project_id, PLATFORM]) as connection:
        told = await connection.fetchrow("select * from audit_entry where act = $1",
                                         "installation.begin")  # fmt: skip
    assert (told["project_id"], told["request_id"]) == (project_id, "request-1")


async def test_it_is_over_after_an_hour_and_unknown_to_whoever_guesses(db, clock):
    token = await welcome.issue(db, clock())
    with pytest.raises(WelcomeOver):
        await welcome.check(db, "a guess", clock())
    await welcome.check(db, token, clock.step(minutes=59))
    with pytest.raises(WelcomeOver):
        await welcome.begin(db, token, NEW, "", clock.step(minutes=2))
    assert not await access.has_staff(db)


async def test_what_cannot_be_leaves_the_way_open(db, clock):
    token = await welcome.issue(db, clock())
    with pytest.raises(OutOfRange):
        await welcome.begin(db, token, Beginning(**{**vars_of(NEW), "password": "short"}), "",
                            clock())  # fmt: skip
    await welcome.check(db, token, clock())


def vars_of(new):
    return {name: getattr(new, name) for name in Beginning.__slots__}
