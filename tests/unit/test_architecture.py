"""The floors hold: every import points down, what decides does no I/O, SQL stays in the store."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tidy import ROOT

PLANTED = {
    "floors": {"units.py": "from meterhouse import ports\n"},
    "circles": {
        "control/policy.py": "import meterhouse.ledger.book\n",
        "ledger/book.py": "import meterhouse.control.policy\n",
    },
    "pure": {"model.py": "import socket\n"},
    "sql": {"flows/__init__.py": "import asyncpg\n"},
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package in `folder`, as the command line would."""
    program = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_kept():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_breach_is_caught(tmp_path, contract):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("vendor"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in PLANTED[contract].items():
        with (tmp_path / "src" / "meterhouse" / name).open("a") as module:
            module.write(line)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    called = next(entry["name"] for entry in contracts if entry["id"] == contract)
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert f"{called} BROKEN" in done.stdout, done.stdout
