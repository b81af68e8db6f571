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
    "alter table role add column needs_code boolean not null default false",
    # Group 0 stands for the platform: its rule holds wherever the role is granted.
    """create table code_rule (
        group_id bigint not null,
        role text not null check (role ~ '^[a-z][a-z0-9_]{1,40}$'),
        primary key (group_id, role))""",
    "create index code_rule_role on code_rule (role)",
    "grant all on code_rule to meterhouse_maintenance",
    "grant select, insert, delete on code_rule to meterhouse_app",
)

# Each booking of a point has a number. A charge carries that of the booking that will take it, and a
# booking keeps what stayed in the accrual, so that every coin can be explained for ever.
BOOKING = (
    "alter table point_state add column booking integer not null default 0",
    "alter table charge add column booking integer not null default 0",
    "alter table transfer add column booking integer, add column rest_nano bigint",
    # What changes of payer took out of the accrual below a coin: it went to the rounding account.
    "alter table point_state add column rounded_nano bigint not null default 0",
    # Its accounts are the project's, so this key says what theirs say already, a look-up a row.
    "alter table transfer drop constraint transfer_project_id_fkey",
    "create index transfer_recharge on transfer (project_id, recharge_id) where recharge_id is not null",
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
        add check ((kind = 'recharge') = (payment_id is not null)),
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
            'keep_power_off', 'tariff', 'setting', 'check'))""",
    # Whether whoever had the line last can seal orders for meters that ask for it; null: unheard.
    "alter table gateway_state add column seals boolean",
)

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

# Written once, kept for ever.
SCOPED = ("recharge_step", "receipt_print", "drift")


def upgrade() -> None:
    """Add what is new, then put scope and rights over the tables as in the first schema."""
    for statement in (*LISTS, *CODES, *BOOKING, *RECHARGE, *SETTINGS, *DRIFT, *RECEIPT):
        op.execute(statement)
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
