"""The doctor finds nothing wrong where nothing is wrong, and says how to mend what is."""

import base64
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from urllib.parse import quote

import asyncpg
import pytest

from meterhouse.app import utc_now
from meterhouse.cli.doctor import examine
from meterhouse.config import Settings
from meterhouse.flows import gateway
from meterhouse.plugins import SIMULATED
from meterhouse.store.db import APP
from street import ESAM, build_street

# The package has a command of the same name.
doctor = import_module("meterhouse.cli.doctor")
KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def settings(address, tmp_path):
    """A sound installation on a server given by URL."""
    folder = quote(address.host, safe="")
    url = f"postgresql://{address.superuser}@{folder}:{address.port}/{address.database}"
    return Settings(
        database_url=url, data=tmp_path, port=0, headend_port=0, secret_key=KEY,
        public_url="https://power.example", secure_cookies=True,
    )  # fmt: skip


async def faults(settings):
    """What is to be mended, line by line; the tests' server is hasty on purpose."""
    found = [finding async for finding in examine(settings)]
    hasty = ("fsync is off", "full_page_writes is off", "front-end files are missing")
    return [one.says for one in found if not one.is_well and not one.says.startswith(hasty)]


async def fault(settings, **changes):
    """The one thing that is wrong after these changes."""
    (line,) = await faults(replace(settings, **changes))
    return line


async def test_temporary_tables_of_a_running_platform_are_no_finding(address, settings):
    platform = await asyncpg.connect(**address.arguments(APP))
    await platform.execute("create temporary table staged (id bigint)")
    found = [finding async for finding in examine(settings)]
    await platform.close()
    assert (True, "the application works as meterhouse_app and owns 0 tables") in found


async def test_a_sound_installation_has_no_fault_and_shows_no_secret(settings):
    assert await faults(settings) == []
    assert all(KEY not in one.says for one in [one async for one in examine(settings)])


async def test_a_server_that_does_not_write_through_is_a_fault(settings):
    found = [one.says async for one in examine(settings) if not one.is_well]
    (line,) = [one for one in found if one.startswith("fsync")]
    assert "alter system set fsync = on" in line


async def test_files_of_secrets_are_for_their_owner_alone(settings, tmp_path):
    file = tmp_path / "smtp_url"
    file.write_text("smtp://mail.example:25")
    file.chmod(0o640)
    assert f"chmod 600 '{file}'" in await fault(settings, smtp_url_file=str(file))
    file.chmod(0o600)
    assert await faults(replace(settings, smtp_url_file=str(file))) == []


@pytest.mark.parametrize(
    ("changes", "mend"),
    [
        ({"secret_key": ""}, "secret_key_file"),
        ({"public_url": ""}, "set it to how people reach the console"),
        ({"public_url": "", "secure_cookies": False, "smtp_url": "smtp://127.0.0.1:25"},
         "links in e-mails begin so"),
        ({"public_url": "http://power.example", "secure_cookies": False}, "proxy with TLS"),
        ({"secure_cookies": False}, "set secure_cookies = true"),
        ({"public_url": "http://localhost"}, "browsers will not keep anybody signed in"),
        ({"metrics_host": "0.0.0.0", "metrics_port": 49_151}, "let only the collector"),
    ],
)  # fmt: skip
async def test_what_does_not_go_together_is_said_with_its_mend(settings, changes, mend):
    assert mend in await fault(settings, **changes)


async def test_a_clock_that_goes_wrong_is_a_fault(settings, monkeypatch):
    monkeypatch.setattr(doctor, "utc_now", lambda: utc_now() + timedelta(seconds=9))
    assert "time server" in await fault(settings)


async def test_a_full_disk_is_a_fault(settings, monkeypatch):
    monkeypatch.setattr(doctor, "DISK_BYTES_MIN", 10**18)
    assert "make room" in await fault(settings)


async def test_a_database_that_is_away_is_a_fault(settings):
    line = await fault(settings, database_url="postgresql://nobody@localhost:1/none")
    assert "[database_unreachable]" in line


async def test_an_old_schema_is_a_fault(address, settings):
    connection = await asyncpg.connect(**address.arguments(None))
    await connection.execute("update meterhouse.alembic_version set version_num = '0000'")
    await connection.close()
    assert "[schema_old]" in await fault(settings)


async def test_a_security_module_is_opened_and_asked_once(settings):
    assert await fault(settings, security_module="not.there:open") == (
        "The security module not.there:open cannot be used: not.there is not installed. "
        "[security_module_unusable]; see docs/guides/driver-author.md"
    )
    assert "for simulated meters alone" in await fault(settings, security_module=SIMULATED)
    assert "bytes are not the" in await fault(
        settings, security_module=f"{__name__}:Odd", security_secret=KEY
    )


async def test_meters_that_take_only_sealed_orders_are_missed_where_nobody_seals(
    db, clock, settings
):
    street = await build_street(db, clock, model=ESAM, rooms=2)
    assert await faults(settings) == []
    await gateway.come(db, street.site.project_id, street.site.gateway_id, "here", clock())
    assert "2 meters with a security chip are sold nothing" in await fault(settings)


class Odd:
    """Answers, but not what a meter takes."""

    def __init__(self, address, secret):
        pass

    def authentication(self, address):
        return b"1"

    def seal(self, address, challenge, data):
        return b"1"
