"""Settings: from the environment, a TOML file, and the command line, in rising order of say.

Owns names, defaults, ranges and where each setting came from. Must never open a connection. A
setting that is wrong says what to do; `doctor` prints what is in force, secrets masked.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from meterhouse.errors import SettingInvalid

PREFIX = "METERHOUSE_"
FILE_NAME = "meterhouse.toml"
PORT_MAX = 65_535
A_MINUTE_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an installation can choose.

    Attributes:
        database_url: `embedded`, or `postgresql://user:password@host/name`.
        data: folder of the embedded database, compiled kernels and exports.
        host: where the console and the API listen.
        port: their port.
        headend_host: where gateways dial in.
        headend_port: their port.
        transport: how patient drivers are: `rs485`, `tcp` or `lora`.
        smtp_url: `smtp://host:port` or `smtps://user:password@host:port`; empty sends no e-mail.
        mail_from: the sender of e-mail.
        secure_cookies: cookies travel over HTTPS only; set it behind a TLS proxy.
        requests_a_minute: what an API client may ask in a minute.
        changes_a_minute: how many of these may change something.
        stranger_requests_a_minute: what an address may ask without a live key.
        sign_ins_a_minute: how often an address may try to sign in.
    """

    database_url: str = "embedded"
    data: Path = field(default_factory=lambda: Path("data"))
    host: str = "127.0.0.1"
    port: int = 8645
    headend_host: str = "127.0.0.1"
    headend_port: int = 7645
    transport: str = "tcp"
    smtp_url: str = ""
    mail_from: str = "meterhouse@localhost"
    secure_cookies: bool = False
    requests_a_minute: int = 3_000
    changes_a_minute: int = 600
    stranger_requests_a_minute: int = 120
    sign_ins_a_minute: int = 30


SECRETS = frozenset({"database_url", "smtp_url"})
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def load(chosen: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """Settings in force. `chosen` comes from the command line; None there means "not said".

    Raises:
        SettingInvalid: an unknown name, or a setting that cannot be used.
    """
    known = {one.name: one for one in fields(Settings)}
    found: dict[str, Any] = {}
    environ = os.environ if environment is None else environment
    for name in known:
        if (text := environ.get(PREFIX + name.upper())) is not None:
            found[name] = text
    data = Path(chosen.get("data") or found.get("data") or "data")
    found = _from_file(data / FILE_NAME, known) | found
    found |= {name: given for name, given in chosen.items() if given is not None}
    return Settings(**{name: _checked(name, given) for name, given in found.items()})


def masked(settings: Settings) -> dict[str, str]:
    """Every setting as text for people; secrets keep their shape and lose their content."""
    return {
        one.name: _mask(str(getattr(settings, one.name)))
        if one.name in SECRETS
        else str(getattr(settings, one.name))
        for one in fields(Settings)
    }


def _mask(text: str) -> str:
    scheme, sep, rest = text.partition("://")
    if not sep:
        return text
    return f"{scheme}://{'***@' if '@' in rest else ''}{rest.rpartition('@')[2]}"


def _from_file(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise SettingInvalid(str(path), "unreadable", str(error)) from error
    for name in said:
        if name not in known:
            raise SettingInvalid(
                name, said[name], f"not a setting; {path} may name {sorted(known)}"
            )
    return said


def _checked(name: str, given: Any) -> Any:
    if name == "data":
        return Path(given)
    if name in ("port", "headend_port"):
        try:
            port = int(given)
        except (TypeError, ValueError):
            raise SettingInvalid(name, given, f"give a port from 0 to {PORT_MAX}") from None
        if not 0 <= port <= PORT_MAX:
            raise SettingInvalid(name, given, f"give a port from 0 to {PORT_MAX}")
        return port
    if name.endswith("_a_minute"):
        if not str(given).isdecimal() or not 1 <= int(given) <= A_MINUTE_MAX:
            raise SettingInvalid(name, given, f"give a number from 1 to {A_MINUTE_MAX}")
        return int(given)
    if name == "secure_cookies":
        word = given if isinstance(given, bool) else _WORDS.get(str(given).lower())
        if word is None:
            raise SettingInvalid(name, given, "give true or false")
        return word
    if name == "transport" and given not in ("rs485", "tcp", "lora"):
        raise SettingInvalid(name, given, "give rs485, tcp or lora")
    if name == "database_url" and given != "embedded" and "://" not in str(given):
        raise SettingInvalid(name, given, "give embedded, or postgresql://user@host/name")
    return str(given)
