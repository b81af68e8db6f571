"""The scheme editor's pages: begin, step by step, look before publishing, publish; and files.

Owns the addresses. Must never know how fields become a scheme (`web.schemes`). Nothing is kept on
the server between two steps: every request carries all fields, and only publishing changes
anything. A correction of past prices is typed here as well: its fields are one of the tariff's
versions, the others go along, and instead of publishing it is replayed.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import correct, library, project, replay, tariff
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Via
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Commodity
from meterhouse.rating.tariff import Scheme, parse
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import DRAWN
from meterhouse.web.acts import replay as replay_acts
from meterhouse.web.acts.frame import Act
from meterhouse.web.acts.routes import do, doing_of, form_key
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, render, words_of
from meterhouse.web.schemes import fields, names, steps, trying, written
from meterhouse.web.schemes.changes import Stretch, changes, period_end, stretches
from meterhouse.web.schemes.offered import offered
from meterhouse.web.schemes.pictures import picture
from meterhouse.web.schemes.typed import Typed, read
from meterhouse.web.schemes.written import Draft, blank, draft_of
from meterhouse.words import N_

router = APIRouter()

SCHEME_BYTES_MAX: Final = 1_000_000
_TARIFFS: Final = "/projects/{project_id}/tariffs"
_STEP_FIELD: Final = "do"
_MINUTE: Final = timedelta(minutes=1)
_SHOW_STEP: Final = "versions.show"
_CALENDAR_STEP: Final = "days.take"


class SchemeFileUnreadable(BadInput):
    """This file is no scheme file: {why}."""

    code = "scheme_file_unreadable"


class CorrectionChangesNothing(BadInput):
    """From then on nothing would cost otherwise; change a price, or begin earlier."""

    code = "correction_changes_nothing"
    field = "since"


class SchemeOfOtherCurrency(BadInput):
    """This scheme is in {currency}; this project counts in {ours}."""

    code = "scheme_of_other_currency"


@dataclass(frozen=True, slots=True)
class Bench:
    """What the editor works on.

    Attributes:
        act: what publishing does.
        address: the editor's own.
        fmt: how values look here.
        now: the present instant.
        tariff: the tariff that gets a further version or is corrected; None for a new one.
        reach_days: how many days ago a correction may begin; None where nothing is corrected.
    """

    act: Act[Any]
    address: str
    fmt: Formats
    now: datetime
    tariff: tariff.TariffNow | None
    reach_days: int | None = None

    @property
    def corrects(self) -> bool:
        """Whether past prices are corrected."""
        return self.reach_days is not None

    @property
    def reaches_to(self) -> datetime:
        """The earliest instant at which a correction may begin."""
        return self.now - timedelta(days=self.reach_days or 0)

    @property
    def header(self) -> dict[str, Any] | None:
        """What a further version takes over from the tariff."""
        if self.tariff is None:
            return None
        return {key: given for key, given in self.tariff.body.items() if key != "versions"}

    @property
    def in_force(self) -> Scheme | None:
        """The scheme that the fields are compared with."""
        return self.tariff.scheme if self.tariff else None

    def read(self, draft: Draft) -> Typed:
        """The scheme that was typed, and what is wrong with it."""
        found = read(draft, self.fmt, self.now, self.header, corrects=self.corrects)
        if self.tariff is not None and found.scheme is not None and not self.corrects:
            last, begins = self.tariff.scheme.versions[-1], found.scheme.versions[-1].effective_from
            if tariff.is_too_early(begins, last, self.now):
                after = self.fmt.instant(last.effective_from)
                found.refused(tariff.VersionTooEarly(after=after))
        return found


async def _bench(request: Request, act: Act[Any]) -> Bench:
    ids = request.path_params
    now = None
    if "tariff_id" in ids:
        there = int(ids["project_id"]), int(ids["tariff_id"])
        now = await tariff.look(database_of(request), *there)
    reach_days = None
    if act is replay_acts.TRY:
        reach_days = await correct.reach(database_of(request), int(ids["project_id"]))
    at = request.app.state.services.clock()
    return Bench(act, act.page.format(**ids), formats_of(request), at, now, reach_days)


def _add_editor(act: Act[Any]) -> None:
    """The editor's routes for one act: the page, its steps, its preview, its file, publishing."""
    name, may = act.name.replace(".", "_"), [Depends(Permission(act.verb))]

    async def show(request: Request) -> Response:
        bench = await _bench(request, act)
        try:
            draft = await _beginning(request, bench)
        except MeterhouseError as error:
            if not isinstance(error, BadInput):
                raise
            return await _page(
                request, bench, blank(bench.fmt), error=words_of(request).error(error)
            )
        return await _page(request, bench, draft)

    async def publish(request: Request) -> Response:
        bench = await _bench(request, act)
        async with request.form() as sent:
            return await _publish(request, bench, sent)

    async def change(request: Request) -> Response:
        bench = await _bench(request, act)
        async with request.form() as sent:
            return await _change(request, bench, sent)

    async def preview(request: Request) -> Response:
        bench = await _bench(request, act)
        async with request.form() as sent:
            draft, asked = _draft(sent, bench), dict(sent)
        found = await _judged(request, bench, draft)
        facts = await run_in_threadpool(_looks, request, bench, found, asked)
        return render(request, "scheme_preview.html", facts)

    async def save(request: Request) -> Response:
        bench = await _bench(request, act)
        async with request.form() as sent:
            found = bench.read(_draft(sent, bench))
        return _file(found.body, str(found.body.get("name", "")))

    proof = [Depends(Permission(act.verb, proof=act.proves))]
    for path, endpoint, method, allowed in (
        ("", show, "GET", may), ("", publish, "POST", proof), ("/fields", change, "POST", may),
        ("/preview", preview, "POST", may), ("/file", save, "POST", may),
    ):  # fmt: skip
        kind = path.removeprefix("/") or method.lower()
        router.add_api_route(
            f"{act.page}{path}", endpoint, methods=[method], dependencies=allowed,
            name=f"{name}_{kind}",
        )  # fmt: skip


for _act in DRAWN:
    _add_editor(_act)


@router.get(f"{_TARIFFS}/{{tariff_id}}/file", dependencies=[Depends(Permission(Verb.TARIFF_READ))])
async def tariff_file(request: Request, project_id: int, tariff_id: int) -> Response:
    """A tariff as a scheme file."""
    now = await tariff.look(database_of(request), project_id, tariff_id)
    return _file(now.body, now.row["name"])


def _file(body: Mapping[str, Any], name: str) -> Response:
    content = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
    named = quote(f"{name.strip() or 'scheme'}.json")
    return Response(
        content, media_type="application/json",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{named}"},
    )  # fmt: skip


async def _beginning(request: Request, bench: Bench) -> Draft:
    """The fields to begin with: of a published scheme, of a tariff, of the version in force."""
    asked = request.query_params
    if bench.corrects:
        return await _correction(request, bench)
    draft = blank(bench.fmt)
    if name := asked.get("library"):
        draft = _taken(library.body(name), bench)
    elif asked.get("tariff", "").isdecimal():
        project_id, tariff_id = int(request.path_params["project_id"]), int(asked["tariff"])
        now = await tariff.look(database_of(request), project_id, tariff_id)
        draft = _taken(now.body, bench) | {"name": ""}
    elif bench.tariff is not None:
        draft = draft_of(bench.tariff.body, bench.fmt)
    draft["effective_from"] = written.next_month(bench.now, bench.fmt)
    if bench.tariff is not None or asked.get("tariff"):
        draft[written.KEPT] = "{}"
    return draft


async def _correction(request: Request, bench: Bench) -> Draft:
    """The versions in force, or those of a correction that was replayed, to be mended further."""
    assert bench.tariff is not None
    body, fmt = bench.tariff.body, bench.fmt
    ids = {name: int(one) for name, one in request.path_params.items()}
    if (asked := request.query_params.get("replay", "")).isdecimal():
        row = await replay.get(database_of(request), ids["project_id"], int(asked[:18]))
        if row["corrects"] and row["tariff_id"] == ids["tariff_id"]:
            body = bench.tariff.body | {"versions": row["asked"]["scheme"]["versions"]}
            return _drafted(body, bench, row["since_at"])
    begins = parse(body).versions[_place_at(body, bench.now)].effective_from
    if not bench.reaches_to <= begins < bench.now:
        local = bench.now.astimezone(fmt.timezone)
        begins = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return _drafted(body, bench, begins)


def _drafted(body: Mapping[str, Any], bench: Bench, since: datetime) -> Draft:
    """The fields of the version in force when a correction begins."""
    said = written.local_text(since, bench.fmt)
    return written.drafted(body, bench.fmt, _place_at(body, since), said)


def _place_at(body: Mapping[str, Any], at: datetime) -> int:
    """Which version is in force at an instant; before the first, that."""
    return max(sum(one.effective_from <= at for one in parse(body).versions) - 1, 0)


def _taken(body: Mapping[str, Any], bench: Bench) -> Draft:
    """The fields of a scheme brought from elsewhere, which must be of the same currency."""
    draft = draft_of(body, bench.fmt)
    if body["currency"] != bench.fmt.currency:
        raise SchemeOfOtherCurrency(currency=body["currency"], ours=bench.fmt.currency)
    return draft


def _draft(sent: FormData, bench: Bench) -> Draft:
    return fields.whole(fields.nest(sent.multi_items()), blank(bench.fmt))


async def _change(request: Request, bench: Bench, sent: FormData) -> Response:
    """One step done to the fields, or all of them taken from a file."""
    upload, words = sent.get("scheme_file"), words_of(request)
    draft, error, days_error = _draft(sent, bench), "", ""
    if isinstance(upload, UploadFile) and upload.filename:
        try:
            draft = _brought(await read_file(upload), bench, draft)
        except BadInput as wrong:
            error = words.error(wrong)
    elif sent.get(_STEP_FIELD) == _SHOW_STEP and bench.corrects:
        draft, error = _turned(bench, draft)
    elif sent.get(_STEP_FIELD) == _CALENDAR_STEP:
        project_id = int(request.path_params["project_id"])
        calendar = await project.calendar(database_of(request), project_id)
        if not steps.take_days(draft, calendar, bench.fmt):
            days_error = words(N_("The project's calendar has no holidays from then on."))
    else:
        steps.step(draft, str(sent.get(_STEP_FIELD, "")), words)
    facts = _facts(bench, draft) | {"error": error, "days_error": days_error}
    page = render(request, "scheme_fields.html", facts)
    page.headers["HX-Trigger"] = "stepped"
    return page


def _brought(body: Mapping[str, Any], bench: Bench, draft: Draft) -> Draft:
    """The fields of a scheme file; of a correction, those in force where it begins.

    Raises:
        CorrectionUnfit: it is of another commodity than the tariff.
        SchemeOfOtherCurrency: it is of another currency.
    """
    if not bench.corrects or bench.tariff is None:
        return _taken(body, bench)
    _taken(body, bench)
    if body["commodity"] != bench.tariff.row["commodity"]:
        raise correct.CorrectionUnfit(what=N_("Commodity"))
    since = bench.read(draft).since or bench.now
    whole = {**(bench.header or {}), "versions": body["versions"]}
    return _drafted(whole, bench, since) | {"since": draft["since"]}


def _turned(bench: Bench, draft: Draft) -> tuple[Draft, str]:
    """Another version's fields, once those of this one can be read; else what stands in the way."""
    found, kept = bench.read(draft), written.kept_in(draft)
    if found.scheme is None:
        draft["shown"] = str(kept.place)
        return draft, bench.fmt.words(N_("Mend this version before you go to another."))
    wanted = int(draft["shown"]) if draft["shown"].isdecimal() else found.place
    place = min(wanted, len(found.body["versions"]) - 1)
    return written.drafted(found.body, bench.fmt, place, draft["since"]), ""


async def read_file(upload: UploadFile) -> dict[str, Any]:
    """The scheme of a file. Raises `SchemeFileUnreadable`, `TariffInvalid`."""
    content = await upload.read(SCHEME_BYTES_MAX + 1)
    if len(content) > SCHEME_BYTES_MAX:
        raise SchemeFileUnreadable(why=f"> {SCHEME_BYTES_MAX} B")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SchemeFileUnreadable(why=str(error)) from None
    parse(body)
    assert isinstance(body, dict)
    return body


async def _judged(request: Request, bench: Bench, draft: Draft) -> Typed:
    """What was typed; a correction is checked as its replay will check it."""
    found = bench.read(draft)
    if not bench.corrects or found.scheme is None or found.since is None or found.faults:
        return found
    project_id, tariff_id = (int(request.path_params[n]) for n in ("project_id", "tariff_id"))
    try:
        await replay.asked_of_correction(
            database_of(request), Tariffs(), project_id, tariff_id, found.since, found.body,
            bench.now,
        )  # fmt: skip
    except correct.CorrectionUnfit as error:
        what = str(error.facts["what"])
        unfit = correct.CorrectionUnfit(what=names.FIELD.get(what, what))
        unfit.field = what
        found.refused(unfit)
    except BadInput as error:
        found.refused(error)
    return found


def _looks(
    request: Request, bench: Bench, found: Typed, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """What the preview shows: what stands in the way, the pictures, a bill, what changes."""
    words, fmt = words_of(request), bench.fmt
    facts: dict[str, Any] = {
        "faults": [(one.field, one.said(words)) for one in found.faults],
        "weekdays": offered(words)["weekday"], "picture": None, "bill": None, "changes": None,
        "period_end": (), "stretches": None, "bill_was": None, "bill_error": "",
        "corrects": bench.corrects,
        "unit": labels.UNIT[found.scheme.commodity] if found.scheme else "",
    }  # fmt: skip
    if found.scheme is None:
        return facts
    version = found.scheme.versions[found.place]
    begins = found.since or version.effective_from
    wanted = trying.asked(asked, begins.astimezone(fmt.timezone))
    facts["picture"] = picture(version, wanted.year, words)
    facts["wanted"] = wanted
    facts["period_end"] = period_end(version, words)
    try:
        facts["bill"] = trying.bill(found.scheme, wanted, fmt)
        if bench.corrects and bench.in_force is not None:
            facts["bill_was"] = trying.bill(bench.in_force, wanted, fmt)
    except MeterhouseError as error:
        facts["bill_error"] = words.error(error)
    if found.since is not None:
        facts["stretches"] = _stretches(bench, found)
    elif bench.in_force is not None:
        facts["changes"] = changes(bench.in_force, found.scheme, words)
    return facts


def _stretches(bench: Bench, found: Typed) -> Sequence[Stretch]:
    """What a correction changes; nothing where it is none, or cannot be read."""
    if bench.in_force is None or found.scheme is None or found.since is None:
        return ()
    return stretches(bench.in_force, found.scheme, found.since, bench.fmt.words)


async def _publish(request: Request, bench: Bench, sent: FormData) -> Response:
    """Publish or replay what was typed, or show it again with what is wrong beside its fields."""
    doing = doing_of(request, Via.CONSOLE, f"form:{form_key(sent)}")
    # What begins *now* begins at the very instant at which it is checked.
    bench, draft = replace(bench, now=doing.doer.at), _draft(sent, bench)
    found = await _judged(request, bench, draft)
    is_same = not any(one.changes for one in _stretches(bench, found))
    if bench.corrects and is_same and not found.faults:
        # Before anything was typed it is no fault yet, so the preview only says so.
        found.refused(CorrectionChangesNothing())
    if found.faults:
        return await _page(request, bench, draft, found, asked=dict(sent), status=422)
    try:
        form = bench.act.form.model_validate(_said(bench, found))
        answered = await do(bench.act, doing, form)
    except ValidationError:
        said = words_of(request).error(BadInput())
        return await _page(request, bench, draft, found, asked=dict(sent), error=said, status=422)
    except MeterhouseError as error:
        if error.http_status >= 500 or error.http_status in (401, 403, 404):
            raise
        found.refused(error)
        return await _page(request, bench, draft, found, asked=dict(sent), status=error.http_status)
    where = "tasks" if bench.corrects else "tariffs"
    there = f"/projects/{doing.project_id}/{where}/{answered.answer['id']}"
    return RedirectResponse(there, status_code=303)


def _said(bench: Bench, found: Typed) -> dict[str, Any]:
    """What was typed, as the act asks for it."""
    if found.since is not None:
        text = json.dumps(found.body, ensure_ascii=False)
        return {"since": found.since.isoformat(), "scheme": text}
    return found.body if bench.tariff is None else found.body["versions"][-1]


async def _page(
    request: Request, bench: Bench, draft: Draft, found: Typed | None = None, *,
    asked: Mapping[str, Any] | None = None, error: str = "", status: int = 200,
) -> Response:  # fmt: skip
    """The whole page; what was refused comes with its preview, the first one fetches its own."""
    facts = _facts(bench, draft) | {
        "error": error, "is_tried": status != 200, "key": secrets.token_hex(16),
        "wanted": trying.first(bench.now.astimezone(bench.fmt.timezone)),
    }  # fmt: skip
    if found is not None:
        looks = await run_in_threadpool(_looks, request, bench, found, asked or {})
        of_none = [said for field, said in looks["faults"] if not field]
        facts["error"] = error or " ".join(of_none)
        facts = looks | facts | {"wanted": looks.get("wanted", facts["wanted"])}
    return render(request, "scheme_editor.html", facts, status)


def _facts(bench: Bench, draft: Draft) -> dict[str, Any]:
    """What the fields need beside what was typed."""
    words = bench.fmt.words
    return {
        "act": bench.act, "address": bench.address, "draft": draft, "tariff": bench.tariff,
        "offered": offered(words), "is_new": bench.tariff is None,
        "band_choices": [("", words(N_("Choose …"))), *_places(draft["bands"])],
        "table_choices": _places(draft["tables"]),
        "unit": labels.UNIT[_commodity(bench, draft)],
        "corrects": bench.corrects,
        "reaches_to": f"{bench.reaches_to.astimezone(bench.fmt.timezone) + _MINUTE:%Y-%m-%d %H:%M}",
        "shown": _shown(bench, draft), "days_error": "",
    }  # fmt: skip


def _shown(bench: Bench, draft: Draft) -> list[tuple[str, str]]:
    """The versions of a correction, by when each begins, for the list to choose from."""
    begins = (
        str(one.get("effective_from", "")) for one in written.kept_in(draft).versions
        if isinstance(one, dict)
    )  # fmt: skip
    return [
        (str(place), bench.fmt.words(N_("{number}, in force from {at}"), number=place + 1,
                                     at=_instant_text(text, bench.fmt)))
        for place, text in enumerate(begins)
    ] if bench.corrects else []  # fmt: skip


def _instant_text(text: str, fmt: Formats) -> str:
    with suppress(ValueError):
        return written.local_text(datetime.fromisoformat(text), fmt)
    return text


def _places(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Rows as a list offers them: by their place, under the names they have just now."""
    return [(str(at), row["name"]) for at, row in enumerate(rows)]


def _commodity(bench: Bench, draft: Draft) -> Commodity:
    if bench.tariff is not None:
        return bench.tariff.scheme.commodity
    known = {one.value for one in labels.UNIT}
    return Commodity(draft["commodity"]) if draft["commodity"] in known else Commodity.ELECTRICITY
