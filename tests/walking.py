"""Every page there is, of a site where each of them has something to show.

For tests that look at whatever there is: a route added tomorrow is walked without being named
here, and one that can only be seen as an error is an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import FastAPI

from addresses import filled, ids_of
from estate import plant
from meterhouse.flows import access, filters, role, scan, staff, task
from meterhouse.flows.access import ScopeKind
from meterhouse.store.db import maintenance
from meterhouse.web.access import check_routes
from meterhouse.web.acts import FORMS
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, PASSWORD, Site

ROOT = "root"
# What is no page for whoever walks here, and why.
ASIDE = {
    "/": "sends people on to where they work",
    "/account/authenticator": "sends on whoever needs none; test_account looks at it",
    "/welcome/{token}": "is open only until somebody can sign in; test_welcome looks at it",
    "/projects/{project_id}/commissioning/report/file": "sends people on to a list's file",
    "/projects/{project_id}/receipts/{receipt_id:int}/prints/{copy_number:int}/file":
        "is a file, for a quarter of an hour and whoever printed it",
    "/errors/{code}": "is a page of the documentation, of which there is one a language",
}  # fmt: skip
# What a page must be asked so that it has something to show.
ASKED = {
    "/set-password": "token={link}",
    "/projects/{project_id}/search": "q=A101",
    "/projects/{project_id}/desk": "q=A101",
    "/projects/{project_id}/commissioning/report": "building={building_id}",
}


@dataclass
class Walk:
    """A furnished site and the addresses of all its pages.

    Attributes:
        more: other numbers than the common `ids`, by route.
        link: the token of an address by which somebody chooses a password.
    """

    app: FastAPI
    ids: dict[str, int]
    more: dict[str, dict[str, int]]
    link: str

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each route."""
        return dict(self.pages())

    def pages(self) -> Iterator[tuple[str, str]]:
        """(route, address) of each page; a part of a page and a file are such, too."""
        many = {act.page for act in FORMS if "ids" in act.form.model_fields}
        for method, path, _ in check_routes(self.app):
            if method != "GET" or path.startswith("/api/") or path in ASIDE:
                continue
            address = filled(path, self.ids | self.more.get(path, {}))
            if path in many:
                address += f"?id={self.ids[row_of_many(path)]}"
            asked = ASKED.get(path, "").format(**self.ids, link=quote(self.link))
            yield path, f"{address}?{asked}" if asked else address


def row_of_many(path: str) -> str:
    """What an address that does something to many names them by: `/meters/read` is `meter_id`."""
    return f"{path.partition('{project_id}/')[2].split('/')[0].removesuffix('s')}_id"


async def walk_of(site: Site) -> Walk:
    """The site with a row for everything, and `root`, who may do all and set it up."""
    # The first agreement is the house's own, which has no page.
    ids = await ids_of(site) | {"agreement_id": site.rooms["A101"].agreement_id}
    await plant(site, ids)
    db, here = site.db, site.project_id
    root_id = await access.add_person(
        db, ROOT, "Root", PASSWORD, "platform_administrator", "platform", 0, NOW
    )
    link, _ = await staff.new_link(db, root_id, ScopeKind.PROJECT, here, int(ids["person_id"]), NOW)
    ids["filter_id"] = await filters.save(db, here, root_id, "meters", "Owing", "state=owing")
    ids["role_id"], _ = await role.put(db, root_id, "porter", "Porter", ["room.read"], NOW)
    new = task.NewTask("export", "Export", {"verb": "session.own"})
    file_task_id = await task.start(db, here, new, root_id, NOW)
    await task.put_file(db, here, file_task_id, "list.csv", "text/csv", b"Room")
    priced_id = await _keeps_money(site)
    await _filled_lists(site)
    one = "/projects/{project_id}"
    more = {
        f"{one}/tasks/{{task_id:int}}/file": {"task_id": file_task_id},
        f"{one}/meters/{{meter_id}}/send-prices/preview": {"meter_id": priced_id},
        f"{one}/meters/{{meter_id}}/send-prices": {"meter_id": priced_id},
    }
    services = Services(db, lambda: NOW, WebSettings(secure_cookies=False), secret_key=b"k" * 32)
    return Walk(create_app(services), ids, more, link)


# What only days and meters' changes leave behind.
_ROWS = (
    """insert into calendar_day (project_id, day, kind, name)
        values ($1, '2026-10-01', 'holiday', '国庆')""",
    """insert into exchange (project_id, point_id, old_meter_id, new_meter_id, exchanged_at,
            closing_milli, closing_source, opening_milli, reason, created_at)
        select project_id, point_id, id, id, now(), '{1}', 'hand', '{0}', '更换', now()
        from meter where project_id = $1 order by id limit 1""",
    """insert into audit_entry (project_id, at, actor_id, via, act, verb, object, before, after)
        select $1, now(), p.id, 'console', 'alarm.close', 'alarm.close', 'alarm:1',
            '{"open": true}', '{"open": false}'
        from person p where p.login = 'li'""",
)  # fmt: skip
_HEARD = {
    "why": "", "total_milli": 1_234_560, "band_milli": [], "relay": 1, "phases": 1,
    "voltage_dv": [2210], "texts": {"type": "DDSY1352-NK"}, "clock_local": "2026-11-21T12:00:09",
    "clock_off_s": 9, "candidates": [{"model": "DDSY1352-NK", "confidence": "likely"}],
}  # fmt: skip


async def _filled_lists(site: Site) -> None:
    """A holiday, a meter's change, and two meters that the search of the bus found."""
    async with maintenance(site.db.address) as connection:
        for statement in _ROWS:
            await connection.execute(statement, site.project_id)
        gateway_id = await connection.fetchval("select id from gateway order by id limit 1")
    claimed = await task.claim(site.db, site.project_id, (scan.KIND,), gateway_id, NOW)
    assert claimed is not None
    found = {address: dict(_HEARD) for address in ("000000000001", "000000000099")}
    search = {"left": ["07"], "addresses": list(found), "clashes": [], "asks": 41}
    result = {"search": search, "devices": found}
    await task.tell(site.db, claimed, task.Progress(370_000, 1_000_000, result), NOW)


async def _keeps_money(site: Site) -> int:
    """A meter that keeps its money and its prices itself."""
    room = site.rooms["B102"]
    async with maintenance(site.db.address) as connection:
        await connection.execute(
            "update point set keeper = 'meter' where project_id = $1 and id = $2",
            site.project_id, room.point_id,
        )  # fmt: skip
        await connection.execute(
            "update meter set model = 'DLT645-2007-ESAM' where project_id = $1 and id = $2",
            site.project_id, room.meter_id,
        )  # fmt: skip
    return room.meter_id
