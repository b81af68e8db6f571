"""The generator: a small contract gives exactly this Python; names, kinds and what is refused."""

import ast
from pathlib import Path

import pytest

import fresh_sdk  # noqa: F401  # the generated files, whole and new
import generate
from generator.operations import operations, operations_source, place_of, plural
from generator.schemas import ContractUnfit, Kind, Schemas
from generator.shapes import shapes_source
from meterhouse.web.app import contract_alone

GOLDEN = Path(__file__).parent / "golden"
ID = {"type": "integer", "minimum": 1}
IN_PATH = [{"name": "project_id", "in": "path", "required": True, "schema": ID,
            "description": "Id of the project."}]  # fmt: skip
KEY = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}


def answers(schema, code="200"):
    headers = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
    return {code: {"headers": headers, "content": {"application/json": {"schema": schema}}}}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def shape(says="", optional=(), **fields):
    required = [name for name in fields if name not in optional]
    return {"type": "object", "description": says, "required": required, "properties": fields}


CONTRACT = {
    "paths": {
        "/p/{project_id}/meters": {
            "get": {
                "operationId": "list_meters",
                "description": "Meters in service.",
                "parameters": [
                    *IN_PATH,
                    {"name": "online", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "sort", "in": "query", "schema": {
                        "type": "string", "enum": ["name", "-name"]}},
                    {"name": "cursor", "in": "query", "schema": {"type": "string"}},
                ],
                "responses": answers(ref("Page_Meter_")),
            }
        },
        "/p/{project_id}/meters/{serial}/keep-power": {
            "post": {
                "operationId": "meter_keep_power",
                "x-act": "meter.keep_power",
                "description": "Keep power on.",
                "parameters": [
                    *IN_PATH,
                    {"name": "serial", "in": "path", "required": True,
                     "schema": {"type": "string"}},
                    KEY,
                ],
                "requestBody": {"content": {"application/json": {"schema": ref("Why")}}},
                "responses": answers(ref("Meter"), "201"),
            }
        },
    },
    "components": {
        "schemas": {
            "Meter": shape(
                "A meter.",
                ("note",),
                total={"anyOf": [ref("Quantity"), {"type": "null"}], "description": "Its total."},
                state=ref("State"),
                read_at={"type": "string", "format": "date-time"},
                bands={"type": "array", "items": ref("Quantity")},
                note={"type": "string"},
            ),
            "Page_Meter_": shape(
                items={"type": "array", "items": ref("Meter")}, next_cursor={"type": "string"}
            ),
            "Problem": shape("Not a shape of ours.", code={"type": "string"}),
            "Quantity": shape("An amount.", amount={"type": "string", "format": "decimal"}),
            "State": {"type": "string", "enum": ["open", "warning_3"], "description": "Its state."},
            "Why": shape("Why.", ("until",), reason={"type": "string", "description": "Why."},
                         until={"type": "string", "format": "date"}),
        }
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "source"), [("shapes", shapes_source), ("operations", operations_source)]
)
def test_a_small_contract_gives_exactly_this(name, source):
    assert source(CONTRACT) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"operationId": "list_room_changes"}, ("room_changes", "list")),
        ({"operationId": "get_room"}, ("rooms", "get")),
        ({"operationId": "x", "x-act": "saved_filter.add"}, ("saved_filters", "add")),
        ({"operationId": "x", "x-act": "meter.import"}, ("meters", "import_")),
        ({"operationId": "search"}, ("", "search")),
    ],
)
def test_a_name_says_group_and_deed(told, place):
    assert place_of(told) == place


def test_groups_are_plurals():
    assert [plural(one) for one in ("meter", "key", "category", "address", "batch")] == [
        "meters", "keys", "categories", "addresses", "batches",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "format": "date"}, Kind("dt.date", "dt.date.fromisoformat({})")),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, Kind("int | None")),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, Kind("Any")),
        ({"anyOf": [{}, {"type": "null"}]}, Kind("Any")),
        ({"type": "object"}, Kind("Mapping[str, Any]")),
        (
            {"type": "object", "additionalProperties": {"type": "string", "format": "decimal"}},
            Kind(
                "Mapping[str, Decimal]", "dict((key, Decimal(one)) for key, one in {}.items())"
            ),
        ),
    ],
)  # fmt: skip
def test_a_schema_has_one_look(schema, kind):
    assert Schemas({}).kind(schema) == kind


def changed(**facts):
    told = CONTRACT["paths"]["/p/{project_id}/meters/{serial}/keep-power"]["post"]
    return {"paths": {"/other": {"post": {**told, **facts}}}, "components": CONTRACT["components"]}


def test_what_cannot_be_a_method_is_named():
    same = {"paths": {**CONTRACT["paths"], **changed()["paths"]}, **changed(x=1)["components"]}
    with pytest.raises(ContractUnfit, match="two operations are called"):
        operations({**same, "components": CONTRACT["components"]})
    with pytest.raises(ContractUnfit, match="two arguments of one name"):
        operations(changed(parameters=[{**IN_PATH[0], "name": "reason"}]))
    with pytest.raises(ContractUnfit, match="no object of JSON"):
        operations(changed(requestBody={"content": {"multipart/form-data": {}}}))


def test_the_files_are_what_the_contract_makes_and_stay_untouched(tmp_path):
    contract = contract_alone()
    generate.write(contract, tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(made) == {"operations.py", "shapes.py"}
    for name, text in made.items():
        assert text == (generate.PACKAGE / name).read_text(), f"{name} is older than the contract"
        ast.parse(text)
    before = [path.stat().st_mtime_ns for path in tmp_path.iterdir()]
    generate.write(contract, tmp_path)
    assert [path.stat().st_mtime_ns for path in tmp_path.iterdir()] == before
