"""The module of operations: one method each, in groups, once blocking and once awaited.

Owns how a method is called, what it takes and what it sends. Must never know how it is carried out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from generator.schemas import (
    JSON,
    NOTHING,
    ContractUnfit,
    Json,
    Kind,
    Schemas,
    class_name,
    python_name,
)
from generator.shapes import SUCCESSES
from generator.text import INDENT, Imports, call, docstring, module

KEY_HEADER: Final = "idempotency-key"
_KEY: Final = "idempotency_key"
_KEY_SAYS: Final = f"{_KEY}: Yours, to repeat the same act later; else one is made."
_SAYS: Final = "Every operation of the API as a method, grouped by what it is about."
_IMPORTS: Final[Sequence[Imports]] = (
    (
        ("", ("datetime as dt",)),
        ("collections.abc", ("Mapping",)),
        ("decimal", ("Decimal",)),
        ("typing", ("Any", "Literal", "TypeAlias")),
    ),
    (
        ("meterhouse_sdk", ("shapes",)),
        ("meterhouse_sdk._calls", ("Call",)),
        ("meterhouse_sdk._groups", ("AsyncGroup", "Group")),
        ("meterhouse_sdk._paging", ("AsyncDo", "AsyncRows", "Do", "Rows")),
        ("meterhouse_sdk._values", ("each", "instant", "nothing", "quoted")),
    ),
)


@dataclass(frozen=True)
class Argument:
    """One argument of a method: its name here, its name and place there.

    Where it may be one of a few `words` that have no name in the contract, `type` is an alias's.
    """

    name: str
    sent_as: str
    place: str
    type: str
    is_required: bool
    about: str
    words: tuple[str, ...]

    @property
    def declared(self) -> str:
        """As the signature has it; what is not required is not sent unless it is given."""
        if self.is_required:
            return f"{self.name}: {self.type}"
        return f"{self.name}: {self.type.removesuffix(' | None')} | None = None"


@dataclass(frozen=True)
class Operation:
    """One method: where it stands, what it takes, what it sends and answers."""

    group: str
    name: str
    method: str
    path: str
    about: str
    arguments: tuple[Argument, ...]
    takes_body: bool
    takes_key: bool
    answer: Kind
    is_list: bool

    def at(self, *places: str) -> list[Argument]:
        """The arguments of some places, the required ones first."""
        found = [one for one in self.arguments if one.place in places]
        return sorted(found, key=lambda one: not one.is_required)


@dataclass(frozen=True)
class Manner:
    """What differs between methods that block and methods that are awaited."""

    prefix: str
    define: str
    wait: str


_MANNERS: Final = (Manner("", "def", ""), Manner("Async", "async def", "await "))


def operations_source(contract: Json) -> str:
    """The module of all operations: groups of methods, blocking and awaited.

    Raises:
        ContractUnfit: two would have the same name, or one takes what cannot be an argument.
    """
    found = operations(contract)
    groups = sorted({one.group for one in found if one.group})
    aliases = {
        one.type: call(f"{one.type}: TypeAlias = Literal[", [f'"{w}"' for w in one.words], "]")
        for operation in found
        for one in operation.arguments
        if one.words
    }
    classes = []
    for manner in _MANNERS:
        for group in groups:
            methods = [_method(manner, one) for one in found if one.group == group]
            head = f"class {manner.prefix}{class_name(group)}({manner.prefix}Group):"
            says = docstring(f"Operations on {group.replace('_', ' ')}.")
            classes.append("\n\n".join(["\n".join([head, *says]), *methods]))
        classes.append(_client(manner, groups, [one for one in found if not one.group]))
    return module(_SAYS, _IMPORTS, [*(["\n".join(aliases.values())] if aliases else []), *classes])


def operations(contract: Json) -> list[Operation]:
    """Every operation of the contract, by group and name. Raises `ContractUnfit`."""
    schemas = Schemas(contract, "shapes")
    found = [
        _operation(schemas, path, method, told)
        for path, methods in contract["paths"].items()
        for method, told in methods.items()
    ]
    names = [(one.group, one.name) for one in found]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ContractUnfit(f"two operations are called {double}")
    return sorted(found, key=lambda one: (one.group, one.name))


def place_of(told: Json) -> tuple[str, str]:
    """The group and the name of an operation's method.

    An act says its noun and deed (`meter.keep_power`: `meters.keep_power`); a list is called by
    its noun (`list_meters`: `meters.list`), anything else begins with its verb (`get_room`:
    `rooms.get`). A name of one word stands on the client itself.
    """
    if "x-act" in told:
        noun, _, deed = told["x-act"].rpartition(".")
        return plural(noun.replace(".", "_")), python_name(deed)
    deed, _, noun = told["operationId"].partition("_")
    if not noun:
        return "", python_name(deed)
    return noun if deed == "list" else plural(noun), python_name(deed)


def plural(noun: str) -> str:
    """The name of a group, from its noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def _operation(schemas: Schemas, path: str, method: str, told: Json) -> Operation:
    group, name = place_of(told)
    answers = [told["responses"][code] for code in SUCCESSES if code in told["responses"]]
    schema = answers[0].get("content", {}).get(JSON, {}).get("schema") if answers else None
    row = schemas.row_of_page(schema) if schema else None
    arguments = [
        one
        for one in _arguments(schemas, told)
        if one.name != _KEY and not (row and one.name == "cursor")
    ]
    names = [one.name for one in arguments]
    if len(set(names)) < len(names):
        raise ContractUnfit(f"{told['operationId']} has two arguments of one name: {names}")
    return Operation(
        group=group,
        name=name,
        method=method.upper(),
        path=path,
        about=told.get("description") or told.get("summary") or name,
        arguments=tuple(arguments),
        takes_body="requestBody" in told,
        takes_key=any(one["name"].lower() == KEY_HEADER for one in told.get("parameters", ())),
        answer=schemas.kind(row or schema) if schema else NOTHING,
        is_list=row is not None,
    )


def _arguments(schemas: Schemas, told: Json) -> Iterator[Argument]:
    parts = [
        (one["name"], one["in"], one["schema"], one.get("required", False), one)
        for one in told.get("parameters", ())
    ]
    if "requestBody" in told:
        body = schemas.of(told["requestBody"]["content"].get(JSON, {}).get("schema", {}))
        if "properties" not in body:
            raise ContractUnfit(f"{told['operationId']} takes a body that is no object of JSON")
        required = body.get("required", ())
        parts += [
            (name, "body", one, name in required, one) for name, one in body["properties"].items()
        ]
    for name, place, schema, is_required, about in parts:
        own, words = python_name(name.lower()), tuple(schema.get("enum", ()))
        alias = class_name("_".join((*place_of(told), own)))
        kind = alias if words else schemas.kind(schema).type
        says = about.get("description", "")
        yield Argument(own, name, place, kind, is_required, says, words)


def _client(manner: Manner, groups: Sequence[str], alone: Sequence[Operation]) -> str:
    lines = [
        f"class {manner.prefix}Operations({manner.prefix}Group):",
        *docstring("All groups of operations; a client is one."),
        "",
        f"{INDENT}def __init__(self, do: {manner.prefix}Do) -> None:",
        f"{INDENT * 2}super().__init__(do)",
        *(f"{INDENT * 2}self.{one} = {manner.prefix}{class_name(one)}(do)" for one in groups),
    ]
    return "\n\n".join(["\n".join(lines), *(_method(manner, one) for one in alone)])


def _method(manner: Manner, operation: Operation) -> str:
    in_order, by_name = operation.at("path"), operation.at("query", "header", "body")
    options = [one.declared for one in by_name]
    options += [f"{_KEY}: str | None = None"] if operation.takes_key else []
    signature = ["self", *(one.declared for one in in_order), *(["*", *options] * bool(options))]
    answer, define, do = operation.answer.type, manner.define, f"return {manner.wait}self._do("
    if operation.is_list:
        answer, define, do = f"{manner.prefix}Rows[{answer}]", "def", "return self._rows("
    told = [f"{one.name}: {one.about}" for one in (*in_order, *by_name) if one.about]
    told += [_KEY_SAYS] if operation.takes_key else []
    listed = ["", "Args:", *(INDENT + one for one in told)] if told else []
    return "\n".join(
        [
            INDENT + call(f"{define} {operation.name}(", signature, f") -> {answer}:", 1),
            *docstring("\n".join([operation.about, *listed]), 2),
            INDENT * 2 + call("call = Call(", _sent(operation), ")", 2),
            f"{INDENT * 2}{do}call, {operation.answer.reader})",
        ]
    )


def _sent(operation: Operation) -> list[str]:
    """The arguments of `Call`."""
    path = operation.path
    for one in operation.at("path"):
        text = one.name if one.type == "int" else f"quoted({one.name})"
        path = path.replace(f"{{{one.sent_as}}}", f"{{{text}}}")
    sent = [f'"{operation.method}"', f'f"{path}"' if "{" in path else f'"{path}"']
    optional = [one for one in operation.at("body") if not one.is_required]
    entries = {
        "query": operation.at("query"),
        "headers": operation.at("header"),
        "body": [one for one in operation.at("body") if one.is_required],
        "options": optional,
    }
    for name, arguments in entries.items():
        if arguments or (name == "body" and operation.takes_body):
            pairs = [f'"{one.sent_as}": {one.name}' for one in arguments]
            sent.append(f"{name}={call('{', pairs, '}', 3)}")
    return sent + (["keyed=True", f"key={_KEY}"] if operation.takes_key else [])
