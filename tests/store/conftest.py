"""One small site for all tests of this folder; a test that changes it changes its own room."""

import pytest

from small_site import small_site


@pytest.fixture(scope="session")
async def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "pg"
    async with small_site(folder) as made:
        yield made
