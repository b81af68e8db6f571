"""What a meter model says, and the check that it can be meant.

Owns `MeterModel` and its reading from TOML. Every key of a file is a field of the dataclass, so a
misspelt or missing key is an error with its name, not a silent default.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from meterhouse.errors import MeterhouseError
from meterhouse.ports import Action
from meterhouse.wire.dlt645 import DIALECTS

VALIDITIES = ("until", "zeros", "nines")
WALLETS = ("none", "order", "esam")
WALLET_ITEMS = ("count", "credit", "overdraft", "purchased", "hoarding", "customer")
TRANSPORTS = ("rs485", "tcp", "lora")
WORD_BITS = 16


class MeterModelInvalid(MeterhouseError):
    """Meter model {model}: {key} {why}."""

    code = "meter_model_invalid"

    def __init__(self, model: str, key: str, why: str) -> None:
        super().__init__(model=model, key=key, why=why)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named setting of a meter: its data identifier, and whether it may be written."""

    di: int
    writable: bool = False


@dataclass(frozen=True, slots=True)
class MeterModel:
    """Everything the house must know of a kind of meter and cannot ask the meter itself.

    Attributes:
        name: as printed on the type plate; unique.
        protocol: `dlt645-2007` or `dlt645-1997`.
        phases: 1 or 3.
        rated_voltage_v: phase voltage in V.
        max_current_a: the current of the plate's bracket, in A, per phase.
        register_digits: digits of an energy register, decimals included.
        register_decimals: decimals of an energy register in kWh, 0 to 3.
        bands: what tariffs 1, 2, … of the meter are called, in order.
        address_digits: digits of the communication address.
        round: data identifiers read in every round.
        live: data identifiers read when a person looks.
        clock: data identifiers that set and tell date and time, in the order of writing.
        clock_tolerance_s: how far a clock just set may read away from what was written.
        status_word: identifier of the word with relay and keep-power bits; 0 when it has none.
        relay_bit: bit of it that is 1 while the relay is open.
        relay_command_bit: bit that is 1 while the last command says "open".
        keep_power_bit: bit that is 1 under keep-power (保电).
        control_codes: N1 of remote control for each action the model obeys.
        control_level: password level of remote control.
        control_channel: N2.
        validity: what the meter wants as "valid until": the instant (`until`), all 00 (`zeros`)
            or all 99 (`nines`).
        validity_s: how long an order stays valid, in seconds.
        settle_ms: how long the relay needs after an acknowledgement before it is read back.
        confirm_reads: how often the status word is read back until it shows the effect.
        write_level: password level of parameter writes.
        write_settle_ms: how long the meter needs after a write before it reads back right.
        timeout_ms: how long to wait for a reply, by transport (`rs485`, `tcp`, `lora`).
        retries: how often a read is repeated after silence, at most 2.
        wake: wake-up bytes in front of a request.
        parameters: settings by name.
        identity: identifiers of the texts a meter says of itself, by name; `type` is its type.
        is_generic: stands for every meter of its protocol; with such a one strangers are asked.
        search_item: identifier read under a wildcard when a line is searched; 0 asks for the
            address itself, where the edition has such a function.
        phase_items: identifiers of the voltages of phases A, B and C; who has none of a phase
            refuses it or leaves it absent.
        type_names: how the text at `type` begins, each way this model has been seen to say it.
        wallet: how the meter takes money: `none` (it keeps no purse), `order` (an order number
            stands for a seal) or `esam` (a security module seals it).
        wallet_items: identifiers of what its purse says, by name: `count`, `credit`, `overdraft`,
            `purchased` (the sum of all purchases), `hoarding` (the most it may hold) and
            `customer` (whom it was opened for; zeros: nobody).
        wallet_refusals: the error byte of each refusal of an order that is known by a word.
        hoarding_minor: the most its purse may hold, where it cannot be asked; 0: unknown.
        type_names_settled: whether captured frames say so; else they are what the plate suggests.
    """

    name: str
    protocol: str
    phases: int
    rated_voltage_v: int
    max_current_a: int
    register_digits: int
    register_decimals: int
    bands: tuple[str, ...]
    address_digits: int
    round: tuple[int, ...]
    live: tuple[int, ...]
    clock: tuple[int, ...]
    timeout_ms: Mapping[str, int]
    control_codes: Mapping[str, int]
    parameters: Mapping[str, Parameter]
    identity: Mapping[str, int]
    clock_tolerance_s: int = 60
    status_word: int = 0
    relay_bit: int = 4
    relay_command_bit: int = 6
    keep_power_bit: int = 12
    control_level: int = 2
    control_channel: int = 0
    validity: str = "until"
    validity_s: int = 300
    settle_ms: int = 500
    confirm_reads: int = 3
    write_level: int = 4
    write_settle_ms: int = 200
    retries: int = 2
    wake: int = 4
    is_generic: bool = False
    search_item: int = 0
    phase_items: tuple[int, ...] = ()
    type_names: tuple[str, ...] = ()
    type_names_settled: bool = False
    wallet: str = "none"
    wallet_items: Mapping[str, int] = field(default_factory=dict)
    wallet_refusals: Mapping[str, int] = field(default_factory=dict)
    hoarding_minor: int = 0

    @property
    def counts_purchases(self) -> bool:
        """Whether the meter can be asked how many orders it has taken (充值次数)."""
        return "count" in self.wallet_items

    @property
    def knows_orders(self) -> bool:
        """Whether the meter knows an order again that it has taken before."""
        return self.wallet == "order" or self.counts_purchases

    @property
    def max_power_w(self) -> int:
        """The most the meter can carry: phases × voltage × current, in W."""
        return self.phases * self.rated_voltage_v * self.max_current_a

    @property
    def milli_per_count(self) -> int:
        """Wh in one step of the register's last digit."""
        return int(10 ** (3 - self.register_decimals))

    @property
    def modulus_milli(self) -> int:
        """Where the register starts again from zero, in Wh."""
        return int(10**self.register_digits) * self.milli_per_count


# The whole numbers of a model and the range each must lie in.
_RANGES = {
    "phases": (1, 3),
    "rated_voltage_v": (50, 1_000),
    "max_current_a": (1, 10_000),
    "register_digits": (4, 12),
    "register_decimals": (0, 3),
    "address_digits": (1, 12),
    "clock_tolerance_s": (1, 600),
    "status_word": (0, 0xFFFFFFFF),
    "relay_bit": (0, WORD_BITS - 1),
    "relay_command_bit": (0, WORD_BITS - 1),
    "keep_power_bit": (0, WORD_BITS - 1),
    "control_level": (0, 0x99),
    "control_channel": (0, 0xFF),
    "validity_s": (1, 300),
    "settle_ms": (0, 60_000),
    "confirm_reads": (1, 10),
    "write_level": (0, 0x99),
    "write_settle_ms": (0, 60_000),
    "retries": (0, 2),
    "wake": (0, 32),
    "search_item": (0, 0xFFFFFFFF),
    "hoarding_minor": (0, 10**15),
}
_PLANS = ("round", "live", "clock", "phase_items")
_NAMES = ("bands", "type_names")
_FLAGS = ("is_generic", "type_names_settled")
_SECTIONS = (
    "timeout_ms", "control_codes", "parameters", "identity", "wallet_items", "wallet_refusals",
)  # fmt: skip


def from_toml(source: str, text: str) -> MeterModel:
    """The model a TOML text describes; `source` names it in errors.

    Raises:
        MeterModelInvalid: not TOML, a key too many or too few, or a value that cannot be meant.
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MeterModelInvalid(source, "file", f"is not TOML: {error}") from None
    _check_keys(source, said)
    for key in ("name", "protocol", "validity", "wallet"):
        if not isinstance(said.get(key, ""), str):
            raise MeterModelInvalid(source, key, "must be text")
    if said["protocol"] not in DIALECTS:
        raise MeterModelInvalid(source, "protocol", f"must be one of {', '.join(DIALECTS)}")
    if said.get("validity", "until") not in VALIDITIES:
        raise MeterModelInvalid(source, "validity", f"must be one of {', '.join(VALIDITIES)}")
    if said.get("wallet", "none") not in WALLETS:
        raise MeterModelInvalid(source, "wallet", f"must be one of {', '.join(WALLETS)}")
    for key, (low, high) in _RANGES.items():
        if key in said:
            _check_number(source, key, said[key], low, high)
    for key in (*_NAMES, *_PLANS):
        if key in said:
            said[key] = _list_of(source, key, said[key], str if key in _NAMES else int)
    for key in _FLAGS:
        if not isinstance(said.get(key, False), bool):
            raise MeterModelInvalid(source, key, "must be true or false")
    _check_sections(source, said)
    said["parameters"] = {
        name: _parameter(source, name, facts) for name, facts in said["parameters"].items()
    }
    model = MeterModel(**said)
    _check_whole(source, model)
    return model


def _check_sections(source: str, said: Mapping[str, Any]) -> None:
    for key in _SECTIONS:
        if not isinstance(said.get(key, {}), dict):
            raise MeterModelInvalid(source, key, "must be a table")
    for transport in TRANSPORTS:
        wait_ms = said["timeout_ms"].get(transport)
        _check_number(source, f"timeout_ms.{transport}", wait_ms, 50, 120_000)
    for action, code in said["control_codes"].items():
        if action not in set(Action):
            raise MeterModelInvalid(source, f"control_codes.{action}", "is no action")
        _check_number(source, f"control_codes.{action}", code, 0, 0xFF)
    for name, di in said["identity"].items():
        _check_number(source, f"identity.{name}", di, 1, 0xFFFFFFFF)
    for name, di in said.get("wallet_items", {}).items():
        if name not in WALLET_ITEMS:
            raise MeterModelInvalid(source, f"wallet_items.{name}", "is nothing a purse says")
        _check_number(source, f"wallet_items.{name}", di, 1, 0xFFFFFFFF)
    for name, code in said.get("wallet_refusals", {}).items():
        _check_number(source, f"wallet_refusals.{name}", code, 0, 0xFF)


def _check_keys(source: str, said: Mapping[str, Any]) -> None:
    known = {one.name: one for one in fields(MeterModel)}
    for key in said:
        if key not in known:
            raise MeterModelInvalid(source, key, "is not a key of a meter model")
    for key, one in known.items():
        if one.default is MISSING and one.default_factory is MISSING and key not in said:
            raise MeterModelInvalid(source, key, "is missing")


def _check_number(source: str, key: str, number: object, low: int, high: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
        raise MeterModelInvalid(source, key, f"must be a whole number from {low} to {high}")


def _list_of(source: str, key: str, said: object, kind: type) -> tuple[Any, ...]:
    if not isinstance(said, list) or not all(isinstance(each, kind) for each in said):
        raise MeterModelInvalid(source, key, f"must be a list of {kind.__name__}")
    return tuple(said)


def _parameter(source: str, name: str, facts: object) -> Parameter:
    if not isinstance(facts, dict) or not isinstance(facts.get("di"), int):
        raise MeterModelInvalid(source, f"parameters.{name}", "needs a di")
    if set(facts) - {"di", "writable"} or not isinstance(facts.get("writable", False), bool):
        raise MeterModelInvalid(source, f"parameters.{name}", "takes di and writable alone")
    return Parameter(**facts)


def _check_whole(source: str, model: MeterModel) -> None:
    """What no single key can tell: identifiers exist, and control can be proven."""
    dialect = DIALECTS[model.protocol]
    asked = {key: getattr(model, key) for key in _PLANS}
    asked["parameters"] = tuple(each.di for each in model.parameters.values())
    asked["identity"] = tuple(model.identity.values())
    asked["wallet_items"] = tuple(model.wallet_items.values())
    for key in ("status_word", "search_item"):
        asked[key] = (getattr(model, key),) if getattr(model, key) else ()
    for key, identifiers in asked.items():
        for di in identifiers:
            if dialect.describe(di) is None:
                raise MeterModelInvalid(source, key, f"{di:X} is no identifier of {dialect.name}")
    if model.is_generic and dialect.read_address is None and not model.search_item:
        raise MeterModelInvalid(source, "search_item", f"is needed: {dialect.name} asks no address")
    if (model.wallet != "none") != ("credit" in model.wallet_items):
        raise MeterModelInvalid(source, "wallet_items.credit", "belongs to a wallet alone")
    if model.phases == 2:
        raise MeterModelInvalid(source, "phases", "must be 1 or 3")
    if len({model.relay_bit, model.relay_command_bit, model.keep_power_bit}) < 3:
        raise MeterModelInvalid(source, "relay_bit", "and the other two bits must differ")
    if model.control_codes and (dialect.control is None or not model.status_word):
        raise MeterModelInvalid(source, "control_codes", "need a status word that proves them")
