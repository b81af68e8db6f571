"""A till by program: take a payment for a room, and see its power come back.

Owns an example to copy. Run it as `python till.py https://meters.example.com 1 A302 50.00 order-42`
with the key of an API client in `METERHOUSE_KEY`. The same order number pays once, however often
the program is started.
"""

import os
import sys
from decimal import Decimal

from meterhouse_sdk import Client
from meterhouse_sdk.shapes import Credit, Room


def find(client: Client, project_id: int, name: str) -> Room:
    """The room of this name."""
    rooms = client.rooms.list(project_id)
    return next(room for room in rooms if room.name == name)


def pay(client: Client, project_id: int, room_id: int, paid: Decimal, order: str) -> Credit:
    """Add what was paid to the purse of the room's first point."""
    point = client.rooms.get(project_id, room_id).points[0]
    return client.credits.add(
        project_id, point.id, amount=paid, channel="card", idempotency_key=order
    )


def main(address: str, project: str, name: str, paid: str, order: str) -> None:
    """Take one payment and print the receipt's lines."""
    project_id = int(project)
    with Client(address, os.environ["METERHOUSE_KEY"]) as client:
        room = find(client, project_id, name)
        credit = pay(client, project_id, room.id, Decimal(paid), order)
        print(f"{room.building} {room.name}: {credit.amount.amount} {credit.amount.currency}")
        print(f"Payment {credit.payment_id}, available {credit.available.amount}")


if __name__ == "__main__":
    main(*sys.argv[1:])
