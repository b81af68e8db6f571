"""How a call is carried out: what is repeated, with which key, after how long; how answers fail."""

import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from answering import KEY, Platform, problem
from meterhouse_sdk import AsyncClient, Client, errors, shapes
from meterhouse_sdk._calls import Call
from meterhouse_sdk._values import nothing, written

LOST = httpx.ReadError("the line broke")
NO_PROJECT = httpx.Response(200, json=[])
CREDIT = {
    "payment_id": 7,
    "amount": {"amount": "100.00", "currency": "CNY"},
    "available": {"amount": "133.50", "currency": "CNY"},
    "change": {"amount": "0.00", "currency": "CNY"},
}
COMMAND = {
    "id": 8, "meter_id": 10, "kind": "disconnect", "state": "queued", "why": "", "cause": "person",
    "reason": "repair", "created_at": "2026-11-21T03:28:40.517280Z", "ended_at": None,
}  # fmt: skip


def keys(platform):
    return [one.headers.get("Idempotency-Key") for one in platform.asked]


def test_a_request_says_who_asks_and_in_which_language():
    desk = Platform(NO_PROJECT)
    assert desk.client(language="zh-Hans").roles.list() == ()
    (asked,) = desk.asked
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.headers["Accept-Language"] == "zh-Hans"
    assert asked.headers["User-Agent"].startswith("meterhouse-sdk/")
    assert str(asked.url) == "http://desk/api/v1/roles"


def test_reading_is_repeated_after_growing_pauses():
    busy = httpx.Response(503)
    desk = Platform(LOST, busy, httpx.ConnectTimeout("slow"), NO_PROJECT)
    desk.client().roles.list()
    assert desk.waited_s == [0.5, 1.0, 2.0]
    assert len({one.headers["X-Request-ID"] for one in desk.asked}) == 1


def test_pauses_are_drawn_between_nothing_and_their_bound():
    desk = Platform(*[httpx.Response(502)] * 9, NO_PROJECT)
    desk.client(dice=lambda: 0.5, retries=9).roles.list()
    assert desk.waited_s == [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10]


def test_it_gives_up_in_the_end():
    desk = Platform(*[LOST] * 5)
    with pytest.raises(errors.Unreachable, match="tried 5 times") as caught:
        desk.client().roles.list()
    assert (caught.value.status, len(desk.waited_s)) == (0, 4)
    with pytest.raises(errors.ServerFailed):
        Platform(problem(503, "database_unreachable")).client(retries=0).roles.list()


def test_what_is_no_passing_trouble_is_not_repeated():
    for answer in (problem(500, "internal"), problem(404, "not_found"), problem(409, "conflict")):
        desk = Platform(answer)
        with pytest.raises(errors.MeterhouseError):
            desk.client().roles.list()
        assert desk.waited_s == []


def test_a_change_keeps_its_key_however_often_it_is_sent():
    desk = Platform(LOST, httpx.Response(504), httpx.Response(201, json=CREDIT))
    paid = desk.client().credits.add(1, 3, amount=Decimal("1E+2"), channel="card")
    assert paid.available == shapes.Money(amount=Decimal("133.50"), currency="CNY")
    (key,) = set(keys(desk))
    assert len(key) == 36
    bodies = [json.loads(one.content) for one in desk.asked]
    assert bodies == [{"amount": "100", "channel": "card"}] * 3


def test_two_changes_have_two_keys_unless_the_caller_says_otherwise():
    desk = Platform(*[httpx.Response(201, json=CREDIT)] * 3)
    client = desk.client()
    for own in ({}, {}, {"idempotency_key": "till-7-0042"}):
        client.credits.add(1, 3, amount=Decimal(5), **own)
    first, second, third = keys(desk)
    assert first != second
    assert third == "till-7-0042"


def test_who_got_no_answer_can_ask_again_with_the_key():
    desk = Platform(LOST)
    with pytest.raises(errors.Unreachable) as caught:
        desk.client(retries=0).credits.add(1, 3, amount=Decimal(5))
    assert caught.value.idempotency_key == keys(desk)[0]


def test_a_change_without_a_key_is_never_sent_twice():
    for answer in (LOST, httpx.Response(503), problem(429, "rate_limited")):
        desk = Platform(answer)
        with pytest.raises(errors.MeterhouseError):
            desk.client()._do(Call("PUT", "/api/v1/projects/1", body={"name": "A"}), nothing)
        assert (len(desk.asked), desk.waited_s) == (1, [])


def test_a_limit_is_waited_out_as_the_platform_says():
    limit = problem(429, "rate_limited", headers={"Retry-After": "3"})
    desk = Platform(limit, NO_PROJECT)
    desk.client(dice=lambda: 0.5).roles.list()
    assert desk.waited_s == [3.25]


def test_a_limit_too_long_to_wait_for_is_told():
    desk = Platform(problem(429, "rate_limited", headers={"Retry-After": "3600"}))
    with pytest.raises(errors.RateLimited) as caught:
        desk.client().roles.list()
    assert caught.value.retry_after_s == 3600
    assert desk.waited_s == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "not_signed_in", errors.NotSignedIn),
        (403, "not_allowed", errors.NotAllowed),
        (404, "not_found", errors.NotFound),
        (409, "conflict", errors.Conflict),
        (409, "key_reused", errors.KeyReused),
        (409, "from_the_future", errors.Conflict),
        (412, "stale", errors.Stale),
        (422, "fields_invalid", errors.FieldsInvalid),
        (422, "amount_unusable", errors.BadInput),
        (418, "teapot", errors.Refused),
        (500, "internal", errors.ServerFailed),
    ],
)
def test_errors_have_the_class_of_their_code_or_status(status, code, kind):
    answer = problem(status, code, headers={"X-Request-ID": "1176f77fd3d6eb3d"})
    with pytest.raises(errors.MeterhouseError) as caught:
        Platform(answer).client().roles.list()
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.status, error.request_id) == (code, status, "1176f77fd3d6eb3d")
    assert str(error) == f"As it is. [{code}, request 1176f77fd3d6eb3d]"


def test_fields_that_cannot_be_used_are_named():
    wrong = {"where": "body", "pointer": "/amount", "code": "missing", "message": "It is missing."}
    with pytest.raises(errors.FieldsInvalid) as caught:
        Platform(problem(422, "fields_invalid", errors=[wrong])).client().roles.list()
    assert caught.value.errors == (errors.FieldError(**wrong),)
    assert "body/amount: It is missing." in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).errors == caught.value.errors


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>a hotel's sign-in page</html>"),
        httpx.Response(200, json=[{"id": 1}]),
        httpx.Response(200, json={"items": []}),
        httpx.Response(302, headers={"Location": "/sign-in"}),
    ],
)
def test_an_answer_beside_the_contract_is_an_error_of_ours(answer):
    with pytest.raises(errors.AnswerUnreadable):
        Platform(answer).client().roles.list()


def test_an_error_that_is_no_problem_document_still_has_its_class():
    with pytest.raises(errors.NotFound, match="http_404"):
        Platform(httpx.Response(404, text="nginx")).client().roles.list()


def test_words_and_fields_of_a_later_platform_do_no_harm():
    later = COMMAND | {"state": "postponed", "mood": "calm"}
    command = Platform(httpx.Response(200, json=later)).client().commands.get(1, 8)
    assert command.state == "postponed"
    assert isinstance(command.state, shapes.CommandState)
    assert not command.state.is_known
    assert command.kind is shapes.CommandKind.DISCONNECT
    assert pickle.loads(pickle.dumps(command)) == command


def test_a_command_is_followed_until_it_has_ended():
    ended = COMMAND | {"state": "confirmed", "ended_at": "2026-11-21T03:29:14Z"}
    told = [httpx.Response(200, json=one) for one in (COMMAND, COMMAND, ended)]
    desk = Platform(*told)
    client = desk.client()
    done = client.wait_for(1, shapes.Command.from_json(COMMAND))
    assert done.ended_at == datetime(2026, 11, 21, 3, 29, 14, tzinfo=UTC)
    assert desk.waited_s == [0.5, 0.75, 1.125]
    assert client.wait_for(1, done) is done


def test_a_command_is_not_followed_for_ever():
    desk = Platform(*[httpx.Response(200, json=COMMAND) for _ in range(20)])
    with pytest.raises(errors.StillRunning, match="still queued after 10 s"):
        desk.client().wait_for(1, shapes.Command.from_json(COMMAND), timeout_s=10)
    assert sum(desk.waited_s) == 10


def test_the_key_shows_nowhere():
    desk = Platform(problem(401, "not_signed_in"), LOST)
    client = desk.client(retries=0)
    assert repr(client) == "<Client http://desk>"
    for _ in range(2):
        with pytest.raises(errors.MeterhouseError) as caught:
            client.roles.list()
        seen = [caught.value, caught.value.__cause__, vars(caught.value)]
        assert KEY not in repr(seen) + str(caught.value)
    for key in ("", "mh_with blank", "mh_line\n", "mh_钥"):
        with pytest.raises(ValueError, match="the key holds") as caught:
            Client("http://desk", key)
        assert not key or key not in str(caught.value)


@pytest.mark.parametrize("address", ["desk", "ftp://desk", "https://", "https://me:word@desk"])
def test_an_address_that_cannot_be_is_refused(address):
    with pytest.raises(ValueError, match="base_url"):
        Client(address, KEY)


def test_retries_have_a_bound():
    with pytest.raises(ValueError, match="retries"):
        Client("http://desk", KEY, retries=1_000)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Decimal("0.50"), "0.50"),
        (datetime(2026, 11, 21, tzinfo=UTC), "2026-11-21T00:00:00+00:00"),
        (shapes.RoomState.OWING, "owing"),
        ([shapes.Money(amount=Decimal(1), currency="CNY")], [{"amount": "1", "currency": "CNY"}]),
        ({"a": (1, True, None)}, {"a": [1, True, None]}),
    ],
)
def test_values_are_written_as_the_api_reads_them(given, told):
    assert written(given) == told


@pytest.mark.parametrize("given", [0.5, Decimal("nan"), datetime(2026, 11, 21), object()])
def test_values_that_do_not_say_what_they_mean_are_not_sent(given):
    with pytest.raises((TypeError, ValueError)):
        written(given)


def test_a_closed_client_sends_nothing_more():
    with Platform(NO_PROJECT).client() as client:
        client.roles.list()
    with pytest.raises(RuntimeError):
        client.roles.list()


async def test_awaited_calls_are_repeated_alike():
    answers = [LOST, httpx.Response(503), httpx.Response(201, json=CREDIT)]
    asked, waited_s = [], []

    def answer(request):
        asked.append(request.headers["Idempotency-Key"])
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def sleep(pause_s):
        waited_s.append(pause_s)

    transport = httpx.MockTransport(answer)
    async with AsyncClient(
        "http://desk", KEY, transport=transport, sleep=sleep, dice=lambda: 1.0
    ) as client:
        paid = await client.credits.add(1, 3, amount=Decimal(100))
        assert repr(client) == "<AsyncClient http://desk>"
    assert paid.payment_id == 7
    assert (len(asked), len(set(asked)), waited_s) == (3, 1, [0.5, 1.0])


async def test_an_awaited_command_is_followed_until_it_has_ended():
    ended = COMMAND | {"state": "confirmed", "ended_at": "2026-11-21T03:29:14Z"}
    told, waited_s = [COMMAND, ended], []

    async def sleep(pause_s):
        waited_s.append(pause_s)

    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=told.pop(0)))
    async with AsyncClient("http://desk", KEY, transport=transport, sleep=sleep) as client:
        done = await client.wait_for(1, shapes.Command.from_json(COMMAND))
    assert (done.state, waited_s) == (shapes.CommandState.CONFIRMED, [0.5, 0.75])
