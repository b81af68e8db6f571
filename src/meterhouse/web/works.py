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
from meterhouse.flows import access, act, correct, day, monitor, replay, task
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.act import Doer, Done, Via
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.task import Claimed, Progress, Tell
from meterhouse.store.db import Database, DatabaseBusy, DatabaseUnreachable
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts import BY_NAME
from meterhouse.web.acts.bulk import KIND as BULK_KIND
from meterhouse.web.acts.bulk import row_name
from meterhouse.web.acts.day import KIND as CLOSE_KIND
from meterhouse.web.acts.day import read_day
from meterhouse.web.acts.frame import Act, Doing, Form
from meterhouse.web.acts.listed import EXPORT_KIND
from meterhouse.web.acts.replay import CORRECTION_KIND
from meterhouse.web.acts.replay import KIND as REPLAY_KIND
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
        CLOSE_KIND: partial(_close_days, services),
        REPLAY_KIND: partial(_replay, services),
        CORRECTION_KIND: partial(_sweep, services),
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
        is_row=claimed.kind == BULK_KIND,
    )  # fmt: skip


async def _bulk(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Do an act to one row after the other; what was done before a crash is not done again."""
    asked = claimed.input
    act = BY_NAME[asked["act"]]
    doing = await _doing(services, db, claimed)
    rows: list[dict[str, Any]] = list((claimed.result or {}).get("rows", ()))
    ids = asked["ids"]
    for place in range(len(rows), len(ids)):
        form = _form_of(act, asked, place)
        rows.append(await _one(act, doing, form, f"{claimed.id}:{place}", ids[place]))
        if len(rows) % TELL_ROWS == 0:
            await tell(Progress(len(rows), len(ids), {"rows": rows}))
    return Progress(len(rows), len(ids), {"rows": rows})


def _form_of(act: Act[Any], asked: Mapping[str, Any], place: int) -> Form:
    """What is asked of a row: the same of all, or of each its own."""
    given = asked["forms"][place] if "forms" in asked else asked["form"]
    form: Form = act.form.model_validate(given)
    return form


async def _one(act: Act[Any], doing: Doing, form: Form, key: str, row_id: int) -> dict[str, Any]:
    """One row: done, refused with why, or failed; its key makes it once."""
    doer = replace(doing.doer, at=doing.services.clock(), key=f"task:{key}")
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
    rows = await task.rows_of(db, claimed)
    form = act.form.model_validate({"rows": rows})
    count = len(rows)
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


async def _replay(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Rate charges again and keep what was found."""
    doing = await _doing(services, db, claimed)
    return await replay.carry_out(doing.db, Tariffs(), claimed, services.clock(), tell)


async def _sweep(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Let what was charged follow a correction; two people have agreed, so nobody is asked anew."""
    return await correct.sweep(
        db, Tariffs(), claimed.project_id, claimed.input, claimed.result, services.clock, tell
    )


async def _close_days(services: Services, db: Database, claimed: Claimed, tell: Tell) -> Progress:
    """Close the days of one project after the other; each is asked for anew."""
    asked, actor_id = claimed.input, claimed.actor_id
    rows: list[dict[str, Any]] = list((claimed.result or {}).get("rows", ()))
    for project_id in asked["ids"][len(rows) :]:
        known = None if actor_id is None else await access.known_by_id(db, actor_id)
        caller = caller_of(known)
        reach = caller.scopes.get(project_id) if caller else None
        rows.append(await _close_project(services, db, claimed, project_id, reach))
        await tell(Progress(len(rows), len(asked["ids"]), {"rows": rows}))
    return Progress(len(rows), len(asked["ids"]), {"rows": rows})


async def _close_project(
    services: Services, db: Database, claimed: Claimed, project_id: int, reach: Reach | None
) -> dict[str, Any]:
    """One project: closed, or refused with why; with an entry of its own in its audit."""
    asked, at = claimed.input, services.clock()
    name = str(project_id) if reach is None else reach.name
    row = {"id": project_id, "name": name, "outcome": "done", "why": "", "command_id": None}
    if reach is None or Verb.DAY_CLOSE not in reach.verbs:
        return row | {"outcome": "refused", "why": NotAllowed.code,
                      "facts": {"verb": Verb.DAY_CLOSE}}  # fmt: skip
    doer = Doer(claimed.actor_id, Via(asked["via"]), at, f"task-{claimed.id}")
    try:
        done = await day.close_days(db, project_id, read_day(asked["day"]), doer.actor_id, at)

        async def entered(_: Database) -> Done:
            closed = [one.isoformat() for one in done]
            return Done(f"project:{project_id}", after={"days": closed}, reason=asked["reason"])

        await act.perform(db, doer, [project_id], asked["act"], Verb.DAY_CLOSE, {}, entered)
    except (DatabaseUnreachable, DatabaseBusy):
        raise
    except MeterhouseError as error:
        facts = {name: str(fact) for name, fact in error.facts.items()}
        return row | {"outcome": "refused", "why": error.code, "facts": facts}
    return row
