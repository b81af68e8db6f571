"""Lists are fetched while they are walked, page after page, each page when it is needed."""

import httpx
import pytest

from answering import KEY, Platform, problem
from meterhouse_sdk import AsyncClient, errors
from meterhouse_sdk._calls import Call

CALL = Call("GET", "/api/v1/numbers", {"sort": "-size", "limit": 2, "text": None})


def page(*items, cursor=None, **facts):
    return httpx.Response(200, json={"items": items, "next_cursor": cursor, **facts})


def test_a_list_is_walked_to_its_end():
    desk = Platform(page(1, 2, cursor="b"), page(3, 4, cursor="c"), page())
    assert list(desk.client()._rows(CALL, int)) == [1, 2, 3, 4]
    asked = [dict(one.url.params) for one in desk.asked]
    same = {"sort": "-size", "limit": "2"}
    assert asked == [same, {**same, "cursor": "b"}, {**same, "cursor": "c"}]


def test_nothing_is_fetched_before_it_is_needed():
    desk = Platform(page(1, 2, cursor="b"), page(3))
    rows = iter(desk.client()._rows(CALL, int))
    assert desk.asked == []
    assert (next(rows), next(rows), len(desk.asked)) == (1, 2, 1)
    assert (next(rows), len(desk.asked)) == (3, 2)


def test_a_list_can_be_walked_again():
    desk = Platform(page(1), page(1, 2))
    rows = desk.client()._rows(CALL, int)
    assert (list(rows), list(rows)) == ([1], [1, 2])


def test_one_page_says_where_the_next_begins():
    desk = Platform(page(1, cursor="b", total=10_000, total_is_more=True), page(2))
    rows = desk.client()._rows(CALL, int)
    first = rows.page()
    assert (first.items, first.next_cursor) == ((1,), "b")
    assert (first.total, first.total_is_more) == (10_000, True)
    second = rows.page("b")
    assert (second.items, second.next_cursor, second.total) == ((2,), None, None)


def test_a_page_that_fails_is_asked_for_again_then_told():
    desk = Platform(page(1, cursor="b"), httpx.Response(503), problem(422, "cursor_invalid"))
    rows = iter(desk.client()._rows(CALL, int))
    assert next(rows) == 1
    with pytest.raises(errors.BadInput):
        next(rows)
    assert len(desk.waited_s) == 1


async def test_an_awaited_list_is_walked_alike():
    answers = [page(1, 2, cursor="b"), page(3), page(4)]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    async with AsyncClient("http://desk", KEY, transport=transport) as client:
        rows = client._rows(CALL, int)
        assert [row async for row in rows] == [1, 2, 3]
        assert (await rows.page("b")).items == (4,)
