"""Recharges on their way to a meter, what was learnt on the way, and meters' own purses, as rows.

Owns the SQL of recharge, recharge_step and wallet. Must never decide what becomes of one. Locks are
taken in the order meter (by the flow), recharge, wallet, accounts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse.errors import Conflict
from meterhouse.model import RechargeState
from meterhouse.store.db import Connection
from meterhouse.store.queue import WAKE_CHANNEL

# What a flow must know to judge one: the order, its meter as it hangs now, and its purse's model.
_FACTS = """select r.*, m.address, m.model, m.removed_at, m.gateway_id, m.max_power_w, m.multiplier,
        m.wallet_epoch as epoch_now, (select p.tariff_id from point p
            where (p.project_id, p.id) = (r.project_id, r.point_id)) as tariff_id
    from recharge r join meter m on (m.project_id, m.id) = (r.project_id, r.meter_id)"""
_ON_THE_WAY = "state in ('reserved', 'sent', 'unknown')"
_LIVE = "state in ('reserved', 'sent', 'unknown', 'halted')"


class RechargeLive(Conflict):
    """{what}: {why}."""

    code = "recharge_live"


@dataclass(frozen=True, slots=True)
class NewRecharge:
    """An order for a meter's purse, not yet numbered by the database.

    `account_id` is the purse on the platform that the money comes from, and returns to;
    `payment_id` is the order it came in by, None where it lay in the purse; `is_whole`
    takes back what is found in the meter, whatever it is then.
    """

    kind: str
    payment_id: int | None
    agreement_id: int
    account_id: int
    point_id: int
    meter_id: int
    wallet_epoch: int
    number: int
    order_number: str
    amount_minor: int
    is_whole: bool = False


async def insert(
    connection: Connection, project_id: int, new: NewRecharge, actor_id: int | None, at: datetime
) -> int:
    """A reserved recharge, due at once. Raises `RechargeLive` beside another one of its meter."""
    made: int | None = await connection.fetchval(
        """insert into recharge (project_id, kind, payment_id, agreement_id, account_id, point_id,
               meter_id, wallet_epoch, number, order_number, amount_minor, state, next_at, actor_id,
               created_at, is_whole)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'reserved', $12, $13, $12, $14)
           on conflict (project_id, meter_id, wallet_epoch) where state in ('reserved', 'sent',
               'unknown', 'halted') do nothing returning id""",
        project_id, new.kind, new.payment_id, new.agreement_id, new.account_id, new.point_id,
        new.meter_id, new.wallet_epoch, new.number, new.order_number, new.amount_minor, at,
        actor_id, new.is_whole,
    )  # fmt: skip
    if made is None:
        raise RechargeLive(f"meter {new.meter_id}", "another recharge is on its way to it")
    return made


async def next_order(connection: Connection, project_id: int, meter_id: int) -> str:
    """An order number that no other order of this project has: meter, then a running number."""
    count: int = await connection.fetchval(
        "select count(*) from recharge where project_id = $1 and meter_id = $2",
        project_id, meter_id,
    )  # fmt: skip
    return f"{meter_id % 10**9:09d}{(count + 1) % 10**7:07d}"


async def wake(connection: Connection, project_id: int, gateway_id: int | None) -> None:
    """Tell a gateway's sender, once this is committed, that something is due."""
    if gateway_id is not None:
        await connection.execute(
            "select pg_notify($1, $2)", WAKE_CHANNEL, f"{project_id}:{gateway_id}"
        )


async def lock(connection: Connection, project_id: int, recharge_id: int) -> asyncpg.Record | None:
    """One recharge in sight with its meter, locked."""
    return await connection.fetchrow(
        f"""{_FACTS} where r.project_id = $1 and r.id = $2
        and seen_point(r.project_id, r.point_id) for update of r""",
        project_id, recharge_id,
    )  # fmt: skip


async def meter_of(connection: Connection, project_id: int, recharge_id: int) -> int | None:
    """The meter of a recharge in sight, which never changes."""
    found: int | None = await connection.fetchval(
        """select meter_id from recharge where project_id = $1 and id = $2
           and seen_point(project_id, point_id)""",
        project_id, recharge_id,
    )  # fmt: skip
    return found


async def next_due(
    connection: Connection, project_id: int, gateway_id: int, at: datetime
) -> asyncpg.Record | None:
    """Lock the recharge behind a gateway that has waited longest, if one is due."""
    return await connection.fetchrow(
        f"""{_FACTS} where r.project_id = $1 and m.gateway_id = $2 and r.{_ON_THE_WAY}
        and r.next_at <= $3 order by r.next_at limit 1 for update of r skip locked""",
        project_id, gateway_id, at,
    )  # fmt: skip


async def due_at(connection: Connection, project_id: int, gateway_id: int) -> datetime | None:
    """When the next of a gateway's recharges is to be looked at."""
    found: datetime | None = await connection.fetchval(
        f"""select min(r.next_at) from recharge r
        join meter m on (m.project_id, m.id) = (r.project_id, r.meter_id)
        where r.project_id = $1 and m.gateway_id = $2 and r.{_ON_THE_WAY}""",
        project_id, gateway_id,
    )  # fmt: skip
    return found


async def make_due(connection: Connection, project_id: int, gateway_id: int, at: datetime) -> None:
    """Let every recharge behind a gateway be looked at now: whoever was at it is gone."""
    await connection.execute(
        f"""update recharge r set next_at = $3 from meter m
        where r.project_id = $1 and (m.project_id, m.id) = (r.project_id, r.meter_id)
        and m.gateway_id = $2 and r.{_ON_THE_WAY} and r.next_at > $3""",
        project_id, gateway_id, at,
    )  # fmt: skip


async def homeless(connection: Connection, project_id: int) -> list[int]:
    """Recharges on their way to a meter that is gone, or whose purse began anew."""
    rows = await connection.fetch(
        f"""select r.id from recharge r
        join meter m on (m.project_id, m.id) = (r.project_id, r.meter_id)
        where r.project_id = $1 and r.{_ON_THE_WAY}
        and (m.removed_at is not null or m.wallet_epoch <> r.wallet_epoch)""",
        project_id,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def late(
    connection: Connection, project_id: int, created_before: datetime
) -> list[asyncpg.Record]:
    """Live recharges that are older than this and whose alarm is not open yet."""
    return await connection.fetch(
        f"""select r.id, r.point_id, r.meter_id, r.amount_minor from recharge r
        where r.project_id = $1 and r.{_ON_THE_WAY} and r.created_at < $2
        and not exists (select from alarm a where a.project_id = r.project_id
            and a.kind = 'recharge_late' and a.subject = 'recharge:' || r.id
            and a.closed_at is null)""",
        project_id, created_before,
    )  # fmt: skip


async def live_of_meter(
    connection: Connection, project_id: int, meter_id: int
) -> asyncpg.Record | None:
    """The recharge whose money is in flight to a meter, halted ones included."""
    return await connection.fetchrow(
        f"""select id, number, amount_minor, state, why from recharge
        where project_id = $1 and meter_id = $2 and {_LIVE} order by id limit 1""",
        project_id, meter_id,
    )  # fmt: skip


async def is_live(
    connection: Connection, project_id: int, meter_id: int, wallet_epoch: int
) -> bool:
    """Whether money is in flight to one purse of a meter, or halted before it."""
    return bool(
        await connection.fetchval(
            f"""select exists (select from recharge where project_id = $1 and meter_id = $2
            and wallet_epoch = $3 and {_LIVE})""",
            project_id, meter_id, wallet_epoch,
        )
    )  # fmt: skip


async def in_meters(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """What is known to be in these meters' present purses, and whether anything is on its way."""
    return await connection.fetch(
        f"""select m.id, m.address, m.model, coalesce(w.credit_minor - w.overdraft_minor, 0)
            as net_minor, exists (select from recharge r where (r.project_id, r.meter_id)
                = (m.project_id, m.id) and r.{_LIVE}) as is_live
        from meter m left join wallet w on (w.project_id, w.meter_id, w.wallet_epoch)
            = (m.project_id, m.id, m.wallet_epoch)
        where m.project_id = $1 and m.id = any($2::int8[]) order by m.id""",
        project_id, list(meter_ids),
    )  # fmt: skip


async def held(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """meter_id, net_minor, read_at of these meters that keep their point's money.

    Of those alone whose present purse was read, is in use, and has nothing on its way to it.
    """
    return await connection.fetch(
        f"""select m.id as meter_id, w.credit_minor - w.overdraft_minor as net_minor, w.read_at
        from meter m join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
            and p.keeper = 'meter'
        join wallet w on (w.project_id, w.meter_id, w.wallet_epoch)
            = (m.project_id, m.id, m.wallet_epoch) and w.read_at is not null and w.frozen_at is null
        where m.project_id = $1 and m.id = any($2::int8[]) and m.removed_at is null
        and not exists (select from recharge r where (r.project_id, r.meter_id)
            = (m.project_id, m.id) and r.{_LIVE})""",
        project_id, list(meter_ids),
    )  # fmt: skip


async def purse_of_meter(
    connection: Connection, project_id: int, meter_id: int
) -> asyncpg.Record | None:
    """What is known of the present purse of a meter in sight, with what is on its way; or None."""
    return await connection.fetchrow(
        f"""select m.id as meter_id, m.point_id, m.model, p.keeper, w.wallet_epoch, w.number,
            w.credit_minor - w.overdraft_minor as net_minor, w.hoarding_minor, w.customer_number,
            w.opened_at, w.read_at, w.frozen_at, r.id as live_id, r.state as live_state
        from meter m join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
        left join wallet w on (w.project_id, w.meter_id, w.wallet_epoch)
            = (m.project_id, m.id, m.wallet_epoch)
        left join recharge r on (r.project_id, r.meter_id, r.wallet_epoch)
            = (m.project_id, m.id, m.wallet_epoch) and r.{_LIVE}
        where m.project_id = $1 and m.id = $2 and seen_point(m.project_id, m.point_id)""",
        project_id, meter_id,
    )  # fmt: skip


async def live_of_meters(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> dict[int, asyncpg.Record]:
    """The live recharges of several meters' present purses, by meter."""
    rows = await connection.fetch(
        f"""select r.meter_id, r.id, r.number, r.state from recharge r
        join meter m on (m.project_id, m.id) = (r.project_id, r.meter_id)
            and m.wallet_epoch = r.wallet_epoch
        where r.project_id = $1 and r.meter_id = any($2::int8[]) and r.{_LIVE}""",
        project_id, list(meter_ids),
    )  # fmt: skip
    return {row["meter_id"]: row for row in rows}


_CHANGED = frozenset(
    {
        "number", "before_minor", "before_purchased_minor", "before_at", "state", "why", "refusal",
        "reason", "frame", "send_count", "look_count", "sent_at", "dead_at", "next_at",
        "fenced_at", "proved_at", "applied_at", "ended_at", "decided_by", "amount_minor",
    }
)  # fmt: skip


async def change(
    connection: Connection, project_id: int, recharge_id: int, changes: Mapping[str, Any]
) -> None:
    """Set columns of one recharge that its flow has locked."""
    assert set(changes) <= _CHANGED, changes
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(changes, 3))
    await connection.execute(
        f"update recharge set {sets} where project_id = $1 and id = $2",
        project_id, recharge_id, *changes.values(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What was learnt of a recharge, and what was done about it; `rule` is the table's line."""

    deed: str
    rule: str
    reply: str = ""
    said_count: int | None = None
    said_minor: int | None = None
    actor_id: int | None = None
    note: str = ""


async def add_step(
    connection: Connection, project_id: int, recharge_id: int, step: Step, at: datetime
) -> None:
    """Write down one step; steps are never changed."""
    await connection.execute(
        """insert into recharge_step (project_id, recharge_id, at, deed, rule, reply, said_count,
               said_minor, actor_id, note) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        project_id, recharge_id, at, step.deed, step.rule, step.reply, step.said_count,
        step.said_minor, step.actor_id, step.note,
    )  # fmt: skip


async def last_count(connection: Connection, project_id: int, recharge_id: int) -> int | None:
    """What the meter's counter read when it was last heard on behalf of a recharge."""
    found: int | None = await connection.fetchval(
        """select said_count from recharge_step where project_id = $1 and recharge_id = $2
           and said_count is not null order by id desc limit 1""",
        project_id, recharge_id,
    )  # fmt: skip
    return found


# ---- purses of meters


async def lock_wallet(
    connection: Connection, project_id: int, meter_id: int, wallet_epoch: int
) -> asyncpg.Record:
    """The purse of a meter's epoch, locked; made when it is not there yet."""
    await connection.execute(
        """insert into wallet (project_id, meter_id, wallet_epoch) values ($1, $2, $3)
           on conflict do nothing""",
        project_id, meter_id, wallet_epoch,
    )  # fmt: skip
    row = await connection.fetchrow(
        """select *, credit_minor - overdraft_minor as net_minor from wallet
           where project_id = $1 and meter_id = $2 and wallet_epoch = $3 for update""",
        project_id, meter_id, wallet_epoch,
    )  # fmt: skip
    assert row is not None
    return row


async def keepers(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """The meters among these that keep the money of their point, in order."""
    return await connection.fetch(
        """select m.id as meter_id, m.wallet_epoch, m.point_id, m.gateway_id, p.account_id,
               a.agreement_id, a.compartment
           from meter m join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           where m.project_id = $1 and m.id = any($2::int8[]) and m.removed_at is null
           and p.keeper = 'meter' order by m.id""",
        project_id, list(meter_ids),
    )  # fmt: skip


async def keepers_let_to_nobody(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """The meters at these points that keep money while only the house pays there: as `keepers`,
    with what is known to be in their present purse, since when, and whether anything is on its way.
    """
    return await connection.fetch(
        f"""select m.id as meter_id, m.wallet_epoch, m.point_id, a.id as account_id,
               a.agreement_id, a.compartment, w.read_at,
               coalesce(w.credit_minor - w.overdraft_minor, 0) as net_minor,
               exists (select from recharge r where (r.project_id, r.meter_id)
                   = (m.project_id, m.id) and r.{_LIVE}) as is_live
           from meter m join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
           left join wallet w on (w.project_id, w.meter_id, w.wallet_epoch)
               = (m.project_id, m.id, m.wallet_epoch)
           where m.project_id = $1 and p.id = any($2::int8[]) and m.removed_at is null
           and p.keeper = 'meter' and g.kind = 'house' order by m.id""",
        project_id, list(point_ids),
    )  # fmt: skip


async def payer_of(connection: Connection, project_id: int, point_id: int) -> asyncpg.Record | None:
    """A point in sight with its payer and the meter in service there: who may be recharged."""
    return await connection.fetchrow(
        """select p.id as point_id, p.keeper, p.account_id, a.agreement_id, a.compartment,
               m.id as meter_id, m.model, m.address, m.gateway_id, m.wallet_epoch, s.seals
           from point p left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           left join gateway_state s on (s.project_id, s.gateway_id) = (m.project_id, m.gateway_id)
           where p.project_id = $1 and p.id = $2 and seen_point(p.project_id, p.id)""",
        project_id, point_id,
    )  # fmt: skip


_KEPT = frozenset(
    {
        "opened_at", "number", "credit_minor", "overdraft_minor", "applied_minor",
        "consumed_minor", "hoarding_minor", "customer_number", "read_at", "frozen_at",
    }
)  # fmt: skip


async def set_wallet(
    connection: Connection, project_id: int, meter_id: int, wallet_epoch: int,
    changes: Mapping[str, Any],
) -> None:  # fmt: skip
    """Set columns of one purse that its flow has locked."""
    assert set(changes) <= _KEPT, changes
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(changes, 4))
    await connection.execute(
        f"""update wallet set {sets}
        where project_id = $1 and meter_id = $2 and wallet_epoch = $3""",
        project_id, meter_id, wallet_epoch, *changes.values(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """What a transfer between a meter's purse and the books rests on: two looks into the purse.

    `known_minor` stood there at `known_at` (None: nobody had looked), `said_minor` at `read_at`;
    both are credit less overdraft.
    """

    transfer_id: int
    meter_id: int
    wallet_epoch: int
    known_at: datetime | None
    known_minor: int
    read_at: datetime
    said_minor: int


async def insert_report(connection: Connection, project_id: int, new: Report) -> None:
    """Keep what a transfer rests on."""
    await connection.execute(
        """insert into purse_report (project_id, transfer_id, meter_id, wallet_epoch, known_at,
               known_minor, read_at, said_minor) values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        project_id, new.transfer_id, new.meter_id, new.wallet_epoch, new.known_at,
        new.known_minor, new.read_at, new.said_minor,
    )  # fmt: skip


async def begin_epoch(
    connection: Connection, project_id: int, meter_id: int, net: Mapping[str, int], at: datetime
) -> int:
    """Begin a new life of a meter's purse; answers its epoch.

    `net` is what it takes over, as credit_minor and overdraft_minor. Reports of before are not its.
    """
    epoch: int = await connection.fetchval(
        """update meter set wallet_epoch = wallet_epoch + 1 where project_id = $1 and id = $2
           returning wallet_epoch""",
        project_id, meter_id,
    )  # fmt: skip
    await connection.execute(
        """insert into wallet (project_id, meter_id, wallet_epoch, credit_minor, overdraft_minor,
               opened_at) values ($1, $2, $3, $4, $5, $6)""",
        project_id, meter_id, epoch, net["credit_minor"], net["overdraft_minor"], at,
    )  # fmt: skip
    return epoch


async def verify(
    connection: Connection, project_id: int, meter_id: int, wallet_epoch: int, number: int,
    at: datetime,
) -> None:  # fmt: skip
    """A reading agreed with every applied recharge of a purse up to this number."""
    await connection.execute(
        """update recharge set state = $6, ended_at = $5
           where project_id = $1 and meter_id = $2 and wallet_epoch = $3 and number <= $4
           and state = 'applied' and applied_at < $5""",
        project_id, meter_id, wallet_epoch, number, at, RechargeState.VERIFIED,
    )  # fmt: skip
