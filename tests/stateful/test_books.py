"""The books under whatever life does to them, step by step, against a model that only replays.

Readings on time, late, again, odd and torn; payments, the same payment twice, the same key for
another one; bookings; people's commands; senders that die, meters that refuse or fall silent; time
that passes. After every step the proofs of `verify` hold over the whole database, and the model's
own replay agrees: it knows what was paid and what the meters said, and nothing of the flows.

`METERHOUSE_SOAK=1` lets it run for as long as a long coffee takes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from databases import copy_database, drop_copy
from meterhouse.errors import Conflict
from meterhouse.flows import close, command, parameter
from meterhouse.model import CommandKind, CommandState, Override, Reason, Relay
from meterhouse.ports import Effect, Outcome, Values
from meterhouse.store import proofs
from meterhouse.store.db import Address, Database
from meterhouse.units import to_us
from oracle.chain_oracle import Meter, judge_chain
from premises import FLAT, Clock, Site, build_site

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
EXAMPLES, STEPS = (1_000, 60) if SOAK else (18, 25)
ROOMS = 2
PRICE_MICRO = 600_000
METER = Meter(modulus=1_000_000_000, max_power_w=52_800)
NOTICE_AGE = timedelta(minutes=30)
READING_AGE_MAX = timedelta(hours=2)
QUIET_DEBT_MINOR = 10_000
rooms = st.integers(0, ROOMS - 1)


def is_quiet(at: datetime) -> bool:
    """Nights from ten to seven and whole weekends, as the default policy promises."""
    local = at.astimezone(ZoneInfo("Asia/Shanghai"))
    return local.weekday() >= 5 or local.hour >= 22 or local.hour < 7


class Books(RuleBasedStateMachine):
    """Two households, one gateway, one clock; `template` is set by the test."""

    template: Address

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.told: list[set[tuple[int, int]]] = [set() for _ in range(ROOMS)]
        self.total_milli = [100_000] * ROOMS
        self.relay = [Relay.CLOSED] * ROOMS
        self.paid: dict[str, tuple[int, int, int]] = {}
        self.transfers: list[dict[str, Any]] = []
        self.in_hand: list[command.Claimed] = []
        self.connected: dict[int, int] = {}
        self.override = [Override.NONE] * ROOMS

    def do(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(doing)

    @initialize()
    def found(self) -> None:
        self.address = self.do(copy_database(self.template))
        self.db = Database(self.address, size=2)
        self.do(self.db.open())
        self.site: Site = self.do(
            build_site(self.db, self.clock, rooms=ROOMS, tariff=FLAT, email="a@example.org",
                       policy={"disconnect_without_channel": False})
        )  # fmt: skip
        for room in range(ROOMS):
            self.tell(room, self.clock(), self.total_milli[room])
            self.payment(room, 1_500)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.do(self.db.close())
            self.do(drop_copy(self.address))
        self.runner.close()

    # What meters say.

    def tell(self, room: int, at: datetime, total_milli: int) -> None:
        self.told[room].add((to_us(at), total_milli))
        self.do(self.site.read((self.site.meters[room], at, total_milli, self.relay[room])))

    @rule(
        rounds=st.lists(st.tuples(*[st.integers(0, 12_000)] * ROOMS), min_size=1, max_size=6),
        minutes=st.sampled_from([15, 30, 30, 60]),
        is_served=st.booleans(),
    )
    def hours(self, rounds: list[tuple[int, ...]], minutes: int, is_served: bool) -> None:
        """Rounds as they should be; a good sender takes what is due, and meters obey."""
        for used in rounds:
            self.clock.step(minutes=minutes)
            for room in range(ROOMS):
                self.total_milli[room] += used[room] if self.relay[room] is Relay.CLOSED else 0
                self.tell(room, self.clock(), self.total_milli[room])
            self.do(self.site.deliver())
            if is_served and self.claim():
                self.finish(Effect.DONE, is_seen=True)

    @rule(room=rooms, back=st.integers(1, 300), spread=st.integers(0, 6_000))
    def late_reading(self, room: int, back: int, spread: int) -> None:
        self.tell(room, self.clock() - timedelta(minutes=back), self.total_milli[room] - spread)

    @rule(room=rooms, odd=st.sampled_from([0, 900_000, 999_999_000]))
    def odd_reading(self, room: int, odd: int) -> None:
        self.clock.step(minutes=1)
        self.tell(room, self.clock(), odd)

    @rule(room=rooms, off=st.sampled_from([0, 10]), pick=st.integers(0, 10**6))
    def same_or_torn_reading(self, room: int, off: int, pick: int) -> None:
        known = sorted(self.told[room])
        if known:
            at_us, total_milli = known[pick % len(known)]
            at = datetime.fromtimestamp(at_us / 1e6, self.clock().tzinfo)
            self.tell(room, at, total_milli + off)

    # What people pay.

    @rule(room=rooms, minor=st.integers(1, 900))
    def payment(self, room: int, minor: int) -> None:
        key = f"key-{len(self.paid)}"
        done = self.do(self.site.pay(minor, room, key))
        assert done.is_new
        self.paid[key] = (room, minor, done.payment_id)

    @precondition(lambda self: self.paid)
    @rule(pick=st.integers(0, 10**6), more=st.sampled_from([0, 1]))
    def payment_again(self, pick: int, more: int) -> None:
        key = sorted(self.paid)[pick % len(self.paid)]
        room, minor, payment_id = self.paid[key]
        if more:
            with pytest.raises(Conflict):
                self.do(self.site.pay(minor + more, room, key))
        else:
            again = self.do(self.site.pay(minor, room, key))
            assert (again.is_new, again.payment_id) == (False, payment_id)

    @rule()
    def booking(self) -> None:
        self.do(close.book_day(self.db, self.site.project_id, self.clock()))

    # What relays are asked.

    @rule(room=rooms, kind=st.sampled_from(sorted(set(CommandKind) - set(parameter.KINDS))))
    def request(self, room: int, kind: CommandKind) -> None:
        self.do(command.request(
            self.db, self.site.project_id, [self.site.meters[room]], kind, "because", None,
            self.clock(),
        ))  # fmt: skip
        laid = {
            CommandKind.DISCONNECT: Override.OFF, CommandKind.KEEP_POWER_ON: Override.ON,
            CommandKind.READ: self.override[room],
        }  # fmt: skip
        self.override[room] = laid.get(kind, Override.NONE)

    @rule()
    def sender(self) -> None:
        self.claim()

    def claim(self) -> bool:
        """Take the next command, and check that it may be sent."""
        claimed = self.do(
            command.claim(self.db, self.site.project_id, self.site.gateway_id, self.clock())
        )
        if claimed is None:
            return False
        assert claimed.expires_at > self.clock()
        row = self.do(self.site.row("select * from command where id = $1", claimed.id))
        room = self.site.meters.index(claimed.meter_id)
        if claimed.kind is CommandKind.DISCONNECT:
            # What came after a connect that was sent may cut off; what came before it may not.
            assert row["generation"] > self.connected.get(room, 0)
            if claimed.reason is Reason.ARREARS:
                self.check_arrears(room)
        elif claimed.kind in (CommandKind.CONNECT, CommandKind.ALLOW_CONNECT):
            self.connected[room] = row["generation"]
        self.in_hand.append(claimed)
        return True

    def check_arrears(self, room: int) -> None:
        """All that must be true before somebody is cut off for money."""
        left_minor = self.left_nano(room) // 10**7
        state = self.do(self.site.state(room))
        now = self.clock()
        assert left_minor < 0
        assert not is_quiet(now) or -left_minor >= QUIET_DEBT_MINOR
        assert self.override[room] is not Override.ON
        assert now - state["read_at"] <= READING_AGE_MAX
        assert now - state["noticed_at"] >= NOTICE_AGE

    @precondition(lambda self: self.in_hand)
    @rule(effect=st.sampled_from(Effect), is_seen=st.booleans())
    def finish(self, effect: Effect, is_seen: bool) -> None:
        claimed = self.in_hand.pop()
        room = self.site.meters.index(claimed.meter_id)
        if effect is Effect.DONE:
            after = {CommandKind.DISCONNECT: Relay.OPEN, CommandKind.CONNECT: Relay.CLOSED,
                     CommandKind.ALLOW_CONNECT: Relay.ARMED}  # fmt: skip
            self.relay[room] = after.get(claimed.kind, self.relay[room])
        said = Values(relay=self.relay[room]) if is_seen else Values()
        why = "" if effect is Effect.DONE else "silence"
        self.do(command.finish(self.db, claimed, Outcome(effect, said, why), self.clock()))

    @precondition(lambda self: self.in_hand)
    @rule()
    def sender_dies(self) -> None:
        self.in_hand.clear()

    @rule()
    def tend(self) -> None:
        self.do(command.tend(self.db, self.site.project_id, self.clock()))

    @rule(minutes=st.sampled_from([1, 4, 45, 45, 700]))
    def time_passes(self, minutes: int) -> None:
        self.clock.step(minutes=minutes)

    # What must be true after every step.

    def left_nano(self, room: int) -> int:
        """What the model says is left of what a room has paid, to the last Nano."""
        ways = Counter(at_us for at_us, _ in self.told[room])
        sound = [
            (at_us, (total_milli, -1, -1, -1, -1))
            for at_us, total_milli in self.told[room]
            if ways[at_us] == 1
        ]
        used_milli = sum(energy for _, _, energy in judge_chain(METER, sound)[1])
        paid_minor = sum(minor for who, minor, _ in self.paid.values() if who == room)
        return paid_minor * 10**7 - used_milli * PRICE_MICRO

    @invariant()
    def proofs_hold(self) -> None:
        broken = [one.says for one in self.do(proofs.prove(self.address)) if not one.holds]
        assert broken == []

    @invariant()
    def what_is_left_is_what_the_model_says(self) -> None:
        for room, point_id in enumerate(self.site.points):
            row = self.do(self.site.row(
                """select (a.credit_minor - a.debit_minor) as balance_minor, s.accrued_nano
                   from point_state s join point p on p.id = s.point_id
                   join account a on a.id = p.account_id where p.id = $1""", point_id,
            ))  # fmt: skip
            assert row["balance_minor"] * 10**7 - row["accrued_nano"] == self.left_nano(room)

    @invariant()
    def transfers_only_grow_and_make_the_balances(self) -> None:
        now = self.do(self.site.rows("select * from transfer order by id"))
        assert now[: len(self.transfers)] == self.transfers
        self.transfers = now
        balance: Counter[int] = Counter()
        for one in now:
            balance[one["debit_account_id"]] -= one["amount_minor"]
            balance[one["credit_account_id"]] += one["amount_minor"]
        accounts = self.do(self.site.rows("select *, credit_minor - debit_minor as b from account"))
        assert {one["id"]: one["b"] for one in accounts if one["b"]} == {
            account_id: minor for account_id, minor in balance.items() if minor
        }

    @invariant()
    def commands_end_once_and_are_never_forgotten(self) -> None:
        for one in self.do(self.site.commands()):
            is_live = one["state"] in (CommandState.QUEUED, CommandState.SENT)
            assert is_live == (one["ended_at"] is None)
            assert one["expires_at"] > one["not_before"]


def test_the_books_hold_whatever_happens(template: Address) -> None:
    Books.template = template
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
