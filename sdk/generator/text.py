"""Lines of Python: what fits on one, what is broken, what is imported.

Owns the layout, which is that of the house's formatter. Must never know what the lines say.
"""

import re
import textwrap
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 100
INDENT: Final = " " * 4
# What may stand around a call: `options=` before it, a comma after it.
_AROUND: Final = len("options=,")

Imports = Sequence[tuple[str, Sequence[str]]]


def call(head: str, parts: Sequence[str], tail: str, depth: int = 0) -> str:
    """`head`, the parts and `tail` on one line where they fit, else a line each."""
    line = f"{head}{', '.join(parts)}{tail}"
    if "\n" not in line and depth * len(INDENT) + len(line) + _AROUND <= WIDTH:
        return line
    each = [f"{INDENT * (depth + 1)}{one}," for one in parts]
    return "\n".join([head, *each, f"{INDENT * depth}{tail}"])


def docstring(says: str, depth: int = 1) -> list[str]:
    """A docstring's lines; none for no text. An indented line is broken under itself."""
    pad = INDENT * depth
    clean = says.replace("\\", "\\\\").replace('"""', "'''").strip()
    lines: list[str] = []
    for number, line in enumerate(clean.splitlines()):
        first = pad + ('"""' if number == 0 else "")
        further = pad + (INDENT * 2 if line.startswith(INDENT) else "")
        lines += textwrap.wrap(
            line, WIDTH - 3, initial_indent=first, subsequent_indent=further,
            break_long_words=False, break_on_hyphens=False,
        ) or [""]  # fmt: skip
    if len(lines) == 1:
        return [f'{lines[0]}"""']
    return [*lines, f'{pad}"""'] if lines else []


def module(says: str, imports: Sequence[Imports], parts: Sequence[str]) -> str:
    """A whole module: of the imports, in blocks, what its parts use."""
    body = "\n\n\n".join(parts)
    used = set(re.findall(r"\w+", body))
    made = "Made from the contract of the API by `generate.py`; not kept, not edited."
    head = [f'"""{says}\n\n{made}\n"""', "", "from __future__ import annotations"]
    for block in imports:
        lines = [_import(name, [one for one in names if _known_as(one) in used])
                 for name, names in block]  # fmt: skip
        head += ["", *filter(None, lines)]
    return "\n".join(head) + "\n\n\n" + body + "\n"


def _import(name: str, wanted: Sequence[str]) -> str:
    if not wanted:
        return ""
    return f"from {name} import {', '.join(wanted)}" if name else f"import {wanted[0]}"


def _known_as(name: str) -> str:
    return name.rpartition(" ")[2]
