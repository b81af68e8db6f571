"""Giving and taking roles: never beyond what one holds, never the last administrator."""

from datetime import timedelta
from types import SimpleNamespace

import asyncpg
import pytest

from canary import columns_that_name
from meterhouse.errors import Conflict, NotFound
from meterhouse.flows import (
    access,
    client,
    links,
    monitor,
    onboard,
    project,
    role,
    signin,
    staff,
    staff_facts,
)
from meterhouse.flows.access import IN_BUILDINGS, ROLES, STEP_UP, Scope, ScopeKind, Verb
from meterhouse.flows.monitor import Wanted
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.store.lists import PositionUnfit
from premises import MORNING

PLATFORM, GROUP = ScopeKind.PLATFORM, ScopeKind.GROUP
PROJECT, BUILDING = ScopeKind.PROJECT, ScopeKind.BUILDING
PASSWORD = "correct horse battery"
pytestmark = pytest.mark.usefixtures("hasty_hasher")


@pytest.fixture
async def house(db):
    """Two groups, three projects, one building in each; an administrator and managers."""
    groups = [await onboard.open_group(db, name) for name in ("first", "second")]
    projects, buildings = [], []
    for name, place in (("a", 0), ("b", 0), ("c", 1)):
        new = onboard.NewProject(name, groups[place])
        projects.append(await onboard.open_project(db, new, MORNING))
        buildings.append(await onboard.add_place(db, projects[-1], None, "building", f"B{name}"))

    async def add(login, role_name, kind, place=0, project_id=0):
        return await access.add_person(
            db, login, login.title(), PASSWORD, role_name, kind, place, MORNING, project_id
        )

    return SimpleNamespace(
        db=db, groups=groups, projects=projects, buildings=buildings, add=add,
        admin=await add("admin", "platform_administrator", "platform"),
        head=await add("head", "group_head_office", "group", groups[0]),
        manager=await add("manager", "project_manager", "project", projects[0]),
    )  # fmt: skip


async def known(db, person_id):
    async with db.transaction([0]) as connection:
        return await staff.doer_of(connection, person_id)


async def grant_of(house, person_id, role_name):
    one = await staff.member(house.db, house.admin, PLATFORM, 0, person_id)
    return next(grant.id for grant in one.grants if grant.role == role_name)


async def test_a_manager_invites_a_cashier_who_chooses_a_password_once(house):
    a = house.projects[0]
    person_id, token = await staff.invite(
        house.db, house.manager, PROJECT, a, "wang@example.org", "Wang", "cashier",
        Scope(PROJECT, a), MORNING,
    )  # fmt: skip
    assert [one.verbs for one in (await known(house.db, person_id)).reaches] == [ROLES["cashier"]]
    late = MORNING + staff.INVITATION_LIFE
    assert await signin.person_of_link(house.db, token, late) is None
    await signin.set_password(house.db, token, PASSWORD, late - timedelta(seconds=1))
    with pytest.raises(NotFound):
        await signin.set_password(house.db, token, PASSWORD, MORNING)
    async with house.db.transaction([0]) as connection:
        entries = await connection.fetch(
            "select actor_id, object from audit_entry where act = $1", "password.set"
        )
    assert [tuple(row) for row in entries] == [(person_id, f"person:{person_id}")]
    assert await signin.sign_in(house.db, "wang@example.org", PASSWORD, "", MORNING) is not None


async def test_nobody_gives_more_than_they_hold_there(house):
    a, b, _ = house.projects
    wang = await house.add("wang", "cashier", "project", a)
    for role_name, scope in (
        ("platform_administrator", Scope(PROJECT, a)), ("group_head_office", Scope(PROJECT, a)),
    ):  # fmt: skip
        with pytest.raises(staff.BeyondYours):
            await staff.give(house.db, house.manager, PROJECT, a, wang, role_name, scope, MORNING)
    for scope in (Scope(PROJECT, b), Scope(GROUP, house.groups[0]), Scope(PLATFORM),
                  Scope(BUILDING, house.buildings[1], b), Scope(BUILDING, house.buildings[1], a),
                  Scope(PROJECT, 10**9)):  # fmt: skip
        with pytest.raises(NotFound):
            await staff.give(house.db, house.manager, PROJECT, a, wang, "read_only", scope, MORNING)
    assert await staff.give(
        house.db, house.head, GROUP, house.groups[0], wang, "read_only", Scope(PROJECT, b), MORNING
    )
    assert len((await known(house.db, wang)).reaches) == 2


async def test_a_person_outside_the_realm_is_not_there(house):
    _, _, c = house.projects
    stranger = await house.add("stranger", "cashier", "project", c)
    a = house.projects[0]
    answers = set()
    for person_id in (stranger, 10**9):
        with pytest.raises(NotFound) as caught:
            await staff.give(
                house.db, house.manager, PROJECT, a, person_id, "read_only", Scope(PROJECT, a),
                MORNING,
            )  # fmt: skip
        answers.add(str(caught.value).replace(str(person_id), "?"))
    assert len(answers) == 1
    found = await staff.members(house.db, house.manager, PROJECT, a)
    names = [one.row["name"] for one in found.rows]
    assert names == ["Admin", "Head", "Manager"]


async def test_nobody_acts_on_who_holds_more(house):
    a, b, _ = house.projects
    for person_id in (house.admin, house.head, house.manager):
        with pytest.raises(staff.BeyondYours):
            await staff.new_link(house.db, house.manager, PROJECT, a, person_id, MORNING)
        with pytest.raises(staff.BeyondYours):
            await staff.set_disabled(house.db, house.manager, PROJECT, a, person_id, True, MORNING)
    wang = await house.add("wang", "cashier", "project", a)
    await staff.give(
        house.db, house.admin, PLATFORM, 0, wang, "cashier", Scope(PROJECT, b), MORNING
    )
    # Now the cashier works in another project too, where the manager holds nothing.
    with pytest.raises(staff.BeyondYours):
        await staff.new_link(house.db, house.manager, PROJECT, a, wang, MORNING)
    assert await staff.new_link(house.db, house.head, PROJECT, a, wang, MORNING)


async def test_the_last_administrator_stays(house):
    grant_id = await grant_of(house, house.admin, "platform_administrator")
    with pytest.raises(staff.LastAdministrator):
        await staff.take(house.db, house.admin, PLATFORM, 0, house.admin, grant_id)
    other = await house.add("other", "platform_administrator", "platform")
    # With two there is somebody else, but nobody takes their own.
    with pytest.raises(staff.LastAdministrator):
        await staff.take(house.db, house.admin, PLATFORM, 0, house.admin, grant_id)
    await staff.take(house.db, other, PLATFORM, 0, house.admin, grant_id)
    with pytest.raises(staff.BeyondYours):
        await staff.set_disabled(house.db, other, PLATFORM, 0, other, True, MORNING)


async def test_a_manager_does_not_take_their_own_last_right(house):
    a = house.projects[0]
    grant_id = await grant_of(house, house.manager, "project_manager")
    with pytest.raises(staff.LastAdministrator):
        await staff.take(house.db, house.manager, PROJECT, a, house.manager, grant_id)
    assert (await known(house.db, house.manager)).holds(Scope(PROJECT, a)) == ROLES[
        "project_manager"
    ]
    await staff.take(house.db, house.head, PROJECT, a, house.manager, grant_id)
    assert (await known(house.db, house.manager)).reaches == ()


async def test_a_role_from_above_is_not_taken_from_below(house):
    a = house.projects[0]
    grant_id = await grant_of(house, house.head, "group_head_office")
    with pytest.raises(NotFound):
        await staff.take(house.db, house.manager, PROJECT, a, house.head, grant_id)


async def test_a_person_shut_out_has_no_session_and_comes_back(house):
    a = house.projects[0]
    wang = await house.add("wang", "cashier", "project", a)
    opened = await signin.sign_in(house.db, "wang", PASSWORD, "", MORNING)
    await staff.set_disabled(house.db, house.manager, PROJECT, a, wang, True, MORNING)
    assert await access.known_by_session(house.db, opened.token, MORNING) is None
    assert await signin.sign_in(house.db, "wang", PASSWORD, "", MORNING) is None
    await staff.set_disabled(house.db, house.manager, PROJECT, a, wang, False, MORNING)
    assert await signin.sign_in(house.db, "wang", PASSWORD, "", MORNING) is not None


async def test_a_reset_ends_sessions_and_voids_older_links(house):
    a = house.projects[0]
    wang = await house.add("wang", "cashier", "project", a)
    opened = await signin.sign_in(house.db, "wang", PASSWORD, "", MORNING)
    first, _ = await staff.new_link(house.db, house.manager, PROJECT, a, wang, MORNING)
    second, _ = await staff.new_link(house.db, house.manager, PROJECT, a, wang, MORNING)
    assert await signin.person_of_link(house.db, first, MORNING) is None
    assert await signin.person_of_link(house.db, second, MORNING + staff.RESET_LIFE) is None
    await signin.set_password(house.db, second, "another long password", MORNING)
    assert await access.known_by_session(house.db, opened.token, MORNING) is None


async def test_a_building_is_all_that_its_warden_sees(house, new_site):
    site = await new_site(name="hall")
    other = await onboard.add_place(site.db, site.project_id, None, "building", "Other")
    (building_id, _), *_ = await monitor.buildings(site.db, site.project_id)
    for place, count in ((building_id, 3), (other, 0)):
        warden = await house.add(f"w{place}", "warden", "building", place, site.project_id)
        (reach,) = (await known(site.db, warden)).reaches
        assert reach.verbs == ROLES["warden"] & IN_BUILDINGS
        assert reach.asked(Verb.ROOM_READ).building_ids == {place}
        narrow = site.db.within(reach.asked(Verb.ROOM_READ).building_ids)
        assert [one for one, _ in await monitor.buildings(narrow, site.project_id)] == [place]
        assert len((await monitor.board(narrow, site.project_id)).points) == count
        found = await monitor.listing(narrow, site.project_id, "meters", Wanted())
        assert found.row_count == count
        gateways = await monitor.listing(narrow, site.project_id, "gateways", Wanted())
        assert (gateways.rows, gateways.row_count) == ([], 0)


async def test_a_verb_of_the_whole_project_is_not_limited_by_a_building(house):
    a, building_id = house.projects[0], house.buildings[0]
    wang = await house.add("wang", "read_only", "project", a)
    await staff.give(
        house.db, house.manager, PROJECT, a, wang, "warden", Scope(BUILDING, building_id, a),
        MORNING,
    )  # fmt: skip
    (reach,) = (await known(house.db, wang)).reaches
    assert reach.asked(Verb.ROOM_READ).building_ids is None
    assert reach.asked(Verb.METER_SWITCH).building_ids == {building_id}
    assert Verb.METER_SWITCH in reach.verbs_in(building_id)
    assert Verb.METER_SWITCH not in reach.verbs_in(building_id + 1) | reach.verbs_in(None)


async def test_an_own_role_holds_what_its_maker_holds_and_works(house):
    verbs = [Verb.SESSION_OWN, Verb.ROOM_READ, Verb.METER_READ]
    with pytest.raises(staff.BeyondYours):
        await role.put(house.db, house.manager, "reader", "Reader", verbs, MORNING)
    role_id, had = await role.put(house.db, house.admin, "reader", "Reader", verbs, MORNING)
    assert had == []
    a = house.projects[0]
    wang = await house.add("wang", "reader", "project", a)
    (reach,) = (await known(house.db, wang)).reaches
    assert reach.verbs == frozenset(verbs)
    with pytest.raises(Conflict):
        await role.remove(house.db, role_id)
    await role.put(house.db, house.admin, "reader", "Reader", verbs[:2], MORNING)
    (reach,) = (await known(house.db, wang)).reaches
    assert reach.verbs == frozenset(verbs[:2])


async def test_two_who_edit_a_role_or_a_rule_do_not_undo_each_other(house):
    async def put(version):
        made = await role.put(
            house.db, house.admin, "guest", "Guest", [Verb.ROOM_READ], MORNING, version=version
        )
        return (await role.one_role(house.db, made[0]))["version"]

    with pytest.raises(ChangedMeanwhile):
        await put(1)
    assert [await put(None), await put(1), await put(None)] == [1, 2, 3]
    with pytest.raises(ChangedMeanwhile):
        await put(2)

    assert await role.code_rule(house.db, 77) == ([], 1)
    assert await role.set_code_rule(house.db, 77, ["finance"], 1) == []
    with pytest.raises(ChangedMeanwhile):
        await role.set_code_rule(house.db, 77, [], 1)
    assert await role.code_rule(house.db, 77) == (["finance"], 2)


@pytest.mark.parametrize(
    ("name", "title", "verbs", "error"),
    [
        ("cashier", "Mine", ["room.read"], Conflict),
        ("Reader", "R", ["room.read"], role.RoleUnusable),
        ("reader", " ", ["room.read"], role.RoleUnusable),
        ("reader", "R", [], role.RoleUnusable),
        ("reader", "R", ["room.fly"], role.RoleUnusable),
    ],
)
async def test_a_role_without_name_title_or_verbs_is_none(house, name, title, verbs, error):
    with pytest.raises(error):
        await role.put(house.db, house.admin, name, title, verbs, MORNING)


async def test_a_client_gets_step_up_verbs_by_an_own_role_alone(house):
    a = house.projects[0]
    scope = Scope(PROJECT, a)
    client_id, key, _ = await client.add(
        house.db, house.manager, PROJECT, a, "ERP", "project_manager", scope, 90, MORNING
    )
    found = await access.known_by_key(house.db, key, MORNING)
    assert found.reaches[0].verbs == ROLES["project_manager"] - STEP_UP
    verbs = [Verb.ROOM_READ, Verb.STAFF_EDIT]
    await role.put(house.db, house.admin, "robot", "Robot", verbs, MORNING)
    await staff.give(
        house.db, house.manager, PROJECT, a, client_id, "robot", scope, MORNING, "client"
    )
    found = await access.known_by_key(house.db, key, MORNING)
    assert Verb.STAFF_EDIT in found.reaches[0].verbs


async def test_keys_are_several_end_and_are_revoked(house):
    a = house.projects[0]
    client_id, first, _ = await client.add(
        house.db, house.manager, PROJECT, a, "ERP", "read_only", Scope(PROJECT, a), 1, MORNING
    )
    second, _ = await client.add_key(house.db, house.manager, PROJECT, a, client_id, 365, MORNING)
    later = MORNING + timedelta(days=1)
    assert await access.known_by_key(house.db, first, later - timedelta(seconds=1)) is not None
    assert await access.known_by_key(house.db, first, later) is None
    _, kept = await client.keys(house.db, house.manager, PROJECT, a, client_id)
    assert [one["hint"] for one in kept] == [second[:7], first[:7]]
    hint = await client.revoke_key(
        house.db, house.manager, PROJECT, a, client_id, kept[0]["id"], MORNING
    )
    assert hint == second[:7]
    assert await access.known_by_key(house.db, second, MORNING) is None
    with pytest.raises(NotFound):
        await client.revoke_key(
            house.db, house.manager, PROJECT, a, client_id, kept[0]["id"], MORNING
        )
    for _ in range(client.LIVE_KEYS_MAX - 1):
        await client.add_key(house.db, house.manager, PROJECT, a, client_id, 1, MORNING)
    with pytest.raises(Conflict):
        await client.add_key(house.db, house.manager, PROJECT, a, client_id, 1, MORNING)


async def test_a_program_gets_another_name_from_whoever_may_look_after_it(house):
    a = house.projects[0]
    client_id, key, _ = await client.add(
        house.db, house.manager, PROJECT, a, "ERP", "read_only", Scope(PROJECT, a), 1, MORNING
    )
    await client.rename(house.db, house.manager, PROJECT, a, client_id, " Ledger bridge ")
    found, _ = await client.keys(house.db, house.manager, PROJECT, a, client_id)
    assert found.row["name"] == "Ledger bridge"
    assert await access.known_by_key(house.db, key, MORNING) is not None
    with pytest.raises(client.NameMissing):
        await client.rename(house.db, house.manager, PROJECT, a, client_id, " x ")
    with pytest.raises(NotFound):
        await client.rename(house.db, house.manager, PROJECT, house.projects[1], client_id, "ERP")


async def test_the_database_itself_keeps_tenants_and_clients_apart(house, address):
    connection = await asyncpg.connect(**address.arguments(None))
    try:
        await connection.execute("alter table person alter column personal_id drop not null")
        tenant, erp = [
            await connection.fetchval(
                """insert into person (kind, login, created_at) values ($1, $1, $2)
                   returning id""",
                kind, MORNING,
            )
            for kind in ("tenant", "client")
        ]  # fmt: skip
        for kind in ("tenant", "staff"):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute(
                    """insert into role_grant (person_id, person_kind, role, scope_kind)
                       values ($1, $2, 'read_only', 'platform')""",
                    tenant, kind,
                )  # fmt: skip
        for person_id in (tenant, erp):
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await connection.execute(
                    """insert into session (token_hash, person_id, created_at, seen_at, proved_at,
                           expires_at) values ('x', $1, $2, $2, $2, $2)""",
                    person_id, MORNING,
                )  # fmt: skip
    finally:
        await connection.close()


async def invited(house, login="wang.fang@example.org"):
    a = house.projects[0]
    return await staff.invite(
        house.db, house.manager, PROJECT, a, login, "Wang Fang Li", "cashier",
        Scope(PROJECT, a), MORNING, "wrong.fang@example.org",
    )  # fmt: skip


async def test_a_wrong_name_and_e_mail_are_put_right_and_the_link_that_was_sent_dies(house):
    person_id, token = await invited(house)
    here = (house.db, house.manager, PROJECT, house.projects[0], person_id)
    await staff_facts.edit(*here, staff_facts.Facts(name="Wang Fang", language="en"), MORNING)
    assert await signin.person_of_link(house.db, token, MORNING) is not None
    await staff_facts.edit(*here, staff_facts.Facts(email="wang.fang@example.org"), MORNING)
    assert await signin.person_of_link(house.db, token, MORNING) is None
    to = await links.reader(house.db, person_id)
    assert (to.name, to.email, to.language) == ("Wang Fang", "wang.fang@example.org", "en")
    with pytest.raises(staff.BeyondYours):
        await staff_facts.edit(*here[:4], house.head, staff_facts.Facts(name="X"), MORNING)
    await staff_facts.edit(*here[:4], house.manager, staff_facts.Facts(name="My Own"), MORNING)


async def test_who_works_here_no_more_is_erased_everywhere(house):
    person_id, token = await invited(house)
    await signin.set_password(house.db, token, PASSWORD, MORNING)
    texts = ("Wang Fang", "wang.fang@", "wrong.fang@")
    here = (house.db, house.manager, PROJECT, house.projects[0], person_id)
    with pytest.raises(staff_facts.StillLetIn):
        await staff_facts.erase(*here, MORNING)
    await staff.set_disabled(*here, True, MORNING)
    _, expires_at = await staff.new_link(*here, MORNING)
    assert expires_at > MORNING
    assert await columns_that_name(house.db, texts) == [("person", "login")]
    with pytest.raises(staff.BeyondYours):
        await staff_facts.erase(*here[:4], house.head, MORNING)
    await staff_facts.erase(*here, MORNING)
    assert await columns_that_name(house.db, texts) == []
    one = await staff.member(house.db, house.admin, PLATFORM, 0, person_id)
    assert (one.row["name"], one.row["email"], one.grants) == (None, None, [])
    above = (house.db, house.admin, PLATFORM, 0, person_id)
    for bring_back in (
        staff_facts.erase(*above, MORNING),
        staff_facts.edit(*above, staff_facts.Facts(name="Wang"), MORNING),
        staff.new_link(*above, MORNING),
        staff.set_disabled(*above, False, MORNING),
    ):
        with pytest.raises(staff.StaffErased):
            await bring_back


async def test_a_group_is_renamed(house):
    assert await project.rename_group(house.db, house.groups[0], "Riverside") == "first"
    assert (await project.group(house.db, house.groups[0]))["name"] == "Riverside"
    with pytest.raises(NotFound):
        await project.rename_group(house.db, 10**9, "Nobody's")


async def test_a_long_list_is_read_page_by_page_and_one_person_by_their_number(house):
    a = house.projects[0]
    out = await house.add("abe", "cashier", "project", a)
    for name in ("bo", "cy"):
        await house.add(name, "cashier", "project", a)
    await staff.set_disabled(house.db, house.manager, PROJECT, a, out, True, MORNING)
    names, after, pages = [], None, 0
    while pages == 0 or after is not None:
        found = await staff.members(
            house.db, house.manager, PROJECT, a, after=after, limit=2, counted=True
        )
        assert (found.row_count, len(found.rows) <= 2) == (6, True)
        names += [one.row["name"] for one in found.rows]
        after, pages = found.end, pages + 1
    assert (names, pages) == (["Admin", "Bo", "Cy", "Head", "Manager", "Abe"], 3)
    assert (await staff.member(house.db, house.manager, PROJECT, a, out)).row["name"] == "Abe"
    for unfit in ([], [1, "A", 1], [False, "A", 2**63], [False, "\0", 1]):
        with pytest.raises(PositionUnfit):
            await staff.members(house.db, house.manager, PROJECT, a, after=unfit)
