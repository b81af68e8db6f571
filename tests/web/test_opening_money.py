"""Money that only a book brought along: entered by few, and never paid out by one person alone."""

import httpx
import pytest

from meterhouse.flows import access
from small_site import NOW, small_site

API = "/api/v1"
GUEST = {"name": "Guest", "opening_credit": "500", "phone": "13800000001"}


@pytest.fixture
async def site(template):
    """A site of its own: these tests move its money."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def caller(app, site):
    """A program with a role, as a function of the role's name."""

    async def called(role):
        _, key = await access.add_client(site.db, role, role, role, "project", site.project_id, NOW)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://api",
            headers={"Authorization": f"Bearer {key}"},
        )  # fmt: skip

    return called


class Keys:
    """A new idempotency key for each request."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return {"Idempotency-Key": f"opening-money-{self.count}"}


fresh = Keys()


def project(site):
    return f"{API}/projects/{site.project_id}"


async def open_vacant(client, site, **fields):
    place_id = site.rooms["A104"].place_id
    address = f"{project(site)}/places/{place_id}/accounts"
    return await client.post(address, json=GUEST | fields, headers=fresh())


async def test_who_opens_accounts_enters_no_credit_of_their_own(site, caller):
    async with await caller("cashier") as cashier, await caller("project_manager") as chief:
        refused = await open_vacant(cashier, site)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert "opening.credit" in refused.text
        made = await open_vacant(chief, site)
        assert made.status_code == 201
        address = f"{project(site)}/agreements/{made.json()['id']}/hand-over"
        next_one = GUEST | {"reason": "moved out"}
        handed = await cashier.post(address, json=next_one, headers=fresh())
        assert (handed.status_code, handed.json()["code"]) == (403, "not_allowed")


async def test_a_sheet_of_meters_opens_no_accounts_for_who_may_not(site, caller):
    row = {"building": "A栋", "room": "A105", "tariff": "flat", "customer": "Guest"}
    rows = [row | {"opening_credit": "500", "deposit": "300"}, row | {"room": "A106"}]
    address = f"{project(site)}/meters/import"

    async def tried(client):
        answer = await client.post(address, json={"rows": rows}, headers=fresh())
        return [(one["pointer"], one["code"]) for one in answer.json().get("errors") or ()]

    async with await caller("field_engineer") as engineer, await caller("cashier") as cashier:
        refused = await tried(engineer)
        assert len(refused) == 4
        assert {code for _, code in refused} == {"not_allowed"}
        for column in ("customer", "opening_credit", "deposit"):
            assert any(column in place for place, _ in refused)
        for column in ("opening_credit", "opening_debt", "opening_deposit"):
            rows = [{"building": "A栋", "room": "A104", "customer": "Guest", column: "1"}]
            for noun in ("openings", "customers"):
                address = f"{project(site)}/{noun}/import"
                ((place, code),) = await tried(cashier)
                assert (column in place, code) == (True, "not_allowed")
