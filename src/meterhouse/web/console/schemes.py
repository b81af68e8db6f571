"""The scheme editor's pages: begin, step by step, look before publishing, publish; and files.

Owns the addresses. Must never know how fields become a scheme (`web.schemes`). Nothing is kept on
the server between two steps: every request carries all fields, and only publishing changes
anything.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import library, tariff
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Via
from meterhouse.model import Commodity
from meterhouse.rating.tariff import Scheme, parse
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import scheme as scheme_acts
from meterhouse.web.acts.frame import Act
from meterhouse.web.acts.routes import do, doing_of, form_key
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, render, words_of
from meterhouse.web.schemes import fields, steps, trying, written
from meterhouse.web.schemes.changes import changes
from meterhouse.web.schemes.offered import offered
from meterhouse.web.schemes.pictures import picture
from meterhouse.web.schemes.typed import Fault, Typed, read
from meterhouse.web.schemes.written import Draft, blank, draft_of
from meterhouse.words import N_

router = APIRouter()

SCHEME_BYTES_MAX: Final = 1_000_000
_TARIFFS: Final = "/projects/{project_id}/tariffs"
_STEP_FIELD: Final = "do"


class SchemeFileUnreadable(BadInput):
    """This file is no scheme file: {why}."""

    code = "scheme_file_unreadable"


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
        tariff: the tariff that gets a further version; None for a new one.
    """

    act: Act[Any]
    address: str
    fmt: Formats
    now: datetime
    tariff: tariff.TariffNow | None

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
        return read(draft, self.fmt, self.now, self.header)


async def _bench(request: Request, act: Act[Any]) -> Bench:
    ids = request.path_params
    now = None
    if "tariff_id" in ids:
        there = int(ids["project_id"]), int(ids["tariff_id"])
        now = await tariff.look(database_of(request), *there)
    address = act.page.format(**ids)
    return Bench(act, address, formats_of(request), request.app.state.services.clock(), now)


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
            return _page(request, bench, blank(bench.fmt), error=words_of(request).error(error))
        return _page(request, bench, draft)

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
        facts = await run_in_threadpool(_looks, request, bench, draft, asked)
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


for _act in scheme_acts.DRAWN:
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
    draft, error = _draft(sent, bench), ""
    if isinstance(upload, UploadFile) and upload.filename:
        try:
            draft = _taken(await read_file(upload), bench)
        except BadInput as wrong:
            error = words.error(wrong)
    else:
        steps.step(draft, str(sent.get(_STEP_FIELD, "")), words)
    page = render(request, "scheme_fields.html", _facts(bench, draft) | {"error": error})
    page.headers["HX-Trigger"] = "stepped"
    return page


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


def _looks(
    request: Request, bench: Bench, draft: Draft, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """What the preview shows: what stands in the way, the pictures, a bill, what changes."""
    words, fmt = words_of(request), bench.fmt
    found = bench.read(draft)
    facts: dict[str, Any] = {
        "faults": [(one.field, one.said(words)) for one in found.faults],
        "weekdays": offered(words)["weekday"], "picture": None, "bill": None, "changes": None,
        "bill_error": "",
        "unit": labels.UNIT[found.scheme.commodity] if found.scheme else "",
    }  # fmt: skip
    if found.scheme is None:
        return facts
    version = found.scheme.versions[-1]
    wanted = trying.asked(asked, version.effective_from.astimezone(fmt.timezone))
    facts["picture"] = picture(version, wanted.year, words)
    facts["wanted"] = wanted
    try:
        facts["bill"] = trying.bill(found.scheme, wanted, fmt)
    except MeterhouseError as error:
        facts["bill_error"] = words.error(error)
    if bench.in_force is not None:
        facts["changes"] = changes(bench.in_force, found.scheme, words)
    return facts


async def _publish(request: Request, bench: Bench, sent: FormData) -> Response:
    """Publish what was typed, or show it again with what is wrong beside its fields."""
    draft, words = _draft(sent, bench), words_of(request)
    found = bench.read(draft)
    if found.faults:
        return _page(request, bench, draft, status=422)
    doing = doing_of(request, Via.CONSOLE, f"form:{form_key(sent)}")
    said = found.body if bench.tariff is None else found.body["versions"][-1]
    try:
        form = bench.act.form.model_validate(said)
        answered = await do(bench.act, doing, form)
    except ValidationError:
        return _page(request, bench, draft, error=words.error(BadInput()), status=422)
    except MeterhouseError as error:
        if error.http_status >= 500 or error.http_status in (401, 403, 404):
            raise
        known = Fault(error.field, error)
        return _page(request, bench, draft, error=known.said(words), status=error.http_status)
    there = _TARIFFS.format(project_id=doing.project_id)
    return RedirectResponse(f"{there}/{answered.answer['id']}", status_code=303)


def _page(
    request: Request, bench: Bench, draft: Draft, error: str = "", status: int = 200
) -> Response:
    facts = _facts(bench, draft) | {
        "error": error, "is_tried": status != 200, "key": secrets.token_hex(16),
        "wanted": trying.first(bench.now.astimezone(bench.fmt.timezone)),
    }  # fmt: skip
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
    }  # fmt: skip


def _places(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Rows as a list offers them: by their place, under the names they have just now."""
    return [(str(at), row["name"]) for at, row in enumerate(rows)]


def _commodity(bench: Bench, draft: Draft) -> Commodity:
    if bench.tariff is not None:
        return bench.tariff.scheme.commodity
    known = {one.value for one in labels.UNIT}
    return Commodity(draft["commodity"]) if draft["commodity"] in known else Commodity.ELECTRICITY
