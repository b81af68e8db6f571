"""A security module that is none: seals anybody can make, for simulated meters alone.

Owns the stand-in for `meterhouse.ports.SecurityModule`. The keys and the arithmetic of real modules
are not public; here a seal is a keyed hash under a key that stands in this file, so it protects
nothing, and no real meter takes it.
"""

import hashlib
import hmac

FAKE_KEY = b"not a key: simulated meters only"


# what the setting calls, whatever module it names
def simulated(address: str, secret: str) -> "FakeSecurityModule":  # noqa: ARG001
    """What the setting `security_module` names where meters are simulated."""
    return FakeSecurityModule()


class FakeSecurityModule:
    """`SecurityModule` for simulated meters."""

    def authentication(self, address: str) -> bytes:
        """Twenty-four bytes that the simulated meter does not look at."""
        return hmac.digest(FAKE_KEY, address.encode(), hashlib.sha256)[:24]

    def seal(self, address: str, challenge: bytes, data: bytes) -> bytes:
        """Four bytes that follow from address, challenge and data."""
        return hmac.digest(FAKE_KEY, address.encode() + challenge + data, hashlib.sha256)[:4]
