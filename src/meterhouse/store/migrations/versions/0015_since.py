"""A tariff that was wrong at a point is given since a past instant; what it replaced stays readable."""

from alembic import op

revision = "0015"
down_revision = "0014"

# One count of editions for all that changes the past: corrected prices, and tariffs given since
# earlier. A row that `replaces` takes the place of all that lay at or after it in editions before.
GIVEN = (
    """create table assignment (
        project_id bigint not null references project (id),
        edition integer not null check (edition > 0),
        tariff_id bigint not null,
        since_at timestamptz not null,
        reason text not null,
        made_at timestamptz not null,
        actor_id bigint references person (id),
        second_id bigint references person (id),
        replay_id bigint not null,
        point_count integer not null,
        primary key (project_id, edition),
        foreign key (project_id, tariff_id) references tariff)""",
    """alter table point_tariff
        add column edition integer not null default 0,
        add column replaces boolean not null default false,
        drop constraint point_tariff_pkey,
        add primary key (project_id, point_id, from_at, edition)""",
    "create index point_tariff_replaces on point_tariff (project_id, edition, point_id) where replaces",
    # Whoever gives a tariff does so in the edition of the day; within one the last word holds.
    """create or replace function keep_tariff() returns trigger language plpgsql as $$
        begin
            insert into meterhouse.point_tariff (project_id, point_id, from_at, tariff_id, edition)
            values (new.project_id, new.id, new.tariff_at, new.tariff_id, greatest(0,
                (select max(edition) from meterhouse.tariff_version v
                    where v.project_id = new.project_id),
                (select max(edition) from meterhouse.assignment a
                    where a.project_id = new.project_id)))
            on conflict (project_id, point_id, from_at, edition)
                do update set tariff_id = excluded.tariff_id;
            return null;
        end $$""",
)


def upgrade() -> None:
    """Add the table with its scope and rights as in the first schema, and what points keep."""
    for statement in GIVEN:
        op.execute(statement)
    op.execute("grant all on assignment to meterhouse_maintenance")
    op.execute("grant select, insert on assignment to meterhouse_app")
    op.execute(
        "create trigger keep before update or delete or truncate on assignment"
        " execute function refuse_change()"
    )
    op.execute("alter table assignment enable row level security")
    op.execute("alter table assignment force row level security")
    op.execute(
        "create policy scope on assignment using (project_id = any ((select scope_ids())::bigint[]))"
    )
