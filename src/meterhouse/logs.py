"""The log: one event a line, made of words we chose and of fields that are allowed, no others.

Owns the allow-list, the two forms (text for people, JSON for machines) and what is said of an
exception. Must never know who logs. Nothing that anybody typed, sent or stored reaches a line: an
event is a constant word, its fields are numbers and short words, an exception is its type, its
code and our own frames. Messages of exceptions are left out, because a database's detail, a mail
server's answer and a driver's complaint quote names, telephone numbers and keys. For the same
reason a library's record says where it was made, and not what it says.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, TextIO, TypedDict, Unpack

from meterhouse.errors import MeterhouseError

FORMS: Final = ("text", "json")
LEVELS: Final = ("info", "warning", "error")

_PACKAGE: Final = Path(__file__).parent
_FRAMES_MAX: Final = 20
_CAUSES_MAX: Final = 5
_WORD_MAX_CHARS: Final = 120
_NOT_IN_WORDS: Final = re.compile(r"[^A-Za-z0-9_.:/{}-]")
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_LIBRARY: Final = "library"


class Fields(TypedDict, total=False):
    """What a line may carry beside its event: numbers, and words from a closed set."""

    request_id: str
    method: str
    route: str
    """The template of the address, `/projects/{project_id}/rooms`; never the address itself."""
    status: int
    duration_ms: float
    person_id: int | None
    project_id: int | None
    gateway_id: int
    meter_id: int
    command_id: int
    notice_id: int
    task_id: int
    code: str
    """The stable code of an error or outcome, as in `docs/errors.md`."""
    state: str
    work: str
    """Which loop or task of ours."""
    count: int


ALLOWED: Final = frozenset(Fields.__annotations__)

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("meterhouse_log_fields", default=_NOTHING)


@contextmanager
def bind(**fields: Unpack[Fields]) -> Iterator[None]:
    """Give every line within the block these fields, also in tasks that it starts."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


class Log:
    """One module's way to log: `log.warning("readings_wait", error=error, project_id=7)`.

    An event is a constant word of ours; `docs/guides/operator.md` explains each that warns.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, /, **fields: Unpack[Fields]) -> None:
        """Something went as it should."""
        self._emit(logging.INFO, event, None, fields)

    def warning(
        self, event: str, /, error: BaseException | None = None, **fields: Unpack[Fields]
    ) -> None:
        """Something waits or was refused; nobody need get up at night."""
        self._emit(logging.WARNING, event, error, fields)

    def error(
        self, event: str, /, error: BaseException | None = None, **fields: Unpack[Fields]
    ) -> None:
        """Something is broken and a person should look."""
        self._emit(logging.ERROR, event, error, fields)

    def _emit(self, level: int, event: str, error: BaseException | None, fields: Fields) -> None:
        if not self._logger.isEnabledFor(level):
            return
        said: dict[str, Any] = {**_bound.get(), **fields}
        if error is not None:
            said["error"] = describe(error)
        self._logger.log(level, event, extra={"fields": said}, stacklevel=3)


def describe(error: BaseException) -> dict[str, Any]:
    """What may be said of an exception: type, code, causes and our own frames, innermost last."""
    said: dict[str, Any] = {"type": _type_name(error)}
    if isinstance(error, MeterhouseError):
        said["code"] = error.code
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str) and _SQLSTATE.fullmatch(sqlstate):
        said["sqlstate"] = sqlstate
    if isinstance(error, OSError) and error.errno is not None:
        said["errno"] = error.errno
    if causes := [_type_name(one) for one in _causes(error)]:
        said["causes"] = causes
    if frames := _our_frames(error.__traceback__):
        said["frames"] = frames
    return said


def configure(form: str, level: str, stream: TextIO | None = None) -> None:
    """Send everything that is logged, ours or a library's, to standard error in one form.

    What nobody caught is logged as well, instead of printed with its message.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonForm() if form == "json" else TextForm())
    handler.addFilter(_is_wanted)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # or a broken handler would print the record's arguments
    crashed = Log("meterhouse")

    def on_crash(
        _type: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        if not isinstance(error, KeyboardInterrupt):
            crashed.error("crashed", error=error)

    sys.excepthook = on_crash
    threading.excepthook = lambda hook: crashed.error("thread_crashed", error=hook.exc_value)
    sys.unraisablehook = lambda hook: crashed.error("unraisable", error=hook.exc_value)


class TextForm(logging.Formatter):
    """For people: instant, level, module, the event in words, fields as `name=word`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; an error's frames follow, indented."""
        said = _said(record)
        head = f"{said.pop('at')} {said.pop('level').upper():<7} {said.pop('logger')}"
        line = f"{head}: {said.pop('event').replace('_', ' ')}"
        error = said.pop("error", {})
        frames = error.pop("frames", []) if record.levelno >= logging.ERROR else []
        error.pop("frames", None)
        causes = error.pop("causes", [])
        said |= {"error": error.pop("type"), **error} if error else {}
        said |= {"causes": ",".join(causes)} if causes else {}
        line += "".join(f" {name}={value}" for name, value in said.items())
        return "\n".join([line, *(f"    {frame}" for frame in frames)])


class JsonForm(logging.Formatter):
    """For machines: one JSON object a line; the names of its members never change meaning."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        return json.dumps(_said(record), ensure_ascii=True, separators=(",", ":"))


def _is_wanted(record: logging.LogRecord) -> bool:
    """Libraries are heard when they warn; their small talk is nobody's."""
    return hasattr(record, "fields") or record.levelno >= logging.WARNING


def _said(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says, whoever made the record."""
    at = datetime.fromtimestamp(record.created, UTC)
    said: dict[str, Any] = {
        "at": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "level": record.levelname.lower(),
        "logger": _word(record.name),
    }
    fields: Mapping[str, Any] | None = getattr(record, "fields", None)
    if fields is None:
        said |= {"event": _LIBRARY, "work": _word(f"{record.module}:{record.lineno}")}
        said |= {name: _word(word) for name, word in _bound.get().items()}
        if record.exc_info and record.exc_info[1] is not None:
            said["error"] = describe(record.exc_info[1])
        return said
    said["event"] = _word(record.msg)
    said |= {
        name: _word(field)
        for name, field in fields.items()
        if name in ALLOWED and field is not None
    }
    if "error" in fields:
        said["error"] = dict(fields["error"])
    return said


def _word(field: Any) -> Any:
    """A field as it may be written: a number, or a short word without spaces."""
    if isinstance(field, bool | int | float):
        return field
    return _NOT_IN_WORDS.sub("?", str(field))[:_WORD_MAX_CHARS]


def _type_name(error: BaseException) -> str:
    return str(_word(type(error).__name__))


def _causes(error: BaseException) -> list[BaseException]:
    """What an exception came from, nearest first."""
    found: list[BaseException] = []
    if isinstance(error, BaseExceptionGroup):
        found += error.exceptions[:_CAUSES_MAX]
    cause = error.__cause__ or error.__context__
    while cause is not None and cause not in found and len(found) < _CAUSES_MAX:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _our_frames(trace: TracebackType | None) -> list[str]:
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        path = Path(code.co_filename)
        if path.is_relative_to(_PACKAGE):
            where = path.relative_to(_PACKAGE).as_posix()
            frames.append(f"{where}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-_FRAMES_MAX:]
