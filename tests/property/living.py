"""A house that lives: what may happen to it, each by the flow that does it in life.

For stories that are told twice (`test_corrections`). Owns no order of events.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from meterhouse.flows import (
    account,
    backdate,
    bills,
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
from meterhouse.store import assignments, catalog, corrections
from meterhouse.store.assignments import NewAssignment
from meterhouse.store.corrections import NewCorrection
from meterhouse.store.personal import Facts
from premises import HASTY, MODEL, MORNING, Clock, Site, build_site
from property.test_any_order import TARIFFS, Told


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


class Killed(Exception):
    """Somebody pulled the plug."""


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

    async def bill(self) -> None:
        await bills.tend(self.site.db, self.site.tariffs, self.site.project_id, self.site.clock())

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
        await self.bill()
        await close.book_day(self.site.db, self.site.project_id, self.site.clock())


async def house(db: Any, name: str, body: dict[str, Any], rooms: int, *, is_let: bool) -> House:
    """A house that estimates after an hour of silence."""
    policy = HASTY | {"estimate_after_h": 1}
    site = await build_site(
        db, Clock(MORNING), rooms=rooms, tariff=body, name=name, policy=policy, is_let=is_let
    )
    return House(site, body, list(site.meters))
