"""What to do about money on its way into a meter: one table, first row that speaks wins.

Owns the counter rule (充值次数), the timers and the comparison of what a meter's purse held before
with what it holds now. Must never know a frame, a row or a clock. The same table is printed in the
docs (`docs/recharge.md` is checked against it).

A meter takes a recharge only under the number that follows the last one it took, so the number says
whether the money is in: it reads n when recharge n was taken, n − 1 when it was not. The rest of
the table is about doubt.

- A positive reply proves that *some* order was taken, so the counter is read behind it; a refusal
  or silence proves nothing, and is never a reason to give money back.
- While a copy of the frame may still arrive, n − 1 says nothing about tomorrow. After the frame's
  lifetime the same order is sent again: same number, same amount, same order number. Never another
  number, because the first copy might then be taken as well.
- Some meters store the money before the number. A power cut between the two leaves n − 1 with the
  money inside; sending again would pay twice. So the balance has a say, and what it contradicts
  waits for a person.
- Money goes back to the purse only behind a fence: the lifetime is over, and n − 1 was read twice,
  a minute apart, with a balance that shows nothing came in.
- Whatever the table cannot explain stops: the money stays reserved and visible, an alarm opens, and
  a person decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from meterhouse.model import RechargeState
from meterhouse.units import nano_per_minor

REPLY_MS: Final = {"rs485": 15_000, "tcp": 15_000, "lora": 60_000}
"""How long the reply to a recharge is waited for, by transport."""

LIFETIME: Final = timedelta(minutes=10)
"""After this no copy of a frame is taken any more: gateways drop what is older."""

LOOKS: Final = (
    timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10),
)  # fmt: skip
"""When the meter is read back after a doubtful answer; then in every round."""

FENCE: Final = timedelta(seconds=60)
"""How far apart the two readings lie that prove an order was not taken and never will be."""

LATE: Final = timedelta(minutes=30)
"""A recharge that is live for longer opens an alarm."""

SENDS_MAX: Final = 5
NUMBER_MAX: Final = 65_535
"""Two bytes of counter; a meter that nears it must be given a new purse."""

PRICE_TOP_MICRO: Final = 10_000_000
PRICE_MARGIN: Final = 4
"""A meter's price for a kWh is below the first, or below so many times the dearest of its tariff,
in whatever currency; bounds what it can have deducted since it was last read."""

PURCHASED_MODULUS_MINOR: Final = 10**8
"""Where the sum of all purchases (eight digits) starts again from zero."""


class Deed(StrEnum):
    """What is to be done with a recharge."""

    SEND = "send"
    RESEND = "resend"
    LOOK = "look"
    POST = "post"
    RETURN = "return"
    HALT = "halt"


class Reply(StrEnum):
    """What came back when the order was last sent; `none` when it was not sent just now."""

    NONE = "none"
    POSITIVE = "positive"
    REFUSED = "refused"
    SILENCE = "silence"


class Balance(StrEnum):
    """Whether the meter's purse, compared with before, holds the amount."""

    IN = "in"
    OUT = "out"
    EITHER = "either"
    NEITHER = "neither"
    UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class Purse:
    """A meter's purse as it said: credit less overdraft, and the sum of all purchases."""

    net_minor: int
    purchased_minor: int | None = None


def balance_of(before: Purse, now: Purse | None, amount_minor: int, used_minor: int) -> Balance:
    """Whether an amount came in between two readings of a purse.

    Args:
        before: what the meter said before the order was first sent.
        now: what it says; None where it did not.
        amount_minor: the order's amount, negative where money is taken back.
        used_minor: the most that the meter can have deducted by itself in between.
    """
    if now is None:
        return Balance.UNSAID
    moved_minor = now.net_minor - before.net_minor
    may_be_in = amount_minor - used_minor <= moved_minor <= amount_minor
    may_be_out = -used_minor <= moved_minor <= 0
    if before.purchased_minor is not None and now.purchased_minor is not None:
        bought_minor = (now.purchased_minor - before.purchased_minor) % PURCHASED_MODULUS_MINOR
        may_be_in &= bought_minor == amount_minor % PURCHASED_MODULUS_MINOR
        may_be_out &= bought_minor == 0
    if may_be_in and may_be_out:
        return Balance.EITHER
    if may_be_in:
        return Balance.IN
    return Balance.OUT if may_be_out else Balance.NEITHER


def most_used_minor(
    max_power_w: int, seconds: int, dearest_micro: int, currency_exponent: int
) -> int:
    """The most a meter can have deducted in this time: full load at the top price, rounded up.

    `dearest_micro` is the dearest price of its point's tariff, 0 where there is none.
    """
    energy_milli = -(-max_power_w * max(seconds, 0) // 3600)
    top_micro = max(PRICE_TOP_MICRO, PRICE_MARGIN * dearest_micro)
    return -(-energy_milli * top_micro // nano_per_minor(currency_exponent))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one recharge that is on its way.

    Attributes:
        state: `reserved` before the first send, `sent` or `unknown` after it.
        is_epoch: whether the meter's purse is still the one the order was made for.
        has_memory: whether the meter knows an order again, by its number or its order number.
        has_counter: whether it can be asked how many orders it has taken.
        number: the order's number, n.
        count: what the meter's counter reads now; None where it did not say.
        balance: whether the money is in its purse.
        reply: what came back, when the order was sent just now.
        is_dead: the lifetime of every copy is over.
        is_fenced: *n − 1* was read twice behind the lifetime, `FENCE` apart.
        is_refused: the meter refused for good (hoarding limit, customer, not opened), or a person
            wants the money back: it is not sent again.
        send_count: how often it was sent.
        is_ours: whether the meter's account was opened for this customer; None where it did not
            say, which matters to an opening alone.
    """

    state: RechargeState
    is_epoch: bool
    has_memory: bool
    has_counter: bool
    number: int
    count: int | None
    balance: Balance
    reply: Reply = Reply.NONE
    is_dead: bool = False
    is_fenced: bool = False
    is_refused: bool = False
    send_count: int = 0
    is_ours: bool | None = None

    @property
    def is_unsent(self) -> bool:
        """Whether no byte of it can have left."""
        return self.state is RechargeState.RESERVED

    def reads(self, offset: int) -> bool:
        """Whether the counter reads n plus this."""
        return self.count is not None and self.count == self.number + offset


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `why` is the stable word of a halt."""

    name: str
    speaks: Callable[[Facts], bool]
    deed: Deed
    why: str = ""


TABLE: tuple[Row, ...] = (
    Row("nothing was sent, and nobody wants it any more",
        lambda f: f.is_unsent and f.is_refused, Deed.RETURN),
    Row("the meter's purse is another one (wallet epoch)",
        lambda f: not f.is_epoch, Deed.HALT, "epoch"),
    Row("the meter knows no order again: it is sent once, and only a positive reply ends it",
        lambda f: not f.has_memory and f.send_count > 0 and f.reply is not Reply.POSITIVE,
        Deed.HALT, "no_memory"),
    Row("the meter has no counter, and its reply is positive",
        lambda f: not f.has_counter and not f.is_unsent and f.reply is Reply.POSITIVE, Deed.POST),
    Row("the meter did not say its counter, or its balance",
        lambda f: f.balance is Balance.UNSAID or (f.has_counter and f.count is None), Deed.LOOK),
    Row("the counter is beyond n: somebody else put money in",
        lambda f: f.count is not None and f.count > f.number, Deed.HALT, "foreign_credit"),
    Row("the counter is before n − 1: another purse is suspected",
        lambda f: f.count is not None and f.count < f.number - 1, Deed.HALT, "count_behind"),
    Row("nothing was sent, and the counter reads n: somebody else put money in",
        lambda f: f.is_unsent and f.reads(0), Deed.HALT, "foreign_credit"),
    Row("nothing was sent, and the counter reads n − 1 or there is none",
        lambda f: f.is_unsent, Deed.SEND),
    Row("the counter reads n, and the balance agrees",
        lambda f: f.reads(0) and f.balance in (Balance.IN, Balance.EITHER), Deed.POST),
    Row("the counter reads n, and the balance contradicts",
        lambda f: f.reads(0), Deed.HALT, "balance"),
    Row("the counter reads n − 1 or there is none, and a copy may still arrive",
        lambda f: not f.is_dead, Deed.LOOK),
    Row("the counter reads n − 1, and the balance shows money, or cannot tell",
        lambda f: f.has_counter and f.balance is not Balance.OUT, Deed.HALT, "balance"),
    Row("refused for good, and there is no counter to prove it by",
        lambda f: f.is_refused and not f.has_counter, Deed.HALT, "no_counter"),
    Row("refused for good, and not fenced yet",
        lambda f: f.is_refused and not f.is_fenced, Deed.LOOK),
    Row("refused for good, and fenced",
        lambda f: f.is_refused, Deed.RETURN),
    Row("it was sent as often as it may be",
        lambda f: f.send_count >= SENDS_MAX, Deed.HALT, "sends"),
    Row("the counter reads n − 1 or there is none, and the lifetime is over",
        lambda _: True, Deed.RESEND),
)  # fmt: skip


OPENING: tuple[Row, ...] = (
    Row("nothing was sent, and nobody wants it any more",
        lambda f: f.is_unsent and f.is_refused, Deed.RETURN),
    Row("the meter's purse is another one (wallet epoch)",
        lambda f: not f.is_epoch, Deed.HALT, "epoch"),
    Row("the meter did not say its customer, its counter or its balance",
        lambda f: f.is_ours is None or f.count is None or f.balance is Balance.UNSAID, Deed.LOOK),
    Row("nothing was sent, and it is open for this customer already",
        lambda f: f.is_unsent and bool(f.is_ours), Deed.POST),
    Row("nothing was sent, and it is open for nobody or for another",
        lambda f: f.is_unsent, Deed.SEND),
    Row("it is open for this customer, and the counter reads n",
        lambda f: bool(f.is_ours) and f.reads(0), Deed.POST),
    Row("it is open for this customer, and the counter reads something else",
        lambda f: bool(f.is_ours), Deed.HALT, "foreign_credit"),
    Row("it is not open for this customer, and a copy may still arrive",
        lambda f: not f.is_dead, Deed.LOOK),
    Row("refused for good, and not fenced yet",
        lambda f: f.is_refused and not f.is_fenced, Deed.LOOK),
    Row("refused for good, and fenced",
        lambda f: f.is_refused, Deed.RETURN),
    Row("it was sent as often as it may be",
        lambda f: f.send_count >= SENDS_MAX, Deed.HALT, "sends"),
    Row("it is not open for this customer, and the lifetime is over",
        lambda _: True, Deed.RESEND),
)  # fmt: skip
"""What to do about an opening (开户): it brings no money, so whom the meter is open for decides."""


def decide(facts: Facts, table: tuple[Row, ...] = TABLE) -> Row:
    """The row of the table that speaks."""
    return next(row for row in table if row.speaks(facts))


# What each deed makes of a live recharge; looking changes nothing but a doubtful answer's state.
NEXT: Final = {
    Deed.SEND: RechargeState.SENT,
    Deed.RESEND: RechargeState.SENT,
    Deed.POST: RechargeState.APPLIED,
    Deed.RETURN: RechargeState.RETURNED,
    Deed.HALT: RechargeState.HALTED,
}

LIVE: Final = frozenset(
    {RechargeState.RESERVED, RechargeState.SENT, RechargeState.UNKNOWN, RechargeState.HALTED}
)
"""States in which the money is in flight."""

ON_THE_WAY: Final = LIVE - {RechargeState.HALTED}
"""States in which the platform goes on by itself."""


def look_in(look_count: int, round_s: int) -> timedelta:
    """How long after this many looks the meter is read back again."""
    return LOOKS[look_count] if look_count < len(LOOKS) else timedelta(seconds=round_s)


def resend_in(send_count: int) -> timedelta:
    """How long behind the lifetime an order waits to go out again: 0, 10, 20, 40 minutes."""
    return timedelta() if send_count <= 1 else LIFETIME * 2 ** (send_count - 2)
