"""What long tasks of the web do: an act done to many, a large import, a long list as a file.

Owns the three kinds of work that the worker carries out for the console and the API. Must never
know a particular act or list. Who asked may have lost a right meanwhile: each task asks anew what
its person may do, and does nothing that they may not.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from meterhouse.errors import MeterhouseError
from meterhouse.flows import access, monitor, task
from meterhouse.flows.act import Doer, Via
from meterhouse.flows.task import Claimed, Progress, Tell
from meterhouse.store.db import Database, DatabaseBusy, DatabaseUnreachable
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts import BY_NAME
from meterhouse.web.acts.bulk import KIND as BULK_KIND
from meterhouse.web.acts.bulk import row_name
from meterhouse.web.acts.frame import Act, Doing, Form
from meterhouse.web.acts.listed import EXPORT_KIND
from meterhouse.web.acts.routes import do
from meterhouse.web.acts.sheets import IMPORT_KIND
from meterhouse.web.exports import MEDIA_TYPES, Sheet, write_file
from meterhouse.web.formats import Formats
from meterhouse.web.gate import caller_of
from meterhouse.web.selection import wanted
from meterhouse.web.services import Services
from meterhouse.web.tables import list_state
from meterhouse.web.views import LISTS
from meterhouse.words import words

TELL_ROWS: Final = 25
_FILE_BYTES_MAX: Final = 64_000_000


class FileTooLarge(MeterhouseError):
    """The file would be larger than {megabytes} MB; filter the list further."""

    code = "file_too_large"
    http_status = 422


def works(services: Services) -> Mapping[str, task.Work]:
    """Which work carries out a task of which kind."""
    return {
        BULK_KIND: partial(_bulk, services),
        IMPORT_KIND: partial(_import, services),
        EXPORT_KIND: partial(_export, services),
    }


async def _doing(services: Services, db: Database, claimed: Claimed) -> Doing:
    """The act of whoever asked, with what they may do now. Raises `NotAllowed`."""
    asked = claimed.input
    known = None if claimed.actor_id is None else await access.known_by_id(db, claimed.actor_id)
    caller = caller_of(known)
    reach = caller.scopes.get(claimed.project_id) if caller else None
    if reach is None or asked["verb"] not in reach.verbs:
        raise NotAllowed(asked["verb"])
    scope = reach.asked(asked["verb"])
    # Neither beyond what may be seen now, nor beyond what could be seen when it was asked for: its
    # result and its file are shown to whoever sees the buildings of then.
    limit = access.both(scope.building_ids, claimed.building_ids)
    spoken = words(str(asked.get("language", "")))
    return Doing(
        db=db.within(limit),
        doer=Doer(claimed.actor_id, Via(asked.get("via", Via.CONSOLE)), services.clock(),
                  f"task-{claimed.id}"),
        ids={"project_id": claimed.project_id},
        scope=scope,
        granted=scope.verbs,
        fmt=Formats(spoken, ZoneInfo(scope.timezone), scope.currency, scope.currency_exponent),
        words=spoken,
        services=services,
        second_id=claimed.second_id,
    )  # fmt: skip


async def _bulk(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Do an act to one row after the other; what was done before a crash is not done again."""
    asked = claimed.input
    act = BY_NAME[asked["act"]]
    doing = await _doing(services, db, claimed)
    form = _form_of(act, asked)
    rows: list[dict[str, Any]] = list((claimed.result or {}).get("rows", ()))
    ids = asked["ids"]
    for row_id in ids[len(rows) :]:
        rows.append(await _one(act, doing, form, claimed.id, row_id))
        if len(rows) % TELL_ROWS == 0:
            await tell(Progress(len(rows), len(ids), {"rows": rows}))
    return Progress(len(rows), len(ids), {"rows": rows})


def _form_of(act: Act[Any], asked: Mapping[str, Any]) -> Form:
    form: Form = act.form.model_validate(asked["form"])
    return form


async def _one(
    act: Act[Any], doing: Doing, form: Form, task_id: int, row_id: int
) -> dict[str, Any]:
    """One row: done, refused with why, or failed."""
    doer = replace(doing.doer, at=doing.services.clock(), key=f"task:{task_id}:{row_id}")
    mine = replace(doing, doer=doer, ids={**doing.ids, row_name(act): row_id})
    row = {"id": row_id, "outcome": "done", "why": "", "command_id": None}
    try:
        answered = await do(act, mine, form)
    except (DatabaseUnreachable, DatabaseBusy):
        raise
    except MeterhouseError as error:
        outcome = "failed" if error.http_status >= 500 else "refused"
        facts = {name: str(fact) for name, fact in error.facts.items()}
        return row | {"outcome": outcome, "why": error.code, "facts": facts}
    if isinstance(answered.answer, dict) and act.tag == "commands":
        row["command_id"] = answered.answer["id"]
    return row


async def _import(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Take the rows of a spreadsheet over: all or none."""
    asked = claimed.input
    act = BY_NAME[asked["act"]]
    doing = await _doing(services, db, claimed)
    form = act.form.model_validate({"rows": asked["rows"]})
    count = len(asked["rows"])
    await tell(Progress(0, count))
    doer = replace(doing.doer, key=asked["key"])
    ids = {**doing.ids, **asked["ids"]}
    answered = await do(act, replace(doing, doer=doer, ids=ids), form)
    return Progress(count, count, {"answer": answered.answer})


async def _export(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Write a list to a file as its address filters, sorts and shows it."""
    asked = claimed.input
    doing = await _doing(services, db, claimed)
    _, fmt = doing.here
    view, kind = LISTS[asked["list"]], asked["kind"]
    state = list_state(view.table, QueryParams(asked["query"].removeprefix("?")))
    chunks = monitor.stream(doing.db, claimed.project_id, view.table.name, wanted(state, fmt))
    count = 0

    async def told(rows: int) -> None:
        nonlocal count
        count = rows
        await tell(Progress(rows, 0))

    path = await write_file(Sheet(fmt.words(view.heading), state.columns, fmt), kind, chunks, told)
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise FileTooLarge(megabytes=_FILE_BYTES_MAX // 1_000_000)
        content = await run_in_threadpool(path.read_bytes)
    finally:
        path.unlink(missing_ok=True)
    name = f"{view.table.name}.{kind}"
    await task.put_file(db, claimed.project_id, claimed.id, name, MEDIA_TYPES[kind], content)
    return Progress(count, count)
