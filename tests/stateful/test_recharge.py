"""Money on its way into meters, whatever happens to it: programs of payments, mishaps and crashes.

The real flows, store, driver and simulated meters; only the way between them and the time are made
(`street`). After every step everything in `money.Town.check` must be true. `planted` holds the
faults that these checks must find: each has a short program that runs well, and does not with the
fault in place.

`METERHOUSE_SOAK=1` searches for as long as a long coffee takes, without and with the faults.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
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
from meterhouse.flows.settle import Balance
from meterhouse.store.db import Address
from stateful.money import ROOMS
from stateful.planted import FAULTS, Fault
from stateful.planted_desk import DESK_FAULTS
from stateful.town import Desk
from stateful.watched import Broken
from street import ESAM, ORDER, Mishap

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
PROGRAMS = int(os.environ.get("METERHOUSE_SOAK_PROGRAMS", "1500"))
EXAMPLES, STEPS = (PROGRAMS, 50) if SOAK else (6, 20)
EVERY_FAULT = (*FAULTS, *DESK_FAULTS)
MET: Counter[str] = Counter()
"""Programs, steps, and what was asked for at the desk; for whoever reports a long run."""
RECEIVERS: tuple[dict[str, str], ...] = ({}, {"electricity": "Works", "fee": "Caretakers"})
rooms = st.integers(0, ROOMS - 1)
picks = st.integers(0, 5)
amounts = st.sampled_from([1, 100, 777, 5_000, 30_000])
befalls = st.sampled_from(Mishap)
moments = st.sampled_from(["", "", "before", "after"])
agreeing = st.sampled_from(["other", "other", "self", ""])


class Money(RuleBasedStateMachine):
    """Two rooms whose meters keep their money; `template` is set by the test."""

    template: Address

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.is_sound = True

    def do(self, doing: Coroutine[Any, Any, Any]) -> Any:
        sound, self.is_sound = self.is_sound, False
        done = self.runner.run(doing)
        self.is_sound = sound
        return done

    @initialize(model=st.sampled_from([ORDER, ORDER, ESAM]), is_joint=st.booleans(),
                rich_minor=st.sampled_from([0, 2_000, 30_000]),
                receivers=st.sampled_from(RECEIVERS))  # fmt: skip
    def found(self, model: str, is_joint: bool, rich_minor: int, receivers: dict[str, str]) -> None:
        """A street; perhaps of one household, with money in its purses, with two payees."""
        self.address = self.do(copy_database(self.template))
        self.town = Desk(self.address, proves_each=1 if SOAK else 4)
        self.do(self.town.open(model))
        if is_joint and model == ORDER:
            self.do(self.town.empty(1))
            self.do(self.town.leave(1))
            self.do(self.town.join(1, 0))
        for charge_class, name in receivers.items():
            self.do(self.town.receive(charge_class, name))
        for room in range(ROOMS if rich_minor else 0):
            self.pay_and_call_back(room, rich_minor)
            self.do(self.town.share(room, 500))

    def teardown(self) -> None:
        try:
            if hasattr(self, "town") and self.is_sound:
                self.do(self.town.finish())
        finally:
            if hasattr(self, "town"):
                MET.update(self.town.asked, programs=1, steps=self.town.check_count)
            if hasattr(self, "address"):
                self.do(self.town.close())
                self.do(drop_copy(self.address))
            self.runner.close()

    @rule(room=rooms, amount_minor=amounts)
    def pay(self, room: int, amount_minor: int) -> None:
        self.do(self.town.pay(room, amount_minor))

    @rule(pick=picks, more=st.sampled_from([0, 0, 5]))
    def pay_again(self, pick: int, more: int) -> None:
        self.do(self.town.pay_again(pick, more))

    @rule(room=rooms, amount_minor=amounts, mishap=befalls, steps=st.sampled_from([9, 9, 9, 3, 2]),
          copy_s=st.sampled_from([30, 180, 590]))  # fmt: skip
    def pay_and_serve(
        self, room: int, amount_minor: int, mishap: Mishap, steps: int, copy_s: int
    ) -> None:
        self.do(self.town.pay(room, amount_minor))
        self.do(self.town.serve(mishap, steps, copy_s))

    @rule(mishap=befalls, steps=st.integers(0, 9), copy_s=st.sampled_from([30, 590]))
    def serve(self, mishap: Mishap, steps: int, copy_s: int) -> None:
        self.do(self.town.serve(mishap, steps, copy_s))

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self.do(self.town.cancel(pick))

    @rule(room=rooms, amount_minor=amounts)
    def pay_and_call_back(self, room: int, amount_minor: int) -> None:
        self.do(self.town.pay(room, amount_minor))
        self.do(self.town.cancel(-1))

    @rule(room=rooms, amount_minor=st.sampled_from([50, 900, None]))
    def take_back(self, room: int, amount_minor: int | None) -> None:
        self.do(self.town.take_back(room, amount_minor))

    @rule(room=rooms)
    def open_meter(self, room: int) -> None:
        self.do(self.town.open_meter(room))

    @rule(room=rooms)
    def disown(self, room: int) -> None:
        self.town.disown(room)

    @rule(room=rooms, moment=moments, who=agreeing)
    def refund(self, room: int, moment: str, who: str) -> None:
        self.do(self.town.refund(room, moment, who))

    @rule(pick=picks, moment=moments, who=agreeing)
    def reverse(self, pick: int, moment: str, who: str) -> None:
        self.do(self.town.reverse(pick, moment, who))

    @rule(charge_class=st.sampled_from(["electricity", "fee"]),
          name=st.sampled_from(["Works", "Caretakers"]))  # fmt: skip
    def receive(self, charge_class: str, name: str) -> None:
        self.do(self.town.receive(charge_class, name))

    @rule(room=rooms, amount_minor=st.sampled_from([100, 30_000]))
    def share(self, room: int, amount_minor: int) -> None:
        self.do(self.town.share(room, amount_minor))

    @rule(room=rooms, amount_minor=st.sampled_from([60, 25_000]), is_from_purse=st.booleans(),
          moment=moments)  # fmt: skip
    def fee(self, room: int, amount_minor: int, is_from_purse: bool, moment: str) -> None:
        self.do(self.town.fee(room, amount_minor, is_from_purse, moment))

    @precondition(lambda self: self.town.fees)
    @rule(pick=picks, moment=moments, who=agreeing)
    def undo_fee(self, pick: int, moment: str, who: str) -> None:
        self.do(self.town.undo_fee(pick, moment, who))

    @rule(room=rooms, to_room=rooms, amount_minor=st.sampled_from([1, 100, 5_000]), moment=moments)
    def move(self, room: int, to_room: int, amount_minor: int, moment: str) -> None:
        self.do(self.town.move(room, to_room, amount_minor, moment))

    @rule(pick=picks)
    def move_again(self, pick: int) -> None:
        self.do(self.town.move_again(pick))

    @rule(room=rooms, amount_minor=st.sampled_from([1, 30_000]), moment=moments)
    def deposit(self, room: int, amount_minor: int, moment: str) -> None:
        self.do(self.town.deposit(room, amount_minor, moment))

    @rule(pick=picks, moment=moments, who=agreeing)
    def give_back(self, pick: int, moment: str, who: str) -> None:
        self.do(self.town.give_back(pick, moment, who))

    @rule(room=rooms, moment=moments, who=agreeing)
    def leave(self, room: int, moment: str, who: str) -> None:
        self.do(self.town.leave(room, moment, who))

    @rule(room=rooms, balance=st.sampled_from(Balance), moment=moments)
    def hand_over(self, room: int, balance: Balance, moment: str) -> None:
        self.do(self.town.hand_over(room, balance, moment))

    @rule(room=rooms, goes=st.sampled_from(["leave", "leave", "pay_out", "move"]), moment=moments,
          who=agreeing)  # fmt: skip
    def empty_and_go(self, room: int, goes: str, moment: str, who: str) -> None:
        for each in self.town.homes[room].rooms:
            self.do(self.town.empty(each))
        if goes == "leave":
            self.do(self.town.leave(room, moment, who))
        else:
            self.do(self.town.hand_over(room, goes, moment, who))

    @precondition(lambda self: not all(home.is_let for home in self.town.homes))
    @rule(room=rooms, to_room=rooms, moment=moments)
    def join(self, room: int, to_room: int, moment: str) -> None:
        self.do(self.town.join(room, to_room, moment))

    @precondition(lambda self: not all(home.is_let for home in self.town.homes))
    @rule(room=rooms)
    def overdraw(self, room: int) -> None:
        self.do(self.town.overdraw(room))

    @precondition(lambda self: not all(home.is_let for home in self.town.homes))
    @rule(room=rooms, credit_minor=st.sampled_from([0, 3_000]), moment=moments)
    def come(self, room: int, credit_minor: int, moment: str) -> None:
        self.do(self.town.come(room, credit_minor, moment))

    @rule(room=rooms, count=st.sampled_from([0, 3]), where=st.sampled_from(["same", "new"]),
          born_minor=st.sampled_from([0, 0, 500]), moment=moments)  # fmt: skip
    def exchange(self, room: int, count: int, where: str, born_minor: int, moment: str) -> None:
        self.do(self.town.exchange(room, count, where, born_minor, moment))

    @rule(pick=picks)
    def decide(self, pick: int) -> None:
        self.do(self.town.decide(pick))

    @rule(minutes=st.sampled_from([1, 3, 12, 45]))
    def wait(self, minutes: int) -> None:
        self.do(self.town.wait(minutes))

    @rule(minutes=st.sampled_from([1, 9, 11, 90]))
    def pass_time(self, minutes: int) -> None:
        self.do(self.town.pass_time(minutes))

    @rule()
    def restart(self) -> None:
        self.do(self.town.restart())

    @rule(is_up=st.booleans())
    def line(self, is_up: bool) -> None:
        self.town.way.is_up = is_up

    @rule(room=rooms, keep=st.booleans())
    def read(self, room: int, keep: bool) -> None:
        self.do(self.town.read(room, keep))

    @precondition(lambda self: self.town.stale)
    @rule(pick=picks)
    def arrive_late(self, pick: int) -> None:
        self.do(self.town.arrive_late(pick))

    @rule(room=rooms, limit_minor=st.sampled_from([2_000, 99_999_999]))
    def limit(self, room: int, limit_minor: int) -> None:
        self.town.limit(room, limit_minor)

    @rule(room=rooms)
    def foreign(self, room: int) -> None:
        self.town.foreign(room)

    @rule(room=rooms, deed=st.sampled_from(["remove", "rename", "keeper"]))
    def tamper(self, room: int, deed: str) -> None:
        self.do(self.town.tamper(room, deed))

    @rule(room=rooms, amount_minor=st.sampled_from([None, 300]))
    def send(self, room: int, amount_minor: int | None) -> None:
        self.do(self.town.send(room, amount_minor))

    @rule(room=rooms)
    def swap(self, room: int) -> None:
        self.do(self.town.swap(room))

    @invariant()
    def everything_is_true(self) -> None:
        if hasattr(self, "town"):
            self.do(self.town.check())


def search(template: Address, examples: int, *, shrinks: bool) -> None:
    """Let programs run until one breaks something."""
    Money.template = template
    phases = tuple(Phase) if shrinks else (Phase.generate,)
    run_state_machine_as_test(
        Money,
        settings=settings(
            max_examples=examples, stateful_step_count=STEPS, deadline=None, phases=phases,
            suppress_health_check=list(HealthCheck), print_blob=False,
        ),
    )  # fmt: skip


def test_money_arrives_exactly_once_whatever_happens(template: Address) -> None:
    try:
        shrinks = SOAK and "METERHOUSE_SOAK_PROGRAMS" not in os.environ
        search(template, EXAMPLES, shrinks=shrinks)
    finally:
        print(dict(MET.most_common()))


async def run_program(address: Address, fault: Fault) -> None:
    """Run a fault's program, step by step, and everything that must be true after each."""
    town = Desk(address)
    await town.open(fault.model)
    try:
        for verb, *given in fault.program:
            done = getattr(town, verb)(*given)
            if done is not None:
                await done
            await town.check()
        await town.finish()
    finally:
        await town.close()


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=lambda one: one.name)
async def test_a_planted_fault_is_found(address, fault, monkeypatch):
    planting = await fault.plant(monkeypatch, address)
    with pytest.raises(Broken):
        await run_program(address, fault)
    assert planting.strikes


@pytest.mark.skipif(not SOAK, reason="a minute; the long run does it")
@pytest.mark.parametrize("fault", EVERY_FAULT, ids=lambda one: one.name)
async def test_the_program_that_finds_a_fault_runs_well_without_it(address, fault):
    await run_program(address, fault)
