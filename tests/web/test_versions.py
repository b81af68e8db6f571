"""Two who edit the same: versions in headers, the second one refused, nothing typed lost."""

import re

import pytest

from desk import key_in, token_in
from meterhouse.web.acts import ACTS
from meterhouse.web.api.contract import contract

API = "/api/v1"


def versioned(document):
    """Addresses of one thing that a change of the same address wants a version of."""
    for path, operations in document["paths"].items():
        change = operations.get("put", {})
        if any(one["name"] == "if-match" for one in change.get("parameters", ())):
            yield path, operations


def test_whatever_wants_a_version_tells_it(app):
    found = dict(versioned(contract(app)))
    # The rules of a project are told with it.
    assert found.pop(f"{API}/projects/{{project_id}}/policy").keys() == {"put"}
    assert len(found) >= 7
    for path, operations in found.items():
        told = operations["get"]
        assert "ETag" in told["responses"]["200"]["headers"], path
        assert "304" in told["responses"], path
        assert "if-none-match" in {one["name"] for one in told["parameters"]}, path


@pytest.fixture
def addresses(site):
    room = site.rooms["A104"]
    base = f"{API}/projects/{site.project_id}"
    return {
        "project": base,
        "place": f"{base}/places/{room.place_id}",
        "point": f"{base}/points/{room.point_id}",
        "meter": f"{base}/meters/{room.meter_id}",
    }


@pytest.mark.parametrize("name", ["project", "place", "point", "meter"])
async def test_who_has_the_version_is_not_told_again(erp, addresses, name):
    told = await erp.get(addresses[name])
    tag = told.headers["etag"]
    assert tag == f'"{told.json()["version"]}"'
    for known in (tag, f"W/{tag}", f'"999", {tag}', "*"):
        again = await erp.get(addresses[name], headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b""), known
        assert again.headers["etag"] == tag
    for unknown in ('"999"', "nonsense"):
        again = await erp.get(addresses[name], headers={"If-None-Match": unknown})
        assert (again.status_code, again.json()) == (200, told.json())


async def test_the_second_of_two_programs_is_refused(erp, addresses):
    place = (await erp.get(addresses["place"])).json()
    seen = {"If-Match": f'"{place["version"]}"'}
    change = {"name": place["name"], "parent_id": place["parent_id"], "area": "31"}
    first = await erp.put(addresses["place"], json=change, headers=seen)
    assert first.is_success, first.text
    second = await erp.put(addresses["place"], json=change, headers=seen)
    assert (second.status_code, second.json()["code"]) == (412, "changed_meanwhile")
    assert (await erp.put(addresses["place"], json=change)).status_code == 428


async def test_the_second_of_two_people_sees_both(manager, site):
    page = f"/projects/{site.project_id}/places/{site.rooms['A104'].place_id}/edit"
    one, other = await manager.get(page), await manager.get(page)

    async def send(form, **typed):
        version = re.search(r'name="version"[^>]* value="(\d+)"', form.text)[1]
        typed["parent_id"] = re.search(r'value="(\d+)" selected', form.text)[1]
        return await manager.post(
            page,
            data={"csrf": token_in(form), "key": key_in(form), "version": version, **typed},
        )

    assert (await send(one, name="A104", area="41")).status_code == 303
    late = await send(other, name="A104", area="42")
    assert late.status_code == 412
    assert "Somebody else changed this meanwhile" in late.text
    assert 'value="42"' in late.text
    assert "Now: 41" in late.text
    assert (await send(late, name="A104", area="42")).status_code == 303
    assert 'value="42.00"' in (await manager.get(page)).text


def test_every_form_with_a_version_says_what_is_there_now():
    for act in ACTS:
        if "version" in act.form.model_fields:
            assert act.typed is not None, act.name
