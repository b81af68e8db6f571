"""Fields of the editor and schemes: what is typed is what is meant, what is wrong has a home."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from meterhouse.flows import library
from meterhouse.rating.tariff import parse
from meterhouse.web.formats import Formats
from meterhouse.web.schemes import fields, steps, typed, written
from meterhouse.words import words

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
EN, ZH = (Formats(words(tag), ZoneInfo("Asia/Shanghai"), "CNY", 2) for tag in ("en", "zh-Hans"))


def sent(node, name=""):
    """The fields as a form sends them, by their names."""
    for key, one in node.items() if isinstance(node, dict) else enumerate(node):
        here = f"{name}.{key}" if name else str(key)
        if here == "weekend":
            yield from ((here, day) for day in one)
        elif isinstance(one, str):
            yield here, one
        else:
            yield from sent(one, here)


def draft(fmt=EN, **changed):
    """A scheme of two bands and two blocks that can be published, but for what is changed."""
    made = written.blank(fmt, "New") | {"effective_from": "2027-01-01 00:00"}
    for step in ("bands.add", "blocks.add", "tables.0.rows.add"):
        steps.step(made, step, fmt.words)
    given = {
        "limits.0": "200", "bands.0.prices.0": "0.6", "bands.0.prices.1": "0.65",
        "bands.1.prices.0": "0.9", "bands.1.prices.1": "0.95", "tables.0.rows.0.band": "0",
        "tables.0.rows.1.clock": "08:30", "tables.0.rows.1.band": "1",
    }  # fmt: skip
    renamed = {name.replace("__", "."): text for name, text in changed.items()}
    named = dict(sent(made)) | given | renamed
    return fields.whole(fields.nest(named.items()), written.blank(fmt))


def faults(fmt=EN, **changed):
    found = typed.read(draft(fmt, **changed), fmt, NOW, None)
    return {one.field: one.said(fmt.words) for one in found.faults}


@pytest.mark.parametrize("fmt", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("name", library.names())
def test_a_scheme_shown_and_sent_back_is_the_same(name, fmt):
    shown = written.draft_of(library.body(name), fmt)
    back = fields.whole(fields.nest(sent(shown)), written.blank(fmt))
    assert back == shown
    assert parse(typed.read(back, fmt, NOW, None).body) == parse(library.body(name))


def test_what_is_typed_becomes_integers():
    found = typed.read(draft(adders__1="-0.05", surcharges__0__name="Rebate",
                             surcharges__0__price="-0.01"), EN, NOW, None)  # fmt: skip
    version = found.body["versions"][0]
    assert found.faults == []
    assert version["effective_from"] == "2027-01-01T00:00:00+08:00"
    assert version["prices_micro"] == {"flat": [600000, 650000], "peak": [900000, 950000]}
    assert version["adders_micro"] == [0, -50000]
    assert version["surcharges"] == [{"name": "rebate", "price_micro": -10000}]
    assert version["day_tables"] == {"every_day": {"00:00": "flat", "08:30": "peak"}}


@pytest.mark.parametrize(
    ("changed", "home"),
    [
        ({"effective_from": "soon"}, "effective_from"),
        ({"name": ""}, "name"),
        ({"billing__anchor_day": "29"}, "billing.anchor_day"),
        ({"limits__0": ""}, "limits.0"),
        ({"bands__1__prices__1": "dear"}, "bands.1.prices.1"),
        ({"bands__1__name": "Flat band"}, "bands.1.name"),
        ({"bands__1__name": "Peak!"}, "bands.1.name"),
        ({"tables__0__rows__1__clock": "24:00"}, "tables.0.rows.1.clock"),
        ({"tables__0__rows__1__clock": "00:00"}, "tables.0.rows.1.clock"),
        ({"tables__0__rows__1__band": "7"}, "tables.0.rows.1.band"),
        ({"tables__0__rows__0__clock": "01:00"}, "tables.0.name"),
        ({"special_days": "2026-13-01 holiday"}, "special_days"),
        ({"seasons__0__name": "year", "seasons__0__first": "01-01", "seasons__0__last": "13-01"},
         "seasons.0.last"),
        ({"seasons__0__name": "year", "seasons__0__first": "01-01", "seasons__0__last": "11-30"},
         "seasons"),
        ({"tax__kind": "included", "tax__rate": "101"}, "tax.rate"),
        ({"tax__kind": "added", "tax__rate": "13"}, "tax.kind"),
        ({"standing__per": "day", "standing__amount": "100001"}, "standing.amount"),
        ({"standing__per": "period", "standing__amount": "1",
          "billing__proration": "whole"}, "billing.proration"),
        ({"demand__by": "maximum", "demand__price": "1"}, "demand.by"),
        ({"minimum": "5"}, "minimum"),
        ({"multiplier": "20"}, "multiplier"),
        ({"loss": "2.5"}, "loss"),
        ({"counted": "household"}, "counted"),
        ({"persons__0__persons": "101", "persons__0__adds__0": "100"}, "persons.0.persons"),
        ({"allowance__grant": "once", "allowance__energy": "30", "allowance__per_person": "1"},
         "allowance.per_person"),
        ({"allowance__grant": "period", "allowance__energy": "30"}, "billing.proration"),
        ({"allowance__grant": "period", "allowance__energy": "30", "period": "year",
          "billing__proration": "whole"}, "allowance.energy"),
        ({"allowance__grant": "period", "allowance__energy": "30", "allowance__carries": "1"},
         "allowance.carries"),
        ({"surcharges__0__name": "funds", "surcharges__0__price": "-2"}, "surcharges"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field(changed, home):
    assert list(faults(**changed)) == [home]


def test_what_large_households_have_more_can_be_published():
    changed = {"persons__0__persons": "5", "persons__0__adds__0": "100"}
    free = {"allowance__grant": "period", "allowance__energy": "30", "allowance__per_person": "1"}
    assert faults(**changed) == {}
    assert faults(**changed, **free, billing__proration="whole") == {}


def test_it_is_said_in_the_readers_language():
    said = faults(ZH, minimum="5")
    assert said == {"minimum": "请删去，或改为基本费或其他收费；运行中的电价不在周期末收费"}


def test_special_days_are_pasted_in_any_words_and_spans():
    text = "2026-10-01 – 2026-10-03 节假日\n2026/10/10, Make-up workday\n\n2026.12.31 holiday"
    found = typed.read(draft(special_days=text), EN, NOW, None)
    assert found.body["versions"][0]["special_days"] == {
        "2026-10-01": "holiday", "2026-10-02": "holiday", "2026-10-03": "holiday",
        "2026-10-10": "makeup_workday", "2026-12-31": "holiday",
    }  # fmt: skip


def test_a_band_removed_leaves_the_others_where_they_were():
    made = draft()
    steps.step(made, "bands.remove.0", EN.words)
    assert [row["band"] for row in made["tables"][0]["rows"]] == ["", "0"]
    steps.step(made, "bands.remove.0", EN.words)
    assert len(made["bands"]) == 1


def test_four_bands_keep_what_was_priced():
    made = draft()
    steps.step(made, "bands.four", EN.words)
    assert [row["prices"][0] for row in made["bands"]] == ["", "0.9", "0.6", ""]
    assert [row["band"] for row in made["tables"][0]["rows"]] == ["2", "1"]


@pytest.mark.parametrize(
    "step", ["bands.remove.9", "tables.7.rows.add", "x", "kept.remove.0", "tables.0.rows.remove.x"]
)
def test_a_step_that_does_not_fit_changes_nothing(step):
    made, same = draft(), draft()
    steps.step(made, step, EN.words)
    assert made == same


@pytest.mark.parametrize(
    "odd", [[("bands.0", "x")], [("bands.0.prices", "x")], [("tables.0.rows.0", "x")],
            [("seasons", "x")], [("billing", "x")], [("a" * 300, "x")], [("weekend", "9")]],
)  # fmt: skip
def test_whatever_a_browser_sends_is_a_whole_form(odd):
    made = fields.whole(fields.nest(odd), written.blank(EN))
    assert typed.read(made, EN, NOW, None).faults
