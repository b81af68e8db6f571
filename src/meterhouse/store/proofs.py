"""The proofs: what must be true of every row of the books, checked over the whole database.

Owns the questions `meterhouse verify` asks. Works as the maintenance role, because a proof that
sees only what a policy shows proves nothing. Each question counts the rows that contradict it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meterhouse.store import audit
from meterhouse.store.db import PLATFORM, Address, maintenance

# One current charge an interval: the latest version of (point, end).
_CHARGES = """(select distinct on (project_id, point_id, ended_at) * from charge
    order by project_id, point_id, ended_at, version desc)"""

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
    "what was rated equals the charges in force": f"""
        select count(*) from point_state s left join (
            select project_id, point_id, sum(amount_nano) as total from {_CHARGES} c
            group by 1, 2) c using (project_id, point_id)
        where s.rated_nano <> coalesce(c.total, 0)""",
    "booked plus accrued equals rated wherever the platform keeps the money": """
        select count(*) from point_state s join project p on p.id = s.project_id
        join point q on (q.project_id, q.id) = (s.project_id, s.point_id)
            and q.keeper = 'platform'
        left join (select t.project_id, t.point_id,
                sum(t.amount_minor * case a.kind when 'purse' then 1 else -1 end) as total
            from transfer t join account a
                on (a.project_id, a.id) = (t.project_id, t.debit_account_id)
            where t.kind = 'booking' group by 1, 2) b
            on (b.project_id, b.point_id) = (s.project_id, s.point_id)
        where s.rated_nano <> s.accrued_nano
            + coalesce(b.total, 0) * (10 ^ (9 - p.currency_exponent))::int8""",
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
                sum(c.energy_milli) as total, min(c.started_at) as first_at,
                count(*) filter (where c.verdict = 2) as rollovers
            from {_CHARGES} c where c.started_at < c.ended_at group by 1, 2, 3, 4) e
            on (e.project_id, e.point_id, e.meter_id, e.register_epoch)
                = (s.project_id, s.point_id, s.meter_id, s.register_epoch)
        join reading r on (r.project_id, r.meter_id, r.register_epoch, r.read_at)
            = (e.project_id, e.meter_id, e.register_epoch, e.first_at)
        where e.total <> (s.good_0_milli - r.total_milli + e.rollovers * m.modulus_milli)
            * m.multiplier""",
    "every charge ends and begins at a stored reading": f"""
        select count(*) from {_CHARGES} c where c.started_at < c.ended_at and (
            not exists (select from reading r where r.project_id = c.project_id
                and r.meter_id = c.meter_id and r.register_epoch = c.register_epoch
                and r.read_at = c.ended_at)
            or not exists (select from reading r where r.project_id = c.project_id
                and r.meter_id = c.meter_id and r.register_epoch = c.register_epoch
                and r.read_at = c.started_at))""",
    "every sent command has an actor or a rule, and an expiry after it was sent": """
        select count(*) from command where sent_at is not null
        and (expires_at <= sent_at or (reason = 'person' and actor_id is null and note = ''))""",
    "every customer and person leads to one who is known, or was erased": """
        select (select count(*) from customer c where not exists (select from personal_masked h
                where (h.project_id, h.id) = (c.project_id, c.personal_id)))
            + (select count(*) from person p where not exists (select from personal_masked h
                where (h.project_id, h.id) = (0, p.personal_id)))""",
    "no two agreements pay for a point at once": """
        select count(*) from agreement_point a join agreement_point b
            on a.project_id = b.project_id and a.point_id = b.point_id
            and a.valid_from < b.valid_from
        where coalesce(a.valid_to, 'infinity') > b.valid_from""",
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
