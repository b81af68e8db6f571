"""Receipts in `/api/v1`: the list, one of them, the file of a print, how they look.

Owns addresses and parameters. Printing and making void are acts.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from meterhouse.flows import monitor, receipt
from meterhouse.flows.access import Verb
from meterhouse.model import PaymentKind
from meterhouse.web import papers
from meterhouse.web.access import database_of
from meterhouse.web.api import paper, schemas
from meterhouse.web.api.etags import etag
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX
from meterhouse.web.api.v1 import (
    KEYED,
    From,
    NumberedRoute,
    Pages,
    ProjectId,
    Text,
    To,
    id_filter,
    may,
    path_id,
    sort_of,
    told_of,
)

router = APIRouter(**KEYED, route_class=NumberedRoute)

ReceiptId = Annotated[int, path_id("receipt")]
CopyNumber = Annotated[
    int, Path(ge=1, le=COUNT_MAX, description="Which print; 1 is the original.", examples=[1])
]
_RECEIPTS: Final = "/projects/{project_id}/receipts"
FILE_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in (papers.PDF, papers.BYTES)
        },
    }
}


@router.get(_RECEIPTS, dependencies=may(Verb.MONEY_READ), tags=["receipts"])
async def list_receipts(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    void: Annotated[bool | None, Query(description="Whether it is void.", examples=[False])] = None,
    kind: Annotated[PaymentKind | None, Query(description="Only of this kind.")] = None,
    channel: Annotated[
        str | None,
        Query(pattern=r"^[a-z_]{1,20}$", description="Only paid so.", examples=["cash"]),
    ] = None,
    payment: Annotated[int | None, id_filter("payment")] = None,
    issued_from: From = None,
    issued_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("receipts"), sort_of("receipts")] = "-issued_at",
) -> schemas.Page[paper.Receipt]:
    """Receipts, newest first unless sorted otherwise; `text` is also looked for in the number."""
    found = await page(
        request, project_id, "receipts", pages, sort, paper.receipt, void=void, kind=kind,
        channel=channel, payment=payment, text=monitor.contains(text),
        **{"from": issued_from, "to": issued_to},
    )  # fmt: skip
    return schemas.Page[paper.Receipt](**found)


@router.get(f"{_RECEIPTS}/{{receipt_id}}", dependencies=may(Verb.MONEY_READ), tags=["receipts"])
async def get_receipt(
    request: Request, project_id: ProjectId, receipt_id: ReceiptId
) -> paper.ReceiptDetail:
    """A receipt with all that it says and every print of it."""
    found = await receipt.look(database_of(request), project_id, receipt_id)
    return paper.receipt_detail(found, request.state.scope)


@router.get(
    f"{_RECEIPTS}/{{receipt_id}}/prints/{{copy_number}}/file",
    dependencies=may(Verb.RECEIPT_PRINT),
    tags=["receipts"],
    response_class=Response,
    responses=FILE_ANSWER | {409: {"description": "The print is over."}},
)
async def get_receipt_file(
    request: Request, project_id: ProjectId, receipt_id: ReceiptId, copy_number: CopyNumber
) -> Response:
    """The file of a print, for whoever printed it, for a quarter of an hour."""
    return await print_file(request, project_id, receipt_id, copy_number)


@router.get(
    "/projects/{project_id}/receipt-settings", **told_of(Verb.PROJECT_READ), tags=["receipts"]
)
async def get_receipt_settings(
    request: Request, response: Response, project_id: ProjectId
) -> paper.ReceiptSettings:
    """How a project's receipts look."""
    now = await receipt.settings(database_of(request), project_id)
    response.headers.update(etag(now.version))
    return paper.receipt_settings(now)


async def print_file(
    request: Request, project_id: int, receipt_id: int, copy_number: int
) -> Response:
    """The file of a print as an answer; a browser shows a PDF and keeps bytes.

    Raises:
        NotFound: there is no such receipt or print.
        PrintOver: it is somebody else's, or too long ago.
        ChineseFontMissing: there is no font for it.
    """
    services = request.app.state.services
    one = await receipt.printed(
        database_of(request), project_id, receipt_id, copy_number,
        request.state.caller.person_id, services.clock(),
    )  # fmt: skip
    content, media_type, name = await papers.file_of(one)
    way = "inline" if media_type == papers.PDF else "attachment"
    headers = {"Content-Disposition": f'{way}; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type=media_type)
