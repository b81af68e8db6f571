"""What is charged of a time whose day is closed, kept until the next day that is closed holds it."""

from alembic import op

revision = "0016"
down_revision = "0015"

# Up to when charges were, or are being, counted into a day, and after when that day's time begins.
# Whoever writes charges of that time afterwards notes what they add to the energy counted:
# `after_at` then says of which day that is closed last they are, and is -infinity for earlier ones.
ENERGY = (
    """create table energy_mark (
        project_id bigint primary key references project (id),
        after_at timestamptz not null default '-infinity',
        until_at timestamptz not null default '-infinity')""",
    """create table energy_difference (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        commodity text not null,
        after_at timestamptz not null,
        energy_milli bigint not null,
        amount_nano bigint not null,
        primary key (project_id, id))""",
    "create index energy_difference_after on energy_difference (project_id, after_at)",
    "alter table day_close add column last_difference_id bigint not null default 0",
)
# What the days closed so far lack, or hold too much, the next one makes up for.
KNOWN = (
    """insert into energy_mark (project_id, after_at, until_at)
        select project_id, max(until_at), max(until_at) from day_close group by 1""",
    """insert into energy_difference (project_id, commodity, after_at, energy_milli, amount_nano)
        select project_id, commodity, '-infinity', sum(energy_milli), sum(amount_nano) from (
            select c.project_id, p.commodity, c.energy_milli, c.amount_nano
            from (select distinct on (x.project_id, x.point_id, x.ended_at) x.*
                from charge x join energy_mark m on m.project_id = x.project_id
                    and x.ended_at <= m.until_at
                order by x.project_id, x.point_id, x.ended_at, x.version desc) c
            join point p on (p.project_id, p.id) = (c.project_id, c.point_id)
            union all
            select d.project_id, e.commodity, -e.energy_milli, -e.amount_nano
            from day_close d, jsonb_to_recordset(d.totals->'energy')
                as e (commodity text, energy_milli int8, amount_nano int8)) x
        group by 1, 2 having sum(energy_milli) <> 0 or sum(amount_nano) <> 0""",
)
SCOPED = ("energy_mark", "energy_difference")


def upgrade() -> None:
    """Add the tables with their scope, and note what closed days do not hold."""
    for statement in ENERGY:
        op.execute(statement)
    op.execute(f"grant all on {', '.join(SCOPED)} to meterhouse_maintenance")
    op.execute(f"grant select, insert on {', '.join(SCOPED)} to meterhouse_app")
    op.execute("grant update on energy_mark to meterhouse_app")
    for table in SCOPED:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy scope on {table} using (project_id = any ((select scope_ids())::bigint[]))"
        )
    op.execute(
        "create trigger keep before update or delete or truncate on energy_difference"
        " execute function refuse_change()"
    )
    op.execute("set local role meterhouse_maintenance")
    for statement in KNOWN:
        op.execute(statement)
    op.execute("set local role meterhouse_owner")
