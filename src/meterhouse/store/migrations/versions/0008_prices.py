"""Since when a point has its tariff, and which it had before."""

from alembic import op

revision = "0008"
down_revision = "0007"

# What is used is charged by the tariff of its time, whenever its reading arrives. A point says since
# when it has its tariff; the trigger keeps which followed which, whoever gave it.
PRICES = (
    """create table point_tariff (
        project_id bigint not null,
        point_id bigint not null,
        from_at timestamptz not null,
        tariff_id bigint,
        primary key (project_id, point_id, from_at),
        foreign key (project_id, point_id) references point on delete cascade,
        foreign key (project_id, tariff_id) references tariff)""",
    "alter table point add column tariff_at timestamptz not null default '1970-01-01 00:00:00+00'",
    # On a table's rows the trigger's own statement follows: at the same instant the last one holds.
    """create function keep_tariff() returns trigger language plpgsql as $$
        begin
            insert into meterhouse.point_tariff (project_id, point_id, from_at, tariff_id)
            values (new.project_id, new.id, new.tariff_at, new.tariff_id)
            on conflict (project_id, point_id, from_at) do update set tariff_id = excluded.tariff_id;
            return null;
        end $$""",
)
# What was charged says by which tariff, so that those of before are known, each since its first
# charge; as the maintenance role, because the owner is bound by the policies too.
KNOWN = (
    """insert into point_tariff (project_id, point_id, from_at, tariff_id)
        select project_id, point_id, case when row_number() over w = 1
            then timestamptz '1970-01-01 00:00:00+00' else started_at end, tariff_id
        from (select project_id, point_id, tariff_id, started_at, lag(tariff_id) over v as before
            from charge where version = 1 and tariff_id > 0 window v as (partition by project_id, point_id
                order by ended_at)) as c
        where before is distinct from tariff_id
        window w as (partition by project_id, point_id order by started_at)
        on conflict do nothing""",
    # One that was given since: from the last reading on, as it has been until now.
    """insert into point_tariff (project_id, point_id, from_at, tariff_id)
        select p.project_id, p.id, case when l.tariff_id is null
            then timestamptz '1970-01-01 00:00:00+00' else s.good_at end, p.tariff_id
        from point p
        left join lateral (select t.tariff_id from point_tariff t
            where (t.project_id, t.point_id) = (p.project_id, p.id)
            order by t.from_at desc limit 1) l on true
        left join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
        where p.tariff_id is not null and p.tariff_id is distinct from l.tariff_id
        on conflict (project_id, point_id, from_at) do update set tariff_id = excluded.tariff_id""",
    """update point p set tariff_at = t.from_at from (select project_id, point_id,
            max(from_at) as from_at from point_tariff group by 1, 2) t
        where (t.project_id, t.point_id) = (p.project_id, p.id)""",
)
TRIGGERS = (
    """create trigger keep_first after insert on point for each row
        when (new.tariff_id is not null) execute function keep_tariff()""",
    """create trigger keep_next after update on point for each row
        when (new.tariff_id is distinct from old.tariff_id) execute function keep_tariff()""",
)


def upgrade() -> None:
    """Add the table with its scope, fill it from what was charged, and keep it from here on."""
    for statement in PRICES:
        op.execute(statement)
    op.execute("grant all on point_tariff to meterhouse_maintenance")
    op.execute("grant select, insert, update on point_tariff to meterhouse_app")
    op.execute("alter table point_tariff enable row level security")
    op.execute("alter table point_tariff force row level security")
    op.execute(
        "create policy scope on point_tariff"
        " using (project_id = any ((select scope_ids())::bigint[]))"
    )
    op.execute("set local role meterhouse_maintenance")
    for statement in KNOWN:
        op.execute(statement)
    op.execute("set local role meterhouse_owner")
    for statement in TRIGGERS:
        op.execute(statement)
