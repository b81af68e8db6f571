"""The tidy laws hold over the whole package, and each of them bites."""

import shutil
import subprocess

import pytest

import tidy
from tidy import PACKAGE, ROOT, Law, Source, breaches, python_files

SOURCES = python_files(PACKAGE)
TESTS = python_files(ROOT / "tests")
MADE = ("src/meterhouse_sdk/operations.py", "src/meterhouse_sdk/shapes.py")
SDK = [source for source in python_files(ROOT / "sdk") if source.path not in MADE]
# Translations, and the sample town's names, are data that happens to stand in Python.
# Capitals are what that room is about; its characters are its figures.
CATALOGUES = ("words/", "sim/plan.py", "paper/capitals.py")

BAD_SAMPLES: dict[Law, list[tuple[str, str]]] = {
    tidy.short_functions: [("web/a.py", "def long():\n" + "    pass\n" * 70)],
    tidy.short_files: [("web/a.py", "pass\n" * 501)],
    tidy.short_lines: [("web/a.py", f"name = '{'x' * 100}'\n")],
    tidy.says_what_it_owns: [("web/a.py", "import os\n")],
    tidy.units_last: [
        ("web/a.py", "def wait(timeout: int): ...\n"),
        ("web/a.py", "def wait(*, poll_interval: float): ...\n"),
        ("web/a.py", "class A:\n    balance: int | None\n"),
        ("web/a.py", "class A:\n    def __init__(self) -> None:\n        self.price: Micro = 1\n"),
        ("web/a.py", "def energy() -> int: ...\n"),
        ("web/a.py", "TIMEOUT_MAX = 30\n"),
        ("web/a.py", "def total(value: list[int]): ...\n"),
    ],
    tidy.no_float: [
        ("rating/a.py", "rate: float\n"),
        ("rating/a.py", "half = 0.5\n"),
        ("rating/a.py", "half = float('0.5')\n"),
        ("rating/a.py", "half = one / 2\n"),
        ("units.py", "one /= 2\n"),
        ("rating/a.py", "array = numpy.zeros(3, numpy.float64)\n"),
    ],
    tidy.no_clock: [
        ("flows/a.py", "now = datetime.now(UTC)\n"),
        ("flows/a.py", "now = datetime.datetime.utcnow()\n"),
        ("flows/a.py", "today = date.today()\n"),
        ("flows/a.py", "import time\nnow = time.monotonic()\n"),
        ("flows/a.py", "from time import perf_counter\n"),
        ("flows/a.py", "now = asyncio.get_running_loop().time()\n"),
        ("headend/a.py", "clock = time.time\n"),
    ],
    tidy.logs_words_alone: [
        ("web/a.py", "import logging\n"),
        ("web/a.py", "from logging import getLogger\n"),
        ("web/a.py", "log.error(f'{name} failed')\n"),
        ("web/a.py", "log.warning('reading of %s waits')\n"),
    ],
    tidy.english_code: [
        ("web/a.py", "label = '房间'\n"),
        ("web/a.py", "label = f'{count} 间'\n"),
        ("web/a.py", "房间 = 1\n"),
    ],
    tidy.personal_alone: [
        ("store/reports.py", "sql = 'select name from personal'\n"),
        ("store/reports.py", "sql = f'{a} left join personal h on true'\n"),
        ("flows/a.py", "sql = 'update personal set name = null'\n"),
    ],
    tidy.honest_tests: [
        ("unit/a.py", "assert True\n"),
        ("unit/a.py", "@pytest.mark.skip\ndef test_a(): ...\n"),
        ("unit/a.py", "@pytest.mark.xfail()\ndef test_a(): ...\n"),
        ("unit/a.py", "pytest.skip()\n"),
    ],
}
GOOD_SAMPLES: dict[Law, list[tuple[str, str]]] = {
    tidy.units_last: [
        ("web/a.py", "def wait(timeout_ms: int, value: str, amount_minor_max: Minor): ...\n"),
        ("web/a.py", "POWER_W_MAX = 30\nage = read()\nKEEP_POWER = 0x3A\n"),
    ],
    tidy.no_float: [("rating/a.py", "half = one // 2\n"), ("web/a.py", "half = 0.5\n")],
    tidy.no_clock: [
        ("worker.py", "now = datetime.now(UTC)\n"),
        ("headend/a.py", "now = loop.time()\n"),
        ("flows/a.py", "now = clock()\n"),
    ],
    tidy.logs_words_alone: [("web/a.py", 'log.warning("reading_waits", error=error, count=3)\n')],
    tidy.english_code: [("web/a.py", '"""Rooms (房间)."""\n\na = 1  # 房间\n')],
    tidy.personal_alone: [
        ("store/personal.py", "sql = 'select name from personal'\n"),
        ("store/reports.py", "sql = 'select name from personal_masked'\n"),
        ("store/reports.py", "# Nothing comes from personal here.\n"),
    ],
    tidy.honest_tests: [("unit/a.py", "pytest.skip('needs a clock')\nassert found\n")],
}


@pytest.mark.parametrize("law", BAD_SAMPLES, ids=lambda law: law.__name__)
def test_every_law_bites(law):
    for path, text in BAD_SAMPLES[law]:
        assert list(law(Source(path, text))), f"{law.__name__} lets this pass:\n{text}"


@pytest.mark.parametrize("law", GOOD_SAMPLES, ids=lambda law: law.__name__)
def test_no_law_bites_what_is_right(law):
    for path, text in GOOD_SAMPLES[law]:
        assert list(law(Source(path, text))) == []


def test_the_log_takes_words_alone():
    assert breaches(tidy.logs_words_alone, SOURCES) == []


def test_functions_are_short():
    assert breaches(tidy.short_functions, SOURCES + TESTS + SDK) == []


def test_files_are_short():
    assert breaches(tidy.short_files, SOURCES + TESTS + SDK) == []


def test_lines_are_short():
    assert breaches(tidy.short_lines, SOURCES + TESTS + SDK) == []


def test_every_module_says_what_it_owns():
    assert breaches(tidy.says_what_it_owns, SOURCES + TESTS + SDK) == []


def test_numbers_name_their_unit():
    assert breaches(tidy.units_last, SOURCES + SDK) == []


def test_pure_rooms_know_no_float():
    assert breaches(tidy.no_float, SOURCES) == []


def test_time_is_an_argument():
    assert breaches(tidy.no_clock, SOURCES + SDK) == []


def test_code_is_english():
    code = [source for source in SOURCES + SDK if not source.path.startswith(CATALOGUES)]
    assert breaches(tidy.english_code, code) == []


def test_who_somebody_is_is_read_in_one_room():
    assert breaches(tidy.personal_alone, SOURCES) == []


def test_tests_can_fail():
    assert breaches(tidy.honest_tests, TESTS) == []


def test_every_error_has_its_own_code_and_a_line_in_the_documentation():
    documentation = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert tidy.error_breaches(SOURCES, documentation) == []


def test_the_law_of_errors_bites():
    text = (
        "class MeterhouseError(Exception):\n    '''Base.'''\n    code = 'internal'\n"
        "class Lost(MeterhouseError):\n    '''Lost.'''\n    code = 'lost'\n"
        "class Gone(Lost):\n    '''Gone.'''\n    code = 'lost'\n"
        "class Bare(Gone):\n    code = 'bare'\n"
        "class Silent(Bare):\n    '''Silent.'''\n"
    )
    found = "\n".join(
        tidy.error_breaches([Source("a.py", text)], "| `internal` |\n| `lost` |\n| `other` |\n")
    )
    assert "code `lost` is Lost's already" in found
    assert "Bare has no docstring" in found
    assert "`bare` has no line" in found
    assert "Silent declares no `code`" in found
    assert "`other` is no error's code" in found


def tracked_files() -> list[str]:
    """What git tracks or would track; without git, what lies in the folders that matter."""
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        listed = subprocess.run(
            [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    folders = ("src", "tests", "docs", "requirements", ".ci")
    deep = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    flat = [path for path in ROOT.iterdir() if path.is_file()]
    ignored = ("__pycache__", "vendor", "_build")
    return [
        path.relative_to(ROOT).as_posix()
        for path in deep + flat
        if not any(part in ignored for part in path.parts)
    ]


def test_no_file_names_a_registry_or_a_folder_of_one_machine():
    found = []
    for name in tracked_files():
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found += list(tidy.place_breaches(name, text))
    assert found == []


@pytest.mark.parametrize(
    "line", ["see https://" + "pypi" + ".org/simple", "open('/wo" + "rk/main/a')"]
)
def test_the_law_of_places_bites(line):
    assert list(tidy.place_breaches("a.txt", line))
