"""Replays as tests need them: of a correction that makes every price dearer, made at once.

Owns nothing but convenience: everything is made by the flows that make it in life.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from meterhouse.flows import correct, replay, task
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.task import Claimed, Progress
from meterhouse.store.db import Database
from meterhouse.store.tasks import NewTask


async def silent(_: Progress) -> None:
    """Nobody watches."""


async def made_replay(
    db: Database, project_id: int, asked: Mapping[str, Any], at: datetime,
    actor_id: int | None = None,
) -> int:  # fmt: skip
    """A replay's task, carried out and ended; answers its number."""
    given = dict(asked) | {"verb": "tariff.replay"}
    replay_id = await task.start(
        db, project_id, NewTask("replay", "Replay prices", given), actor_id, at
    )
    claimed = await task.claim(db, project_id, ["replay"], None, at)
    assert isinstance(claimed, Claimed)
    assert claimed.id == replay_id
    told = await replay.carry_out(db, Tariffs(), claimed, at, silent)
    await task.end(db, claimed, told, at)
    return replay_id


async def dearer(
    db: Database, project_id: int, tariff_id: int, since: datetime, at: datetime,
    actor_id: int | None = None,
) -> int:  # fmt: skip
    """A replay of a correction by which every price was a tenth too low."""
    body = await correct.present(db, project_id, tariff_id)
    for version in body["versions"]:
        version["prices_micro"] = {
            band: [price * 11 // 10 for price in prices]
            for band, prices in version["prices_micro"].items()
        }
    asked, _ = await replay.asked_of_correction(
        db, Tariffs(), project_id, tariff_id, since, body, at
    )
    return await made_replay(db, project_id, asked, at, actor_id)
