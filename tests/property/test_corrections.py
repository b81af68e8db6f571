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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterhouse.flows import (
    account,
    backdate,
    close,
    correct,
    customer,
    device,
    estimate,
    exchange,
    lastread,
    onboard,
    persons,
    settle,
)
from meterhouse.flows.account import LetAlready, NothingToPayFor, Terms
from meterhouse.flows.exchange import Exchange
from meterhouse.flows.settle import Balance, Debt, Leaving
from meterhouse.model import Keeper
from meterhouse.store import assignments, catalog, corrections, proofs
from meterhouse.store.assignments import NewAssignment
from meterhouse.store.corrections import NewCorrection
from meterhouse.store.personal import Facts
from premises import HASTY, MODEL, MORNING, Clock, Site, build_site
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
class Corrected:
    """From when on, by how much dearer (in millionths), which blocks, and of which tariff.

    `adds` is what three persons or more have in addition to each limit.
    """

    since: datetime
    dearer_micro: int
    limits: tuple[int, ...]
    is_given: bool
    adds: int = 0


@dataclass(frozen=True)
class Turn:
    """What happens to all rooms at an instant.

    A tariff (or none) is given, all meters are `exchanged`, households `leave` for others or for
    nobody, `come` into vacant rooms, or are other `persons` from then on, or another keeps the
    money. `closing_milli` is what was used until then since the last reading, where somebody looks
    at the meters; `count` is how many persons there are then, or come. `mistaken` is what is given
    at will instead of a tariff, or forgotten (an empty text), until it is mended.
    """

    at: datetime
    what: str
    tariff: str | None = None
    closing_milli: int | None = None
    keeper: Keeper | None = None
    is_followed: bool = False
    count: int = 1
    mistaken: str | None = None


@dataclass(frozen=True)
class Part:
    """What lies between two turns: its readings in order, what happens at will, the turn after."""

    read: Sequence[Told]
    events: Sequence[Any]
    turn: Turn | None


class Killed(Exception):
    """Somebody pulled the plug."""


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


def corrected_version(body: dict[str, Any], one: Corrected) -> dict[str, Any]:
    """The last version of a scheme with other prices and blocks, from an instant on."""
    last = body["versions"][-1]
    prices = {
        band: [max(rows[0] + one.dearer_micro * step // 2 + 1, step)
               for step in range(1, len(one.limits) + 2)]
        for band, rows in last["prices_micro"].items()
    }  # fmt: skip
    blocks: dict[str, Any] = {"period": "month", "limits_milli": list(one.limits)}
    if one.adds:
        blocks["persons"] = [{"persons": 3, "add_milli": [one.adds for _ in one.limits]}]
    return last | {
        "effective_from": one.since.isoformat(), "prices_micro": prices, "blocks": blocks,
    }  # fmt: skip


def finally_(body: dict[str, Any], made: Sequence[Corrected]) -> dict[str, Any]:
    """The scheme as all corrections leave it, the later ones in place of the earlier."""
    for one in made:
        kept = [v for v in body["versions"]
                if datetime.fromisoformat(v["effective_from"]) < one.since]  # fmt: skip
        body = body | {"versions": [*kept, corrected_version(body, one)]}
    return body


@dataclass
class House:
    """One telling: its site, the meters and tariffs that are there just now."""

    site: Site
    body: dict[str, Any]
    meters: list[int]
    given_id: int | None = None
    wrong_since: datetime | None = None
    given: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def read(self, batch: Sequence[Told]) -> None:
        await self.site.read(
            *((self.meters[room], at, total, 1, bands) for room, at, total, bands in batch)
        )

    async def turn(self, turn: Turn, given: dict[str, Any] | None, *, errs: bool = False) -> None:
        """Let a turn happen, or what somebody does by mistake."""
        self.site.clock.at = turn.at
        if turn.what == "exchange":
            await self.exchange(turn.at, turn.closing_milli or 0)
        elif turn.what == "leave":
            await self.leave(turn)
        elif turn.what == "come":
            await self.come(turn)
        elif turn.what == "persons":
            await self.count(turn)
        elif turn.what == "keeper":
            await self.edit(turn.at, keeper=turn.keeper)
        else:
            if given is not None:
                self.given = given
                self.given_id = await onboard.publish_tariff(
                    self.site.db, self.site.project_id, given, None, turn.at
                )
            if errs and turn.mistaken is not None:
                await self.mistake(turn.at, turn.mistaken)
            else:
                await self.edit(turn.at, tariff_id=None if given is None else self.given_id)

    async def mistake(self, at: datetime, mistaken: str) -> None:
        """The wrong tariff is given, or none is thought of."""
        self.wrong_since = at
        if mistaken:
            wrong_id = await onboard.publish_tariff(
                self.site.db, self.site.project_id, TARIFFS[mistaken], None, at
            )
            await self.edit(at, tariff_id=wrong_id)

    async def mend(self) -> None:
        """The tariff that should have been given is, since then; its sweep is yet to come."""
        site, since, given_id = self.site, self.wrong_since, self.given_id
        assert since is not None
        assert given_id is not None
        async with site.db.transaction([site.project_id]) as connection:
            project = await catalog.get_project(connection, site.project_id)
            await backdate.plan(
                connection, site.tariffs, project, given_id, since, site.points, site.clock()
            )
            new = NewAssignment(given_id, since, "forgotten", None, None, 1)
            edition = await assignments.publish(
                connection, site.project_id, site.points, new, site.clock()
            )
        self.asked.append({
            "tariff_id": given_id, "since": since.isoformat(), "commodity": "electricity",
            "total": len(site.points), "given": edition,
        })  # fmt: skip

    async def edit(self, at: datetime, **given: Any) -> None:
        """Give every point a `tariff_id` or a `keeper`."""
        key = self.site.db, self.site.project_id
        for point_id in self.site.points:
            row = await device.point(*key, point_id)
            now = {name: given.get(name, row[name]) for name in ("tariff_id", "keeper")}
            await device.edit_point(
                *key, point_id, row["version"], now["tariff_id"], Keeper(now["keeper"]), at
            )

    async def guest(self) -> int:
        return await customer.add(self.site.db, self.site.project_id, Facts("Next"), "zh-Hans")

    async def count(self, turn: Turn) -> None:
        """Every household has so many persons from now on."""
        key = self.site.db, self.site.project_id
        rows = await self.site.rows(
            "select id from agreement where kind = 'tenant' and valid_to is null"
        )
        for row in rows:
            await persons.change(*key, row["id"], turn.count, turn.at)

    async def come(self, turn: Turn) -> None:
        """Somebody moves into every vacant room where there is something to pay for."""
        for room in self.site.rooms:
            key = self.site.db, self.site.project_id, room.place_id, await self.guest()
            with suppress(LetAlready, NothingToPayFor):
                await account.open_account(*key, Terms(persons=turn.count), None, turn.at)

    async def leave(self, turn: Turn) -> None:
        """Every household leaves by what its meter shows, where that can be."""
        key = self.site.db, self.site.project_id
        for room, meter_id in enumerate(self.meters):
            found = await self.site.rows(
                """select a.agreement_id, m.address from point p
                   join account a on a.id = p.account_id
                   join agreement g on g.id = a.agreement_id and g.kind = 'tenant'
                   join meter m on m.id = $2 where p.id = $1""",
                self.site.points[room], meter_id,
            )  # fmt: skip
            for row in found:
                closing = await self.closing(room, turn.closing_milli or 0)
                leaving = Leaving("left", {row["address"]: closing}, debt=Debt.WRITE_OFF)
                with suppress(lastread.LastReadingDoubtful):
                    if turn.is_followed:
                        await settle.move_tenants(
                            *key, row["agreement_id"], await self.guest(),
                            Terms(persons=turn.count), Balance.PAY_OUT, leaving, None, turn.at,
                        )  # fmt: skip
                    else:
                        await settle.close(*key, row["agreement_id"], leaving, None, turn.at)

    async def closing(self, room: int, used_milli: int) -> tuple[int, int, int, int, int]:
        """What a meter shows when so much was used since its last good reading."""
        state = await self.site.state(room)
        total, *bands = (max(state[f"good_{index}_milli"], 0) for index in range(5))
        return total + used_milli, bands[0] + used_milli, bands[1], bands[2], bands[3]

    async def exchange(self, at: datetime, used_milli: int) -> None:
        """Every meter for a new one that begins at zero, where its last registers can be."""
        for room, meter_id in enumerate(self.meters):
            closing = await self.closing(room, used_milli)
            new = Exchange(
                MODEL, f"{900 + room:012}", None, 1, (0, 0, 0, 0, 0), "worn out",
                {f"{room + 1:012}": closing},
            )  # fmt: skip
            # What both tellings know of the meter is the same, and so is whether it can be.
            with suppress(lastread.LastReadingDoubtful):
                done = await exchange.exchange(
                    self.site.db, self.site.project_id, meter_id, new, None, at
                )
                self.meters[room] = done.meter_id

    async def correct(self, one: Corrected) -> None:
        """A correction is published; its sweep is yet to come."""
        tariff_id = self.given_id if one.is_given else self.site.tariff_id
        body = self.given if one.is_given else self.body
        assert tariff_id is not None
        site = self.site
        async with site.db.transaction([site.project_id]) as connection:
            project = await catalog.get_project(connection, site.project_id)
            row = await catalog.get_tariff(connection, site.project_id, tariff_id)
            wanted = body | {"versions": [corrected_version(body, one)]}
            planned = await correct.plan(
                connection, site.tariffs, project, tariff_id, one.since, wanted, site.clock()
            )
            assert planned.version_count == row["version_count"]
            new = NewCorrection(
                one.since, planned.versions, planned.version_count, "wrong", None, None, 1
            )
            await corrections.publish(connection, site.project_id, tariff_id, new, site.clock())
        now = finally_(body, [one])
        if one.is_given:
            self.given = now
        else:
            self.body = now
        self.asked.append({
            "tariff_id": tariff_id, "since": one.since.isoformat(), "commodity": "electricity",
            "total": len(site.points),
        })  # fmt: skip

    async def sweep(self, asked: dict[str, Any], *, killed: bool = False) -> None:
        """A sweep from its beginning; killed after its first transaction, or not."""

        async def tell(_: Any) -> None:
            if killed:
                raise Killed

        key = self.site.db, self.site.tariffs, self.site.project_id, asked, None, self.site.clock
        try:
            await correct.sweep(*key, tell)
        except Killed:
            return

    async def estimate(self) -> None:
        await estimate.tend(
            self.site.db, self.site.tariffs, self.site.project_id, self.site.clock()
        )

    async def live(self, event: Any) -> None:
        """One thing of those that happen at will."""
        if isinstance(event, Corrected):
            await self.correct(event)
        elif event == "mend":
            await self.mend()
        elif event == "estimate":
            await self.estimate()
        elif isinstance(event, list):
            await self.read(event)
        elif self.asked:
            await self.sweep(self.asked[-1], killed=event == "kill")
        await close.book_day(self.site.db, self.site.project_id, self.site.clock())


async def house(db: Any, name: str, body: dict[str, Any], rooms: int, *, is_let: bool) -> House:
    """A house that estimates after an hour of silence."""
    policy = HASTY | {"estimate_after_h": 1}
    site = await build_site(
        db, Clock(MORNING), rooms=rooms, tariff=body, name=name, policy=policy, is_let=is_let
    )
    return House(site, body, list(site.meters))


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
    straight, crooked = await told_of(in_order.site), await told_of(at_will.site)
    assert [differ(*pair) for pair in zip(straight, crooked, strict=True)] == [{}] * len(straight)
