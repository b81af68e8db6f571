"""What belongs to no project: the platform's own audit.

Owns the pages beneath `/platform/`. Must never show what belongs to a project; instants are in
UTC here, because there is no project to give a time zone.
"""

from typing import Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.store.db import PLATFORM
from meterhouse.web.access import Permission
from meterhouse.web.console.lists import export_list, list_facts, load_page
from meterhouse.web.formats import Formats
from meterhouse.web.pages import render, words_of
from meterhouse.web.views import AUDIT
from meterhouse.words import N_

router = APIRouter()

_MAY: Final = [Depends(Permission(AUDIT.verb))]
_HEADING: Final = N_("Audit of the platform (UTC)")


@router.get("/platform/audit", dependencies=_MAY)
async def audit_page(request: Request) -> Response:
    """Who did what for the platform as a whole."""
    fmt = _formats(request)
    page = await load_page(request, PLATFORM, AUDIT, fmt)
    facts = {
        "heading": fmt.words(_HEADING),
        "strangers": (),
        "acts": (),
        "act_pages": (),
        "fmt": fmt,
    }
    return render(
        request, "list.html", facts | list_facts(page, fmt, "audit", request.state.caller.platform)
    )


@router.get("/platform/audit/export", dependencies=_MAY)
async def audit_file(request: Request) -> Response:
    """The entries shown, as a file."""
    return await export_list(request, PLATFORM, AUDIT, _formats(request))


def _formats(request: Request) -> Formats:
    return Formats(words_of(request), ZoneInfo("UTC"), "", 0)
