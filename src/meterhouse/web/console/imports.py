"""The pages of an import: fetch the template, upload, look at what was found, take all or nothing.

Owns the steps. Must never know what is imported. Between the preview and the deed nothing is kept
here: the page carries the checked rows, and they are checked again.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from meterhouse.errors import BadInput
from meterhouse.flows import task
from meterhouse.flows.act import Via
from meterhouse.store.tasks import NewTask
from meterhouse.web.access import Permission
from meterhouse.web.acts.routes import do, doing_of, form_key
from meterhouse.web.acts.sheets import (
    IMPORT_KIND,
    ROWS_AT_ONCE_MAX,
    Checked,
    RowsPackedBadly,
    Sheet,
    check,
    csv_template,
    pack,
    template,
    unpack,
)
from meterhouse.web.exports import MEDIA_TYPES
from meterhouse.web.pages import render, words_of
from meterhouse.web.spreadsheets import LINES_MAX, read_lines
from meterhouse.words import N_

ROWS_SHOWN: Final = 20
FAULTS_SHOWN: Final = 200


def add_pages(router: APIRouter, sheets: Iterable[Sheet[Any]]) -> None:
    """The page of each sheet, its template, and what its forms do."""
    for sheet in sheets:
        may = [Depends(Permission(sheet.verb))]
        name = sheet.name.replace(".", "_")
        for path, endpoint, method in (
            (sheet.act.page, _page(sheet), "GET"),
            (sheet.act.page, _posted(sheet), "POST"),
            (f"{sheet.act.page}/template", _template(sheet, "xlsx", template), "GET"),
            (f"{sheet.act.page}/template.csv", _template(sheet, "csv", csv_template), "GET"),
        ):
            kind = path.removeprefix(sheet.act.page).strip("/").replace(".", "_") or method.lower()
            router.add_api_route(
                path, endpoint, methods=[method], dependencies=may, name=f"{name}_{kind}"
            )


def _page(sheet: Sheet[Any]) -> Callable[..., Any]:
    async def page(request: Request) -> Response:
        return _show(request, sheet)

    return page


def _template(sheet: Sheet[Any], kind: str, made: Callable[..., Any]) -> Callable[..., Any]:
    async def file(request: Request) -> Response:
        content = await made(sheet, doing_of(request, Via.CONSOLE))
        named = f'attachment; filename="{sheet.name.replace(".", "-")}.{kind}"'
        return Response(content, headers={"Content-Disposition": named},
                        media_type=MEDIA_TYPES[kind])  # fmt: skip

    return file


def _posted(sheet: Sheet[Any]) -> Callable[..., Any]:
    async def take(request: Request) -> Response:
        async with request.form() as sent:
            upload = sent.get("file")
            try:
                if isinstance(upload, UploadFile) and upload.filename:
                    return await _preview(request, sheet, upload)
                if "rows" in sent:
                    return await _import(request, sheet, sent)
            except BadInput as error:
                return _show(request, sheet, wrong=words_of(request).error(error))
        return _show(request, sheet, wrong=words_of(request)(N_("Choose a file first.")))

    return take


async def _preview(request: Request, sheet: Sheet[Any], upload: UploadFile) -> Response:
    lines = await run_in_threadpool(read_lines, await upload.read())
    checked = await check(sheet, doing_of(request, Via.CONSOLE), lines)
    return _show(request, sheet, checked, lines[0].cells, file_name=upload.filename or "")


async def _import(request: Request, sheet: Sheet[Any], sent: FormData) -> Response:
    doing = doing_of(request, Via.CONSOLE, f"form:{form_key(sent)}")
    try:
        form = sheet.act.form.model_validate({"rows": unpack(str(sent["rows"]))})
    except ValidationError as error:
        raise RowsPackedBadly from error
    is_short = len(form.rows) <= ROWS_AT_ONCE_MAX or sheet.then is not None
    if is_short or doing.scope is None:
        answered = await do(sheet.act, doing, form)
        return RedirectResponse(sheet.page_after(doing, answered.answer), status_code=303)
    asked = {
        "act": sheet.act.name, "verb": sheet.verb, "ids": dict(doing.ids), "key": doing.doer.key,
        "language": doing.words.language,
    }  # fmt: skip
    # Rows may name people: they go with the task's end, not into what it is known by for ever.
    rows = form.model_dump(mode="json")["rows"]
    new = NewTask(IMPORT_KIND, sheet.title, asked, total_count=len(rows), rows=rows)
    task_id = await task.start(doing.db, doing.project_id, new, doing.doer.actor_id, doing.doer.at)
    return RedirectResponse(f"/projects/{doing.project_id}/tasks/{task_id}", status_code=303)


def _show(
    request: Request, sheet: Sheet[Any], checked: Checked[Any] | None = None,
    titles: Iterable[str] = (), file_name: str = "", wrong: str = "",
) -> Response:  # fmt: skip
    doing = doing_of(request, Via.CONSOLE)
    told = sheet.told(doing, checked.done) if sheet.told and checked and checked.done else ()
    is_bad = bool(wrong or (checked and checked.faults))
    facts = {
        "sheet": sheet,
        "address": request.url.path,
        "list_page": sheet.list_page(doing),
        "checked": checked,
        "told": told,
        "titles": list(titles),
        "file_name": file_name,
        "wrong": wrong,
        "lines_max": LINES_MAX,
        "rows_shown": ROWS_SHOWN,
        "faults_shown": FAULTS_SHOWN,
        "packed": pack(checked.rows) if checked and checked.done else "",
        "key": secrets.token_hex(16),
    }
    return render(request, "import.html", facts, 422 if is_bad else 200)
