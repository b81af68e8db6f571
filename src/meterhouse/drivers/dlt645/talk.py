"""Send a request, listen for its own reply, ask again after silence.

Owns which frame counts as an answer: right direction, address, function and, where a reply
carries one, data identifier. Everything else on the line (echoes, neighbours, frames meters push
by themselves, damage) is passed over while time is left. Must never know what an answer means.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

from meterhouse.errors import BadInput
from meterhouse.meter_models import MeterModel
from meterhouse.ports import Answer, Ask, SecurityModule
from meterhouse.wire.dlt645 import (
    FROM_METER,
    Dialect,
    Frame,
    Item,
    address_matches,
    decode_refusal,
    encode,
    join_parts,
)

FOREIGN_MAX = 64  # frames of others passed over for one request before it counts as unanswered
PARTS_MAX = 16  # follow-up frames of one item
SILENCE = "silence"

FUNCTION_AND_DIRECTION = 0x9F

Listening: TypeAlias = Generator[Ask, Answer, Frame | None]
Reading: TypeAlias = Generator[Ask, Answer, tuple[Item, str]]


@dataclass(slots=True)
class Talk:
    """One conversation with one meter: who, how patiently, and how often it was asked so far."""

    dialect: Dialect
    model: MeterModel
    address: str
    timeout_ms: int
    transport: str = "tcp"
    security: SecurityModule | None = None
    asks: int = 0

    def request(
        self, function: int, data: bytes, head: bytes, sends: int, tail: bytes = b""
    ) -> Listening:
        """The reply to a request, or None after `sends` silences.

        A normal reply must begin with `head` and end with `tail`; an abnormal one carries neither.
        """
        sent = encode(Frame(self.address, function, data), self.model.wake)
        for _ in range(sends):
            reply = yield from self.exchange(sent, function, self.timeout_ms, head, tail)
            if reply is not None:
                return reply
        return None

    def exchange(
        self, sent: bytes, function: int, timeout_ms: int, head: bytes = b"", tail: bytes = b""
    ) -> Listening:
        """The reply to these bytes, sent once, or None after a silence of `timeout_ms`."""
        wanted = function | FROM_METER
        self.asks += 1
        answer = yield Ask(sent, timeout_ms)
        for _ in range(FOREIGN_MAX):
            if answer is None:
                break
            if (
                isinstance(answer, Frame)
                and answer.control & FUNCTION_AND_DIRECTION == wanted
                and (
                    answer.abnormal or (answer.data.startswith(head) and answer.data.endswith(tail))
                )
                and address_matches(self.address, answer.address)
            ):
                return answer
            answer = yield Ask(b"", timeout_ms)
        return None

    def pause(self, wait_ms: int) -> Generator[Ask, Answer, None]:
        """Let the meter settle; whatever arrives meanwhile answers nothing."""
        for _ in range(FOREIGN_MAX):
            if (yield Ask(b"", wait_ms)) is None:
                return

    def read(self, di: int) -> Reading:
        """One item and "", or None and why not; an absent item is None and "".

        Follow-up frames are fetched and joined. Reads change nothing, so silence is answered by
        asking again, as often as the model allows.
        """
        head = self.dialect.identifier(di)
        reply = yield from self.request(self.dialect.read, head, head, self.model.retries + 1)
        if reply is None:
            return None, SILENCE
        if reply.abnormal:
            return None, decode_refusal(reply.data).why
        try:
            if not reply.follows:
                payload = reply.data[len(head) :]
            else:
                parts, why = yield from self._follow(head, reply)
                if why:
                    return None, why
                _, payload = join_parts(self.dialect, parts)
            return self.dialect.decode_item(di, payload), ""
        except BadInput as error:
            return None, error.code

    def _follow(self, head: bytes, first: Frame) -> Generator[Ask, Answer, tuple[list[bytes], str]]:
        """The data fields of a reply in parts. Unnumbered parts cannot be asked for twice."""
        parts = [first.data]
        numbered = self.dialect.follow_numbered
        for number in range(1, PARTS_MAX + 1):
            tail = bytes([number]) if numbered else b""
            sends = self.model.retries + 1 if numbered else 1
            reply = yield from self.request(
                self.dialect.read_follow, head + tail, head, sends, tail
            )
            if reply is None:
                return parts, SILENCE
            if reply.abnormal:
                return parts, decode_refusal(reply.data).why
            parts.append(reply.data)
            if not reply.follows:
                return parts, ""
        return parts, "too_long"
