"""Money on its way into a meter: every row of the table, its page, and what nothing may lead to."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.control import recharge
from meterhouse.control.recharge import (
    OPENING,
    SENDS_MAX,
    TABLE,
    Balance,
    Deed,
    Facts,
    Purse,
    Reply,
    balance_of,
    decide,
    look_in,
    most_used_minor,
    resend_in,
)
from meterhouse.model import RechargeState
from tidy import ROOT

PAGE = ROOT / "docs" / "recharge.md"
N = 7
UNSENT = Facts(RechargeState.RESERVED, True, True, True, N, N - 1, Balance.OUT)
SENT = replace(UNSENT, state=RechargeState.UNKNOWN, send_count=1)
DEAD = replace(SENT, is_dead=True)
BLIND = replace(SENT, has_counter=False, count=None)

# One example of each row, in the table's order.
EXAMPLES = (
    replace(UNSENT, is_refused=True),
    replace(SENT, is_epoch=False),
    replace(BLIND, has_memory=False),
    replace(BLIND, reply=Reply.POSITIVE),
    replace(SENT, count=None),
    replace(SENT, count=N + 1),
    replace(SENT, count=N - 2),
    replace(UNSENT, count=N),
    UNSENT,
    replace(SENT, count=N, balance=Balance.EITHER),
    replace(SENT, count=N, balance=Balance.OUT),
    SENT,
    replace(DEAD, balance=Balance.IN),
    replace(BLIND, is_dead=True, is_refused=True),
    replace(DEAD, is_refused=True),
    replace(DEAD, is_refused=True, is_fenced=True),
    replace(DEAD, send_count=SENDS_MAX),
    DEAD,
)

facts = st.builds(
    Facts,
    state=st.sampled_from([RechargeState.RESERVED, RechargeState.SENT, RechargeState.UNKNOWN]),
    is_epoch=st.booleans(), has_memory=st.booleans(), has_counter=st.booleans(),
    number=st.just(N), count=st.sampled_from([None, N - 2, N - 1, N, N + 1]),
    balance=st.sampled_from(Balance), reply=st.sampled_from(Reply), is_dead=st.booleans(),
    is_fenced=st.booleans(), is_refused=st.booleans(), send_count=st.integers(1, SENDS_MAX),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_every_row_has_its_case(number):
    assert len(EXAMPLES) == len(TABLE)
    assert decide(EXAMPLES[number]) is TABLE[number]


OURS = replace(SENT, number=1, count=1, is_ours=True)
OTHERS = replace(OURS, count=6, is_ours=False)
OPENINGS = (
    replace(UNSENT, is_refused=True, is_ours=False),
    replace(OURS, is_epoch=False),
    replace(OURS, is_ours=None),
    replace(OURS, state=RechargeState.RESERVED),
    replace(OTHERS, state=RechargeState.RESERVED),
    OURS,
    replace(OURS, count=2),
    OTHERS,
    replace(OTHERS, is_dead=True, is_refused=True),
    replace(OTHERS, is_dead=True, is_refused=True, is_fenced=True),
    replace(OTHERS, is_dead=True, send_count=SENDS_MAX),
    replace(OTHERS, is_dead=True),
)


@pytest.mark.parametrize("number", range(len(OPENING)))
def test_every_row_of_an_opening_has_its_case(number):
    assert len(OPENINGS) == len(OPENING)
    assert decide(OPENINGS[number], OPENING) is OPENING[number]


@pytest.mark.parametrize(("mark", "table"), [("table", TABLE), ("opening", OPENING)])
def test_the_page_prints_the_table_itself(mark, table):
    rows = [
        f"| {place} | {row.name} | {row.deed}{f': `{row.why}`' if row.why else ''} |"
        for place, row in enumerate(table, 1)
    ]
    text = PAGE.read_text()
    found = re.search(rf"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", text, re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == ["| row | when | do |", "|---|---|---|", *rows]


def test_every_halt_is_explained():
    told = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert set(told) >= {row.why for row in TABLE if row.deed is Deed.HALT}


@given(facts)
def test_money_returns_only_when_it_can_never_arrive(some):
    if decide(some).deed is Deed.RETURN:
        never_left = some.state is RechargeState.RESERVED
        fenced = some.is_dead and some.is_fenced and some.reads(-1) and some.balance is Balance.OUT
        assert never_left or fenced


@given(facts)
def test_nothing_is_posted_on_silence_a_refusal_or_a_guess(some):
    if decide(some).deed is Deed.POST:
        assert some.state is not RechargeState.RESERVED
        by_number = some.reads(0) and some.balance in (Balance.IN, Balance.EITHER)
        assert by_number or (not some.has_counter and some.reply is Reply.POSITIVE)


@given(facts)
def test_an_order_goes_out_again_only_when_no_copy_of_it_can_be_taken_any_more(some):
    if decide(some).deed is Deed.RESEND:
        assert (some.is_dead, some.has_memory, some.is_refused, some.is_epoch) == (
            True, True, False, True,
        )  # fmt: skip
        assert some.send_count < SENDS_MAX
        assert not some.has_counter or (some.reads(-1) and some.balance is Balance.OUT)
    if decide(some).deed is Deed.SEND:
        assert some.state is RechargeState.RESERVED


@given(facts)
def test_every_input_leads_somewhere(some):
    assert decide(some) in TABLE


amounts = st.integers(1, 10**6)


@given(amounts, st.integers(0, 10**6), st.integers(-(10**5), 10**5), st.integers(0, 10**8 - 1),
       st.booleans())  # fmt: skip
def test_the_sum_of_purchases_settles_what_the_balance_cannot(amount, used, net, bought, is_in):
    """Whatever the meter deducted, up to the bound, the comparison never says the opposite."""
    came_in = amount if is_in else 0
    now = Purse(net + came_in - used, (bought + came_in) % 10**8)
    verdict = balance_of(Purse(net, bought), now, amount, used)
    assert verdict is (Balance.IN if is_in else Balance.OUT)
    guess = balance_of(Purse(net), replace(now, purchased_minor=None), amount, used)
    assert guess in (verdict, Balance.EITHER)
    assert (guess is Balance.EITHER) <= (used >= amount)


def test_a_balance_that_fits_neither_story_contradicts():
    before = Purse(1_000, 5_000)
    assert balance_of(before, Purse(1_500, 5_400), 400, 50) is Balance.NEITHER
    assert balance_of(before, Purse(1_400, 5_000), 400, 50) is Balance.NEITHER
    assert balance_of(before, Purse(1_000, 5_400), 400, 50) is Balance.NEITHER
    assert balance_of(before, Purse(1_390, 5_300), 400, 50) is Balance.NEITHER
    assert balance_of(before, None, 400, 50) is Balance.UNSAID


def test_taking_back_is_the_same_comparison_downwards():
    before = Purse(1_000)
    assert balance_of(before, Purse(580), -400, 50) is Balance.IN
    assert balance_of(before, Purse(980), -400, 50) is Balance.OUT
    assert balance_of(before, Purse(580), -400, 500) is Balance.EITHER


def test_the_bound_on_what_a_meter_deducts_rounds_up():
    assert most_used_minor(8_800, 3600, 600_000, 2) == 8_800
    assert most_used_minor(8_800, 0, 0, 2) == 0
    assert most_used_minor(1, 1, 0, 2) == 1
    assert most_used_minor(1, -5, 0, 2) == 0


def test_the_bound_follows_a_currency_of_large_numbers():
    assert most_used_minor(1_000, 3600, 60_000_000, 2) == 4 * 6_000


def test_looks_come_often_first_and_then_every_round():
    waits = [look_in(count, 1800) for count in range(6)]
    assert [int(one.total_seconds()) for one in waits] == [5, 30, 120, 600, 1800, 1800]


def test_orders_go_out_again_ever_more_slowly():
    waits = [resend_in(count) for count in range(1, SENDS_MAX)]
    assert waits == [timedelta(minutes=much) for much in (0, 10, 20, 40)]
    assert {RechargeState.HALTED} == recharge.LIVE - recharge.ON_THE_WAY
