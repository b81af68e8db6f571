"""`meterhouse rate`: two files in, bills out; every interval on demand."""

import json
import sys

import pytest

from meterhouse.cli import spoken
from meterhouse.cli.rate import LoadFileMissing, SchemeNoJson, rate_files
from meterhouse.errors import MeterhouseError
from meterhouse.rating.bill import Household

SCHEME = {
    "name": "Flats", "commodity": "electricity", "currency": "CNY",
    "versions": [{
        "effective_from": "2026-01-01T00:00:00+08:00",
        "bands": ["peak", "valley"],
        "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
        "prices_micro": {"peak": 600_000, "valley": 300_000},
        "standing": {"per": "period", "amount_micro": 3_100_000},
    }],
}  # fmt: skip
LOAD = "start,energy_wh\n2026-01-31T22:00,1000\n2026-01-31T23:00,3000\n2026-02-01T00:00,500\n"


@pytest.fixture(name="paths")
def written(tmp_path):
    scheme, load = tmp_path / "scheme.json", tmp_path / "load.csv"
    scheme.write_text(json.dumps(SCHEME))
    load.write_text(LOAD)
    return scheme, load


def told(paths, *, explain=False):
    scheme, load = paths
    said = rate_files(str(scheme), load, "Asia/Shanghai", Household(), 2, explain=explain)
    return json.loads(json.dumps(said))


def test_bills_and_their_lines(paths):
    said = told(paths)
    # No day of January began while this was served; February's first did, 3.10 / 28 of it.
    assert [one["total"] for one in said["bills"]] == ["1.35", "0.26"]
    assert (said["energy"], said["total"]) == ("4.500", "1.61")
    assert said["bills"][0]["lines"] == [
        {"kind": "energy", "since": "2026-01-01T00:00:00+08:00", "name": "peak", "block": 1,
         "quantity": "0.500", "price": "0.600000", "exact": "0.300000000", "amount": "0.30"},
        {"kind": "energy", "since": "2026-01-01T00:00:00+08:00", "name": "valley", "block": 1,
         "quantity": "3.500", "price": "0.300000", "exact": "1.050000000", "amount": "1.05"},
    ]  # fmt: skip
    assert "intervals" not in said


def test_every_day_and_interval_is_explained(paths):
    said = told(paths, explain=True)
    assert [(day["energy"], day["exact"]) for day in said["days"]] == [
        ("4.000", "1.350000000"), ("0.500", "0.150000000"),
    ]  # fmt: skip
    first = said["intervals"][0]
    assert first["from"] == "2026-01-31T22:00:00+08:00"
    assert (first["energy"], first["free"], first["exact"]) == ("1.000", "0.000", "0.450000000")
    assert [(line["band"], line["energy"]) for line in first["lines"]] == [
        ("peak", "0.500"), ("valley", "0.500"),
    ]  # fmt: skip
    assert first["lines"][1]["from"] == "2026-01-31T22:30:00+08:00"


@pytest.mark.parametrize(
    ("scheme", "code"),
    [(None, "scheme_file_missing"), ("{", "scheme_no_json"), ("\xff", "scheme_no_json"),
     ("[" * 100_000, "scheme_no_json"), ("{}", "tariff_invalid")],
)  # fmt: skip
def test_a_scheme_file_that_cannot_be_used_says_why(paths, scheme, code):
    path, load = paths
    path.unlink()
    if scheme is not None:
        path.write_text(scheme, encoding="latin-1")
    with pytest.raises(MeterhouseError) as caught:
        told((path, load))
    assert caught.value.code == code


def test_a_scheme_file_has_a_limit(paths, monkeypatch):
    monkeypatch.setattr(sys.modules["meterhouse.cli.rate"], "SCHEME_BYTES_MAX", 10)
    with pytest.raises(SchemeNoJson, match="more than 10 bytes"):
        told(paths)


def test_a_load_file_is_there_and_read_whatever_its_bytes(paths):
    scheme, load = paths
    load.write_bytes(b"start,energy_wh\n\xff\xfe,1\n")
    with pytest.raises(MeterhouseError) as caught:
        told((scheme, load))
    assert caught.value.code == "load_time"
    load.unlink()
    with pytest.raises(LoadFileMissing):
        told((scheme, load))


@pytest.mark.parametrize(
    ("language", "said"), [("zh_CN.UTF-8", "请删去"), ("de_DE.UTF-8", "take it out"), ("", "take")]
)
def test_an_error_is_said_in_the_terminals_language(paths, monkeypatch, language, said):
    scheme, _ = paths
    scheme.write_text(json.dumps(SCHEME | {"anchor": 1}))
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", language)
    with pytest.raises(MeterhouseError) as caught:
        told(paths)
    assert said in spoken(caught.value)
    assert "$.anchor" in spoken(caught.value)
