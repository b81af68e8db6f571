"""Period bills (账期账单) as people look at them: one with its versions, and those of a booking.

Owns the way from a kept bill to its lines and to the transfers that took its difference. It makes
and posts none (`flows.bills`), and says of a bill what was said when it was made: by the scheme of
its time, whatever was corrected since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from meterhouse.flows import bills as made
from meterhouse.flows.prices import Tariffs
from meterhouse.rating.bill import Bill
from meterhouse.rating.tariff import Scheme
from meterhouse.store import bills, explain
from meterhouse.store.db import Connection, Database
from meterhouse.units import nano_per_minor

VERSIONS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class BillPart:
    """What the bill of an ended period adds to a booking: `amount − replaced`.

    Attributes:
        bill_id: the version of the bill.
        from_at, to_at: what it is of; the same where an earlier version was taken back.
        period_from_at, period_to_at: its billing period.
        charged_nano: what had been charged while energy flowed.
        total_nano: what the bill says.
        amount_nano: what it says beyond what had been charged.
        replaced_nano: what an earlier version had said beyond it; booked then.
        bill: the bill with its lines; None where it was taken back.
        scheme: what it was made by; None where it was taken back.
    """

    bill_id: int
    from_at: datetime
    to_at: datetime
    period_from_at: datetime
    period_to_at: datetime
    tariff: str
    energy_milli: int
    charged_nano: int
    total_nano: int
    amount_nano: int
    replaced_nano: int
    bill: Bill | None
    scheme: Scheme | None

    @property
    def added_nano(self) -> int:
        """What it adds to the booking."""
        return self.amount_nano - self.replaced_nano

    @property
    def is_exact(self) -> bool:
        """Whether what had been charged and what it says beyond that are the bill."""
        return self.charged_nano + self.amount_nano == self.total_nano


@dataclass(frozen=True, slots=True)
class Looked:
    """One version of a bill.

    Attributes:
        kept: it, with its lines and scheme.
        versions: those of the same stretch, the first one first, itself among them; what was taken
            back ends where it begins.
        transfer_ids: the transfers of the booking that took what it adds; none before it is booked.
    """

    kept: made.Kept
    versions: Sequence[Any]
    transfer_ids: Sequence[int]


async def look(db: Database, tariffs: Tariffs, project_id: int, bill_id: int) -> Looked:
    """One bill with what came before and after it. Raises `NotFound`."""
    kept = await made.look(db, tariffs, project_id, bill_id)
    point_id = kept.row["point_id"]
    async with db.transaction([project_id]) as connection:
        versions = await bills.versions(
            connection, project_id, point_id, kept.row["from_at"], VERSIONS_MAX
        )
        parts = await explain.booking_parts(connection, project_id, point_id, kept.row["booking"])
    return Looked(kept, versions, [one["id"] for one in parts])


async def bill_parts(
    connection: Connection, tariffs: Tariffs, project: Any, rows: Sequence[Any]
) -> list[BillPart]:
    """What bills add to a booking, each with the scheme as it was when the bill was made.

    Args:
        connection: the caller's transaction.
        tariffs: the cache of this process.
        project: the project's row.
        rows: of `store.bills.of_booking`, all of one point.
    """
    size_nano = nano_per_minor(project["currency_exponent"])
    texts: dict[tuple[int, int], str] = {}
    found = []
    for row in rows:
        made_by = row["tariff_id"], row["edition"]
        if made_by not in texts:
            loaded = await tariffs.load(connection, project["id"], [made_by[0]], made_by[1])
            texts[made_by] = loaded[made_by[0]][0]
        is_gone = row["from_at"] == row["to_at"]
        bill, scheme = (None, None) if is_gone else made.remade(texts[made_by], row["said"])
        found.append(
            BillPart(
                row["id"], row["from_at"], row["to_at"], row["period_from_at"],
                row["period_to_at"], row["tariff"], row["energy_milli"], row["charged_nano"],
                row["total_minor"] * size_nano, row["amount_nano"], row["replaced_nano"],
                bill, scheme,
            )
        )  # fmt: skip
    return found
