"""A street that looks at every order of money in the moment before it leaves.

Owns what must be true of bytes that go out, and the word for what is not.
"""

from dataclasses import dataclass, field
from datetime import datetime

from meterhouse.control.recharge import LIFETIME
from meterhouse.flows import transit
from meterhouse.ports import Intent, Outcome
from meterhouse.sim.answers import MeterFace
from street import ESAM, Street

LIVE = ("reserved", "sent", "unknown", "halted")


class Broken(AssertionError):
    """Something that must always be true is not."""


def must(truth: object, what: str) -> None:
    """Stop here unless it is so."""
    if not truth:
        raise Broken(what)


@dataclass
class Sent:
    """The bytes of one order on their way."""

    at: datetime
    meter_id: int
    epoch: int
    number: int
    recharge_id: int
    amount_minor: int
    frame: bytes


@dataclass
class WatchedStreet(Street):
    """A street that looks at every order in the moment before it leaves.

    Attributes:
        sends: the bytes that left.
        addresses: where a room's meter is found, once it is another than the first.
        eaten: what each meter had deducted by each instant at which it was spoken with.
    """

    sends: list[Sent] = field(default_factory=list)
    addresses: dict[int, str] = field(default_factory=dict)
    eaten: dict[tuple[int, datetime], int] = field(default_factory=dict)

    @property
    def faces(self) -> list[MeterFace]:
        return [
            self.way.faces[self.addresses.get(room, f"{room + 1:012}")]
            for room in range(len(self.site.rooms))
        ]

    def talk(self, address: str, intent: Intent) -> Outcome:
        outcome = super().talk(address, intent)
        self.note_eaten()
        return outcome

    def sample(self, room: int) -> tuple[int, ...]:
        said = super().sample(room)
        self.note_eaten()
        return said

    def note_eaten(self) -> None:
        """Remember what every meter has deducted until now."""
        self.way.settle()
        for face in self.way.faces.values():
            meter = face.meter
            self.eaten[id(face), self.site.clock()] = meter.purchased_minor - meter.credit_minor

    async def before_send(self, due: transit.Due, frame: bytes) -> None:
        row = await self.recharge(due.id)
        must(row["frame"] == frame and row["state"] == "sent", "sent before it was written down")
        must(row["dead_at"] == self.site.clock() + LIFETIME, "a lifetime that is none")
        new = Sent(
            self.site.clock(), row["meter_id"], row["wallet_epoch"], row["number"], row["id"],
            row["amount_minor"], frame,
        )  # fmt: skip
        for old in self.sends:
            if (old.meter_id, old.epoch) != (new.meter_id, new.epoch):
                continue
            if old.recharge_id == new.recharge_id:
                must(new.at - old.at >= LIFETIME, "sent again while a copy may still arrive")
                must(old.number == new.number, "sent again under another number")
                same = self.model == ESAM or old.frame == frame
                must(same, "sent again with other bytes")
            else:
                other = await self.recharge(old.recharge_id)
                must(other["state"] not in LIVE, "two live recharges of one purse")
                if old.number == new.number:
                    must(other["state"] == "returned", "one number for two orders")
        self.sends.append(new)
