"""Long tasks and saved filters in the API."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from meterhouse.flows import filters, monitor, task
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Wanted
from meterhouse.web.access import Permission
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.v1 import KEYED, Paging
from meterhouse.web.files import task_file

router = APIRouter(**KEYED)
_MAY = [Depends(Permission(Verb.TASK_READ))]
State = Literal["waiting", "queued", "running", "done", "failed", "cancelled"]


def _database(request: Request) -> Any:
    return request.app.state.services.database


@router.get("/projects/{project_id}/tasks", dependencies=_MAY, tags=["tasks"])
async def list_tasks(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    state: Annotated[State | None, Query(description="Only in this state.")] = None,
    kind: Annotated[str | None, Query(description="Only this kind.", max_length=40)] = None,
) -> schemas.Page[schemas.Task]:
    """Long tasks, newest first."""
    wanted = Wanted(
        {"state": state, "kind": kind}, limit=paging.page_size,
        offset=(paging.page - 1) * paging.page_size,
    )  # fmt: skip
    found = await monitor.listing(_database(request), project_id, "tasks", wanted)
    return schemas.Page[schemas.Task](
        items=[shapes.task(row) for row in found.rows], total=found.row_count,
        page=paging.page, page_size=paging.page_size,
    )  # fmt: skip


@router.get(
    "/projects/{project_id}/filters",
    dependencies=[Depends(Permission(Verb.SESSION_OWN))],
    tags=["lists"],
)
async def list_filters(request: Request, project_id: int) -> list[schemas.SavedFilter]:
    """The filters that whose key this is has saved."""
    person_id = request.state.caller.person_id
    found = await filters.of_person(_database(request), project_id, person_id)
    return [schemas.SavedFilter(**row) for row in found]


@router.get("/projects/{project_id}/tasks/{task_id}", dependencies=_MAY, tags=["tasks"])
async def get_task(request: Request, project_id: int, task_id: int) -> schemas.TaskDetail:
    """How far a task has come, and what came of each row."""
    return shapes.task_detail(await task.get(_database(request), project_id, task_id))


@router.get(
    "/projects/{project_id}/tasks/{task_id}/file",
    dependencies=_MAY,
    tags=["tasks"],
    response_class=Response,
)
async def get_task_file(request: Request, project_id: int, task_id: int) -> Response:
    """The file that a task made."""
    return await task_file(request, project_id, task_id)
