"""Brings the SDK's generated files up to date with the contract: `python sdk/generate.py`.

Owns where the contract comes from and where the files go. How they are made stands in `generator`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from generator.operations import operations_source
from generator.schemas import Json
from generator.shapes import shapes_source

HERE = Path(__file__).parent
PACKAGE = HERE / "src" / "meterhouse_sdk"


def write(contract: Json, folder: Path = PACKAGE) -> None:
    """Bring the generated files up to date; one that is stays untouched."""
    texts = {"shapes.py": shapes_source(contract), "operations.py": operations_source(contract)}
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            # Whole or not at all, also when two processes do it at once.
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)


def main() -> None:
    """Take the contract from the installed platform, else from `contract.json`, and write."""
    beside = HERE / "contract.json"
    if importlib.util.find_spec("meterhouse") is not None:
        command = [sys.executable, "-m", "meterhouse", "contract"]
        # A fixed command of this interpreter, no shell.
        said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603
    elif beside.exists():
        said = beside.read_bytes()
    elif (PACKAGE / "operations.py").exists():
        return  # built from a source archive: the files are in the archive
    else:
        raise SystemExit(
            "There is no contract: install meterhouse beside the SDK, or put its contract here: "
            f"meterhouse contract > {beside}"
        )
    write(json.loads(said))


if __name__ == "__main__":
    main()
