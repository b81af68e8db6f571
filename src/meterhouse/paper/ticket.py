"""Receipts for ticket printers: ESC/POS bytes, 32 or 48 columns wide.

Owns the bytes, and how lines are laid out in columns. Must never know a receipt's meaning or a
device: the bytes are a file that a print service sends on. Commands are named as in Epson's ESC/POS
command reference, Chinese characters as its Kanji commands (FS) on models for China, whose
character set is GB 18030; what takes four bytes there is printed by few models, so it becomes `?`.
"""

from collections.abc import Iterator
from typing import Final

from meterhouse.paper.sheet import TICKET_COLUMNS, Paper, Row, Sheet

_INIT: Final = b"\x1b@"  # ESC @: forget what the last job left behind
_CHINESE: Final = b"\x1c&"  # FS &: two bytes are one Chinese character
_LEFT: Final = b"\x1ba\x00"  # ESC a 0
_CENTRE: Final = b"\x1ba\x01"  # ESC a 1
_BOLD: Final = b"\x1bE\x01"  # ESC E 1
_THIN: Final = b"\x1bE\x00"  # ESC E 0
_LARGE: Final = b"\x1d!\x11"  # GS ! 11H: twice as wide and twice as high
_TALL: Final = b"\x1d!\x01"  # GS ! 01H: twice as high
_SMALL: Final = b"\x1d!\x00"  # GS ! 00H
_FEED_AND_CUT: Final = b"\x1dV\x42\x03"  # GS V 66 3: feed to the cutter and 3 units on, cut
_LINE_END: Final = b"\n"

_QR_MODEL: Final = b"\x1d(k\x04\x001A2\x00"  # GS ( k, function 165: model 2
_QR_SIZE: Final = b"\x1d(k\x03\x001C\x06"  # function 167: modules of 6 dots
_QR_LEVEL: Final = b"\x1d(k\x03\x001E1"  # function 169: error correction M
_QR_PRINT: Final = b"\x1d(k\x03\x001Q0"  # function 181
_QR_BYTES_MAX: Final = 200

# The yen, the minus sign and the firm blank have twins that every model for China prints; that of
# the yen is the full-width one.
_TWINS: Final = str.maketrans({"¥": chr(0xFFE5), "−": "-", "\u00a0": " "})
_GB_BYTES_MAX: Final = 2


def ticket(sheet: Sheet, paper: Paper) -> bytes:
    """The bytes of a receipt on one of `TICKET_COLUMNS`, from waking the printer to its cutter."""
    columns = TICKET_COLUMNS[paper]
    rule = _text("-" * columns)
    parts = [_INIT, _CHINESE, _CENTRE]
    if sheet.payee:
        parts += [_text(line) for line in _wrapped(sheet.payee, columns)]
    parts += [_BOLD, _LARGE]
    parts += [_text(line) for line in _wrapped(sheet.title, columns // 2)]
    parts += [_TALL]
    for words in (sheet.mark, sheet.void):
        parts += [_text(line) for line in _wrapped(words, columns)]
    parts += [_SMALL]
    parts += [_THIN, _LEFT, rule, *_rows((sheet.number, *sheet.rows), columns), rule]
    parts += [_BOLD, *_rows((sheet.total, sheet.capitals), columns), _THIN, rule]
    parts += [*_rows(sheet.signs, columns), _CENTRE]
    parts += [_text(line) for line in _wrapped(sheet.footer, columns)]
    return b"".join([*parts, *_code(sheet.number.text), _LEFT, _FEED_AND_CUT])


def encoded(text: str) -> bytes:
    """A text in the printer's character set, without what could steer it."""
    return b"".join(_cell(char) for char in text.translate(_TWINS))


def _cell(char: str) -> bytes:
    if not char.isprintable():
        return b""
    # A lone surrogate has no bytes at all; `?` is what the encoder puts in its place.
    found = char.encode("gb18030", "replace")
    return found if len(found) <= _GB_BYTES_MAX else b"?"


def _text(line: str) -> bytes:
    return encoded(line) + _LINE_END


def _rows(rows: tuple[Row, ...], columns: int) -> Iterator[bytes]:
    """Label to the left, text to the right; a text that does not fit begins a line of its own."""
    for row in rows:
        if not row.text:
            continue
        gap = columns - len(encoded(row.label)) - len(encoded(row.text))
        if gap >= 1:
            yield _text(row.label + " " * gap + row.text)
            continue
        yield _text(row.label)
        for line in _wrapped(row.text, columns):
            yield _text(" " * (columns - len(encoded(line))) + line)


def _wrapped(text: str, columns: int) -> list[str]:
    """Lines no wider than the paper; broken at a blank where one is near, else anywhere."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line, width, blank = "", 0, 0
        for char in paragraph:
            size = len(encoded(char))
            if width + size > columns:
                # Words that are longer than half a line are broken like Chinese ones.
                cut = blank if blank > columns // 2 else len(line)
                lines.append(line[:cut].rstrip())
                line = line[cut:].lstrip()
                width, blank = len(encoded(line)), 0
            line += char
            width += size
            blank = len(line) if char == " " else blank
        lines.append(line)
    return [line for line in lines if line]


def _code(text: str) -> Iterator[bytes]:
    """The receipt's number as a QR code."""
    stored = encoded(text)[:_QR_BYTES_MAX]
    if not stored:
        return
    yield from (_QR_MODEL, _QR_SIZE, _QR_LEVEL)
    # Function 180: pL pH count cn, fn, m and the data.
    yield b"\x1d(k" + (len(stored) + 3).to_bytes(2, "little") + b"1P0" + stored
    yield _QR_PRINT
