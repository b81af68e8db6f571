"""One connection to a gateway: who it is, and one conversation at a time.

Owns the bytes of a TCP connection. A line begins nameless; its first packet is the registration
text. From then on a conversation (a driver's generator) is driven straight from the socket's
callbacks: a frame in, the next ask out, no task in between, because thousands of lines do this at
once. Whatever is no frame (heartbeats, noise, late answers) is counted and dropped.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from meterhouse.errors import MeterhouseError
from meterhouse.logs import Log
from meterhouse.ports import Conversation, Decoder, Effect, Outcome

log = Log(__name__)

REGISTRATION_BYTES_MAX = 128
REGISTRATION_TIMEOUT_S = 20
# Nobody has that much to say unasked: a heartbeat is some twenty bytes a minute.
UNASKED_BYTES_MAX = 16_384
UNASKED_WINDOW_S = 10
# The loop's clock advances in steps of a millisecond.
TICK_S = 0.001


class LineBusy(MeterhouseError):
    """A conversation is under way on this bus."""

    code = "line_busy"
    http_status = 409


LOST = Outcome(Effect.UNKNOWN, why="line_lost")
FAILED = Outcome(Effect.UNKNOWN, why="driver_error")


@dataclass(frozen=True, slots=True)
class LineEvents:
    """Whom a line tells: it is there, it has named itself, it is gone, it floods."""

    opened: Callable[["Line"], None]
    named: Callable[["Line", str], None]
    lost: Callable[["Line"], None]
    floods: Callable[["Line"], None]


class Line(asyncio.Protocol):
    """A connection to or from one gateway."""

    def __init__(self, events: LineEvents, knows: Callable[[str], bool]) -> None:
        self._events = events
        self._knows = knows
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._decoder: Decoder | None = None
        self._first = b""
        self._timer: asyncio.TimerHandle | None = None
        self._talk: Conversation | None = None
        self._done: asyncio.Future[Outcome] | None = None
        # When the driver is to hear of silence; None once it has, or before its first frame.
        self._deadline: float | None = None
        self._unasked_bytes = 0
        self._window_end = self._loop.time() + UNASKED_WINDOW_S
        self.closed = asyncio.Event()
        self.name = ""
        self.peer = ""
        self.bytes_in = 0

    @property
    def is_open(self) -> bool:
        """Whether bytes can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket is there; its registration has to follow soon."""
        self._transport = cast(asyncio.Transport, transport)
        host = transport.get_extra_info("peername")
        self.peer = f"{host[0]}:{host[1]}" if isinstance(host, tuple) else str(host)
        self._timer = self._loop.call_later(REGISTRATION_TIMEOUT_S, self._give_up)
        self._events.opened(self)

    def name_it(self, name: str, decoder: Decoder) -> None:
        """Accept the line as this gateway's; from here on its bytes are frames."""
        self.name = name
        self._decoder = decoder
        self._stop_timer()

    def data_received(self, data: bytes) -> None:
        """Bytes in: a registration, a frame of the conversation, or something unasked."""
        self.bytes_in += len(data)
        if self._decoder is None:
            self._register(data)
            return
        if self._floods(len(data)):
            self._events.floods(self)
            self.close()
            return
        for frame in self._decoder.feed(data):
            self._step(frame)

    # asyncio's signature
    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The socket is gone: whoever was talking learns that nothing is proven."""
        self._stop_timer()
        self._transport = None
        self._end(LOST)
        self.closed.set()
        self._events.lost(self)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def talk(self, conversation: Conversation) -> "asyncio.Future[Outcome]":
        """Carry out one conversation; the future holds its outcome and never raises.

        Raises:
            LineBusy: another one is under way.
        """
        if self._talk is not None:
            raise LineBusy
        self._done = self._loop.create_future()
        done = self._done
        if not self.is_open:
            self._end(LOST)
            return done
        self._talk = conversation
        self._deadline = None
        self._step(None, first=True)
        return done

    def _step(self, answer: object, *, first: bool = False) -> None:
        """Give the driver what was heard (None: silence), and do what it asks next."""
        if self._talk is None:
            return  # nobody asked, or an earlier frame of the same packet was the answer
        try:
            ask = next(self._talk) if first else self._talk.send(answer)
        except StopIteration as stop:
            self._end(stop.value)
            return
        except Exception as error:
            # A defect of a driver costs one conversation, never the bus.
            log.error("driver_failed", error=error)
            self._end(FAILED)
            return
        until = self._loop.time() + ask.timeout_ms / 1000
        if ask.frame:
            self._unasked_bytes = 0
            if self._transport is not None:
                self._transport.write(ask.frame)
        elif self._deadline is not None:
            until = min(until, self._deadline)
        self._deadline = until
        self._ring_at(until)

    def _ring_at(self, until: float) -> None:
        """Look at the deadline then.

        Making a timer costs more than handling a frame, so one that rings earlier is left alone:
        it will see that there is time left.
        """
        if self._timer is not None and self._timer.when() > until:
            self._stop_timer()
        if self._timer is None:
            self._timer = self._loop.call_at(until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._talk is None or self._deadline is None:
            return
        if self._deadline - self._loop.time() > TICK_S:
            self._ring_at(self._deadline)
        else:
            self._silence()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _silence(self) -> None:
        """The time is over: what hid behind a false length is heard first, then silence."""
        hidden = self._decoder.flush() if self._decoder is not None else []
        for frame in hidden:
            self._step(frame)
        if not hidden:
            self._deadline = None
            self._step(None)

    def _end(self, outcome: Outcome) -> None:
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        if self._done is not None and not self._done.done():
            self._done.set_result(outcome)
        self._done = None

    def _register(self, data: bytes) -> None:
        self._first += data
        name = _text(self._first.split(b"\n", 1)[0])
        whole = b"\n" in self._first or len(self._first) > REGISTRATION_BYTES_MAX
        if self._knows(name) or whole:
            self._first = b""
            self._events.named(self, name)

    def _give_up(self) -> None:
        self._events.named(self, _text(self._first))

    def _floods(self, count: int) -> bool:
        """Whether this many bytes more are too many since anybody asked for any."""
        now = self._loop.time()
        if now > self._window_end:
            self._window_end, self._unasked_bytes = now + UNASKED_WINDOW_S, 0
        self._unasked_bytes += count
        return self._unasked_bytes > UNASKED_BYTES_MAX


def _text(said: bytes) -> str:
    """A registration as text that can be shown and stored, whatever the bytes are."""
    name = said[:REGISTRATION_BYTES_MAX].strip().decode("ascii", "replace")
    return "".join(one if one.isprintable() else "\ufffd" for one in name)
