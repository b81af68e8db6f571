"""An audit entry as a person reads it: words, money and times of its project, and its page."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from meterhouse.web.acts import ACTS
from meterhouse.web.audited import ACT_TITLES, act_title, change_told, object_link, object_told
from meterhouse.web.formats import Formats
from meterhouse.words import words

EN, ZH = (Formats(words(tag), ZoneInfo("Asia/Shanghai"), "CNY", 2) for tag in ("en", "zh-Hans"))


def entry(**facts: Any) -> dict[str, Any]:
    """An entry as the list reads it; `before` and `after` are JSON there."""
    row = {"act": "", "object": "", "object_name": None, "person_kind": None, "room_id": None}
    sides = {side: json.dumps(facts.pop(side, {})) for side in ("before", "after")}
    return row | sides | facts


@pytest.mark.parametrize(
    ("facts", "en", "zh"),
    [
        ({"after": {"payment_id": 7, "amount_minor": 123_450}},
         "Amount: ¥1,234.50 · Payment: 7", "金额：¥1,234.50 · 收款单号：7"),
        ({"act": "alarm.close", "before": {"open": True}, "after": {"open": False}},
         "Still open: Yes → No", "未关闭：是 → 否"),
        ({"act": "place.edit", "before": {"name": "A1", "area_dm2": 3000, "parent_id": 2},
          "after": {"name": "A1", "area_dm2": 3050, "parent_id": 2}},
         "Area: 30.00 m² → 30.50 m²", "面积：30.00 m² → 30.50 m²"),
        ({"act": "gateway.add", "after": {"name": "GW", "direction": "dial_in", "address": ""}},
         "Gateway name: GW · Direction: Gateway calls in · Network address: —", None),
        ({"act": "tariff.add_flat", "after": {"body": {"versions": []}}}, "", ""),
        ({"act": "policy.edit", "before": {"quiet_start_minute": 1320},
          "after": {"quiet_start_minute": 1260}}, "Quiet from: 22:00 → 21:00", None),
        ({"act": "role.add", "after": {"verbs": ["alarm.close", "room.read"]}},
         "It lets them: Close alarms, See rooms, balances and readings", None),
        ({"act": "staff.invite", "after": {"role": "cashier", "place": "building:3"}},
         "Role: Cashier · Where: Building 3", None),
        ({"act": "gone", "after": {"what_it_was": 3}}, "what it was: 3", "what it was：3"),
    ],
)  # fmt: skip
def test_what_changed_is_told_in_the_words_and_the_money_of_the_reader(facts, en, zh):
    told = change_told(entry(**facts))
    assert told(EN) == en
    assert zh is None or told(ZH) == zh


@pytest.mark.parametrize(
    ("facts", "told", "link"),
    [
        ({"object": "meter:5", "object_name": "000000000005"}, "Meter 000000000005", "meters/5"),
        ({"object": "point:4", "object_name": "A104", "room_id": 8}, "Point A104", "rooms/8"),
        ({"object": "gateway:3"}, "Gateway 3", None),
        ({"object": "customer:2"}, "Customer 2", "customers/2"),
        ({"object": "person:1", "person_kind": "client", "object_name": "ERP"}, "API client ERP",
         "clients/1"),
        ({"object": "person:1", "person_kind": "staff", "object_name": "李娜"}, "Staff member 李娜",
         "staff/1"),
        ({"object": "project:1", "object_name": "安瑞"}, "Project 安瑞", "/projects/1/settings"),
        ({"object": "something"}, "something", None),
        ({"object": "unheard:9"}, "unheard:9", None),
    ],
)  # fmt: skip
def test_an_object_is_called_by_its_name_and_leads_to_its_page(facts, told, link):
    row = entry(**facts)
    assert object_told(row)(EN) == told
    assert object_link(row) == link


def test_every_act_has_a_title_and_an_old_one_its_name():
    assert {act.name for act in ACTS} <= set(ACT_TITLES)
    assert act_title("credit.add") == "Recharge"
    assert act_title("act.of_yesterday") == "act.of_yesterday"
