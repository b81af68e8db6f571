"""A conversation by hand: a driver's generator, a bus, and a time that listening moves on.

Owns the plain loop without an event loop or a clock that the conformance kit and unit tests drive
conversations with. Must never know a driver or what a frame means; it keeps to what the ports say
an `Ask` is.
"""

from collections import deque
from typing import Any

from meterhouse.ports import Ask, Decoder, Driver, Intent, MeterRef, Outcome
from meterhouse.sim.bus import Bus
from meterhouse.sim.instant import DAY_MS, HOUR_MS
from meterhouse.wire import dlt645

ASKS_MAX = 64
"""A conversation that asks more often than this is taken to be endless."""

START_MS = 2_300 * DAY_MS + 4 * HOUR_MS
"""Noon in Shanghai, away from every edge of a meter's day."""


class Line:
    """A serial line with a bus at its end and a time of its own.

    Args:
        bus: who answers.
        now_ms: town time at the start; listening moves it on.
    """

    def __init__(self, bus: Bus, now_ms: int = START_MS) -> None:
        self.bus = bus
        self.now_ms = now_ms
        self.asks = 0
        self._requests = dlt645.Decoder()
        self._arriving: deque[tuple[int, bytes]] = deque()
        self._heard: deque[Any] = deque()
        self._deadline_ms = now_ms

    def carry(self, ask: Ask, decoder: Decoder) -> Any | None:
        """Send what is asked and listen: a frame, or None when the time is over."""
        self.asks += 1
        until_ms = self.now_ms + ask.timeout_ms
        if ask.frame:
            self._deadline_ms = until_ms
            for request in self._requests.feed(ask.frame):
                if isinstance(request, dlt645.Frame):
                    self._send(request)
        until_ms = min(until_ms, self._deadline_ms)
        while not self._heard and self._arriving and self._arriving[0][0] <= until_ms:
            arrives_ms, data = self._arriving.popleft()
            self.now_ms = max(self.now_ms, arrives_ms)
            self._heard.extend(decoder.feed(data))
        if self._heard:
            return self._heard.popleft()
        self.now_ms = max(self.now_ms, until_ms)
        self._heard.extend(decoder.flush())
        return self._heard.popleft() if self._heard else None

    def _send(self, request: dlt645.Frame) -> None:
        reply = self.bus.exchange(request, self.now_ms)
        if reply is not None:
            self._arriving.append((self.now_ms + reply.delay_ms, reply.data))


class Endless(Exception):
    """A conversation asked more than `ASKS_MAX` times; the kit makes a finding of it."""


def run_conversation(driver: Driver, meter: MeterRef, intent: Intent, line: Line) -> Outcome:
    """Carry one intent out over a line and return how it ended.

    Raises:
        Endless: the conversation asked more than `ASKS_MAX` times.
    """
    decoder = driver.decoder()
    conversation = driver.converse(meter, intent)
    line.asks = 0
    try:
        ask = next(conversation)
        while line.asks < ASKS_MAX:
            ask = conversation.send(line.carry(ask, decoder))
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    raise Endless
