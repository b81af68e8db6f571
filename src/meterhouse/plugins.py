"""What somebody else brings along, found by its name: the module that seals orders for meters.

Owns how a name becomes an object, and the first look at it. Must never know what is behind one. A
name is an entry point of the group `meterhouse.security_modules`, or `package.module:function`;
what it names is called once with an address and a secret, which come from the settings.
"""

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Final

from meterhouse.errors import MeterhouseError
from meterhouse.ports import SecurityModule

SECURITY_MODULES: Final = "meterhouse.security_modules"
SIMULATED: Final = "meterhouse.sim.esam:simulated"
"""Seals that anybody can make: for simulated meters alone."""


class SecurityModuleUnusable(MeterhouseError):
    """The security module {name} cannot be used: {why}."""

    code = "security_module_unusable"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name=name, why=why)


def open_security(name: str, address: str = "", secret: str = "") -> SecurityModule | None:
    """The module of this name, ready to seal; None for no name.

    Args:
        name: an entry point, or `package.module:function`.
        address: where the module is, as its maker writes it.
        secret: what it asks for before it answers; never shown.

    Raises:
        SecurityModuleUnusable: nothing of that name is installed, it is no module, or it failed.
    """
    if not name:
        return None
    try:
        module = _found(name)(address, secret)
    except SecurityModuleUnusable:
        raise
    except Exception as error:
        # What a stranger's code says may hold the secret; its kind is enough to go on with.
        raise SecurityModuleUnusable(name, type(error).__name__) from None
    for deed in ("authentication", "seal"):
        if not callable(getattr(module, deed, None)):
            raise SecurityModuleUnusable(name, f"it has no {deed}()")
    opened: SecurityModule = module
    return opened


def _found(name: str) -> Callable[[str, str], Any]:
    for point in entry_points(group=SECURITY_MODULES):
        if point.name == name:
            return _callable(name, point.load())
    place, colon, what = name.partition(":")
    if not colon:
        raise SecurityModuleUnusable(name, f"no package offers it as {SECURITY_MODULES}")
    try:
        return _callable(name, getattr(importlib.import_module(place), what, None))
    except ImportError:
        raise SecurityModuleUnusable(name, f"{place} is not installed") from None


def _callable(name: str, found: Any) -> Callable[[str, str], Any]:
    if not callable(found):
        raise SecurityModuleUnusable(name, "it names nothing that can be opened")
    opener: Callable[[str, str], Any] = found
    return opener
