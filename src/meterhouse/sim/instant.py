"""The town's time: whole milliseconds since 2020, and a meter's own idea of them.

Owns the conversion from aware instants and the clock of a device that drifts and can be set. Must
never ask what time it is. Milliseconds as integers keep the hot path free of calendar objects, and
a product of power and time exact.
"""

from datetime import UTC, datetime, timedelta

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
_WALL_ORIGIN = datetime(2020, 1, 1)  # noqa: DTZ001  # a meter's wall clock knows no time zone
_MILLISECOND = timedelta(milliseconds=1)
_PPM = 1_000_000


def town_ms(instant: datetime) -> int:
    """Milliseconds from 2020-01-01 UTC to an aware instant, rounded down."""
    return (instant - _ORIGIN) // _MILLISECOND


def wall_of(wall_ms: int) -> datetime:
    """The naive calendar reading of a wall clock that is this far past its 2020-01-01 00:00."""
    return _WALL_ORIGIN + timedelta(milliseconds=wall_ms)


def wall_ms_of(wall: datetime) -> int:
    """How far a naive calendar reading is past 2020-01-01 00:00."""
    return (wall - _WALL_ORIGIN) // _MILLISECOND


class DeviceClock:
    """A wall clock that runs too fast or too slow by a constant share.

    Args:
        set_at_ms: town time at which it was set.
        shows_ms: wall time it showed then.
        drift_ppm: how many millionths it runs too fast (negative: too slow), within ±100,000.
    """

    __slots__ = ("_drift_ppm", "_set_at_ms", "_shows_ms")

    def __init__(self, set_at_ms: int, shows_ms: int, drift_ppm: int) -> None:
        self._set_at_ms = set_at_ms
        self._shows_ms = shows_ms
        self._drift_ppm = drift_ppm

    def shown_ms(self, at_ms: int) -> int:
        """The wall time it shows at a town time."""
        passed = at_ms - self._set_at_ms
        return self._shows_ms + passed + passed * self._drift_ppm // _PPM

    def reaches_ms(self, shown_ms: int) -> int:
        """The first town time at which it shows at least this wall time."""
        wanted = shown_ms - self._shows_ms
        at_ms = self._set_at_ms + wanted * _PPM // (_PPM + self._drift_ppm) - 2
        while self.shown_ms(at_ms) < shown_ms:
            at_ms += 1
        return at_ms

    def set(self, at_ms: int, shows_ms: int) -> None:
        """Make it show a wall time from now on."""
        self._set_at_ms = at_ms
        self._shows_ms = shows_ms
