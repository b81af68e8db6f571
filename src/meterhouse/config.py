"""Settings: from a TOML file, the environment, and the command line, in rising order of say.

Owns names, defaults, ranges and where each setting came from, and the installation's own key.
Must never open a connection. A setting that is wrong says what to do; `doctor` prints what is in
force, secrets masked. A secret may stand in a file of its own, so that it shows neither in the
environment nor in a process list: name it by `…_file`, or let systemd hand it over.
"""

import base64
import binascii
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from meterhouse import logs
from meterhouse.errors import MeterhouseError, SettingInvalid

PREFIX: Final = "METERHOUSE_"
FILE_NAME: Final = "meterhouse.toml"
KEY_FILE_NAME: Final = "secret_key"
EMBEDDED: Final = "embedded"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
PORT_MAX: Final = 65_535
A_MINUTE_MAX: Final = 1_000_000
STOP_TIMEOUT_MAX_S: Final = 600
KEY_BYTES: Final = 32
FILE_BYTES_MAX: Final = 8_192
MAKE_KEY: Final = "head -c 32 /dev/urandom | base64"

SECRETS: Final = ("database_url", "smtp_url", "secret_key", "security_secret")
_WORDS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_CHOICES: Final = {
    "transport": ("rs485", "tcp", "lora"),
    "log_format": logs.FORMS,
    "log_level": logs.LEVELS,
}
# Scheme, host and port alone: it becomes part of links, headers and e-mails.
_PUBLIC_URL: Final = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class SecretKeyMissing(MeterhouseError):
    """No secret_key is set: make one with `{make}` and give it as secret_key_file."""

    code = "secret_key_missing"

    def __init__(self) -> None:
        super().__init__(make=MAKE_KEY)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an installation can choose.

    Attributes:
        database_url: `embedded`, or `postgresql://user:password@host/name`.
        database_url_file: a file that holds it.
        data: folder of the embedded database, compiled kernels and exports.
        host: where the console and the API listen.
        port: their port.
        public_url: how people reach the console, `https://host`; links in e-mails begin so.
        secure_cookies: cookies travel over HTTPS only; set it behind a TLS proxy.
        headend_host: where gateways dial in.
        headend_port: their port.
        transport: how patient drivers are: `rs485`, `tcp` or `lora`.
        security_module: what seals orders for meters with a security chip (ESAM): an entry point,
            or `package.module:function`; empty: such meters take no orders.
        security_address: where that module is, as its maker writes it.
        security_secret: what it asks for before it answers.
        security_secret_file: a file that holds it.
        smtp_url: `smtp://user:password@host:port` or `smtps://…`; empty sends no e-mail.
        smtp_url_file: a file that holds it.
        mail_from: the sender of e-mail.
        secret_key: 32 random bytes in base64, with which secrets in the database are sealed.
        secret_key_file: a file that holds it.
        log_format: `text` for people, `json` for machines.
        log_level: the least that is logged.
        metrics_host: where metrics and health are served to machines.
        metrics_port: their port; 0 serves none.
        stop_timeout_s: how long requests, exports and conversations may take to end.
        requests_a_minute: what an API client may ask in a minute.
        changes_a_minute: how many of these may change something.
        stranger_requests_a_minute: what an address may ask without a live key.
        sign_ins_a_minute: how often an address may try to sign in.
    """

    database_url: str = field(default=EMBEDDED, repr=False)
    database_url_file: str = ""
    data: Path = field(default_factory=lambda: Path("data"))
    host: str = "127.0.0.1"
    port: int = 8645
    public_url: str = ""
    secure_cookies: bool = False
    headend_host: str = "127.0.0.1"
    headend_port: int = 7645
    transport: str = "tcp"
    security_module: str = ""
    security_address: str = ""
    security_secret: str = field(default="", repr=False)
    security_secret_file: str = ""
    smtp_url: str = field(default="", repr=False)
    smtp_url_file: str = ""
    mail_from: str = "meterhouse@localhost"
    secret_key: str = field(default="", repr=False)
    secret_key_file: str = ""
    log_format: str = "text"
    log_level: str = "warning"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    stop_timeout_s: int = 20
    requests_a_minute: int = 3_000
    changes_a_minute: int = 600
    stranger_requests_a_minute: int = 120
    sign_ins_a_minute: int = 30


def load(chosen: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """Settings in force. `chosen` comes from the command line; None there means "not said".

    A secret may be said as itself or as a file, once in each place; the place with more say
    wins whole. One that nobody says is taken from systemd's credentials, where it is there.

    Raises:
        SettingInvalid: an unknown name, or a setting that cannot be used.
    """
    known = {one.name: one for one in fields(Settings)}
    environ = os.environ if environment is None else environment
    said = {
        name: environ[PREFIX + name.upper()] for name in known if PREFIX + name.upper() in environ
    }
    data = Path(chosen.get("data") or said.get("data") or "data")
    found: dict[str, Any] = {}
    for place in (
        _from_file(data / FILE_NAME, known),
        said,
        {name: given for name, given in chosen.items() if given is not None},
    ):
        _lay_over(found, place)
    _read_secrets(found, environ)
    return Settings(**{name: _checked(name, given) for name, given in found.items()})


def masked(settings: Settings) -> dict[str, str]:
    """Every setting as text for people; secrets keep their shape and lose their content."""
    return {one.name: mask(one.name, str(getattr(settings, one.name))) for one in fields(Settings)}


def mask(name: str, text: str) -> str:
    """A setting as it may be shown: of a URL the scheme, host and path, of a key nothing."""
    if name not in SECRETS or not text or text == EMBEDDED:
        return text
    scheme, sep, rest = text.partition("://")
    if not sep:
        return "***"
    where, question, _ = rest.partition("?")
    who, at, host = where.rpartition("@")
    return f"{scheme}://{'***@' if who or at else ''}{host}{'?***' if question else ''}"


def secret_key_of(settings: Settings) -> bytes:
    """The installation's own key; with the embedded database made at the first start.

    Raises:
        SecretKeyMissing: a database by URL, and no key was given: every part of the house must
            have the same one.
        SettingInvalid: the kept key cannot be used.
    """
    if settings.secret_key:
        return _key_bytes("secret_key", settings.secret_key)
    if settings.database_url != EMBEDDED:
        raise SecretKeyMissing
    path = settings.data / KEY_FILE_NAME
    if not path.exists():
        _make_key(path)
    return _key_bytes(str(path), _contents(str(path), path))


def _make_key(path: Path) -> None:
    """Write a new key whole or not at all; of two processes that try, the first one's stays."""
    making = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii") + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(making)
    except FileExistsError:
        pass
    finally:
        making.unlink()


def _lay_over(found: dict[str, Any], place: Mapping[str, Any]) -> None:
    """Let one place have its say over those before it."""
    for name in SECRETS:
        both = (name, f"{name}_file")
        if all(place.get(one) for one in both):
            raise SettingInvalid(name, "***", f"give it or {both[1]} in one place, not both")
        if any(one in place for one in both):
            for one in both:
                found.pop(one, None)
    found.update(place)


def _read_secrets(found: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Replace files of secrets by what they hold; systemd's credentials fill what is unsaid."""
    credentials = environ.get(CREDENTIALS)
    for name in SECRETS:
        named = found.get(f"{name}_file")
        if not named and not found.get(name) and credentials:
            there = Path(credentials) / name
            named = str(there) if there.exists() else None
        if named:
            found[name] = _contents(f"{name}_file", Path(named))


def _contents(name: str, path: Path) -> str:
    """A small file's text without the line end. The error never quotes what is in it."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingInvalid(name, str(path), f"it cannot be read ({why})") from None
    if not text or len(text) > FILE_BYTES_MAX:
        raise SettingInvalid(name, str(path), f"it must hold 1 to {FILE_BYTES_MAX} bytes")
    return text


def _from_file(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingInvalid(str(path), "unreadable", str(error)) from error
    except OSError as error:
        raise SettingInvalid(str(path), "unreadable", error.strerror or "unreadable") from error
    for name in said:
        if name not in known:
            raise SettingInvalid(name, "***", f"not a setting; {path} may name {sorted(known)}")
    return said


def _checked(name: str, given: Any) -> Any:
    check = _CHECKS.get(name)
    if check is not None:
        return check(name, given)
    choices = _CHOICES.get(name)
    if choices is not None and given not in choices:
        raise SettingInvalid(name, given, f"give one of {', '.join(choices)}")
    return str(given)


def _whole(name: str, given: Any, low: int, high: int, what: str) -> int:
    try:
        number = int(given)
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise SettingInvalid(name, given, f"give {what} from {low} to {high}")
    return number


def _port(name: str, given: Any) -> int:
    return _whole(name, given, 0, PORT_MAX, "a port")


def _seconds(name: str, given: Any) -> int:
    return _whole(name, given, 1, STOP_TIMEOUT_MAX_S, "seconds")


def _a_minute(name: str, given: Any) -> int:
    return _whole(name, given, 1, A_MINUTE_MAX, "a number")


def _yes_or_no(name: str, given: Any) -> bool:
    word = given if isinstance(given, bool) else _WORDS.get(str(given).lower())
    if word is None:
        raise SettingInvalid(name, given, "give true or false")
    return word


def _database_url(name: str, given: Any) -> str:
    if given != EMBEDDED and not str(given).startswith(("postgresql://", "postgres://")):
        raise SettingInvalid(name, "***", "give embedded, or postgresql://user@host/name")
    return str(given)


def _smtp_url(name: str, given: Any) -> str:
    text = str(given)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if text and not usable:
        raise SettingInvalid(
            name, "***", "give smtp://host:port or smtps://user:password@host:port"
        )
    return text


def _public_url(name: str, given: Any) -> str:
    text = str(given).removesuffix("/")
    if text and not _PUBLIC_URL.fullmatch(text):
        raise SettingInvalid(name, given, "give https://host or https://host:port, and no path")
    return text


def _key(name: str, given: Any) -> str:
    if given:
        _key_bytes(name, str(given))
    return str(given)


def _key_bytes(name: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingInvalid(
            name, "***", f"it must be {KEY_BYTES} bytes in base64; make one with `{MAKE_KEY}`"
        )
    return key


_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "data": lambda _, given: Path(given),
    "database_url": _database_url,
    "headend_port": _port,
    "metrics_port": _port,
    "port": _port,
    "requests_a_minute": _a_minute,
    "changes_a_minute": _a_minute,
    "stranger_requests_a_minute": _a_minute,
    "sign_ins_a_minute": _a_minute,
    "public_url": _public_url,
    "secret_key": _key,
    "secure_cookies": _yes_or_no,
    "smtp_url": _smtp_url,
    "stop_timeout_s": _seconds,
}
