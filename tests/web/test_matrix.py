"""Every operation × every ready role × own and foreign project, group and building.

What is to come out is computed from the table of roles alone. What is foreign must answer exactly
as what does not exist: the same status, the same body but for the request's id. An operation whose
address or fields this test cannot fill in is an error, so that none is forgotten.
"""

import re

import httpx
import pytest

from addresses import filled, ids_of, names_in
from estate import ABSENT_ID, Doors, furnish
from meterhouse.flows.access import IN_BUILDINGS, ROLES, Verb
from meterhouse.store.db import APP, MAINTENANCE
from meterhouse.web import access
from meterhouse.web.access import LANGUAGE_COOKIE, SESSION_COOKIE, TOKEN_HEADER, check_routes
from meterhouse.web.acts import ACTS, SHEETS
from meterhouse.web.acts.frame import NoFields
from meterhouse.web.api import v1
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, small_site

SCOPES = ("platform", "own group", "own project", "own building", "foreign group",
          "foreign project", "foreign building")  # fmt: skip
EVERY = (*ACTS, *(sheet.act for sheet in SHEETS))
# What an act's field is given where its declaration holds no example.
FIELDS = {"reason": "because of the test"}
# Acts of a person on themselves: allowed to everybody, and no form is sent here.
OWN = {"/", "/account", "/roles", f"{v1.PREFIX}/roles", f"{v1.PREFIX}/projects"}
# Rows that lie in a building, by the name of their number in an address.
IN_BUILDING = {
    "place_id",
    "room_id",
    "point_id",
    "meter_id",
    "command_id",
    "alarm_id",
    "commissioning_id",
}
# Rows that lie in none, as a task begun by somebody who sees the whole project: whoever sees only
# some buildings sees none of them.
IN_NONE = {"gateway_id", "task_id"}
SECRETS = ("A101", "A102", "000000000001", "A栋", "王静")


@pytest.fixture(scope="module")
async def estate(template):
    async with small_site(template) as site:
        made = await furnish(site, await ids_of(site))
        yield made
        await made.db.close()


@pytest.fixture(scope="module")
def desk(estate):
    return Desk(estate)


class Desk:
    """Sends any operation in anybody's name, and undoes it."""

    def __init__(self, estate):
        self.estate = estate
        named = {f"{role}/{scope}": one for (role, scope), one in estate.callers.items()}
        services = Services(
            estate.db, lambda: NOW, WebSettings(secure_cookies=False), secret_key=b"k" * 32
        )
        self.app = create_app(services, Doors(named))
        self.operations = check_routes(self.app)
        self.bodies = {(act.method, v1.PREFIX + act.address): body_of(act) for act in EVERY}
        self.forms = {plain(act.page): body_of(act) for act in EVERY}

    def body(self, method, path):
        """What an operation is sent, if it is sent anything."""
        if method == "GET":
            return {}
        if path.startswith(v1.PREFIX):
            return self.bodies[method, plain(path)]
        return self.forms.get(plain(path), {})

    def names(self, method, path):
        """The ids that an operation names, in its address and in what it is sent."""
        many = {row_of_many(path)} if "ids" in self.body(method, path) else set()
        return {*names_in(path), *many}

    def filled_in(self, method, path, ids):
        """A body in which a place is ours, and many rows are the one of these ids."""
        body = self.body(method, path)
        if "place" in body:
            body = body | {"place": f"project:{self.estate.ids['project_id']}"}
        if "ids" in body:
            body = body | {"ids": [ids[row_of_many(path)]]}
        return body

    async def send(self, who, method, path, ids, *, role=APP, scoped=True):
        """The answer to an operation; its address filled from these ids."""
        if "{client_id" in path and ids["grant_id"] == self.estate.ids["grant_id"]:
            ids = ids | {"grant_id": self.estate.client_grant_id}
        if path.endswith("/file") and ids["task_id"] == self.estate.ids["task_id"]:
            ids = ids | {"task_id": self.estate.file_task_id}
        headers, address = {"Accept-Language": "en"}, filled(path, ids)
        cookies = {LANGUAGE_COOKIE: "en"}
        more = {}
        if path.startswith(v1.PREFIX):
            headers["Authorization"] = f"Bearer {'/'.join(who)}"
            if method != "GET":
                more["json"] = self.filled_in(method, path, ids)
                headers["Idempotency-Key"] = "matrix-key"
        else:
            cookies[SESSION_COOKIE] = f"seed.{'/'.join(who)}"
            headers[TOKEN_HEADER] = "0" * 16 + access._seal("seed", "0" * 16)
            if method != "GET":
                more["data"] = {"key": "matrixkey", **self.filled_in(method, path, ids)}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with (
            self.estate.db.request(role, scoped=scoped),
            httpx.AsyncClient(transport=transport, base_url="http://desk") as client,
        ):
            client.cookies.update(cookies)
            return await client.request(method, address, headers=headers, **more)


def plain(path):
    return re.sub(r":\w+}", "}", path)


def row_of_many(path):
    """What an address that does something to many names them by: `/meters/read` is `meter_id`."""
    return f"{path.split('/')[-2].removesuffix('s')}_id"


def body_of(act):
    """What an act is sent: its declared examples, then this test's table."""
    if act.form is NoFields:
        return {}
    body = {}
    for name, info in act.form.model_fields.items():
        if name in FIELDS:
            body[name] = FIELDS[name]
        elif info.examples:
            body[name] = info.examples[0]
        else:
            assert not info.is_required(), f"{act.name}: no example for {name}"
    return body


def told(answer, ids):
    """An answer without what differs from request to request, and without the ids asked for."""
    text = re.sub(r"[0-9a-f]{16,}", "#", answer.text)
    for number in sorted({str(one) for one in (*ids.values(), ABSENT_ID)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\d){number}(?!\d)", "#", text)
    return answer.status_code, text


def is_refused(answer):
    said = "Your roles do not include"
    return answer.status_code == 403 and said in answer.text


def expected(role, scope, path, verb):
    """`absent`, `refused` or `allowed`, from the table of roles alone."""
    verbs = ROLES[role] & IN_BUILDINGS if "building" in scope else ROLES[role]
    names = names_in(path)
    if "project_id" in names:
        if scope in ("foreign group", "foreign project") or not verbs:
            return "absent"
    elif "group_id" in names:
        if scope not in ("platform", "own group"):
            return "absent"
    elif path.startswith(("/platform", f"{v1.PREFIX}/platform")):
        verbs = verbs if scope == "platform" else frozenset()
    elif verb is Verb.SESSION_OWN:
        return "allowed"
    else:
        raise AssertionError(f"{path} is of no project, no group and not the platform's")
    return "allowed" if verb in verbs or verb is Verb.SESSION_OWN else "refused"


def is_out_of_sight(scope, names):
    """Whether there is a row among these that lies in another building, or in none."""
    return bool(
        ("building" in scope and IN_NONE & names)
        or (scope == "foreign building" and IN_BUILDING & names)
    )


def test_every_operation_is_known(desk):
    for method, path, verb in desk.operations:
        if verb is None:
            continue
        assert set(names_in(path)) <= set(desk.estate.ids), f"no number is known for {path}"
        if method == "GET" or path.startswith(("/account", "/sign-out")):
            continue
        known = desk.bodies if path.startswith(v1.PREFIX) else desk.forms
        key = (method, plain(path)) if path.startswith(v1.PREFIX) else plain(path)
        assert key in known, f"{method} {path} is no act this test can send"


@pytest.mark.slow
@pytest.mark.parametrize("scope", SCOPES)
async def test_every_role_may_what_its_table_says_and_nothing_else(desk, scope):
    ids, wrong = dict(desk.estate.ids), []
    for method, path, verb in desk.operations:
        if verb is None or (verb is Verb.SESSION_OWN and method != "GET"):
            continue
        absent = None
        for role in ROLES:
            answer = await desk.send((role, scope), method, path, ids)
            wanted = expected(role, scope, path, verb)
            if wanted == "absent":
                if absent is None:
                    nowhere = ids | {"project_id": ABSENT_ID, "group_id": ABSENT_ID}
                    absent = told(await desk.send((role, scope), method, path, nowhere), ids)
                fits = answer.status_code == 404 and told(answer, ids) == absent
            elif wanted == "refused":
                fits = is_refused(answer)
            elif is_out_of_sight(scope, desk.names(method, path)):
                fits = not is_refused(answer)
            else:
                fits = not is_refused(answer) and answer.status_code not in (401, 404, 500)
            if not fits:
                wrong.append((method, path, role, wanted, answer.status_code))
    assert wrong == [], "\n".join(map(str, wrong))


async def compare(desk, who, ids, **how):
    """Operations that tell somebody else's rows from absent ones, or show anything of them."""
    absent = ids | dict.fromkeys(names_of_rows(ids), ABSENT_ID)
    for method, path, verb in desk.operations:
        if verb is None or verb is Verb.SESSION_OWN or "{project_id}" not in path:
            continue
        answer = await desk.send(who, method, path, ids, **how)
        if any(secret in answer.text for secret in SECRETS):
            yield f"{method} {path} shows what is not theirs"
        if desk.names(method, path) & names_of_rows(ids) - {"project_id"}:
            other = await desk.send(who, method, path, absent, **how)
            if told(answer, ids) != told(other, ids):
                yield f"{method} {path}: {answer.status_code}, absent {other.status_code}"
        if answer.status_code >= 500:
            yield f"{method} {path}: {answer.status_code}"


def names_of_rows(ids):
    # Staff above a project is seen from all of its projects; those rows are nobody's alone.
    return set(ids) - {"project_id", "group_id", "role_id", "session_id"}


@pytest.mark.parametrize(
    ("role", "scoped"),
    [(APP, True), (APP, False), (MAINTENANCE, True)],
    ids=["both", "security alone", "queries alone"],
)
async def test_anothers_rows_under_ones_own_address_are_not_there(desk, role, scoped):
    ids = desk.estate.ids | {"project_id": desk.estate.site.other_id}
    who = ("project_manager", "foreign project")
    assert [one async for one in compare(desk, who, ids, role=role, scoped=scoped)] == []


@pytest.mark.parametrize("role", [APP, MAINTENANCE], ids=["both", "queries alone"])
async def test_another_buildings_rows_are_not_there(desk, role):
    who = ("project_manager", "foreign building")
    assert [one async for one in compare(desk, who, dict(desk.estate.ids), role=role)] == []


async def test_the_comparison_bites(desk):
    """With both isolations gone it finds much, and so it does for what is one's own."""
    ids = desk.estate.ids | {"project_id": desk.estate.site.other_id}
    who, how = ("project_manager", "foreign project"), {"role": MAINTENANCE, "scoped": False}
    assert len([one async for one in compare(desk, who, ids, **how)]) > 10
    who = ("project_manager", "own project")
    assert len([one async for one in compare(desk, who, dict(desk.estate.ids))]) > 20


@pytest.mark.parametrize(
    ("scope", "rooms"), [("own building", 4), ("foreign building", 2), ("own project", 6)]
)
async def test_totals_count_what_is_seen_and_nothing_else(desk, scope, rooms):
    who, ids = ("project_manager", scope), dict(desk.estate.ids)
    project = f"{v1.PREFIX}/projects/{{project_id}}"
    found = await desk.send(who, "GET", f"{project}/meters?count=true", ids)
    assert (found.json()["total"], len(found.json()["items"])) == (rooms, rooms)
    found = await desk.send(who, "GET", f"{project}/rooms", ids)
    assert len(found.json()["items"]) == rooms
    page = await desk.send(who, "GET", "/projects/{project_id}/rooms", ids)
    assert len(re.findall(r'<a href="rooms/\d+"', page.text)) == rooms
    gateways = await desk.send(who, "GET", f"{project}/gateways?count=true", ids)
    assert gateways.json()["total"] == (1 if scope == "own project" else 0)
