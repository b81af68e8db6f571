"""Editing by the API: which version was seen stands in If-Match, and without it nothing is done."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from meterhouse.flows.access import Verb
from meterhouse.flows.act import Answered
from meterhouse.web.acts import routes
from meterhouse.web.acts.frame import Act, Ask, Form
from meterhouse.web.api.etags import VersionMissing, VersionUnreadable, etag, seen_version


def test_the_tag_of_a_version_is_what_comes_back():
    assert etag(3) == {"ETag": '"3"'}
    assert seen_version('"3"') == 3


@pytest.mark.parametrize(
    "said",
    [
        "3",
        "*",
        'W/"3"',
        '"3", "4"',
        '"x"',
        '""',
        '"0"',
        '"03"',
        '"1234567890"',
        '"' + "9" * 30 + '"',
    ],
)
def test_what_is_no_tag_of_ours_is_refused(said):
    with pytest.raises(VersionUnreadable):
        seen_version(said)


def test_not_to_say_is_refused_by_its_own_status():
    with pytest.raises(VersionMissing) as refused:
        seen_version(None)
    assert refused.value.http_status == 428


class Renamed(Form):
    """A thing as it shall be."""

    version: Annotated[int, Ask("Version", kind="hidden")]
    name: Annotated[str, Ask("Name")]


class Thing(BaseModel):
    """A thing."""

    name: str


async def nothing(doing, form):
    """Rename a thing."""
    raise AssertionError("not run: `do` is a stand-in")


EDIT = Act(
    name="thing.edit", verb=Verb.ROOM_READ, address="/projects/{project_id}/things/{thing_id}",
    title="Edit", form=Renamed, answer=Thing, run=nothing, method="PATCH",
)  # fmt: skip


@pytest.fixture
async def editor(app, monkeypatch):
    seen = []

    async def do(act, doing, form):
        seen.append(form)
        return Answered({"name": form.name})

    monkeypatch.setattr(routes, "do", do)
    router = APIRouter(prefix="/api/v1")
    routes.add_operations(router, [EDIT])
    app.include_router(router)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer key-1"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://desk", headers=headers
    ) as one:
        yield one, seen


async def test_an_edit_takes_its_version_from_the_header_and_not_from_the_body(editor):
    client, seen = editor
    address = "/api/v1/projects/1/things/7"
    missing = await client.patch(address, json={"name": "B"})
    assert (missing.status_code, missing.json()["code"]) == (428, "version_missing")
    twice = await client.patch(
        address, json={"name": "B", "version": 2}, headers={"If-Match": '"3"'}
    )
    assert twice.json()["errors"][0]["pointer"] == "/version"
    assert seen == []
    done = await client.patch(address, json={"name": "B"}, headers={"If-Match": '"3"'})
    assert done.status_code == 200
    assert seen == [Renamed(version=3, name="B")]
