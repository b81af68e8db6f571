"""What tests of flows share beyond a database and a site."""

import pytest
from argon2 import PasswordHasher

from meterhouse.flows import passwords


@pytest.fixture
def hasty_hasher(monkeypatch):
    """Hashing that costs nothing: its strength is argon2's matter, not ours."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", hasher)
