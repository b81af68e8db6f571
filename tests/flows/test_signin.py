"""Two steps, codes that count once, proving anew, and one's own password."""

from datetime import timedelta

import asyncpg
import pyotp
import pytest

from meterhouse.errors import Conflict, NotFound, OutOfRange
from meterhouse.flows import access, passwords, signin, totp
from meterhouse.flows.passwords import PasswordPlain, PasswordTellsName
from premises import MORNING

PASSWORD = "correct horse battery"
KEY = b"k" * 32
pytestmark = pytest.mark.usefixtures("hasty_hasher")


@pytest.fixture
async def li(db):
    return await access.add_person(
        db, "li", "Li Na", PASSWORD, "platform_administrator", "platform", 0, MORNING
    )


def code(secret, at=MORNING):
    return pyotp.TOTP(secret).at(at)


@pytest.fixture
async def enrolled(db, li):
    """Li has an authenticator; answers its secret and the recovery codes."""
    new = await totp.enrol(db, li, KEY, "meterhouse")
    codes = await totp.confirm(db, li, code(new.secret), KEY, MORNING)
    return new.secret, codes


async def first_step(db, at=MORNING):
    return await signin.sign_in(db, "li", PASSWORD, "Firefox", at)


async def second_step(db, opened, text, at=MORNING):
    return await signin.enter_code(db, opened.token, text, KEY, "Firefox", at)


async def test_a_secret_counts_only_once_a_code_confirmed_it(db, li):
    new = await totp.enrol(db, li, KEY, "meterhouse")
    assert new.address.startswith("otpauth://totp/meterhouse:li?secret=")
    assert not (await first_step(db)).awaits_code
    with pytest.raises(totp.CodeWrong):
        await totp.confirm(db, li, "000000", KEY, MORNING)
    assert len(await totp.confirm(db, li, code(new.secret), KEY, MORNING)) == totp.RECOVERY_CODES
    assert (await first_step(db)).awaits_code
    with pytest.raises(Conflict):
        await totp.enrol(db, li, KEY, "meterhouse")


async def test_the_first_step_alone_opens_nothing(db, enrolled):
    opened = await first_step(db)
    assert await access.known_by_session(db, opened.token, MORNING) is None
    later = MORNING + timedelta(minutes=2)
    done = await second_step(db, opened, code(enrolled[0], later), later)
    assert (await access.known_by_session(db, done.token, later)).name == "Li Na"
    with pytest.raises(NotFound):
        await second_step(db, opened, code(enrolled[0], later), later)


async def test_a_code_counts_once_and_one_step_either_way(db, enrolled):
    secret, _ = enrolled
    at = MORNING + timedelta(minutes=2)
    opened = await first_step(db, at)
    # The code of confirming has been used, and so has every one before it.
    assert await second_step(db, opened, code(secret), at) is None
    assert await second_step(db, opened, code(secret, at - timedelta(seconds=60)), at) is None
    spent = code(secret, at - timedelta(seconds=30))
    assert await second_step(db, opened, spent, at) is not None
    opened = await first_step(db, at)
    assert await second_step(db, opened, spent, at) is None
    assert await second_step(db, opened, code(secret, at + timedelta(seconds=30)), at) is not None


async def test_a_recovery_code_counts_once(db, enrolled):
    _, codes = enrolled
    assert await second_step(db, await first_step(db), codes[0].upper()) is not None
    assert await second_step(db, await first_step(db), codes[0]) is None
    assert await second_step(db, await first_step(db), codes[1].replace("-", "")) is not None


async def test_codes_are_throttled_and_the_password_does_not_begin_anew(db, enrolled):
    at = MORNING + timedelta(minutes=2)
    for _ in range(signin.TRIES_FREE):
        assert await second_step(db, await first_step(db, at), "123", at) is None
    assert await first_step(db, at) is None
    at += signin.TRY_WAIT
    opened = await first_step(db, at)
    assert await second_step(db, opened, code(enrolled[0], at), at) is not None


async def test_the_second_step_waits_five_minutes(db, enrolled):
    opened = await first_step(db)
    late = MORNING + signin.CODE_LIFE
    with pytest.raises(NotFound):
        await second_step(db, opened, code(enrolled[0], late), late)


async def test_secrets_and_codes_are_not_in_the_database(db, enrolled, address):
    connection = await asyncpg.connect(**address.arguments(None))
    for table in ("person", "recovery_code"):
        for row in await connection.fetch(f"select t::text as line from {table} t"):
            for secret in (enrolled[0], *enrolled[1]):
                assert secret not in row["line"]
                assert secret.encode().hex() not in row["line"]
    await connection.close()


async def test_under_another_key_no_code_fits(db, enrolled):
    opened, at = await first_step(db), MORNING + timedelta(minutes=1)
    fits = code(enrolled[0], at)
    assert await signin.enter_code(db, opened.token, fits, b"x" * 32, "", at) is None


async def test_without_a_key_nobody_gets_a_secret(db, li):
    with pytest.raises(Conflict):
        await totp.enrol(db, li, b"", "meterhouse")


async def test_taken_off_no_code_is_asked_for(db, li, enrolled):
    await totp.take_off(db, li)
    assert not (await first_step(db)).awaits_code
    assert await totp.state(db, li) == (None, 0)


async def test_proving_renews_the_token_and_keeps_what_seals_forms(db, li):
    opened = await first_step(db)
    known = await access.known_by_session(db, opened.token, MORNING)
    at = MORNING + timedelta(minutes=30)
    wrong = await signin.prove(db, li, known.session_id, opened.token, "wrong", KEY, at)
    assert wrong is None
    fresh = await signin.prove(db, li, known.session_id, opened.token, PASSWORD, KEY, at)
    assert await access.known_by_session(db, opened.token, at) is None
    again = await access.known_by_session(db, fresh, at)
    assert (again.session_id, again.proved_at) == (known.session_id, at)
    assert fresh.partition(".")[0] == opened.token.partition(".")[0]


async def test_a_code_proves_too(db, li, enrolled):
    at = MORNING + timedelta(minutes=2)
    opened = await first_step(db, at)
    done = await second_step(db, opened, code(enrolled[0], at), at)
    known = await access.known_by_session(db, done.token, at)
    at += timedelta(minutes=1)
    proof = code(enrolled[0], at)
    assert await signin.prove(db, li, known.session_id, done.token, proof, KEY, at) is not None


async def test_changing_ones_password_keeps_this_session_alone(db, li):
    here, there = await first_step(db), await first_step(db)
    known = await access.known_by_session(db, here.token, MORNING)
    new = "another long password"
    assert not await signin.change_password(db, li, "wrong", new, known.session_id, MORNING)
    assert await signin.change_password(db, li, PASSWORD, new, known.session_id, MORNING)
    assert await access.known_by_session(db, here.token, MORNING) is not None
    assert await access.known_by_session(db, there.token, MORNING) is None


async def test_sessions_are_listed_and_ended_by_their_person_alone(db, li):
    await first_step(db)
    (one,) = await signin.sessions(db, li, MORNING)
    assert one["agent"] == "Firefox"
    with pytest.raises(NotFound):
        await signin.end_session(db, li + 1, one["id"])
    await signin.end_session(db, li, one["id"])
    assert await signin.sessions(db, li, MORNING) == []


@pytest.mark.parametrize(
    ("password", "error"),
    [
        ("short", OutOfRange),
        ("x" * 201, OutOfRange),
        ("my-name-is-Chen-Wei", PasswordTellsName),
        ("weichen88 and more", PasswordTellsName),
        ("aaaaaaaaaaaaaaaa", PasswordPlain),
        ("abababababababab", PasswordPlain),
        ("123456789012345", PasswordPlain),
        ("qwertyuiop12345", PasswordPlain),
        ("abcdefghijklmnop", PasswordPlain),
    ],
)
def test_a_password_that_is_soon_guessed_is_refused(password, error):
    with pytest.raises(error):
        passwords.check_rule(password, "weichen88", "Chen Wei")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "多云转晴的早晨我们去爬山看日出", "x9#Lq!mT2vR7"]
)
def test_a_password_of_unrelated_words_passes(password):
    passwords.check_rule(password, "weichen88", "Chen Wei")
