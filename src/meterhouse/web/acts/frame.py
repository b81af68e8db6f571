"""An act is a declaration: verb, address, fields, consequence, flow; the frame does the rest.

Owns what an act is made of, and the two ways to it made from one declaration: an operation of the
API and a form of the console. Both check the same fields, run the same flow in one transaction
with its audit entry, and know a repeated request by its key. Must never know a particular act.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from meterhouse.flows.access import STEP_UP, Reach, Verb
from meterhouse.flows.act import Doer, Done
from meterhouse.store.db import Database
from meterhouse.web.formats import Formats
from meterhouse.web.services import Services
from meterhouse.words import N_, Words

REASON_CHARS_MIN: Final = 2
REASON_CHARS_MAX: Final = 200
# What is posted for these changes neither money nor meters; everything else takes a key.
_KEYLESS: Final = frozenset(
    {
        Verb.SESSION_OWN, Verb.PERSONAL_SHOW, Verb.PERSONAL_ERASE, Verb.STAFF_EDIT,
        Verb.CLIENT_EDIT, Verb.GROUP_EDIT, Verb.ROLE_EDIT,
    }
)  # fmt: skip
Choices: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Ask:
    """How the console asks for a field.

    Attributes:
        title: its label, a message id.
        hint: what to type, or an example; a message id.
        unit: written behind the field, as in `m²`; a message id.
        kind: `text`, `area` (several lines), `secret`, `choice`, `many`, `flag`, `file`, `ids` for
            rows chosen on the page before, or `hidden` for what the page itself knows; `search` is
            a text with choices to pick from.
        words: for a choice of fixed words: key → message id.
        choices: for a choice of rows: asks a flow for (key, text).
        half: whether it shares its line with its neighbour where there is room.
    """

    title: str
    hint: str = ""
    unit: str = ""
    kind: str = "text"
    words: Mapping[str, str] | None = None
    choices: "Callable[[Doing], Awaitable[Choices]] | None" = None
    half: bool = False

    async def offered(self, doing: "Doing") -> Choices:
        """What a choice offers, in the reader's language."""
        if self.choices is not None:
            return await self.choices(doing)
        return [(key, doing.words(word)) for key, word in (self.words or {}).items()]


def _each(given: Any) -> Sequence[Any]:
    return given if isinstance(given, list) else [given]


class Form(BaseModel):
    """What an act asks for. A field's docstring is its description in the API."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _as_declared(cls, given: Any, info: ValidationInfo) -> Any:
        """No text of the database can hold NUL, yes is no number, and no number is a yes."""
        if isinstance(given, str) and "\0" in given:
            raise PydanticCustomError("string_pattern_mismatch", "NUL cannot be stored")
        wanted = cls.model_fields[info.field_name or ""].annotation
        is_flag = any(one is True or one is False for one in _each(given))
        if wanted is bool and not is_flag:
            raise PydanticCustomError("bool_type", "a number is no flag")
        if wanted is not bool and is_flag:
            raise PydanticCustomError("int_type", "a flag is no number")
        return given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        for told in schema.get("properties", {}).values():
            for one in (told, *told.get("anyOf", ())):
                if one.get("type") == "string" and not one.keys() & {"enum", "const"}:
                    one.setdefault("pattern", r"^[^\x00]*$")
        return schema


class Made(Form):
    """A form that the program makes of another; each field brings its description."""

    # No source holds it, and to look for docstrings in vain takes a tenth of a second.
    model_config = ConfigDict(use_attribute_docstrings=False)


class NoFields(Form):
    """An act that asks nothing."""


Name = Annotated[str, StringConstraints(min_length=1, max_length=60), Field(examples=["Riverside"])]
ReasonText = Annotated[
    str,
    StringConstraints(min_length=REASON_CHARS_MIN, max_length=REASON_CHARS_MAX),
    Field(examples=["repair of the wiring"]),
    Ask(N_("Reason")),
]


class Why(Form):
    """Why something is done that somebody may ask about later."""

    reason: ReasonText
    """Why; kept in the audit, and with what it is done to."""


Input = TypeVar("Input", bound=Form)


@dataclass(frozen=True, slots=True)
class Doing:
    """An act under way: who does it, where, and with what.

    Attributes:
        db: inside `run` its transactions are parts of the act's own.
        doer: who acts, when, with which key.
        ids: the numbers in the address, by name.
        scope: the project of the address, None where it names none.
        granted: the verbs granted somewhere there; see `may`.
        fmt: how values look there to this reader; None without a project.
        words: the reader's language.
        services: the application's.
        origin: the console's address as the caller knows it, as in `https://meters.example`.
        afterwards: what `run` lets be done once all of it is kept, such as a letter to be sent;
            not again for a repeated request.
        once: what `run` lets be shown in this answer alone, such as a new key; it is neither kept
            with the answer nor audited.
        second_id: who has agreed, where so many at once need a second person.
        chosen: ids of the rows it is to be done to, where they are many.
        is_row: whether it is done as one row of a task.
    """

    db: Database
    doer: Doer
    ids: Mapping[str, int]
    scope: Reach | None
    granted: frozenset[str]
    fmt: Formats | None
    words: Words
    services: Services
    origin: str = ""
    once: dict[str, str] = field(default_factory=dict)
    afterwards: "list[Callable[[Doing], Awaitable[None]]]" = field(default_factory=list)
    second_id: int | None = None
    chosen: Sequence[int] = ()
    is_row: bool = False

    @property
    def doer_id(self) -> int:
        """Who acts; at the console and the API there is always somebody."""
        assert self.doer.actor_id is not None
        return self.doer.actor_id

    def may(self, verb: Verb) -> bool:
        """Whether a further verb is granted as well, wherever the act's own may be used."""
        if self.scope is None:
            return verb in self.granted
        return self.scope.covers(verb, self.scope.building_ids)

    def within(self, db: Database) -> "Doing":
        """The same, inside a transaction already begun."""
        return replace(self, db=db)

    @property
    def project_id(self) -> int:
        """The project of the address."""
        return self.ids["project_id"]

    @property
    def here(self) -> tuple[Reach, Formats]:
        """The project of the address and how its values look, for acts that always have one."""
        assert self.scope is not None
        assert self.fmt is not None
        return self.scope, self.fmt


@dataclass(frozen=True, slots=True)
class Act(Generic[Input]):
    """Something a person or a program does.

    Attributes:
        name: noun and deed, as in `alarm.close`; the audit's word for it.
        verb: what must be granted.
        address: below `/api/v1`, as in `/projects/{project_id}/buildings`.
        title: heading of the form and word on its button; a message id.
        form: the fields.
        answer: the shape of the API's answer, None for an empty one (204).
        run: the flow; its docstring's first line describes the API's operation.
        method: of the API's operation.
        consequence: what will happen to whom, said before it is done; a message id.
        danger: whether its button is red.
        proof: whether a person at the console proves anew who they are before it, though its verb
            does not ask for it; see `proves`.
        tag: under which the API's document lists it.
        about: facts of what it is done to, as (message id, text).
        typed: what the form holds at first, by field; for editing.
        told: what is said when it is done, as (message id, text); without it the page is loaded
            anew.
        then: the page to go to instead of staying.
        watch: whether `then` is a part that shows progress in the dialog.
        preview: what it would do, as (message id, text), shown while its fields are filled in.
        bulk: names the rows of these ids (of the address's last part), in this order; an act that
            has it can be done to many at once, and `bulk.bulk_of` makes the act that does.
        each: what is kept of each row when many are asked for, as further fields of the form.
        second: whether doing it to so many at once needs a second person.
        many: the fields where it is done to many, where they are fewer.
        look: the template of its form, where it is not the common one.
        facts: what that template needs beyond the fields.
    """

    name: str
    verb: Verb
    address: str
    title: str
    form: type[Input]
    answer: type[BaseModel] | None
    run: Callable[[Doing, Input], Awaitable[Done]]
    method: str = "POST"
    consequence: str = ""
    danger: bool = False
    proof: bool = False
    tag: str = ""
    about: Callable[[Doing], Awaitable[Choices]] | None = None
    typed: Callable[[Doing], Awaitable[Mapping[str, Any]]] | None = None
    told: Callable[[Doing, Any], Choices] | None = None
    then: Callable[[Doing, Any], str] | None = None
    watch: bool = False
    preview: Callable[[Doing, Any], Awaitable[Choices]] | None = None
    bulk: Callable[[Doing, Sequence[int]], Awaitable[Sequence[str]]] | None = None
    each: Callable[[Doing, Sequence[int]], Awaitable[Mapping[int, Mapping[str, Any]]]] | None = None
    second: Callable[[Doing, Sequence[int]], Awaitable[bool]] | None = None
    many: type[Form] | None = None
    look: str = "act.html"
    facts: Callable[[Doing], Awaitable[Mapping[str, Any]]] | None = None

    @property
    def slug(self) -> str:
        """The deed alone, as in `close`."""
        return self.name.rpartition(".")[2].replace("_", "-")

    @property
    def page(self) -> str:
        """The console's address of its form."""
        ends = self.address.rstrip("/").endswith("/" + self.slug)
        return self.address if ends else f"{self.address}/{self.slug}"

    @property
    def proves(self) -> bool:
        """Whether a person at the console proves anew who they are, unless they just did."""
        return self.proof or self.verb in STEP_UP

    @property
    def needs_key(self) -> bool:
        """Whether a program must send an idempotency key: it may change money or meters."""
        return self.method == "POST" and self.verb not in _KEYLESS

    @property
    def status(self) -> int:
        """The HTTP status of its answer."""
        if self.answer is None:
            return 204
        return 201 if self.method == "POST" else 200

    @property
    def asks(self) -> dict[str, tuple[FieldInfo, Ask]]:
        """Its fields with how they are asked for, in order."""
        found = {}
        for name, info in self.form.model_fields.items():
            ask = next((one for one in info.metadata if isinstance(one, Ask)), None)
            if ask is None:
                raise TypeError(f"{self.name}: field {name} does not say how it is asked for")
            found[name] = (info, ask)
        return found
