"""What people decide about readings, what waits for them, and energy estimated in silence."""

from alembic import op

revision = "0009"
down_revision = "0008"

DOUBT = (
    # What was judged doubtful once; a later judgement may find that it is not.
    """create table doubt (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        point_id bigint not null,
        meter_id bigint not null,
        register_epoch integer not null,
        read_at timestamptz not null,
        verdict smallint not null,
        is_doubtful boolean not null default true,
        noted_at timestamptz not null,
        primary key (project_id, id),
        unique (project_id, meter_id, register_epoch, read_at),
        foreign key (project_id, point_id) references point (project_id, id))""",
    "create index doubt_time on doubt (project_id, read_at, id) where is_doubtful",
    "create index doubt_point on doubt (project_id, point_id, read_at) where is_doubtful",
    # The last number of an instant holds. Registers are those it should show, once corrected.
    """create table decision (
        project_id bigint not null references project (id),
        meter_id bigint not null,
        register_epoch integer not null,
        read_at timestamptz not null,
        number integer not null check (number > 0),
        decided smallint not null check (decided between 1 and 4),
        registers_milli bigint[] check (cardinality(registers_milli) = 5),
        used_milli bigint not null default 0 check (used_milli >= 0),
        reason text not null,
        actor_id bigint references person (id),
        decided_at timestamptz not null,
        primary key (project_id, meter_id, register_epoch, read_at, number),
        check ((decided = 3) = (registers_milli is not null)),
        check (decided = 2 or used_milli = 0))""",
)

# An estimate is no reading: the chain never sees it. Where its blocks stood at its end is kept, so
# that the next one goes on from there.
ESTIMATE = (
    """create table estimate (
        project_id bigint not null references project (id),
        point_id bigint not null,
        read_at timestamptz not null,
        version integer not null,
        meter_id bigint not null,
        register_epoch integer not null,
        started_at timestamptz not null,
        total_milli bigint not null,
        block_milli bigint not null,
        block_period_at timestamptz not null,
        rule text not null,
        made_at timestamptz not null,
        primary key (project_id, point_id, read_at, version),
        foreign key (project_id, point_id) references point (project_id, id))""",
    # The latest instant ever estimated to, and what the estimates that stand were rated at.
    """alter table point_state
        add column estimated_at timestamptz not null default '1970-01-01T00:00:00Z',
        add column estimated_nano bigint not null default 0""",
)

SCOPED = ("doubt", "decision", "estimate")
KEPT = ("decision", "estimate")


def upgrade() -> None:
    """Add what is new, then put scope and rights over the tables as in the first schema."""
    for statement in (*DOUBT, *ESTIMATE):
        op.execute(statement)
    op.execute(f"grant all on {', '.join(SCOPED)} to meterhouse_maintenance")
    op.execute(f"grant select, insert on {', '.join(SCOPED)} to meterhouse_app")
    op.execute("grant update on doubt to meterhouse_app")
    for table in SCOPED:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy scope on {table} using (project_id = any ((select scope_ids())::bigint[]))"
        )
    for table in KEPT:
        op.execute(
            f"create trigger keep before update or delete or truncate on {table}"
            " execute function refuse_change()"
        )
