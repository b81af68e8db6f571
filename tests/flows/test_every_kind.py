"""Whatever kind a transfer is of, it says what it rests on, and its sums add up."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from meterhouse.flows import account, close, customer, fee, move, refund, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.explain import BASIS, Basis, explain_transfer
from meterhouse.flows.refund import Slip
from meterhouse.flows.settle import Debt, Leaving
from meterhouse.model import Compartment, PaymentKind, TransferKind
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from meterhouse.units import Minor
from meterhouse.web.moneywords import TRANSFER_KIND
from street import build_lived

SRC = Path(settle.__file__).parents[1]
LEAVING = Leaving("the lease has ended")
# One brings credit and pays a deposit, the other owed already and had paid one before.
TERMS = (
    Terms(credit_minor=5_000, deposit_minor=20_000), Terms(debt_minor=50, held_minor=3_000),
)  # fmt: skip
HOUSEHOLD = {
    "recharge", "refund", "reversal", "move", "deposit", "deposit_refund", "fee", "opening",
    "opening_debt", "opening_deposit", "settlement", "write_off", "booking", "rounding",
}  # fmt: skip
METERED = {
    "recharge", "reserve", "apply", "return", "take_back", "deducted", "adopted", "taken_over",
}  # fmt: skip


def test_every_kind_has_a_basis_a_word_and_a_household_that_meets_it():
    assert set(BASIS) == set(TRANSFER_KIND) == set(TransferKind)
    assert set(TransferKind) == HOUSEHOLD | METERED
    assert {one.value for one in PaymentKind} <= set(TransferKind)


def test_nothing_is_written_under_another_name():
    """No transfer is made with a bare word, in Python or in SQL."""
    found = set()
    for path in SRC.rglob("*.py"):
        if "migrations" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for part in re.findall(r"insert into transfer \(.*?from", text, re.S):
            found |= set(re.findall(r"'posted',\s+'(\w+)'", part))
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "NewTransfer":
                assert not any(
                    isinstance(one, ast.Constant) and isinstance(one.value, str)
                    for one in call.args
                ), f"{path}:{call.lineno}"
    assert found == {"booking", "recharge"}


async def explained(site):
    """Every transfer of the project, explained, by its kind."""
    rows = await site.rows("select id, kind from transfer order by id")
    found = {}
    for row in rows:
        one = await explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
        found.setdefault(row["kind"], []).append(one)
    return found


async def adds_up(site, found):
    """All that is told is told whole, and every account ends where its last transfer left it."""
    ended = {}
    for kind, told in found.items():
        for one in told:
            assert one.basis is BASIS[kind]
            assert one.is_told, kind
            assert one.booking is None or one.booking.is_exact
            sides = [side for side in ("debit", "credit") if one.row[f"{side}_agreement_id"]]
            for side, standing in zip(sides, one.standings, strict=True):
                before = ended.get(one.row[f"{side}_account_id"], (0, 0))
                ended[one.row[f"{side}_account_id"]] = max(
                    before, (one.row["id"], standing.after_minor)
                )
    rows = await site.rows(
        "select id, credit_minor - debit_minor as minor from account where agreement_id is not null"
        " and (credit_minor <> 0 or debit_minor <> 0)"
    )
    assert {row["id"]: row["minor"] for row in rows} == {
        account_id: minor for account_id, (_, minor) in ended.items()
    }
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


@pytest.fixture
async def lived(new_site):
    """Two households with all that can happen to one at the desk, from first day to last."""
    site = await new_site(rooms=2, is_let=False)
    site.clock.step(minutes=1)
    made = []
    for n, terms in enumerate(TERMS):
        guest = await customer.add(site.db, site.project_id, Facts(f"Guest {n}"), "en")
        key = (site.db, site.project_id, site.rooms[n].place_id, guest, terms, None, site.clock())
        made.append(await account.open_account(*key))
    slip = Slip("cash", "r-1", "typed wrong", None, site.clock())
    wrong = await site.pay(700)
    await refund.reverse(site.db, site.project_id, wrong.payment_id, slip)
    await site.pay(1_000)
    back = (site.db, site.project_id, site.points[0], Minor(200))
    await refund.refund(*back, replace(slip, key="r-2"))
    await move.move(
        site.db, site.project_id, made[0], Compartment.ELECTRICITY, made[1],
        Compartment.ELECTRICITY, 100, "m-1", "a friend", None, site.clock(),
    )  # fmt: skip
    await move.move(
        site.db, site.project_id, made[0], Compartment.ELECTRICITY, made[0], Compartment.COMMON,
        300, "m-2", "for the card", None, site.clock(),
    )  # fmt: skip
    charged = replace(slip, key="f-1", channel=fee.FROM_PURSE, reason="a new card")
    await fee.charge(site.db, site.project_id, site.points[0], Minor(300), charged)
    for n in (0, 1):
        await site.say(0, n)
    site.clock.step(minutes=30)
    await site.say(5_003, 0)
    await site.say(6_000, 1)
    await close.book_day(site.db, site.project_id, site.clock())
    site.clock.step(minutes=30)
    await site.say(6_000, 1)
    await site.say(10_009, 0)  # 600.54 fen in all: the last booking leaves more than half a coin
    site.clock.step(minutes=1)
    ends = (site.db, site.project_id)
    await settle.close(*ends, made[0], LEAVING, None, site.clock())
    wiped = replace(LEAVING, debt=Debt.WRITE_OFF)
    await settle.close(*ends, made[1], wiped, None, site.clock())
    return site


async def test_all_that_can_happen_at_the_desk_is_explained(lived):
    found = await explained(lived)
    assert set(found) == HOUSEHOLD
    await adds_up(lived, found)
    (paid_out,) = found["settlement"]
    assert [one["milli"][0] for one in paid_out.closing.registers] == [10_009]
    (standing,) = paid_out.standings
    assert {one.kind: one.moved_minor for one in standing.sums} == {
        "opening": 5_000, "recharge": 1_700, "reversal": -700, "refund": -200, "move": -400,
        "booking": -600, "rounding": -1,
    }  # fmt: skip
    assert (standing.before_minor, standing.after_minor) == (4_799, 0)
    (wiped,) = found["write_off"]
    assert (wiped.order, wiped.closing.written_off_minor) == (None, 310)
    assert wiped.standings[0].after_minor == 0
    assert [one.row["amount_minor"] for one in found["deposit_refund"]] == [20_000, 3_000]
    assert all(one.closing is not None for one in found["deposit_refund"])
    assert found["opening"][0].closing is None


async def test_a_household_reads_nothing_of_another(lived):
    one, _ = (await explained(lived))["move"]
    gave, got = one.households
    assert [each.agreement_id for each in one.standings] == [gave, got]
    for household in (gave, got):
        assert [each.agreement_id for each in one.to(household).standings] == [household]
    assert one.to(None).standings == []


async def test_a_rounding_names_the_accruals_it_closed(lived):
    (one,) = (await explained(lived))["rounding"]
    booking = one.booking
    assert booking.is_last
    assert booking.booked_nano == 10_000_000
    # 10.009 kWh at 0.60 are 6.0054, of which 6.00 was booked before.
    assert (booking.carried_nano + booking.added_nano, booking.rest_nano) == (
        5_400_000, 5_400_000 - 10_000_000,
    )  # fmt: skip
    assert one.standings[0].moved_minor == -1


async def test_what_follows_a_rounding_carries_nothing_over(lived):
    state = await lived.state()
    lived.clock.step(minutes=30)
    await lived.say(20_009)
    assert (await lived.state())["accrued_nano"] == 10_000 * 600_000
    async with lived.db.transaction([lived.project_id]) as connection:
        rows = await connection.fetch(
            "select booking, amount_nano from charge order by ended_at desc limit 1"
        )
    assert rows[0]["booking"] == state["booking"]


@pytest.fixture
async def street(db, clock):
    return await build_lived(db, clock)


async def test_all_that_can_happen_to_money_in_a_meter_is_explained(street):
    site = street.site
    found = await explained(site)
    assert set(found) == METERED
    await adds_up(site, found)
    for one in found["adopted"] + found["deducted"]:
        assert one.row["amount_minor"] == abs(one.report.used_minor)
    (first,) = found["adopted"]
    assert (first.report.known_minor, first.report.said_minor) == (0, 1_000)
    (out,) = found["taken_over"]
    assert out.row["amount_minor"] == out.report.said_minor
    arrived = found["apply"][0].journey
    assert (arrived.added_minor, arrived.steps[-1].deed) == (500, "post")
    assert found["take_back"][0].journey.added_minor == -400
    assert found["return"][0].journey.steps[-1].deed == "cancelled"


async def test_a_deduction_is_held_against_what_was_rated_in_the_same_span(street):
    found = await explained(street.site)
    one = found["deducted"][0].report
    assert one.interval_count == len(one.intervals) == 1
    assert one.rated_nano == sum(each.amount_nano for each in one.intervals) > 0
    assert all(each.is_exact for each in one.intervals)
    assert one.known_at < one.intervals[0].ended_at <= one.read_at


async def test_what_was_written_before_it_was_kept_is_told_as_far_as_it_goes(street, address):
    connection = await asyncpg.connect(**address.arguments(None))
    await connection.execute("set session_replication_role = replica")
    await connection.execute("delete from purse_report")
    await connection.close()
    one = (await explained(street.site))["deducted"][0]
    assert (one.basis, one.is_told) == (Basis.REPORT, False)
    assert one.standings[0].moved_minor == -one.row["amount_minor"]
