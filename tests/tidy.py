"""The tidy laws, each a function from one source file to what breaks it.

Owns what can be judged from the syntax tree alone; what imports what is import-linter's, style is
ruff's. Every law yields `line: sentence`, and `tests/unit/test_tidy.py` shows it a bad sample too.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "meterhouse"

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
LINE_COLUMNS_MAX = 100

PURE_ROOMS = frozenset(
    {"units", "errors", "model", "ports", "wire", "rating", "ledger", "control", "drivers"}
)
CLOCK_ROOMS = frozenset({"app", "worker", "cli", "bench"})
LOOP_TIME_ROOMS = CLOCK_ROOMS | {"headend", "sim", "web"}
CLOCK_OF_MODULE = {
    "time": {
        *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
        *("process_time", "thread_time", "localtime", "gmtime", "ctime"),
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
NUMBERS = frozenset({"int", "float", "Decimal", "Milli", "Micro", "Nano", "Minor"})
# fmt: off
QUANTITIES = frozenset({
    "age", "amount", "balance", "charge", "cost", "credit", "current", "debt", "delay", "duration",
    "energy", "fee", "interval", "money", "period", "power", "pressure", "price", "rate", "tax",
    "temperature", "threshold", "timeout", "value", "voltage", "volume",
})
# fmt: on
BOUNDS = frozenset({"max", "min", "default", "total", "limit", "step"})
# `bulk` writes made-up households, and reads nothing.
PERSONAL_ROOMS = frozenset({"store/personal.py", "store/bulk.py"})
BEHIND_THE_MASK = re.compile(r"\b(from|join|into|update|using)\s+personal\b", re.IGNORECASE)
CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")


@dataclass(frozen=True)
class Source:
    """One Python file: where it is (from the package or the tests' folder) and what it says."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The first folder or module beneath the package."""
        return self.path.split("/")[0].removesuffix(".py")


Law = Callable[[Source], Iterator[str]]


def python_files(folder: Path) -> list[Source]:
    """Every Python file beneath a folder."""
    return [
        Source(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    ]


def breaches(law: Law, sources: list[Source]) -> list[str]:
    """What breaks a law, as `path:line: sentence`."""
    return [f"{source.path}:{breach}" for source in sources for breach in law(source)]


def short_functions(source: Source) -> Iterator[str]:
    """A function fits one screen."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield (
                    f"{node.lineno}: {node.name} has {lines} lines, {FUNCTION_LINES_MAX} are "
                    "allowed: give its parts names of their own"
                )


def short_files(source: Source) -> Iterator[str]:
    """A file holds one idea."""
    lines = len(source.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield f"1: {lines} lines, {FILE_LINES_MAX} are allowed: it holds two ideas, split them"


def short_lines(source: Source) -> Iterator[str]:
    """A line fits the screen; only the tables of the schema may be wide."""
    if source.path.startswith("store/migrations/versions/"):
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield f"{number}: {len(line)} columns, {LINE_COLUMNS_MAX} are allowed"


def says_what_it_owns(source: Source) -> Iterator[str]:
    """Every module opens with a docstring."""
    if not ast.get_docstring(source.tree):
        yield "1: no docstring: say what the module owns, what it must never know, and why"


def _holds_number(annotation: ast.expr | None) -> bool:
    """Whether an annotation is a number, an optional number, or a row of numbers."""
    if annotation is None:
        return False
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    plain = names <= NUMBERS | {"list", "tuple", "Sequence", "Iterable"}
    return plain and bool(names & NUMBERS)


def _is_number(node: ast.expr, text: str) -> bool:
    """Whether an expression is a number written as one; a code in hexadecimal measures nothing."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return False
    written = ast.get_source_segment(text, node) or ""
    return isinstance(node.value, int | float) and not written.lower().startswith("0x")


def _named_numbers(source: Source) -> Iterator[tuple[str, int]]:
    """Names that hold a number: parameters, annotated names, functions, numeric constants."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.arg) and _holds_number(node.annotation):
            yield node.arg, node.lineno
        elif isinstance(node, ast.AnnAssign) and _holds_number(node.annotation):
            if isinstance(node.target, ast.Name):
                yield node.target.id, node.lineno
            elif isinstance(node.target, ast.Attribute):
                yield node.target.attr, node.lineno
        elif isinstance(node, ast.Assign) and _is_number(node.value, source.text):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _holds_number(
            node.returns
        ):
            yield node.name, node.lineno


def units_last(source: Source) -> Iterator[str]:
    """A number that measures something names its unit last: `timeout_ms`, `amount_minor`."""
    for name, line in _named_numbers(source):
        words = name.lower().strip("_").split("_")
        while len(words) > 1 and words[-1] in BOUNDS:
            words.pop()
        if words[-1] in QUANTITIES and (source.path, name) not in UNITLESS:
            yield f"{line}: `{name}` is a number without a unit: end it in _ms, _milli, _minor"


# A number of whatever unit the sentence around it says.
UNITLESS = frozenset({("errors.py", "value")})


def no_float(source: Source) -> Iterator[str]:
    """Rooms that decide compute in integers alone."""
    if source.room not in PURE_ROOMS:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == "float":
            yield f"{node.lineno}: `float` in a pure room: use integers of a named unit"
        elif isinstance(node, ast.Attribute) and re.fullmatch(r"float(_|ing|\d+)?", node.attr):
            yield f"{node.lineno}: `{node.attr}` in a pure room: use an integer type"
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{node.lineno}: {node.value} in a pure room: scale it to an integer"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"{node.lineno}: `/` in a pure room: use `//` or `divmod`"


def no_clock(source: Source) -> Iterator[str]:
    """Time is an argument; three rooms may ask the clock (and bench may time itself)."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            for alias in node.names:
                if alias.name in CLOCK_OF_MODULE["time"] and source.room not in CLOCK_ROOMS:
                    yield f"{node.lineno}: `from time import {alias.name}`: take the time"
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if node.attr in CLOCK_OF_MODULE.get(owner, ()) and source.room not in CLOCK_ROOMS:
                yield f"{node.lineno}: `{owner}.{node.attr}`: take the time as an argument"
            asks_loop = node.attr == "time" and re.search(r"loop(\(\))?$", owner)
            if asks_loop and source.room not in LOOP_TIME_ROOMS:
                yield f"{node.lineno}: only headend, sim and web may ask the loop's time"


def logs_words_alone(source: Source) -> Iterator[str]:
    """The log takes constant words; only `logs` knows the library that would take anything."""
    for node in ast.walk(source.tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        module = node.module if isinstance(node, ast.ImportFrom) else ""
        if source.path != "logs.py" and "logging" in [*names, module]:
            yield f"{node.lineno}: `logging`: use `meterhouse.logs`, which writes no free text"
    for line, _, event in log_calls(source):
        if not (isinstance(event, ast.Constant) and re.fullmatch("[a-z_]+", str(event.value))):
            yield f"{line}: an event of the log is a constant word; facts go into its fields"


def log_calls(source: Source) -> Iterator[tuple[int, str, ast.expr | None]]:
    """Line, level and event of every call of a module's log."""
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("info", "warning", "error")
            and ast.unparse(node.func.value) in ("log", "crashed")
        ):
            yield node.lineno, node.func.attr, node.args[0] if node.args else None


def _docstrings(tree: ast.Module) -> set[int]:
    """The identities of all docstring nodes, also those that stand below an assignment."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def english_code(source: Source) -> Iterator[str]:
    """Names and strings are English; the field's Chinese words stand in comments and docs."""
    documentation = _docstrings(source.tree)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            if isinstance(node.value, str) and CHINESE.search(node.value):
                yield f"{node.lineno}: {node.value[:20]!r} belongs in a catalogue or a data file"
        elif isinstance(node, ast.Name) and not node.id.isascii():
            yield f"{node.lineno}: the name `{node.id}` is not English"


def personal_alone(source: Source) -> Iterator[str]:
    """What is behind the mask is read in one room of the store."""
    if source.path in PERSONAL_ROOMS or source.path.startswith("store/migrations/"):
        return
    for node in ast.walk(source.tree):
        said = node.value if isinstance(node, ast.Constant) else None
        if isinstance(said, str) and BEHIND_THE_MASK.search(said):
            yield f"{node.lineno}: read `personal_masked`, or ask `store.personal`"


def honest_tests(source: Source) -> Iterator[str]:
    """A test can fail, and one that is left out says why."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant):
            yield f"{node.lineno}: an assertion that cannot change its mind"
        elif isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail"}:
            call = next(
                (n for n in ast.walk(source.tree) if isinstance(n, ast.Call) and n.func is node),
                None,
            )
            named = call is not None and any(word.arg == "reason" for word in call.keywords)
            direct = call is not None and node.attr == "skip" and bool(call.args)
            if ast.unparse(node.value).startswith("pytest") and not (named or direct):
                yield f"{node.lineno}: `{node.attr}` without a reason"


@dataclass(frozen=True)
class ErrorClass:
    """One class of the error hierarchy as its source declares it."""

    where: str
    name: str
    code: str | None
    documented: bool


def error_classes(sources: list[Source]) -> list[ErrorClass]:
    """Every class that descends from MeterhouseError, found by base names across all files."""
    known = {"MeterhouseError"}
    found: dict[str, ErrorClass] = {}
    classes = [
        (source, node)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    ]
    while True:
        before = len(found)
        for source, node in classes:
            bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            if node.name not in found and (node.name in known or bases & known):
                known.add(node.name)
                found[node.name] = ErrorClass(
                    f"{source.path}:{node.lineno}",
                    node.name,
                    _declared_code(node),
                    bool(ast.get_docstring(node)),
                )
        if len(found) == before:
            return list(found.values())


def _declared_code(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets, given = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign):
            targets, given = [statement.target], statement.value
        else:
            continue
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if "code" in names and isinstance(given, ast.Constant):
            return str(given.value)
    return None


def error_breaches(sources: list[Source], documentation: str) -> list[str]:
    """Every error has a code of its own, a docstring, and a line in the table of errors."""
    told = re.findall(r"^\|\s*`([a-z0-9_]+)`\s*\|", documentation, re.MULTILINE)
    found: list[str] = []
    seen: dict[str, str] = {}
    for error in error_classes(sources):
        if error.code is None:
            found.append(f"{error.where}: {error.name} declares no `code` of its own")
            continue
        if error.code in seen:
            found.append(f"{error.where}: code `{error.code}` is {seen[error.code]}'s already")
        seen[error.code] = error.name
        if not error.documented:
            found.append(f"{error.where}: {error.name} has no docstring, which is its message")
        if error.code not in told:
            found.append(f"{error.where}: `{error.code}` has no line in docs/errors.md")
    found += [f"docs/errors.md: `{code}` is no error's code" for code in told if code not in seen]
    found += [f"docs/errors.md: `{code}` stands twice" for code in told if told.count(code) > 1]
    return found


# Spelled in pieces, so that this file does not name them itself.
REGISTRY_HOSTS = tuple(
    "".join(pieces)
    for pieces in (
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("registry.npm", "js.org"),
        ("registry.yarn", "pkg.com"),
        ("npm", "mirror.com"),
        ("tuna.tsing", "hua.edu.cn"),
        ("mirrors.ali", "yun.com"),
    )
)
WORKPLACE = re.compile(r"(?<![\w.~])/(?:wo" + r"rk|opt/pypi|opt/wheels|home/\w+)/")


def place_breaches(path: str, text: str) -> Iterator[str]:
    """A tracked file names no registry and no folder of the machine it was written on."""
    for number, line in enumerate(text.splitlines(), 1):
        for host in REGISTRY_HOSTS:
            if host in line:
                yield f"{path}:{number}: names the registry {host}"
        if WORKPLACE.search(line):
            yield f"{path}:{number}: names a folder of one machine: {line.strip()[:60]}"
