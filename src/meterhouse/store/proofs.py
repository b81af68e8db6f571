"""The proofs: what must be true of every row of the books, checked over the whole database.

Owns the questions `meterhouse verify` asks. Works as the maintenance role, because a proof that
sees only what a policy shows proves nothing. Each question counts the rows that contradict it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meterhouse.store import audit
from meterhouse.store.bookings import OWED
from meterhouse.store.db import PLATFORM, Address, maintenance

# One current charge an interval: the latest version of (point, end).
_CHARGES = """(select distinct on (project_id, point_id, ended_at) * from charge
    order by project_id, point_id, ended_at, version desc)"""

# What a register said at an instant, or should have said where somebody corrected it.
_TOTALS = """(select r.project_id, r.meter_id, r.register_epoch, r.read_at,
        coalesce(c.registers_milli[1], r.total_milli) as total_milli
    from reading r left join (
        select distinct on (project_id, meter_id, register_epoch, read_at) * from decision
        order by project_id, meter_id, register_epoch, read_at, number desc) c
        using (project_id, meter_id, register_epoch, read_at))"""

QUESTIONS: dict[str, str] = {
    "every account's sums equal its transfers": """
        select count(*) from (
            select a.project_id, a.id, a.debit_minor, a.credit_minor,
                coalesce(d.total, 0) as debits, coalesce(c.total, 0) as credits
            from account a
            left join (select project_id, debit_account_id as id, sum(amount_minor) as total
                from transfer where state = 'posted' group by 1, 2) d using (project_id, id)
            left join (select project_id, credit_account_id as id, sum(amount_minor) as total
                from transfer where state = 'posted' group by 1, 2) c using (project_id, id)) x
        where debit_minor <> debits or credit_minor <> credits""",
    "debits equal credits in every project": """
        select count(*) from (select project_id from account group by project_id, unit
            having sum(debit_minor) <> sum(credit_minor)) x""",
    "every payment has exactly one transfer of its amount": """
        select count(*) from payment p where (select count(*) from transfer t
            where t.project_id = p.project_id and t.payment_id = p.id
            and t.amount_minor = p.amount_minor and t.state = 'posted') <> 1""",
    "a reversal undoes one sale or fee: once, whole, between the accounts it went between": """
        select count(*) from payment r left join payment p
            on (p.project_id, p.id) = (r.project_id, r.of_payment_id)
        where r.kind = 'reversal' and (coalesce(p.kind, '') not in ('recharge', 'fee')
            or (r.account_id, r.amount_minor, r.channel) is distinct from
                (p.account_id, p.amount_minor, p.channel)
            or exists (select from payment o where o.project_id = r.project_id and o.id <> r.id
                and o.kind = 'reversal' and o.of_payment_id = r.of_payment_id))""",
    "a fee is earned out of a purse or over the counter, and its reversal goes the way back": """
        select count(*) from payment y join transfer t
            on (t.project_id, t.payment_id) = (y.project_id, y.id)
        join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
        join account c on (c.project_id, c.id) = (t.project_id, t.credit_account_id)
        left join payment f on (f.project_id, f.id) = (y.project_id, y.of_payment_id)
        where (y.kind = 'fee' and (c.kind, d.kind, y.reason <> '') is distinct from
                ('fee', case y.channel when 'purse' then 'purse' else 'cash' end, true))
            or (y.kind = 'fee' and y.of_payment_id is not null and
                (f.kind, f.channel, f.agreement_id, f.created_at, f.of_payment_id is null)
                is distinct from ('fee', 'purse', y.agreement_id, y.created_at, true))
            or (y.kind = 'reversal' and f.kind = 'fee' and (d.kind, c.kind) is distinct from
                ('fee', case y.channel when 'purse' then 'purse' else 'cash' end))""",
    "opening credit is taken back once, whole, out of the purse it went into": """
        select count(*) from payment r left join payment p
            on (p.project_id, p.id) = (r.project_id, r.of_payment_id)
        where r.kind like 'opening%' and r.of_payment_id is not null
            and (p.kind is distinct from r.kind or p.of_payment_id is not null
            or (r.account_id, r.amount_minor) is distinct from (p.account_id, p.amount_minor)
            or exists (select from payment o where o.project_id = r.project_id and o.id <> r.id
                and o.kind = r.kind and o.of_payment_id = r.of_payment_id))""",
    "what comes from before these books stands against the opening balance": """
        select count(*) from payment y join transfer t
            on (t.project_id, t.payment_id) = (y.project_id, y.id)
        join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
        join account c on (c.project_id, c.id) = (t.project_id, t.credit_account_id)
        where y.kind like 'opening%' and d.kind || ' ' || c.kind is distinct from
            case when y.kind = 'opening_deposit' and y.of_payment_id is null then 'opening deposit'
                when y.kind = 'opening_deposit' then 'deposit opening'
                when (y.kind = 'opening') = (y.of_payment_id is null) then 'opening purse'
                else 'purse opening' end""",
    "no more is paid back out of a purse than was paid into it, channel by channel": """
        select count(*) from (select project_id from payment
            where kind in ('recharge', 'fee', 'refund', 'reversal')
            group by project_id, account_id, channel, payee_id
            having sum(case when kind in ('recharge', 'fee') then amount_minor
                else -amount_minor end) < 0) x""",
    "a deposit is given back at most once, and whole": """
        select count(*) from (
            select d.project_id, d.id from payment d join payment r
                on (r.project_id, r.of_payment_id) = (d.project_id, d.id)
                and r.kind = 'deposit_refund'
            group by d.project_id, d.id, d.amount_minor, d.kind
            having sum(r.amount_minor) > d.amount_minor
                or d.kind not in ('deposit', 'opening_deposit')) x""",
    "what was rated equals the charges in force": f"""
        select count(*) from point_state s left join (
            select project_id, point_id, sum(amount_nano) as total from {_CHARGES} c
            group by 1, 2) c using (project_id, point_id)
        where s.rated_nano <> coalesce(c.total, 0)""",
    "booked plus accrued equals rated, less what is owed to nobody": f"""
        select count(*) from point_state s join project p on p.id = s.project_id
        join point q on (q.project_id, q.id) = (s.project_id, s.point_id)
        left join (select t.project_id, t.point_id,
                sum(t.amount_minor * case a.kind when 'revenue' then -1 else 1 end) as total
            from transfer t join account a
                on (a.project_id, a.id) = (t.project_id, t.debit_account_id)
            where t.kind = 'booking' group by 1, 2) b
            on (b.project_id, b.point_id) = (s.project_id, s.point_id)
        where {OWED} <> s.accrued_nano + s.rounded_nano
            + coalesce(b.total, 0) * (10 ^ (9 - p.currency_exponent))::int8""",
    "what was used while another kept the money is owed to nobody": f"""
        select count(*) from point_state s
        join point q on (q.project_id, q.id) = (s.project_id, s.point_id)
        join (select project_id, point_id, count(*) > 1 as changed from point_payer
            group by 1, 2 having bool_and(keeper is not null)) h
            on (h.project_id, h.point_id) = (s.project_id, s.point_id)
        left join lateral (select sum(c.amount_nano) as total from (select distinct on (ended_at) *
                from charge where (project_id, point_id) = (s.project_id, s.point_id)
                order by ended_at, version desc) c
            where 'platform' = (select y.keeper from point_payer y
                where (y.project_id, y.point_id) = (c.project_id, c.point_id)
                and y.since_at <= c.started_at order by y.since_at desc limit 1)) k on h.changed
        where {OWED} <> case when h.changed then coalesce(k.total, 0)
            when q.keeper = 'platform' then s.rated_nano else 0 end""",
    "nothing accrues where the platform does not keep the money": """
        select count(*) from point_state s join point q
            on (q.project_id, q.id) = (s.project_id, s.point_id)
        where q.keeper <> 'platform' and s.accrued_nano <> 0""",
    "charged intervals of a chain neither overlap nor leave a gap": f"""
        select count(*) from (
            select started_at, lag(ended_at) over (
                partition by project_id, point_id, meter_id, register_epoch order by ended_at)
                as before
            from {_CHARGES} c where started_at < ended_at) x
        where before is not null and before <> started_at""",
    "energy is conserved: charged equals last good minus first, rollovers included": f"""
        select count(*) from point_state s
        join meter m on (m.project_id, m.id) = (s.project_id, s.meter_id)
        join (select c.project_id, c.point_id, c.meter_id, c.register_epoch,
                sum(c.energy_milli) filter (where c.verdict <> 12) as total,
                min(c.started_at) as first_at,
                count(*) filter (where c.verdict = 2) as rollovers,
                coalesce(sum(case when c.verdict = 12 then n.total_milli - o.total_milli end), 0)
                    as skipped
            from {_CHARGES} c
            left join {_TOTALS} n on c.verdict = 12
                and (n.project_id, n.meter_id, n.register_epoch, n.read_at)
                = (c.project_id, c.meter_id, c.register_epoch, c.ended_at)
            left join {_TOTALS} o on c.verdict = 12
                and (o.project_id, o.meter_id, o.register_epoch, o.read_at)
                = (c.project_id, c.meter_id, c.register_epoch, c.started_at)
            where c.started_at < c.ended_at and c.quality <> 2 group by 1, 2, 3, 4) e
            on (e.project_id, e.point_id, e.meter_id, e.register_epoch)
                = (s.project_id, s.point_id, s.meter_id, s.register_epoch)
        join {_TOTALS} r on (r.project_id, r.meter_id, r.register_epoch, r.read_at)
            = (e.project_id, e.meter_id, e.register_epoch, e.first_at)
        where coalesce(e.total, 0) <> (s.good_0_milli - r.total_milli - e.skipped
            + e.rollovers * m.modulus_milli) * m.multiplier""",
    "between two tracks is billed what a person said, and nothing without one": f"""
        select count(*) from {_CHARGES} c where c.started_at < c.ended_at and c.verdict = 12
        and c.energy_milli is distinct from (select d.used_milli from decision d
            where (d.project_id, d.meter_id, d.register_epoch, d.read_at)
                = (c.project_id, c.meter_id, c.register_epoch, c.ended_at) and d.decided = 2
            and not exists (select from decision n where (n.project_id, n.meter_id,
                n.register_epoch, n.read_at) = (d.project_id, d.meter_id, d.register_epoch,
                d.read_at) and n.number > d.number))""",
    "estimated energy stands only after the last good reading, and is what it was rated at": f"""
        select count(*) from point_state s left join (
            select c.project_id, c.point_id, sum(c.amount_nano) as total,
                min(c.started_at) as first_at
            from {_CHARGES} c join point_state x on (x.project_id, x.point_id, x.meter_id,
                x.register_epoch) = (c.project_id, c.point_id, c.meter_id, c.register_epoch)
            where c.started_at < c.ended_at and c.quality = 2 group by 1, 2) c
            using (project_id, point_id)
        where s.estimated_nano <> coalesce(c.total, 0) or c.first_at < s.good_at""",
    "the energy of closed days, and what came of them since, is what is charged": f"""
        with closed as (select distinct on (project_id) * from day_close
            order by project_id, day desc)
        select count(*) from (select project_id, commodity from (
            select c.project_id, p.commodity, c.energy_milli, c.amount_nano from closed d
            join {_CHARGES} c on c.project_id = d.project_id and c.ended_at <= d.until_at
            join point p on (p.project_id, p.id) = (c.project_id, c.point_id)
            union all select d.project_id, e.commodity, -e.energy_milli, -e.amount_nano
            from day_close d, jsonb_to_recordset(d.totals->'energy')
                as e (commodity text, energy_milli int8, amount_nano int8)
            union all select n.project_id, n.commodity, -n.energy_milli, -n.amount_nano
            from closed d join energy_difference n on n.project_id = d.project_id
                and n.id > d.last_difference_id and n.after_at < d.until_at) x
            group by 1, 2 having sum(energy_milli) <> 0 or sum(amount_nano) <> 0) y""",
    "every charge ends and begins at a stored reading": f"""
        select count(*) from {_CHARGES} c where c.started_at < c.ended_at and (
            not exists (select from reading r where r.project_id = c.project_id
                and r.meter_id = c.meter_id and r.register_epoch = c.register_epoch
                and r.read_at = c.ended_at)
            or not exists (select from reading r where r.project_id = c.project_id
                and r.meter_id = c.meter_id and r.register_epoch = c.register_epoch
                and r.read_at = c.started_at))
        and c.quality <> 2""",
    "every sent command has an actor or a rule, and an expiry after it was sent": """
        select count(*) from command where sent_at is not null
        and (expires_at <= sent_at or (reason = 'person' and actor_id is null and note = ''))""",
    "every customer and person leads to one who is known, or was erased": """
        select (select count(*) from customer c where not exists (select from personal_masked h
                where (h.project_id, h.id) = (c.project_id, c.personal_id)))
            + (select count(*) from person p where not exists (select from personal_masked h
                where (h.project_id, h.id) = (0, p.personal_id)))""",
    "every account of a closed agreement is at zero": """
        select count(*) from settlement t join account a
            on (a.project_id, a.agreement_id) = (t.project_id, t.agreement_id)
        where a.credit_minor <> a.debit_minor
            or a.pending_debit_minor <> 0 or a.pending_credit_minor <> 0""",
    "money in flight is what live recharges carry, household by household": """
        select count(*) from (
            select project_id, agreement_id, sum(credit_minor - debit_minor) as held
            from account where kind = 'in_flight' group by 1, 2) a
        full join (select project_id, agreement_id, sum(amount_minor) as carried from recharge
            where kind = 'recharge' and state in ('reserved', 'sent', 'unknown', 'halted')
            group by 1, 2) r using (project_id, agreement_id)
        where coalesce(held, 0) <> coalesce(carried, 0)""",
    "money on meters is what their purses were last known to hold, household by household": """
        select count(*) from (
            select project_id, agreement_id, sum(credit_minor - debit_minor) as held
            from account where kind = 'on_meter' group by 1, 2) a
        full join (select w.project_id, a.agreement_id,
                sum(w.credit_minor - w.overdraft_minor) as known
            from wallet w join meter m on (m.project_id, m.id) = (w.project_id, w.meter_id)
            left join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
            left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
            where w.credit_minor <> w.overdraft_minor group by 1, 2) w
            on (w.project_id, w.agreement_id) = (a.project_id, a.agreement_id)
        where coalesce(held, 0) <> coalesce(known, 0)""",
    "what moved by a meter's report is what two looks into its purse differ by": """
        select count(*) from purse_report r join transfer t
            on (t.project_id, t.id) = (r.project_id, r.transfer_id)
        where t.amount_minor <> case t.kind when 'deducted' then r.known_minor - r.said_minor
            when 'adopted' then abs(r.said_minor - r.known_minor)
            when 'taken_over' then abs(r.said_minor) end
        or t.kind not in ('deducted', 'adopted', 'taken_over')""",
    "a recharge left the purse once, and reached the meter or came back once, or is live": """
        select count(*) from recharge r, lateral (
            select count(*) filter (where t.kind = 'reserve') as reserved,
                count(*) filter (where t.kind in ('apply', 'take_back')) as applied,
                count(*) filter (where t.kind = 'return') as returned,
                count(*) filter (where t.amount_minor <> r.amount_minor) as odd
            from transfer t where (t.project_id, t.recharge_id) = (r.project_id, r.id)) t
        where t.odd <> 0 or t.reserved <> (r.kind = 'recharge')::int
            or t.applied <> (r.state in ('applied', 'verified') and r.kind <> 'open')::int
            or t.returned <> (r.state = 'returned' and r.kind = 'recharge')::int""",
    "a meter takes one amount under one number of one purse": """
        select count(*) from (select project_id, meter_id, wallet_epoch, number from recharge
            where state in ('applied', 'verified') group by 1, 2, 3, 4
            having count(*) > 1) x""",
    "what was sent was written down before": """
        select count(*) from recharge
        where (send_count > 0) <> (frame is not null) or (send_count > 0) <> (sent_at is not null)
            or (state in ('sent', 'unknown', 'applied', 'verified') and send_count = 0
                and kind <> 'open')""",
    "no two agreements pay for a point at once": """
        select count(*) from agreement_point a join agreement_point b
            on a.project_id = b.project_id and a.point_id = b.point_id
            and a.valid_from < b.valid_from
        where coalesce(a.valid_to, 'infinity') > b.valid_from""",
    "a point has as many persons as the household that pays for it, and their number is dated": """
        select count(*) from point p
            left join agreement_point a on (a.project_id, a.point_id) = (p.project_id, p.id)
                and a.valid_to is null
            left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
            left join lateral (select n.persons from point_persons n
                where (n.project_id, n.point_id) = (p.project_id, p.id)
                order by n.from_at desc limit 1) n on true
        where p.persons <> coalesce(g.persons, 1) or p.persons <> coalesce(n.persons, 1)""",
    "the receipts of every series are numbered from 1 without a gap": """
        select count(*) from receipt_series s full join (
            select project_id, payee_id, count(*) as total, max(number) as last
            from receipt group by 1, 2) r using (project_id, payee_id)
        where s.next_number - 1 is distinct from coalesce(r.total, 0)
        or coalesce(r.last, 0) <> coalesce(r.total, 0)""",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """One statement about the whole database, and how many rows contradict it."""

    says: str
    contradicting: int

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts it."""
        return self.contradicting == 0


async def prove(address: Address) -> list[Proof]:
    """Ask every question over all projects, in one snapshot."""
    async with maintenance(address) as connection:
        await connection.execute("set statement_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return [
                Proof(says, await connection.fetchval(question))
                for says, question in QUESTIONS.items()
            ]


async def prove_audit(address: Address, heads: Sequence[str] = ()) -> list[audit.Chain]:
    """Compute every seal anew, for the platform and each project that ever had an entry.

    Args:
        address: the database.
        heads: heads of chains noted earlier; each must still be part of one.
    """
    async with maintenance(address) as connection:
        await connection.execute("set statement_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = await connection.fetch(
                """select $1::int8 as id union select id from project
                   union select project_id from audit_entry
                   union select project_id from audit_seal order by 1""",
                PLATFORM,
            )
            return [await audit.check(connection, row["id"], heads) for row in rows]
