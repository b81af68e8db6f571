"""A receipt's page: how it looks, its prints, and what can be done to it.

Owns the page, the picture on it and the file of a print. The list is one of the lists.
"""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import receipt
from meterhouse.flows.access import Verb
from meterhouse.paper.sheet import TICKET_COLUMNS, Paper
from meterhouse.web import papers
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import receipt as acts
from meterhouse.web.api.receipts import print_file
from meterhouse.web.pages import render, words_of

router = APIRouter()

_RECEIPT: Final = "/projects/{project_id}/receipts/{receipt_id:int}"


def _may(verb: Verb) -> list[Any]:
    return [Depends(Permission(verb))]


@router.get(_RECEIPT, dependencies=_may(Verb.MONEY_READ))
async def receipt_page(request: Request, project_id: int, receipt_id: int) -> Response:
    """A receipt as it would be printed, with every print of it."""
    now = await receipt.look(database_of(request), project_id, receipt_id)
    asked = request.query_params.get("copy", "")
    ready = next((one for one in now.prints if str(one["copy"]) == asked), None)
    facts = {
        "receipt": now,
        "what_for": papers.what_for(now.facts.kind, now.facts.commodity, words_of(request)),
        "money": papers.formats(now.facts, words_of(request)).money,
        "paper": _shown(request, now.settings.paper),
        "papers": [one for one in Paper if one not in TICKET_COLUMNS],
        "Paper": Paper,
        "ready": ready,
        "acts": acts,
        "ids": {"project_id": project_id, "receipt_id": receipt_id},
    }
    return render(request, "receipt.html", facts)


@router.get(f"{_RECEIPT}/preview", dependencies=_may(Verb.MONEY_READ))
async def preview(request: Request, project_id: int, receipt_id: int) -> Response:
    """The picture of a receipt, masked and marked as a preview."""
    now = await receipt.look(database_of(request), project_id, receipt_id)
    shown = _shown(request, now.settings.paper)
    made = await papers.preview_of(now, shown, words_of(request))
    return Response(made, media_type=papers.SVG, headers={"Cache-Control": "no-store"})


@router.get(f"{_RECEIPT}/prints/{{copy_number:int}}/file", dependencies=_may(Verb.RECEIPT_PRINT))
async def file(request: Request, project_id: int, receipt_id: int, copy_number: int) -> Response:
    """The file of a print, for whoever printed it, for a while."""
    return await print_file(request, project_id, receipt_id, copy_number)


def _shown(request: Request, chosen: str) -> Paper:
    """The paper the address asks for, else the project's."""
    asked = request.query_params.get("paper", chosen)
    return Paper(asked) if asked in set(Paper) else Paper(chosen)
