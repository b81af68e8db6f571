"""A street whose money is watched: what may happen on its way, and what must be true after it.

Owns the truth beside the flows: what was paid, what each meter really took, when which bytes left,
and what a counter read at which instant. It judges by these alone and never by what a flow thinks.
"""

from collections import Counter
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from meterhouse.control.recharge import FENCE
from meterhouse.errors import MeterhouseError
from meterhouse.flows import recharge, transit, wallet
from meterhouse.flows.transit import Verdict
from meterhouse.sim.answers import MeterFace
from meterhouse.sim.spec import MeterSpec
from meterhouse.store import catalog, monitor, proofs, recharges
from meterhouse.store.db import Address, Database
from meterhouse.units import Minor
from premises import Clock
from stateful.homes import Home, Life, Sale
from stateful.watched import LIVE, WatchedStreet, must
from street import ESAM, ORDER, Mishap, build_street

ROOMS = 2
BORN_MINOR = 1_000
HOARDING = 0x04001004
STRANGER = "000000000999"
# Why a meter takes no money by itself, which a household cannot help.
TAKES_NONE = (
    "wallet_frozen", "hoarding_exceeded", "meter_not_opened", "numbers_used_up",
)  # fmt: skip
BEFORE, AFTER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Town:
    """One street, its truth, and everything that can happen there, as plain methods."""

    address: Address
    clock: Clock = field(default_factory=Clock)
    paid: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    sales: list[Sale] = field(default_factory=list)
    # Who pays for each room now, who did before, and the meters that each room has had.
    homes: list[Home] = field(default_factory=list)
    closed: list[Home] = field(default_factory=list)
    lives: list[list[Life]] = field(default_factory=list)
    # Who receives what, by charge class, and what should lie in whose drawer; None: the house.
    payee_ids: dict[str, int] = field(default_factory=dict)
    drawers: Counter[int | None] = field(default_factory=Counter)
    foreign_minor: dict[int, int] = field(default_factory=dict)
    stale: list[tuple[tuple[int, ...], datetime]] = field(default_factory=list)
    transfers: list[dict[str, Any]] = field(default_factory=list)
    # Meters that were taken down while money was on its way, by recharge.
    taken_down: dict[int, MeterFace] = field(default_factory=dict)
    # Recharges whose end was looked at, and those whose end a person decided.
    ended: set[int] = field(default_factory=set)
    # When meters were hung that came later, and taken down.
    hung: dict[int, datetime] = field(default_factory=dict)
    died: dict[int, datetime] = field(default_factory=dict)
    # When other systems opened a room's meter.
    disowned: dict[int, datetime] = field(default_factory=dict)
    # Rooms whose registers begin anew without anybody having said so.
    untold: set[int] = field(default_factory=set)
    proves_each: int = 1
    check_count: int = 0

    async def open(self, model: str = ORDER, price_micro: int = 500_000) -> None:
        """Found the street: meters with some money in them, read once."""
        self.db = Database(self.address, size=2)
        await self.db.open()
        street = await build_street(
            self.db, self.clock, rooms=ROOMS, model=model, credit_minor=BORN_MINOR,
            purchase_count=3, price_micro=price_micro,
        )  # fmt: skip
        self.street = WatchedStreet(street.site, street.way, street.model, street.module)
        self.site, self.way = street.site, street.way
        for room in range(ROOMS):
            face, where = self.street.faces[room], self.site.rooms[room]
            assert where.agreement_id is not None
            self.homes.append(Home({room: 0}, where.agreement_id))
            self.lives.append([Life(face, where.meter_id, 0)])
            self.own(face, room)
            await self.street.read(room)

    def own(self, face: MeterFace, room: int) -> None:
        """A meter belongs to its customer."""
        assert face.purse is not None
        face.purse.customer = f"{self.site.points[room]:012d}"

    async def close(self) -> None:
        """Leave the database."""
        await self.db.close()

    async def ask(self, doing: Awaitable[Any], *codes: str, may: Collection[str] = ()) -> Any:
        """Let something be done; None where it is refused.

        It must be refused, with one of `codes`, where there are any; else it may be with one of
        `may`.
        """
        try:
            done = await doing
        except MeterhouseError as error:
            must(error.code in (codes or may), f"refused as {error.code}, not {codes or may}")
            return None
        must(not codes, f"done, and not refused as {codes}")
        return done

    # What people do.

    async def pay(self, room: int, amount_minor: int) -> int | None:
        """Somebody pays; None where the platform refuses to take the money."""
        key, home = f"key-{len(self.paid)}", self.homes[room]
        codes: tuple[str, ...] = () if home.is_let else ("no_live_agreement",)
        if home.is_let and await self.is_live(room, is_there=True):
            codes = ("recharge_live", *TAKES_NONE)
        made: int | None = await self.ask(
            self.street.pay(amount_minor, room, key), *codes, may=TAKES_NONE
        )
        if made is None:
            return None
        self.paid[key] = (room, amount_minor, made)
        row = await self.street.recharge(made)
        payee_id = self.payee_ids.get("electricity")
        self.sales.append(Sale(row["payment_id"], home, amount_minor, self.clock(), payee_id))
        home.in_minor += amount_minor
        home.left[payee_id] += amount_minor
        self.change_hands(home, amount_minor, payee_id)
        return made

    def change_hands(self, home: Home, amount_minor: int, payee_id: int | None) -> None:
        """Cash came from a household into a drawer, or went back out of it to them."""
        home.paid_minor += amount_minor
        self.drawers[payee_id] += amount_minor

    async def pay_again(self, pick: int, more: int = 0) -> None:
        """The same order arrives a second time, or its key for another amount."""
        if not self.paid:
            return
        key = sorted(self.paid)[pick % len(self.paid)]
        room, amount_minor, made = self.paid[key]
        is_theirs = (await self.street.recharge(made))["agreement_id"] == (
            self.homes[room].agreement_id
        )
        codes = () if is_theirs and not more else ("conflict",)
        again = await self.ask(self.street.pay(amount_minor + more, room, key), *codes)
        must(again in (made, None), "a key paid twice")

    async def cancel(self, pick: int) -> None:
        """Somebody wants money back that is on its way."""
        live = await self.live("reserved", "sent", "unknown")
        if live:
            row = live[pick % len(live)]
            await transit.cancel(
                self.db, self.site.project_id, row["id"], "mistake", None, self.clock()
            )

    async def take_back(self, room: int, amount_minor: int | None) -> None:
        """Money is asked back from a meter, so much or all that is in it."""
        asked = None if amount_minor is None else Minor(amount_minor)
        may = ("meter_gives_nothing_back", "purse_too_small", *TAKES_NONE)
        doing = recharge.take_back(
            self.db, self.site.project_id, self.site.points[room], asked, None, self.clock()
        )
        await self.ask(doing, *await self.live_codes(room, may), may=may)

    async def open_meter(self, room: int) -> None:
        """An account is opened in a meter."""
        doing = recharge.open_wallet(
            self.db, self.site.project_id, self.site.points[room], None, self.clock()
        )
        codes = () if self.street.model == ESAM else ("opening_not_needed",)
        await self.ask(doing, *(codes or await self.live_codes(room, ())))

    async def send(self, room: int, amount_minor: int | None) -> None:
        """Money that lies in a purse is sent on to its meter."""
        asked = None if amount_minor is None else Minor(amount_minor)
        may = ("purse_too_small", *TAKES_NONE)
        doing = recharge.send(
            self.db, self.site.project_id, self.site.points[room], asked, None, self.clock()
        )
        await self.ask(doing, *await self.live_codes(room, may), may=may)

    async def decide(self, pick: int) -> None:
        """Somebody goes and looks at the meter of a halted recharge, and says what is true."""
        halted = await self.live("halted")
        if not halted:
            return
        row = halted[pick % len(halted)]
        self.way.settle()
        coming = [each for each in self.way.under_way if each[1].address == self.address_of(row)]
        face = self.taken_down.get(row["id"]) or self.face_of(row)
        is_in = row["send_count"] > 0 and await self.surplus(row, face) == signed(row)
        if row["kind"] == "open":
            is_in = is_in and self.is_ours(face, self.site.meters.index(row["meter_id"]))
        if is_in and row["dead_at"] > self.clock():
            return
        verdict = Verdict.APPLIED if is_in else Verdict.RETURNED
        if coming and not is_in:
            verdict = Verdict.LOOK
        try:
            await transit.decide(
                self.db, self.site.project_id, row["id"], verdict, "looked", None, self.clock()
            )
        except transit.MayArrive:
            return
        if (await self.street.recharge(row["id"]))["state"] in ("applied", "returned"):
            self.ended.add(row["id"])
            self.life_of(face).is_spoiled = True
            await self.bury(row)

    async def bury(self, row: dict[str, Any]) -> None:
        """The purse of a meter that was taken down is closed once nothing is on its way to it."""
        face = self.taken_down.pop(row["id"], None)
        if face is None:
            return
        async with self.db.transaction([self.site.project_id]) as connection:
            project = await catalog.get_project(connection, self.site.project_id)
            (keeper,) = await recharges.keepers(connection, self.site.project_id, [row["meter_id"]])
            old = {**keeper, "wallet_epoch": row["wallet_epoch"]}
            net = face.meter.credit_minor
            await wallet.retire(connection, project, old, net, None, self.clock())
        life = self.life_of(face)
        life.is_ended = True
        self.homes[self.room_of(life)].back_minor += net

    # What the head end does.

    async def serve(self, mishap: Mishap, steps: int = 9, copy_s: int = 180) -> None:
        """One that is due is looked after, under a mishap, until the head end dies."""
        self.way.mishap = mishap
        self.way.copy_after = timedelta(seconds=copy_s)
        await self.street.run(steps)
        self.way.mishap = Mishap.NONE

    async def wait(self, minutes: int) -> None:
        """Time passes with a head end at work."""
        await self.street.wait(minutes=minutes)
        await transit.tend(self.db, self.site.project_id, self.clock())

    async def pass_time(self, minutes: int) -> None:
        """Time passes, and nobody works."""
        self.clock.step(minutes=minutes)
        self.way.settle()

    async def restart(self) -> None:
        """A new head end begins."""
        site = self.site
        await transit.resume(site.db, site.project_id, site.gateway_id, self.clock())

    async def read(self, room: int, keep: bool = False) -> None:
        """A round reads a meter; the sample arrives at once, or is kept for later."""
        if keep:
            self.stale.append((self.street.sample(room), self.clock()))
        else:
            await self.street.read(room)

    async def arrive_late(self, pick: int) -> None:
        """A sample that lay in a queue is ingested."""
        if self.stale:
            sample, at = self.stale.pop(pick % len(self.stale))
            await self.street.hear(sample, at)

    # What happens to meters.

    def limit(self, room: int, limit_minor: int) -> None:
        """Somebody changes a meter's hoarding limit, and tells nobody."""
        digits = bytes.fromhex(f"{limit_minor:08d}")[::-1]
        meter = self.street.faces[room].meter
        meter.parameters = {**meter.parameters, HOARDING: digits}

    def disown(self, room: int) -> None:
        """Another system opens the meter for a customer of its own."""
        face = self.street.faces[room]
        assert face.purse is not None
        face.purse.customer = STRANGER
        self.disowned[room] = self.clock.step(seconds=1)
        self.clock.step(seconds=1)

    def is_ours(self, face: MeterFace, room: int) -> bool:
        """Whether a meter is open for its point."""
        assert face.purse is not None
        return face.purse.customer == f"{self.site.points[room]:012d}"

    def foreign(self, room: int) -> None:
        """Somebody else puts money in."""
        self.way.settle()
        face = self.street.faces[room]
        face.meter.buy(77, face.meter.purchase_count + 1)
        self.foreign_minor[id(face)] = self.foreign_minor.get(id(face), 0) + 77
        self.life_of(face).is_spoiled = True

    async def swap(self, room: int, purchase_count: int = 0, credit_minor: int = 0) -> None:
        """A meter is given for another under the same address; its line is cleared of copies."""
        site, meter_id = self.site, self.site.meters[room]
        self.way.settle()
        old = self.street.faces[room]
        self.way.under_way = [one for one in self.way.under_way if one[1].address != old.address]
        self.way.late_replies = []
        async with site.db.transaction([site.project_id]) as connection:
            await monitor.lock_meters(
                connection, site.project_id, np.array([meter_id], dtype=np.int64)
            )
            live = await recharges.live_of_meter(connection, site.project_id, meter_id)
            if live is not None and (live["state"] == "halted" or live["id"] in self.taken_down):
                return
            project = await catalog.get_project(connection, site.project_id)
            (keeper,) = await recharges.keepers(connection, site.project_id, [meter_id])
            nothing = wallet.split(0)
            await recharges.begin_epoch(
                connection, site.project_id, meter_id, nothing, self.clock.step(seconds=1)
            )
            last = self.lives[room][-1]
            if live is None:
                net = old.meter.credit_minor
                await wallet.retire(connection, project, keeper, net, None, self.clock())
                last.is_ended = True
                self.homes[room].back_minor += net
            else:
                self.taken_down[live["id"]] = old
        spec = MeterSpec(
            old.address, self.street.model, load_class="steady", scale_permille=500_000,
            keeps_purse=True, price_micro=(500_000,) * 4, purchase_count=purchase_count,
            credit_minor=credit_minor,
        )  # fmt: skip
        self.died[id(old)] = self.clock()
        self.way.gone.append(old)
        new = self.way.hang(spec)
        self.hung[id(new)] = self.clock.step(seconds=1)
        self.own(new, room)
        last.last_epoch = keeper["wallet_epoch"]
        self.lives[room].append(Life(new, meter_id, keeper["wallet_epoch"] + 1))
        # Its registers begin at nothing, and no exchange said so.
        self.untold.add(room)
        await transit.tend(self.db, site.project_id, self.clock())

    # What is true.

    async def live(self, *states: str) -> list[dict[str, Any]]:
        """The recharges in these states."""
        return await self.site.rows(
            "select * from recharge where state = any($1::text[]) order by id", list(states)
        )

    async def is_live(self, room: int, *, is_there: bool = False) -> bool:
        """Whether an order of a room is not settled; `is_there`: of the meter that hangs there."""
        rows = [row for row in await self.live(*LIVE)
                if row["point_id"] == self.site.points[room]]  # fmt: skip
        return any(not is_there or row["id"] not in self.taken_down for row in rows)

    async def live_codes(self, room: int, may: Collection[str]) -> tuple[str, ...]:
        """How a second order is refused while one is on its way."""
        return ("recharge_live", *may) if await self.is_live(room, is_there=True) else ()

    def life_of(self, face: MeterFace) -> Life:
        """What is known of a meter."""
        return next(one for lives in self.lives for one in lives if one.face is face)

    def room_of(self, life: Life) -> int:
        """Where it hangs or hung."""
        return next(room for room, lives in enumerate(self.lives) if life in lives)

    def address_of(self, row: dict[str, Any]) -> str:
        """The address of a recharge's meter."""
        return self.street.faces[self.site.meters.index(row["meter_id"])].address

    def face_of(self, row: dict[str, Any]) -> MeterFace:
        """The meter that hangs where a recharge goes."""
        return self.way.faces[self.address_of(row)]

    async def surplus(self, row: dict[str, Any], face: MeterFace) -> int:
        """What a meter took beyond all that is posted to it."""
        rows = await self.site.rows(
            """select amount_minor, kind from recharge where meter_id = $1
               and state in ('applied', 'verified') and created_at between $2 and $3""",
            row["meter_id"], self.hung.get(id(face), BEFORE), self.died.get(id(face), AFTER),
        )  # fmt: skip
        taken = face.meter.purchased_minor - face.meter.spec.credit_minor
        return taken - self.foreign_minor.get(id(face), 0) - sum(map(signed, rows))

    async def check(self) -> None:
        """Everything that must be true, whatever has happened; the dear proofs now and then."""
        self.check_count += 1
        if self.check_count % self.proves_each == 0:
            await self.check_proofs()
        await self.check_transfers()
        await self.check_meters()
        await self.check_returns()

    async def check_proofs(self) -> None:
        """What `verify` proves, over the whole database."""
        broken = [one.says for one in await proofs.prove(self.address) if not one.holds]
        must(not broken, f"proofs: {broken}")

    async def check_transfers(self) -> None:
        """Transfers only grow; what was paid is all there, in some account."""
        now = await self.site.rows("select * from transfer order by id")
        must(now[: len(self.transfers)] == self.transfers, "a transfer changed")
        self.transfers = now
        balances = await self.street.balances()
        must(sum(balances.values()) == 0, "the books do not balance")
        drawers = await self.site.rows(
            "select payee_id, debit_minor - credit_minor as minor from account where kind = 'cash'"
        )
        held = {row["payee_id"]: row["minor"] for row in drawers if row["minor"]}
        due = {payee: minor for payee, minor in self.drawers.items() if minor}
        must(held == due, f"drawers hold {held}, and should hold {due}")
        below = await self.site.rows(
            """select a.id from account a join agreement g on g.id = a.agreement_id
               where a.kind = 'purse' and g.kind = 'tenant' and a.credit_minor < a.debit_minor"""
        )
        must(not below, "a purse below zero")

    async def check_meters(self) -> None:
        """Each meter took what is posted to it, and at most the one that is under way besides."""
        self.way.settle()
        for room, meter_id in enumerate(self.site.meters):
            face = self.street.faces[room]
            rows = await self.site.rows(
                """select r.*, m.wallet_epoch as epoch_now from recharge r
                   join meter m on m.id = r.meter_id where meter_id = $1
                   and state in ('sent', 'unknown', 'halted')""", meter_id,
            )  # fmt: skip
            mine = [row for row in rows if row["id"] not in self.taken_down]
            must(len(mine) <= 1, "two live recharges of one purse")
            extra = await self.surplus({"meter_id": meter_id}, face)
            allowed = {0} | {signed(row) for row in mine}
            must(extra in allowed, f"a meter took {extra} beyond what is posted to it")
            await self.check_opened(room, face)

    async def check_opened(self, room: int, face: MeterFace) -> None:
        """What counts as opened is, unless somebody else has opened it since."""
        (row,) = await self.site.rows(
            """select max(applied_at) as at from recharge where meter_id = $1 and kind = 'open'
               and state in ('applied', 'verified') and applied_at > $2""",
            self.site.meters[room], max(self.disowned.get(room, BEFORE),
                                        self.hung.get(id(face), BEFORE)),
        )  # fmt: skip
        must(row["at"] is None or self.is_ours(face, room), "an opening that never came is posted")

    async def check_returns(self) -> None:
        """Money came back only when the meter was seen, twice, not to have it, and never will."""
        for row in await self.site.rows("select * from recharge where state = 'returned'"):
            if row["id"] in self.ended or row["dead_at"] is None:
                continue
            self.ended.add(row["id"])
            address = self.address_of(row)
            must(row["ended_at"] >= row["dead_at"], "returned while a copy may still arrive")
            if row["kind"] == "open":
                continue  # its fence is made of customers, and no count tells of them
            seen = [
                at for at, heard, count in self.way.heard
                if heard == address and count == row["number"] - 1
                and row["dead_at"] <= at <= row["ended_at"]
            ]  # fmt: skip
            must(seen and seen[-1] - seen[0] >= FENCE, "returned without a fence")

    async def finish(self) -> None:
        """Everybody works again, and time enough passes: every order has an end or a halt."""
        self.way.is_up = True
        self.way.late_replies = []
        await self.restart()
        for _ in range(4):
            await self.wait(120)
        must(not await self.live("reserved", "sent", "unknown"), "an order without an end")
        await self.check()
        await self.check_proofs()
        await self.check_reports()

    async def check_reports(self) -> None:
        """A last round: where no meter contradicts, the books know what each one holds."""
        self.clock.step(minutes=1)
        for room, meter_id in enumerate(self.site.meters):
            await self.street.read(room)
            known = await self.site.rows(
                """select w.credit_minor - w.overdraft_minor as net, w.frozen_at,
                       exists (select from alarm a where a.meter_id = w.meter_id
                           and a.closed_at is null
                           and a.kind in ('wallet_contradicts', 'recharge_halted')) as contradicted
                   from wallet w join meter m on (m.id, m.wallet_epoch)
                       = (w.meter_id, w.wallet_epoch) where w.meter_id = $1""", meter_id,
            )  # fmt: skip
            for one in known:
                if one["frozen_at"] is None and not one["contradicted"]:
                    held = self.street.faces[room].meter.credit_minor
                    must(one["net"] == held, "the books do not know what a meter holds")


def signed(row: Any) -> int:
    """What an order adds to a meter."""
    amount_minor: int = row["amount_minor"]
    return -amount_minor if row["kind"] == "take_back" else amount_minor
