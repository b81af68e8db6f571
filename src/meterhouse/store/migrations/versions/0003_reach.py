"""Grants reach buildings and only who may hold them; a house's roles have ids; keys stand apart."""

from alembic import op

revision = "0003"
down_revision = "0002"

GRANTS = (
    "alter table role add column id bigint generated always as identity unique",
    "alter table role_grant add column within_project_id bigint references project (id)",
    # Whoever lives here never holds a role, whoever is no staff never has a session.
    "alter table person add constraint person_kind unique (id, kind)",
    "alter table role_grant add column person_kind text check (person_kind in ('staff', 'client'))",
    "update role_grant g set person_kind = p.kind from person p where p.id = g.person_id",
    "alter table role_grant alter column person_kind set not null",
    """alter table role_grant add constraint role_grant_holder
        foreign key (person_id, person_kind) references person (id, kind)""",
    "alter table role_grant add column id bigint generated always as identity unique",
    "create index role_grant_scope on role_grant (scope_kind, scope_id)",
    "create index role_grant_project on role_grant (within_project_id) where within_project_id is not null",
    "create index project_group_id on project (group_id)",
    "alter table person add column owner_id bigint references person (id)",
)
# A building is one of a project's. As the maintenance role: the owner is bound by the policies too.
FILLED = """update role_grant g set within_project_id = p.project_id from place p
    where g.scope_kind = 'building' and p.id = g.scope_id"""
KEPT = """alter table role_grant add constraint role_grant_project_check
    check ((scope_kind = 'building') = (within_project_id is not null))"""

SIGN_IN = (
    "alter table session add column awaits_code boolean not null default false",
    "delete from session s using person p where p.id = s.person_id and p.kind <> 'staff'",
    "alter table session add column person_kind text not null default 'staff' check (person_kind = 'staff')",
    """alter table session add constraint session_holder
        foreign key (person_id, person_kind) references person (id, kind)""",
    # The way into an installation that nobody can sign in to yet.
    """create table welcome_link (
        token_hash bytea primary key,
        created_at timestamptz not null,
        expires_at timestamptz not null)""",
    "create index client_key_person on client_key (person_id)",
    "create index one_time_link_person on one_time_link (person_id)",
    # A key from before has a year from now to be replaced.
    """insert into client_key (person_id, key_hash, hint, created_at, expires_at)
        select id, key_hash, '', created_at, now() + interval '365 days' from person p
        where key_hash is not null
        and not exists (select from client_key k where k.key_hash = p.key_hash)""",
    "alter table person drop column key_hash",
)

# What a person's grants reach, one row a project; and which buildings a transaction may see.
REACH = (
    """create function reached(person bigint) returns table (id bigint, group_id bigint, name text,
            timezone text, currency text, currency_exponent smallint, frozen boolean)
        language sql stable security definer set search_path = meterhouse, pg_temp as $$
        select p.id, p.group_id, p.name, p.timezone, p.currency, p.currency_exponent, p.frozen
        from project p where p.id in (
            select g.scope_id from role_grant g
                where g.person_id = $1 and g.scope_kind = 'project'
            union all select g.within_project_id from role_grant g
                where g.person_id = $1 and g.scope_kind = 'building'
            union all select q.id from role_grant g join project q on q.group_id = g.scope_id
                where g.person_id = $1 and g.scope_kind = 'group'
            union all select q.id from project q where exists (select from role_grant g
                where g.person_id = $1 and g.scope_kind = 'platform'))
        order by p.id $$""",
    """create function building_ids() returns bigint[] language sql stable parallel safe as
        $$ select string_to_array(nullif(current_setting('meterhouse.buildings', true), ''), ',')::bigint[] $$""",
    """create function seen_place(project bigint, place bigint) returns boolean
        language sql stable parallel safe as $$
        select building_ids() is null or coalesce((
            select coalesce(b.id, f.id, r.id) = any (building_ids()) from place r
            left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
            left join place b on (b.project_id, b.id) = (f.project_id, f.parent_id)
            where r.project_id = project and r.id = place), false) $$""",
    """create function seen_points(project bigint) returns setof bigint
        language sql stable parallel safe as $$
        with recursive inside as (
            select id from place where project_id = project and id = any (building_ids())
            union all select l.id from place l join inside i on l.parent_id = i.id
            where l.project_id = project)
        select p.id from point p where p.project_id = project
        and p.place_id in (select id from inside) $$""",
    """create function seen_point(project bigint, point bigint) returns boolean
        language sql stable parallel safe as $$
        select building_ids() is null or coalesce((select seen_place(p.project_id, p.place_id)
            from point p where p.project_id = project and p.id = point), false) $$""",
)

SEEN = (
    "building_ids()", "seen_place(bigint, bigint)", "seen_point(bigint, bigint)", "seen_points(bigint)",
)  # fmt: skip


def upgrade() -> None:
    """Add the columns, fill them for what stands, then put rights over what is new."""
    for statement in GRANTS:
        op.execute(statement)
    op.execute("set local role meterhouse_maintenance")
    op.execute(FILLED)
    op.execute("set local role meterhouse_owner")
    for statement in (KEPT, *SIGN_IN, *REACH):
        op.execute(statement)
    op.execute("grant all on welcome_link to meterhouse_maintenance")
    op.execute("grant select, insert, update, delete on welcome_link to meterhouse_app")
    op.execute("grant delete on place, point, agreement_point, stranger to meterhouse_app")
    for function in ("reached(bigint)", *SEEN):
        op.execute(f"revoke execute on function {function} from public")
        op.execute(
            f"grant execute on function {function} to meterhouse_app, meterhouse_maintenance"
        )
    op.execute("alter function reached(bigint) owner to meterhouse_maintenance")
