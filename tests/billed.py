"""A bill for whoever looks at one: planted beside a site's other rows, with an earlier version."""

from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np

from meterhouse.rating.bill import bill
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import parse
from meterhouse.store import bills, readings
from meterhouse.store.bills import NewBill
from meterhouse.units import from_us, to_us
from small_site import FLAT, NOW, Site

MINIMUM = FLAT | {
    "versions": [
        FLAT["versions"][0] | {"prices_micro": {"flat": [500_000]}, "minimum_micro": 30_000_000}
    ]
}
CHARGED_NANO = 6_000_000_000


async def plant_bill(site: Site, room: str) -> int:
    """A month's bill of a room with a minimum, in force in its second version; answers its number.

    What it adds accrues, as if the platform had made it.
    """
    point_id = site.rooms[room].point_id
    begin, end = NOW - timedelta(days=45), NOW - timedelta(days=35)
    load = Load(*(np.array([one]) for one in (to_us(begin), to_us(end), 12_000)))
    (said,) = bill(parse(MINIMUM), "Asia/Shanghai", load).bills
    new = NewBill(
        begin, 1, end, from_us(said.period_from_us), from_us(said.period_to_us), 0, begin, 0,
        12_000, CHARGED_NANO, said.total_minor, said.total_minor * 10**7 - CHARGED_NANO, 0, begin,
        0, asdict(said) | {"counts": []}, 0, 0,
    )  # fmt: skip
    earlier = replace(
        new, charged_nano=new.charged_nano - 10**9, amount_nano=new.amount_nano + 10**9
    )
    async with site.db.transaction([site.project_id]) as connection:
        point = await connection.fetchrow(
            """select p.account_id, p.tariff_id, s.booking from point p join point_state s
               on (s.project_id, s.point_id) = (p.project_id, p.id) where p.id = $1""",
            point_id,
        )  # fmt: skip
        made = [
            replace(one, version=version, **point) for version, one in enumerate((earlier, new), 1)
        ]
        await bills.insert(connection, site.project_id, point_id, made, NOW)
        await readings.add_accrual(
            connection, site.project_id, point_id, new.amount_nano, new.amount_nano
        )
        found: int = await connection.fetchval(
            "select max(id) from bill where point_id = $1", point_id
        )
    return found
