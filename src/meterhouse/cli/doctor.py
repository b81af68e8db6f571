"""`meterhouse doctor`: what this installation is, what is wrong with it, and how to mend it.

Owns the list of checks. Each finding is one line; one that is not well says what to do. Must never
change anything, and never show a secret.
"""

import os
import shutil
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from meterhouse import __version__
from meterhouse.app import Plan, open_address, utc_now
from meterhouse.config import (
    EMBEDDED,
    FILE_NAME,
    KEY_FILE_NAME,
    SECRETS,
    SecretKeyMissing,
    Settings,
    masked,
)
from meterhouse.errors import MeterhouseError
from meterhouse.meter_models import load, names
from meterhouse.plugins import SIMULATED, open_security
from meterhouse.press.fonts import HOW_TO_INSTALL, ChineseFontMissing, chinese_family
from meterhouse.store import vitals
from meterhouse.store.db import Address, Database
from meterhouse.store.migrate import head_revision, revision
from meterhouse.wire.dlt645.security import PROOF_SIZE, SEAL_SIZE

DISK_BYTES_MIN: Final = 1_000_000_000
ASSETS: Final = Path(__file__).parent.parent / "web" / "static" / "vendor"
CLOCK_SKEW_MAX: Final = timedelta(seconds=5)
# No clock that is right shows an earlier year: the program is younger than that.
CLOCK_MIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ASKED: Final = "000000000000"
_SEALED: Final = [name for name in names() if load(name).wallet == "esam"]
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Finding(NamedTuple):
    """Whether it is well, and the line for people."""

    is_well: bool
    says: str


def _finding(is_well: bool, says: str, mend: str) -> Finding:
    return Finding(is_well, says if is_well else f"{says}; {mend}")


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Findings in order."""
    version = sys.version.split()[0]
    yield Finding(True, f"meterhouse {__version__}, Python {version}, {os.cpu_count()} cores")
    for name, text in masked(settings).items():
        yield Finding(True, f"setting {name} = {text}")
    for check in (_disk, _files, _fonts, _modes, _key, _security, _addresses, _ports):
        for finding in check(settings):
            yield finding
    async for finding in _database(settings):
        yield finding


def _disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free
    yield _finding(
        free >= DISK_BYTES_MIN,
        f"{free // 1_000_000:,} MB free in {settings.data}",
        f"make room for at least {DISK_BYTES_MIN // 1_000_000:,} MB",
    )


def _files(_: Settings) -> Iterator[Finding]:
    yield Finding(True, f"meter models: {', '.join(names())}")
    there = (ASSETS / "htmx.min.js").exists()
    yield _finding(
        there, f"front-end files are {'in place' if there else 'missing'}",
        "reinstall with `sh run demo`, or `pip install -e .`",
    )  # fmt: skip


def _fonts(_: Settings) -> Iterator[Finding]:
    """What receipts are printed in."""
    try:
        yield Finding(True, f"receipts are set in {chinese_family()}")
    except ChineseFontMissing:
        yield Finding(False, f"no font with Chinese characters; {HOW_TO_INSTALL}")


def _modes(settings: Settings) -> Iterator[Finding]:
    """Files that hold secrets are read by their owner alone."""
    named = [getattr(settings, f"{name}_file") for name in SECRETS]
    paths = [Path(one) for one in named if one]
    paths += [settings.data / KEY_FILE_NAME, settings.data / FILE_NAME]
    for path in paths:
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        yield _finding(
            not mode & 0o077,
            f"{path} has mode {mode:04o}",
            f"others can read it: run `chmod 600 '{path}'`",
        )


def _key(settings: Settings) -> Iterator[Finding]:
    """Where the installation's key comes from."""
    if settings.secret_key:
        yield Finding(True, "secret_key is given")
    elif settings.database_url != EMBEDDED:
        yield Finding(False, str(SecretKeyMissing()))
    else:
        there = (settings.data / KEY_FILE_NAME).exists()
        when = "is kept in the data folder" if there else "will be made by the first start"
        yield Finding(True, f"secret_key {when}")


def _security(settings: Settings) -> Iterator[Finding]:
    """Whether the module that seals orders is there and answers in the sizes that meters take."""
    name = settings.security_module
    if not name:
        yield Finding(True, "no security module: meters with a security chip take no orders")
        return
    try:
        module = open_security(name, settings.security_address, settings.security_secret)
        assert module is not None
        sizes = len(module.authentication(_ASKED)), len(module.seal(_ASKED, bytes(12), b"doctor"))
    except MeterhouseError as error:
        yield Finding(False, f"{error} [{error.code}]; see docs/guides/driver-author.md")
    except Exception as error:
        yield Finding(False, f"{name} fails ({type(error).__name__}); ask its maker")
    else:
        yield _finding(
            sizes == (PROOF_SIZE, SEAL_SIZE), f"security module {name} answers",
            f"{sizes} bytes are not the {(PROOF_SIZE, SEAL_SIZE)} that meters take",
        )  # fmt: skip
        if name == SIMULATED:
            yield Finding(False, f"{name} seals for simulated meters alone; no real one takes it")


def _addresses(settings: Settings) -> Iterator[Finding]:
    """Whether how people come here and what is set for it go together."""
    url = settings.public_url
    if not url:
        yield _finding(
            not settings.secure_cookies and settings.host in LOOPBACK and not settings.smtp_url,
            "public_url is not set",
            "set it to how people reach the console, as in https://power.example.org;"
            " links in e-mails begin so, and none is sent without it",
        )
        return
    is_tls = urlsplit(url).scheme == "https"
    is_desk = urlsplit(url).hostname in LOOPBACK
    yield _finding(
        is_tls or is_desk, f"public_url is {url}",
        "passwords travel in the clear: put a proxy with TLS in front and use https",
    )  # fmt: skip
    said = "true" if settings.secure_cookies else "false"
    mend = "set secure_cookies = true" if is_tls else "browsers will not keep anybody signed in"
    yield _finding(
        is_tls == settings.secure_cookies, f"secure_cookies is {said}", f"for {url}: {mend}"
    )


def _ports(settings: Settings) -> Iterator[Finding]:
    for name, host, port in (
        ("console", settings.host, settings.port),
        ("head end", settings.headend_host, settings.headend_port),
        ("metrics", settings.metrics_host, settings.metrics_port),
    ):
        if name != "metrics" or port:
            yield _port_is_free(name, host, port)
    if settings.metrics_port:
        yield _finding(
            settings.metrics_host in LOOPBACK,
            f"metrics are served on {settings.metrics_host}",
            "they ask for no key: let only the collector reach that address",
        )


def _port_is_free(name: str, host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                False,
                f"{name} port {host}:{port}: {error.strerror}; stop what uses it, or choose "
                "another port (a running meterhouse uses its own)",
            )
    return Finding(True, f"{name} port {host}:{port} is free")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with open_address(settings, Plan(), join=True) as address:
            found = await revision(address)
            yield _finding(
                found == head_revision(), f"database {address.masked()}, revision {found}",
                "run `meterhouse migrate`",
            )  # fmt: skip
            async for finding in _server(address):
                yield finding
    except MeterhouseError as error:
        mend = "" if settings.database_url == EMBEDDED else "; see docs/guides/operator.md"
        yield Finding(False, f"database: {error} [{error.code}]{mend}")


async def _server(address: Address) -> AsyncIterator[Finding]:
    """What the server says of itself, asked as the application's role."""
    db = Database(address, size=1)
    await db.open()
    try:
        async with db.transaction(()) as connection:
            facts = await vitals.server_facts(connection)
        scope = await db.project_ids()
        async with db.transaction(scope) as connection:
            unsealed = await vitals.unsealed(connection, scope, _SEALED)
    finally:
        await db.close()
    yield Finding(True, f"PostgreSQL {facts.version}")
    if unsealed:
        yield Finding(
            False, f"{unsealed} meters with a security chip are sold nothing: no head end with a "
            "security module has their line; set security_module where the head end runs",
        )  # fmt: skip
    yield _finding(
        facts.owned_tables == 0,
        f"the application works as {facts.role} and owns {facts.owned_tables} tables",
        "row-level security does not hold for an owner: give database_url another user",
    )
    for name, is_on in (("fsync", facts.is_fsync), ("full_page_writes", facts.is_full_page)):
        yield _finding(
            is_on, f"{name} is {'on' if is_on else 'off'}",
            f"a power cut would lose the books: `alter system set {name} = on` and reload",
        )  # fmt: skip
    skew = abs(utc_now() - facts.now)
    is_sane = skew <= CLOCK_SKEW_MAX and utc_now() >= CLOCK_MIN
    yield _finding(
        is_sane, f"clock is {utc_now():%Y-%m-%d %H:%M:%S} UTC, {skew.total_seconds():.1f} s from "
        "the database's",
        "let both machines follow a time server",
    )  # fmt: skip
