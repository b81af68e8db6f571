"""The doctor finds nothing wrong where nothing is wrong."""

from urllib.parse import quote

from meterhouse.cli.doctor import examine
from meterhouse.config import Settings


async def test_temporary_tables_of_a_running_platform_are_no_finding(address, db, tmp_path):
    folder = quote(address.host, safe="")
    url = f"postgresql://{address.superuser}@{folder}:{address.port}/{address.database}"
    settings = Settings(database_url=url, data=tmp_path, port=0, headend_port=0)
    async with db.transaction(()) as connection:
        await connection.execute("create temporary table staged (id bigint)")
        found = [finding async for finding in examine(settings)]
    assert (True, "the application works as meterhouse_app and owns 0 tables") in found
