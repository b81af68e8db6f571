"""A site by program: a project, a tariff, gateways, and a room for each meter.

Owns an example to copy and fill in. The gateways and meters here are those of
`meterhouse sim --meters 30 --gateways 2`.
"""

import asyncio
import sys
from datetime import UTC, datetime

from meterhouse.app import Plan, open_database
from meterhouse.config import load
from meterhouse.flows import onboard
from meterhouse.sim.plan import plan_town
from meterhouse.store.db import Database

TARIFF = {
    "name": "Flat",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {"effective_from": "2020-01-01T00:00:00+08:00", "prices_micro": {"flat": [600_000]}}
    ],
}


async def set_up(db: Database, at: datetime) -> int:
    """Make the site; its id is the answer."""
    group_id = await onboard.open_group(db, "My company")
    project_id = await onboard.open_project(db, onboard.NewProject("My site", group_id), at)
    tariff_id = await onboard.publish_tariff(db, project_id, TARIFF, None, at)
    building_id = await onboard.add_place(db, project_id, None, "building", "Building 1")
    floor_id = await onboard.add_place(db, project_id, building_id, "floor", "Floor 1")
    for gateway in plan_town(2007, 30, 2).gateways:
        gateway_id = await onboard.add_gateway(
            db, project_id, gateway.registration, gateway.registration
        )
        rooms = [
            onboard.NewRoom(
                floor_id=floor_id,
                name=address[-3:],
                sort=number,
                area_dm2=None,
                tariff_id=tariff_id,
                model="DDSY1352-NK",
                address=address,
                gateway_id=gateway_id,
                opened_at=at,
                customer_name="A household",
            )
            for number, address in enumerate(gateway.meters)
        ]
        await onboard.add_rooms(db, project_id, rooms)
    return project_id


async def main(data: str) -> None:
    """Set the site up in the database that the settings name, beside a running platform."""
    async with open_database(load({"data": data}), Plan()) as db:
        await set_up(db, datetime.now(UTC))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
