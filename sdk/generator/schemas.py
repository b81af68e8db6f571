"""How the contract's schemas look in Python: their types, and how each is read from JSON.

Owns names and kinds. Must never know an operation. What has no one look is `Any`, so a contract
with something new in it still makes a client.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, Final, TypeAlias

Json: TypeAlias = Mapping[str, Any]
JSON: Final = "application/json"
_SCHEMAS: Final = "#/components/schemas/"


class ContractUnfit(Exception):
    """The contract says something that there is no Python for."""


@dataclass(frozen=True)
class Kind:
    """How a schema looks in Python.

    `type` is its annotation; `read` an expression that makes it from the JSON in place of `{}`.
    """

    type: str
    read: str = "{}"

    @property
    def reader(self) -> str:
        """`read` as a function."""
        if called := re.fullmatch(r"([\w.]+)\({}\)", self.read):
            return called[1]
        if each := re.fullmatch(r"tuple\(([\w.]+)\(one\) for one in {}\)", self.read):
            return f"each({each[1]})"
        return f"lambda told: {self.of('told')}"

    def of(self, told: str) -> str:
        """The expression that reads it from the JSON that `told` stands for."""
        return self.read.replace("{}", told)

    def or_none(self) -> "Kind":
        """The same, or None."""
        if self.type.endswith("None") or self == ANY:
            return self
        read = self.read if self.read == "{}" else f"None if {{}} is None else {self.read}"
        return Kind(f"{self.type} | None", read)


ANY: Final = Kind("Any")
NOTHING: Final = Kind("None", "nothing({})")
_SCALARS: Final = {
    "string": Kind("str"),
    "integer": Kind("int"),
    "boolean": Kind("bool"),
    "number": Kind("Decimal", "Decimal(str({}))"),
    "null": NOTHING,
}
_FORMATS: Final = {
    "decimal": Kind("Decimal", "Decimal({})"),
    "date-time": Kind("dt.datetime", "instant({})"),
    "date": Kind("dt.date", "dt.date.fromisoformat({})"),
}


def class_name(text: str) -> str:
    """`room_changes` and `Page_Meter_` as a class is called."""
    return "".join(part[0].upper() + part[1:] for part in re.split(r"\W|_", text) if part)


def python_name(text: str) -> str:
    """A name of the contract as Python may have it."""
    name = re.sub(r"\W", "_", text)
    return f"{name}_" if iskeyword(name) else name


class Schemas:
    """The contract's named schemas, and the kinds of all; their classes are in `module`, if any."""

    def __init__(self, contract: Json, module: str = "") -> None:
        self.named: Json = contract.get("components", {}).get("schemas", {})
        self._prefix = f"{module}." if module else ""

    def of(self, schema: Json) -> Json:
        """A schema itself, where it may be a reference to one."""
        found: Json = self.named[_last(schema["$ref"])] if "$ref" in schema else schema
        return found

    def kind(self, schema: Json) -> Kind:
        """How a schema looks in Python."""
        if "$ref" in schema:
            return self._named(_last(schema["$ref"]))
        if "anyOf" in schema:
            return self._either(schema["anyOf"])
        said = schema.get("type")
        if said == "array":
            item = self.kind(schema.get("items", {}))
            return Kind(f"tuple[{item.type}, ...]", f"tuple({item.of('one')} for one in {{}})")
        if said == "object":
            return self._mapping(schema.get("additionalProperties"))
        if said == "string" and schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        return _SCALARS.get(str(said), ANY)

    def row_of_page(self, schema: Json) -> Json | None:
        """The schema of a list's rows, where a schema is a page of a list."""
        fields = self.of(schema).get("properties", {})
        if "next_cursor" not in fields:
            return None
        row: Json = fields["items"]["items"]
        return row

    def behind(self, schema: Any) -> set[str]:
        """The names of all schemas that a piece of the contract refers to, at whatever depth."""
        found: set[str] = set()
        waiting = [schema]
        while waiting:
            for name in _references(waiting.pop()):
                if name not in found:
                    found.add(name)
                    waiting.append(self.named[name])
        return found

    def _named(self, name: str) -> Kind:
        schema, known = self.named[name], self._prefix + class_name(name)
        if "enum" in schema:
            return Kind(known, f"{known}({{}})")
        if "properties" in schema:
            return Kind(known, f"{known}.from_json({{}})")
        return self.kind(schema)

    def _either(self, schemas: Sequence[Json]) -> Kind:
        kinds = [self.kind(one) for one in schemas if one.get("type") != "null"]
        if len(kinds) != 1:
            return ANY
        return kinds[0] if len(kinds) == len(schemas) else kinds[0].or_none()

    def _mapping(self, schema: Any) -> Kind:
        entry = self.kind(schema) if isinstance(schema, Mapping) else ANY
        if entry.read == "{}":
            return Kind(f"Mapping[str, {entry.type}]")
        read = f"dict((key, {entry.of('one')}) for key, one in {{}}.items())"
        return Kind(f"Mapping[str, {entry.type}]", read)


def _references(piece: Any) -> Iterator[str]:
    if isinstance(piece, Mapping):
        if str(piece.get("$ref", "")).startswith(_SCHEMAS):
            yield _last(piece["$ref"])
        piece = list(piece.values())
    if isinstance(piece, list):
        for one in piece:
            yield from _references(one)


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
