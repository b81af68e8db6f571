"""Who may do what: sign-in and its throttle, sessions, keys, and grants by scope."""

from datetime import timedelta

import asyncpg
import pytest

from meterhouse.errors import Conflict, OutOfRange
from meterhouse.flows import access, onboard, signin
from meterhouse.flows.access import ROLES, SESSION_IDLE, SESSION_LIFE, Verb
from premises import MORNING

PASSWORD = "correct horse battery"


pytestmark = pytest.mark.usefixtures("hasty_hasher")


@pytest.fixture
async def li(db):
    """A person of staff who may do everything everywhere."""
    return await access.add_person(
        db, "li", "Li Na", PASSWORD, "platform_administrator", "platform", 0, MORNING
    )


async def sign_in(db, at=MORNING, login="li", password=PASSWORD):
    found = await signin.sign_in(db, login, password, "Firefox", at)
    return found and found.token


async def test_the_right_password_opens_a_session_of_twelve_hours(db, li):
    token = await sign_in(db)
    known = await access.known_by_session(db, token, MORNING)
    assert (known.person_id, known.name) == (li, "Li Na")
    end = MORNING + SESSION_LIFE
    for hour in range(1, 12):
        assert await access.known_by_session(db, token, MORNING + timedelta(hours=hour)) is not None
    assert await access.known_by_session(db, token, end - timedelta(seconds=1)) is not None
    assert await access.known_by_session(db, token, end) is None


async def test_a_session_nobody_uses_for_two_hours_is_over(db, li):
    token = await sign_in(db)
    assert await access.known_by_session(db, token, MORNING + SESSION_IDLE) is None
    late = MORNING + SESSION_IDLE - timedelta(seconds=1)
    assert await access.known_by_session(db, token, late) is not None
    assert await access.known_by_session(db, token, late + timedelta(hours=1)) is not None


async def test_a_session_is_written_once_a_minute_at_most(db, li):
    token = await sign_in(db)

    async def seen_at():
        (one,) = await signin.sessions(db, li, MORNING)
        return one["seen_at"]

    await access.known_by_session(db, token, MORNING + timedelta(seconds=60))
    assert await seen_at() == MORNING
    await access.known_by_session(db, token, MORNING + timedelta(seconds=61))
    assert await seen_at() == MORNING + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("login", "password"), [("li", "wrong password"), ("nobody", PASSWORD), ("li", "")]
)
async def test_a_wrong_login_or_password_opens_nothing(db, li, login, password):
    assert await sign_in(db, login=login, password=password) is None


async def test_tokens_and_passwords_are_not_in_the_database(db, li, address):
    token = await sign_in(db)
    _, key = await access.add_client(db, "erp", "ERP", "read_only", "platform", 0, MORNING)
    connection = await asyncpg.connect(**address.arguments(None))
    for table in ("person", "session"):
        rows = await connection.fetch(f"select t::text as line from {table} t")
        for secret in (token, key, PASSWORD):
            assert not any(secret in row["line"] for row in rows)
            assert not any(secret.encode().hex() in row["line"] for row in rows)
    await connection.close()


async def test_after_five_failures_each_further_try_waits_twice_as_long(db, li):
    at = MORNING
    for _ in range(signin.TRIES_FREE):
        assert await sign_in(db, at, password="wrong password") is None
    # Even the right password waits now; a throttled try does not count.
    assert await sign_in(db, at + timedelta(seconds=29)) is None
    at += timedelta(seconds=30)
    assert await sign_in(db, at, password="wrong password") is None
    assert await sign_in(db, at + timedelta(seconds=59)) is None
    assert await sign_in(db, at + timedelta(seconds=60)) is not None
    # A success begins the count anew.
    assert await sign_in(db, at + timedelta(seconds=61), password="wrong password") is None
    assert await sign_in(db, at + timedelta(seconds=61)) is not None


async def test_one_persons_failures_do_not_throttle_another(db, li):
    await access.add_person(db, "chen", "Chen", PASSWORD, "read_only", "platform", 0, MORNING)
    for _ in range(signin.TRIES_FREE + 1):
        await sign_in(db, password="wrong password")
    assert await sign_in(db, login="chen") is not None


async def test_signing_out_ends_the_session_and_no_other(db, li):
    first, second = await sign_in(db), await sign_in(db)
    await signin.sign_out(db, first, MORNING)
    assert await access.known_by_session(db, first, MORNING) is None
    assert await access.known_by_session(db, second, MORNING) is not None


async def test_a_new_password_ends_every_session(db, li):
    token = await sign_in(db)
    assert await access.reset_password(db, "li", "another long password")
    assert await access.known_by_session(db, token, MORNING) is None
    assert await sign_in(db) is None
    assert await sign_in(db, password="another long password") is not None
    assert not await access.reset_password(db, "nobody", "another long password")


async def test_a_disabled_person_is_out_at_once(db, li, address):
    token = await sign_in(db)
    connection = await asyncpg.connect(**address.arguments(None))
    await connection.execute("update person set disabled_at = $1", MORNING)
    await connection.close()
    assert await access.known_by_session(db, token, MORNING) is None
    assert await sign_in(db) is None


async def test_a_key_is_a_client_and_no_sign_in(db):
    person_id, key = await access.add_client(db, "erp", "ERP", "read_only", "platform", 0, MORNING)
    assert (await access.known_by_key(db, key, MORNING)).person_id == person_id
    assert await access.known_by_key(db, key + "x", MORNING) is None
    assert await sign_in(db, login="erp", password=key) is None


async def test_a_login_belongs_to_one_person(db, li):
    with pytest.raises(Conflict):
        await access.add_person(db, "li", "Li", PASSWORD, "read_only", "platform", 0, MORNING)


@pytest.mark.parametrize("password", ["short", "x" * 201])
async def test_a_password_has_a_length(db, password):
    with pytest.raises(OutOfRange):
        await access.add_person(db, "li", "Li", password, "read_only", "platform", 0, MORNING)
    assert not await access.has_staff(db)


async def test_only_staff_counts_as_somebody_who_can_sign_in(db):
    await access.add_client(db, "erp", "ERP", "read_only", "platform", 0, MORNING)
    assert not await access.has_staff(db)
    await access.add_person(db, "li", "Li", PASSWORD, "read_only", "platform", 0, MORNING)
    assert await access.has_staff(db)


@pytest.mark.parametrize(
    ("scope_kind", "reached"),
    [("platform", ["a", "b", "c"]), ("group", ["a", "b"]), ("project", ["b"])],
)
async def test_a_grant_reaches_the_projects_of_its_scope(db, scope_kind, reached):
    groups = [await onboard.open_group(db, name) for name in ("first", "second")]
    made = [
        await onboard.open_project(db, onboard.NewProject(name, groups[place]), MORNING)
        for name, place in (("a", 0), ("b", 0), ("c", 1))
    ]
    scope_id = {"platform": 0, "group": groups[0], "project": made[1]}[scope_kind]
    _, key = await access.add_client(db, "erp", "ERP", "cashier", scope_kind, scope_id, MORNING)
    known = await access.known_by_key(db, key, MORNING)
    assert [one.name for one in known.reaches] == reached
    assert {one.verbs for one in known.reaches} == {ROLES["cashier"]}


async def test_a_project_and_a_group_of_the_same_number_are_not_mistaken(db):
    group_id = await onboard.open_group(db, "first")
    other_id = await onboard.open_group(db, "second")
    first = await onboard.open_project(db, onboard.NewProject("a", other_id), MORNING)
    assert first == group_id
    _, key = await access.add_client(db, "erp", "ERP", "cashier", "group", group_id, MORNING)
    assert (await access.known_by_key(db, key, MORNING)).reaches == ()


def test_only_the_platform_sees_and_does_everything():
    assert ROLES["platform_administrator"] == frozenset(Verb)
    assert Verb.CREDIT_ADD not in ROLES["field_engineer"]
    assert Verb.METER_SWITCH not in ROLES["cashier"]
    assert ROLES["read_only"] < ROLES["cashier"] < ROLES["project_manager"]
