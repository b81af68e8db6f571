"""The module of what operations answer: words as enumerations, shapes as frozen dataclasses.

Owns how a shape is written and reads itself. Must never know an operation.
"""

from collections.abc import Sequence
from typing import Final

from generator.schemas import JSON, Json, Schemas, class_name, python_name
from generator.text import INDENT, Imports, docstring, module

SUCCESSES: Final = ("200", "201", "202")
_SAYS: Final = "What the API answers, as plain Python: amounts exact, instants aware."
_READS: Final = "From the API's JSON; what this version does not know is left out."
_IMPORTS: Final[Sequence[Imports]] = (
    (
        ("", ("datetime as dt",)),
        ("collections.abc", ("Mapping",)),
        ("dataclasses", ("dataclass",)),
        ("decimal", ("Decimal",)),
        ("typing", ("Any",)),
    ),
    (("meterhouse_sdk._values", ("Word", "instant")),),
)


def shapes_source(contract: Json) -> str:
    """The module of everything that operations answer, and that their fields are made of."""
    schemas = Schemas(contract)
    words, shapes = [], []
    for name in sorted(_shown(schemas, contract)):
        schema = schemas.named[name]
        if "enum" in schema:
            words.append(_words(name, schema))
        elif "properties" in schema and schemas.row_of_page(schema) is None:
            shapes.append(_shape(schemas, name, schema))
    return module(_SAYS, _IMPORTS, [*words, *shapes])


def _shown(schemas: Schemas, contract: Json) -> set[str]:
    """What operations answer when they succeed, and what their arguments are made of."""
    found: set[str] = set()
    for methods in contract["paths"].values():
        for told in methods.values():
            answers = [told["responses"].get(code, {}) for code in SUCCESSES]
            body = told.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
            found |= schemas.behind([answers, told.get("parameters", []), schemas.of(body)])
    return found


def _words(name: str, schema: Json) -> str:
    cls = class_name(name)
    return "\n".join(
        [
            f"class {cls}(Word):",
            *docstring(schema.get("description") or f"The words of {cls}."),
            "",
            *(f'{INDENT}{python_name(one).upper()} = "{one}"' for one in schema["enum"]),
        ]
    )


def _shape(schemas: Schemas, name: str, schema: Json) -> str:
    cls = class_name(name)
    fields, reads = [], []
    for field, one in schema["properties"].items():
        kind, told, default = schemas.kind(one), f'told["{field}"]', ""
        if field not in schema.get("required", ()):
            # Absent counts as null; where it is there, it is read by its name.
            there = kind.of(told)
            is_plain = there == told
            kind, default = kind.or_none(), " = None"
            told = f'told.get("{field}")'
            reads_it = told if is_plain else f"None if {told} is None else {there}"
        else:
            reads_it = kind.of(told)
        fields.append(f"{INDENT}{python_name(field)}: {kind.type}{default}")
        fields += docstring(one.get("description", ""))
        reads.append(f"{INDENT * 3}{python_name(field)}={reads_it},")
    return "\n".join(
        [
            "@dataclass(frozen=True, slots=True, kw_only=True)",
            f"class {cls}:",
            *docstring(schema.get("description") or f"{cls}."),
            "",
            *fields,
            "",
            f"{INDENT}@classmethod",
            f"{INDENT}def from_json(cls, told: Mapping[str, Any]) -> {cls}:",
            *docstring(_READS, 2),
            f"{INDENT * 2}return cls(",
            *reads,
            f"{INDENT * 2})",
        ]
    )
