"""What lies in a building says so itself: places by their building, tasks by those they touch."""

from alembic import op

revision = "0004"
down_revision = "0003"

# A task may look no further than whoever asked for it; null is the whole project, and so is every
# task from before.
TASKS = ("alter table task add column building_ids bigint[]",)

# Which building a place lies in follows from the place above it; what stands at the top is its own.
BUILDINGS = (
    "alter table place add column building_id bigint",
    """create function find_building() returns trigger language plpgsql as $$
        begin
            new.building_id := case when new.parent_id is null then new.id else
                (select above.building_id from place above
                 where (above.project_id, above.id) = (new.project_id, new.parent_id)) end;
            return new;
        end $$""",
    """create function carry_along() returns trigger language plpgsql as $$
        begin
            update place set building_id = new.building_id
            where project_id = new.project_id and parent_id = new.id;
            return null;
        end $$""",
)
# As the maintenance role: the owner is bound by the policies too.
FILLED = """with recursive tree as (
        select project_id, id, id as building_id from place where parent_id is null
        union all
        select p.project_id, p.id, t.building_id from place p
        join tree t on (p.project_id, p.parent_id) = (t.project_id, t.id))
    update place p set building_id = t.building_id from tree t
    where (p.project_id, p.id) = (t.project_id, t.id)"""
KEPT = (
    "alter table place alter column building_id set not null",
    """alter table place add constraint place_building_check
        check ((parent_id is null) = (building_id = id))""",
    "create index place_building on place (project_id, building_id)",
    """create trigger find_building before insert or update of parent_id on place
        for each row execute function find_building()""",
    """create trigger carry_along after update of parent_id, building_id on place
        for each row when (old.building_id <> new.building_id) execute function carry_along()""",
)
SEEN = (
    """create or replace function seen_place(project bigint, place bigint) returns boolean
        language sql stable parallel safe as $$
        select building_ids() is null or coalesce((select r.building_id = any (building_ids())
            from place r where r.project_id = project and r.id = place), false) $$""",
    """create or replace function seen_points(project bigint) returns setof bigint
        language sql stable parallel safe as $$
        select p.id from place r join point p on (p.project_id, p.place_id) = (r.project_id, r.id)
        where r.project_id = project and r.building_id = any (building_ids()) $$""",
    """create or replace function seen_point(project bigint, point bigint) returns boolean
        language sql stable parallel safe as $$
        select building_ids() is null or coalesce((select r.building_id = any (building_ids())
            from point p join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
            where p.project_id = project and p.id = point), false) $$""",
)


def upgrade() -> None:
    """Add the columns, fill them for what stands, then keep and ask them."""
    for statement in (*TASKS, *BUILDINGS):
        op.execute(statement)
    op.execute("set local role meterhouse_maintenance")
    op.execute(FILLED)
    op.execute("set local role meterhouse_owner")
    for statement in (*KEPT, *SEEN):
        op.execute(statement)
