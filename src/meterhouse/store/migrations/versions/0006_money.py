"""The second river: orders of every kind, recharges on their way to a meter, shifts, paper, days."""

from alembic import op

revision = "0006"
down_revision = "0004"

# What a payer did; one row and one posted transfer of its amount, for every kind.
PAYMENT = (
    """alter table payment
        add column kind text not null default 'recharge' check (kind in ('recharge', 'refund', 'reversal',
            'move', 'deposit', 'deposit_refund', 'fee', 'opening', 'settlement')),
        add column of_payment_id bigint,
        add column point_id bigint,
        add column payee_id bigint,
        add column shift_id bigint,
        add column second_id bigint references person (id),
        add column tender_minor bigint check (tender_minor >= amount_minor),
        add column energy_milli bigint,
        add column price_micro bigint,
        add foreign key (project_id, of_payment_id) references payment (project_id, id),
        add foreign key (project_id, point_id) references point (project_id, id),
        add foreign key (project_id, payee_id) references payee (project_id, id),
        add check ((kind in ('reversal', 'deposit_refund')) <= (of_payment_id is not null))""",
    # A sale is reversed once.
    """create unique index payment_reversed on payment (project_id, of_payment_id)
        where kind = 'reversal'""",
    "create index payment_time on payment (project_id, created_at, id)",
    "create index payment_agreement on payment (project_id, agreement_id, id)",
    "create index payment_shift on payment (project_id, shift_id) where shift_id is not null",
    # What was there when the books began stands against an account of its own (期初).
    "alter table account drop constraint account_kind_check",
    """alter table account add constraint account_kind_check check (kind in ('purse', 'deposit', 'on_meter',
        'in_flight', 'cash', 'receivable', 'revenue', 'fee', 'tax', 'subsidy', 'rounding', 'suspense',
        'opening'))""",
    "alter table transfer add column recharge_id bigint",
    "create index transfer_payment on transfer (project_id, payment_id) where payment_id is not null",
    "create index transfer_time on transfer (project_id, created_at, id)",
    "create index transfer_point on transfer (project_id, point_id, id) where point_id is not null",
)

# Money on its way into a meter. At most one is live per meter and wallet epoch, and a number (充值次数)
# belongs to one amount for as long as a frame of it may still be accepted.
RECHARGE = (
    """create table recharge (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        payment_id bigint not null,
        point_id bigint not null,
        meter_id bigint not null,
        gateway_id bigint,
        wallet_epoch integer not null,
        number integer not null check (number between 0 and 65535),
        order_number text not null,
        amount_minor bigint not null check (amount_minor > 0),
        before_minor bigint,
        state text not null check (state in ('reserved', 'sent', 'unknown', 'applied', 'verified', 'halted',
            'returned')),
        why text not null default '',
        frame bytea,
        send_count integer not null default 0,
        look_count integer not null default 0,
        sent_at timestamptz,
        dead_at timestamptz,
        next_at timestamptz,
        fenced_at timestamptz,
        applied_at timestamptz,
        ended_at timestamptz,
        actor_id bigint references person (id),
        decided_by bigint references person (id),
        created_at timestamptz not null,
        primary key (project_id, id),
        unique (project_id, payment_id),
        unique (project_id, order_number),
        check ((state in ('verified', 'returned')) = (ended_at is not null)),
        foreign key (project_id, payment_id) references payment (project_id, id),
        foreign key (project_id, point_id) references point (project_id, id),
        foreign key (project_id, meter_id) references meter (project_id, id)) with (fillfactor = 60)""",
    """create unique index recharge_live on recharge (project_id, meter_id, wallet_epoch)
        where state in ('reserved', 'sent', 'unknown', 'halted')""",
    """create unique index recharge_number on recharge (project_id, meter_id, wallet_epoch, number)
        where state <> 'returned'""",
    """create index recharge_due on recharge (project_id, gateway_id, next_at)
        where state in ('reserved', 'sent', 'unknown', 'applied')""",
    """alter table transfer add constraint transfer_recharge foreign key (project_id, recharge_id)
        references recharge (project_id, id)""",
    # What a meter's own purse was last seen to hold; the number is its counter of purchases.
    """create table wallet (
        project_id bigint not null references project (id),
        meter_id bigint not null,
        wallet_epoch integer not null,
        opened_at timestamptz,
        number integer not null default 0 check (number between 0 and 65535),
        credit_minor bigint not null default 0,
        overdraft_minor bigint not null default 0,
        applied_minor bigint not null default 0,
        consumed_minor bigint not null default 0,
        read_at timestamptz,
        frozen_at timestamptz,
        primary key (project_id, meter_id, wallet_epoch),
        foreign key (project_id, meter_id) references meter (project_id, id)) with (fillfactor = 60)""",
)

# A household made ready and opened with one click (预开户), and a meter given for another (换表).
PREMISES = (
    """create table opening (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        place_id bigint not null,
        customer_id bigint not null,
        terms jsonb not null,
        state text not null default 'prepared' check (state in ('prepared', 'opened', 'withdrawn')),
        agreement_id bigint,
        actor_id bigint references person (id),
        created_at timestamptz not null,
        ended_at timestamptz,
        primary key (project_id, id),
        check ((state = 'opened') = (agreement_id is not null)),
        foreign key (project_id, place_id) references place (project_id, id),
        foreign key (project_id, customer_id) references customer (project_id, id),
        foreign key (project_id, agreement_id) references agreement (project_id, id))""",
    """create unique index opening_prepared on opening (project_id, place_id) where state = 'prepared'""",
    """create table exchange (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        point_id bigint not null,
        old_meter_id bigint not null,
        new_meter_id bigint not null,
        exchanged_at timestamptz not null,
        closing_milli bigint[] not null,
        closing_source text not null check (closing_source in ('wire', 'hand')),
        opening_milli bigint[] not null,
        moved_minor bigint not null default 0,
        reason text not null,
        actor_id bigint references person (id),
        created_at timestamptz not null,
        primary key (project_id, id),
        unique (project_id, old_meter_id),
        foreign key (project_id, point_id) references point (project_id, id),
        foreign key (project_id, old_meter_id) references meter (project_id, id),
        foreign key (project_id, new_meter_id) references meter (project_id, id))""",
    "create index exchange_point on exchange (project_id, point_id)",
    # How an agreement ended: its last registers and what was paid out; nothing of it changes later.
    """create table settlement (
        project_id bigint not null references project (id),
        agreement_id bigint not null,
        settled_at timestamptz not null,
        registers jsonb not null,
        refunded_minor bigint not null,
        written_off_minor bigint not null default 0,
        reason text not null,
        actor_id bigint references person (id),
        created_at timestamptz not null,
        primary key (project_id, agreement_id),
        foreign key (project_id, agreement_id) references agreement (project_id, id))""",
)

# A cashier's turn at the desk (班次), numbered paper (票据), and the day that finance closed (日结).
DESK = (
    """create table shift (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        cashier_id bigint not null references person (id),
        float_minor bigint not null check (float_minor >= 0),
        opened_at timestamptz not null,
        closed_at timestamptz,
        expected_minor bigint,
        counted_minor bigint check (counted_minor >= 0),
        handed_to_id bigint references person (id),
        note text not null default '',
        primary key (project_id, id),
        check ((closed_at is null) = (counted_minor is null)),
        check ((closed_at is null) = (expected_minor is null)))""",
    """create unique index shift_open on shift (project_id, cashier_id) where closed_at is null""",
    "create index shift_time on shift (project_id, opened_at)",
    """alter table payment add constraint payment_shift_key foreign key (project_id, shift_id)
        references shift (project_id, id)""",
    """create table receipt_series (
        project_id bigint not null references project (id),
        payee_id bigint not null default 0,
        prefix text not null default '',
        next_number bigint not null default 1 check (next_number > 0),
        primary key (project_id, payee_id))""",
    """create table receipt (
        project_id bigint not null references project (id),
        id bigint generated always as identity,
        payee_id bigint not null default 0,
        number bigint not null check (number > 0),
        label text not null,
        payment_id bigint not null,
        facts jsonb not null,
        issued_at timestamptz not null,
        issued_by bigint references person (id),
        print_count integer not null default 0,
        voided_at timestamptz,
        voided_by bigint references person (id),
        void_reason text not null default '',
        primary key (project_id, id),
        unique (project_id, payee_id, number),
        check ((voided_at is null) = (void_reason = '')),
        foreign key (project_id, payment_id) references payment (project_id, id))""",
    """create unique index receipt_payment on receipt (project_id, payment_id) where voided_at is null""",
    """create table day_close (
        project_id bigint not null references project (id),
        day date not null,
        until_at timestamptz not null,
        totals jsonb not null,
        proofs jsonb not null,
        is_proved boolean not null,
        last_transfer_id bigint not null,
        closed_at timestamptz not null,
        closed_by bigint references person (id),
        primary key (project_id, day))""",
)

SCOPED = (
    "recharge", "wallet", "opening", "exchange", "settlement", "shift", "receipt_series", "receipt",
    "day_close",
)  # fmt: skip
APPEND_ONLY = ("exchange", "settlement", "day_close")


def upgrade() -> None:
    """Add the tables, then put scope and rights over them as in the first schema."""
    for statement in (*PAYMENT, *RECHARGE, *PREMISES, *DESK):
        op.execute(statement)
    tables = ", ".join(SCOPED)
    op.execute(f"grant all on {tables} to meterhouse_maintenance")
    op.execute(f"grant select, insert, update on {tables} to meterhouse_app")
    for table in APPEND_ONLY:
        op.execute(f"revoke update on {table} from meterhouse_app")
        op.execute(
            f"create trigger keep before update or delete or truncate on {table}"
            " execute function refuse_change()"
        )
    for table in SCOPED:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy scope on {table} using (project_id = any ((select scope_ids())::bigint[]))"
        )
    # Books that stand already get the account that new ones begin with.
    op.execute("set local role meterhouse_maintenance")
    op.execute(
        """insert into account (project_id, kind, unit, floor_minor)
            select id, 'opening', currency, null from project"""
    )
    op.execute("set local role meterhouse_owner")
