"""The SDK as a package: built from the contract, typed, with nothing of the platform's in it."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from typer.testing import CliRunner

import fresh_sdk  # noqa: F401  # the generated files, whole and new
from generate import HERE, PACKAGE
from meterhouse.cli import app
from meterhouse.web.app import contract_alone
from tidy import python_files


def test_it_builds_elsewhere_from_a_contract_beside_it(tmp_path):
    root = tmp_path / "sdk"
    shutil.copytree(HERE, root)
    made = [root / "src" / "meterhouse_sdk" / name for name in ("operations.py", "shapes.py")]
    before = [path.read_text() for path in made]
    for path in made:
        path.unlink()
    said = CliRunner().invoke(app, ["contract"])
    (root / "contract.json").write_text(said.stdout, encoding="utf-8")
    assert said.exit_code == 0
    # Without the platform: the build sees a Python that has its own packages alone.
    program = (
        "import importlib.util as u; found = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'meterhouse' else found(name, *a); "
        "import runpy; runpy.run_path('generate.py', run_name='__main__')"
    )
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in made] == before


def test_a_wheel_holds_what_was_generated_and_wants_httpx_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=HERE, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name for name in archive.namelist()}
        (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        told = archive.read(metadata).decode()
    assert {"operations.py", "shapes.py", "py.typed"} <= names
    wanted = [line for line in told.splitlines() if line.startswith("Requires-Dist")]
    assert wanted == ["Requires-Dist: httpx>=0.28"]


def test_it_stands_on_the_standard_library_and_httpx_alone():
    found = set()
    for source in python_files(PACKAGE):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                found |= {one.name.partition(".")[0] for one in node.names}
    assert found - sys.stdlib_module_names == {"httpx", "meterhouse_sdk"}


def test_the_contract_is_told_without_a_database():
    contract = contract_alone()
    assert contract["openapi"].startswith("3.1")
    acts = [
        one["x-act"] for methods in contract["paths"].values()
        for one in methods.values() if "x-act" in one
    ]  # fmt: skip
    assert "meter.disconnect" in acts
