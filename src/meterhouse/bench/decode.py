"""How fast one energy-block reply becomes five integers.

Owns one figure: bytes to frame (address, control, checksum verified, 33H taken off) to the exact
integers of identifier 0001FF00, in processor time of one core.
"""

from time import process_time
from typing import Any

from meterhouse.wire.dlt645 import DLT645_2007, READ, Decoder, Frame, encode

WANTED_PER_S = 150_000
FRAMES = 40_000
RUNS = 5
ENERGY_BLOCK = 0x0001FF00


def figures() -> list[dict[str, Any]]:
    """One figure: the best of five runs, against the rate the product promises."""
    registers = (12_345_678, 1_234_567, 4_567_890, 3_456_789, 3_086_432)
    data = DLT645_2007.identifier(ENERGY_BLOCK) + DLT645_2007.encode_item(ENERGY_BLOCK, registers)
    raw = encode(Frame("000012345678", READ | 0x80, data))
    best_s = min(_run(raw, registers) for _ in range(RUNS))
    rate = round(FRAMES / best_s)
    return [
        {
            "name": "decode_dlt645_energy_block",
            "value": rate,
            "unit": "frames/s per core",
            "reference": WANTED_PER_S,
            "ratio": round(rate / WANTED_PER_S, 2),
        }
    ]


def _run(raw: bytes, registers: tuple[int, ...]) -> float:
    """Processor seconds for `FRAMES` replies; every one is checked to have been understood."""
    decoder, split, item = Decoder(), DLT645_2007.split, DLT645_2007.decode_item
    started = process_time()
    for _ in range(FRAMES):
        (frame,) = decoder.feed(raw)
        assert isinstance(frame, Frame)
        di, payload = split(frame.data)
        assert item(di, payload) == registers
    return process_time() - started
