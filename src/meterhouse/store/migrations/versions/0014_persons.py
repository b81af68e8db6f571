"""How many persons a household has, and had before."""

from alembic import op

revision = "0014"
down_revision = "0013"

# What is used is charged by the limits for the persons of its time, whenever its reading arrives. A
# point says how many its payer has, and since when; the trigger keeps who was there before. Where
# nothing was ever said it is one, now and then.
PERSONS = (
    """alter table agreement
        add column persons integer not null default 1 check (persons between 1 and 100)""",
    """alter table point
        add column persons integer not null default 1 check (persons between 1 and 100),
        add column persons_at timestamptz not null default '1970-01-01 00:00:00+00'""",
    """create table point_persons (
        project_id bigint not null,
        point_id bigint not null,
        from_at timestamptz not null,
        persons integer not null,
        primary key (project_id, point_id, from_at),
        foreign key (project_id, point_id) references point on delete cascade)""",
    "grant all on point_persons to meterhouse_maintenance",
    "grant select, insert, update on point_persons to meterhouse_app",
    "alter table point_persons enable row level security",
    "alter table point_persons force row level security",
    """create policy scope on point_persons
        using (project_id = any ((select scope_ids())::bigint[]))""",
    # At the same instant the last one holds.
    """create function keep_persons() returns trigger language plpgsql as $$
        begin
            insert into meterhouse.point_persons (project_id, point_id, from_at, persons)
            values (new.project_id, new.id, new.persons_at, new.persons)
            on conflict (project_id, point_id, from_at) do update set persons = excluded.persons;
            return null;
        end $$""",
    """create trigger keep_persons after update on point for each row
        when (new.persons <> old.persons) execute function keep_persons()""",
)


def upgrade() -> None:
    """Add the columns, the table with its scope, and what keeps it."""
    for statement in PERSONS:
        op.execute(statement)
