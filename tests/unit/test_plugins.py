"""A security module is found by its name, looked at once, and never shown with its secret."""

from importlib.metadata import EntryPoint

import pytest

from meterhouse import plugins
from meterhouse.plugins import SECURITY_MODULES, SIMULATED, SecurityModuleUnusable, open_security
from meterhouse.sim.esam import FakeSecurityModule

SECRET = "s3cret"


class Vault:
    """A module that remembers what it was opened with."""

    def __init__(self, address, secret):
        self.opened = address, secret

    def authentication(self, address):
        return bytes(24)

    def seal(self, address, challenge, data):
        return bytes(4)


def broken(address, secret):
    raise RuntimeError(f"cannot open with {secret}")


def halved(address, secret):
    return object()


NOTHING = 7


def test_no_name_is_no_module():
    assert open_security("") is None


def test_the_simulated_one_is_found_by_its_path():
    assert isinstance(open_security(SIMULATED), FakeSecurityModule)


def test_a_module_is_opened_with_address_and_secret():
    opened = open_security(f"{__name__}:Vault", "vault.example:8000", SECRET)
    assert opened.opened == ("vault.example:8000", SECRET)


def test_a_package_offers_one_by_a_name(monkeypatch):
    point = EntryPoint("vault", f"{__name__}:Vault", SECURITY_MODULES)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    assert isinstance(open_security("vault"), Vault)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vault", "no package offers it"),
        ("not.there:open", "not.there is not installed"),
        (f"{__name__}:gone", "it names nothing"),
        (f"{__name__}:NOTHING", "it names nothing"),
        (f"{__name__}:halved", "it has no authentication()"),
        (f"{__name__}:broken", "RuntimeError"),
    ],
)
def test_what_cannot_be_used_says_why_and_shows_no_secret(name, why):
    with pytest.raises(SecurityModuleUnusable) as fault:
        open_security(name, "", SECRET)
    assert why in str(fault.value)
    assert SECRET not in str(fault.value)
