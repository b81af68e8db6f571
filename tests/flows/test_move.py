"""Money moves between purses: what is available, within a household or to another, never pooled."""

import pytest

from meterhouse.errors import Conflict, NotFound
from meterhouse.flows import account, customer, device, move, project, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.settle import Leaving
from meterhouse.model import Commodity, Keeper
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from meterhouse.store.projects import Payee
from meterhouse.units import Minor


async def moved(site, amount_minor, to=None, key="move-1", parts=("electricity", "common")):
    own = site.rooms[0].agreement_id
    return await move.move(
        site.db, site.project_id, own, parts[0], to or own, parts[1], Minor(amount_minor), key,
        "asked at the desk", None, site.clock(),
    )  # fmt: skip


async def purse(site, room=0, part="electricity"):
    row = await site.row(
        """select credit_minor - debit_minor as minor from account
           where agreement_id = $1 and kind = 'purse' and compartment = $2""",
        site.rooms[room].agreement_id, part,
    )  # fmt: skip
    return row["minor"]


async def holds(site):
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


async def used(new_site):
    """Two households; the first paid 100 and has used a little more than six, not booked yet."""
    site = await new_site(rooms=2)
    await site.pay(10_000)
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(10_005)
    return site


async def test_what_is_left_moves_within_the_household_and_to_another_once(new_site):
    site = await used(new_site)
    made = await moved(site, 1_000)
    assert (await purse(site), await purse(site, part="common")) == (8_400, 1_000)
    other = site.rooms[1].agreement_id
    first = await moved(site, 8_000, other, "move-2", ("electricity", "electricity"))
    again = await moved(site, 8_000, other, "move-2", ("electricity", "electricity"))
    assert first == again != made
    assert (await purse(site), await purse(site, 1)) == (400, 8_000)
    with pytest.raises(Conflict):
        await moved(site, 1, other, "move-2", ("electricity", "electricity"))
    await holds(site)


async def test_what_consumption_has_begun_to_eat_is_not_moved(new_site):
    site = await used(new_site)  # 600.3 fen used: 9399 are available
    with pytest.raises(move.MoreThanAvailable) as told:
        await moved(site, 9_400)
    assert "93.99" in told.value.message()
    assert await purse(site) == 10_000
    await moved(site, 9_399)
    assert await purse(site) == 1
    await holds(site)


async def test_another_payees_money_stays_apart(new_site):
    site = await new_site(rooms=1)
    for part in ("electricity", "water"):
        payee = Payee(part, f"{part} works", "", "", "")
        await project.add_payee(site.db, site.project_id, payee)
    await site.pay(500)
    at = site.clock.step(minutes=1)
    await site.rows(
        """insert into account (project_id, kind, unit, agreement_id, compartment)
           values ($1, 'purse', 'CNY', $2, 'water') returning id""",
        site.project_id, site.rooms[0].agreement_id,
    )  # fmt: skip
    with pytest.raises(move.PayeesDiffer):
        await moved(site, 100, parts=("electricity", "water"))
    await moved(site, 100)  # Nothing but electricity is drawn from the common one yet.
    point_id = await device.add_point(
        site.db, site.project_id, site.rooms[0].place_id, Commodity.WATER, None, Keeper.PLATFORM, at
    )  # fmt: skip
    await site.rows(
        "update agreement_point set agreement_id = $1 where point_id = $2 returning point_id",
        site.rooms[0].agreement_id, point_id,
    )  # fmt: skip
    for parts in (("electricity", "common"), ("common", "water"), ("common", "electricity")):
        with pytest.raises(move.PayeesDiffer):
            await moved(site, 100, parts=parts)
    assert at == site.clock()


async def test_neither_nothing_nor_nowhere_nor_the_same(new_site):
    site = await used(new_site)
    with pytest.raises(move.SamePurse):
        await moved(site, 1, parts=("electricity", "electricity"))
    with pytest.raises(NotFound):
        await moved(site, 1, parts=("electricity", "heat"))
    with pytest.raises(NotFound):
        await moved(site, 1, to=999)


async def test_a_closed_account_neither_gives_nor_takes(new_site):
    site = await used(new_site)
    guest = await customer.add(site.db, site.project_id, Facts("Guest"), "en")
    ended = site.rooms[0].agreement_id
    site.clock.step(minutes=1)
    await settle.close(site.db, site.project_id, ended, Leaving("moved away"), None, site.clock())
    await account.open_account(
        site.db, site.project_id, site.rooms[0].place_id, guest, Terms(), None,
        site.clock.step(minutes=1),
    )  # fmt: skip
    with pytest.raises(account.AccountEnded):
        await moved(site, 1, site.rooms[1].agreement_id)
