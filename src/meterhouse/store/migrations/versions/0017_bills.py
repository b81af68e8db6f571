"""What is known only when a billing period has ended: bills of points, and how far they reach."""

from alembic import op

revision = "0017"
down_revision = "0016"

# A stretch is what one account used under one tariff in one billing period. Its bill is never
# edited: one that changes gets a further version, one that is no more a version of nothing.
BILL = (
    """create table bill (
        project_id bigint not null,
        id bigint generated always as identity,
        point_id bigint not null,
        from_at timestamptz not null,
        version integer not null,
        to_at timestamptz not null,
        period_from_at timestamptz not null,
        period_to_at timestamptz not null,
        account_id bigint not null,
        payer_at timestamptz not null,
        tariff_id bigint not null,
        energy_milli bigint not null,
        charged_nano bigint not null,
        total_minor bigint not null,
        amount_nano bigint not null,
        after_milli bigint not null,
        after_period_at timestamptz not null,
        after_kept_milli bigint not null,
        said jsonb not null,
        booking integer not null,
        edition smallint not null,
        made_at timestamptz not null,
        primary key (project_id, point_id, from_at, version),
        unique (project_id, id),
        foreign key (project_id, point_id) references point (project_id, id),
        foreign key (project_id, account_id) references account (project_id, id),
        foreign key (project_id, tariff_id) references tariff (project_id, id))""",
    "create index bill_account on bill (project_id, account_id, from_at)",
)
# Up to when a point is billed, when there may be more to bill, and since when something changed.
BILLING = """create table billing (
    project_id bigint not null,
    point_id bigint not null,
    billed_until timestamptz not null,
    next_at timestamptz not null,
    touched_from timestamptz,
    primary key (project_id, point_id),
    foreign key (project_id, point_id) references point (project_id, id))"""


def upgrade() -> None:
    """Add the tables, with scope and rights as in the first schema."""
    for statement in (*BILL, BILLING):
        op.execute(statement)
    op.execute("grant all on bill, billing to meterhouse_maintenance")
    op.execute("grant select, insert on bill to meterhouse_app")
    op.execute("grant select, insert, update on billing to meterhouse_app")
    op.execute(
        "create trigger keep before update or delete or truncate on bill"
        " execute function refuse_change()"
    )
    for table in ("bill", "billing"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy scope on {table} using (project_id = any ((select scope_ids())::bigint[]))"
        )
