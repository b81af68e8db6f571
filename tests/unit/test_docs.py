"""The pages that list what the program holds list all of it, and nothing else."""

import re
from dataclasses import fields

from meterhouse.config import PREFIX, Settings
from meterhouse.meter_models.schema import MeterModel
from meterhouse.rating.delta import Verdict
from meterhouse.store.proofs import QUESTIONS
from tidy import ROOT

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


def test_every_key_of_a_meter_model_is_explained():
    told = first_cells("guides/driver-author.md", "keys")
    assert sorted(told) == sorted(one.name for one in fields(MeterModel))
