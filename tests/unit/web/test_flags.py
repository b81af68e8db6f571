"""A yes is `true` and a no is `false`: no number and no word stands for either, in any act."""

from typing import get_args

import pytest
from pydantic import ValidationError

from meterhouse.web.acts import ACTS, SHEETS
from meterhouse.web.acts.frame import Form, NoFields


def within(form):
    """A form and those that its fields hold."""
    held = {one for info in form.model_fields.values() for one in parts(info.annotation)}
    return {form}.union(*(within(one) for one in held))


def parts(annotation):
    """The forms that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return {annotation}
    return set().union(*(parts(one) for one in get_args(annotation)))


ASKED = {act.form for act in ACTS if act.form is not NoFields} | {one.row for one in SHEETS}
FORMS = set().union(*(within(form) for form in ASKED))
FLAGS = sorted(
    ((form, name) for form in FORMS for name, info in form.model_fields.items()
     if "bool" in str(info.annotation)),
    key=lambda one: (one[0].__name__, one[1]),
)  # fmt: skip


class Asking(Form):
    """A form with a flag and a number."""

    is_safe: bool = False
    """Whether it is safe."""
    count: int = 1
    """How many."""


def said_of(form, name, given):
    try:
        form.model_validate({name: given})
    except ValidationError as error:
        return {item["loc"][0]: item["type"] for item in error.errors()}.get(name)
    return None


def test_acts_have_flags():
    assert len(FLAGS) > 5


@pytest.mark.parametrize(("form", "name"), [*FLAGS, (Asking, "is_safe")])
def test_a_flag_is_true_or_false_and_nothing_else(form, name):
    assert form.model_fields[name].annotation is bool
    for given in (0, 1, 0.0, 1.0, "true", "on", "", None, [True]):
        assert said_of(form, name, given) == "bool_type", given
    assert said_of(form, name, True) is None
    assert said_of(form, name, False) is None


@pytest.mark.parametrize("given", [True, False, [True]])
def test_a_number_is_no_flag(given):
    assert said_of(Asking, "count", given) == "int_type"


def test_no_flag_hides_deeper():
    told = {}
    for form in ASKED:
        schema = form.model_json_schema()
        told |= {schema["title"]: schema, **schema.get("$defs", {})}
    deep = sum(str(one.get("properties", {})).count("'boolean'") for one in told.values())
    assert deep == len(FLAGS)
