"""Every captured or published DL/T 645 frame says what its source says, and is written back."""

import json
from pathlib import Path

import pytest

from meterhouse.cli.decode import decode_lines
from meterhouse.wire.dlt645 import Decoder, Frame, encode

FRAMES = json.loads((Path(__file__).parent / "dlt645.json").read_text(encoding="utf-8"))["frames"]
VALID = [entry for entry in FRAMES if "error" not in entry["expect"]]
BROKEN = [entry for entry in FRAMES if "error" in entry["expect"]]


def by_id(entry):
    return entry["id"]


def test_both_kinds_and_both_editions_are_here():
    assert len(VALID) >= 42
    assert len(BROKEN) >= 2
    assert {entry["protocol"] for entry in FRAMES} == {"dlt645-1997", "dlt645-2007"}
    assert len({entry["id"] for entry in FRAMES}) == len(FRAMES)


@pytest.mark.parametrize("entry", VALID, ids=by_id)
def test_a_frame_decodes_to_what_its_source_says(entry):
    (told,) = decode_lines(entry["protocol"], [entry["hex"]])
    expect = dict(entry["expect"])
    values = expect.pop("values")
    assert {key: told[key] for key in expect} == expect
    assert "error" not in told
    said = {each["name"]: [each["value"], each.get("unit")] for each in told["values"]}
    if "*" in values:
        assert list(said.values()) == [values["*"]]
    else:
        assert {name: said[name] for name in values} == values


@pytest.mark.parametrize("entry", BROKEN, ids=by_id)
def test_a_broken_frame_is_one_error(entry):
    (told,) = decode_lines(entry["protocol"], [entry["hex"]])
    assert told["error"] == entry["expect"]["error"]
    assert told["hex"] == entry["hex"]


@pytest.mark.parametrize("entry", VALID, ids=by_id)
def test_a_decoded_frame_encodes_to_the_same_bytes(entry):
    raw = bytes.fromhex(entry["hex"])
    (frame,) = Decoder().feed(raw)
    assert isinstance(frame, Frame)
    assert encode(frame, entry["wake"]) == raw


def test_all_frames_survive_one_stream_in_single_bytes():
    stream = b"+++AT\r\n".join(bytes.fromhex(entry["hex"]) for entry in VALID)
    decoder = Decoder()
    found = [each for byte in stream for each in decoder.feed(bytes([byte]))]
    found += decoder.flush()
    frames = [each for each in found if isinstance(each, Frame)]
    assert [frame.address for frame in frames] == [entry["expect"]["address"] for entry in VALID]
