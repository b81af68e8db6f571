"""What is charged beside energy: its JSON form, and what is wrong with it by path."""

import json

import pytest

from meterhouse.rating.charges import NO_CHARGES
from meterhouse.rating.tariff import TariffInvalid, dump, parse

FLAT = {"effective_from": "2026-01-01T00:00:00+00:00", "prices_micro": {"flat": 500_000}}
HEADER = {"name": "x", "commodity": "electricity", "currency": "CNY"}
WHOLE = {
    **FLAT,
    "blocks": {
        "period": "season", "fill": "pro_rata", "limits_milli": [10, 20],
        "seasonal": {"year": [30, 40]}, "persons": [{"persons": 5, "add_milli": [1, 2]}],
        "counted": "household",
    },
    "surcharges": [{"name": "funds", "price_micro": 1}, {"name": "rebate", "price_micro": -1}],
    "standing": {"per": "day", "amount_micro": 1},
    "minimum_micro": 1,
    "allowance": {"grant": "period", "energy_milli": 1, "carries": True, "per_person": True},
    "demand": {"by": "maximum", "price_micro": 1},
    "multiplier": 2,
    "loss_micro": 1,
    "tax": {"rate_micro": 1, "included": False},
}  # fmt: skip
BILLING = {"anchor_day": 5, "anchor_hour": 23, "proration": "full_only"}
SOURCE = {"title": "t", "issuer": "i", "issued_on": "2012-06-14", "as_of": "2026-01-01"}


def scheme(version, **header):
    return parse({**HEADER, "versions": [{**FLAT, **version}], **header})


def test_what_is_said_is_dumped_as_it_was_said():
    data = {**HEADER, "versions": [WHOLE], "billing": BILLING, "source": SOURCE}
    told = json.loads(json.dumps(dump(parse(data))))
    for name, what in WHOLE.items():
        if name != "prices_micro":
            assert told["versions"][0][name] == what
    assert (told["billing"], told["source"]) == (BILLING, SOURCE)
    assert parse(told) == parse(data)


def test_a_scheme_that_says_nothing_of_it_dumps_nothing_of_it():
    plain = scheme({})
    assert plain.versions[0].charges == NO_CHARGES
    told = dump(plain)
    assert set(told) == {"name", "commodity", "currency", "versions"}
    assert set(told["versions"][0]) == {
        "effective_from", "band_source", "bands", "day_tables", "seasons", "weekend",
        "special_days", "blocks", "prices_micro",
    }  # fmt: skip
    assert set(told["versions"][0]["blocks"]) == {"period", "fill", "limits_milli"}


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ({"surcharges": [{"name": "a"}]}, "surcharges[0].price_micro"),
        ({"surcharges": [{"name": "a", "price_micro": 1}] * 2}, "surcharges[1].name"),
        ({"standing": {"per": "week", "amount_micro": 1}}, "standing.per"),
        ({"standing": {"per": "day", "amount_micro": 0}}, "standing.amount_micro"),
        ({"minimum_micro": -1}, "minimum_micro"),
        ({"minimum_micro": True}, "minimum_micro"),
        ({"allowance": {"grant": "once", "energy_milli": 1, "carries": True}}, "allowance.carries"),
        ({"allowance": {"grant": "once", "energy_milli": 1, "per_person": 3}},
         "allowance.per_person"),
        ({"demand": {"by": "guess", "price_micro": 1}}, "demand.by"),
        ({"multiplier": 0}, "multiplier"),
        ({"loss_micro": 1_000_001}, "loss_micro"),
        ({"tax": {"rate_micro": 0}}, "tax.rate_micro"),
        ({"tax": {"rate": 1}}, "tax.rate_micro"),
        ({"blocks": {"limits_milli": [5], "seasonal": {"spring": [5]}}}, "blocks.seasonal.spring"),
        ({"blocks": {"limits_milli": [5], "seasonal": {"year": []}}}, "blocks.seasonal.year"),
        ({"blocks": {"limits_milli": [5, 6], "persons": [{"persons": 2, "add_milli": [9, 1]}]},
          "prices_micro": {"flat": [1, 2, 3]}}, "blocks.persons[0].add_milli[1]"),
        ({"blocks": {"limits_milli": [5], "persons": [{"persons": 2, "add_milli": [1]}] * 2},
          "prices_micro": {"flat": [1, 2]}}, "blocks.persons[1].persons"),
        ({"blocks": {"counted": "street"}}, "blocks.counted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(version, path):
    with pytest.raises(TariffInvalid) as caught:
        scheme(version)
    assert caught.value.facts["path"] == f"$.versions[0].{path}"


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ({"billing": {"anchor_day": 29}}, "$.billing.anchor_day"),
        ({"billing": {"anchor_hour": 24}}, "$.billing.anchor_hour"),
        ({"billing": {"proration": "half"}}, "$.billing.proration"),
        ({"source": {**SOURCE, "as_of": "soon"}}, "$.source.as_of"),
        ({"source": {"title": "t", "issuer": "i"}}, "$.source.as_of"),
        ({"anchor": 1}, "$.anchor"),
    ],
)
def test_so_is_what_is_wrong_with_the_header(header, path):
    with pytest.raises(TariffInvalid) as caught:
        scheme({}, **header)
    assert caught.value.facts["path"] == path


def test_a_household_has_the_limits_of_the_last_step_it_reaches():
    steps = [{"persons": 5, "add_milli": [10]}, {"persons": 7, "add_milli": [30]}]
    plan = scheme({
        "blocks": {"limits_milli": [100], "persons": steps}, "prices_micro": {"flat": [1, 2]},
    })  # fmt: skip
    found = [plan.of_household(persons).versions[0].blocks for persons in (4, 5, 6, 7, 100)]
    assert [blocks.limits_milli for blocks in found] == [(100,), (110,), (110,), (130,), (130,)]
    assert all(blocks.persons == () for blocks in found)
