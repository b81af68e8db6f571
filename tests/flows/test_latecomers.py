"""Late readings of many chains at once: the same books as one by one, and who is left to `late`."""

from datetime import timedelta

import pytest

from meterhouse.flows import late, latecomers
from meterhouse.store import proofs
from premises import HOMES, build_site

HALF = timedelta(minutes=30)
ROOMS = 12


@pytest.fixture(autouse=True)
async def proven(address):
    yield
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


@pytest.fixture
def one_by_one(monkeypatch):
    """The points that were judged again one by one."""
    seen, whole = [], late.rerate

    async def counted(connection, tariffs, project, columns, row, from_at_us, at):
        seen.append(int(columns["point_id"][row]))
        return await whole(connection, tariffs, project, columns, row, from_at_us, at)

    monkeypatch.setattr(late, "rerate", counted)
    return seen


async def tell(site, begin, place, energies, *, without=()):
    """What every meter shows at an instant, energies being what each used by then."""
    at = begin + HALF * place
    rooms = [room for room in range(ROOMS) if room not in without]
    await site.read(*((site.meters[room], at, energies(room, place)) for room in rooms))


def shown(room, place):
    return 100_000 + place * (700 + 90 * room) + (place % 3) * 150


async def books_of(site):
    states = await site.rows(
        """select good_at, good_0_milli, block_milli, block_period_at, rated_nano, accrued_nano,
               read_at, suspect_count from point_state where project_id = $1 order by point_id""",
        site.project_id,
    )
    charges = await site.rows(
        """select started_at, ended_at, energy_milli, amount_nano, block_milli, block_period_at,
               verdict, quality from (select distinct on (point_id, ended_at) * from charge
               where project_id = $1 order by point_id, ended_at, version desc) c
           where started_at < ended_at order by point_id, ended_at""",
        site.project_id,
    )
    return states, charges


async def test_they_are_put_in_together_and_the_books_are_those_of_the_order(db, clock, one_by_one):
    begin = clock()
    clock.step(hours=6)
    straight = await build_site(db, clock, rooms=ROOMS, tariff=HOMES, name="in order")
    crooked = await build_site(db, clock, rooms=ROOMS, tariff=HOMES, name="late")
    for place in range(6):
        await tell(straight, begin, place, shown)
    for place in (0, 1, 3, 5, 4, 2):
        await tell(crooked, begin, place, shown)
    assert one_by_one == []
    assert await books_of(crooked) == await books_of(straight)
    # Two versions of what the late reading shortened, one of what it brought.
    versions = await crooked.rows(
        "select max(version) as v from charge where project_id = $1 group by ended_at order by 1",
        crooked.project_id,
    )
    assert [row["v"] for row in versions] == [1, 1, 1, 2, 2]


SUSPECT, TORN, NEW = 0, 1, 2


async def odd_life(site, begin):
    """A room with a suspect, one that contradicted itself, one without a charge before."""
    for place in (0, 1):
        await tell(site, begin, place, shown, without={NEW})
    await tell(site, begin, 3, shown)
    at = begin + HALF
    await site.read((site.meters[TORN], at, shown(TORN, 1) + 10))
    await site.read((site.meters[SUSPECT], begin + HALF * 4, 90_000_000))
    await tell(site, begin, 4, shown, without={SUSPECT})


async def test_what_is_not_plain_is_left_to_be_done_one_by_one(db, clock, one_by_one, monkeypatch):
    begin = clock()
    clock.step(hours=6)
    monkeypatch.setattr(latecomers, "WORTH", 1_000)
    apart = await build_site(db, clock, rooms=ROOMS, tariff=HOMES, name="apart")
    await odd_life(apart, begin)
    await tell(apart, begin, 2, shown)
    assert set(one_by_one) == set(apart.points)
    monkeypatch.setattr(latecomers, "WORTH", 1)
    together = await build_site(db, clock, rooms=ROOMS, tariff=HOMES, name="together")
    await odd_life(together, begin)
    one_by_one.clear()
    await tell(together, begin, 2, shown)
    assert one_by_one == [together.points[room] for room in (SUSPECT, TORN, NEW)]
    assert await books_of(together) == await books_of(apart)
