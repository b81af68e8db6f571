"""A house in any order: the same money.

A life of a house is told twice, on the real store. Once in order, under the prices as they stand in
the end: readings as they are read, a meter exchanged, a first or another tariff given, households
that come and go, grow and shrink, somebody else who keeps the money for a while, and
what nobody read estimated when all is over. And once as it comes: readings permuted, late, repeated
and cut into batches, with bookings, estimates, corrections of both tariffs' prices and their sweeps
in between, some of them killed on the way; and where a tariff was forgotten, or a wrong one given,
the right one is given later, since then. What the books then say must be the same to the last Nano.

Only what cannot happen is left out: nothing arrives before it was read, nothing of a meter after it
was taken down, and no correction begins after it is made.

`METERHOUSE_SOAK=1` lets it run for as long as a long coffee takes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterhouse.flows import correct
from meterhouse.model import Keeper
from meterhouse.store import proofs
from premises import MORNING, Site
from property.living import Corrected, Turn, finally_, house
from property.test_any_order import (
    INSTANTS,
    PERSONS,
    START,
    STEP,
    TARIFFS,
    Told,
    books_of,
    chains,
    differ,
)

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
EXAMPLES = 2_000 if SOAK else 20
END = START + STEP * (INSTANTS + 3)
TICK = timedelta(minutes=1)
KEEPERS = [Keeper.PLATFORM, Keeper.EXTERNAL, Keeper.NONE]


@dataclass(frozen=True)
class Part:
    """What lies between two turns: its readings in order, what happens at will, the turn after."""

    read: Sequence[Told]
    events: Sequence[Any]
    turn: Turn | None


@st.composite
def turns(draw: st.DrawFn, mistaken: Turn | None) -> list[Turn]:
    """Up to three turns at instants that are no reading's, nor within a quarter of an hour after
    one where that would count as taken at the turn; the mistaken one is the first."""
    places = sorted(draw(st.sets(st.integers(1, INSTANTS), min_size=mistaken is not None,
                                 max_size=3)))  # fmt: skip
    kinds = ["exchange", "keeper", "keeper", "leave", "come", "persons", "persons"]
    found = []
    if mistaken is None:
        kinds.append("tariff")
    else:
        at = START + STEP * places.pop(0) + timedelta(minutes=7)
        found.append(replace(mistaken, at=at))
    kinds = draw(st.permutations(kinds))
    for place, kind in zip(places, kinds, strict=False):
        at = START + STEP * place + timedelta(minutes=20 if kind == "come" else 7)
        closing_milli = draw(st.integers(0, 5_000)) if kind in ("exchange", "leave") else None
        found.append(Turn(
            at, kind, draw(st.sampled_from([None, *sorted(TARIFFS)])) if kind == "tariff" else None,
            closing_milli, draw(st.sampled_from(KEEPERS)) if kind == "keeper" else None,
            kind == "leave" and draw(st.booleans()), draw(st.sampled_from(PERSONS)),
        ))  # fmt: skip
    return found


@st.composite
def corrected(draw: st.DrawFn, until: datetime, *, is_given: bool) -> Corrected:
    """A correction that may be made at an instant."""
    most = int((until - START) / TICK) - 1
    since = START + TICK * draw(st.integers(-60, most))
    limits = draw(st.sampled_from([(), (9_000,), (4_000, 30_000)]))
    adds = draw(st.sampled_from([0, 5_003]))
    return Corrected(since, draw(st.integers(-250_000, 900_000)), limits, is_given, adds)


@st.composite
def mistakes(draw: st.DrawFn, tariff: str) -> Turn:
    """A tariff that should have been given; in the past only one whose bands the same decide."""
    like = [one for one in sorted(TARIFFS) if (one == "by meter") == (tariff == "by meter")]
    given, mistaken = draw(st.sampled_from(like)), draw(st.sampled_from(["", *like]))
    return Turn(START, "tariff", given, mistaken=mistaken)


@st.composite
def stories(draw: st.DrawFn, *, is_mended: bool = False) -> tuple[str, bool, list[Part]]:
    """A tariff, whether the rooms are let, and the parts of a story of one or two meters."""
    told = [one for room in range(draw(st.integers(1, 2))) for one in draw(chains(room))]
    tariff = draw(st.sampled_from(sorted(TARIFFS)))
    mistaken = draw(mistakes(tariff)) if is_mended else None
    ahead = draw(turns(mistaken))
    if (
        tariff != "by meter"
        and any(turn.what == "persons" for turn in ahead)
        and draw(st.booleans())
    ):
        tariff = "by persons"
    owes = False
    edges = [*(turn.at for turn in ahead), END]
    parts, late, is_given = [], [], False
    for place, edge in enumerate(edges):
        turn = ahead[place] if place < len(ahead) else None
        since = edges[place - 1] if place else datetime.min.replace(tzinfo=START.tzinfo)
        read = [one for one in told if since <= one[1] < edge]
        pool = draw(st.permutations([*late, *read]))
        # Nothing of a meter arrives once it was taken down; and what is read by hand is judged by
        # what is known.
        must = turn is None or turn.closing_milli is not None
        cut = len(pool) if must else draw(st.integers(0, len(pool)))
        arrived, late = pool[:cut], pool[cut:]
        if arrived:
            arrived = arrived + draw(st.lists(st.sampled_from(arrived), max_size=2))
        cuts = sorted(draw(st.lists(st.integers(0, len(arrived)), max_size=2)))
        events: list[Any] = [arrived[a:b] for a, b in zip([0, *cuts], [*cuts, len(arrived)],
                                                          strict=True)]  # fmt: skip
        more: list[Any] = []
        for _ in range(draw(st.integers(0 if ahead else 1, 2))):
            of_given = is_given and draw(st.booleans())
            more.append(draw(corrected(edge - TICK, is_given=of_given)))
        more += draw(st.lists(st.sampled_from(["sweep", "kill"]), max_size=2))
        if owes and (turn is None or draw(st.booleans())):
            more.append("mend")
            owes = False
        # Whoever comes does not take back what the house was estimated.
        if must and not any(one.what == "come" for one in ahead[place:]):
            more += draw(st.lists(st.just("estimate"), max_size=2))
        for one in more:
            events.insert(draw(st.integers(0, len(events))), one)
        parts.append(Part(sorted(read, key=lambda one: one[1]), events, turn))
        is_given = is_given or (turn is not None and turn.tariff is not None)
        owes = owes or (turn is not None and turn.mistaken is not None)
    return tariff, draw(st.booleans()), parts


async def told_of(site: Site) -> list[dict[str, Any]]:
    """What the books say of each room; of every household what it pays for, and what it owes.

    Who is there no more is one with all who left: what came late of theirs the house's own books
    hold.
    """
    found = await books_of(site)
    for books, point_id in zip(found, site.points, strict=True):
        # A purse of the house pays for several rooms.
        del books["left_nano"]
        owed = await site.rows(
            """with taken as (
                select a.agreement_id, case when a.id = t.debit_account_id then t.amount_minor
                    else -t.amount_minor end * 10000000 as nano
                from transfer t join account a on a.id in (t.debit_account_id, t.credit_account_id)
                    and a.kind not in ('revenue', 'rounding')
                where t.point_id = $1 and t.kind in ('booking', 'rounding')
                union all select a.agreement_id, s.accrued_nano from point_state s
                join point p on p.id = s.point_id join account a on a.id = p.account_id
                where s.point_id = $1)
            select case when g.valid_to is null and g.id is not null then g.kind else 'left' end
                as who, sum(nano)::int8 as nano
            from taken left join agreement g on g.id = agreement_id
            group by 1 having sum(nano) <> 0 order by 1""",
            point_id,
        )
        books["charged"] = await site.rows(
            """select sum(c.amount_nano)::int8 as nano from (select distinct on (ended_at) *
                   from charge where point_id = $1 order by ended_at, version desc) c
               where c.started_at < c.ended_at group by c.account_id order by c.account_id""",
            point_id,
        )
        state = await site.row("select aside_nano from point_state where point_id = $1", point_id)
        books |= {"owed": owed, "aside_nano": state["aside_nano"]}
    return found


@pytest.fixture
async def books(address, db, monkeypatch):
    """The database of all stories; at the end the proofs must hold over all of them."""
    monkeypatch.setattr(correct, "POINTS_AT_ONCE", 1)
    yield db
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=stories(), is_bare=st.booleans())
async def test_corrected_prices_in_any_order_lead_to_the_same_money(books, story, is_bare):
    await told_twice(books, story, is_bare=is_bare)


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=stories(is_mended=True), is_bare=st.booleans())
async def test_a_tariff_given_since_the_past_leads_to_the_same_money(books, story, is_bare):
    await told_twice(books, story, is_bare=is_bare)


async def told_twice(
    books: Any, story: tuple[str, bool, list[Part]], *, is_bare: bool
) -> None:  # fmt: skip
    """Tell a story in order and at will; `is_bare`: its points begin without a tariff."""
    tariff, is_let, parts = story
    rooms = 1 + max((one[0] for part in parts for one in part.read), default=0)
    made = [one for part in parts for one in part.events if isinstance(one, Corrected)]
    of_own, of_given = ([one for one in made if one.is_given is kind] for kind in (False, True))
    ended = finally_(TARIFFS[tariff], of_own)
    in_order = await house(books, "in order", ended, rooms, is_let=is_let)
    at_will = await house(books, "at will", TARIFFS[tariff], rooms, is_let=is_let)
    turned = [part.turn for part in parts if part.turn is not None]
    # Where none was, the platform's own bands are; and nobody can leave by what has no price.
    is_left = any(turn.closing_milli is not None for turn in turned)
    is_forgotten = any(turn.mistaken == "" for turn in turned)
    if is_bare and tariff != "by meter" and not (is_left and is_forgotten):
        for one in (in_order, at_will):
            await one.edit(MORNING, tariff_id=None)
    for part in parts:
        turn = part.turn
        until = (turn.at if turn else END) - TICK
        in_order.site.clock.at = at_will.site.clock.at = until
        for one in part.read:
            await in_order.read([one])
        for event in part.events:
            await at_will.live(event)
        if turn is not None:
            body = TARIFFS[turn.tariff] if turn.tariff is not None else None
            final = finally_(body, of_given) if body is not None else None
            await in_order.turn(turn, final)
            await at_will.turn(turn, body, errs=True)
    for one in at_will.asked:
        await at_will.sweep(one)
    for one in (in_order, at_will):
        await one.estimate()
        await one.bill()
    straight, crooked = await told_of(in_order.site), await told_of(at_will.site)
    assert [differ(*pair) for pair in zip(straight, crooked, strict=True)] == [{}] * len(straight)
