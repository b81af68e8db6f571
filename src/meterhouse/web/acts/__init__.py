"""Everything that can be done, as declarations; the API and the console are made from this list.

Owns the lists alone. A further act is declared in its noun's room and named there in `ACTS`; a
spreadsheet that people bring is named in `SHEETS`.
"""

from typing import Any, Final

from meterhouse.web.acts import (
    alarm,
    customer,
    field,
    gateway,
    install,
    meter,
    money,
    personal,
    place,
    policy,
    project,
    role,
    site_sheet,
    staff,
    tariff,
)
from meterhouse.web.acts.frame import Act
from meterhouse.web.acts.sheets import Sheet

ACTS: Final[tuple[Act[Any], ...]] = (
    *alarm.ACTS, *meter.ACTS, *money.ACTS, *personal.ACTS, *place.ACTS, *gateway.ACTS,
    *install.ACTS, *tariff.ACTS, *customer.ACTS, *project.ACTS, *policy.ACTS, *field.ACTS,
    *staff.ACTS, *role.ACTS,
)  # fmt: skip

SHEETS: Final[tuple[Sheet[Any], ...]] = (*site_sheet.SHEETS,)
