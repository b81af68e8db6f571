"""People, audit and long tasks: grants down to a building, sealed entries, answers kept by key."""

from alembic import op

revision = "0002"
down_revision = "0001"

PEOPLE = (
    # Ready roles stand in the code; these are a house's own.
    """create table role (
        name text primary key check (name ~ '^[a-z][a-z0-9_]{1,40}$'),
        title text not null,
        verbs text[] not null,
        created_by bigint references person (id),
        created_at timestamptz not null)""",
    "alter table role_grant drop constraint role_grant_scope_kind_check",
    """alter table role_grant add constraint role_grant_scope_kind_check
        check (scope_kind in ('platform', 'group', 'project', 'building'))""",
    "alter table role_grant add column granted_by bigint references person (id)",
    "alter table role_grant add column granted_at timestamptz",
    "alter table person add column totp_secret bytea",
    "alter table person add column totp_from timestamptz",
    "alter table person add column totp_step bigint not null default 0",
    "alter table person add column version integer not null default 1",
    """create table recovery_code (
        person_id bigint not null references person (id),
        code_hash bytea not null,
        used_at timestamptz,
        primary key (person_id, code_hash))""",
    "alter table session add column id bigint generated always as identity",
    "alter table session add column peer text not null default ''",
    "alter table session add column proved_at timestamptz",
    "update session set proved_at = created_at",
    "alter table session alter column proved_at set not null",
    "create unique index session_id on session (id)",
    "create index session_person on session (person_id)",
    """create table one_time_link (
        token_hash bytea primary key,
        person_id bigint not null references person (id),
        kind text not null check (kind in ('invitation', 'reset')),
        created_by bigint references person (id),
        created_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz)""",
    """create table client_key (
        id bigint generated always as identity primary key,
        person_id bigint not null references person (id),
        key_hash bytea not null unique,
        hint text not null,
        created_by bigint references person (id),
        created_at timestamptz not null,
        expires_at timestamptz not null,
        revoked_at timestamptz,
        seen_at timestamptz)""",
    """create table saved_filter (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        person_id bigint not null references person (id),
        list text not null,
        name text not null,
        query text not null,
        primary key (project_id, id),
        unique (project_id, person_id, list, name))""",
)

# Project 0 stands for the platform itself: what belongs to no project.
AUDIT = (
    """create table audit_entry (
        project_id bigint not null,
        id bigint generated always as identity,
        at timestamptz not null,
        actor_id bigint,
        via text not null check (via in ('console', 'api', 'cli', 'system')),
        act text not null,
        verb text not null,
        object text not null,
        before jsonb,
        after jsonb,
        reason text not null default '',
        request_id text not null default '',
        primary key (project_id, id))""",
    "create index audit_entry_time on audit_entry (project_id, at, id)",
    "create index audit_entry_object on audit_entry (project_id, object, id)",
    """create table audit_seal (
        project_id bigint not null,
        number bigint not null,
        last_id bigint not null,
        entry_count bigint not null check (entry_count > 0),
        hash bytea not null,
        sealed_at timestamptz not null,
        primary key (project_id, number))""",
    # What was answered to a key, so that the same request again changes nothing.
    """create table answer (
        actor_id bigint not null,
        key text not null,
        project_id bigint not null,
        digest bytea not null,
        status smallint not null,
        body jsonb,
        created_at timestamptz not null,
        primary key (project_id, actor_id, key))""",
    "create index answer_time on answer (created_at)",
)

TASKS = (
    """create table task (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        kind text not null,
        title text not null,
        gateway_id bigint,
        input jsonb not null,
        state text not null default 'queued' check (state in ('waiting', 'queued', 'running', 'done', 'failed', 'cancelled')),
        done_count bigint not null default 0,
        total_count bigint not null default 0,
        result jsonb,
        why text not null default '',
        claim_count integer not null default 0,
        actor_id bigint references person (id),
        second_id bigint references person (id),
        created_at timestamptz not null,
        started_at timestamptz,
        beat_at timestamptz,
        ended_at timestamptz,
        primary key (project_id, id),
        foreign key (project_id, gateway_id) references gateway (project_id, id)) with (fillfactor = 70)""",
    "create index task_actor on task (project_id, actor_id, id)",
    "create index task_live on task (project_id, kind, id) where state in ('queued', 'running')",
    """create table task_file (
        project_id bigint not null,
        task_id bigint not null,
        part text not null check (part in ('input', 'output')),
        name text not null,
        media_type text not null,
        content bytea not null,
        primary key (project_id, task_id, part),
        foreign key (project_id, task_id) references task (project_id, id))""",
    """create table commissioning (
        project_id bigint not null,
        id bigint generated always as identity,
        meter_id bigint not null,
        items jsonb not null,
        version integer not null default 1,
        started_by bigint references person (id),
        started_at timestamptz not null,
        signed_by bigint references person (id),
        signed_at timestamptz,
        note text not null default '',
        primary key (project_id, id),
        foreign key (project_id, meter_id) references meter (project_id, id))""",
    "create index commissioning_meter on commissioning (project_id, meter_id, id)",
    """create trigger keep before update or delete on commissioning for each row
        when (old.signed_at is not null) execute function refuse_change()""",
    # What the meter said in the conversation of a command.
    "alter table command add column said jsonb",
)

PREMISES = (
    "alter table project add column version integer not null default 1",
    "alter table place add column version integer not null default 1",
    "alter table customer add column version integer not null default 1",
    "alter table gateway add column version integer not null default 1",
    "alter table gateway add column removed_at timestamptz",
    "alter table gateway drop constraint gateway_registration_key",
    "create unique index gateway_registration on gateway (registration) where removed_at is null",
    "alter table meter add column version integer not null default 1",
    "alter table point add column version integer not null default 1",
    "alter table payee add column version integer not null default 1",
    "alter table payee add column merchant text not null default ''",
    "alter table payee add column tax_id text not null default ''",
    "alter table payee add column series text not null default ''",
    """create table calendar_day (
        project_id bigint not null references project (id),
        day date not null,
        kind text not null check (kind in ('holiday', 'workday', 'special')),
        name text not null default '',
        primary key (project_id, day))""",
    "create index place_parent on place (project_id, parent_id, sort, name)",
)

# Search without an extension: every run of one to three characters, with the project before it,
# in an index of arrays; the project in the token keeps one project's answer from another's timing.
SEARCH = (
    """create function grams(project_id bigint, words text) returns text[]
        language sql immutable parallel safe as $$
        select coalesce(array_agg(distinct project_id::text || ':' || substr(said, start, size)), '{}')
        from (select lower(left(words, 60)) as said) w,
            generate_series(1, 3) size, generate_series(1, length(said) - size + 1) start $$""",
    """alter table place add column grams text[] generated always as (grams(project_id, name)) stored""",
    """alter table meter add column grams text[] generated always as (grams(project_id, address)) stored""",
    "create index place_grams on place using gin (grams)",
    "create index meter_grams on meter using gin (grams)",
)

# Row security keeps an index from answering whether an array contains another, because the operator
# is not known to be leakproof; this function asks past the policy, for one project of the scope alone.
FIND = """create function found_points(project bigint, pattern text) returns setof bigint
    language sql stable security definer rows 100 set search_path = meterhouse, pg_temp as $$
    with said as (
        select lower(regexp_replace(substr(pattern, 2, length(pattern) - 2), '\\\\(.)', '\\1', 'g')) as words),
    wanted as (
        select array_agg(project::text || ':' || substr(words, n, least(3, length(words)))) as grams
        from said, generate_series(1, greatest(length(words) - 2, 1)) n)
    select p.id from place r join point p on (p.project_id, p.place_id) = (r.project_id, r.id)
    where r.project_id = project and project = any (scope_ids())
    and r.grams @> (select grams from wanted) and r.name ilike pattern
    union select m.point_id from meter m
    where m.project_id = project and project = any (scope_ids()) and m.point_id is not null
    and m.grams @> (select grams from wanted) and m.address ilike pattern $$"""

# The same for the search box, the best first: what is called just so, what begins so, the shortest.
# Of more than two thousand that fit, a text says too little to choose the best among them.
CALLED = """create function called_so(what text, project bigint, tokens text[], said text, most integer)
    returns setof bigint language plpgsql stable security definer rows 50
    set search_path = meterhouse, pg_temp as $$
    begin
        if not coalesce(project = any (scope_ids()), false) then return; end if;
        -- A letter stands in nearly every name: the first two thousand of the order are looked at.
        if octet_length(said) = 1 and what = 'place' then return query
            select r.id from (select p.id, p.name from place p where p.project_id = project
                and p.kind <> 'floor' order by p.name, p.id limit 2000) r
            where position(said in lower(r.name)) > 0
            order by lower(r.name) <> said, not starts_with(lower(r.name), said), length(r.name), r.name, r.id
            limit most;
            return;
        elsif octet_length(said) = 1 then return; end if;
        if what = 'place' then return query
            select r.id from (select p.id, p.kind, p.name from place p where p.grams @> tokens
                and p.project_id = project and p.kind <> 'floor' limit 2000) r
            where position(said in lower(r.name)) > 0
            order by r.kind <> 'building', lower(r.name) <> said, not starts_with(lower(r.name), said),
                length(r.name), r.name, r.id limit most;
        elsif what = 'meter' then return query
            select r.id from (select m.id, m.address from meter m where m.grams @> tokens
                and m.project_id = project and m.removed_at is null limit 2000) r
            where position(said in lower(r.address)) > 0
            order by lower(r.address) <> said, r.address, r.id limit most;
        elsif what = 'customer' then return query
            select c.id from (select h.id, h.name, h.phone from personal h where h.grams @> tokens
                and h.project_id = project limit 2000) h
            join customer c on (c.project_id, c.personal_id) = (project, h.id)
            where position(said in lower(h.name)) > 0 or position(said in h.phone) > 0
            order by c.id limit most;
        end if;
    end $$"""

# Every order a long list offers first is served by an index, in both directions.
LISTS = (
    "create index place_name on place (project_id, name, id)",
    "create index meter_address on meter (project_id, address, id) where removed_at is null",
    "create index meter_model on meter (project_id, model, id) where removed_at is null",
    "drop index alarm_time",
    "create index alarm_time on alarm (project_id, opened_at, id)",
    "create index alarm_closed on alarm (project_id, closed_at, id)",
    "create index alarm_now on alarm (project_id, opened_at, id) where closed_at is null",
    "create index alarm_kind on alarm (project_id, kind, opened_at, id)",
    "create index alarm_meter on alarm (project_id, meter_id) where closed_at is null",
    "create index alarm_point on alarm (project_id, point_id, id)",
    "drop index command_time",
    "create index command_time on command (project_id, created_at, id)",
    "create index command_end on command (project_id, ended_at, id)",
    "create index command_point on command (project_id, point_id, id)",
    "create index notice_time on notice (project_id, created_at, id)",
    "create index notice_sent on notice (project_id, sent_at, id)",
    "create index notice_point on notice (project_id, point_id, id)",
)

# Whatever tells who somebody is stands in this one table and can be erased from it; everything else
# knows ids. What is not erased is read through the view, which masks it by itself: customers' data
# (a project's) always, the names of staff and clients (project 0) never.
PERSONAL = (
    """create table personal (
        project_id bigint not null,
        id bigint generated always as identity,
        name text,
        phone text,
        email text,
        id_number text,
        erased_at timestamptz,
        version integer not null default 1,
        grams text[] generated always as (array_cat(grams(project_id, name), grams(project_id, phone))) stored,
        primary key (project_id, id),
        check (erased_at is null or coalesce(name, phone, email, id_number) is null))""",
    "create index personal_grams on personal using gin (grams)",
    "alter table customer add column personal_id bigint",
    "alter table person add column personal_id bigint",
    "alter table notice add column customer_id bigint",
    "create index audit_entry_actor on audit_entry (project_id, actor_id)",
    "create index command_actor on command (project_id, actor_id) where actor_id is not null",
    # A name keeps its first character, or that of each of its words: 张**, J*** S***.
    r"""create function mask_name(name text) returns text language sql immutable parallel safe as $$
        select regexp_replace(name, '(\S)\S*', case when ascii(name) >= 11904 then '\1**' else '\1***' end, 'g') $$""",
    """create function mask_phone(phone text) returns text language sql immutable parallel safe as $$
        select case when length(phone) >= 11 then left(phone, 3) || '****' || right(phone, 4)
            when length(phone) > 4 then '****' || right(phone, 2) else left('****', length(phone)) end $$""",
    """create function mask_email(email text) returns text language sql immutable parallel safe as $$
        select left(email, 1) || left('***', length(email)) || coalesce(substring(email from '@[^@]*$'), '') $$""",
    """create function mask_id_number(id_number text) returns text language sql immutable parallel safe as $$
        select case when length(id_number) < 3 then repeat('*', length(id_number))
            else left(id_number, 1) || repeat('*', length(id_number) - 2) || right(id_number, 1) end $$""",
    """create view personal_masked with (security_invoker = true) as
        select project_id, id, case project_id when 0 then name else mask_name(name) end as name,
            mask_phone(phone) as phone, mask_email(email) as email, mask_id_number(id_number) as id_number,
            erased_at, version
        from personal""",
)
# As the maintenance role: the owner is bound by the policies too.
PERSONAL_MOVED = (
    "update customer set personal_id = nextval('personal_id_seq')",
    """insert into personal (project_id, id, name, phone, email) overriding system value
        select project_id, personal_id, name, phone, email from customer""",
    "update person set personal_id = nextval('personal_id_seq')",
    """insert into personal (project_id, id, name) overriding system value
        select 0, personal_id, name from person""",
    # A notice finds its recipient when it is sent; what was written before named them.
    """update notice n set customer_id = c.id, text = replace(n.text, c.name, '***')
        from agreement_point ap
        join agreement a on (a.project_id, a.id) = (ap.project_id, ap.agreement_id)
        join customer c on (c.project_id, c.id) = (a.project_id, a.customer_id)
        where (ap.project_id, ap.point_id) = (n.project_id, n.point_id)
        and ap.valid_from <= n.created_at and (ap.valid_to is null or ap.valid_to > n.created_at)""",
)
PERSONAL_ALONE = (
    "alter table customer alter column personal_id set not null",
    "create index customer_personal on customer (project_id, personal_id)",
    "create index agreement_customer on agreement (project_id, customer_id)",
    """alter table customer add constraint customer_personal foreign key (project_id, personal_id)
        references personal (project_id, id)""",
    "alter table customer drop column name, drop column phone, drop column email",
    "alter table person alter column personal_id set not null",
    "create unique index person_personal on person (personal_id)",
    "alter table person drop column name",
    """alter table notice add constraint notice_customer foreign key (project_id, customer_id)
        references customer (project_id, id)""",
    "alter table notice drop column recipient",
    # A project sees the names of those who acted in it, and of no other staff.
    """create policy staff on personal for select using (project_id = 0 and exists (
        select from person n where n.personal_id = personal.id and (
            exists (select from audit_entry e where e.project_id = any ((select scope_ids())::bigint[])
                and e.actor_id = n.id)
            or exists (select from command c where c.project_id = any ((select scope_ids())::bigint[])
                and c.actor_id = n.id))))""",
)

SCOPED = (
    "personal", "saved_filter", "audit_entry", "audit_seal", "answer", "task", "task_file", "commissioning",
    "calendar_day",
)  # fmt: skip
APPEND_ONLY = ("audit_entry", "audit_seal", "answer")

PARTITION = """create or replace function ensure_partition(instant timestamptz) returns text
    language plpgsql security definer set search_path = meterhouse, pg_temp as $$
    declare
        monday date := date_trunc('week', instant at time zone 'UTC')::date;
        suffix text := to_char(monday, 'IYYY"w"IW');
        parent text;
    begin
        foreach parent in array array['reading', 'charge'] loop
            if to_regclass(format('meterhouse.%I', parent || '_' || suffix)) is null then
                perform pg_advisory_xact_lock(hashtext('meterhouse.partition'));
                -- Asked again here, to_regclass would answer from what this backend knew before the lock.
                execute format('create table if not exists meterhouse.%I partition of meterhouse.%I
                    for values from (%L) to (%L)', parent || '_' || suffix, parent,
                    monday::text || ' 00:00:00+00', (monday + 7)::text || ' 00:00:00+00');
                execute format('grant insert on meterhouse.%I to meterhouse_app', parent || '_' || suffix);
            end if;
        end loop;
        return suffix;
    end $$"""


def upgrade() -> None:
    """Add the tables, then put scope and rights over them as in the first schema."""
    for statement in (
        *PEOPLE,
        *AUDIT,
        *TASKS,
        *PREMISES,
        *SEARCH,
        *PERSONAL,
        FIND,
        CALLED,
        *LISTS,
        PARTITION,
    ):
        op.execute(statement)
    new = "role, recovery_code, one_time_link, client_key, " + ", ".join(SCOPED)
    op.execute(f"grant all on {new} to meterhouse_maintenance")
    op.execute(f"grant select, insert, update on {new} to meterhouse_app")
    op.execute("grant delete on role, role_grant, recovery_code, saved_filter to meterhouse_app")
    op.execute("grant delete on calendar_day, task_file, answer to meterhouse_app")
    op.execute("grant select on personal_masked to meterhouse_app, meterhouse_maintenance")
    op.execute("grant usage on sequence personal_id_seq to meterhouse_maintenance")
    masks = (f"mask_{kind}(text)" for kind in ("name", "phone", "email", "id_number"))
    for function in ("grams(bigint, text)", *masks):
        op.execute(f"revoke execute on function {function} from public")
        op.execute(
            f"grant execute on function {function} to meterhouse_app, meterhouse_maintenance"
        )
    for function in (
        "found_points(bigint, text)", "called_so(text, bigint, text[], text, integer)",
    ):  # fmt: skip
        op.execute(f"revoke execute on function {function} from public")
        op.execute(f"grant execute on function {function} to meterhouse_app")
        op.execute(f"alter function {function} owner to meterhouse_maintenance")
    op.execute("set local role meterhouse_maintenance")
    for statement in PERSONAL_MOVED:
        op.execute(statement)
    op.execute("set local role meterhouse_owner")
    for table in APPEND_ONLY:
        op.execute(f"revoke update on {table} from meterhouse_app")
    for table in ("audit_entry", "audit_seal"):
        op.execute(
            f"create trigger keep before update or delete or truncate on {table}"
            " execute function refuse_change()"
        )
    for table in SCOPED:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy scope on {table} using (project_id = any ((select scope_ids())::bigint[]))"
        )
    for statement in PERSONAL_ALONE:
        op.execute(statement)
