"""One small site for all tests of this folder; a test that changes it changes its own room."""

import pytest

from small_site import small_site


@pytest.fixture(scope="session")
async def site(template):
    async with small_site(template) as made:
        yield made
