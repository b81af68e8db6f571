"""Addresses with real ids in them, for tests that walk over every route."""

import re

from meterhouse.store.db import maintenance
from meterhouse.web.acts import DRAWN
from meterhouse.web.api import v1
from small_site import Site

# What is posted because it is too long for an address, and changes nothing.
COMPUTED_PAGES = {
    "/projects/{project_id}/calculator",
    "/projects/{project_id}/calculator/explain",
    *(f"{act.page}/{part}" for act in DRAWN for part in ("fields", "preview", "file")),
}
COMPUTED_OPERATIONS = {
    f"{v1.PREFIX}/projects/{{project_id}}/calculate": {
        "published": "zhejiang-residential-tou",
        "rows": [
            {"start": "2026-02-05T21:30", "energy_wh": 160_000},
            {"start": "2026-02-05T22:30", "energy_wh": 150_000},
        ],
    },
}
"""The operations among them, each with what it may be sent."""

# Where the number of each name in an address comes from; `$1` is the first project.
ROWS = {
    "building_id": "select id from place where project_id = $1 and kind = 'building' order by id",
    "floor_id": "select id from place where project_id = $1 and kind = 'floor' order by id",
    "place_id": "select id from place where project_id = $1 and kind = 'building' order by id",
    "doubt_id": "select id from doubt where project_id = $1 order by id",
    "reading_id": """select (extract(epoch from max(g.read_at)) * 1000000)::int8 from reading g
        join meter m on (m.project_id, m.id) = (g.project_id, g.meter_id)
        join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
        join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
        where g.project_id = $1 and r.name = 'A101'""",
    "bill_id": "select id from bill where project_id = $1 order by id desc",
    "command_id": "select id from command where project_id = $1 order by id",
    "alarm_id": "select id from alarm where project_id = $1 order by id",
    "gateway_id": "select id from gateway where project_id = $1 order by id",
    "customer_id": "select id from customer where project_id = $1 order by id",
    "tariff_id": "select id from tariff where project_id = $1 order by id",
    "agreement_id": """select id from agreement
        where project_id = $1 and kind = 'tenant' order by id""",
    "shift_id": "select id from shift where project_id = $1 order by id",
    "payee_id": "select id from payee where project_id = $1 order by id",
    "recharge_id": "select id from recharge where project_id = $1 order by id",
    "receipt_id": "select id from receipt where project_id = $1 order by id",
    "transfer_id": "select id from transfer where project_id = $1 order by id",
    "day_id": "select to_char(day, 'YYYYMMDD')::int8 from day_close where project_id = $1",
    "payment_id": "select id from payment where project_id = $1 order by id",
    "copy_number": "select max(copy) from receipt_print where project_id = $1",
    "task_id": "select id from task where project_id = $1 order by id",
    "commissioning_id": "select id from commissioning where project_id = $1 order by id",
    "group_id": "select group_id from project where id = $1",
    "filter_id": "select id from saved_filter where project_id = $1 order by id",
    "person_id": "select id from person where login = 'li' and $1 > 0",
    "client_id": "select id from person where login = 'erp' and $1 > 0",
    "grant_id": """select g.id from role_grant g join person p on p.id = g.person_id
        where p.login = 'li' and $1 > 0 order by g.id""",
    "key_id": """select k.id from client_key k join person p on p.id = k.person_id
        where p.login = 'erp' and $1 > 0 order by k.id""",
    "session_id": "select max(id) from session where $1 > 0",
    "opening_id": "select id from opening where project_id = $1 order by id",
    "replay_id": "select id from replay where project_id = $1 order by id",
    "role_id": "select max(id) from role where $1 > 0",
}


async def ids_of(site: Site) -> dict[str, int | str]:
    """A real number of the first project for every name; 1 where there is no row yet."""
    room = site.rooms["A101"]
    found = {
        "project_id": site.project_id, "room_id": room.place_id, "point_id": room.point_id,
        "token": 1, "code": "internal",
        "meter_id": room.meter_id,
    }  # fmt: skip
    async with maintenance(site.db.address) as connection:
        for name, question in ROWS.items():
            found[name] = await connection.fetchval(question, site.project_id) or 1
    return found


def names_in(path: str) -> list[str]:
    """The names of the numbers in an address."""
    return re.findall(r"{(\w+)", path)


def filled(path: str, ids: dict[str, int]) -> str:
    """The address with its numbers; a name nobody knows is an error, so that none is forgotten."""
    return re.sub(r":\w+}", "}", path).format(**ids)
