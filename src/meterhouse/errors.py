"""Every error meterhouse can raise: one base, a stable code, an HTTP status, a message.

Owns the hierarchy and the rule that the class docstring's first line is the message. Must never
know who shows it: consoles translate by `code`, the API answers it as an RFC 9457 problem, and
`docs/errors.md` has a line for each (a test compares the two).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class Said(str):
    """A sentence within an error's message that is translated with it; in English, itself.

    Attributes:
        message: its message id.
        facts: what fills in its fields.
    """

    message: str
    facts: dict[str, Any]

    def __new__(cls, message: str, **facts: Any) -> "Said":
        """The sentence in English; it keeps what it was made of."""
        said = super().__new__(cls, message.format(**facts) if facts else message)
        said.message, said.facts = message, facts
        return said


class MeterhouseError(Exception):
    """Something went wrong that meterhouse has no better word for."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500

    # The field of a form that is wrong, where one is; set by who knows the form.
    field: str = ""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.message())

    def message(self) -> str:
        """The docstring's first line with the facts filled in."""
        first = (type(self).__doc__ or "").strip().splitlines()[0]
        try:
            return first.format(**self.facts)
        except (KeyError, IndexError):
            return first


class BadInput(MeterhouseError):
    """The input cannot be used."""

    code = "bad_input"
    http_status = 422


class OutOfRange(BadInput):
    """{what} is {value}; it must lie between {low} and {high}."""

    code = "out_of_range"

    def __init__(self, what: str, value: int, low: int, high: int) -> None:
        super().__init__(what=what, value=value, low=low, high=high)


class Unreadable(BadInput):
    """{what} {text!r} cannot be read; wanted {wanted}."""

    code = "unreadable"

    def __init__(self, what: str, text: str, wanted: str) -> None:
        super().__init__(what=what, text=text, wanted=wanted)


class NotFound(MeterhouseError):
    """{what} {key} does not exist, or is not yours to see."""

    code = "not_found"
    http_status = 404

    def __init__(self, what: str, key: object) -> None:
        super().__init__(what=what, key=key)


class Conflict(MeterhouseError):
    """{what}: {why}."""

    code = "conflict"
    http_status = 409

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what=what, why=why)


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with one of many rows; `row` counts from 0, `field` may be empty."""

    row: int
    field: str
    error: MeterhouseError


class RowsRefused(BadInput):
    """Some rows cannot be used; nothing was changed."""

    code = "rows_refused"

    def __init__(self, faults: Sequence[RowFault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


class SettingInvalid(MeterhouseError):
    """Setting {name} is {value!r}: {mend}."""

    code = "setting_invalid"

    def __init__(self, name: str, value: object, mend: str) -> None:
        super().__init__(name=name, value=value, mend=mend)
