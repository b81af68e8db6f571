"""Which driver speaks which protocol.

Owns the list. A further protocol family adds its line here and its room beside.
"""

from functools import cache

from meterhouse.drivers.dlt645 import Dlt645Driver
from meterhouse.errors import NotFound
from meterhouse.ports import Driver, SecurityModule
from meterhouse.wire.dlt645 import DIALECTS


def driver_for(
    protocol: str, transport: str = "tcp", security: SecurityModule | None = None
) -> Driver:
    """The driver of a protocol over a transport (`rs485`, `tcp`, `lora`: they differ in patience).

    `security` seals orders for meters that ask for seals; without one they get none.

    Drivers keep no state between conversations, so one serves every line.

    Raises:
        NotFound: nobody here speaks it.
    """
    if protocol not in DIALECTS:
        raise NotFound("driver", protocol)
    if security is None:
        return _plain(protocol, transport)
    return Dlt645Driver(DIALECTS[protocol], transport, security)


@cache
def _plain(protocol: str, transport: str) -> Driver:
    return Dlt645Driver(DIALECTS[protocol], transport)
