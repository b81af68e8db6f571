"""A cashier's shift: what belongs to it, what the drawer should hold, who may end it."""

import pytest

from meterhouse.errors import OutOfRange
from meterhouse.flows import access, sale, shift
from meterhouse.flows.choice import ChoiceGone
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
