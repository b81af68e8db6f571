"""The pages of a site as it is set up: checklist, places, gateways, meters, tariffs, households.

Owns one page a noun. What can be done there are acts; each page offers those the reader may do.
"""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import (
    account,
    agreement,
    correct,
    customer,
    device,
    parameter,
    place,
    project,
    receipt,
    recharge,
    tariff,
)
from meterhouse.flows.access import Verb
from meterhouse.model import Commodity
from meterhouse.rating.tariff import Version
from meterhouse.web import labels, parameterwords
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import account as account_acts
from meterhouse.web.acts import customer as customer_acts
from meterhouse.web.acts import field, install, personal, policy, site_sheet, swap
from meterhouse.web.acts import gateway as gateway_acts
from meterhouse.web.acts import meter as meter_acts
from meterhouse.web.acts import parameter as parameter_acts
from meterhouse.web.acts import place as place_acts
from meterhouse.web.acts import project as project_acts
from meterhouse.web.acts import receipt as receipt_acts
from meterhouse.web.acts import recharge as recharge_acts
from meterhouse.web.acts import replay as replay_acts
from meterhouse.web.acts import scheme as scheme_acts
from meterhouse.web.acts import tariff as tariff_acts
from meterhouse.web.acts.frame import Act
from meterhouse.web.acts.typed import area_text, money_minor
from meterhouse.web.console.lists import export_list, list_facts, load_page
from meterhouse.web.formats import ABSENT
from meterhouse.web.pages import formats_of, render, words_of
from meterhouse.web.schemes import names as scheme_names
from meterhouse.web.schemes.changes import beside
from meterhouse.web.schemes.offered import offered
from meterhouse.web.schemes.pictures import picture
from meterhouse.web.schemes.written import plain
from meterhouse.web.views import READINGS
from meterhouse.words import N_

router = APIRouter()

_PROJECT: Final = "/projects/{project_id}"

STEP_TITLES: Final = {
    "rooms": (N_("Buildings and rooms"), N_("Name them by a rule, or bring them in a sheet.")),
    "gateways": (N_("Gateways"), N_("Each must be known here and be online.")),
    "meters": (N_("Meters"), N_("Each hangs on a gateway's line and serves a room.")),
    "price": (N_("Price"), N_("Every room needs a tariff.")),
    "people": (N_("Households"), N_("Who has an account pays; the house pays for the others.")),
    "reading": (N_("First reading"), N_("Comes by itself once a meter answers.")),
}
"""Step of the checklist → its title and what it needs, message ids."""


def _may(verb: Verb) -> list[Any]:
    return [Depends(Permission(verb))]


@router.get(f"{_PROJECT}/setup", dependencies=_may(Verb.PROJECT_READ))
async def setup_page(request: Request, project_id: int) -> Response:
    """What stands of the site and what is missing, computed from the data."""
    now = await project.standing(database_of(request), project_id)
    acts = {
        "rooms": (place_acts.GROW,),
        "gateways": (gateway_acts.ADD,),
        "meters": (install.ADD_METER,),
        "price": tariff_acts.ADDERS,
        "people": (customer_acts.ADD,),
        "reading": (),
    }
    facts = {
        "steps": project.steps(now), "titles": STEP_TITLES, "step_acts": acts,
        "sheet": site_sheet.SITE.act, "ids": {"project_id": project_id}, "now_of": now,
    }  # fmt: skip
    return render(request, "setup.html", facts)


@router.get(f"{_PROJECT}/settings", dependencies=_may(Verb.PROJECT_READ))
async def settings_page(request: Request, project_id: int) -> Response:
    """What the project is and chose."""
    now = await project.look(database_of(request), project_id)
    looks = await receipt.settings(database_of(request), project_id)
    scope = request.state.scope
    rules = policy.typed_of(now.policy, scope.currency_exponent)
    facts = {
        "project": now.row,
        "fixed": now.has_moved_money,
        "rules": _rules(request, rules, policy.EDIT),
        "receipts": _rules(request, looks._asdict(), receipt_acts.LOOK),
        "receipt_look": receipt_acts.LOOK,
        "payees": await project.payees(database_of(request), project_id),
        "days": await project.calendar(database_of(request), project_id),
        "acts": project_acts,
        "policy": policy,
        "sheet": site_sheet.DAYS.act,
        "ids": {"project_id": project_id},
    }
    return render(request, "settings.html", facts)


def _rules(request: Request, typed: dict[str, Any], act: Act[Any]) -> list[tuple[str, str]]:
    """Every field of an act that edits, as its title and what it holds, in words."""
    words = words_of(request)
    rules = []
    for name, (_, ask) in act.asks.items():
        if name == "version":
            continue
        given = typed[name]
        if isinstance(given, bool):
            said = words(N_("Yes")) if given else words(N_("No"))
        elif isinstance(given, list | tuple):
            named = [words((ask.words or {}).get(one, one)) for one in given]
            said = ", ".join(named) or words(N_("None"))
        elif ask.kind == "choice":
            said = words((ask.words or {})[given])
        elif ask.kind == "money":
            fmt = formats_of(request)
            said = fmt.money(money_minor(given, fmt.currency_exponent, name))
        else:
            said = f"{given} {words(ask.unit)}".strip() or ABSENT
        rules.append((ask.title, said))
    return rules


@router.get(f"{_PROJECT}/calendar", dependencies=_may(Verb.PROJECT_READ))
async def calendar_page(request: Request, project_id: int) -> Response:
    """The special days; they stand among the settings."""
    return await settings_page(request, project_id)


@router.get(f"{_PROJECT}/places", dependencies=_may(Verb.ROOM_READ))
async def places_page(request: Request, project_id: int) -> Response:
    """Every building and what it counts."""
    facts = {
        "buildings": await place.buildings(database_of(request), project_id),
        "acts": place_acts,
        "sheet": site_sheet.SITE.act,
        "area_text": area_text,
        "ids": {"project_id": project_id},
    }
    return render(request, "places.html", facts)


@router.get(f"{_PROJECT}/places/{{place_id:int}}", dependencies=_may(Verb.ROOM_READ))
async def place_page(request: Request, project_id: int, place_id: int) -> Response:
    """One place: the tree beneath it, its points, and who paid when."""
    now = await place.look(database_of(request), project_id, place_id)
    beneath: dict[int, list[Any]] = {}
    for row in now.beneath:
        beneath.setdefault(row["parent_id"], []).append(row)
    facts = {
        "place": now.row,
        "path_to": now.path,
        "beneath": beneath,
        "room_count": sum(row["kind"] in ("room", "area") for row in now.beneath),
        "furnished": await device.furnished(database_of(request), project_id, place_id),
        "acts": place_acts,
        "install": install,
        "accounts": account_acts,
        "exchange": swap.EXCHANGE,
        "waiting_id": await account.prepared(database_of(request), project_id, place_id),
        "area_text": area_text,
        "lives": await agreement.of_place(database_of(request), project_id, place_id),
        "ids": {"project_id": project_id, "place_id": place_id},
    }
    return render(request, "place.html", facts)


@router.get(f"{_PROJECT}/gateways/{{gateway_id:int}}", dependencies=_may(Verb.DEVICE_READ))
async def gateway_page(request: Request, project_id: int, gateway_id: int) -> Response:
    """One gateway and the meters on its line."""
    now = await device.gateway(database_of(request), project_id, gateway_id)
    facts = {
        "gateway": now.row,
        "meters": now.meters,
        "acts": gateway_acts,
        "install": install,
        "field": field,
        "ids": {"project_id": project_id, "gateway_id": gateway_id},
    }
    return render(request, "gateway.html", facts)


@router.get(f"{_PROJECT}/meters/{{meter_id:int}}", dependencies=_may(Verb.DEVICE_READ))
async def meter_page(request: Request, project_id: int, meter_id: int) -> Response:
    """One meter, in service or removed, what it was told to charge by, and its readings."""
    meter = await device.meter(database_of(request), project_id, meter_id)
    facts = {
        **await _readings(request, project_id, meter),
        "meter": meter,
        "held": await parameter.held(database_of(request), project_id, meter_id),
        "purse": await recharge.purse_of(database_of(request), project_id, meter_id),
        "purse_acts": recharge_acts,
        "words_of": parameterwords,
        "parameters": parameter_acts,
        "install": install,
        "exchange": swap.EXCHANGE,
        "read": meter_acts.READ,
        "ids": {"project_id": project_id, "meter_id": meter_id},
    }
    return render(request, "meter.html", facts)


async def _readings(request: Request, project_id: int, meter: Any) -> dict[str, Any]:
    """The readings of a meter that serves or served a room, for who may see rooms."""
    granted = request.state.scope.verbs
    if meter["commodity"] is None or Verb.ROOM_READ not in granted:
        return {}
    fmt, unit = formats_of(request), labels.UNIT[Commodity(meter["commodity"])]
    page = await load_page(request, project_id, READINGS, fmt, meter=meter["id"])
    heading = fmt.words(READINGS.heading)
    return list_facts(page, fmt, str(meter["id"]), granted, unit) | {"heading": heading}


@router.get(f"{_PROJECT}/meters/{{meter_id:int}}/export", dependencies=_may(Verb.ROOM_READ))
async def meter_export(request: Request, project_id: int, meter_id: int) -> Response:
    """The readings of a meter, as a file."""
    meter = await device.meter(database_of(request), project_id, meter_id)
    return await export_list(request, project_id, READINGS, formats_of(request), meter=meter["id"])


@router.get(f"{_PROJECT}/tariffs/{{tariff_id:int}}", dependencies=_may(Verb.TARIFF_READ))
async def tariff_page(request: Request, project_id: int, tariff_id: int) -> Response:
    """One tariff with its published versions, the latest first."""
    now = await tariff.look(database_of(request), project_id, tariff_id)
    words, count = words_of(request), len(now.scheme.versions)
    year = request.app.state.services.clock().year
    facts = {
        "tariff": now,
        "versions": [_version(one) for one in reversed(now.scheme.versions)],
        "numbers": list(range(count, 0, -1)),
        "published": list(reversed(now.published)),
        "pictures": [
            picture(one, max(one.effective_from.year, year), words)
            for one in reversed(now.scheme.versions)
        ],
        "beside": [beside(now.scheme, at, words) for at in reversed(range(count))],
        "weekdays": offered(words)["weekday"],
        "acts": tariff_acts,
        "corrections": replay_acts,
        "corrected": await correct.made_of(database_of(request), project_id, tariff_id),
        "editor": scheme_acts.PUBLISH,
        "unit": labels.UNIT[now.scheme.commodity],
        "ids": {"project_id": project_id, "tariff_id": tariff_id},
    }
    return render(request, "tariff.html", facts)


def _version(version: Version) -> dict[str, Any]:
    """A version as a table: a row a band, a column a block."""
    limits = [plain(limit, 3) for limit in version.blocks.limits_milli]
    table = version.day_tables[0] if len(version.day_tables) == 1 else None
    times: dict[str, list[str]] = {}
    if table is not None and len(version.bands) > 1:
        ends = [*table.starts_minute[1:], 1_440]
        for start, end, band in zip(table.starts_minute, ends, table.bands, strict=True):
            span = f"{policy.clock_text(start)}–{policy.clock_text(end)}"
            times.setdefault(version.bands[band], []).append(span)
    return {
        "effective_from": version.effective_from,
        "limits": limits,
        "period": version.blocks.period.value,
        "is_whole": table is not None,
        "bands": [
            {
                "name": scheme_names.BAND.get(band, band),
                "times": ", ".join(times.get(band, ())),
                "prices": [plain(price, 6) for price in prices],
            }
            for band, prices in zip(version.bands, version.prices_micro, strict=True)
        ],
    }


@router.get(f"{_PROJECT}/customers/{{customer_id:int}}", dependencies=_may(Verb.CUSTOMER_READ))
async def customer_page(request: Request, project_id: int, customer_id: int) -> Response:
    """One customer, masked, with their agreements."""
    now = await customer.look(database_of(request), project_id, customer_id)
    facts = {
        "customer": now.row,
        "agreements": now.agreements,
        "acts": customer_acts,
        "accounts": account_acts,
        "personal": personal,
        "ids": {"project_id": project_id, "customer_id": customer_id},
    }
    return render(request, "customer.html", facts)


@router.get("/platform/groups", dependencies=_may(Verb.GROUP_EDIT))
async def groups_page(request: Request) -> Response:
    """Every group with its projects; for those who look after the platform."""
    projects: dict[int, list[Any]] = {}
    for reach in request.state.caller.scopes.values():
        projects.setdefault(reach.group_id, []).append(reach)
    facts = {
        "groups": await project.groups(database_of(request)),
        "projects": projects,
        "acts": project_acts,
        "platform": request.state.caller.platform,
    }
    return render(request, "groups.html", facts)
