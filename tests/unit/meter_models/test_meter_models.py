"""Meter models: the files that came with the product load, and a wrong one is named by its key."""

import pytest

from meterhouse.errors import NotFound
from meterhouse.meter_models import (
    Candidate,
    Confidence,
    MeterModelInvalid,
    from_toml,
    generic,
    load,
    names,
    recognise,
)
from meterhouse.model import Relay
from meterhouse.ports import Action, Values

GOOD = """
name = "X"
protocol = "dlt645-2007"
phases = 1
rated_voltage_v = 220
max_current_a = 60
register_digits = 8
register_decimals = 2
bands = ["sharp", "peak", "flat", "valley"]
address_digits = 12
round = [0x0001FF00, 0x04000503]
live = [0x0001FF00]
clock = [0x04000101, 0x04000102]
status_word = 0x04000503
[timeout_ms]
rs485 = 1000
tcp = 8000
lora = 30000
[control_codes]
disconnect = 0x1A
[parameters]
power_limit = { di = 0x04000E01, writable = true }
[identity]
type = 0x0400040B
"""


def test_the_models_that_came_with_the_product():
    assert names() == [
        "DDSY1352-NK", "DLT645-1997", "DLT645-2007", "DLT645-2007-ESAM", "DLT645-2007-ORDER",
        "DTSY1352-NK",
    ]  # fmt: skip
    single, three = load("DDSY1352-NK"), load("DTSY1352-NK")
    assert load("DDSY1352-NK") is single
    assert (single.phases, three.phases) == (1, 3)
    assert single.max_power_w == 220 * 60
    assert three.max_power_w == 3 * 220 * 80
    assert single.modulus_milli == 1_000_000_000
    assert single.milli_per_count == 10
    assert set(single.control_codes) == set(Action)
    assert len(single.round) == 2
    assert not load("DLT645-1997").control_codes


def test_an_unknown_model_is_not_found():
    with pytest.raises(NotFound):
        load("no such meter")


def test_a_good_file_is_read():
    model = from_toml("x.toml", GOOD)
    assert model.name == "X"
    assert model.parameters["power_limit"].writable
    assert model.retries == 2


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('name = "X"', "name = ", "file"),
        ('name = "X"', "", "name"),
        ('name = "X"', "name = 5", "name"),
        ('name = "X"', 'name = "X"\ncolour = "red"', "colour"),
        ("dlt645-2007", "dlt645-2050", "protocol"),
        ("phases = 1", "phases = 2", "phases"),
        ("phases = 1", "phases = true", "phases"),
        ("rated_voltage_v = 220", 'rated_voltage_v = "220"', "rated_voltage_v"),
        ("register_decimals = 2", "register_decimals = 4", "register_decimals"),
        ("status_word = 0x04000503", 'validity = "never"', "validity"),
        ("status_word = 0x04000503", "", "control_codes"),
        ("status_word = 0x04000503", "status_word = 0x0F000503", "status_word"),
        ("status_word = 0x04000503", "status_word = 0x04000503\nrelay_bit = 6", "relay_bit"),
        ("status_word = 0x04000503", "status_word = 0x04000503\nretries = 3", "retries"),
        ("live = [0x0001FF00]", 'live = ["0001FF00"]', "live"),
        ("live = [0x0001FF00]", "live = [0x0F01FF00]", "live"),
        ("live = [0x0001FF00]", "live = 0x0001FF00", "live"),
        ("tcp = 8000", "tcp = 1", "timeout_ms.tcp"),
        ("tcp = 8000", "", "timeout_ms.tcp"),
        ("disconnect = 0x1A", "explode = 0x1A", "control_codes.explode"),
        ("disconnect = 0x1A", "disconnect = 256", "control_codes.disconnect"),
        ("di = 0x04000E01, ", "", "parameters.power_limit"),
        ("writable = true", "writable = 1", "parameters.power_limit"),
        ("di = 0x04000E01", "di = 0x0F000E01", "parameters"),
        ("[parameters]\npower_limit = { di = 0x04000E01, writable = true }", "", "parameters"),
        ("[identity]\ntype = 0x0400040B", "", "identity"),
        ("type = 0x0400040B", "type = 0", "identity.type"),
        ("type = 0x0400040B", "type = 0x0F00040B", "identity"),
        ('name = "X"', 'name = "X"\ntype_names = "X"', "type_names"),
        ('name = "X"', 'name = "X"\nis_generic = 1', "is_generic"),
        ('name = "X"', 'name = "X"\nsearch_item = 0x0F000000', "search_item"),
    ],
)
def test_a_file_that_cannot_be_meant_names_its_key(old, new, key):
    assert old in GOOD
    with pytest.raises(MeterModelInvalid) as caught:
        from_toml("x.toml", GOOD.replace(old, new))
    assert caught.value.code == "meter_model_invalid"
    assert caught.value.facts["key"] == key
    assert caught.value.facts["model"] == "x.toml"


def test_sections_must_be_tables():
    text = GOOD.split("[timeout_ms]", maxsplit=1)[0]
    with pytest.raises(MeterModelInvalid) as caught:
        from_toml(
            "x.toml", text + "timeout_ms = 5\ncontrol_codes = 1\nparameters = 2\nidentity = 3\n"
        )
    assert caught.value.facts["key"] == "timeout_ms"


# ---- recognising


def said(type_text="", phases=1, relay=Relay.CLOSED, total_milli=10):
    texts = {"type": type_text} if type_text else {}
    return Values(total_milli=total_milli, relay=relay, phases=phases, parameters=texts)


@pytest.mark.parametrize(
    ("values", "surest"),
    [
        (said("DDSY1352-N"), ("DDSY1352-NK", "likely")),
        (said("DTSY1352", phases=3), ("DTSY1352-NK", "likely")),
        (said(phases=3), ("DTSY1352-NK", "possible")),
        (said(), ("DDSY1352-NK", "possible")),
        # What contradicts a model rules it out, however well the rest fits.
        (said("DDSY1352-N", phases=3), ("DLT645-2007", "generic")),
        (said("SOMETHING"), ("DLT645-2007", "generic")),
        (said(relay=Relay.UNKNOWN), ("DLT645-2007", "generic")),
        (said(phases=None), ("DLT645-2007", "generic")),
    ],
)
def test_a_meter_is_recognised_no_more_surely_than_the_facts_allow(values, surest):
    first, *others = recognise("dlt645-2007", values)
    assert (first.model, first.confidence) == surest
    assert all(one.model != first.model for one in others)
    assert "certain" not in {one.confidence for one in (first, *others)}


def test_a_device_without_a_register_is_no_meter_of_ours():
    assert recognise("dlt645-2007", said("DDSY1352", total_milli=None)) == ()
    assert recognise("dlt645-2050", said()) == ()


def test_the_other_edition_has_candidates_of_its_own():
    only = Candidate("DLT645-1997", Confidence.GENERIC)
    assert recognise("dlt645-1997", said()) == (only,)
    assert generic("dlt645-1997").search_item == 0x9010
    with pytest.raises(NotFound):
        generic("dlt645-2050")
