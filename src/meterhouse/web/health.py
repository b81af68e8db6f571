"""Two addresses for machines that ask whether to send people here.

Owns their form. Must never say more than a word: they are open to everybody.
"""

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from meterhouse.web.access import PUBLIC

router = APIRouter(prefix="/health", dependencies=[Depends(PUBLIC)])


@router.get("/live")
async def live() -> Response:
    """The process answers; whoever gets no answer may start it anew."""
    return JSONResponse({"status": "live"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    """Whether requests should be sent here: 200, or 503 with the word for why not."""
    unfit = request.app.state.services.unfit()
    if unfit is None:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "not ready", "failed": unfit}, status_code=503)
