"""A street of meters that keep their own money, and a way to them that loses, doubles and delays.

The driver, the flows, the store and the meters are the real ones; only time and the way between are
made here. `Way` carries frames: it may lose a request or a reply, keep a copy of a request for as
long as the frame's lifetime allows, or hand over a reply at a later conversation. `Sender` is the
head end's part, one transaction at a time, so that a test may let it die between any two.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np

from meterhouse.drivers import driver_for
from meterhouse.flows import exchange, gateway, reading, recharge, sale, transit
from meterhouse.flows.sale import Wish
from meterhouse.model import Keeper
from meterhouse.ports import Ask, Intent, MeterRef, Outcome, ReadWallet, SendOrder
from meterhouse.sim.answers import MeterFace
from meterhouse.sim.esam import FakeSecurityModule
from meterhouse.sim.instant import HOUR_MS, town_ms
from meterhouse.sim.purse import Cut
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.units import Minor, to_us
from meterhouse.wire.dlt645 import ABNORMAL, FROM_METER, SECURITY, Decoder, Frame
from premises import Clock, Site, build_site

ORDER, ESAM = "DLT645-2007-ORDER", "DLT645-2007-ESAM"
OFFSET_MS = 8 * HOUR_MS


class Mishap(StrEnum):
    """What befalls one order on its way, or the meter that takes it."""

    NONE = "none"
    LOST = "lost"
    REPLY_LOST = "reply_lost"
    REPLY_LATE = "reply_late"
    REFUSED = "refused"
    LYING_REFUSAL = "lying_refusal"
    DELAYED = "delayed"
    COPIED = "copied"
    POWER_CUT = "power_cut"
    HALF_APPLIED = "half_applied"


@dataclass
class Way:
    """The way to the meters of one street, and the faces at its end."""

    clock: Clock
    faces: dict[str, MeterFace] = field(default_factory=dict)
    gone: list[MeterFace] = field(default_factory=list)
    mishap: Mishap = Mishap.NONE
    is_up: bool = True
    under_way: list[tuple[datetime, Frame]] = field(default_factory=list)
    late_replies: list[Frame] = field(default_factory=list)
    copy_after: timedelta = timedelta(minutes=3)
    decoder: Decoder = field(default_factory=Decoder)
    heard: list[tuple[datetime, str, int]] = field(default_factory=list)

    def hang(self, spec: MeterSpec) -> MeterFace:
        """A meter is put on the line."""
        face = face_of(spec, town_ms(self.clock()), OFFSET_MS)
        self.faces[spec.address] = face
        return face

    def arrive(self) -> None:
        """What was under way and is due now reaches its meter; nobody listens."""
        due = sorted((each for each in self.under_way if each[0] <= self.clock()), key=_first)
        self.under_way = [each for each in self.under_way if each[0] > self.clock()]
        for at, frame in due:
            face = self.faces.get(frame.address)
            if face is not None:
                face.meter.advance(town_ms(at))
                face.answer(frame)

    def settle(self) -> None:
        """Every meter lives on to the present."""
        self.arrive()
        for face in self.faces.values():
            face.meter.advance(town_ms(self.clock()))

    def carry(self, ask: Ask) -> list[Frame]:
        """One request to its meter; the replies that come within its time."""
        self.settle()
        (frame,) = self.decoder.feed(ask.frame)
        assert isinstance(frame, Frame)
        face = self.faces.get(frame.address)
        if not self.is_up or face is None:
            return []
        is_order = frame.control == SECURITY and frame.data[:4].hex() != "ff000007"
        if not is_order:
            answers = face.answer(frame)
            self._note_count(frame, answers)
            return answers
        mishap, self.mishap = self.mishap, Mishap.NONE
        return self._order(face, frame, mishap)

    def _note_count(self, frame: Frame, answers: list[Frame]) -> None:
        """Remember what a counter read, for whoever asks later what was known when."""
        if frame.data == _COUNT and answers and not answers[0].abnormal:
            count = int(answers[0].data[:3:-1].hex())
            self.heard.append((self.clock(), frame.address, count))

    def _order(self, face: MeterFace, frame: Frame, mishap: Mishap) -> list[Frame]:
        late, self.late_replies = self.late_replies, []
        if mishap is Mishap.LOST:
            return late
        if mishap in (Mishap.DELAYED, Mishap.COPIED):
            self.under_way.append((self.clock() + self.copy_after, frame))
            if mishap is Mishap.DELAYED:
                return late
        if mishap is Mishap.REFUSED:
            return [*late, _refusal(frame)]
        if mishap in _CUTS and face.purse is not None:
            face.purse.cut = _CUTS[mishap]
        answers = face.answer(frame)
        if mishap is Mishap.REPLY_LOST:
            return late
        if mishap is Mishap.REPLY_LATE:
            self.late_replies = answers
            return late
        if mishap is Mishap.LYING_REFUSAL and answers:
            return [*late, _refusal(frame)]
        return [*late, *answers]


def _first(each: tuple[datetime, Frame]) -> datetime:
    return each[0]


def _refusal(frame: Frame) -> Frame:
    return Frame(frame.address, frame.control | FROM_METER | ABNORMAL, b"\x01")


_COUNT = bytes.fromhex("01023303")
_CUTS = {Mishap.POWER_CUT: Cut.POWER, Mishap.HALF_APPLIED: Cut.REFUSAL}


@dataclass
class Street:
    """A site whose meters keep the money, their way, and what the head end does there."""

    site: Site
    way: Way
    model: str
    module: Any = None

    @property
    def faces(self) -> list[MeterFace]:
        """The meters of the rooms, in their order."""
        return [self.way.faces[f"{place:012}"] for place in range(1, len(self.site.rooms) + 1)]

    def talk(self, address: str, intent: Intent) -> Outcome:
        """One conversation, over the way, in no time."""
        driver = driver_for("dlt645-2007", "tcp", self.module)
        talk = driver.converse(MeterRef(address, self.model), intent)
        replies: list[Frame] = []
        try:
            ask = next(talk)
            while True:
                if ask.frame:
                    replies = self.way.carry(ask)
                ask = talk.send(replies.pop(0) if replies else None)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    async def pay(self, amount_minor: int, room: int = 0, key: str = "") -> int:
        """A household pays at the desk, and the money sets out for its meter."""
        site = self.site
        key = key or f"paid-{room}-{site.clock()}-{amount_minor}"
        wish = Wish(Minor(amount_minor), None, "cash", None, key)
        done = await sale.sell(
            site.db, site.project_id, site.points[room], wish, None, site.clock()
        )
        row = await site.row("select id from recharge where payment_id = $1", done.payment_id)
        made: int = row["id"]
        return made

    async def claim(self) -> transit.Due | None:
        """The next that is due."""
        site = self.site
        return await transit.claim(site.db, site.project_id, site.gateway_id, site.clock())

    async def serve(self, due: transit.Due, steps: int = 9) -> None:
        """What the head end does with one that is due; it dies after so many steps."""
        site = self.site
        outcome = self.talk(due.address, ReadWallet())
        if steps <= 0:
            return
        order = await transit.look(site.db, due, outcome, site.clock())
        if order is None or steps <= 1:
            return
        frame = order.frame
        if frame is None:
            made = self.talk(due.address, order.intent)
            frame = made.values.frame
            if frame is None:
                await transit.unmade(site.db, due, made.why, site.clock())
                return
        if not await transit.commit(site.db, due, order, frame, site.clock()) or steps <= 2:
            return
        await self.before_send(due, frame)
        outcome = self.talk(due.address, SendOrder(frame))
        if steps <= 3:
            return
        await transit.note(site.db, due, outcome, site.clock())

    async def before_send(self, due: transit.Due, frame: bytes) -> None:
        """The last moment before the bytes of an order leave; for tests to look."""

    async def run(self, steps: int = 9) -> bool:
        """Serve one that is due; False when none is."""
        due = await self.claim()
        if due is None:
            return False
        await self.serve(due, steps)
        return True

    async def wait(self, **much: int) -> None:
        """Time passes, and whatever is due is served at its time."""
        site = self.site
        until = site.clock() + timedelta(**much)
        while True:
            due_at = await transit.due_at(site.db, site.project_id, site.gateway_id)
            if due_at is None or due_at > until:
                break
            site.clock.at = max(site.clock(), due_at)
            await self.run()
        site.clock.at = until
        self.way.settle()

    async def read(self, room: int = 0, at: datetime | None = None) -> None:
        """A round reads one meter, and the reading flow hears what it says of its purse."""
        await self.hear(self.sample(room), at or self.site.clock())

    def sample(self, room: int) -> tuple[int, ...]:
        """What a round would bring: meter, total, count, credit, overdraft."""
        self.way.settle()
        meter = self.faces[room].meter
        net = meter.credit_minor
        total = meter.registers_wh()[0] // 10 * 10
        return self.site.meters[room], total, meter.purchase_count, max(net, 0), max(-net, 0)

    async def hear(self, sample: tuple[int, ...], at: datetime) -> None:
        """A sample, perhaps an old one, reaches the reading flow."""
        meter_id, total, *purse = sample
        site = self.site
        one = lambda value: np.array([value], dtype=np.int64)  # noqa: E731
        batch = reading.Batch(
            one(meter_id), one(to_us(at)), np.array([[total, -1, -1, -1, -1]], dtype=np.int64),
            one(1), one(-1), one(-1), one(purse[1]), one(0),
            np.array([purse], dtype=np.int64),
        )  # fmt: skip
        await reading.ingest(site.db, site.tariffs, site.project_id, batch, site.clock())

    async def recharge(self, recharge_id: int) -> dict[str, Any]:
        """One recharge's row."""
        return await self.site.row("select * from recharge where id = $1", recharge_id)

    async def balances(self) -> dict[str, int]:
        """What stands on the project's accounts, by kind."""
        rows = await self.site.rows(
            "select kind, sum(credit_minor - debit_minor)::int8 as minor from account group by kind"
        )
        return {row["kind"]: row["minor"] for row in rows if row["minor"]}


async def build_street(
    db: Any, clock: Clock, *, rooms: int = 1, model: str = ORDER, credit_minor: int = 0,
    price_micro: int = 0, name: str = "street", is_let: bool = True, **spec: Any,
) -> Street:  # fmt: skip
    """A site whose households' meters keep their money, each with a steady load."""
    site = await build_site(
        db, clock, rooms=rooms, keeper=Keeper.METER, model=model, name=name, is_let=is_let
    )
    way = Way(clock)
    for place in range(1, rooms + 1):
        way.hang(
            MeterSpec(
                f"{place:012}", model, load_class="steady", scale_permille=500_000,
                keeps_purse=True, credit_minor=credit_minor, price_micro=(price_micro,) * 4, **spec,
            )
        )  # fmt: skip
    if model != ESAM:
        return Street(site, way, model)
    await gateway.come(db, site.project_id, site.gateway_id, "here", clock(), seals=True)
    return Street(site, way, model, FakeSecurityModule())


async def build_lived(db: Any, clock: Clock) -> Street:
    """A household whose meter keeps the money, with all that can happen to that behind it."""
    made = await build_street(
        db, clock, credit_minor=1_000, purchase_count=6, price_micro=1_000_000
    )
    site = made.site
    await made.read()
    clock.step(minutes=30)
    await made.read()
    await made.pay(500)
    await made.run()
    called_back = await made.pay(300)
    key = (site.db, site.project_id)
    await transit.cancel(*key, called_back, "mistake", None, site.clock())
    await recharge.take_back(*key, site.points[0], Minor(400), None, site.clock())
    await made.run()
    clock.step(minutes=1)
    closing_milli = (await site.state())["good_0_milli"]
    held = await site.row("select credit_minor from wallet")
    new = exchange.Exchange(
        ORDER, "900", site.gateway_id, 1, (500, -1, -1, -1, -1), "the display is broken",
        {"1": (closing_milli, -1, -1, -1, -1)}, credit_minor=held["credit_minor"] - 10,
    )  # fmt: skip
    await exchange.exchange(*key, site.meters[0], new, None, site.clock())
    return made
