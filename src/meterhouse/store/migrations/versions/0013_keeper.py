"""Who paid for a point and who kept its money, since when; since when a meter serves its point."""

from alembic import op

revision = "0013"
down_revision = "0012"

# An interval is of whoever paid, and of who kept the money, when it began; whenever its reading
# comes. The point says who does now and since when; the trigger keeps who followed whom, whoever
# changed it. What is below a coin when a time ends stays with it: should more be known of that time
# later, it goes on from there; `correction` is the last number that such a posting had. No keeper:
# nobody wrote down who it was; the next one known counts.
PAYERS = (
    """create table point_payer (
        project_id bigint not null,
        point_id bigint not null,
        since_at timestamptz not null,
        account_id bigint not null,
        keeper text check (keeper in ('meter', 'platform', 'external', 'none')),
        rest_nano bigint not null default 0,
        correction integer not null default 0,
        primary key (project_id, point_id, since_at),
        foreign key (project_id, point_id) references point on delete cascade,
        foreign key (project_id, account_id) references account)""",
    # On a table's rows the trigger's own statement follows: at the same instant the last one holds.
    """create function keep_payer() returns trigger language plpgsql as $$
        begin
            insert into meterhouse.point_payer (project_id, point_id, since_at, account_id, keeper)
            values (new.project_id, new.id, new.payer_at, new.account_id, new.keeper)
            on conflict (project_id, point_id, since_at) do update
                set account_id = excluded.account_id, keeper = excluded.keeper;
            return null;
        end $$""",
    "alter table meter add column serves_at timestamptz not null default '1970-01-01 00:00:00+00'",
)
# As the maintenance role, because the owner is bound by the policies too.
KNOWN = (
    # Who paid first has paid since ever.
    """update point p set payer_at = '1970-01-01 00:00:00+00' where former_account_id is null
        and 2 > (select count(*) from agreement_point a
            where (a.project_id, a.point_id) = (p.project_id, p.id))""",
    # Of those before it is known since when their households paid, and which purses these have.
    """insert into point_payer (project_id, point_id, since_at, account_id, keeper)
        select p.project_id, p.id, case when row_number() over w = 1
            then timestamptz '1970-01-01 00:00:00+00' else a.valid_from end, u.id, p.keeper
        from agreement_point a
        join point p on (p.project_id, p.id) = (a.project_id, a.point_id)
        join lateral (select u.id from account u where u.project_id = a.project_id
            and u.agreement_id = a.agreement_id and u.kind = 'purse' and u.payee_id is null
            and u.compartment in ('common', case p.commodity when 'cooling' then 'heat'
                else p.commodity end)
            order by u.compartment = 'common' limit 1) u on true
        where a.valid_to is not null and a.valid_from < p.payer_at
        window w as (partition by a.project_id, a.point_id order by a.valid_from)""",
    """insert into point_payer (project_id, point_id, since_at, account_id, keeper)
        select project_id, id, payer_at, account_id, keeper from point
        where account_id is not null
        on conflict (project_id, point_id, since_at) do update
            set account_id = excluded.account_id, keeper = excluded.keeper""",
    # Where something was once set aside, another kept the money for a time, nobody knows when.
    """update point_payer q set keeper = null from point_state s
        where (s.project_id, s.point_id) = (q.project_id, q.point_id) and s.aside_nano <> 0""",
    """update point p set payer_at = greatest(p.payer_at, s.good_at) from point_state s
        where (s.project_id, s.point_id) = (p.project_id, p.id) and s.aside_nano <> 0""",
    """insert into point_payer (project_id, point_id, since_at, account_id, keeper)
        select p.project_id, p.id, p.payer_at, p.account_id, p.keeper from point p
        join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
        where s.aside_nano <> 0 and p.account_id is not null
        on conflict (project_id, point_id, since_at) do update set keeper = excluded.keeper""",
    # What a meter that came for another read before that is none of its point's.
    """update meter m set serves_at = e.exchanged_at from exchange e
        where (e.project_id, e.new_meter_id) = (m.project_id, m.id)""",
)
AFTER = (
    "alter table point drop column former_account_id",
    """create trigger keep_payer_first after insert on point for each row
        when (new.account_id is not null) execute function keep_payer()""",
    """create trigger keep_payer_next after update on point for each row
        when (new.account_id is not null and (new.account_id, new.keeper, new.payer_at)
            is distinct from (old.account_id, old.keeper, old.payer_at))
        execute function keep_payer()""",
)


def upgrade() -> None:
    """Add the table with its scope, fill it from what is known, and keep it from here on."""
    for statement in PAYERS:
        op.execute(statement)
    op.execute("grant all on point_payer to meterhouse_maintenance")
    op.execute("grant select, insert, update on point_payer to meterhouse_app")
    op.execute("alter table point_payer enable row level security")
    op.execute("alter table point_payer force row level security")
    op.execute(
        "create policy scope on point_payer"
        " using (project_id = any ((select scope_ids())::bigint[]))"
    )
    op.execute("set local role meterhouse_maintenance")
    for statement in KNOWN:
        op.execute(statement)
    op.execute("set local role meterhouse_owner")
    for statement in AFTER:
        op.execute(statement)
