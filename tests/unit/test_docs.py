"""The pages that list what the program holds list all of it, and nothing else."""

import ast
import re
import tomllib
from configparser import ConfigParser
from dataclasses import fields

import pytest

from meterhouse import metrics
from meterhouse.config import PREFIX, Settings
from meterhouse.flows.health import Readiness
from meterhouse.headend.collector import STOP_S
from meterhouse.logs import ALLOWED
from meterhouse.meter_models.schema import MeterModel
from meterhouse.rating.delta import Verdict
from meterhouse.store.db import Address, Database
from meterhouse.store.proofs import QUESTIONS
from meterhouse.store.server import STOP_TIMEOUT_S
from meterhouse.store.vitals import Standing
from meterhouse.vitals import Signs, figures
from tidy import PACKAGE, ROOT, log_calls, python_files

DOCS = ROOT / "docs"


def between(page: str, mark: str) -> str:
    found = re.search(
        f"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", (DOCS / page).read_text(), re.DOTALL
    )
    assert found is not None, f"{page} has no {mark}"
    return found[1]


def first_cells(page: str, mark: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", between(page, mark), re.MULTILINE)


def test_the_proofs_are_those_that_verify_prints():
    lines = between("reading.md", "proofs").splitlines()
    assert lines == [f"{number}. {says}" for number, says in enumerate(QUESTIONS, 1)]


def test_every_verdict_is_explained():
    assert first_cells("reading.md", "verdicts") == [verdict.name.lower() for verdict in Verdict]


def test_every_setting_is_explained_with_its_variable():
    told = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \|", between("guides/operator.md", "settings"), re.MULTILINE
    )
    assert told == [(one.name, PREFIX + one.name.upper()) for one in fields(Settings)]


def test_every_error_of_the_sdk_is_explained():
    told = first_cells("guides/sdk.md", "classes")
    tree = ast.parse((ROOT / "sdk" / "src" / "meterhouse_sdk" / "errors.py").read_text())
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert sorted(told) == sorted({*classes} - {"MeterhouseError", "FieldError"})


def test_every_event_that_warns_is_explained():
    first = re.findall(r"^\| (`[^|]+) \|", between("guides/operator.md", "events"), re.MULTILINE)
    told = re.findall(r"`(\w+)`", " ".join(first))
    said = {
        event.value
        for source in python_files(PACKAGE)
        for _, level, event in log_calls(source)
        if level != "info"
    }
    assert sorted(told) == sorted(said)


def test_every_metric_is_explained():
    signs = Signs(Readiness(Database(Address()), ""), loop_ages_s=lambda: {"day": 1.0})
    signs.headend = lambda: (0, 0)
    families = [*metrics.REGISTRY.collect(), *figures(signs, Standing({}, 0, 0, 0))]
    names = {
        family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for family in families
    }
    ours = {name for name in names if name.startswith("meterhouse_")}
    assert sorted(first_cells("guides/operator.md", "metrics")) == sorted(ours)


def test_every_field_of_the_log_is_named():
    page = (DOCS / "guides/operator.md").read_text()
    assert [name for name in sorted(ALLOWED) if f"`{name}`" not in page] == []


def test_every_key_of_a_meter_model_is_explained():
    told = first_cells("guides/driver-author.md", "keys")
    assert sorted(told) == sorted(one.name for one in fields(MeterModel))


@pytest.mark.parametrize("name", ["meterhouse.service", "meterhouse@.service"])
def test_a_unit_waits_until_the_program_has_ended_in_order(name):
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DOCS / "guides" / "deploy" / name)
    service = unit["Service"]
    longest_s = Settings().stop_timeout_s + STOP_S
    if "--only" not in service["ExecStart"]:
        longest_s += STOP_TIMEOUT_S
    assert int(service["TimeoutStopSec"]) > longest_s
    assert service["KillMode"] == "mixed"
    assert "MemoryDenyWriteExecute" not in service


def test_the_guides_settings_are_settings():
    page = (DOCS / "guides" / "deploy.md").read_text()
    (toml,) = re.findall(r"<<'TOML'\n(.*?)TOML", page, re.DOTALL)
    variables = re.findall(r"^METERHOUSE_(\w+)=", page, re.MULTILINE)
    names = {*tomllib.loads(toml), *(one.lower() for one in variables)}
    assert names <= {one.name for one in fields(Settings)}
    assert {"public_url", "secure_cookies"} <= names
