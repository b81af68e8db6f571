"""How one data item is laid out in bytes: numbers, digits, times, words, rows, blocks.

Owns the layouts. Must never know which identifier has which (that is `table`), what an item means
to the house, nor scale it: an item is an exact integer of the unit and decimals its layout names.
Bytes that are FF throughout mean "not supported" and become None,
never 0; a nibble above 9 elsewhere is refused. Bytes behind an item are tolerated, because real
meters append some (captured frames 2007-051 and 052, 1997-007).
"""

# ruff: noqa: D102  (`Layout` says once for all layouts what their methods do)
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol, TypeAlias

from meterhouse.errors import BadInput, Unreadable
from meterhouse.units import from_decimal, to_decimal

Item: TypeAlias = "int | str | datetime | date | time | tuple[Item, ...] | None"
"""What a layout decodes to; None is "the meter does not have it"."""


class NotBcd(BadInput):
    """Bytes {raw} are not the BCD digits that {what} is made of."""

    code = "not_bcd"

    def __init__(self, what: str, raw: bytes) -> None:
        super().__init__(what=what, raw=raw.hex())


class DataTooShort(BadInput):
    """{what} needs {wanted} bytes, but only {size} are there."""

    code = "data_too_short"

    def __init__(self, what: str, wanted: int, size: int) -> None:
        super().__init__(what=what, wanted=wanted, size=size)


class ItemUnfit(BadInput):
    """{item!r} does not fit {what}."""

    code = "item_unfit"

    def __init__(self, item: object, what: str) -> None:
        super().__init__(item=item, what=what)


class Layout(Protocol):
    """The layout of one item."""

    @property
    def size(self) -> int:
        """Bytes of one item; the least number for a block."""

    @property
    def unit(self) -> str:
        """Unit of the integer's scaled decimal, or empty."""

    def decode(self, data: bytes) -> Item:
        """The item at the front of `data`; raises `BadInput` subclasses alone."""

    def encode(self, item: Item) -> bytes:
        """The bytes of an item; raises `ItemUnfit` when it does not fit."""

    def text(self, item: Item) -> str:
        """The item as people write it; empty for an absent one."""

    def parse(self, text: str) -> Item:
        """The item that people wrote."""


def _absent(raw: bytes) -> bool:
    return raw.count(0xFF) == len(raw)


def _front(data: bytes, size: int, what: str) -> bytes:
    if len(data) < size:
        raise DataTooShort(what, size, len(data))
    return data[:size]


@dataclass(frozen=True, slots=True)
class Number:
    """A BCD number, low byte first: an integer of 10^-`decimals` `unit`.

    A `signed` one carries its sign in the top bit of the most significant byte.
    """

    size: int
    decimals: int = 0
    unit: str = ""
    signed: bool = False

    def decode(self, data: bytes) -> int | None:
        raw = _front(data, self.size, "a number")
        digits = raw[::-1].hex()
        sign = 1
        if self.signed and digits[0] > "7" and not _absent(raw):
            sign = -1
            digits = f"{int(digits[0], 16) - 8}{digits[1:]}"
        if digits.isdecimal():
            return sign * int(digits)
        if _absent(raw):
            return None
        raise NotBcd("a number", raw)

    def encode(self, item: Item) -> bytes:
        if item is None:
            return b"\xff" * self.size
        limit = 10 ** (2 * self.size) if not self.signed else 8 * 10 ** (2 * self.size - 1)
        if not isinstance(item, int) or abs(item) >= limit or (item < 0 and not self.signed):
            raise ItemUnfit(item, f"{2 * self.size} BCD digits")
        raw = bytearray.fromhex(f"{abs(item):0{2 * self.size}d}")
        if item < 0:
            raw[0] |= 0x80
        return bytes(raw[::-1])

    def text(self, item: Item) -> str:
        return to_decimal(item, self.decimals) if isinstance(item, int) else ""

    def parse(self, text: str) -> int:
        return from_decimal(text, self.decimals)


@dataclass(frozen=True, slots=True)
class Binary:
    """An unsigned binary number, low byte first; FF throughout is a number too."""

    size: int
    decimals: int = 0
    unit: str = ""

    def decode(self, data: bytes) -> int:
        return int.from_bytes(_front(data, self.size, "a number"), "little")

    def encode(self, item: Item) -> bytes:
        if not isinstance(item, int) or not 0 <= item < 256**self.size:
            raise ItemUnfit(item, f"{self.size} bytes")
        return item.to_bytes(self.size, "little")

    def text(self, item: Item) -> str:
        return to_decimal(item, self.decimals) if isinstance(item, int) else ""

    def parse(self, text: str) -> int:
        return from_decimal(text, self.decimals)


@dataclass(frozen=True, slots=True)
class Word:
    """Bits, low byte first, written as hexadecimal; FF throughout is absent."""

    size: int
    unit: str = ""

    def decode(self, data: bytes) -> int | None:
        raw = _front(data, self.size, "a status word")
        return None if _absent(raw) else int.from_bytes(raw, "little")

    def encode(self, item: Item) -> bytes:
        if item is None:
            return b"\xff" * self.size
        if not isinstance(item, int) or not 0 <= item < 256**self.size:
            raise ItemUnfit(item, f"{8 * self.size} bits")
        return item.to_bytes(self.size, "little")

    def text(self, item: Item) -> str:
        return f"{item:0{2 * self.size}X}" if isinstance(item, int) else ""

    def parse(self, text: str) -> int:
        try:
            return int(text, 16)
        except ValueError:
            raise Unreadable("status word", text, "hexadecimal digits") from None


@dataclass(frozen=True, slots=True)
class Digits:
    """BCD digits, low pair first, whose leading zeros count: addresses, numbers of things."""

    size: int
    unit: str = ""

    def decode(self, data: bytes) -> str | None:
        raw = _front(data, self.size, "digits")
        digits = raw[::-1].hex()
        if digits.isdecimal():
            return digits
        if _absent(raw):
            return None
        raise NotBcd("digits", raw)

    def encode(self, item: Item) -> bytes:
        if item is None:
            return b"\xff" * self.size
        if not isinstance(item, str):
            raise ItemUnfit(item, f"{2 * self.size} digits")
        digits = item.zfill(2 * self.size)
        if len(digits) != 2 * self.size or not (digits.isascii() and digits.isdecimal()):
            raise ItemUnfit(item, f"{2 * self.size} digits")
        return bytes.fromhex(digits)[::-1]

    def text(self, item: Item) -> str:
        return item if isinstance(item, str) else ""

    def parse(self, text: str) -> str:
        return text.strip()


_PARTS = {"YY": "year", "MM": "month", "DD": "day", "hh": "hour", "mm": "minute", "ss": "second"}


@dataclass(frozen=True, slots=True)
class Stamp:
    """A date, a time or both, as `layout` says from the high byte down, e.g. `YYMMDDhhmm`.

    Decodes to a naive `datetime`, `date` or `time`: a meter knows no time zone. `WW` is the
    weekday, Sunday 0; it is written rightly and never trusted, because meters of the wild
    disagree about it. A date of zeros means "never" and is absent like FF.
    """

    layout: str
    unit: str = ""

    @property
    def size(self) -> int:
        return len(self.layout) // 2

    def _names(self) -> list[str]:
        return [self.layout[i : i + 2] for i in range(0, len(self.layout), 2)]

    def decode(self, data: bytes) -> datetime | date | time | None:
        raw = _front(data, self.size, "a time")
        digits = raw[::-1].hex()
        if _absent(raw):
            return None
        if not digits.isdecimal():
            raise NotBcd("a time", raw)
        said = {
            _PARTS[name]: int(digits[2 * i : 2 * i + 2])
            for i, name in enumerate(self._names())
            if name != "WW"
        }
        if "month" in said and said["month"] == 0 == said["day"]:
            return None
        clock = said.get("hour", 0), said.get("minute", 0), said.get("second", 0)
        try:
            if "year" not in said:
                return time(*clock)
            day = date(2000 + said["year"], said["month"], said["day"])
            return datetime.combine(day, time(*clock)) if "hour" in said else day
        except ValueError:
            raise Unreadable("time", digits, self.layout) from None

    def encode(self, item: Item) -> bytes:
        if item is None:
            return b"\xff" * self.size
        pairs = []
        for name in self._names():
            if name == "WW":
                part = item.isoweekday() % 7 if isinstance(item, date) else None
            else:
                part = getattr(item, _PARTS[name], None)
            if part is None:
                raise ItemUnfit(item, self.layout)
            pairs.append(part % 100)
        return bytes.fromhex("".join(f"{pair:02d}" for pair in reversed(pairs)))

    def text(self, item: Item) -> str:
        if isinstance(item, datetime):
            return item.isoformat(sep=" ")
        return item.isoformat() if isinstance(item, date | time) else ""

    def parse(self, text: str) -> datetime | date | time:
        kind = time if "YY" not in self.layout else datetime if "hh" in self.layout else date
        try:
            return kind.fromisoformat(text.strip())
        except ValueError:
            raise Unreadable("time", text, kind.__name__) from None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two-digit numbers as `layout` names them from the high byte down, e.g. `hhmmNN`.

    Decodes to a tuple of integers, written `06:00:01`. Entries of time tables are of this kind;
    they are not `Stamp`s, because 24:00 and day 0 occur in them.
    """

    layout: str
    unit: str = ""

    @property
    def size(self) -> int:
        return len(self.layout) // 2

    def decode(self, data: bytes) -> tuple[int, ...] | None:
        raw = _front(data, self.size, self.layout)
        digits = raw[::-1].hex()
        if digits.isdecimal():
            return tuple(int(digits[i : i + 2]) for i in range(0, len(digits), 2))
        if _absent(raw):
            return None
        raise NotBcd(self.layout, raw)

    def encode(self, item: Item) -> bytes:
        if item is None:
            return b"\xff" * self.size
        if not isinstance(item, tuple) or len(item) != self.size:
            raise ItemUnfit(item, self.layout)
        return b"".join(Number(1).encode(part) for part in reversed(item))

    def text(self, item: Item) -> str:
        if not isinstance(item, tuple):
            return ""
        return ":".join(f"{part:02d}" for part in item if isinstance(part, int))

    def parse(self, text: str) -> tuple[int, ...]:
        parts = text.strip().split(":")
        if len(parts) != self.size:
            raise Unreadable("table entry", text, self.layout)
        return tuple(from_decimal(part, 0) for part in parts)


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes nobody has described, in wire order and hexadecimal; `size` 0 takes all there are."""

    size: int = 0
    unit: str = ""

    def decode(self, data: bytes) -> str:
        return (_front(data, self.size, "a field") if self.size else data).hex()

    def encode(self, item: Item) -> bytes:
        try:
            raw = bytes.fromhex(item) if isinstance(item, str) else b""
        except ValueError:
            raise ItemUnfit(item, "hexadecimal bytes") from None
        if not isinstance(item, str) or (self.size and len(raw) != self.size):
            raise ItemUnfit(item, f"{self.size} bytes")
        return raw

    def text(self, item: Item) -> str:
        return item if isinstance(item, str) else ""

    def parse(self, text: str) -> str:
        return text.strip()


@dataclass(frozen=True, slots=True)
class Text:
    """Characters of ASCII, the last one first on the wire, filled up with zeros or blanks.

    Unsettled: the order; that an item goes out low byte first is the rule for numbers.
    """

    size: int
    unit: str = ""

    def decode(self, data: bytes) -> str | None:
        raw = _front(data, self.size, "a text")
        if _absent(raw):
            return None
        said = raw[::-1].strip(b"\0 ").decode("ascii", "replace")
        if not said.isprintable() or "\ufffd" in said:
            raise Unreadable("text", raw.hex(), "printable ASCII")
        return said

    def encode(self, item: Item) -> bytes:
        if item is None:
            return b"\xff" * self.size
        if not isinstance(item, str) or not item.isascii() or len(item) > self.size:
            raise ItemUnfit(item, f"{self.size} characters")
        return item.encode("ascii").ljust(self.size, b"\0")[::-1]

    def text(self, item: Item) -> str:
        return item if isinstance(item, str) else ""

    def parse(self, text: str) -> str:
        return text.strip()


@dataclass(frozen=True, slots=True)
class Row:
    """Several named items one behind the other; decodes to a tuple, written `a:b:c`."""

    fields: tuple[tuple[str, Layout], ...]
    unit: str = ""

    @property
    def size(self) -> int:
        return sum(layout.size for _, layout in self.fields)

    def decode(self, data: bytes) -> tuple[Item, ...]:
        items: list[Item] = []
        at = 0
        for _, layout in self.fields:
            items.append(layout.decode(data[at:]))
            at += layout.size
        return tuple(items)

    def encode(self, item: Item) -> bytes:
        if not isinstance(item, tuple) or len(item) != len(self.fields):
            raise ItemUnfit(item, f"{len(self.fields)} fields")
        parts = zip(self.fields, item, strict=True)
        return b"".join(layout.encode(part) for (_, layout), part in parts)

    def text(self, item: Item) -> str:
        if not isinstance(item, tuple):
            return ""
        parts = zip(self.fields, item, strict=True)
        return ":".join(layout.text(part) for (_, layout), part in parts)

    def parse(self, text: str) -> tuple[Item, ...]:
        parts = text.strip().split(":")
        if len(parts) != len(self.fields):
            names = ":".join(name for name, _ in self.fields)
            raise Unreadable("row", text, names)
        return tuple(
            layout.parse(part) for (_, layout), part in zip(self.fields, parts, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Many:
    """A block: as many items of one layout as there are bytes; bytes of less than one are left.

    `names` label the first items; further ones are numbered behind `more`, from 1 where no name
    stands before them.
    """

    of: Number | Word | Pairs | Row
    names: tuple[str, ...] = ()
    more: str = ""

    @property
    def size(self) -> int:
        return self.of.size

    @property
    def unit(self) -> str:
        return self.of.unit

    def name(self, index: int) -> str:
        """What the item at `index` is called."""
        if index < len(self.names):
            return self.names[index]
        return f"{self.more} {index if self.names else index + 1}"

    def decode(self, data: bytes) -> tuple[Item, ...]:
        size = self.of.size
        whole = len(data) - len(data) % size
        if not whole:
            raise DataTooShort("a block", size, len(data))
        if isinstance(self.of, Number) and not self.of.signed:
            # Every energy reply passes here: one reversal and one check for the whole block.
            digits = data[whole - 1 :: -1].hex()
            if digits.isdecimal():
                step = 2 * size
                return tuple(
                    [int(digits[i : i + step]) for i in range(len(digits) - step, -1, -step)]
                )
        return tuple([self.of.decode(data[i : i + size]) for i in range(0, whole, size)])

    def encode(self, item: Item) -> bytes:
        if not isinstance(item, tuple) or not item:
            raise ItemUnfit(item, "a block")
        return b"".join(self.of.encode(part) for part in item)

    def text(self, item: Item) -> str:
        return " ".join(self.of.text(part) for part in item) if isinstance(item, tuple) else ""

    def parse(self, text: str) -> tuple[Item, ...]:
        return tuple(self.of.parse(part) for part in text.split())
