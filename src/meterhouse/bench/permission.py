"""What a permission check costs: the decision alone, for somebody who reaches many projects.

Owns the measurement. Must never touch a database: who somebody is and what they hold is loaded
once a request, and then each check is this.
"""

import time
from statistics import median
from typing import Any

from meterhouse.flows.access import ROLES, Reach, Verb
from meterhouse.web.access import Caller

PROJECTS = 2_000
CHECKS = 20_000
ROUNDS = 5
CHECK_US_MAX = 50


def figures() -> list[dict[str, Any]]:
    """Microseconds a check, in the middle of several rounds."""
    reaches = {
        number: Reach(
            number, f"project {number}", "Asia/Shanghai", "CNY", 2, ROLES["project_manager"], 1,
            limits={Verb.METER_SWITCH: frozenset({number})},
        )
        for number in range(1, PROJECTS + 1)
    }  # fmt: skip
    caller = Caller(1, "bench", "en", reaches)
    taken_us = median(_round_us(caller) for _ in range(ROUNDS))
    return [
        {
            "name": "permission.check",
            "value": round(taken_us, 2),
            "unit": "us",
            "reference": CHECK_US_MAX,
            "ratio": round(taken_us / CHECK_US_MAX, 3),
        }
    ]


def _round_us(caller: Caller) -> float:
    begun = time.perf_counter()
    for number in range(CHECKS):
        asked = {"project_id": str(number % PROJECTS + 1)}
        granted = caller.granted(asked)
        reach = caller.scope(int(asked["project_id"])).asked(Verb.METER_SWITCH)
        assert Verb.METER_SWITCH in granted
        assert reach.building_ids is not None
    return (time.perf_counter() - begun) * 1e6 / CHECKS
