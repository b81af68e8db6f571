"""The fourteen nouns as frozen values, and the words their states are said in.

Owns names and shapes; must never know bytes, SQL, screens or rules. One word per thing: the
enum's value is what stands in the database, in the API and in the translation catalogue.
Ids are integers, and whatever belongs to a project is keyed `(project_id, id)`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from meterhouse.units import Milli, Minor


class Commodity(StrEnum):
    """What a point delivers."""

    ELECTRICITY = "electricity"
    WATER = "water"
    HEAT = "heat"
    COOLING = "cooling"


class Keeper(StrEnum):
    """Who keeps the money a point runs on, and therefore who decides its relay."""

    METER = "meter"
    PLATFORM = "platform"
    EXTERNAL = "external"
    NONE = "none"


class Override(StrEnum):
    """What a person laid over the automatic decision: 保电 on, 拉闸 off, 恢复预付费 none."""

    ON = "on"
    OFF = "off"
    NONE = "none"


class Relay(IntEnum):
    """State of a relay or valve as the device itself reported it.

    ARMED: closing is permitted and waits for a person to press the button (待按键).
    """

    UNKNOWN = 0
    CLOSED = 1
    OPEN = 2
    ARMED = 3


class Quality(IntEnum):
    """How a reading's or an interval's energy is known (VEE)."""

    GOOD = 0
    APPORTIONED = 1
    ESTIMATED = 2
    DOUBTFUL = 3
    EDITED = 4


class Compartment(StrEnum):
    """A part of a household's purse; a charge may draw only those its project's rule names."""

    COMMON = "common"
    ELECTRICITY = "electricity"
    WATER = "water"
    HEAT = "heat"
    FEE = "fee"


class AccountKind(StrEnum):
    """The chart of accounts. Purse and on-meter accounts are the household's money."""

    PURSE = "purse"
    DEPOSIT = "deposit"
    ON_METER = "on_meter"
    IN_FLIGHT = "in_flight"
    CASH = "cash"
    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    FEE = "fee"
    TAX = "tax"
    SUBSIDY = "subsidy"
    ROUNDING = "rounding"
    SUSPENSE = "suspense"
    OPENING = "opening"


class PaymentKind(StrEnum):
    """What an order (订单) is: each is one payment and one posted transfer of its amount."""

    RECHARGE = "recharge"
    REFUND = "refund"
    REVERSAL = "reversal"
    MOVE = "move"
    DEPOSIT = "deposit"
    DEPOSIT_REFUND = "deposit_refund"
    FEE = "fee"
    OPENING = "opening"
    OPENING_DEBT = "opening_debt"
    OPENING_DEPOSIT = "opening_deposit"
    SETTLEMENT = "settlement"


class TransferKind(StrEnum):
    """What a transfer was written for; an order's transfer has the word of its order."""

    RECHARGE = "recharge"
    REFUND = "refund"
    REVERSAL = "reversal"
    MOVE = "move"
    DEPOSIT = "deposit"
    DEPOSIT_REFUND = "deposit_refund"
    FEE = "fee"
    OPENING = "opening"
    OPENING_DEBT = "opening_debt"
    OPENING_DEPOSIT = "opening_deposit"
    SETTLEMENT = "settlement"
    WRITE_OFF = "write_off"
    BOOKING = "booking"
    ROUNDING = "rounding"
    RESERVE = "reserve"
    APPLY = "apply"
    RETURN = "return"
    TAKE_BACK = "take_back"
    DEDUCTED = "deducted"
    ADOPTED = "adopted"
    TAKEN_OVER = "taken_over"


class RechargeState(StrEnum):
    """How far money is on its way into a meter; `control.recharge` says what leads where."""

    RESERVED = "reserved"
    SENT = "sent"
    UNKNOWN = "unknown"
    APPLIED = "applied"
    VERIFIED = "verified"
    HALTED = "halted"
    RETURNED = "returned"


class TransferState(StrEnum):
    """A transfer is posted for ever, or pending until it is posted or voided."""

    POSTED = "posted"
    PENDING = "pending"
    VOIDED = "voided"


class CommandKind(StrEnum):
    """What a command asks of one meter; a check reads back what a tariff has brought into force."""

    READ = "read"
    DISCONNECT = "disconnect"
    CONNECT = "connect"
    ALLOW_CONNECT = "allow_connect"
    KEEP_POWER_ON = "keep_power_on"
    KEEP_POWER_OFF = "keep_power_off"
    TARIFF = "tariff"
    SETTING = "setting"
    CHECK = "check"


class CommandState(StrEnum):
    """Sent is not confirmed: `confirmed` means the effect was read back."""

    QUEUED = "queued"
    SENT = "sent"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Reason(StrEnum):
    """Why a relay is to be switched; the guards belong to the reason."""

    ARREARS = "arrears"
    CREDIT = "credit"
    TIMETABLE = "timetable"
    LOAD_RULE = "load_rule"
    PERSON = "person"
    SAFETY = "safety"


class AlarmKind(StrEnum):
    """The condition that opened an alarm."""

    CREDIT_LOW = "credit_low"
    CREDIT_OUT = "credit_out"
    METER_OFFLINE = "meter_offline"
    GATEWAY_OFFLINE = "gateway_offline"
    GATEWAY_UNKNOWN = "gateway_unknown"
    GATEWAY_TWICE = "gateway_twice"
    GATEWAY_FLOOD = "gateway_flood"
    READING_DOUBTFUL = "reading_doubtful"
    READING_UNPLACED = "reading_unplaced"
    COMMAND_FAILED = "command_failed"
    SWEEP_STOPPED = "sweep_stopped"
    CLOCK_SKEW = "clock_skew"
    PROOF_FAILED = "proof_failed"
    RECHARGE_LATE = "recharge_late"
    RECHARGE_HALTED = "recharge_halted"
    WALLET_CONTRADICTS = "wallet_contradicts"
    PARAMETERS_DIFFER = "parameters_differ"
    PAYER_LEFT = "payer_left"
    METER_DRIFT = "meter_drift"
    METER_STUCK = "meter_stuck"
    ESTIMATE_MISSING = "estimate_missing"


class RoomState(StrEnum):
    """The colour of a room on the monitor (房间监控), worst first."""

    OFFLINE = "offline"
    OWING = "owing"
    WARNING_3 = "warning_3"
    WARNING_2 = "warning_2"
    WARNING_1 = "warning_1"
    NOT_OPEN = "not_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Project:
    """Boundary of permission, currency, time zone and books (项目)."""

    id: int
    group_id: int
    name: str
    currency: str
    currency_exponent: int
    timezone: str
    reading_interval_s: int


@dataclass(frozen=True, slots=True)
class Person:
    """Staff, tenant or API client (账户); roles are granted per scope and defined apart."""

    id: int
    kind: str
    login: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the tree building → floor → room or public area; owns its area in m²."""

    project_id: int
    id: int
    parent_id: int | None
    kind: str
    name: str
    area_dm2: int | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Who pays for which points from when to when; vacancy falls to the house account."""

    project_id: int
    id: int
    customer_name: str
    is_house: bool
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True, slots=True)
class Point:
    """Where one commodity is delivered and paid for (计量点)."""

    project_id: int
    id: int
    place_id: int
    commodity: Commodity
    tariff_id: int | None
    keeper: Keeper
    override: Override


@dataclass(frozen=True, slots=True)
class Gateway:
    """A link that leads to meters (数据网关)."""

    project_id: int
    id: int
    registration: str
    direction: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Meter:
    """A device at a point for a span of time.

    `register_epoch` counts installation, multiplier and modulus changes; `wallet_epoch` counts
    lives of its in-meter purse.
    """

    project_id: int
    id: int
    gateway_id: int | None
    model: str
    address: str
    multiplier: int
    register_epoch: int
    wallet_epoch: int


@dataclass(frozen=True, slots=True)
class Account:
    """A ledger account in one unit; `floor_minor` is what it may fall to (透支)."""

    project_id: int
    id: int
    kind: AccountKind
    compartment: Compartment | None
    agreement_id: int | None
    unit: str
    floor_minor: Minor | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row that debits one account and credits another (流水): it cannot be unbalanced."""

    project_id: int
    id: int
    debit_account_id: int
    credit_account_id: int
    amount_minor: Minor
    state: TransferState


@dataclass(frozen=True, slots=True)
class Payment:
    """What a payer did at a desk or a provider (订单)."""

    project_id: int
    id: int
    agreement_id: int
    channel: str
    amount_minor: Minor


@dataclass(frozen=True, slots=True)
class Command:
    """One intent to one meter (遥控/下发), with an owner, a reason and a state."""

    project_id: int
    id: int
    meter_id: int
    kind: CommandKind
    reason: Reason
    generation: int
    state: CommandState
    not_before: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition that opened and may close (报警)."""

    project_id: int
    id: int
    kind: AlarmKind
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Register values at an instant, total first, then the bands; −1 is "not reported"."""

    project_id: int
    meter_id: int
    register_epoch: int
    read_at: datetime
    total_milli: Milli
    band_milli: tuple[int, int, int, int]
    quality: Quality
