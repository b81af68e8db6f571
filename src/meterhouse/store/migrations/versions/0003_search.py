"""The search box: what is called so, from an index, for one project at a time."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Row security keeps an index from answering whether an array contains another, because the operator
# is not known to be leakproof; this function asks past the policy, for one project of the scope
# alone, and answers ids: their rows are read under row security again. The best stand first: what is called just so, what begins so, the shortest.
# Of more than two thousand that fit, a text says too little to choose the best among them.
CALLED = """create function called_so(what text, project bigint, tokens text[], said text, most integer)
    returns setof bigint language plpgsql stable security definer rows 50
    set search_path = meterhouse, pg_temp as $$
    begin
        if not coalesce(project = any (scope_ids()), false) then return; end if;
        -- A letter stands in nearly every name: the first two thousand of the order are looked at.
        if octet_length(said) = 1 and what = 'place' then return query
            select r.id from (select p.id, p.name from place p where p.project_id = project
                and p.kind <> 'floor' order by p.name, p.id limit 2000) r
            where position(said in lower(r.name)) > 0
            order by lower(r.name) <> said, not starts_with(lower(r.name), said), length(r.name), r.name, r.id
            limit most;
            return;
        elsif octet_length(said) = 1 then return; end if;
        if what = 'place' then return query
            select r.id from (select p.id, p.kind, p.name from place p where p.grams @> tokens
                and p.project_id = project and p.kind <> 'floor' limit 2000) r
            where position(said in lower(r.name)) > 0
            order by r.kind <> 'building', lower(r.name) <> said, not starts_with(lower(r.name), said),
                length(r.name), r.name, r.id limit most;
        elsif what = 'meter' then return query
            select r.id from (select m.id, m.address from meter m where m.grams @> tokens
                and m.project_id = project and m.removed_at is null limit 2000) r
            where position(said in lower(r.address)) > 0
            order by lower(r.address) <> said, r.address, r.id limit most;
        elsif what = 'customer' then return query
            select c.id from (select h.id, h.name, h.phone from personal h where h.grams @> tokens
                and h.project_id = project limit 2000) h
            join customer c on (c.project_id, c.personal_id) = (project, h.id)
            where position(said in lower(h.name)) > 0 or position(said in h.phone) > 0
            order by c.id limit most;
        end if;
    end $$"""
INDEXES = (
    "create index customer_personal on customer (project_id, personal_id)",
    "create index agreement_customer on agreement (project_id, customer_id)",
)
NAME = "called_so(text, bigint, text[], text, integer)"


def upgrade() -> None:
    """Add the function for the application's role alone, and what it joins by."""
    for statement in (CALLED, *INDEXES):
        op.execute(statement)
    op.execute(f"revoke execute on function {NAME} from public")
    op.execute(f"grant execute on function {NAME} to meterhouse_app")
    op.execute(f"alter function {NAME} owner to meterhouse_maintenance")
