"""Every right has a word, and every device one a person knows it by."""

import pytest

from meterhouse.flows.access import IN_BUILDINGS, ROLES, STEP_UP, ScopeKind, Verb
from meterhouse.web.agents import device
from meterhouse.web.rolewords import ROLE, SCOPE, VERB, role_word
from meterhouse.words import words


def test_every_verb_role_and_scope_has_a_word():
    assert set(VERB) == set(Verb)
    assert set(ROLE) == set(ROLES)
    assert set(SCOPE) == set(ScopeKind)
    assert len(set(VERB.values())) == len(VERB)


def test_no_weighty_verb_is_granted_in_a_building():
    assert not IN_BUILDINGS & STEP_UP


def test_an_own_role_is_called_as_it_was_titled():
    assert role_word("cashier", "", words("zh-Hans")) != role_word("cashier", "", words("en"))
    assert role_word("porter", "Porter", words("zh-Hans")) == "Porter"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        (
            "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1 MicroMessenger/8",
            "WeChat on iPhone",
        ),
        ("curl/8.0", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_a_device_is_called_by_browser_and_system(agent, said):
    assert device(agent, words("en")) == said
