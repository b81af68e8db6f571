"""A cashier's shift: what belongs to it, what the drawer should hold, who may end it."""

import pytest

from meterhouse.errors import OutOfRange
from meterhouse.flows import access, sale, shift
from meterhouse.flows.choice import ChoiceGone
from meterhouse.flows.refund import PayoutNeedsSecond
from meterhouse.flows.sale import Wish
from meterhouse.units import Minor

PASSWORD = "a-long-enough-password"


async def cashier(site, login):
    return await access.add_person(
        site.db, login, login, PASSWORD, "cashier", "project", site.project_id, site.clock()
    )


async def sell(site, cashier_id, key, amount_minor, channel="cash"):
    given = Wish(Minor(amount_minor), None, channel, None, key)
    return await sale.sell(
        site.db, site.project_id, site.points[0], given, cashier_id, site.clock()
    )


async def opened(site, cashier_id, float_minor=20_000):
    return await shift.open_one(site.db, site.project_id, cashier_id, float_minor, site.clock())


async def test_the_drawer_holds_float_and_cash_and_the_difference_is_kept(site):
    li = await cashier(site, "li")
    await sell(site, li, "before", 100)
    shift_id = await opened(site, li)
    await sell(site, li, "k-1", 5_000)
    await sell(site, li, "k-2", 3_000, "card")
    now = await shift.look(site.db, site.project_id, shift_id)
    assert [(one.channel, one.in_count, one.in_minor) for one in now.channels] == [
        ("cash", 1, 5_000), ("card", 1, 3_000),
    ]  # fmt: skip
    assert now.expected_minor == 25_000
    done = await shift.close(
        site.db, site.project_id, shift_id, li, 24_900, "a torn note", site.clock()
    )
    assert (done.expected_minor, done.difference_minor, done.next_id) == (25_000, -100, None)
    await sell(site, li, "after", 100)
    row = (await shift.look(site.db, site.project_id, shift_id)).row
    assert (row["difference_minor"], row["note"]) == (-100, "a torn note")
    owners = await site.rows("select shift_id from payment order by id")
    assert [one["shift_id"] for one in owners] == [None, shift_id, shift_id, None]


async def test_one_open_shift_a_cashier_and_it_is_theirs_alone(site):
    li, wang = await cashier(site, "li"), await cashier(site, "wang")
    shift_id = await opened(site, li)
    with pytest.raises(shift.ShiftOpen):
        await opened(site, li)
    with pytest.raises(shift.ShiftOfAnother):
        await shift.close(site.db, site.project_id, shift_id, wang, 0, "", site.clock())
    await shift.close(site.db, site.project_id, shift_id, li, 20_000, "", site.clock())
    with pytest.raises(shift.ShiftClosed):
        await shift.close(site.db, site.project_id, shift_id, li, 20_000, "", site.clock())
    with pytest.raises(OutOfRange):
        await opened(site, li, -1)


async def test_handing_over_begins_the_colleagues_shift_with_what_was_counted(site):
    li, wang = await cashier(site, "li"), await cashier(site, "wang")
    shift_id = await opened(site, li)
    for nobody in ("li", "ghost"):
        with pytest.raises(ChoiceGone):
            await shift.close(
                site.db, site.project_id, shift_id, li, 1, "", site.clock(), to_login=nobody
            )
    done = await shift.close(
        site.db, site.project_id, shift_id, li, 20_500, "", site.clock(), to_login="wang"
    )
    assert await shift.mine(site.db, site.project_id, wang) == done.next_id
    row = (await shift.look(site.db, site.project_id, done.next_id)).row
    assert row["float_minor"] == 20_500
    other = await opened(site, li)
    with pytest.raises(shift.ColleagueBusy):
        await shift.close(
            site.db, site.project_id, other, li, 20_000, "", site.clock(), to_login="wang"
        )
    assert await shift.mine(site.db, site.project_id, li) == other


async def test_above_the_limit_another_person_agrees_to_a_hand_over(site):
    li, wang = await cashier(site, "li"), await cashier(site, "wang")
    await site.rows(
        """update project set policy = policy || '{"refund_second_minor": 20000}' returning id"""
    )
    shift_id = await opened(site, li)

    async def hand_over(counted_minor=20_500, **more):
        return await shift.close(
            site.db, site.project_id, shift_id, li, counted_minor, "", site.clock(), "wang", **more
        )

    for second_id in (None, li):
        with pytest.raises(PayoutNeedsSecond):
            await hand_over(second_id=second_id)
    with pytest.raises(shift.ShiftMoved):
        await hand_over(second_id=wang, seen_minor=19_999)
    done = await hand_over(second_id=wang, seen_minor=20_000)
    assert await shift.mine(site.db, site.project_id, wang) == done.next_id


async def test_up_to_the_limit_and_on_closing_one_person_is_enough(site):
    li = await cashier(site, "li")
    await cashier(site, "wang")
    await site.rows(
        """update project set policy = policy || '{"refund_second_minor": 20000}' returning id"""
    )
    first = await opened(site, li)
    await shift.close(site.db, site.project_id, first, li, 90_000, "", site.clock())
    second = await opened(site, li)
    done = await shift.close(site.db, site.project_id, second, li, 20_000, "", site.clock(), "wang")
    assert done.next_id is not None


async def test_the_shift_of_who_does_not_come_back_is_closed_by_another(site):
    li, boss = await cashier(site, "li"), await cashier(site, "boss")
    shift_id = await opened(site, li)
    await sell(site, li, "k-1", 5_000)
    with pytest.raises(shift.ShiftOwn):
        await shift.close_for(site.db, site.project_id, shift_id, li, 0, "gone", site.clock())
    done = await shift.close_for(
        site.db, site.project_id, shift_id, boss, 24_000, "left without closing", site.clock()
    )
    assert (done.expected_minor, done.difference_minor) == (25_000, -1_000)
    with pytest.raises(shift.ShiftClosed):
        await shift.close_for(site.db, site.project_id, shift_id, boss, 0, "again", site.clock())
    assert await shift.mine(site.db, site.project_id, li) is None
