"""The three ports to the world outside, and the values that cross them.

Owns what a driver, a payment provider and a notifier promise; must never know one of them. A
driver is sans-I/O: it turns an intent into a conversation (a generator of `Ask`), and whoever
holds the bus sends the bytes and feeds the frames back. Outcomes are three-valued, because an
acknowledgement proves an effect and a refusal or silence proves nothing.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from meterhouse.model import Relay

Clock: TypeAlias = Callable[[], datetime]
"""Gives the present instant, aware and in UTC; handed down from app, worker or cli."""


class Action(StrEnum):
    """What remote control can ask of a relay (拉闸, 合闸允许, 直接合闸, 保电, 保电解除)."""

    DISCONNECT = "disconnect"
    ALLOW_CONNECT = "allow_connect"
    CONNECT = "connect"
    KEEP_POWER_ON = "keep_power_on"
    KEEP_POWER_OFF = "keep_power_off"


@dataclass(frozen=True, slots=True)
class ReadRound:
    """What every round reads: energy registers, relay state and, where kept, the credit."""


@dataclass(frozen=True, slots=True)
class ReadLive:
    """Everything a person wants to see now: the round plus power, voltage, current and clock."""


@dataclass(frozen=True, slots=True)
class ReadAddress:
    """Ask whoever is alone on the line for its address."""


@dataclass(frozen=True, slots=True)
class FindMeters:
    """Ask every meter whose address ends with these digits to say its address.

    An even number of digits; none asks the whole line, all of an address asks one meter. The line
    is listened to until `patience_ms` are over, because meters answer when they please.
    """

    ending: str
    patience_ms: int


@dataclass(frozen=True, slots=True)
class Identify:
    """Read what tells what kind of meter this is: its texts, phases, registers and clock."""


@dataclass(frozen=True, slots=True)
class ReadParameter:
    """Read one parameter by the model's name for it."""

    name: str


@dataclass(frozen=True, slots=True)
class WriteParameter:
    """Write one parameter by the model's name for it, and read it back."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ReadParameters:
    """Read several parameters by the model's names for them; one that is refused ends it."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteSet:
    """Write several parameters, prove them by reading, and only then when they come into force.

    Attributes:
        items: (name, text) of what is written: a standby set (备用套), or what holds at once.
        switches: names of the parameters that say when the standby set comes into force.
        switch_at_local: that instant, on the meter's wall clock.
        local_time: what the meter's clock ought to show now; a switch is trusted to no other.
        expects: (name, text) of what must read so before anything is written.
    """

    items: tuple[tuple[str, str], ...]
    switches: tuple[str, ...] = ()
    switch_at_local: datetime | None = None
    local_time: datetime | None = None
    expects: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SetClock:
    """Set the meter's clock to this local wall time (naive: a meter knows no time zone)."""

    local_time: datetime


@dataclass(frozen=True, slots=True)
class Control:
    """Switch the relay or set keep-power, and verify by reading back.

    `valid_until_local` is the meter-local wall time after which the meter must ignore the frame.
    """

    action: Action
    valid_until_local: datetime


@dataclass(frozen=True, slots=True)
class ReadWallet:
    """Read a meter's own purse: its counter, credit and overdraft, the sum of all purchases."""


@dataclass(frozen=True, slots=True)
class OpenWallet:
    """Make the frame that begins a meter's purse for a customer, with a first amount or none.

    Like the other two orders of money it sends nothing that changes the meter: the outcome's
    `values.frame` is stored first and then goes out by `SendOrder`, so that what may have left is
    always known. `number` is the purchase the order is to be (充值次数), `order_number` up to 16
    digits that no other order of this meter has.
    """

    amount_minor: int
    number: int
    order_number: str
    customer_number: str = "000000000000"


@dataclass(frozen=True, slots=True)
class Recharge:
    """Make the frame that puts money into a meter's purse; fields as in `OpenWallet`."""

    amount_minor: int
    number: int
    order_number: str
    customer_number: str = "000000000000"


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Make the frame that takes money out of a meter's purse; fields as in `OpenWallet`."""

    amount_minor: int
    number: int
    order_number: str
    customer_number: str = "000000000000"


@dataclass(frozen=True, slots=True)
class SendOrder:
    """Send these very bytes of an order once; what it brought is read back unless all is silent.

    DONE says that the meter acknowledged an order, UNKNOWN that nothing is proven: whether *this*
    order was taken, its counter and balance tell, and who judges them is not the driver.
    """

    frame: bytes


Intent: TypeAlias = (
    ReadRound
    | ReadLive
    | ReadAddress
    | FindMeters
    | Identify
    | ReadParameter
    | ReadParameters
    | WriteParameter
    | WriteSet
    | SetClock
    | Control
    | ReadWallet
    | OpenWallet
    | Recharge
    | TakeBack
    | SendOrder
)


@dataclass(frozen=True, slots=True)
class MeterRef:
    """What a driver needs to know of one meter.

    `address` is what the protocol prints (12 digits for DL/T 645). `model` is the meter model's
    name; `password` its digits without the level, which belongs to the model.
    """

    address: str
    model: str
    password: str = "000000"  # noqa: S105  # the factory default of the field, replaced per meter
    operator: str = "00000000"


@dataclass(frozen=True, slots=True)
class Values:
    """What a meter said of itself. Integers in the unit the name ends in; None is "not said"."""

    total_milli: int | None = None
    band_milli: tuple[int, ...] | None = None
    relay: Relay = Relay.UNKNOWN
    keep_power: bool | None = None
    power_w: int | None = None
    voltage_dv: tuple[int, ...] | None = None
    current_ma: tuple[int, ...] | None = None
    credit_minor: int | None = None
    overdraft_minor: int | None = None
    purchase_count: int | None = None
    purchased_minor: int | None = None
    hoarding_minor: int | None = None
    customer_number: str | None = None
    frame: bytes | None = None
    clock_local: datetime | None = None
    address: str | None = None
    addresses: tuple[str, ...] | None = None
    phases: int | None = None
    status_words: tuple[int, ...] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


class Effect(StrEnum):
    """Three values, never two: done, not done with proof, unknown."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a conversation ended.

    `why` is a stable code: "" when done, else e.g. "silence", "refused", "no_such_data",
    "wrong_password", "keep_power", "relay_unchanged", "not_bcd", "unsupported"; and of a search
    "several" when more was heard than one meter says.
    """

    effect: Effect
    values: Values = field(default_factory=Values)
    why: str = ""
    asks: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Bytes to put on the line, and how long to listen afterwards.

    A frame starts a new deadline, `timeout_ms` from its sending. An empty `frame` sends nothing
    and never extends a deadline that still runs: listen until then, or until `timeout_ms` from now
    if that is sooner; once silence has ended it, wait `timeout_ms`. So a driver passes over
    foreign frames, and lets a relay settle. When a deadline is over, the line first hands over what
    the decoder's `flush` gives, and tells of silence only when that was no answer.
    """

    frame: bytes
    timeout_ms: int


Answer: TypeAlias = Any | None
"""A decoded frame of the driver's own protocol, or None for silence until the time was over."""

Conversation: TypeAlias = Generator[Ask, Answer, Outcome]


class Decoder(Protocol):
    """Bytes in any portions to frames; total: never raises, resynchronises by itself."""

    def feed(self, data: bytes) -> list[Any]:
        """Frames and typed wire errors found so far, in order of arrival."""

    def flush(self) -> list[Any]:
        """What was still waiting for more bytes, now that the line has gone quiet."""


class SecurityModule(Protocol):
    """What holds the keys of meters with a security chip (ESAM), and never gives them away.

    An owner has such a module from the meters' maker; an adapter to it answers within
    milliseconds, because a conversation waits for it, or raises a `MeterhouseError`. Public text
    does not settle how its answers come about, only their sizes.
    """

    def authentication(self, address: str) -> bytes:
        """Cipher, random number and diversification of a new session: 24 bytes."""

    def seal(self, address: str, challenge: bytes, data: bytes) -> bytes:
        """Four bytes that only this meter, in the session of this challenge, takes for `data`."""


class Driver(Protocol):
    """One protocol family: intents in, bytes out, frames in, outcome out. No I/O, no clock."""

    protocol: str

    def decoder(self) -> Decoder:
        """A fresh stream decoder for one line."""

    def converse(self, meter: MeterRef, intent: Intent) -> Conversation:
        """The conversation that carries out one intent with one meter."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one recipient, already written in the recipient's language."""

    project_id: int
    id: int
    channel: str
    recipient: str
    subject: str
    text: str


class Notifier(Protocol):
    """One channel to people: console, e-mail, and plug-ins for SMS, voice, WeChat."""

    channel: str

    async def send(self, notice: Notice) -> None:
        """Deliver, or raise `meterhouse.errors.MeterhouseError`; the outbox tries again."""


class PaymentProvider(Protocol):
    """One way money arrives from outside; the recharge and tenant pages bring adapters."""

    name: str
