"""What people look at, read in sets: the room monitor, a room, its history, lists of devices.

Owns the SELECTs behind screens and exports. Must never write, nor know how a value is shown.
Every query is scoped by `project_id` (row-level security stands beneath it), and every list has a
limit and an order that only the columns named here can ask for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from meterhouse.store.db import Connection

LIST_MAX: Final = 1_000

# One row a point in use: where it is, who pays, what is left, what the meter last said.
_POINT: Final = """
    with drawn as (
        select p.account_id, sum(s.accrued_nano)::bigint as accrued_nano
        from point p join point_state s on s.project_id = p.project_id and s.point_id = p.id
        where p.project_id = $1 group by p.account_id),
    offline as (
        select distinct meter_id from alarm
        where project_id = $1 and kind = 'meter_offline' and closed_at is null)
    select p.id as point_id, r.id as room_id, r.name as room, r.area_dm2,
        case when f.kind = 'floor' then f.name else '' end as floor,
        coalesce(b.id, f.id, r.id) as building_id, coalesce(b.name, f.name, r.name) as building,
        p.commodity, p.keeper, p.override, p.tariff_id, t.name as tariff,
        p.account_id, a.agreement_id, g.kind as agreement_kind, c.name as customer,
        m.id as meter_id, m.address, m.model, m.multiplier, m.gateway_id, w.name as gateway,
        s.read_at, s.good_at, s.good_0_milli, s.good_1_milli, s.good_2_milli, s.good_3_milli,
        s.good_4_milli, s.relay, s.keep_power, s.power_w, s.warning_level, s.block_milli,
        coalesce(a.credit_minor - a.debit_minor, 0)
            + coalesce(x.credit_minor - x.debit_minor, 0) as balance_minor,
        coalesce(a.pending_debit_minor, 0) + coalesce(x.pending_debit_minor, 0) as pending_minor,
        coalesce(d.accrued_nano, 0) as accrued_nano, a.floor_minor,
        o.meter_id is not null as is_offline, j.currency_exponent, j.reading_interval_s
    from point p
    join project j on j.id = p.project_id
    join place r on r.project_id = p.project_id and r.id = p.place_id
    left join place f on f.project_id = r.project_id and f.id = r.parent_id
    left join place b on b.project_id = f.project_id and b.id = f.parent_id
    left join account a on a.project_id = p.project_id and a.id = p.account_id
    left join account x on x.project_id = p.project_id and x.id = p.common_account_id
    left join agreement g on g.project_id = a.project_id and g.id = a.agreement_id
    left join customer c on c.project_id = g.project_id and c.id = g.customer_id
    left join tariff t on t.project_id = p.project_id and t.id = p.tariff_id
    left join meter m on m.project_id = p.project_id and m.point_id = p.id and m.removed_at is null
    left join gateway w on w.project_id = m.project_id and w.id = m.gateway_id
    left join point_state s on s.project_id = p.project_id and s.point_id = p.id
    left join drawn d on d.account_id = p.account_id
    left join offline o on o.meter_id = m.id
    where p.project_id = $1
"""
_BY_PLACE: Final = """ order by b.sort, building, building_id, f.sort, f.name, r.sort, r.name, p.id"""


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list: the rows and how many there are in all."""

    rows: list[Mapping[str, Any]]
    row_count: int
