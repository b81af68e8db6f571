"""A nursery for whole houses: `meterhouse serve` as a process that is forked, not started.

Started as `python -m serving`, it imports and compiles everything once. For every line it reads, a
list of arguments and a file for what is printed, it forks a child that runs the command line with
nothing but what was imported; it says the child's process number, and how it ended. So to kill a
house and to start the next one costs about a second instead of five.
"""

import json
import os
import sys
import traceback
from pathlib import Path

# Imported for the children: what a house consists of.
import meterhouse.app  # noqa: F401
from meterhouse import cli
from meterhouse.rating.warm import warm


def tell(what: object) -> None:
    """A line for whoever started the nursery."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def live(arguments: list[str], said: Path) -> None:
    """Be a house: never returns."""
    sys.stdin.close()
    with said.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["meterhouse", *arguments]
    status = 1
    try:
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


def main() -> None:
    """The nursery itself."""
    warm()
    tell("ready")
    for line in sys.stdin:
        arguments, said = json.loads(line)
        pid = os.fork()
        if pid == 0:
            live(arguments, Path(said))
        tell(pid)
        _, status = os.waitpid(pid, 0)
        tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
