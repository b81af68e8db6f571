"""Tills that go on selling while the house is killed under them.

Each sells through the API like any other system: one key a sale, and whoever gets no answer asks
again with the same key until there is one. What they write down is all that they can know: what
was asked for, what was acknowledged, what was refused for good. Must never look into the database.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import httpx

ANSWER_S = 20
PAUSE_S = 0.02
# "Not now": nothing was promised, so the same key is tried again.
AGAIN = frozenset({429, 503})
# What is answered without money: a meter takes one recharge at a time, and a halted one none.
REFUSALS = frozenset({"recharge_live", "wallet_frozen", "hoarding_limit", "hoarding_exceeded"})


@dataclass(frozen=True)
class Sale:
    """What was asked for under a key."""

    point_id: int
    amount_minor: int


@dataclass
class Slips:
    """What the tills know.

    Attributes:
        asked: every sale by its key.
        acknowledged: the payment's id by key.
        refused: the code by key.
        waiting: keys whose request is under way at this moment.
        lost: how many requests broke off after they had been sent.
        again: how many sales needed more than one request.
        said: answers by status.
    """

    asked: dict[str, Sale] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    lost: int = 0
    again: int = 0
    said: Counter[int] = field(default_factory=Counter)

    @property
    def open(self) -> set[str]:
        """Keys nobody knows the end of yet."""
        return self.asked.keys() - self.acknowledged.keys() - self.refused.keys()


class Till:
    """One till; several share their slips.

    Args:
        client: speaks to the API, the key of its owner in the headers.
        project_id: the project.
        points: what may be sold for.
        slips: where it writes down what it knows.
        number: tells its keys from those of other tills.
        seed: what it sells follows from this and its number.
    """

    def __init__(
        self, client: httpx.AsyncClient, project_id: int, points: Sequence[int], slips: Slips,
        number: int, seed: int,
    ) -> None:  # fmt: skip
        self._client = client
        self._address = f"/api/v1/projects/{project_id}/points"
        self._points = points
        self._slips = slips
        self._number = number
        self._dice = Random(f"{seed}-{number}")
        self._count = 0

    async def sell_until(self, closing: asyncio.Event) -> None:
        """Sell one after the other; at closing time the last sale is still brought to its end."""
        while not closing.is_set():
            self._count += 1
            key = f"till-{self._number}-{self._count:06}"
            sale = Sale(self._dice.choice(self._points), self._dice.randint(1, 5_000))
            self._slips.asked[key] = sale
            tries = 1
            while not await self._ask(key, sale):
                tries += 1
                await asyncio.sleep(PAUSE_S)
            self._slips.again += tries > 1

    async def _ask(self, key: str, sale: Sale) -> bool:
        """Ask once; whether that was the end of it."""
        slips = self._slips
        slips.waiting.add(key)
        try:
            answer = await self._client.post(
                f"{self._address}/{sale.point_id}/credits",
                json={"amount": f"{sale.amount_minor / 100:.2f}", "channel": "app"},
                headers={"Idempotency-Key": key},
            )
        except httpx.ConnectError:
            return False
        except httpx.TransportError:
            slips.lost += 1
            return False
        finally:
            slips.waiting.discard(key)
        slips.said[answer.status_code] += 1
        if answer.status_code in AGAIN:
            return False
        if answer.is_success:
            slips.acknowledged[key] = answer.json()["payment_id"]
            return True
        code = answer.json().get("code")
        assert answer.status_code == 409, answer.text
        assert code in REFUSALS, answer.text
        slips.refused[key] = code
        return True
