"""Everything that can be done, as declarations; the API and the console are made from this list.

Owns the list alone. A further act is declared in its noun's room and named there in `ACTS`.
"""

from typing import Any, Final

from meterhouse.web.acts import alarm, field, meter, money, personal, role, staff
from meterhouse.web.acts.frame import Act

ACTS: Final[tuple[Act[Any], ...]] = (
    *alarm.ACTS,
    *meter.ACTS,
    *money.ACTS,
    *personal.ACTS,
    *field.ACTS,
    *staff.ACTS,
    *role.ACTS,
)
