"""A database is brought to today's schema, twice without a difference, and nobody owns it."""

import hashlib
from pathlib import Path

import asyncpg

import meterhouse.store.migrations.versions as versions
from databases import address_of
from meterhouse.store import migrate as migrating
from meterhouse.store import proofs
from meterhouse.store.db import maintenance
from meterhouse.store.migrate import migrate, revision

TREE = (
    "insert into project_group (name) values ('g')",
    "insert into project (id, group_id, name, created_at) values (1, 1, 'p', now())",
    """insert into place (project_id, parent_id, kind, name) values (1, null, 'building', 'A'),
        (1, 1, 'floor', '1F'), (1, 2, 'room', '101'), (1, null, 'building', 'B'),
        (1, 4, 'room', 'S')""",
)


# A step that has been published is never edited: a database that took it would not know. What comes
# after is a step of its own, and its line is added here.
PUBLISHED = {
    "0001_first.py": "04365ed8ebb1dcc58aa05222dbdd83122b2a64b611823ecc5a624929c9d02f5d",
    "0002_people.py": "20e4f70f5b5412702a9530a324d1c21854176bbf778f1143e446cbbcee362e6e",
    "0003_reach.py": "950f0fe0c08c090a34bcea6dfae28202b9cfc2010acbc738099e33b3123d86cc",
    "0004_scope.py": "f44f97d7848b6d6dc381578aed617709ea0f9dce7f09856947a3d1cc90cb0c8d",
    "0006_money.py": "3d468af00445b22657a63f15c3ccf8ca9041498a8e0660c1dc8b433663d08062",
    "0007_river.py": "c782956ff3fe3cad2bbb109e67ad1503c70ce3f7aa7dce88356b777d85e34807",
    "0008_prices.py": "1f8712307b36738d202deab93d7d45bf10deb093d8b259dd90a4fb30849d7e62",
    "0009_vee.py": "badc104ec8fe70d3136461c5acaa0450bbc90ca7fe327b9d76a5aa5fa58d140a",
    "0010_rest.py": "1b2712fe9b3148e8270a1d3c3b6edb4ce444ada59829be4b6f736f6f2bd2ddaf",
    "0011_replay.py": "bc454fde73e586cf5c04dcc30988f0ccd8d8d780619bed84705f2459710d0986",
    "0012_payer.py": "5cd5e0670319d43be1e44ff43d8a2b02e9ea933b8007064faaffb0904446e942",
}
# A house as the second step left it: a building's warden, somebody signed in, a program's key.
OLD_HOUSE = (
    "insert into project_group (name) values ('g')",
    "insert into project (id, group_id, name, created_at) values (1, 1, 'p', now())",
    "insert into place (project_id, kind, name) values (1, 'building', 'A')",
    "insert into personal (project_id, name) values (0, 'Ann'), (0, 'ERP')",
    """insert into person (kind, login, personal_id, key_hash, created_at)
        values ('staff', 'ann', 1, null, now()), ('client', 'erp', 2, 'key', now())""",
    """insert into role_grant (person_id, role, scope_kind, scope_id)
        values (1, 'warden', 'building', 1), (2, 'read_only', 'project', 1)""",
    """insert into session (token_hash, person_id, created_at, seen_at, expires_at, proved_at)
        values ('token', 1, now(), now(), now(), now())""",
)
# Points as the seventh step left them: one was charged by A, then by B; one got B since it was
# charged by A; one was never charged; one has no tariff.
_CHARGE = """insert into charge (project_id, point_id, ended_at, version, started_at, meter_id,
    register_epoch, account_id, tariff_id, energy_milli, block_milli, block_period_at, amount_nano,
    verdict, quality) values (1, {}, '2026-01-0{}', {}, '2026-01-0{}', 1, 1, 1, {}, 0, 0,
    '1970-01-01', 0, 1, 0)"""
PRICED = (
    *TREE[:2], "insert into place (project_id, kind, name) values (1, 'area', 'Z')",
    """insert into tariff (project_id, name, commodity) values (1, 'A', 'water'),
        (1, 'B', 'water')""",
    """insert into point (project_id, place_id, commodity, tariff_id) values (1, 1, 'water', 2),
        (1, 1, 'water', 2), (1, 1, 'water', 1), (1, 1, 'water', null)""",
    """insert into meter (project_id, point_id, model, address, modulus_milli, max_power_w,
        installed_at) values (1, 2, 'm', '1', 1, 1, '2026-01-01')""",
    """insert into point_state (project_id, point_id, meter_id, register_epoch, good_at)
        values (1, 2, 1, 1, '2026-01-07')""",
    "create table charge_2026 partition of charge for values from ('2026-01-01') to ('2027-01-01')",
    "alter table charge_2026 owner to meterhouse_owner",
    _CHARGE.format(1, 2, 1, 1, 1), _CHARGE.format(1, 2, 2, 1, 1), _CHARGE.format(1, 3, 1, 2, 1),
    _CHARGE.format(1, 4, 1, 3, 2), _CHARGE.format(1, 5, 1, 4, 2), _CHARGE.format(2, 2, 1, 1, 1),
)  # fmt: skip
# Points as the twelfth step left them. Point 1 was paid for by the house, by two households and by
# the house again; 2 by one household ever; 3 by one, and another kept its money for a while; 4 had
# its meter exchanged.
PAID = (
    *TREE[:2], "insert into place (project_id, kind, name) values (1, 'area', 'Z')",
    "insert into personal (project_id, name) values (1, 'Ann')",
    "insert into customer (project_id, personal_id) values (1, 1)",
    """insert into agreement (project_id, kind, customer_id, valid_from, valid_to) values
        (1, 'house', null, '2026-01-01', null), (1, 'tenant', 1, '2026-01-02', '2026-01-04'),
        (1, 'tenant', 1, '2026-01-04', '2026-01-06'), (1, 'tenant', 1, '2026-01-02', null)""",
    """insert into account (project_id, kind, unit, agreement_id, compartment) values
        (1, 'purse', 'CNY', 1, 'water'), (1, 'purse', 'CNY', 2, 'common'),
        (1, 'purse', 'CNY', 2, 'water'), (1, 'purse', 'CNY', 3, 'common'),
        (1, 'purse', 'CNY', 4, 'water')""",
    """insert into point (project_id, place_id, commodity, keeper, account_id, payer_at,
            former_account_id) values
        (1, 1, 'water', 'platform', 1, '2026-01-05 23:55+00', 4),
        (1, 1, 'water', 'external', 5, '2026-01-02', null),
        (1, 1, 'water', 'platform', 5, '2026-01-02', null),
        (1, 1, 'water', 'platform', 5, '2026-01-02', null)""",
    """insert into agreement_point (project_id, point_id, valid_from, valid_to, agreement_id) values
        (1, 1, '2026-01-01', '2026-01-02', 1), (1, 1, '2026-01-02', '2026-01-04', 2),
        (1, 1, '2026-01-04', '2026-01-06', 3), (1, 1, '2026-01-06', null, 1),
        (1, 2, '2026-01-02', null, 4), (1, 3, '2026-01-02', null, 4),
        (1, 4, '2026-01-02', null, 4)""",
    """insert into point_state (project_id, point_id, meter_id, register_epoch, good_at, aside_nano)
        values (1, 3, 3, 1, '2026-01-07', 5), (1, 4, 5, 1, '2026-01-07', 0)""",
    """insert into meter (project_id, point_id, model, address, modulus_milli, max_power_w,
            installed_at, removed_at) values (1, 4, 'm', '1', 1, 1, '2026-01-01', '2026-01-03'),
        (1, 4, 'm', '2', 1, 1, '2026-01-03', null)""",
    """insert into exchange (project_id, point_id, old_meter_id, new_meter_id, exchanged_at,
            closing_milli, closing_source, opening_milli, reason, created_at)
        values (1, 4, 1, 2, '2026-01-03', '{1}', 'wire', '{0}', 'broken', '2026-01-03')""",
)  # fmt: skip


def test_a_published_step_is_never_edited():
    folder = Path(versions.__file__).parent
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in PUBLISHED}
    assert found == PUBLISHED


async def test_grants_and_keys_from_before_are_kept(postgres, monkeypatch):
    address, upgrade = address_of(postgres, "old_house"), migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0002"))
        assert await migrate(address) == "0002"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in OLD_HOUSE:
        await connection.execute(statement)
    await connection.close()
    await migrate(address)
    async with maintenance(address) as connection:
        grants = await connection.fetch(
            "select person_kind, within_project_id from role_grant order by person_id"
        )
        keys = await connection.fetch("select person_id, key_hash from client_key")
        sessions = await connection.fetch("select person_kind from session")
    await migrating.drop_database(address)
    assert [tuple(row) for row in grants] == [("staff", 1), ("client", None)]
    assert [tuple(row) for row in keys] == [(2, b"key")]
    assert [tuple(row) for row in sessions] == [("staff",)]


async def test_a_fresh_database_is_at_the_head_and_migrating_again_changes_nothing(address):
    first = await revision(address)
    assert first is not None
    assert await migrate(address) == first
    assert await migrate(address) == first


async def test_places_from_before_learn_which_building_they_lie_in(postgres, monkeypatch):
    address, upgrade = address_of(postgres, "without_buildings"), migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0003"))
        assert await migrate(address) == "0003"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in TREE:
        await connection.execute(statement)
    await connection.close()
    await migrate(address)
    async with maintenance(address) as connection:
        rows = await connection.fetch("select building_id from place order by id")
    await migrating.drop_database(address)
    assert [row["building_id"] for row in rows] == [1, 1, 1, 4, 4]


# What a house's closed days held of energy while they were counted by their charges' ends alone: of
# the first a charge was estimated and taken back since, and one came late.
COUNTED = (
    *TREE[:2], "insert into place (project_id, kind, name) values (1, 'area', 'Z')",
    "insert into point (project_id, place_id, commodity) values (1, 1, 'water')",
    "create table charge_2026 partition of charge for values from ('2026-01-01') to ('2027-01-01')",
    "alter table charge_2026 owner to meterhouse_owner",
    *(f"""insert into charge (project_id, point_id, ended_at, version, started_at, meter_id,
            register_epoch, account_id, tariff_id, energy_milli, block_milli, block_period_at,
            amount_nano, verdict, quality)
        values (1, 1, '2026-01-0{day}', {version}, '2026-01-01', 1, 1, 1, 1, {milli}, 0,
            '1970-01-01', {milli} * 3, 1, 0)"""
      for day, version, milli in ((2, 1, 500), (2, 2, 0), (3, 1, 70), (4, 1, 9), (8, 1, 1))),
    """insert into day_close (project_id, day, until_at, totals, proofs, is_proved,
            last_transfer_id, closed_at) values
        (1, '2026-01-02', '2026-01-02T16:00Z', '{"energy": [{"commodity": "water",
            "energy_milli": 500, "amount_nano": 1500}]}', '{}', true, 0, now()),
        (1, '2026-01-05', '2026-01-05T16:00Z', '{"energy": [{"commodity": "water",
            "energy_milli": 9, "amount_nano": 27}]}', '{}', true, 0, now())""",
)  # fmt: skip


async def test_what_closed_days_lack_of_energy_is_made_up_for(postgres, monkeypatch):
    address, upgrade = address_of(postgres, "uncounted"), migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0013"))
        assert await migrate(address) == "0013"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in COUNTED:
        await connection.execute(statement)
    await connection.close()
    await migrate(address)
    async with maintenance(address) as connection:
        (lacks,) = await connection.fetch("select * from energy_difference")
        (mark,) = await connection.fetch("select until_at from energy_mark")
        (question,) = [one for says, one in proofs.QUESTIONS.items() if "closed days" in says]
        contradicting = await connection.fetchval(question)
    await migrating.drop_database(address)
    # In force are 70 + 9; the days hold 509.
    assert (lacks["commodity"], lacks["energy_milli"], lacks["amount_nano"]) == (
        "water", -430, -1_290,
    )  # fmt: skip
    assert (mark["until_at"].day, contradicting) == (5, 0)


async def test_the_tariffs_of_before_are_known_since_their_first_charge(postgres, monkeypatch):
    address, upgrade = address_of(postgres, "undated"), migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0007"))
        assert await migrate(address) == "0007"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in PRICED:
        await connection.execute(statement)
    await connection.close()
    await migrate(address)
    async with maintenance(address) as connection:
        rows = await connection.fetch(
            """select point_id, tariff_id, extract(day from from_at)::int,
                   extract(year from from_at)
               from point_tariff order by point_id, from_at"""
        )
        since = await connection.fetch(
            "select id, extract(day from tariff_at)::int, extract(year from tariff_at) from point"
        )
    await migrating.drop_database(address)
    assert [tuple(row) for row in rows] == [
        (1, 1, 1, 1970), (1, 2, 3, 2026), (2, 1, 1, 1970), (2, 2, 7, 2026), (3, 1, 1, 1970),
    ]  # fmt: skip
    assert sorted(tuple(row) for row in since) == [
        (1, 3, 2026), (2, 7, 2026), (3, 1, 1970), (4, 1, 1970),
    ]  # fmt: skip


async def test_who_paid_before_and_who_kept_the_money_are_known_as_far_as_anybody_knows(
    postgres, monkeypatch
):
    address, upgrade = address_of(postgres, "one_payer"), migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0012"))
        assert await migrate(address) == "0012"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in PAID:
        await connection.execute(statement)
    await connection.close()
    await migrate(address)
    async with maintenance(address) as connection:
        rows = await connection.fetch(
            """select point_id, to_char(since_at at time zone 'utc', 'YYYY-MM-DD HH24:MI'),
                   account_id, keeper from point_payer order by point_id, since_at"""
        )
        apart = await connection.fetchval(
            """select count(*) from point p where not exists (select from point_payer q
                where (q.project_id, q.point_id, q.since_at, q.account_id, q.keeper)
                = (p.project_id, p.id, p.payer_at, p.account_id, p.keeper))"""
        )
        serves = await connection.fetch("select extract(year from serves_at)::int from meter")
    await migrating.drop_database(address)
    ever = "1970-01-01 00:00"
    assert [tuple(row) for row in rows] == [
        (1, ever, 1, "platform"), (1, "2026-01-02 00:00", 3, "platform"),
        (1, "2026-01-04 00:00", 4, "platform"), (1, "2026-01-05 23:55", 1, "platform"),
        (2, ever, 5, "external"), (3, ever, 5, None), (3, "2026-01-07 00:00", 5, "platform"),
        (4, ever, 5, "platform"),
    ]  # fmt: skip
    assert apart == 0
    assert sorted(row[0] for row in serves) == [1970, 2026]
