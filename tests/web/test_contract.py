"""The OpenAPI document says everything: described, bounded, shown by an example."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from meterhouse.web.api.contract import contract
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.problems import FIELD_CODES
from small_site import NOW
from tidy import ROOT


@pytest.fixture(scope="module")
def document():
    return contract(create_app(Services(None, lambda: NOW, WebSettings(secure_cookies=False))))


def operations(document) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def values(schema) -> list[dict[str, Any]]:
    """The schemas a value may have, null left out."""
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def lacks(schema) -> Iterator[str]:
    """What a schema leaves open."""
    for one in values(schema):
        kind = one.get("type")
        bounds = {
            "integer": {"maximum", "exclusiveMaximum"},
            "number": {"maximum", "exclusiveMaximum"},
            "string": {"pattern", "enum", "maxLength", "format", "const"},
            "array": {"maxItems"},
        }.get(kind, set())
        if bounds and not bounds & one.keys() and "enum" not in one:
            yield f"a {kind} without one of {sorted(bounds)}"
        if kind == "integer" and "enum" not in one and "minimum" not in one:
            yield "an integer without a minimum"
        if kind == "array":
            yield from lacks(one["items"])


def fields(document) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, shape in document["components"]["schemas"].items():
        for field, schema in shape.get("properties", {}).items():
            yield f"{name}.{field}", schema
    for where, operation in operations(document):
        for one in operation.get("parameters", ()):
            yield f"{where} {one['name']}", {"description": one.get("description"), **one["schema"]}


def is_reference(schema) -> bool:
    return any("$ref" in one or "$ref" in one.get("items", {}) for one in values(schema))


def test_the_document_is_3_1_and_names_its_key(document):
    assert document["openapi"].startswith("3.1")
    (scheme,) = document["components"]["securitySchemes"].values()
    assert scheme["scheme"] == "bearer"
    assert scheme["description"]
    assert all(path.startswith("/api/v1/") for path in document["paths"])


def test_every_operation_says_what_it_does(document):
    for where, operation in operations(document):
        for word in ("summary", "description", "tags", "security", "operationId"):
            assert operation.get(word), (where, word)
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), where
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (where, parameter["name"])


def test_every_problem_is_a_problem_with_an_example(document):
    for where, operation in operations(document):
        statuses = operation["responses"].keys()
        assert {"401", "422", "429", "503"} <= statuses, where
        assert "404" in statuses or "{" not in where, where
        for status, answer in operation["responses"].items():
            assert answer["description"], (where, status)
            assert "X-Request-ID" in answer["headers"], (where, status)
            if status >= "400":
                (media, content), *more = answer["content"].items()
                assert (media, more) == ("application/problem+json", []), (where, status)
                assert content["example"]["status"] == int(status), where
                assert set(content["example"]) <= set(
                    document["components"]["schemas"]["Problem"]["properties"]
                )


def test_every_field_is_described_and_shown(document):
    found = []
    for where, schema in fields(document):
        if not schema.get("description") and "$ref" not in schema:
            found.append(f"{where}: no description")
        # A word of few stands for itself, a shape is shown by its own fields.
        shown = any({"enum", "const", "examples"} & one.keys() for one in [schema, *values(schema)])
        if not is_reference(schema) and not shown:
            found.append(f"{where}: no example")
    assert found == []


def test_every_field_has_bounds(document):
    assert [
        f"{where}: {lack}" for where, schema in fields(document) for lack in lacks(schema)
    ] == []


def test_ids_fit_the_database(document):
    found = [
        (where, one.get("minimum"), one.get("maximum"))
        for where, schema in fields(document)
        for one in values(schema)
        if re.search(r"(^|[._ ])(id|\w+_id)$", where) and one.get("type") == "integer"
    ]
    assert len(found) > 20
    assert {one[1:] for one in found} == {(1, 2**63 - 1)}


def test_money_and_energy_are_decimal_strings_with_their_unit(document):
    shapes = document["components"]["schemas"]
    assert shapes["Money"]["properties"].keys() == {"amount", "currency"}
    assert shapes["Quantity"]["properties"].keys() == {"amount", "unit"}
    for name in ("Money", "Quantity"):
        amount = shapes[name]["properties"]["amount"]
        assert amount["type"] == "string"
        assert all(re.fullmatch(amount["pattern"].strip("^$"), one) for one in amount["examples"])
    assert not [where for where, schema in fields(document) if schema.get("type") == "number"]


def test_every_list_pages_by_cursor_and_names_its_sorts(document):
    lists = [one for _, one in operations(document)
             if any(p["name"] == "cursor" for p in one.get("parameters", ()))]  # fmt: skip
    assert len(lists) >= 6
    for one in lists:
        taken = {parameter["name"]: parameter for parameter in one["parameters"]}
        assert {"limit", "cursor", "count", "sort"} <= taken.keys()
        sorts = taken["sort"]["schema"]
        assert sorts["default"] in sorts.get("enum", (sorts.get("const"),))


def test_a_parameter_left_out_is_not_null_and_a_version_is_wanted(document):
    for where, operation in operations(document):
        for one in operation.get("parameters", ()):
            assert "null" not in str(one["schema"]), (where, one["name"])
            if one["name"] == "if-match":
                assert one["required"], where
                assert re.fullmatch(one["schema"]["pattern"], one["schema"]["examples"][0]), where


def test_the_page_of_errors_names_every_word_for_a_field():
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    told = page.partition("<!-- field codes -->")[2].partition("<!-- /field codes -->")[0]
    words = re.findall(r"^\| ([a-z_]+) \|", told, re.MULTILINE)[1:]
    assert sorted(words) == sorted({*FIELD_CODES.values(), "unusable"})
