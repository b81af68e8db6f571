"""The audit in people's words: what was done, to what, and what it changed.

Owns the words of acts, objects and facts that no form asks for. Must never know a page or a list.
What an act's form asks is told in the form's own words, so an act declared tomorrow is told without
a line here; a fact that nobody has named is told by its own name rather than left out.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from meterhouse.flows.access import ScopeKind
from meterhouse.model import CommandKind
from meterhouse.units import to_decimal
from meterhouse.web import labels, lifewords, moneywords, paperwords, rechargewords
from meterhouse.web.acts import ACTS, SHEETS
from meterhouse.web.acts.frame import Ask
from meterhouse.web.doubtwords import DECIDED
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.web.listview import KNOWN
from meterhouse.web.rolewords import ROLE, SCOPE, VERB
from meterhouse.words import N_

_DECLARED: Final = {act.name: act for act in (*ACTS, *(one.act for one in SHEETS))}
ACT_TITLES: Final = {name: act.title for name, act in _DECLARED.items()} | {
    "client.add": N_("Add API client"),
    "password.replace": N_("Replace password"),
    "session.begin": N_("Sign in"),
    "session.refuse": N_("Sign-in refused"),
    "session.end": N_("Sign out"),
    "sessions.end": N_("Sign out everywhere else"),
    "password.change": N_("Change password"),
    "password.set": N_("Choose a password by a link"),
    "password.forget": N_("Ask for a new password"),
    "email.change": N_("Change e-mail"),
    "authenticator.confirm": N_("Set up an authenticator"),
    "authenticator.off": N_("Take the authenticator off"),
    "recovery.renew": N_("New recovery codes"),
    "installation.begin": N_("Begin the installation"),
}
"""Every act by its name; some are done otherwise than by a declaration."""

# Kind of object → its word, and its page beside the list; none where it has no page of its own.
_OBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "meter": (N_("Meter"), "meters/{id}"),
    "room": (N_("Room"), "rooms/{id}"),
    "place": (N_("Place"), "places/{id}"),
    "point": (N_("Point"), "rooms/{room_id}"),
    "gateway": (N_("Gateway"), "gateways/{id}"),
    "tariff": (N_("Tariff"), "tariffs/{id}"),
    "customer": (N_("Customer"), "customers/{id}"),
    "task": (N_("Task"), "tasks/{id}"),
    "alarm": (N_("Alarm"), "alarms"),
    "staff": (N_("Staff member"), "staff/{id}"),
    "client": (N_("API client"), "clients/{id}"),
    "person": (N_("Person"), ""),
    "project": (N_("Project"), "/projects/{id}/settings"),
    "payee": (N_("Payee"), "settings"),
    "group": (N_("Group"), "/groups/{id}/staff"),
    "role": (N_("Role"), "/roles"),
    "filter": (N_("Saved filter"), ""),
    "command": (N_("Command"), "commands"),
    "agreement": (N_("Account"), "agreements/{id}"),
    "opening": (N_("Prepared account"), "openings"),
    "payment": (N_("Order"), "orders/{id}"),
    "receipt": (N_("Receipt"), "receipts/{id}"),
    "recharge": (N_("Meter recharge"), "recharges/{id}"),
    "shift": (N_("Shift"), "shifts/{id}"),
    "doubt": (N_("Doubtful reading"), "doubts/{id}"),
}
_NAMELESS: Final = {
    "task", "alarm", "command", "role", "customer", "agreement", "opening", "payment", "receipt",
    "recharge", "shift", "doubt",
}  # fmt: skip
_NUMBERED: Final = re.compile(r"(\w+):(\d{1,18})")

_FACTS: Final[Mapping[str, str]] = moneywords.PROOF | {
    "address": N_("Address"),
    "agreement_id": N_("Account"),
    "amount_minor": N_("Amount"),
    "area_dm2": N_("Area"),
    "changed": N_("Changed"),
    "clock_skew_max_s": N_("Meter clock wrong by at most (seconds)"),
    "close_direct": N_("Connecting closes the relay itself, without a button pressed"),
    "closing_milli": N_("Closing register"),
    "codes": N_("Authenticator"),
    "command_id": N_("Command"),
    "command_life_s": N_("Commands live for (seconds)"),
    "commissioning_id": N_("Checklist"),
    "copy": N_("Copy number"),
    "correction_days_max": N_("Prices may be corrected from (days ago)"),
    "count": N_("How many"),
    "counted_minor": N_("Counted"),
    "credit_minor": N_("Opening credit"),
    "customer_id": N_("Customer"),
    "day": N_("Day"),
    "days": N_("Days"),
    "debt_minor": N_("Opening debt"),
    "deed": N_("Step"),
    "decided": N_("Decision"),
    "deposit_minor": N_("Deposit"),
    "disabled": N_("Shut out"),
    "drift_max_minor": N_("Meter may deduct otherwise by"),
    "energy_milli": N_("Energy"),
    "erased": N_("Erased"),
    "expected_milli": N_("Expected register"),
    "expected_minor": N_("Expected in the drawer"),
    "float_minor": N_("Float"),
    "floor_minor": N_("Lowest balance"),
    "floors": N_("Floors"),
    "frozen": N_("Frozen"),
    "group": N_("Group"),
    "held_minor": N_("Deposit from before"),
    "hoarding_max_minor": N_("Most a household may hold"),
    "households": N_("Households"),
    "item": N_("Item"),
    "key": N_("Key"),
    "kind": N_("Kind"),
    "label": N_("No."),
    "language": N_("Language"),
    "list": N_("List"),
    "meters": N_("Meters"),
    "moved_minor": N_("Money moved"),
    "multiplier": N_("Multiplier"),
    "name": N_("Name"),
    "new_meter_id": N_("New meter"),
    "next_id": N_("Next account"),
    "next_shift_id": N_("Next shift"),
    "notice_age_s": N_("Warned before (seconds)"),
    "number": N_("Number"),
    "open": N_("Still open"),
    "opening_id": N_("Prepared account"),
    "opening_milli": N_("Opening register"),
    "opening_minor": N_("Opening credit"),
    "out_of": N_("Out of"),
    "paid": N_("Final settlement"),
    "paper": N_("Paper"),
    "parent_id": N_("Lies in"),
    "payment_id": N_("Payment"),
    "persons": N_("Persons"),
    "place_id": N_("Place"),
    "point_id": N_("Point"),
    "points": N_("Points"),
    "project": N_("Project"),
    "purse": N_("Kind of purse"),
    "quiet_debt_minor": N_("Debt that ends the quiet"),
    "quiet_end_minute": N_("Quiet until"),
    "quiet_start_minute": N_("Quiet from"),
    "reading_age_max_s": N_("Reading not older than (seconds)"),
    "read_at": N_("Reading of"),
    "recharge_id": N_("Meter recharge"),
    "replay_id": N_("Replay"),
    "registers_milli": N_("It should read"),
    "refund_second_minor": N_("Above this a second person"),
    "role": N_("Role"),
    "roles": N_("Roles"),
    "rooms": N_("Rooms"),
    "edition": N_("Corrections so far"),
    "scope": N_("Where"),
    "sessions": N_("Sessions"),
    "shown": N_("Shown"),
    "state": N_("State"),
    "sweep_count_max": N_("Disconnects always allowed at once"),
    "sweep_percent_max": N_("And this share of the project (%)"),
    "switch_at": N_("In force from"),
    "tariff_id": N_("Tariff"),
    "task_id": N_("Task"),
    "to": N_("Into"),
    "to_agreement_id": N_("Into account"),
    "total_minor": N_("Together"),
    "version": N_("Version"),
    "void": N_("Void"),
    "waits": N_("Waits for a second person"),
    "warnings_minor": N_("Warned at"),
}
_COMMANDS: Final = {one.value: labels.COMMAND_KIND[one] for one in CommandKind}
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "kind": {str(one): word for one, word in labels.PLACE_KIND.items()} | _COMMANDS,
    "state": {
        one.value: word
        for table in (
            labels.TASK_STATE,
            rechargewords.RECHARGE_STATE,
            lifewords.OPENING_STATE,
        )
        for one, word in table.items()
    },
    "purse": {one.value: word for one, word in lifewords.PURSE.items()},
    "paper": {one.value: word for one, word in paperwords.PAPER.items()},
    "out_of": {one.value: word for one, word in lifewords.COMPARTMENT.items()},
    "to": {one.value: word for one, word in lifewords.COMPARTMENT.items()},
    "role": ROLE,
    "verbs": {str(one): word for one, word in VERB.items()},
    "decided": {one.value: word for one, word in DECIDED.items()},
    "shown": {one.value: word for one, word in labels.FACT.items()},
    "changed": {one.value: word for one, word in labels.FACT.items()},
}
# Prices, what was paid out and last registers are read on the pages they belong to, and numbers of
# many rows tell nobody anything.
_LEFT_OUT: Final = re.compile(r"body|paid|registers|\w+_ids")
_SIDE_BY_SIDE: Final = " · "


def act_title(name: str) -> str:
    """An act in words; one that is no more is told by its name."""
    return ACT_TITLES.get(name, name)


def object_told(row: Any) -> Callable[[Formats], str]:
    """What it was done to: `Meter 000000000012`; by its number where it has no name (any more)."""
    return partial(_object, row)


def object_link(row: Any) -> str | None:
    """The object's page; none for what is gone or has no page."""
    kind, number = _split(row)
    _, page = _OBJECTS.get(kind, ("", ""))
    is_gone = kind not in _NAMELESS and not row["object_name"]
    if not page or is_gone or ("{room_id}" in page and row["room_id"] is None):
        return None
    return page.format(id=number, room_id=row["room_id"])


def change_told(row: Any) -> Callable[[Formats], str]:
    """What it changed, fact by fact: `Relay: closed → open`; what stayed the same is left out."""
    return partial(_change, row)


def _split(row: Any) -> tuple[str, str]:
    """Kind and number of an entry's object; a person is one of staff or an API client."""
    found = _NUMBERED.fullmatch(row["object"])
    kind, number = found.groups() if found else (row["object"], "")
    return (row["person_kind"] or kind) if kind == "person" else kind, number


def _object(row: Any, fmt: Formats) -> str:
    kind, number = _split(row)
    if kind not in _OBJECTS or not number:
        return str(row["object"])
    name = row["object_name"] or number
    return fmt.words(N_("{kind} {name}"), kind=fmt.words(_OBJECTS[kind][0]), name=name)


def _change(row: Any, fmt: Formats) -> str:
    act = _DECLARED.get(row["act"])
    asks = {name: ask for name, (_, ask) in act.asks.items()} if act else {}
    before, after = (json.loads(row[side] or "{}") for side in ("before", "after"))
    told = []
    order = [*asks, *sorted(before | after)]
    for name in sorted(before | after, key=order.index):
        if _LEFT_OUT.fullmatch(name) or (name in before and before[name] == after.get(name)):
            continue
        ask = asks.get(name)
        was, now = (fact_told(name, side.get(name), ask, fmt) for side in (before, after))
        title = (ask.title if ask else "") or _FACTS.get(name) or name.replace("_", " ")
        line = N_("{fact}: {was} → {now}") if name in before else N_("{fact}: {now}")
        told.append(fmt.words(line, fact=fmt.words(title), was=was, now=now))
    return _SIDE_BY_SIDE.join(told)


def fact_told(name: str, fact: Any, ask: Ask | None, fmt: Formats) -> str:
    """One fact of an act as its reader writes it; `ask` is the form's field, where it has one."""
    if fact is None or fact in ("", []):
        return ABSENT
    if name.endswith("_milli") and isinstance(fact, list):
        return ", ".join(fmt.energy(milli) for milli in fact if milli >= 0)
    if name == "paid" and isinstance(fact, dict):
        return f"{fmt.words(lifewords.PAID[fact['kind']])} {fact['amount']} {fmt.currency}"
    if name == "list" and fact in KNOWN:
        return fmt.words(KNOWN[fact].heading)
    if name == "read_at":
        return fmt.instant(datetime.fromisoformat(fact))
    if isinstance(fact, list):
        return ", ".join(fact_told(name, one, ask, fmt) for one in fact)
    if isinstance(fact, bool):
        return fmt.words(N_("Yes")) if fact else fmt.words(N_("No"))
    words = (ask.words if ask else None) or _WORDS.get(name, {})
    if str(fact) in words:
        return fmt.words(words[str(fact)])
    if isinstance(fact, int) and name.endswith("_minor"):
        return fmt.money(fact)
    if isinstance(fact, int) and name.endswith("_minute"):
        return f"{fact // 60:02d}:{fact % 60:02d}"
    if isinstance(fact, int) and name.endswith("_dm2"):
        return f"{to_decimal(fact, 2)} m²"
    if ask is not None and (ask.kind == "money" or ask.unit):
        return f"{fact} {fmt.currency if ask.kind == 'money' else fmt.words(ask.unit)}"
    if name == "place" and (where := _NUMBERED.fullmatch(str(fact))):
        kind = fmt.words(SCOPE[ScopeKind(where[1])])
        return fmt.words(N_("{kind} {name}"), kind=kind, name=where[2])
    return fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
