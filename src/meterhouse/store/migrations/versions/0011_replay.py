"""A price that was wrong is corrected from a past instant; rating anew without touching the books."""

from alembic import op

revision = "0011"
down_revision = "0010"

# A correction publishes further versions. The first of them says from when on it takes the place of
# those before it, which stay readable; `edition` counts the corrections of a tariff. A charge says by
# which edition it was rated, so that it stays explained for ever.
EDITIONS = (
    """alter table tariff_version
        add column edition integer not null default 0,
        add column corrects_from timestamptz,
        add column reason text not null default '',
        add column second_id bigint references person (id),
        add column replay_id bigint,
        add check (corrects_from is null or (edition > 0 and corrects_from <= effective_from))""",
    "alter table charge add column edition smallint not null default 0",
)

# What a replay found, a row for each household that a point had in its span; written once.
REPLAY = (
    """create table replay (
        project_id bigint not null references project (id),
        id bigint not null,
        tariff_id bigint,
        since_at timestamptz not null,
        until_at timestamptz not null,
        asked jsonb not null,
        found jsonb not null,
        corrects boolean not null,
        made_at timestamptz not null,
        actor_id bigint references person (id),
        primary key (project_id, id),
        foreign key (project_id, id) references task (project_id, id))""",
    """create table replay_row (
        project_id bigint not null,
        replay_id bigint not null,
        point_id bigint not null,
        account_id bigint not null,
        interval_count integer not null,
        energy_milli bigint not null,
        charged_nano bigint not null,
        would_nano bigint not null,
        primary key (project_id, replay_id, point_id, account_id),
        foreign key (project_id, replay_id) references replay (project_id, id))""",
)
SCOPED = ("replay", "replay_row")


def upgrade() -> None:
    """Add what is new, then put scope and rights over the tables as in the first schema."""
    for statement in (*EDITIONS, *REPLAY):
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
