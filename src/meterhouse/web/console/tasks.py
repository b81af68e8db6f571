"""One long task: how far it is, what came of each row, its file. The page follows by itself.

Owns the page and its part that refreshes itself, in a dialog or on the page; it lives on the
server, so a closed tab loses nothing. Must never know what a task does.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.errors import MeterhouseError
from meterhouse.flows import monitor, task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Via
from meterhouse.model import CommandState
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import BY_NAME
from meterhouse.web.acts.bulk import row_name
from meterhouse.web.acts.frame import Act, Choices, Doing
from meterhouse.web.acts.listed import EXPORT_KIND
from meterhouse.web.acts.replay import KIND as REPLAY_KIND
from meterhouse.web.acts.routes import doing_of
from meterhouse.web.audited import fact_told
from meterhouse.web.files import task_file
from meterhouse.web.labels import TaskState
from meterhouse.web.pages import formats_of, render, words_of
from meterhouse.words import N_, Words

router = APIRouter(dependencies=[Depends(Permission(Verb.TASK_READ))])

ROWS_SHOWN: Final = 200
_LIVE: Final = {TaskState.WAITING, TaskState.QUEUED, TaskState.RUNNING}
_LIVE_COMMANDS: Final = {CommandState.QUEUED, CommandState.SENT}
_TASK: Final = "/projects/{project_id}/tasks/{task_id:int}"
NAMES_SHOWN: Final = 20
# Who somebody is stands on their page alone, for those who may see it.
_PERSONAL: Final = {one.value for one in labels.FACT}
_OUTCOMES: Final = {
    "done": (N_("Done"), "ok"),
    "refused": (N_("Refused"), "w2"),
    "failed": (N_("Failed"), "owe"),
}


@router.get(_TASK)
async def task_page(request: Request, project_id: int, task_id: int) -> Response:
    """A task with everything that is known of it."""
    return render(request, "task.html", await _facts(request, project_id, task_id))


@router.get(f"{_TASK}/progress")
async def task_progress(request: Request, project_id: int, task_id: int) -> Response:
    """How far it is, for the dialog and for the page; it asks again until the task has ended."""
    facts = await _facts(request, project_id, task_id)
    is_page = request.query_params.get("on") == "page"
    if is_page and facts["is_replay"] and Verb.TARIFF_REPLAY in request.state.scope.verbs:
        # It ended under the reader's eyes, who waits for nothing but its result.
        there = f"/projects/{project_id}/replays/{task_id}"
        return Response(status_code=204, headers={"HX-Redirect": there})
    return render(request, "task_now.html" if is_page else "task_dialog.html", facts)


@router.get(f"{_TASK}/file")
async def file(request: Request, project_id: int, task_id: int) -> Response:
    """The file it made."""
    return await task_file(request, project_id, task_id)


async def _facts(request: Request, project_id: int, task_id: int) -> dict[str, Any]:
    database = database_of(request)
    row = await task.get(database, project_id, task_id)
    state, found = TaskState(row["state"]), (row["result"] or {}).get("rows", ())
    act = BY_NAME.get(row["input"].get("act", ""))
    shown = sorted(found, key=lambda one: one["outcome"] == "done")[:ROWS_SHOWN]
    commands = await monitor.command_states(
        database, project_id, [one["command_id"] for one in found if one["command_id"]]
    )
    is_live = state in _LIVE or any(s in _LIVE_COMMANDS for s, _ in commands.values())
    spoken = words_of(request)
    made = state is TaskState.DONE and row["kind"] == EXPORT_KIND
    has_file = made and await task.has_file(database, project_id, task_id)
    return {
        "task": row,
        "asked": await _asked(request, act, row, is_ahead=not found),
        "state": state,
        "is_live": is_live,
        "counts": _counts(found, commands),
        "rows": await _rows(request, act, shown, commands),
        "row_count": len(found),
        "why": error_text(spoken, row["why"], {}) if row["why"] else "",
        "has_file": has_file,
        "is_file_gone": made and not has_file,
        "file_days": task.FILE_LIFE.days,
        "is_replay": state is TaskState.DONE and row["kind"] == REPLAY_KIND,
        "forms": _forms(request, row, state),
    }


async def _asked(
    request: Request, act: Act[Any] | None, row: Any, is_ahead: bool
) -> list[tuple[str, str]]:
    """(message id, text) of who asked for what and to whom: by it a second person decides.

    Once something has been done (not `is_ahead`), each row says whom it was done to.
    """
    given, who = row["input"], row["actor"] or words_of(request)(N_("Automatic"))
    told = [(N_("Asked by"), who)]
    if act is None or not given.get("ids") or not is_ahead:
        return told
    # What it was asked for may have gone since.
    with suppress(MeterhouseError):
        told += await _whom(doing_of(request, Via.CONSOLE), act, given["ids"])
    fmt, form = formats_of(request), given.get("form", {})
    return told + [
        (ask.title, fact_told(name, form[name], ask, fmt))
        for name, (_, ask) in act.asks.items()
        if form.get(name) and ask.title and name not in {"reason", *_PERSONAL}
        and ask.kind not in ("hidden", "ids", "secret")
    ]  # fmt: skip


async def _whom(doing: Doing, act: Act[Any], ids: Sequence[int]) -> Choices:
    if len(ids) == 1 and act.about is not None:
        project_id = doing.ids["project_id"]
        return await act.about(
            replace(doing, ids={"project_id": project_id, row_name(act): ids[0]})
        )
    if act.bulk is None:
        return ()
    names = list(await act.bulk(doing, ids[:NAMES_SHOWN]))
    if len(ids) > len(names):
        names.append(doing.words(N_("and {count} more"), count=len(ids) - len(names)))
    return ((N_("To whom"), ", ".join(names)),)


def _counts(
    found: Sequence[Any], commands: Mapping[int, tuple[str, str]]
) -> list[tuple[str, str, int]]:
    """(word, colour, how many) of what came of the rows, commands by what their meters said."""
    counted: dict[tuple[str, str], int] = {}
    for one in found:
        key = _outcome(one, commands)
        counted[key] = counted.get(key, 0) + 1
    return [(word, colour, count) for (word, colour), count in counted.items()]


def _outcome(one: Any, commands: Mapping[int, tuple[str, str]]) -> tuple[str, str]:
    """A row's word and colour: *sent* is not *done*, so a command's own state goes first."""
    if one["command_id"] in commands:
        state = CommandState(commands[one["command_id"]][0])
        return labels.COMMAND_STATE[state], labels.COMMAND_CLASS[state]
    return _OUTCOMES[one["outcome"]]


async def _rows(
    request: Request, act: Act[Any] | None, shown: Sequence[Any],
    commands: Mapping[int, tuple[str, str]],
) -> list[tuple[str, str, str, str]]:  # fmt: skip
    """(name, word, colour, why) of the rows shown; what is not done stands first."""
    spoken, names = words_of(request), {}
    for one in shown:
        names[one["id"]] = one.get("name", str(one["id"]))
    if act is not None and act.bulk is not None and shown:
        doing = doing_of(request, Via.CONSOLE)
        try:
            ids = [one["id"] for one in shown]
            names = dict(zip(ids, await act.bulk(doing, ids), strict=True))
        except MeterhouseError:
            pass  # one of them has gone since; its number still tells which it was
    rows = []
    for one in shown:
        word, colour = _outcome(one, commands)
        if one["command_id"] in commands:
            code = commands[one["command_id"]][1]
            why = spoken(labels.WHY.get(code, code))
        else:
            why = error_text(spoken, one["why"], one.get("facts", {})) if one["why"] else ""
        rows.append((names[one["id"]], word, colour, why))
    return rows


def _forms(request: Request, row: Any, state: TaskState) -> list[tuple[str, str, bool]]:
    """(title, address, is primary) of what this reader can do to the task now."""
    scope, ids = request.state.scope, {"project_id": row["project_id"], "task_id": row["id"]}
    mine = row["actor_id"] == request.state.caller.person_id
    may = scope.covers(row["input"].get("verb", ""), row["building_ids"])
    forms = []
    if state is TaskState.WAITING and may and not mine:
        act = BY_NAME["task.approve"]
        forms.append((act.title, act.page.format(**ids), True))
    if state in _LIVE and (mine or may) and not row["input"].get("must_end"):
        act = BY_NAME["task.cancel"]
        forms.append((act.title, act.page.format(**ids), False))
    return forms


def error_text(spoken: Words, code: str, facts: Mapping[str, str]) -> str:
    """What an error's code means, in the reader's language; the code itself where it is unknown."""
    kind = _errors().get(code)
    if kind is None:
        return spoken(labels.WHY.get(code, code))
    message = spoken((kind.__doc__ or "").strip().splitlines()[0])
    try:
        return message.format(**facts)
    except (KeyError, IndexError, ValueError):
        return message


def _errors() -> dict[str, type[MeterhouseError]]:
    found, left = {}, [MeterhouseError]
    while left:
        kind = left.pop()
        found[kind.code] = kind
        left += kind.__subclasses__()
    return found
