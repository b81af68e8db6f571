"""Long tasks and saved filters in the API."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from meterhouse.flows import filters, task
from meterhouse.flows.access import Verb
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import schemas, work
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.v1 import KEYED, NumberedRoute, Pages, ProjectId, path_id
from meterhouse.web.files import FILE_ANSWER, task_file
from meterhouse.web.labels import TaskState

router = APIRouter(**KEYED, route_class=NumberedRoute)

TaskId = Annotated[int, path_id("task")]
_MAY = [Depends(Permission(Verb.TASK_READ))]


@router.get("/projects/{project_id}/tasks", dependencies=_MAY, tags=["tasks"])
async def list_tasks(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[TaskState | None, Query(description="Only in this state.")] = None,
    sort: Annotated[
        str, SortOf("tasks"), Query(description="What to sort by, a leading - for descending.",
                                    examples=["-created_at"]),
    ] = "-created_at",
) -> schemas.Page[work.Task]:  # fmt: skip
    """Long tasks, newest first unless sorted otherwise."""
    found = await page(request, project_id, "tasks", pages, sort, work.task, state=state)
    return schemas.Page[work.Task](**found)


@router.get(
    "/projects/{project_id}/filters",
    dependencies=[Depends(Permission(Verb.SESSION_OWN))],
    tags=["lists"],
)
async def list_filters(request: Request, project_id: ProjectId) -> list[work.SavedFilter]:
    """The filters that whose key this is has saved."""
    person_id = request.state.caller.person_id
    found = await filters.of_person(database_of(request), project_id, person_id)
    return [work.SavedFilter(**row) for row in found]


@router.get("/projects/{project_id}/tasks/{task_id}", dependencies=_MAY, tags=["tasks"])
async def get_task(request: Request, project_id: ProjectId, task_id: TaskId) -> work.TaskDetail:
    """How far a task has come, and what came of each row."""
    return work.task_detail(await task.get(database_of(request), project_id, task_id))


@router.get(
    "/projects/{project_id}/tasks/{task_id}/file",
    dependencies=_MAY,
    tags=["tasks"],
    response_class=Response,
    responses=FILE_ANSWER,
)
async def get_task_file(request: Request, project_id: ProjectId, task_id: TaskId) -> Response:
    """The file that a task made."""
    return await task_file(request, project_id, task_id)
