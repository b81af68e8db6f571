"""The physics of one meter: what flows, what is counted, what the relay and the purse do.

Owns registers, bands, clock, relay, in-meter purse and freeze records as one pure state machine
over time. Must never know frames: `answers` speaks for it. Nothing ticks. `advance` carries the
state to an instant by walking only the instants at which something changes (a band edge, midnight,
a pressed button, the last coin), and between two of them the load's running integral gives the
energy exactly; so a meter costs nothing until it is asked.

Energy is counted in nanojoule and shown in Wh modulo the register's size; the parts below a Wh
stay in the count. What the purse deducts follows each whole Wh at the price of its band.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from meterhouse.meter_models import MeterModel
from meterhouse.model import Relay
from meterhouse.sim.dice import mix
from meterhouse.sim.instant import DAY_MS, MINUTE_MS, DeviceClock, wall_of
from meterhouse.sim.loads import NJ_PER_WH, Load, LoadClass, shape_of
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.tables import Slots, Tables, TwoSets
from meterhouse.units import NANO_PER_UNIT

FREEZES_KEPT = 62
NANO_PER_MINOR = NANO_PER_UNIT // 100
CLOCK_LOST_MS = -7305 * DAY_MS
"""2000-01-01, where a clock without battery starts again."""

_UNWRITTEN: Mapping[int, bytes] = {}
_ENDLESS_NJ = 10**30
NOMINAL_DV = 2200
VOLTAGE_SPREAD_DV = 60


@dataclass(frozen=True, slots=True)
class Live:
    """Instantaneous values that agree with each other; tuples have one entry a phase."""

    voltage_dv: tuple[int, ...]
    current_ma: tuple[int, ...]
    power_mw: tuple[int, ...]
    power_factor_permille: int


class SimMeter:
    """One simulated meter. Methods that change it act at the instant it was advanced to.

    Args:
        spec: the individual.
        model: what it is built like.
        start_ms: town time at which it is switched on.
        utc_offset_ms: what the town's wall time adds to UTC.
    """

    __slots__ = (
        "_band",
        "_band_nj",
        "_edge_ms",
        "_load",
        "_mark_nj",
        "_modulus_wh",
        "_month_nj",
        "_offset_ms",
        "_press_ms",
        "_slots",
        "clock",
        "closed_ms",
        "credit_nano",
        "freezes",
        "keep_power",
        "last_purchase",
        "model",
        "now_ms",
        "overdraft_minor",
        "parameters",
        "purchase_count",
        "purchased_minor",
        "relay",
        "sets",
        "settlement_day",
        "settlement_hour",
        "spec",
        "tripped_ms",
    )

    def __init__(
        self, spec: MeterSpec, model: MeterModel, start_ms: int, utc_offset_ms: int
    ) -> None:
        self.spec = spec
        self.model = model
        self.now_ms = start_ms
        self._offset_ms = utc_offset_ms
        self._load = Load(shape_of(LoadClass(spec.load_class)), spec.scale_permille, spec.shift_ms)
        self._mark_nj = self._load.energy_nj(start_ms + utc_offset_ms)
        self._modulus_wh = model.modulus_milli
        self._band_nj = [wh * NJ_PER_WH for wh in spec.start_wh]
        wall_ms = start_ms + utc_offset_ms + spec.clock_error_ms
        self.clock = DeviceClock(start_ms, wall_ms, spec.drift_ppm)
        self.relay = Relay.CLOSED
        self.keep_power = False
        self.tripped_ms: int | None = None
        self.closed_ms: int | None = None
        self._press_ms: int | None = None
        self.credit_nano = spec.credit_minor * NANO_PER_MINOR
        self.overdraft_minor = 0
        self.sets = TwoSets(Tables(price_micro=spec.price_micro))
        self.settlement_day = 1
        self.settlement_hour = 0
        self._month_nj = sum(self._band_nj)
        self.purchase_count = spec.purchase_count
        self.purchased_minor = spec.credit_minor
        self.last_purchase: tuple[int, int, int, int] | None = None
        self.freezes: deque[tuple[int, tuple[int, ...]]] = deque(maxlen=FREEZES_KEPT)
        self.parameters: Mapping[int, bytes] = _UNWRITTEN
        self._find_band(wall_ms)

    # ---- time

    def advance(self, to_ms: int) -> None:
        """Carry the state forward to a town time; an earlier one changes nothing."""
        while self.now_ms < to_ms:
            stop_ms = min(to_ms, self._edge_ms)
            if self._press_ms is not None:
                stop_ms = min(stop_ms, self._press_ms)
            if self.relay is Relay.CLOSED:
                stop_ms = self._consume(stop_ms)
            self.now_ms = stop_ms
            if stop_ms == self._press_ms:
                self.press_button()
            if stop_ms == self._edge_ms:
                self._cross_edge()

    def _consume(self, stop_ms: int) -> int:
        """Count the energy up to `stop_ms`, or to the instant the money ends; that instant."""
        drawn_nj = self._load.energy_nj(stop_ms + self._offset_ms)
        if not self.spec.keeps_purse:
            self._band_nj[self._band] += drawn_nj - self._mark_nj
            self._mark_nj = drawn_nj
            return stop_ms
        counted_nj, tables = self._band_nj[self._band], self.sets.now
        month_nj = sum(self._band_nj) - self._month_nj
        used_wh = month_nj // NJ_PER_WH
        price_micro = tables.price_micro[self._band] + tables.added_micro(used_wh)
        last_nj = self._mark_nj + self._affordable_nj(counted_nj, price_micro)
        block_nj = self._mark_nj + tables.next_limit_wh(used_wh) * NJ_PER_WH - month_nj
        money_ends = not self.keep_power and drawn_nj >= last_nj and last_nj <= block_nj
        if money_ends or drawn_nj > block_nj:
            offset_ms = self._offset_ms
            from_ms, reached_nj = self.now_ms + offset_ms, last_nj if money_ends else block_nj
            stop_ms = self._load.reaches_ms(reached_nj, from_ms, stop_ms + offset_ms) - offset_ms
            drawn_nj = self._load.energy_nj(stop_ms + offset_ms)
        self._band_nj[self._band] += drawn_nj - self._mark_nj
        self._mark_nj = drawn_nj
        spent_wh = self._band_nj[self._band] // NJ_PER_WH - counted_nj // NJ_PER_WH
        self.credit_nano -= spent_wh * price_micro
        if money_ends:
            self.now_ms = stop_ms
            self._open()
        return stop_ms

    def _affordable_nj(self, counted_nj: int, price_micro: int) -> int:
        """Energy until the Wh whose price takes the last of the credit is full."""
        left_nano = self.credit_nano + self.overdraft_minor * NANO_PER_MINOR
        if left_nano <= 0:
            return 0
        if price_micro == 0:
            return _ENDLESS_NJ
        affordable_wh = -(-left_nano // price_micro)
        return affordable_wh * NJ_PER_WH - counted_nj % NJ_PER_WH

    def _cross_edge(self) -> None:
        """Change the band, freeze at midnight, switch tables: all by the meter's own clock."""
        shown_ms = self.clock.shown_ms(self.now_ms)
        if shown_ms % DAY_MS < MINUTE_MS:
            self.freezes.append((shown_ms // DAY_MS * DAY_MS, self.registers_wh()))
        if self._settles(shown_ms):
            self._month_nj = sum(self._band_nj)
        self._find_band(shown_ms)

    def _settles(self, shown_ms: int) -> bool:
        """Whether the clock has just reached the day and hour at which a month's blocks begin."""
        is_sharp = shown_ms % DAY_MS // MINUTE_MS == self.settlement_hour * 60
        return is_sharp and wall_of(shown_ms).day == self.settlement_day

    def _find_band(self, shown_ms: int) -> None:
        """The band of this instant, and the next instant at which anything may change."""
        self.sets.swap(shown_ms)
        today = wall_of(shown_ms)
        self._slots = self.sets.now.slots_on(today.month, today.day)
        minute = shown_ms % DAY_MS // MINUTE_MS
        band, next_minute = self._slots[-1][1], DAY_MS // MINUTE_MS
        for start_minute, slot_band in self._slots:
            if start_minute > minute:
                next_minute = start_minute
                break
            band = slot_band
        self._band = band - 1
        if today.day == self.settlement_day and minute < self.settlement_hour * 60:
            next_minute = min(next_minute, self.settlement_hour * 60)
        edge_shown_ms = shown_ms // DAY_MS * DAY_MS + next_minute * MINUTE_MS
        if self.sets.next_ms is not None:
            edge_shown_ms = min(edge_shown_ms, self.sets.next_ms)
        self._edge_ms = self.clock.reaches_ms(edge_shown_ms)

    def set_clock(self, shows_ms: int) -> None:
        """Set the wall clock; bands follow it from now on."""
        self.clock.set(self.now_ms, shows_ms)
        self._find_band(shows_ms)

    def set_anew(self) -> None:
        """Something was written that bands or prices follow from."""
        self._find_band(self.shown_ms)

    @property
    def slots(self) -> Slots:
        """The daily table in force."""
        return self._slots

    @property
    def shown_ms(self) -> int:
        """What the meter's wall clock shows."""
        return self.clock.shown_ms(self.now_ms)

    # ---- what it shows

    def registers_wh(self) -> tuple[int, ...]:
        """Total, then sharp, peak, flat, valley, each in Wh below the modulus."""
        sharp, peak, flat, valley = self._band_nj
        modulus_wh = self._modulus_wh
        return (
            (sharp + peak + flat + valley) // NJ_PER_WH % modulus_wh,
            sharp // NJ_PER_WH % modulus_wh,
            peak // NJ_PER_WH % modulus_wh,
            flat // NJ_PER_WH % modulus_wh,
            valley // NJ_PER_WH % modulus_wh,
        )

    def counted_nj(self) -> int:
        """All energy ever counted, in nJ, without rollover."""
        return sum(self._band_nj)

    @property
    def credit_minor(self) -> int:
        """Money in the meter in 0.01 of the currency, rounded down; negative is overdraft."""
        return self.credit_nano // NANO_PER_MINOR

    def live(self) -> Live:
        """Voltage, current and power that agree with each other and with the load."""
        seed = self.spec.seed
        power_mw = 0
        if self.relay is Relay.CLOSED:
            power_mw = self._load.power_mw(self.now_ms + self._offset_ms)
        shares = _phase_shares(seed, self.model.phases)
        factor = 900 + mix(seed, 0) % 100
        minute = self.now_ms // MINUTE_MS
        voltage_dv, current_ma, phase_mw = [], [], []
        for phase, share in enumerate(shares):
            swing = mix(seed, minute * len(shares) + phase) % (2 * VOLTAGE_SPREAD_DV + 1)
            phase_dv = NOMINAL_DV + swing - VOLTAGE_SPREAD_DV
            voltage_dv.append(phase_dv)
            phase_mw.append(power_mw * share // 1000)
            # P = U · I · cos φ, with U in 0.1 V, I in mA, P in mW and cos φ in thousandths.
            current_ma.append(phase_mw[-1] * 10_000 // (phase_dv * factor))
        return Live(tuple(voltage_dv), tuple(current_ma), tuple(phase_mw), factor)

    # ---- relay

    def trip(self) -> bool:
        """Open the relay; refused while keep-power is on."""
        if self.keep_power:
            return False
        if self.relay is not Relay.OPEN:
            self._open()
        return True

    def permit_close(self) -> None:
        """Allow a person to close the relay with the button."""
        if self.relay is Relay.OPEN:
            self.relay = Relay.ARMED
            if self.spec.presses_after_ms is not None:
                self._press_ms = self.now_ms + self.spec.presses_after_ms

    def press_button(self) -> bool:
        """Somebody presses the button; closes an armed relay."""
        if self.relay is not Relay.ARMED:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Close the relay at once."""
        if self.relay is Relay.CLOSED:
            return
        self.relay = Relay.CLOSED
        self._press_ms = None
        self.closed_ms = self.shown_ms
        self._mark_nj = self._load.energy_nj(self.now_ms + self._offset_ms)

    def set_keep_power(self, on: bool) -> None:
        """Forbid tripping (保电), which also closes an open relay, or allow it again."""
        self.keep_power = on
        if on:
            self.close()

    def _open(self) -> None:
        self.relay = Relay.OPEN
        self._press_ms = None
        self.tripped_ms = self.shown_ms

    # ---- purse

    def add_money(self, amount_minor: int) -> None:
        """Money comes into the purse, or goes out of it; the number of purchases is not moved."""
        before_minor = self.credit_minor
        self.credit_nano += amount_minor * NANO_PER_MINOR
        self.last_purchase = (self.shown_ms, abs(amount_minor), before_minor, self.credit_minor)
        self.purchased_minor += amount_minor
        if self.credit_nano + self.overdraft_minor * NANO_PER_MINOR > 0:
            self.permit_close()

    def buy(self, amount_minor: int, purchase_count: int) -> bool:
        """Take a purchase if its number is the next one (充值次数 + 1); else change nothing."""
        if purchase_count != self.purchase_count + 1:
            return False
        self.add_money(amount_minor)
        self.purchase_count = purchase_count
        return True

    # ---- mishaps

    def restart(self, *, clock_lost: bool) -> None:
        """Power comes back: registers, relay and purse are kept, the clock perhaps not."""
        if clock_lost:
            self.set_clock(CLOCK_LOST_MS)

    def wind_to_rollover(self) -> None:
        """Wind every register to a few Wh below its modulus; the next energy rolls it over."""
        turn_nj = self._modulus_wh * NJ_PER_WH
        self._band_nj = [
            counted_nj - counted_nj % turn_nj + turn_nj - NJ_PER_WH for counted_nj in self._band_nj
        ]


def _phase_shares(seed: int, phases: int) -> tuple[int, ...]:
    if phases == 1:
        return (1000,)
    first = 250 + mix(seed, 1) % 150
    second = 250 + mix(seed, 2) % 150
    return (first, second, 1000 - first - second)
