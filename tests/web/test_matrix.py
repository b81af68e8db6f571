"""Every operation × every ready role × own and foreign project, group and building.

What is to come out is computed from the table of roles alone. What is foreign must answer exactly
as what does not exist: the same status, the same body but for the request's id. An operation whose
address or fields this test cannot fill in is an error, so that none is forgotten.
"""

import json
import re
from functools import cache
from urllib.parse import urlencode

import pytest

from addresses import COMPUTED_OPERATIONS, COMPUTED_PAGES, filled, ids_of, names_in
from asking import ask
from estate import ABSENT_ID, Doors, furnish
from meterhouse.flows.access import IN_BUILDINGS, ROLES, Verb
from meterhouse.store.db import APP, MAINTENANCE
from meterhouse.web import access
from meterhouse.web.access import LANGUAGE_COOKIE, SESSION_COOKIE, TOKEN_HEADER, check_routes
from meterhouse.web.acts import ACTS, SHEETS
from meterhouse.web.acts.frame import NoFields
from meterhouse.web.api import v1
from meterhouse.web.api.contract import contract
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, small_site

SCOPES = ("platform", "own group", "own project", "own building", "foreign group",
          "foreign project", "foreign building")  # fmt: skip
EVERY = (*ACTS, *(sheet.act for sheet in SHEETS))
# What a field is given where its declaration holds no example, or none that fits beside the others.
FIELDS = {"reason": "because of the test"}
OF_ACTS = {
    "credit.add": {"energy": None},
    "shift.hand_over": {"to": "li"},
}
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
    "receipt_id",
    "payment_id",
    "copy_number",
    "customer_id",
    "agreement_id",
    "opening_id",
    "recharge_id",
    "transfer_id",
    "doubt_id",
    "bill_id",
    "to_agreement_id",
    "building_id",
    "floor_id",
}
# Rows that lie in none, as a task begun by somebody who sees the whole project: whoever sees only
# some buildings sees none of them.
IN_NONE = {"gateway_id", "task_id", "shift_id", "day_id"}
# What a field that names a row is called in the estate, where not as in an address.
ROW_OF = {"parent_id": "floor_id"}
# What an address asks for that not every row of its name has: end of the address, name, the one.
FITTING = (
    ("/file", "task_id", "file_task_id"),
    ("/give-back", "payment_id", "deposit_id"),
    ("/purse", "meter_id", "purse_meter_id"),
)
PLACES = {"project": "of_project_id", "building": "building_id"}
SEAL = "0" * 16 + access._seal("seed", "0" * 16)
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
        self.bodies |= {("POST", path): body for path, body in COMPUTED_OPERATIONS.items()}
        self.forms = {plain(act.page): body_of(act) for act in EVERY}
        self.forms |= {path: {} for path in COMPUTED_PAGES}
        self.queries = {path: needed(told) for path, told in contract(self.app)["paths"].items()}
        # Both ends of a span have one example, and a span has a length.
        span = next(query for path, query in self.queries.items() if path.endswith("/statement"))
        span["since"] = "2026-11-01T00:00:00+08:00"

    def body(self, method, path):
        """What an operation is sent, if it is sent anything."""
        if method == "GET":
            return {}
        if path.startswith(v1.PREFIX):
            return self.bodies[method, plain(path)]
        return self.forms.get(plain(path), {})

    def names(self, method, path):
        """The ids that an operation names, in its address and in what it is sent."""
        asked = Asked(self.estate.ids)
        self.filled_in(method, path, asked)
        self.query(method, path, asked)
        return {*names_in(path), *asked.names}

    def query(self, method, path, ids):
        """What stands behind the question mark: what must, and the rows of a form for many."""
        if method == "GET" and "ids" in self.forms.get(plain(path), {}):
            return {"id": ids[row_of_many(path)]}
        return self.queries.get(plain(path)) if method == "GET" else None

    def filled_in(self, method, path, ids):
        """A body whose examples of ids are these rows instead."""
        body = dict(self.body(method, path))
        for name, given in body.items():
            if name == "ids":
                body[name] = [ids[row_of_many(path)]]
            elif name == "projects":
                body[name] = [ids["of_project_id"]]
            elif name == "place":
                # A building is found within its project alone.
                kind = given.partition(":")[0] if "{project_id" in path else "project"
                body[name] = f"{kind}:{ids[PLACES[kind]]}"
            elif name.endswith("_id") and isinstance(given, int):
                body[name] = ids[ROW_OF.get(name, name)]
        return body

    async def send(self, who, method, path, ids, *, role=APP, scoped=True):
        """The answer to an operation; its address filled from these ids."""
        if "{client_id" in path and ids["grant_id"] == self.estate.ids["grant_id"]:
            ids = ids | {"grant_id": self.estate.client_grant_id}
        for end, name, fitting in FITTING:
            if path.endswith(end) and ids[name] == self.estate.ids[name]:
                ids = ids | {name: ids[fitting]}
        headers, body, cookies = {"Accept-Language": "en"}, b"", {LANGUAGE_COOKIE: "en"}
        if path.startswith(v1.PREFIX):
            headers["Authorization"] = f"Bearer {'/'.join(who)}"
            if method != "GET":
                given = self.filled_in(method, path, ids)
                headers["Idempotency-Key"] = "matrix-key"
                headers["If-Match"] = f'"{given.pop("version", 1)}"'
                headers["Content-Type"] = "application/json"
                body = json.dumps(given).encode()
        else:
            cookies[SESSION_COOKIE] = f"seed.{'/'.join(who)}"
            headers[TOKEN_HEADER] = SEAL
            if method != "GET":
                given = {"key": "matrixkey", **self.filled_in(method, path, ids)}
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                body = urlencode(given, doseq=True).encode()
        async with self.estate.db.request(role, scoped=scoped):
            return await ask(
                self.app, method, filled(path, ids), headers=headers, cookies=cookies,
                query=self.query(method, path, ids), body=body,
            )  # fmt: skip


class Asked(dict):
    """Ids that remember which of them were asked for."""

    def __init__(self, ids):
        super().__init__(ids)
        self.names = set()

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)


def plain(path):
    return re.sub(r":\w+}", "}", path)


def row_of_many(path):
    """What an address that does something to many names them by: `/meters/read` is `meter_id`."""
    return f"{plain(path).partition('{project_id}/')[2].split('/')[0].removesuffix('s')}_id"


def body_of(act):
    """What an act is sent: its declared examples, then this test's table."""
    if act.form is NoFields:
        return {}
    body, given = {}, FIELDS | OF_ACTS.get(act.name, {})
    for name, info in act.form.model_fields.items():
        if name in given:
            body[name] = given[name]
        elif info.examples:
            body[name] = info.examples[0]
        else:
            assert not info.is_required(), f"{act.name}: no example for {name}"
    return {name: one for name, one in body.items() if one is not None}


def needed(told):
    """What must stand behind the question mark of an address that is read, by its examples."""
    asked = told.get("get", {}).get("parameters", ())
    return {
        one["name"]: one["schema"]["examples"][0]
        for one in asked if one["in"] == "query" and one.get("required")
    }  # fmt: skip


def told(answer, ids):
    """An answer without what differs from request to request, and without the ids asked for."""
    return answer.status_code, _varying(frozenset(ids.values())).sub("#", answer.text)


@cache
def _varying(numbers):
    longest_first = sorted({str(one) for one in (*numbers, ABSENT_ID)}, key=len, reverse=True)
    return re.compile(rf"[0-9a-f]{{16,}}|(?<!\d)(?:{'|'.join(longest_first)})(?!\d)")


def is_misread(answer):
    """Whether the fields could not be read, so that nothing was looked for."""
    return answer.status_code == 422 and "/errors/fields_invalid" in answer.text


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
        absent = {}
        for role in ROLES:
            answer = await desk.send((role, scope), method, path, ids)
            wanted = expected(role, scope, path, verb)
            if wanted == "absent":
                # A page keeps the menu of whoever asks; a program is told the same whoever it is.
                reader = "" if path.startswith(v1.PREFIX) else role
                if reader not in absent:
                    nowhere = ids | {"project_id": ABSENT_ID, "group_id": ABSENT_ID}
                    other = await desk.send((role, scope), method, path, nowhere)
                    absent[reader] = told(other, ids)
                fits = answer.status_code == 404 and told(answer, ids) == absent[reader]
            elif wanted == "refused":
                fits = is_refused(answer)
            elif is_out_of_sight(scope, desk.names(method, path)):
                fits = not is_refused(answer)
            else:
                fits = not is_refused(answer) and answer.status_code not in (401, 404, 500)
                fits = fits and not is_misread(answer)
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
