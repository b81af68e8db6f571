"""Acts on lists themselves: save a filter under a name, and write a long list to a file."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import NotFound
from meterhouse.flows import filters, task
from meterhouse.flows.access import Verb, both
from meterhouse.flows.act import Done
from meterhouse.store.tasks import NewTask
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, NoFields
from meterhouse.web.api import work
from meterhouse.web.listview import KNOWN, ListView
from meterhouse.words import N_

EXPORT_KIND: Final = "export"
FILES: Final = {"xlsx": "XLSX", "csv": "CSV"}

ListName = Annotated[
    str, StringConstraints(pattern=r"^[a-z_]{1,40}$"), Ask(N_("List"), kind="hidden")
]
Query = Annotated[
    str, StringConstraints(max_length=work.QUERY_CHARS_MAX, pattern=r"^[^\x00]*$"),
    Ask(N_("Filter"), kind="hidden"),
]  # fmt: skip


class NewFilter(Form):
    """What a list shows, under a name."""

    name: Annotated[Name, Ask(N_("Name"))] = Field(examples=["Building A, offline"])
    """What to call it; one of the same name is replaced."""
    list: ListName = Field(examples=["meters"])
    """The list, as in the address of its page."""
    query: Query = Field(default="", examples=["?online=false&sort=room"])
    """The query of the list's address."""


class FilterName(Form):
    """A filter's name."""

    name: Annotated[Name, Ask(N_("Name"))] = Field(examples=["Building A, offline"])
    """What to call it."""


class NewFile(Form):
    """A list as a file."""

    list: ListName = Field(examples=["meters"])
    """The list, as in the address of its page."""
    query: Query = Field(default="", examples=["?online=false&sort=room"])
    """The query of the list's address: filters, order, columns."""
    kind: Annotated[
        str, StringConstraints(pattern=r"^(xlsx|csv)$"),
        Ask(N_("File"), kind="choice", words=FILES),
    ] = Field(default="xlsx", examples=["xlsx", "csv"])  # fmt: skip
    """The file's format."""


def view_of(doing: Doing, name: str) -> ListView:
    """The list of a name. Raises `NotFound`, or `NotAllowed` where it may not be read."""
    view = KNOWN.get(name)
    if view is None:
        raise NotFound(N_("List"), name)
    if view.verb not in doing.granted:
        raise NotAllowed(view.verb)
    return view


def _owner(doing: Doing) -> int:
    assert doing.doer.actor_id is not None
    return doing.doer.actor_id


async def _save(doing: Doing, form: NewFilter) -> Done:
    """Save a list's filter, order and columns under a name of one's own."""
    view_of(doing, form.list)
    filter_id = await filters.save(
        doing.db, doing.project_id, _owner(doing), form.list, form.name, form.query
    )
    shape = work.SavedFilter(id=filter_id, list=form.list, name=form.name, query=form.query)
    return Done(f"filter:{filter_id}", shape.model_dump(mode="json"), after={"list": form.list})


async def _rename(doing: Doing, form: FilterName) -> Done:
    """Give a saved filter another name."""
    filter_id = doing.ids["filter_id"]
    await filters.rename(doing.db, doing.project_id, _owner(doing), filter_id, form.name)
    return Done(f"filter:{filter_id}")


async def _delete(doing: Doing, _: NoFields) -> Done:
    """Forget a saved filter."""
    filter_id = doing.ids["filter_id"]
    await filters.delete(doing.db, doing.project_id, _owner(doing), filter_id)
    return Done(f"filter:{filter_id}")


async def _export(doing: Doing, form: NewFile) -> Done:
    """Write a whole list to a file: answers the task, whose file can be fetched when it is done."""
    view = view_of(doing, form.list)
    asked = form.model_dump() | {"verb": view.verb, "language": doing.words.language}
    new = NewTask(EXPORT_KIND, view.heading, asked)
    doer, (scope, _) = doing.doer, doing.here
    # The file holds what the list's verb shows; whoever sees the task must see all of that.
    limit = both(scope.building_ids, scope.asked(view.verb).building_ids)
    db = doing.db.within(limit)
    task_id = await task.start(db, doing.project_id, new, doer.actor_id, doer.at)
    row = await task.get(db, doing.project_id, task_id)
    return Done(
        f"task:{task_id}", work.task(row).model_dump(mode="json"),
        after={"list": form.list, "kind": form.kind},
    )  # fmt: skip


async def _about_export(doing: Doing) -> Choices:
    return ((N_("Note"), doing.words(N_("The file is made in the background; you can leave."))),)


def _saved_at(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/{answer['list']}{answer['query']}"


def _watch(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/tasks/{answer['id']}/progress"


_FILTERS: Final = "/projects/{project_id}/filters"

ACTS: Final = (
    Act(
        "filter.save", Verb.SESSION_OWN, _FILTERS, N_("Save filter"), NewFilter,
        work.SavedFilter, _save, tag="lists", then=_saved_at,
    ),
    Act(
        "filter.rename", Verb.SESSION_OWN, f"{_FILTERS}/{{filter_id}}/rename",
        N_("Rename filter"), FilterName, None, _rename, tag="lists",
    ),
    Act(
        "filter.delete", Verb.SESSION_OWN, f"{_FILTERS}/{{filter_id}}/delete",
        N_("Delete filter"), NoFields, None, _delete, tag="lists",
        consequence=N_("The filter is forgotten; the list and its rows stay as they are."),
    ),
    Act(
        "file.write", Verb.TASK_READ, "/projects/{project_id}/files", N_("Export"), NewFile,
        work.Task, _export, tag="lists", about=_about_export, then=_watch, watch=True,
    ),
)  # fmt: skip
