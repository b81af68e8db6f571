"""The doctor finds nothing wrong where nothing is wrong."""

from urllib.parse import quote

import asyncpg

from meterhouse.cli.doctor import examine
from meterhouse.config import Settings
from meterhouse.store.db import APP


async def test_temporary_tables_of_a_running_platform_are_no_finding(address, tmp_path):
    folder = quote(address.host, safe="")
    url = f"postgresql://{address.superuser}@{folder}:{address.port}/{address.database}"
    settings = Settings(database_url=url, data=tmp_path, port=0, headend_port=0)
    platform = await asyncpg.connect(**address.arguments(APP))
    await platform.execute("create temporary table staged (id bigint)")
    found = [finding async for finding in examine(settings)]
    await platform.close()
    assert (True, "the application works as meterhouse_app and owns 0 tables") in found
