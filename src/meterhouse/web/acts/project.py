"""Acts on groups and projects: what they are, when they rest, who is paid.

Owns how a project is described. Its rules about relays are `policy`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import onboard, project
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.project import YEAR_MAX, YEAR_MIN, Identity
from meterhouse.store.projects import Payee
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, Why
from meterhouse.web.acts.typed import Version
from meterhouse.web.api import setup as shapes
from meterhouse.words import N_

_TAG: Final = "projects"
_PROJECT: Final = "/projects/{project_id}"
_PAYEES: Final = f"{_PROJECT}/payees"
_CALENDAR: Final = f"{_PROJECT}/calendar"


async def _timezones(_: Doing) -> Choices:
    return [(name, name) for name in project.timezones()]


Timezone = Annotated[
    str, StringConstraints(min_length=1, max_length=60), Field(examples=["Asia/Shanghai"]),
    Ask(N_("Time zone"), hint=N_("Such as Asia/Shanghai; it decides days and bands"),
        kind="search", choices=_timezones),
]  # fmt: skip
Currency = Annotated[
    str, StringConstraints(pattern="^[A-Z]{3}$"),
    Field(examples=["CNY"]),
    Ask(N_("Currency"), hint=N_("Three letters, such as CNY; fixed once money has moved")),
]  # fmt: skip
Decimals = Annotated[int, Field(ge=0, le=4, examples=[2]), Ask(N_("Decimals of the currency"))]
IntervalMinutes = Annotated[
    int, Field(ge=1, le=1440, examples=[30]), Ask(N_("Reading interval"), unit=N_("minutes"))
]
Text = StringConstraints(max_length=60)
DayKind = Annotated[
    str, StringConstraints(pattern="^(holiday|workday|special)$"),
    Field(examples=["holiday"]),
    Ask(N_("Kind"), kind="choice", words=labels.DAY_KIND),
]  # fmt: skip


class NewGroup(Form):
    """A group of projects."""

    name: Annotated[Name, Ask(N_("Group name"))] = Field(examples=["Riverside Properties"])
    """Its name."""


class NewProject(Form):
    """A project to be opened."""

    name: Annotated[Name, Ask(N_("Project name"))] = Field(examples=["Riverside Plaza"])
    """Its name."""
    timezone: Timezone = "Asia/Shanghai"
    """IANA name of the zone that decides its days, months and bands."""
    currency: Currency = "CNY"
    """ISO 4217 code."""
    currency_exponent: Decimals = 2
    """Decimals of the currency."""
    interval_minutes: IntervalMinutes = 30
    """Minutes between rounds of reading."""
    template: Annotated[
        str, StringConstraints(pattern="^(residential|dormitory|shops)$"),
        Field(examples=["residential"]),
        Ask(N_("Rules for"), kind="choice", words=labels.TEMPLATE),
    ] = "residential"  # fmt: skip
    """The rules it starts with: residential, dormitory or shops."""


class ProjectChange(Form):
    """A project as it shall be from now on."""

    version: Version
    """The version it was read at."""
    name: Annotated[Name, Ask(N_("Project name"))]
    """Its name."""
    timezone: Timezone
    """IANA name of the zone that decides its days, months and bands."""
    currency: Currency
    """ISO 4217 code; fixed once money has moved."""
    currency_exponent: Decimals
    """Decimals of the currency; fixed once money has moved."""
    interval_minutes: IntervalMinutes
    """Minutes between rounds of reading."""


class PayeeFacts(Form):
    """Who receives money."""

    name: Annotated[Name, Ask(N_("Payee name"))] = Field(examples=["Riverside Energy Ltd"])
    """Who it is."""
    merchant: Annotated[str, Text, Ask(N_("Merchant account"))] = Field(
        default="", examples=["1900000109"]
    )
    """Merchant account at the payment provider."""
    tax_id: Annotated[str, Text, Ask(N_("Tax identity"))] = Field(
        default="", examples=["91310000000000000X"]
    )
    """Tax identity, for invoices."""
    series: Annotated[
        str, StringConstraints(max_length=12), Ask(N_("Document series"), hint=N_("Such as E-2026"))
    ] = Field(default="", examples=["E-2026"])
    """What the numbers of their documents begin with."""


class PayeeClass(Form):
    """Which charges' money is received."""

    charge_class: Annotated[
        str, StringConstraints(pattern="^(electricity|water|heat|cooling|fee)$"),
        Field(examples=["electricity"]),
        Ask(N_("For"), kind="choice", words=labels.CHARGE_CLASS),
    ]  # fmt: skip
    """electricity, water, heat, cooling or fee; one payee each."""


class NewPayee(PayeeFacts, PayeeClass):
    """Who receives the money of a charge class."""


class PayeeChange(PayeeFacts):
    """A payee as it shall be from now on; its charge class stays."""

    version: Version
    """The version it was read at."""


class NewDay(Form):
    """A day that is not like others."""

    day: Annotated[date, Ask(N_("Day"), hint=N_("YYYY-MM-DD"))] = Field(examples=["2026-10-01"])
    """The day."""
    kind: DayKind = "holiday"
    """holiday, workday (a make-up day) or special."""
    name: Annotated[str, Text, Ask(N_("Name of the day"))] = Field(
        default="", examples=["National Day"]
    )
    """What it is called."""


class OneDay(Form):
    """Which day."""

    day: Annotated[date, Ask(N_("Day"), hint=N_("YYYY-MM-DD"))] = Field(examples=["2026-10-01"])
    """The day that is an ordinary one again."""


class OneYear(Form):
    """Which year."""

    year: Annotated[int, Field(ge=YEAR_MIN, le=YEAR_MAX), Ask(N_("Year"))] = Field(examples=[2027])
    """The year."""


async def _open_group(doing: Doing, form: NewGroup) -> Done:
    """Open a group of projects."""
    made = await onboard.open_group(doing.db, form.name)
    return Done(f"group:{made}", {"id": made}, after={"name": form.name})


async def _edit_group(doing: Doing, form: NewGroup) -> Done:
    """Rename a group of projects."""
    group_id = doing.ids["group_id"]
    was = await project.rename_group(doing.db, group_id, form.name)
    return Done(f"group:{group_id}", None, {"name": was}, {"name": form.name})


async def _group_typed(doing: Doing) -> Mapping[str, Any]:
    return {"name": (await project.group(doing.db, doing.ids["group_id"]))["name"]}


async def _open(doing: Doing, form: NewProject) -> Done:
    """Open a project with its books, its house account and the rules of a template."""
    project.check_timezone(form.timezone)
    new = onboard.NewProject(
        form.name, doing.ids["group_id"], form.timezone, form.currency, form.currency_exponent,
        form.interval_minutes * 60, project.template(form.template),
    )  # fmt: skip
    made = await onboard.open_project(doing.db, new, doing.doer.at)
    after = form.model_dump(mode="json")
    return Done(f"project:{made}", {"id": made}, after=after, project_id=made)


def _identity(form: ProjectChange) -> Identity:
    return Identity(
        form.name, form.timezone, form.currency, form.currency_exponent, form.interval_minutes * 60
    )


async def _edit(doing: Doing, form: ProjectChange) -> Done:
    """Change a project's name, time zone, currency or reading interval."""
    new = _identity(form)
    was = await project.edit(doing.db, doing.project_id, form.version, new)
    after = {name: getattr(new, name) for name in Identity.__slots__}
    before = {name: was[name] for name in after}
    return Done(f"project:{doing.project_id}", {"id": doing.project_id}, before, after)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    row = (await project.look(doing.db, doing.project_id)).row
    names = ("version", "name", "timezone", "currency", "currency_exponent")
    return {name: row[name] for name in names} | {
        "interval_minutes": max(row["reading_interval_s"] // 60, 1)
    }


async def _freeze(doing: Doing, form: Why) -> Done:
    """Freeze a project: nothing is disconnected by itself until it is thawed."""
    return await _set_frozen(doing, True, form.reason)


async def _thaw(doing: Doing, form: Why) -> Done:
    """Thaw a project: its rules decide again."""
    return await _set_frozen(doing, False, form.reason)


async def _set_frozen(doing: Doing, frozen: bool, reason: str) -> Done:
    changed = await project.freeze(doing.db, doing.project_id, frozen)
    before = {"frozen": frozen is not changed}
    return Done(
        f"project:{doing.project_id}", before=before, after={"frozen": frozen}, reason=reason
    )


def _payee(form: PayeeFacts, charge_class: str = "") -> Payee:
    return Payee(charge_class, form.name, form.merchant, form.tax_id, form.series)


async def _add_payee(doing: Doing, form: NewPayee) -> Done:
    """Name who receives the money of a charge class."""
    made = await project.add_payee(doing.db, doing.project_id, _payee(form, form.charge_class))
    return Done(f"payee:{made}", {"id": made}, after=form.model_dump(mode="json"))


async def _edit_payee(doing: Doing, form: PayeeChange) -> Done:
    """Change who receives the money of a charge class."""
    payee_id = doing.ids["payee_id"]
    was = await project.edit_payee(doing.db, doing.project_id, payee_id, form.version, _payee(form))
    after = form.model_dump(mode="json", exclude={"version"})
    return Done(f"payee:{payee_id}", {"id": payee_id}, {name: was[name] for name in after}, after)


async def _payee_typed(doing: Doing) -> Mapping[str, Any]:
    row = await project.payee(doing.db, doing.project_id, doing.ids["payee_id"])
    return {name: row[name] for name in ("version", "name", "merchant", "tax_id", "series")}


async def _add_day(doing: Doing, form: NewDay) -> Done:
    """Enter a special day; one that is there is overwritten."""
    count = await project.put_days(doing.db, doing.project_id, [(form.day, form.kind, form.name)])
    after = form.model_dump(mode="json")
    return Done(f"project:{doing.project_id}", {"count": count}, after=after)


async def _fill_year(doing: Doing, form: OneYear) -> Done:
    """Enter the public holidays of a year that have a fixed date."""
    days = project.fixed_holidays(form.year, doing.words(N_("Public holiday")))
    count = await project.put_days(doing.db, doing.project_id, days)
    after = {"days": [day.isoformat() for day, _, _ in days]}
    return Done(f"project:{doing.project_id}", {"count": count}, after=after)


async def _remove_day(doing: Doing, form: OneDay) -> Done:
    """Make a special day an ordinary one again."""
    await project.remove_day(doing.db, doing.project_id, form.day)
    before = {"day": form.day.isoformat()}
    return Done(f"project:{doing.project_id}", before=before)


async def _this_year(doing: Doing) -> Mapping[str, Any]:
    _, fmt = doing.here
    return {"year": doing.doer.at.astimezone(fmt.timezone).year}


async def _about(doing: Doing) -> Choices:
    return ((N_("Project"), (await project.look(doing.db, doing.project_id)).row["name"]),)


def _settings(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/settings"


def _opened(_: Doing, answer: Any) -> str:
    return f"/projects/{answer['id']}/setup"


OPEN_GROUP: Final = Act(
    "group.open", Verb.GROUP_EDIT, "/platform/groups", N_("Open group"), NewGroup, shapes.Made,
    _open_group, tag=_TAG,
)  # fmt: skip
EDIT_GROUP: Final = Act(
    "group.edit", Verb.GROUP_EDIT, "/platform/groups/{group_id}/edit", N_("Rename group"), NewGroup,
    None, _edit_group, tag=_TAG, typed=_group_typed, then=lambda *_: "/platform/groups",
)  # fmt: skip
OPEN: Final = Act(
    "project.open", Verb.PROJECT_OPEN, "/groups/{group_id}/projects", N_("Open project"),
    NewProject, shapes.Made, _open, tag=_TAG, then=_opened,
)  # fmt: skip
EDIT: Final = Act(
    "project.edit", Verb.PROJECT_EDIT, _PROJECT, N_("Edit project"), ProjectChange, shapes.Made,
    _edit, method="PUT", tag=_TAG, typed=_typed, then=_settings,
)  # fmt: skip
FREEZE: Final = Act(
    "project.freeze", Verb.PROJECT_EDIT, f"{_PROJECT}/freeze", N_("Freeze project"), Why, None,
    _freeze, tag=_TAG, about=_about, danger=True, then=_settings,
    consequence=N_(
        "Nobody is disconnected by itself until you thaw the project; debts may grow meanwhile. "
        "People may still switch by hand."
    ),
)  # fmt: skip
THAW: Final = Act(
    "project.thaw", Verb.PROJECT_EDIT, f"{_PROJECT}/thaw", N_("Thaw project"), Why, None, _thaw,
    tag=_TAG, about=_about, danger=True, proof=True, then=_settings,
    consequence=N_("The rules decide again: who is below the floor is disconnected in time."),
)  # fmt: skip
ADD_PAYEE: Final = Act(
    "payee.add", Verb.PROJECT_EDIT, _PAYEES, N_("Add payee"), NewPayee, shapes.Made, _add_payee,
    tag=_TAG,
)  # fmt: skip
EDIT_PAYEE: Final = Act(
    "payee.edit", Verb.PROJECT_EDIT, f"{_PAYEES}/{{payee_id}}", N_("Edit payee"), PayeeChange,
    shapes.Made, _edit_payee, method="PUT", tag=_TAG, typed=_payee_typed,
)  # fmt: skip
ADD_DAY: Final = Act(
    "calendar.add", Verb.PROJECT_EDIT, _CALENDAR, N_("Add day"), NewDay, shapes.Counted, _add_day,
    tag=_TAG,
)  # fmt: skip
FILL_YEAR: Final = Act(
    "calendar.fill", Verb.PROJECT_EDIT, f"{_CALENDAR}/fill", N_("Add fixed holidays"), OneYear,
    shapes.Counted, _fill_year, tag=_TAG, typed=_this_year,
    consequence=N_(
        "1 January, 1 May and 1 to 3 October. Spring Festival, Qingming, Dragon Boat and "
        "Mid-Autumn follow the moon: enter them and the make-up workdays as announced."
    ),
)  # fmt: skip
REMOVE_DAY: Final = Act(
    "calendar.remove", Verb.PROJECT_EDIT, f"{_CALENDAR}/remove", N_("Remove day"), OneDay, None,
    _remove_day, tag=_TAG,
)  # fmt: skip

ACTS: Final = (
    OPEN_GROUP, EDIT_GROUP, OPEN, EDIT, FREEZE, THAW, ADD_PAYEE, EDIT_PAYEE, ADD_DAY, FILL_YEAR,
    REMOVE_DAY,
)  # fmt: skip
