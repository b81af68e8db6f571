"""The worked example of the tariff's page is what the calculator says."""

import re

from meterhouse.cli.rate import rate_files
from meterhouse.rating.bill import Household
from tidy import ROOT


def test_the_worked_example_comes_out(tmp_path):
    page = (ROOT / "docs" / "nouns" / "tariff.md").read_text(encoding="utf-8")
    example = page.partition("<!-- example -->")[2].partition("<!-- /example -->")[0]
    scheme, load = re.findall(r"```\w+\n(.*?)```", example, re.DOTALL)
    (tmp_path / "scheme.json").write_text(scheme)
    (tmp_path / "load.csv").write_text(load)
    paths = (str(tmp_path / "scheme.json"), tmp_path / "load.csv")
    said = rate_files(*paths, "Asia/Shanghai", Household(persons=2), 2, explain=False)
    (one,) = said["bills"]
    lines = [(line["kind"], line.get("block"), line["amount"]) for line in one["lines"]]
    assert lines == [
        ("energy", 1, "60.00"), ("energy", 1, "30.00"), ("energy", 2, "15.00"),
        ("free", None, "0.00"), ("surcharge", None, "5.00"), ("standing", None, "5.00"),
        ("tax", None, "13.23"),
    ]  # fmt: skip
    assert (one["energy"], one["total"]) == ("310.000", "115.00")
    for told in ("60.00", "30.00", "15.00", "115.00", "13.23"):
        assert told in example.rpartition("```")[2]
