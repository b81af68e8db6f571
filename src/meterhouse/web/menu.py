"""The side bar: every page with its heading, its verb and its place, from one declaration.

Owns the order. Must never know a page. Whoever lacks a page's verb does not see its line.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from meterhouse.web.labels import MenuGroup
from meterhouse.words import N_


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A line of the side bar, shown to those who have its verb.

    `path` is below the project's address; one that begins with a slash belongs to no project, and
    its verb must be granted for the whole platform.
    """

    title: str
    path: str
    icon: str
    verb: str
    group: MenuGroup = MenuGroup.OPERATE


MENU: Final = (
    MenuEntry(N_("Room monitor"), "rooms", "rooms", "room.read"),
    MenuEntry(N_("Desk"), "desk", "desk", "money.read"),
    MenuEntry(N_("Alarms"), "alarms", "alarms", "alarm.read"),
    MenuEntry(N_("Doubtful readings"), "doubts", "check", "alarm.read"),
    MenuEntry(N_("Commands"), "commands", "commands", "command.read"),
    MenuEntry(N_("Tasks"), "tasks", "tasks", "task.read"),
    MenuEntry(N_("Meters"), "meters", "meters", "device.read", MenuGroup.DEVICES),
    MenuEntry(N_("Gateways"), "gateways", "gateways", "device.read", MenuGroup.DEVICES),
    MenuEntry(N_("Commissioning"), "commissioning", "check", "device.read", MenuGroup.DEVICES),
    MenuEntry(N_("Customers"), "customers", "person", "customer.read", MenuGroup.CUSTOMERS),
    MenuEntry(N_("Accounts"), "agreements", "account", "customer.read", MenuGroup.CUSTOMERS),
    MenuEntry(N_("Prepared accounts"), "openings", "prepared", "customer.read",
              MenuGroup.CUSTOMERS),
    MenuEntry(N_("Notices"), "notices", "notices", "notice.read", MenuGroup.CUSTOMERS),
    MenuEntry(N_("Balances"), "supplies", "wallet", "money.read", MenuGroup.MONEY),
    MenuEntry(N_("Orders"), "orders", "orders", "money.read", MenuGroup.MONEY),
    MenuEntry(N_("Meter recharges"), "recharges", "recharge", "money.read", MenuGroup.MONEY),
    MenuEntry(N_("Receipts"), "receipts", "print", "money.read", MenuGroup.MONEY),
    MenuEntry(N_("Shifts"), "shifts", "clock", "money.read", MenuGroup.MONEY),
    MenuEntry(N_("Revenue"), "revenue", "overview", "books.read", MenuGroup.MONEY),
    MenuEntry(N_("Journal"), "journal", "audit", "books.read", MenuGroup.MONEY),
    MenuEntry(N_("Trial balance"), "trial", "scale", "books.read", MenuGroup.MONEY),
    MenuEntry(N_("Closed days"), "days", "calendar", "books.read", MenuGroup.MONEY),
    MenuEntry(N_("Meter drift"), "drift", "overview", "books.read", MenuGroup.MONEY),
    MenuEntry(N_("Tariffs"), "tariffs", "tariffs", "tariff.read", MenuGroup.MONEY),
    MenuEntry(N_("Replays"), "replays", "history", "tariff.replay", MenuGroup.MONEY),
    MenuEntry(N_("Bills"), "bills", "bill", "money.read", MenuGroup.MONEY),
    MenuEntry(N_("Calculator"), "calculator", "scale", "tariff.read", MenuGroup.MONEY),
    MenuEntry(N_("Set-up"), "setup", "setup", "project.read", MenuGroup.SET_UP),
    MenuEntry(N_("Places"), "places", "places", "room.read", MenuGroup.SET_UP),
    MenuEntry(N_("Staff"), "staff", "staff", "staff.read", MenuGroup.SET_UP),
    MenuEntry(N_("API clients"), "clients", "clients", "staff.read", MenuGroup.SET_UP),
    MenuEntry(N_("Audit"), "audit", "audit", "audit.read", MenuGroup.SET_UP),
    MenuEntry(N_("Groups and projects"), "/platform/groups", "places", "group.edit",
              MenuGroup.PLATFORM),
    MenuEntry(N_("Staff of the platform"), "/platform/staff", "staff", "staff.read",
              MenuGroup.PLATFORM),
    MenuEntry(N_("API clients of the platform"), "/platform/clients", "clients", "staff.read",
              MenuGroup.PLATFORM),
    MenuEntry(N_("Audit of the platform"), "/platform/audit", "audit", "audit.read",
              MenuGroup.PLATFORM),
)  # fmt: skip


_VERBS: Final = {entry.path: entry.verb for entry in MENU}


def menu(
    granted: Collection[str], platform: Collection[str]
) -> list[tuple[MenuGroup, list[MenuEntry]]]:
    """The side bar for these verbs, by heading; a heading without an entry is left out."""
    shown = [one for one in MENU
             if one.verb in (platform if one.path.startswith("/") else granted)]  # fmt: skip
    groups = [(group, [one for one in shown if one.group is group]) for group in MenuGroup]
    return [(group, entries) for group, entries in groups if entries]


def verb_of(path: str) -> str | None:
    """The verb that opens a page beneath a project's address; None for one not in the menu."""
    return _VERBS.get(path.partition("/")[0])
