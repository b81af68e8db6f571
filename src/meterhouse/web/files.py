"""The file that a task made, for those who may read what is in it."""

from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from meterhouse.flows import task
from meterhouse.web.access import NotAllowed, database_of
from meterhouse.web.exports import MEDIA_TYPES

FILE_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {
            kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for kind in MEDIA_TYPES.values()
        },
    }
}


async def task_file(request: Request, project_id: int, task_id: int) -> Response:
    """The file of a task.

    Raises:
        NotFound: there is no such task, or it made no file.
        FileGone: it is no longer kept.
        NotAllowed: reading its rows needs a verb that is not granted where they lie.
    """
    database = database_of(request)
    row = await task.get(database, project_id, task_id)
    verb = row["input"].get("verb")
    # What names no verb makes no file; that there is none is said below.
    if verb is not None and not request.state.scope.covers(verb, row["building_ids"]):
        raise NotAllowed(verb)
    at = request.app.state.services.clock()
    file = await task.get_file(database, project_id, task_id, at)
    named = f'attachment; filename="{file["name"]}"'
    headers = {"Content-Disposition": named}
    return Response(bytes(file["content"]), headers=headers, media_type=file["media_type"])
