"""Faults that the checks on money must find: what a plausible mistake would have done.

Each is planted into the flows as they run, and has the shortest program that shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from meterhouse.control import recharge as control
from meterhouse.control.recharge import Balance, Deed, Facts, Reply, Row
from meterhouse.flows import keeping, landing, transit
from meterhouse.model import RechargeState
from meterhouse.store import recharges, sales
from meterhouse.store.db import Address
from street import ESAM, ORDER, Mishap

Step = tuple[Any, ...]
SOON: Step = ("wait", 1)
LONG: Step = ("wait", 45)
PAY: Step = ("pay", 0, 500)
OPEN: tuple[Step, ...] = (("disown", 0), ("open_meter", 0))


@dataclass
class Planting:
    """Where a mistake is planted; counts how often it is met, for one never met proves nothing."""

    patch: pytest.MonkeyPatch
    strikes: int = 0

    def setattr(self, target: Any, name: str, mistake: Any) -> None:
        """Put a mistake in the place of what is right."""
        self.patch.setattr(target, name, self.counted(mistake) if callable(mistake) else mistake)

    def counted(self, mistake: Callable[..., Any]) -> Callable[..., Any]:
        """The same mistake, counted as it is made."""

        def made(*given: Any, **more: Any) -> Any:
            self.strikes += 1
            return mistake(*given, **more)

        return made


@dataclass(frozen=True)
class Fault:
    """A mistake, how it is made, and a program that shows it."""

    name: str
    make: Callable[[Planting], None]
    program: tuple[Step, ...]
    model: str = ORDER
    sql: tuple[str, ...] = ()

    async def plant(self, patch: pytest.MonkeyPatch, address: Address) -> Planting:
        """Make the mistake."""
        if self.sql:
            connection = await asyncpg.connect(**address.arguments(None))
            for statement in self.sql:
                await connection.execute(statement)
            await connection.close()
        planting = Planting(patch)
        self.make(planting)
        return planting


def serve(mishap: Mishap, steps: int = 9, copy_s: int = 180) -> Step:
    """One order under one mishap."""
    return ("serve", mishap, steps, copy_s)


def rows(*first: Row) -> Callable[[Planting], None]:
    """These rows speak before all others."""

    def make(patch: Planting) -> None:
        def counted(row: Row) -> Row:
            def speaks(facts: Facts) -> bool:
                patch.strikes += row.speaks(facts)
                return row.speaks(facts)

            return replace(row, speaks=speaks)

        counting = [counted(row) for row in first]
        patch.setattr(control, "TABLE", (*counting, *control.TABLE))
        patch.setattr(control, "OPENING", (*counting, *control.OPENING))

    return make


def told(**lies: Any) -> Callable[[Planting], None]:
    """The table is told these facts, whatever is so."""

    def make(patch: Planting) -> None:
        honest = control.decide

        def decide(facts: Facts, *rest: Any) -> Row:
            lied = replace(facts, **lies)
            patch.strikes += lied != facts
            return honest(lied, *rest)

        patch.patch.setattr(control, "decide", decide)

    return make


def is_sent(facts: Facts) -> bool:
    """Whether it has left."""
    return facts.send_count > 0


def heedless(patch: Planting) -> None:
    """Nobody asks whether money is in a meter."""

    async def anyhow(*_: Any) -> None:
        pass

    patch.setattr(keeping, "must_be_empty", anyhow)


def next_number(patch: Planting) -> None:
    """Try again under the next number."""
    honest = transit._order

    async def order(connection: Any, row: Any, said: Any, deed: Deed, at: Any) -> Any:
        if deed is Deed.RESEND:
            row["number"] += 1
            row["order_number"] += "1"
            row["order_number"] = row["order_number"][-16:]
            row["frame"] = None
            await connection.execute(
                "update recharge set number = $2, order_number = $3 where id = $1",
                row["id"], row["number"], row["order_number"],
            )  # fmt: skip
        return await honest(connection, row, said, deed, at)

    patch.setattr(transit, "_order", order)


def not_written_ahead(patch: Planting) -> None:
    """The bytes go out, and what they were is noted later, if at all."""

    async def commit(*_: Any) -> bool:
        return True

    patch.setattr(transit, "commit", commit)


def every_key_is_new(patch: Planting) -> None:
    """A payment that comes twice is taken twice."""
    honest, count = sales.write, iter(range(10**6))

    async def write(connection: Any, project_id: int, new: Any, *more: Any, **rest: Any) -> Any:
        fresh = replace(new, key=f"{new.key} {next(count)}")
        return await honest(connection, project_id, fresh, *more, **rest)

    patch.setattr(sales, "write", write)


def no_epoch(patch: Planting) -> None:
    """One purse for ever, whichever meter hangs there."""
    told(is_epoch=True)(patch)

    async def homeless(*_: Any) -> list[int]:
        return []

    patch.setattr(recharges, "homeless", homeless)


def two_live(patch: Planting) -> None:
    """A second recharge is let in beside the first."""
    source = recharges.insert

    async def insert(connection: Any, project_id: int, new: Any, actor: Any, at: Any) -> Any:
        crowd = connection.fetchval

        class Unminded:
            async def fetchval(self, query: str, *values: Any) -> Any:
                head = query.split("on conflict")[0]
                return await crowd(f"{head} returning id", *values)

        return await source(Unminded(), project_id, new, actor, at)  # type: ignore[arg-type]

    patch.setattr(recharges, "insert", insert)


def nobody_looks_again(patch: Planting) -> None:
    """After a doubtful answer nobody comes back."""
    honest = transit._wait

    async def wait(connection: Any, row: Any, at: Any) -> None:
        await honest(connection, row, at)
        forever = {"next_at": at + timedelta(days=999)}
        await recharges.change(connection, row["project_id"], row["id"], forever)

    async def make_due(*_: Any) -> None:
        return

    patch.setattr(transit, "_wait", wait)
    patch.setattr(recharges, "make_due", make_due)


def sent_from_memory(patch: Planting) -> None:
    """Whoever begins anew sends what the last one was about to send."""
    rows(Row("it may not have left", lambda f: f.state is RechargeState.SENT, Deed.RESEND))(patch)
    patch.setattr(control, "resend_in", lambda _: timedelta(minutes=-10))


def returned_by_word_alone(patch: Planting) -> None:
    """Whoever asks for money back gets it, wherever it is."""
    honest = transit.cancel

    async def cancel(db: Any, project_id: int, recharge_id: int, *rest: Any) -> None:
        await honest(db, project_id, recharge_id, *rest)
        async with db.transaction([project_id]) as connection:
            row = await recharges.lock(connection, project_id, recharge_id)
            if row["state"] != "returned":
                await landing.give_back(connection, dict(row), None, rest[-1])

    patch.setattr(transit, "cancel", cancel)


def no_lifetime(patch: Planting) -> None:
    """No copy is thought to be under way, ever."""
    told(is_dead=True)(patch)
    patch.setattr(control, "resend_in", lambda _: timedelta(minutes=-10))


def fresh_bytes(patch: Planting) -> None:
    """What goes out again is made anew, under a new order number."""
    honest = transit._order

    async def order(connection: Any, row: Any, said: Any, deed: Deed, at: Any) -> Any:
        made = await honest(connection, row, said, deed, at)
        if made is None or deed is not Deed.RESEND:
            return made
        again = replace(made.intent, order_number=f"9{made.intent.order_number[1:]}")
        return replace(made, intent=again, frame=None)

    patch.setattr(transit, "_order", order)


REFUSED_RETURNS = Row(
    "a refusal is believed", lambda f: f.reply is Reply.REFUSED, Deed.RETURN
)  # fmt: skip
SILENCE_FAILS = Row(
    "silence is believed", lambda f: is_sent(f) and f.reply is Reply.SILENCE, Deed.RETURN
)
SILENCE_POSTS = Row("it will have arrived", lambda f: f.reply is Reply.SILENCE, Deed.POST)
REPLY_POSTS = Row("any reply is ours", lambda f: f.reply is Reply.POSITIVE, Deed.POST)

FAULTS = (
    Fault("retry with the next number", next_number, (PAY, serve(Mishap.LOST), LONG)),
    Fault("timeout means failed", rows(SILENCE_FAILS), (PAY, serve(Mishap.REPLY_LOST), SOON)),
    Fault("refusal means refund", rows(REFUSED_RETURNS),
          (PAY, serve(Mishap.LYING_REFUSAL), SOON)),
    Fault("posted on silence", rows(SILENCE_POSTS), (PAY, serve(Mishap.LOST), SOON)),
    Fault("taken back on silence", rows(SILENCE_POSTS),
          (("take_back", 0, 500), serve(Mishap.LOST), SOON)),
    Fault("all taken back on silence", rows(SILENCE_POSTS),
          (("take_back", 0, None), serve(Mishap.LOST), SOON)),
    Fault("opened on silence", rows(SILENCE_POSTS), (*OPEN, serve(Mishap.LOST), SOON), ESAM),
    Fault("opened on any reply", rows(REPLY_POSTS),
          (PAY, serve(Mishap.REPLY_LATE), SOON, *OPEN, serve(Mishap.LOST), SOON), ESAM),
    Fault("opened again before the lifetime is over", no_lifetime,
          (*OPEN, serve(Mishap.LOST), SOON, LONG), ESAM),
    Fault("a late reply of another order is believed", rows(REPLY_POSTS),
          (PAY, serve(Mishap.REPLY_LATE), SOON, PAY, serve(Mishap.LOST), SOON)),
    Fault("two live recharges", two_live,
          (PAY, serve(Mishap.LOST), PAY, serve(Mishap.NONE), LONG),
          sql=("drop index recharge_live", "drop index recharge_number")),
    *(
        Fault(f"{deed} under money", heedless, (("tamper", 0, deed),))
        for deed in ("remove", "rename", "keeper")
    ),
    Fault("no epoch", no_epoch, (PAY, serve(Mishap.LOST), ("swap", 0, 3, 1_000),
           LONG)),
    Fault("refund while unknown", returned_by_word_alone,
          (PAY, serve(Mishap.REPLY_LOST), ("cancel", 0), ("refund", 0), LONG)),
    Fault("sent again before the lifetime is over", no_lifetime,
          (PAY, serve(Mishap.LOST), SOON, LONG)),
    Fault("the frame is not written ahead", not_written_ahead, (PAY, serve(Mishap.REPLY_LOST))),
    Fault("the balance has no say", told(balance=Balance.OUT),
          (PAY, serve(Mishap.POWER_CUT), LONG)),
    Fault("the fence is skipped", told(is_fenced=True),
          (PAY, serve(Mishap.DELAYED, copy_s=605), ("cancel", 0), LONG)),
    Fault("returned before the lifetime is over", told(is_dead=True, is_fenced=True),
          (PAY, serve(Mishap.DELAYED), ("cancel", 0), LONG)),
    Fault("no idempotency key", every_key_is_new, (PAY, serve(Mishap.NONE), ("pay_again", 0))),
    Fault("nobody looks again", nobody_looks_again, (PAY, serve(Mishap.LOST), LONG)),
    Fault("sent again from memory", sent_from_memory,
          (PAY, serve(Mishap.REPLY_LOST, steps=3), ("restart",), serve(Mishap.NONE))),
    Fault("sent again with other bytes", fresh_bytes, (PAY, serve(Mishap.LOST), LONG)),
)  # fmt: skip
