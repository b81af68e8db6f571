"""Money's way to the meter and onto paper, roles that need an authenticator, orders of long lists."""

from alembic import op

revision = "0007"
down_revision = "0006"

# Of many rows those of one word, in the order of time; and names that others are sorted by.
LISTS = (
    "create index place_top on place (project_id, name, id) where parent_id is null",
    "create index gateway_name on gateway (project_id, name, id)",
    "create index command_kind on command (project_id, kind, created_at, id)",
    "create index command_state on command (project_id, state, created_at, id)",
    "create index notice_state on notice (project_id, state, created_at, id)",
)

# A house's own roles say it themselves, ready ones by rule; nobody needs an authenticator yet.
CODES = (
    """alter table role add column needs_code boolean not null default false,
        add column version integer not null default 1""",
    # Group 0 stands for the platform: its rule holds wherever the role is granted.
    """create table code_rule (
        group_id bigint primary key,
        roles text[] not null,
        version integer not null default 2)""",
    "grant all on code_rule to meterhouse_maintenance",
    "grant select, insert, update on code_rule to meterhouse_app",
)

# Each booking of a point has a number. A charge carries that of the booking that will take it, and a
# booking keeps what stayed in the accrual, so that every coin can be explained for ever.
BOOKING = (
    "alter table point_state add column booking integer not null default 0",
    "alter table charge add column booking integer not null default 0",
    "alter table transfer add column booking integer, add column rest_nano bigint",
    # What changes of payer took out of the accrual below a coin: it went to the rounding account.
    "alter table point_state add column rounded_nano bigint not null default 0",
    # What was rated while the platform did not keep the money: owed to nobody here.
    "alter table point_state add column aside_nano bigint not null default 0",
    # Its accounts are the project's, so this key says what theirs say already, a look-up a row.
    "alter table transfer drop constraint transfer_project_id_fkey",
    "create index transfer_recharge on transfer (project_id, recharge_id) where recharge_id is not null",
)

# A closed day is a million transfers. Keys look up one row after the other, which was half of the
# time; a statement looks up all of its rows at once and refuses the same (ADR 27). What is referred
# to stays: payments and transfers are kept as they are, and so are accounts from here on.
REFERENCES = (
    """alter table transfer drop constraint transfer_project_id_debit_account_id_fkey,
        drop constraint transfer_project_id_credit_account_id_fkey,
        drop constraint transfer_project_id_payment_id_fkey,
        drop constraint transfer_project_id_pending_id_fkey""",
    # A subquery a reference, so that each is a look-up by key however many rows there are.
    """create function refuse_unknown() returns trigger language plpgsql as $$
        declare at_fault bigint;
        begin
            select f.id into at_fault from fresh f
            where (select a.id from meterhouse.account a
                where a.project_id = f.project_id and a.id = f.debit_account_id) is null
            or (select a.id from meterhouse.account a
                where a.project_id = f.project_id and a.id = f.credit_account_id) is null
            or (f.payment_id is not null and (select p.id from meterhouse.payment p
                where p.project_id = f.project_id and p.id = f.payment_id) is null)
            or (f.pending_id is not null and (select t.id from meterhouse.transfer t
                where t.project_id = f.project_id and t.id = f.pending_id) is null)
            limit 1;
            if found then
                raise exception 'transfer % refers to what is not there', at_fault
                    using errcode = 'foreign_key_violation';
            end if;
            return null;
        end $$""",
    "revoke execute on function refuse_unknown() from public",
    """create trigger refers after insert on transfer referencing new table as fresh
        for each statement execute function refuse_unknown()""",
    """create trigger keep before delete or truncate or update of project_id, id on account
        execute function refuse_change()""",
)

# Nothing wrote a recharge before this schema, so what is asked of each row is asked of none.
RECHARGE = (
    """alter table recharge
        add column kind text not null default 'recharge' check (kind in ('recharge', 'take_back', 'open')),
        add column is_whole boolean not null default false,
        drop constraint recharge_amount_minor_check,
        alter column payment_id drop not null,
        add column agreement_id bigint not null,
        add column account_id bigint not null,
        drop column gateway_id,
        add column before_purchased_minor bigint,
        add column before_at timestamptz,
        add column refusal text not null default '',
        add column reason text not null default '',
        add column proved_at timestamptz,
        add check (kind = 'recharge' or payment_id is null),
        add check ((kind = 'open') = (amount_minor = 0) and amount_minor >= 0),
        add foreign key (project_id, agreement_id) references agreement (project_id, id),
        add foreign key (project_id, account_id) references account (project_id, id)""",
    """create index recharge_due on recharge (project_id, next_at)
        where state in ('reserved', 'sent', 'unknown')""",
    "create index recharge_point on recharge (project_id, point_id, id)",
    "create index recharge_unverified on recharge (project_id, meter_id) where state = 'applied'",
    # What was learnt and done at each step, so that whoever decides sees what the platform saw.
    """create table recharge_step (
        project_id bigint not null,
        recharge_id bigint not null,
        id bigint generated always as identity,
        at timestamptz not null,
        deed text not null,
        rule text not null,
        reply text not null default '',
        said_count integer,
        said_minor bigint,
        actor_id bigint references person (id),
        note text not null default '',
        primary key (project_id, recharge_id, id),
        foreign key (project_id, recharge_id) references recharge (project_id, id))""",
    "alter table wallet add column hoarding_minor bigint, add column customer_number text",
)

# What a meter is asked to hold goes with the command, as what it said comes back with it.
SETTINGS = (
    """alter table command add column asked jsonb, drop constraint command_kind_check,
        add check (kind in ('read', 'disconnect', 'connect', 'allow_connect', 'keep_power_on',
            'keep_power_off', 'tariff', 'setting', 'check')),
        add check ((asked is not null) = (kind in ('tariff', 'setting', 'check')))""",
    # Whether whoever had the line last can seal orders for meters that ask for it; null: unheard.
    "alter table gateway_state add column seals boolean",
)

# What a transfer out of a meter's own purse rests on: what was known to be there, and what was said.
REPORT = """create table purse_report (
    project_id bigint not null references project (id),
    transfer_id bigint not null,
    meter_id bigint not null,
    wallet_epoch integer not null,
    known_at timestamptz,
    known_minor bigint not null,
    read_at timestamptz not null,
    said_minor bigint not null,
    primary key (project_id, transfer_id),
    foreign key (project_id, transfer_id) references transfer (project_id, id),
    foreign key (project_id, meter_id) references meter (project_id, id))"""

# Both totals of a point whose meter keeps its money, as they stood at each closed day.
DRIFT = (
    """create table drift (
        project_id bigint not null references project (id),
        point_id bigint not null,
        day date not null,
        since_at timestamptz,
        until_at timestamptz not null,
        meter_id bigint not null,
        deducted_total_minor bigint not null,
        rated_total_nano bigint not null,
        deducted_minor bigint not null,
        rated_nano bigint not null,
        primary key (project_id, point_id, day),
        foreign key (project_id, point_id) references point (project_id, id),
        foreign key (project_id, meter_id) references meter (project_id, id))""",
    "create index drift_time on drift (project_id, until_at, point_id)",
)

RECEIPT = (
    """alter table receipt_series
        add column paper text not null default 'a5',
        add column footer text not null default '',
        add column quiet_channels text[] not null default '{}',
        add column version integer not null default 1""",
    "create index receipt_time on receipt (project_id, issued_at, id)",
    # Two series may not print the same number; it is refused where a series gets its beginning.
    "create unique index receipt_label on receipt (project_id, label)",
    # Every print, the first as well; its file can be had for a short while, then another is a copy.
    """create table receipt_print (
        project_id bigint not null references project (id),
        receipt_id bigint not null,
        copy integer not null check (copy > 0),
        paper text not null,
        language text not null,
        is_named boolean not null,
        printed_at timestamptz not null,
        printed_by bigint references person (id),
        primary key (project_id, receipt_id, copy),
        foreign key (project_id, receipt_id) references receipt (project_id, id))""",
)

# The search box again: within the reader's buildings, all of them where it is null, so that what
# lies elsewhere takes no place among the few that are shown; and somebody by what is known of them,
# never by a piece, which would tell behind the mask what stands there. Names in Latin letters are
# known by whole words, Chinese ones by their beginning, of which the mask shows the first sign.
FIND = """create function find_called(what text, project bigint, tokens text[], said text,
        buildings bigint[], most integer)
    returns setof bigint language plpgsql stable security definer rows 50
    set search_path = meterhouse, pg_temp as $$
    begin
        if not coalesce(project = any (scope_ids()), false) then return; end if;
        -- A letter stands in nearly every name: the first two thousand of the order are looked at.
        if octet_length(said) = 1 and what = 'place' then return query
            select r.id from (select p.id, p.name from place p where p.project_id = project
                and (buildings is null or p.building_id = any (buildings))
                and p.kind <> 'floor' order by p.name, p.id limit 2000) r
            where position(said in lower(r.name)) > 0
            order by lower(r.name) <> said, not starts_with(lower(r.name), said), length(r.name), r.name, r.id
            limit most;
            return;
        elsif octet_length(said) = 1 then return; end if;
        if what = 'place' then return query
            select r.id from (select p.id, p.kind, p.name from place p where p.grams @> tokens
                and (buildings is null or p.building_id = any (buildings))
                and p.project_id = project and p.kind <> 'floor' limit 2000) r
            where position(said in lower(r.name)) > 0
            order by r.kind <> 'building', lower(r.name) <> said, not starts_with(lower(r.name), said),
                length(r.name), r.name, r.id limit most;
        elsif what = 'meter' then return query
            select r.id from (select m.id, m.address from meter m where m.grams @> tokens
                and (buildings is null or exists (select from point p
                    join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
                    where (p.project_id, p.id) = (m.project_id, m.point_id)
                    and r.building_id = any (buildings)))
                and m.project_id = project and m.removed_at is null limit 2000) r
            where position(said in lower(r.address)) > 0
            order by lower(r.address) <> said, r.address, r.id limit most;
        elsif what = 'customer' then return query
            select h.id from (select c.id, lower(h.name) as name, h.phone from personal h
                join customer c on (c.project_id, c.personal_id) = (h.project_id, h.id)
                where h.grams @> tokens and h.project_id = project
                and (buildings is null or exists (select from agreement g
                    join agreement_point ap on (ap.project_id, ap.agreement_id) = (g.project_id, g.id)
                    join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
                    join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
                    where (g.project_id, g.customer_id) = (c.project_id, c.id) and ap.valid_to is null
                    and r.building_id = any (buildings))) limit 2000) h
            where h.phone = said or (said ~ '^[0-9]{4}$' and right(h.phone, 4) = said)
                or (said ~ '^[+]?[0-9]{7,}$' and starts_with(h.phone, said))
                or position(' ' || said || ' ' in ' ' || h.name || ' ') > 0
                or (ascii(said) >= 11904 and starts_with(h.name, said))
            order by h.name is distinct from said and h.phone is distinct from said, h.id limit most;
        end if;
    end $$"""
FOUND = "find_called(text, bigint, text[], text, bigint[], integer)"

# The rows of an import name people: they lie beside the task until it ends, and no longer. As the
# maintenance role: the owner is bound by the policies too.
ROWS_MOVED = (
    """insert into task_file (project_id, task_id, part, name, media_type, content)
        select project_id, id, 'input', 'rows.json', 'application/json',
            convert_to((input -> 'rows')::text, 'UTF8') from task
        where kind = 'import' and state in ('waiting', 'queued', 'running') and input ? 'rows'""",
    "update task set input = input - 'rows' where kind = 'import'",
)

# Written once, kept for ever.
SCOPED = ("recharge_step", "receipt_print", "drift", "purse_report")


def upgrade() -> None:
    """Add what is new, then put scope and rights over the tables as in the first schema."""
    for statement in (
        *LISTS, *CODES, *BOOKING, *REFERENCES, *RECHARGE, *SETTINGS, REPORT, *DRIFT, *RECEIPT, FIND,
    ):  # fmt: skip
        op.execute(statement)
    op.execute("drop function called_so(text, bigint, text[], text, integer)")
    op.execute(f"revoke execute on function {FOUND} from public")
    op.execute(f"grant execute on function {FOUND} to meterhouse_app")
    op.execute(f"alter function {FOUND} owner to meterhouse_maintenance")
    op.execute("set local role meterhouse_maintenance")
    for statement in ROWS_MOVED:
        op.execute(statement)
    op.execute("set local role meterhouse_owner")
    tables = ", ".join(SCOPED)
    op.execute(f"grant all on {tables} to meterhouse_maintenance")
    op.execute(f"grant select, insert on {tables} to meterhouse_app")
    for table in SCOPED:
        op.execute(
            f"create trigger keep before update or delete or truncate on {table}"
            " execute function refuse_change()"
        )
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy scope on {table} using (project_id = any ((select scope_ids())::bigint[]))"
        )
