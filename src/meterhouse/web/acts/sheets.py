"""An import is a declaration: the fields of one row, and a flow that takes all rows at once.

Owns the way from a spreadsheet to checked rows, every fault named by row and column, and the two
ways in made from one declaration: the console's page (template, upload, preview, then all or
nothing) and an operation of the API that takes the same rows as JSON. Must never know a noun.

To add an import, write the row as a `Form` (each field with its `Ask`, exactly as for an act) and
a flow that takes all rows in one transaction, then name the sheet in `acts.SHEETS`:

    class MeterRow(Form):
        address: Annotated[str, StringConstraints(pattern=r"^\\d{12}$"), Ask(N_("Address"))]
        '''Twelve digits, as printed on the meter.'''

    async def _run(doing: Doing, rows: Sequence[MeterRow]) -> Done:
        '''Put meters into service.'''
        ids = await onboard.import_meters(doing.db, doing.project_id, …)
        return Done("meters", {"count": len(ids)}, after={"count": len(ids)})

    IMPORT = Sheet("meter.import", Verb.DEVICE_EDIT, "/projects/{project_id}/meters",
                   N_("Import meters"), MeterRow, _run, tag="devices")

What only the database knows (a doubled address, an unknown room) the flow finds for all rows and
raises at once as `errors.RowsRefused([RowFault(row, "address", Conflict(…)), …])`. The preview
runs the flow itself and takes it back, so it cannot promise what the import would refuse.
A column of fixed words (`Ask.words`, `Ask.choices`) takes the word in any language or its key.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import UnionType
from typing import Annotated, Any, Final, Generic, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError, create_model

from meterhouse.errors import BadInput, MeterhouseError, RowsRefused
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done, rehearse
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Made
from meterhouse.web.problems import field_text
from meterhouse.web.spreadsheets import (
    LINES_MAX,
    Line,
    TemplateColumn,
    write_csv_template,
    write_template,
)
from meterhouse.words import LANGUAGES, N_, words

IMPORT_KIND: Final = "import"
ROWS_AT_ONCE_MAX: Final = 500
"""More rows than these are taken over by a task."""

_PACKED_BYTES_MAX: Final = 20_000_000
_NEEDED_MARK: Final = "*"
# How spreadsheets write a day into a table of text.
_DAY: Final = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_YES: Final = ("true", "yes", "1", "x")
_NO: Final = ("false", "no", "0")

Row = TypeVar("Row", bound=Form)


class RowsPackedBadly(BadInput):
    """The rows checked before did not come back whole; upload the file again."""

    code = "rows_packed_badly"


class ImportAnswer(BaseModel):
    """What an import did."""

    count: int = Field(description="Rows taken over.", ge=0, le=LINES_MAX, examples=[120])


@dataclass(frozen=True)
class Sheet(Generic[Row]):
    """Something that people bring as a spreadsheet.

    Attributes:
        name: noun and deed, as in `meter.import`; the audit's word for it.
        verb: what must be granted.
        address: of the list that it fills, as in `/projects/{project_id}/meters`.
        title: heading of the page; a message id.
        row: the fields of one row.
        run: the flow for all rows, in one transaction; raises `RowsRefused` with every fault.
        hint: what to know before filling it in; a message id.
        tag: under which the API's document lists it.
        answer: the shape of the API's answer.
        told: what taking the rows over would come to, as (message id, text), said before.
        then: the page to go to afterwards; the flow then only queues a task, however many rows.
    """

    name: str
    verb: Verb
    address: str
    title: str
    row: type[Row]
    run: Callable[[Doing, Sequence[Row]], Awaitable[Done]]
    hint: str = ""
    tag: str = ""
    answer: type[BaseModel] = field(default=ImportAnswer)
    told: Callable[[Doing, Done], Choices] | None = None
    then: Callable[[Doing, Any], str] | None = None

    @cached_property
    def act(self) -> Act[Any]:
        """The act of taking all rows over."""
        rows = Annotated[
            list[self.row],  # type: ignore[name-defined]  # a class that only the sheet knows
            Field(
                min_length=1,
                max_length=LINES_MAX,
                description="The rows; all or none.",
                examples=[[self._example]],
            ),
            Ask(N_("Rows")),
        ]
        form = create_model(f"{self.row.__name__}s", __base__=Made, rows=(rows, ...))

        async def run(doing: Doing, typed: Any) -> Done:
            return await self.run(doing, typed.rows)

        run.__doc__ = self.run.__doc__
        return Act(
            self.name, self.verb, f"{self.address}/import", self.title, form, self.answer, run,
            tag=self.tag, then=self.page_after,
        )  # fmt: skip

    @property
    def _example(self) -> dict[str, Any]:
        """A row made of its fields' examples."""
        fields = self.row.model_fields.items()
        return {name: info.examples[0] for name, info in fields if info.examples}

    @cached_property
    def asks(self) -> dict[str, tuple[Any, Ask]]:
        """Its columns: each field with how it is asked for."""
        found = {}
        for name, info in self.row.model_fields.items():
            ask = next((one for one in info.metadata if isinstance(one, Ask)), None)
            if ask is None or ask.kind in ("many", "file", "secret"):
                raise TypeError(f"{self.name}: field {name} cannot be a column")
            found[name] = (info, ask)
        return found

    def page_after(self, doing: Doing, answer: Any) -> str:
        """Where the rows, or what comes of them, are seen."""
        return self.then(doing, answer) if self.then else self.list_page(doing)

    def list_page(self, doing: Doing) -> str:
        """The page of the list that it fills."""
        return self.address.format(**doing.ids)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, in the reader's language; number 0 is the file as a whole."""

    number: int
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Checked(Generic[Row]):
    """What came of reading a file: its rows, or its faults.

    Attributes:
        rows: those that can be read.
        lines: for each row its line.
        faults: all of them, in the order of the file.
        keys: for each column of the file the field it fills, "" for a column unknown.
        done: what taking the rows over would do, None where there are faults.
    """

    rows: Sequence[Row]
    lines: Sequence[Line]
    faults: Sequence[Fault]
    keys: Sequence[str]
    done: Done | None = None


async def check(sheet: Sheet[Row], doing: Doing, lines: Sequence[Line]) -> Checked[Row]:
    """Read lines as rows, then see what taking them over would do, and take it back."""
    head, *body = lines
    keys, faults = _columns(sheet, doing, head)
    known = await _known_words(sheet, doing)
    rows: list[Row] = []
    good: list[Line] = []
    for line in [] if faults else body:
        try:
            rows.append(sheet.row.model_validate(_typed(sheet, keys, line, known)))
            good.append(line)
        except ValidationError as error:
            faults += [_fault(sheet, doing, line, item) for item in error.errors()]
    if not faults and not rows:
        faults.append(Fault(0, "", doing.words(N_("There are no rows below the headings."))))
    if faults:
        return Checked(rows, good, faults, keys)
    try:
        done = await rehearsal(sheet, doing, rows)
    except RowsRefused as refused:
        found = sorted(refused.faults, key=lambda one: one.row)
        faults = [
            Fault(good[one.row].number, _title(sheet, doing, one.field),
                  doing.words.error(one.error))
            for one in found
        ]  # fmt: skip
        return Checked(rows, good, faults, keys)
    except MeterhouseError as error:
        if error.http_status >= 500:
            raise
        return Checked(rows, good, [Fault(0, "", doing.words.error(error))], keys)
    return Checked(rows, good, (), keys, done)


async def rehearsal(sheet: Sheet[Row], doing: Doing, rows: Sequence[Row]) -> Done:
    """What taking the rows over would do. Raises what the flow raises."""

    async def work(db: Any) -> Done:
        return await sheet.run(doing.within(db), rows)

    return await rehearse(doing.db, [doing.scope.project_id] if doing.scope else [], work)


async def csv_template(sheet: Sheet[Any], doing: Doing) -> bytes:
    """The table to fill in, in the reader's language."""
    return write_csv_template(await _template_columns(sheet, doing))


async def template(sheet: Sheet[Any], doing: Doing) -> bytes:
    """The workbook to fill in, in the reader's language."""
    columns = await _template_columns(sheet, doing)
    spoken = {
        "rows": N_("Rows"), "about": N_("About the columns"), "column": N_("Column"),
        "needed": N_("Needed"), "hint": N_("Hint"), "example": N_("Example"), "yes": N_("Yes"),
    }  # fmt: skip
    return write_template(columns, {key: doing.words(word) for key, word in spoken.items()})


async def _template_columns(sheet: Sheet[Any], doing: Doing) -> list[TemplateColumn]:
    columns = []
    for name, (info, ask) in sheet.asks.items():
        offered = await ask.offered(doing)
        about = " ".join(filter(None, (doing.words(ask.hint), doing.words(ask.unit))))
        examples = info.examples or ("",)
        columns.append(
            TemplateColumn(
                _title(sheet, doing, name), info.is_required(), about, str(examples[0]),
                [text for _, text in offered],
            )
        )  # fmt: skip
    return columns


def pack(rows: Sequence[Form]) -> str:
    """Checked rows as text for a form's hidden field; nothing is kept on the server meanwhile."""
    said = json.dumps([row.model_dump(mode="json") for row in rows], ensure_ascii=False)
    return base64.b64encode(zlib.compress(said.encode(), 6)).decode()


def unpack(packed: str) -> list[Any]:
    """The rows of such a field; they are checked again like any input.

    Raises:
        RowsPackedBadly: it is something else, or would grow beyond all measure.
    """
    try:
        inflater = zlib.decompressobj()
        said = inflater.decompress(base64.b64decode(packed, validate=True), _PACKED_BYTES_MAX)
        if not inflater.eof:
            raise RowsPackedBadly
        rows = json.loads(said)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise RowsPackedBadly from error
    if not isinstance(rows, list):
        raise RowsPackedBadly
    return rows


def _columns(sheet: Sheet[Any], doing: Doing, head: Line) -> tuple[list[str], list[Fault]]:
    """Which field each column of the file fills; headings in any language, or the field's name."""
    by_title: dict[str, str] = {}
    for name, (_, ask) in sheet.asks.items():
        by_title[_folded(name)] = name
        for language in LANGUAGES:
            by_title[_folded(words(language)(ask.title))] = name
    keys, faults = [], []
    for title in head.cells:
        key = by_title.get(_folded(title.removesuffix(_NEEDED_MARK)), "")
        if title and not key:
            told = doing.words(N_("The column {title} is not known here."), title=title[:40])
            faults.append(Fault(head.number, title[:40], told))
        elif key and key in keys:
            told = doing.words(N_("This column stands twice."))
            faults.append(Fault(head.number, title[:40], told))
        keys.append(key)
    for name, (info, _) in sheet.asks.items():
        if info.is_required() and name not in keys:
            told = doing.words(N_("This column is missing."))
            faults.append(Fault(head.number, _title(sheet, doing, name), told))
    return keys, faults


def _typed(
    sheet: Sheet[Any], keys: Sequence[str], line: Line, known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for key, cell in zip(keys, line.cells, strict=False):
        if not key:
            continue
        # An empty cell is not typed: where it is needed, the check says that it is missing.
        if cell:
            info, _ = sheet.asks[key]
            text = _DAY.sub(_iso_day, cell) if _is_date(info.annotation) else cell
            typed[key] = known.get(key, {}).get(_folded(cell), text)
    return typed


async def _known_words(sheet: Sheet[Any], doing: Doing) -> dict[str, dict[str, Any]]:
    """For each column of fixed words what may be written, folded, and the key it stands for."""
    known: dict[str, dict[str, Any]] = {}
    for name, (_, ask) in sheet.asks.items():
        if ask.kind == "flag":
            spoken = {language: words(language) for language in LANGUAGES}
            yes = {*_YES, *(_folded(one(N_("Yes"))) for one in spoken.values())}
            no = {*_NO, *(_folded(one(N_("No"))) for one in spoken.values())}
            known[name] = dict.fromkeys(yes, True) | dict.fromkeys(no, False)
        elif ask.kind == "choice":
            offered = await ask.offered(doing)
            known[name] = {_folded(key): key for key, _ in offered}
            for key, word in (ask.words or {}).items():
                known[name] |= {_folded(words(language)(word)): key for language in LANGUAGES}
            known[name] |= {_folded(text): key for key, text in offered}
    return known


def _fault(sheet: Sheet[Any], doing: Doing, line: Line, item: Mapping[str, Any]) -> Fault:
    name = str(item["loc"][0]) if item["loc"] else ""
    return Fault(line.number, _title(sheet, doing, name), field_text(doing.words, item))


def _title(sheet: Sheet[Any], doing: Doing, name: str) -> str:
    asks = sheet.asks
    return doing.words(asks[name][1].title) if name in asks else ""


def _iso_day(day: re.Match[str]) -> str:
    return f"{day[1]}-{int(day[2]):02d}-{int(day[3]):02d}"


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()


def _is_date(annotation: Any) -> bool:
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return any(getattr(kind, "__name__", "") in ("date", "datetime") for kind in kinds)
