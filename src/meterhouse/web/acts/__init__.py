"""Everything that can be done, as declarations; the API and the console are made from this list.

Owns the lists alone. A further act is declared in its noun's room and named there in `ACTS`; a
spreadsheet that people bring is named in `SHEETS`.
"""

from typing import Any, Final

from meterhouse.web.acts import (
    account,
    agreement,
    alarm,
    customer,
    day,
    doubt,
    field,
    gateway,
    install,
    listed,
    meter,
    money,
    parameter,
    personal,
    place,
    policy,
    project,
    receipt,
    recharge,
    refund,
    replay,
    role,
    sale_sheet,
    scheme,
    shift,
    site_sheet,
    staff,
    swap,
    tariff,
    tasks,
)
from meterhouse.web.acts.bulk import bulk_of
from meterhouse.web.acts.frame import Act
from meterhouse.web.acts.sheets import Sheet

_SINGLE: Final[tuple[Act[Any], ...]] = (
    *alarm.ACTS, *meter.ACTS, *money.ACTS, *refund.ACTS, *shift.ACTS, *personal.ACTS,
    *place.ACTS, *gateway.ACTS, *install.ACTS, *swap.ACTS, *tariff.ACTS, *customer.ACTS,
    *account.ACTS, *agreement.ACTS, *project.ACTS, *policy.ACTS, *field.ACTS, *staff.ACTS,
    *role.ACTS, *tasks.ACTS, *listed.ACTS, *receipt.ACTS, *day.ACTS, *recharge.ACTS,
    *parameter.ACTS, *doubt.ACTS, *replay.ACTS,
)  # fmt: skip
SHEETS: Final[tuple[Sheet[Any], ...]] = (*site_sheet.SHEETS, *sale_sheet.SHEETS)

# Where `/meters/{meter_id}` and `/meters/read` might both be meant, the word goes first.
FORMS: Final[tuple[Act[Any], ...]] = (*(bulk_of(one) for one in _SINGLE if one.bulk), *_SINGLE)
DRAWN: Final[tuple[Act[Any], ...]] = (*scheme.DRAWN, *replay.DRAWN)
"""Acts whose page at the console is the scheme editor."""
ACTS: Final[tuple[Act[Any], ...]] = (*FORMS, *(sheet.act for sheet in SHEETS), *DRAWN)
BY_NAME: Final = {act.name: act for act in ACTS}
