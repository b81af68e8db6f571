"""`meterhouse bench`: which names there are, and how a figure is printed."""

import json

import pytest

from meterhouse.bench import decode
from meterhouse.cli.bench import ROOMS, BenchUnknown, measure
from meterhouse.config import Settings

FIGURE = {"name": "a", "value": 12_345, "unit": "frames/s", "reference": 10_000, "ratio": 1.23}


def test_an_unknown_name_is_told_the_names():
    with pytest.raises(BenchUnknown) as caught:
        measure(Settings(), ["decode", "speed"], as_json=False)
    assert "speed" in str(caught.value)
    assert all(name in str(caught.value) for name in ROOMS)


def test_json_is_one_object_a_figure_with_its_machine(monkeypatch, capsys):
    monkeypatch.setattr(decode, "figures", lambda: [FIGURE])
    measure(Settings(), ["decode"], as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert {key: told[key] for key in FIGURE} == FIGURE
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["cpu"]


def test_a_person_gets_a_line_with_the_reference(monkeypatch, capsys):
    monkeypatch.setattr(decode, "figures", lambda: [FIGURE])
    measure(Settings(), ["decode"], as_json=False)
    line = capsys.readouterr().out.splitlines()[-1]
    assert " ".join(line.split()) == "a 12,345 frames/s reference 10,000, ratio 1.23"
