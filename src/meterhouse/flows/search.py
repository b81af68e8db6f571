"""Search: one text, and whatever in the reader's projects is called so.

Owns who finds what: each kind only where its verb is granted, and only in the buildings reached.
Must never know how it is shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from meterhouse.flows.access import Reach, Verb
from meterhouse.store import search
from meterhouse.store.db import Database

HITS_MAX: Final = 8
TEXT_CHARS_MAX: Final = search.TEXT_CHARS_MAX


class HitKind(StrEnum):
    """What was found."""

    ROOM = "room"
    METER = "meter"
    PERSON = "person"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found.

    Attributes:
        kind: what it is.
        project_id: where it is.
        id: its number.
        said: what it is called, a person's name masked; the number of a payment.
        building: where it is, "" where it is nowhere.
        room: likewise.
        room_id: the room whose page shows it, None for a building or where there is none.
        building_id: likewise.
        phone: of a person, masked.
        amount_minor: of a payment.
    """

    kind: HitKind
    project_id: int
    id: int
    said: str
    building: str = ""
    room: str = ""
    room_id: int | None = None
    building_id: int | None = None
    phone: str = ""
    amount_minor: int | None = None


_KINDS: Final = (
    (HitKind.ROOM, Verb.ROOM_READ, search.rooms),
    (HitKind.PERSON, Verb.CUSTOMER_READ, search.people),
    (HitKind.METER, Verb.DEVICE_READ, search.meters),
    (HitKind.PAYMENT, Verb.MONEY_READ, search.payments),
)


async def find(
    db: Database, reaches: Sequence[Reach], text: str, kinds: Collection[HitKind] = tuple(HitKind)
) -> list[Hit]:
    """What is called so, at most `HITS_MAX` of a kind, the best first; nothing for no text."""
    given = text.strip()[:TEXT_CHARS_MAX].replace("\0", "")
    said = given.lower()
    found: list[Hit] = []
    for kind, verb, ask in _KINDS if said else ():
        sight = {one.project_id: one.limits.get(verb) for one in reaches if verb in one.verbs}
        if kind not in kinds or not sight:
            continue
        async with db.transaction(list(sight)) as connection:
            # An order's number is another program's text, in which capitals count.
            what = given if kind is HitKind.PAYMENT else said
            rows = await ask(connection, sight, what, HITS_MAX)
        found += [_hit(kind, row) for row in rows]
    return found


def _hit(kind: HitKind, row: Any) -> Hit:
    where = {"project_id": row["project_id"], "id": row["id"], "building_id": row["building_id"],
             "building": row["building"] or ""}  # fmt: skip
    if kind is HitKind.ROOM:
        is_building = row["kind"] == "building"
        room_id = None if is_building else row["id"]
        return Hit(kind, said=row["said"], room_id=room_id,
                   **where | ({"building": ""} if is_building else {}))  # fmt: skip
    at = where | {"room_id": row["room_id"], "room": row["room"] or ""}
    if kind is HitKind.PAYMENT:
        return Hit(kind, said=str(row["id"]), amount_minor=row["amount_minor"], **at)
    if kind is HitKind.PERSON:
        return Hit(kind, said=row["said"] or "", phone=row["phone"] or "", **at)
    return Hit(kind, said=row["said"], **at)
