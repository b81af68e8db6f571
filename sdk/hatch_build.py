"""Makes the SDK's operations and shapes from the contract while it is built or installed.

Owns when that happens. How it is done, and where the contract comes from, stands in `generate.py`.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateHook(BuildHookInterface):
    """Runs the generator before hatchling collects files."""

    PLUGIN_NAME = "custom"

    # hatchling's signature
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling for every way of building."""
        generator = Path(self.root) / "generate.py"
        done = subprocess.run(  # noqa: S603  # a fixed command, no shell
            [sys.executable, generator], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"The SDK could not be generated:\n{done.stdout}{done.stderr}")
