"""How a simulated meter takes orders of money: what it checks, keeps, refuses and half-does.

Owns the meter's side of a recharge in both families. Must never know frames: `answers` hands over
the data of a security request. What it keeps (counter, credit, orders taken) stands as in flash: a
power cut loses the session alone. The order of its checks is the field's: authentication, customer,
count, hoarding limit.

Unsettled and therefore only this meter's habit: that the money is stored before the number, that
taking money back counts as a purchase too, and that sixteen order numbers are remembered.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from meterhouse.errors import BadInput
from meterhouse.sim.dice import mix
from meterhouse.sim.esam import FakeSecurityModule
from meterhouse.sim.instant import MINUTE_MS
from meterhouse.sim.meter import NANO_PER_MINOR, SimMeter
from meterhouse.wire.dlt645 import security
from meterhouse.wire.dlt645.layout import Digits

ORDERS_KEPT = 16
SESSION_MS = 5 * MINUTE_MS
HOARDING, CUSTOMER = 0x04001004, 0x0400040E
NOBODY = "0" * 12


class Refused(StrEnum):
    """Why an order is refused, in the order of the checks; models name the codes."""

    AUTHENTICATION = "authentication_refused"
    SEAL = "seal_refused"
    CUSTOMER = "customer_refused"
    NOT_OPENED = "not_opened"
    REPEATED = "repeated"
    COUNT = "count_refused"
    HOARDING = "hoarding_refused"
    OTHER = "refused"


class Cut(StrEnum):
    """What interrupts the meter between the money and the number of its next order."""

    POWER = "power"
    REFUSAL = "refusal"


class PowerCut(Exception):
    """The meter is without power: it answers nothing."""


@dataclass(slots=True)
class SimPurse:
    """The purse of one meter beside its credit, which the meter deducts from by itself.

    Attributes:
        meter: whose it is.
        cut: lets the next order be interrupted.
    """

    meter: SimMeter
    cut: Cut | None = None
    orders: deque[str] = field(default_factory=lambda: deque(maxlen=ORDERS_KEPT))
    _challenge: bytes = b""
    _session_ms: int = 0

    @property
    def customer(self) -> str:
        """The number it was opened for; zeros where it was not. Vendor meters are born open."""
        raw = self.meter.parameters.get(CUSTOMER, bytes(6))
        return str(Digits(6).decode(raw))

    @customer.setter
    def customer(self, number: str) -> None:
        self.meter.parameters = {**self.meter.parameters, CUSTOMER: Digits(6).encode(number)}

    @property
    def _is_sealed(self) -> bool:
        return self.meter.model.wallet == "esam"

    def answer(self, data: bytes) -> bytes | Refused:
        """The data of a positive reply to a security request, or why it is refused.

        Raises:
            PowerCut: the order was interrupted, and nobody answers.
        """
        try:
            di = int.from_bytes(data[:4], "little")
            if self._is_sealed:
                return self._sealed(di, data[8:])
            if di not in (security.RECHARGE, security.TAKE_BACK):
                return Refused.OTHER
            amount_minor, order_number, _, address, _ = security.decode_order(data)
        except BadInput:
            return Refused.OTHER
        if address != self.meter.spec.address:
            return Refused.CUSTOMER
        if order_number in self.orders or order_number is None:
            return Refused.COUNT
        sign = -1 if di == security.TAKE_BACK else 1
        return self._take(sign * int(str(amount_minor)), str(order_number))

    def _sealed(self, di: int, fields: bytes) -> bytes | Refused:
        if di == security.AUTHENTICATE:
            self._session_ms = self.meter.now_ms + SESSION_MS
            seed = mix(self.meter.spec.seed, self.meter.now_ms)
            self._challenge = seed.to_bytes(8, "little")[:4] + bytes(8)
            return data_head(di) + self._challenge
        if di not in (security.OPEN_ACCOUNT, security.RECHARGE) or len(fields) != 22:
            return Refused.OTHER
        if not self._challenge or self.meter.now_ms > self._session_ms:
            return Refused.AUTHENTICATION
        module, own = FakeSecurityModule(), self.meter.spec.address
        for part, mac in ((fields[:8], fields[8:12]), (fields[12:18], fields[18:])):
            if module.seal(own, self._challenge, part) != mac:
                return Refused.SEAL
        amount_minor = int.from_bytes(fields[:4], "little")
        number = int.from_bytes(fields[4:8], "little")
        customer = Digits(6).decode(fields[12:18])
        if di == security.OPEN_ACCOUNT:
            self.customer = str(customer)
            self.meter.purchase_count = 0
        elif self.customer == NOBODY:
            return Refused.NOT_OPENED
        elif customer != self.customer:
            return Refused.CUSTOMER
        if number == self.meter.purchase_count and di != security.OPEN_ACCOUNT:
            return Refused.REPEATED
        if number != self.meter.purchase_count + 1:
            return Refused.COUNT
        return self._take(amount_minor, "")

    def _take(self, amount_minor: int, order_number: str) -> bytes | Refused:
        """Store the money, then the number; whatever cuts in comes between the two."""
        meter = self.meter
        after_nano = meter.credit_nano + amount_minor * NANO_PER_MINOR
        if after_nano > self.hoarding_minor * NANO_PER_MINOR or after_nano < min(
            meter.credit_nano, 0
        ):
            return Refused.HOARDING
        meter.add_money(amount_minor)
        if self.cut is not None:
            cut, self.cut = self.cut, None
            self._challenge = b""
            if cut is Cut.POWER:
                raise PowerCut
            return Refused.OTHER
        meter.purchase_count += 1
        if order_number:
            self.orders.append(order_number)
        return b""

    @property
    def hoarding_minor(self) -> int:
        """The most it may hold."""
        said = self.meter.parameters.get(HOARDING)
        return 99_999_999 if said is None else int(said[::-1].hex())


def data_head(di: int) -> bytes:
    """An identifier in front of a reply's data."""
    return di.to_bytes(4, "little")
