"""The calculator's page, and the library of published schemes.

Owns the way from a form to what `flows.calculator` asks, and how bills are shown. Must never rate,
nor change anything: a tariff is read, a file is looked at, and nothing of it is kept.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from meterhouse.errors import BadInput, MeterhouseError, Unreadable
from meterhouse.flows import calculator, library, tariff
from meterhouse.flows.access import Verb
from meterhouse.flows.calculator import Calculated
from meterhouse.rating.bill import Household
from meterhouse.rating.blocks import PERSONS_MAX
from meterhouse.rating.periods import Billing
from meterhouse.rating.source import said_in
from meterhouse.rating.tariff import Scheme, parse
from meterhouse.units import from_decimal, from_us, to_decimal
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import scheme as scheme_acts
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.console.schemes import read_file
from meterhouse.web.formats import Formats, grouped
from meterhouse.web.pages import formats_of, render, words_of
from meterhouse.web.schemes import names, trying
from meterhouse.web.schemes.changes import beside
from meterhouse.web.schemes.offered import offered
from meterhouse.web.schemes.operation import CAPACITY_W_MAX, SchemeUnchosen
from meterhouse.web.schemes.pictures import CHART_COLOUR, picture
from meterhouse.web.schemes.written import plain
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.TARIFF_READ))])

LOAD_BYTES_MAX: Final = 4_000_000
_PROJECT: Final = "/projects/{project_id}"
_CHART_DAYS_MAX: Final = 400
_BILLS_SHOWN_MAX: Final = 36
_FIELDS: Final = ("scheme", "persons", "capacity", "try_month", "try_energy", "try_profile")


class HouseholdUnusable(BadInput):
    """Enter persons from 1 to 100, and the capacity in kW with at most three decimals."""

    code = "household_unusable"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be calculated."""

    scheme: Scheme
    lines: list[str] | None
    wanted: trying.Wanted
    household: Household


@router.get(f"{_PROJECT}/library")
async def library_page(request: Request, project_id: int) -> Response:
    """The published schemes that ship, and one of them at a closer look."""
    del project_id
    words, name = words_of(request), request.query_params.get("scheme", "")
    now = request.app.state.services.clock()
    chosen = library.scheme(name) if name else None
    version = chosen.versions[-1] if chosen else None
    facts = {
        "schemes": [(one, library.scheme(one)) for one in library.names()],
        "name": name,
        "chosen": chosen,
        "picture": picture(version, now.year, words) if version else None,
        "prices": _prices(chosen, formats_of(request)) if chosen else (),
        "beside": beside(chosen, -1, words) if chosen else (),
        "said": partial(said_in, language=words.language),
        "weekdays": offered(words)["weekday"],
        "editor": scheme_acts.ADD,
        "ids": {"project_id": request.path_params["project_id"]},
        "unit": labels.UNIT[chosen.commodity] if chosen else "",
    }
    return render(request, "library.html", facts)


def _prices(scheme: Scheme, fmt: Formats) -> list[tuple[str, list[str]]]:
    """Rows of a table: what a row is of, and a figure a block."""
    version, words = scheme.versions[-1], fmt.words
    rows = []
    if version.blocks.limits_milli:
        limits = [grouped(one, 3).rstrip("0").rstrip(".") for one in version.blocks.limits_milli]
        rows.append((words(N_("Ends at ({unit})"), unit=labels.UNIT[scheme.commodity]),
                     [*limits, words(N_("no end"))]))  # fmt: skip
    for band, prices in zip(version.bands, version.prices_micro, strict=True):
        figures = [plain(one, 6) for one in prices]
        rows.append((names.shown(names.BAND, band, words), figures))
    return rows


@router.get(f"{_PROJECT}/calculator")
async def calculator_page(request: Request, project_id: int) -> Response:
    """What is to be calculated, yet to be chosen."""
    chosen = {"scheme": request.query_params.get("scheme", "")}
    return await _page(request, project_id, chosen)


@router.post(f"{_PROJECT}/calculator")
async def calculate_page(request: Request, project_id: int) -> Response:
    """The bills, beneath what was asked."""
    async with request.form() as sent:
        typed = {name: str(sent.get(name, ""))[:100] for name in _FIELDS}
        try:
            asked = await _asked(request, project_id, sent)
            done = await run_in_threadpool(_calculated, asked, formats_of(request), explain=False)
        except MeterhouseError as error:
            if not isinstance(error, BadInput):
                raise
            return await _page(request, project_id, typed, error=words_of(request).error(error))
    return await _page(request, project_id, typed, done=done)


@router.post(f"{_PROJECT}/calculator/explain")
async def explain_file(request: Request, project_id: int) -> Response:
    """Every bill, day and interval, as `meterhouse rate --explain` prints them."""
    async with request.form() as sent:
        typed = {name: str(sent.get(name, ""))[:100] for name in _FIELDS}
        try:
            asked = await _asked(request, project_id, sent)
            done = await run_in_threadpool(_calculated, asked, formats_of(request), explain=True)
        except MeterhouseError as error:
            if not isinstance(error, BadInput):
                raise
            return await _page(request, project_id, typed, error=words_of(request).error(error))
    content = await run_in_threadpool(json.dumps, done.told, ensure_ascii=False, indent=1)
    named = quote(f"{done.told['scheme']}.json")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{named}"}
    return Response(content, media_type="application/json", headers=headers)


async def _asked(request: Request, project_id: int, sent: FormData) -> Asked:
    """What the form asks.

    Raises:
        SchemeUnchosen, HouseholdUnusable: as they say.
        MeterhouseError: a file that is no scheme, or none such is there.
    """
    lines, upload = None, sent.get("load_file")
    if isinstance(upload, UploadFile) and upload.filename:
        content = await upload.read(LOAD_BYTES_MAX + 1)
        lines = content[:LOAD_BYTES_MAX].decode("utf-8-sig", "replace").splitlines(keepends=True)
    now: datetime = request.app.state.services.clock()
    wanted = trying.asked(sent, now.astimezone(formats_of(request).timezone))
    scheme = await _scheme(request, project_id, sent)
    return Asked(scheme, lines, wanted, _household(sent))


async def _scheme(request: Request, project_id: int, sent: FormData) -> Scheme:
    upload = sent.get("scheme_file")
    if isinstance(upload, UploadFile) and upload.filename:
        return parse(await read_file(upload))
    kind, _, name = str(sent.get("scheme", "")).partition(":")
    if kind == "library":
        return library.scheme(name)
    if kind == "tariff" and name.isdecimal() and len(name) < 18:
        return (await tariff.look(database_of(request), project_id, int(name))).scheme
    raise SchemeUnchosen


def _household(sent: FormData) -> Household:
    persons, capacity = (str(sent.get(name, "")).strip() for name in ("persons", "capacity"))
    try:
        found = Household(from_decimal(persons or "1", 0), from_decimal(capacity or "0", 3))
    except Unreadable:
        raise HouseholdUnusable from None
    if not (1 <= found.persons <= PERSONS_MAX and 0 <= found.capacity_w <= CAPACITY_W_MAX):
        raise HouseholdUnusable
    return found


def _calculated(asked: Asked, fmt: Formats, *, explain: bool) -> Calculated:
    """The bills of the load that was brought, or else of a month by its profile."""
    lines = asked.lines
    if lines is None:
        lines = _month_lines(asked, fmt)
    return calculator.calculate(
        asked.scheme, lines, fmt.timezone.key, asked.household, fmt.currency_exponent,
        explain=explain, limits=calculator.AT_ONCE,
    )  # fmt: skip


def _month_lines(asked: Asked, fmt: Formats) -> list[str]:
    wanted, zone = asked.wanted, fmt.timezone
    billing = asked.scheme.billing or Billing()
    load = calculator.month_load(
        billing, zone.key, wanted.month, wanted.energy_milli, wanted.profile
    )
    columns = (load.start_us, load.end_us, load.energy_milli)
    return calculator.csv_of(
        {"start": from_us(start_us).astimezone(zone).isoformat(),
         "end": from_us(end_us).astimezone(zone).isoformat(), "energy_wh": energy_milli}
        for start_us, end_us, energy_milli in zip(*(one.tolist() for one in columns), strict=True)
    )  # fmt: skip


async def _page(
    request: Request, project_id: int, typed: dict[str, str], error: str = "",
    done: Calculated | None = None,
) -> Response:  # fmt: skip
    fmt = formats_of(request)
    now: datetime = request.app.state.services.clock()
    rows = await tariff.names(database_of(request), project_id)
    first = trying.first(now.astimezone(fmt.timezone))
    shown = {
        "scheme": "", "persons": "1", "capacity": "", "try_month": first.month_text,
        "try_energy": first.energy_text, "try_profile": "even",
    } | typed  # fmt: skip
    facts: dict[str, Any] = {
        "tariffs": [(f"tariff:{row['id']}", row["name"]) for row in rows],
        "published": [(f"library:{one}", library.scheme(one).name) for one in library.names()],
        "typed": shown, "error": error, "offered": offered(fmt.words),
        "rows_max": fmt.number(calculator.ROWS_AT_ONCE_MAX),
        "address": request.url.path.removesuffix("/explain"),
        "done": _shown(done, fmt) if done else None,
    }  # fmt: skip
    return render(request, "calculator.html", facts, 422 if error else 200)


def _shown(done: Calculated, fmt: Formats) -> dict[str, Any]:
    """What the page shows of a calculation."""
    scheme, bills = done.billed.scheme, done.billed.bills
    of_currency = Formats(fmt.words, fmt.timezone, scheme.currency, fmt.currency_exponent)
    days_us, by_band = calculator.days_by_band(done.billed)
    return {
        "name": scheme.name,
        "unit": labels.UNIT[scheme.commodity],
        "energy": grouped(sum(one.energy_milli for one in bills), 3),
        "total": of_currency.money(sum(one.total_minor for one in bills)),
        "bills": [
            {
                "from": fmt.instant(from_us(one.from_us)), "to": fmt.instant(from_us(one.to_us)),
                "energy": grouped(one.energy_milli, 3),
                "net": of_currency.money(one.net_minor), "tax": of_currency.money(one.tax_minor),
                "total": of_currency.money(one.total_minor),
                "lines": trying.told(one, scheme, of_currency),
            }
            for one in bills
        ],
        "bills_shown": _BILLS_SHOWN_MAX,
        "chart": _chart([_day(at_us, fmt) for at_us in days_us], by_band, labels.UNIT[
            scheme.commodity]) if len(days_us) <= _CHART_DAYS_MAX else None,
    }  # fmt: skip


def _day(at_us: int, fmt: Formats) -> date:
    return from_us(at_us).astimezone(fmt.timezone).date()


def _chart(days: list[date], by_band: dict[str, Any], unit: str) -> Chart:
    series = [
        Series(
            names.BAND.get(band, band) if band else N_("Free energy"),
            [to_decimal(one, 3) for one in column], Draw.STACK,
            colour=CHART_COLOUR.get(band, ""),
        )
        for band, column in by_band.items()
    ]  # fmt: skip
    return Chart(N_("Energy by day and band"), N_("Day"), [str(one) for one in days], (unit,),
                 series)  # fmt: skip
