"""How many persons a household has: said when it begins, and changed from an instant on.

Owns the change. Limits by persons and free energy for each person follow it from then on; what was
used before keeps the number of before, however late its reading comes (`prices`). Must never know a
limit or a price.
"""

from datetime import datetime

from meterhouse.flows.account import AccountEnded
from meterhouse.store import customers, monitor, readings
from meterhouse.store.db import Database


async def change(
    db: Database, project_id: int, agreement_id: int, persons: int, at: datetime
) -> int:
    """From now on a household has so many persons, at all its points; answers how many it had.

    Raises:
        NotFound: there is no such account.
        AccountEnded: it is closed.
    """
    # No reading of after this instant is rated meanwhile by the number of before.
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        agreement = await customers.get_agreement(connection, project_id, agreement_id)
        if agreement["valid_to"] is not None or agreement["kind"] != "tenant":
            raise AccountEnded
        await customers.set_persons(connection, project_id, agreement_id, persons, at)
        await readings.bump(connection, project_id)
        had: int = agreement["persons"]
        return had
