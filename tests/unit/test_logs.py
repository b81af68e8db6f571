"""The two forms of a log line, and what is said of an exception."""

import io
import json
import logging
import sys
import threading

import pytest

from meterhouse import logs
from meterhouse.errors import NotFound
from meterhouse.units import to_us

log = logs.Log("meterhouse.testing")


@pytest.fixture
def configured():
    """What `configure` writes; the process is as before afterwards."""
    root = logging.getLogger()
    kept = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook

    def configure(form, level="info"):
        stream = io.StringIO()
        logs.configure(form, level, stream)
        return stream

    yield configure
    root.handlers[:], level, sys.excepthook, threading.excepthook, sys.unraisablehook = kept
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True


def test_json_is_one_object_a_line_with_the_fields_bound_around_it(configured):
    stream = configured("json")
    with logs.bind(request_id="abcdefgh"):
        log.warning("readings_wait", project_id=7, count=3)
    log.info("request", person_id=None)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("at").endswith("Z")
    assert first == {
        "level": "warning", "logger": "meterhouse.testing", "event": "readings_wait",
        "request_id": "abcdefgh", "project_id": 7, "count": 3,
    }  # fmt: skip
    assert second.keys() == {"at", "level", "logger", "event"}


def test_text_reads_like_a_sentence_and_keeps_frames_for_errors(configured):
    stream = configured("text")
    try:
        to_us(None)
    except TypeError as error:
        log.warning("readings_wait", error=error, project_id=7)
        log.error("request_failed", error=error)
    first, second, frame = stream.getvalue().splitlines()
    assert first.endswith("meterhouse.testing: readings wait project_id=7 error=TypeError")
    assert second.endswith("meterhouse.testing: request failed error=TypeError")
    assert frame.startswith("    units.py:")


def test_a_field_that_is_not_allowed_is_not_written(configured):
    stream = configured("json")
    log.info("request", phone="13900001234", route="/rooms/{room_id}")
    said = json.loads(stream.getvalue())
    assert "phone" not in said
    assert said["route"] == "/rooms/{room_id}"


def test_a_word_is_short_and_has_no_spaces(configured):
    stream = configured("json")
    log.info("request", code="two words\n", work="w" * 500)
    said = json.loads(stream.getvalue())
    assert said["code"] == "two?words?"
    assert len(said["work"]) == 120


def test_of_an_exception_type_code_causes_and_our_frames_are_said():
    try:
        try:
            raise OSError(111, "secret")
        except OSError as cause:
            raise NotFound("person", "secret") from cause
    except NotFound as error:
        said = logs.describe(error)
    assert said == {"type": "NotFound", "code": "not_found", "causes": ["ConnectionRefusedError"]}
    assert logs.describe(OSError(111, "secret")) == {"type": "ConnectionRefusedError", "errno": 111}
    group = logs.describe(ExceptionGroup("secret", [ValueError("secret")]))
    assert group == {"type": "ExceptionGroup", "causes": ["ValueError"]}


def test_a_library_is_heard_when_it_warns_but_not_quoted(configured):
    stream = configured("json")
    library = logging.getLogger("somebody.else")
    library.info("secret")
    try:
        raise ValueError("secret")
    except ValueError:
        library.exception("secret %s", "secret")
    said = json.loads(stream.getvalue())
    assert (said["event"], said["logger"]) == ("library", "somebody.else")
    assert said["work"].startswith("test_logs:")
    assert said["error"] == {"type": "ValueError"}
    assert "secret" not in stream.getvalue()


def test_what_nobody_caught_is_said_without_its_message(configured):
    stream = configured("text")
    sys.excepthook(ValueError, ValueError("secret"), None)
    thread = threading.Thread(target=lambda: int("secret"))
    thread.start()
    thread.join()
    first, second = stream.getvalue().splitlines()
    assert first.endswith("crashed error=ValueError")
    assert second.endswith("thread crashed error=ValueError")
