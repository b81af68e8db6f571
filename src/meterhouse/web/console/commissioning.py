"""A meter's checklist while it fills, and the report that is printed and signed on paper.

Owns the two pages and how what was seen is written in words. Must never know what proves an item.
The list of all meters is one of the lists.
"""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from meterhouse.control.commission import Item, Verdict
from meterhouse.flows import commission, monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.commission import Checked
from meterhouse.model import CommandKind, Relay
from meterhouse.web import labels, papers
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.field import ASK_AGAIN, DEEDS, SIGN, START, TRY_RELAY
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, render
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.DEVICE_READ))])

REPORT_METERS_MAX: Final = 500
_METER: Final = "/projects/{project_id}/commissioning/{meter_id:int}"


@router.get("/projects/{project_id}/commissioning/report")
async def report(request: Request, project_id: int) -> Response:
    """The latest checklists of the meters or the building in the address, for paper."""
    db = database_of(request)
    meter_ids, building_id = _asked(request)
    found = await commission.reports(db, project_id, meter_ids, building_id)
    fmt = formats_of(request)
    facts = {
        "buildings": await monitor.buildings(db, project_id),
        "building_id": building_id,
        "query": request.url.query,
        "is_asked": bool(meter_ids) or building_id is not None,
        "sheets": [(one.row, lines(one, fmt)) for one in found],
    }
    return render(request, "commissioning_report.html", facts)


@router.get("/projects/{project_id}/commissioning/report/file")
async def report_file(request: Request, project_id: int) -> Response:
    """The same checklists as PDF, each from a new page on; back to the page where there is none.

    Raises:
        ChineseFontMissing: there is no font for it.
    """
    found = await commission.reports(database_of(request), project_id, *_asked(request))
    if not found:
        return RedirectResponse("../report", status_code=303)
    fmt = formats_of(request)
    tables = [papers.checklist(one.row, lines(one, fmt), fmt) for one in found]
    at = request.app.state.services.clock()
    return await papers.report_answer(tables, "commissioning", at)


def _asked(request: Request) -> tuple[list[int], int | None]:
    """The meters and the building that an address names."""
    asked = request.query_params
    meter_ids = [int(one) for one in asked.getlist("meter")[:REPORT_METERS_MAX] if _is_id(one)]
    building = asked.get("building", "")
    return meter_ids, int(building) if _is_id(building) else None


@router.get(_METER)
async def meter_page(request: Request, project_id: int, meter_id: int) -> Response:
    """A meter's checklist, or the way to begin one."""
    return render(request, "commissioning.html", await _facts(request, project_id, meter_id))


@router.get(f"{_METER}/now")
async def meter_now(request: Request, project_id: int, meter_id: int) -> Response:
    """The part of the page that changes: 204 while nothing did."""
    seq = await monitor.pulse(database_of(request), project_id)
    if request.query_params.get("since") == str(seq):
        return Response(status_code=204)
    facts = await _facts(request, project_id, meter_id)
    return render(request, "commissioning_now.html", facts)


async def _facts(request: Request, project_id: int, meter_id: int) -> dict[str, Any]:
    db = database_of(request)
    seq = await monitor.pulse(db, project_id)
    point = await monitor.point(db, project_id, meter_id=meter_id)
    found = await commission.reports(db, project_id, [meter_id])
    checked = found[0] if found else None
    verbs = request.state.scope.verbs
    return {
        "seq": seq,
        "point": point,
        "checked": checked,
        "lines": lines(checked, formats_of(request)) if checked else (),
        "deeds": _offered(checked) if Verb.DEVICE_COMMISSION in verbs else (),
        "start": START if Verb.DEVICE_COMMISSION in verbs and _may_start(checked) else None,
        "primary": SIGN,
    }


def _may_start(checked: Checked | None) -> bool:
    return checked is None or checked.row["signed_at"] is not None


def _offered(checked: Checked | None) -> list[Any]:
    """What can be done to a checklist as it stands."""
    if checked is None or checked.row["signed_at"] is not None:
        return []
    relay = checked.items[Item.RELAY]["state"]
    failed = any(
        checked.items[item]["state"] == Verdict.FAILED
        for item in (Item.ANSWERS, Item.CLOCK, Item.REGISTER)
    )
    hidden = set()
    if relay not in (Verdict.OPEN, Verdict.FAILED):
        hidden.add(TRY_RELAY)
    if not failed:
        hidden.add(ASK_AGAIN)
    if not checked.is_settled:
        hidden.add(SIGN)
    return [deed for deed in DEEDS if deed not in hidden]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 18


def lines(checked: Checked, fmt: Formats) -> list[dict[str, Any]]:
    """Each item of a checklist as a reader sees it."""
    return [
        {
            "title": labels.label(fmt.words, item),
            "state": Verdict(one["state"]),
            "why": fmt.words(labels.why_of(one)) if one["why"] else "",
            "seen": _SEEN[item](one["facts"], fmt) if one["facts"] else "",
            "at": datetime.fromisoformat(one["at"]) if one["at"] else None,
        }
        for item, one in checked.items.items()
    ]


def _relay(fmt: Formats, number: int) -> str:
    return labels.label(fmt.words, Relay(number))


def _answers(facts: dict[str, Any], fmt: Formats) -> str:
    return _reason(facts) or _relay(fmt, facts["relay"])


def _clock(facts: dict[str, Any], fmt: Formats) -> str:
    if "clock_off_s" not in facts or facts["clock_off_s"] is None:
        return _reason(facts)
    if facts["clock_off_s"] < 0:
        return fmt.words(N_("{seconds} s slow"), seconds=-facts["clock_off_s"])
    return fmt.words(N_("{seconds} s fast"), seconds=facts["clock_off_s"])


def _register(facts: dict[str, Any], fmt: Formats) -> str:
    told = []
    if facts["expected_milli"] is not None:
        told.append((N_("On the display {energy} kWh"), facts["expected_milli"]))
    for name, message in (
        ("first", N_("first {energy} kWh")), ("second", N_("then {energy} kWh")),
    ):  # fmt: skip
        if name in facts:
            told.append((message, facts[name]["total_milli"]))
    texts = [fmt.words(message, energy=fmt.energy(milli)) for message, milli in told]
    return " · ".join(texts + ([_reason(facts)] if _reason(facts) else []))


def _switched(facts: dict[str, Any], fmt: Formats) -> str:
    if "was" not in facts:
        return _reason(facts)
    told = [fmt.words(N_("Before: {relay}"), relay=_relay(fmt, facts["was"]))]
    for one in facts["ended"]:
        told.append(
            fmt.words(
                N_("{command}: {relay}"),
                command=labels.label(fmt.words, CommandKind(one["kind"])),
                relay=fmt.words(labels.why_of(one)) if one["why"] else _relay(fmt, one["relay"]),
            )
        )
    return " · ".join(told + ([_reason(facts)] if _reason(facts) else []))


def _shown(facts: dict[str, Any], fmt: Formats) -> str:
    if "shown" not in facts:
        return _reason(facts)
    shown, seen = _relay(fmt, facts["shown"]), _relay(fmt, facts["seen"])
    return fmt.words(N_("Shown: {shown} · Seen: {seen}"), shown=shown, seen=seen)


def _reason(facts: dict[str, Any]) -> str:
    return str(facts.get("reason", ""))


_SEEN: Final = {
    Item.ANSWERS: _answers,
    Item.CLOCK: _clock,
    Item.REGISTER: _register,
    Item.RELAY: _switched,
    Item.STATE: _shown,
}
