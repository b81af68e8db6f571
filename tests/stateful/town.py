"""The town's desk: households come, go and widen, a vacant room overdraws, meters are exchanged.

Owns what happens to whole households and their meters, by the flows that do it in life, each
foretold as at the counter; and what must be true of every household after it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from meterhouse.flows import account, customer, device, exchange, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.exchange import Exchange
from meterhouse.flows.keeping import MeterHoldsMoney
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.model import Keeper
from meterhouse.sim.spec import MeterSpec
from meterhouse.store import recharges
from meterhouse.store.personal import Facts
from stateful.counter import LIMIT_MINOR, Counter
from stateful.homes import Home, Life, Sale
from stateful.watched import must
from street import ESAM

LEAVING = Leaving("moved away")
# A meter that was exchanged behind our back counts backwards, and settles nothing.
UNTOLD = ("last_reading_missing", "last_reading_doubtful")


async def joined(*given: Any) -> bool:
    """Widen an account; whether that was done, since the flow answers nothing."""
    db, project_id, agreement_id, place_id, at = given
    await account.join(db, project_id, agreement_id, place_id, None, at)
    return True


@dataclass
class Desk(Counter):
    """A town, and everything that people ask for at its desk."""

    # What the house kept of rooms that were let since.
    housed: list[int] = field(default_factory=list)

    # Households come and go.

    async def empty(self, room: int) -> None:
        """All money is taken back out of a meter, and its relay opened, as before a leave."""
        self.street.faces[room].meter.trip()
        await self.read(room)
        await self.take_back(room, None)
        await self.wait(2)

    async def overdraw(self, room: int) -> None:
        """A vacant room uses more than is in its meter, which lets it."""
        if self.homes[room].is_let:
            return
        meter = self.street.faces[room].meter
        meter.overdraft_minor = 500
        meter.close()
        self.clock.step(minutes=30)
        await self.read(room)
        meter.overdraft_minor = 0

    async def leave_codes(self, home: Home) -> tuple[str | None, tuple[str, ...]]:
        """How leaving must be refused, and how it may be."""
        for room in home.rooms:
            await self.read(room)
        may = UNTOLD if self.untold & set(home.rooms) else ()
        if await self.is_home_live(home):
            return "money_on_its_way", may
        stays = "money_stays_in_meter" if self.street.model == ESAM else "money_in_meter"
        told = [await self.in_meters_minor(room) for room in home.rooms]
        held = [one for one in told if one is not None]
        most_minor = max(held, key=abs, default=0)
        code = (stays if most_minor > 0 else "meter_overdrawn") if most_minor else None
        if len(held) < len(told) or len([one for one in held if one]) > 1:
            return (code, (*may, stays, "meter_overdrawn")) if code else (None, (*may, stays))
        return code, may

    async def second_needed(self, home: Home, counted_minor: int, who: str) -> str | None:
        """Why one person alone may not close an account out of which so much cash comes, if so."""
        is_unpaid = counted_minor > 0 and home.paid_minor < counted_minor
        needed = (counted_minor > LIMIT_MINOR or is_unpaid) and who != "other"
        return "payout_needs_second" if needed else None

    async def cash_of(self, home: Home) -> int:
        """All that a household gets when it leaves."""
        apart_minor = sum(one.amount_minor for one in home.deposits.values())
        return await self.here_minor(home) + apart_minor

    async def leave(self, room: int, moment: str = "", who: str = "other") -> None:
        """A household's account is closed; the house pays from now on."""
        home, slip = self.homes[room], self.slip(who)
        if not home.is_let:
            return
        code, may = await self.leave_codes(home)
        at = self.clock.step(seconds=1)
        alone = await self.second_needed(home, await self.cash_of(home), who)
        if await self.do(
            lambda: settle.close(self.db, self.site.project_id, home.agreement_id, LEAVING,
                                 slip.actor_id, at, slip.second_id),
            code or alone, moment, "account_ended", may,
        ):  # fmt: skip
            await self.paid_out(home)
            for one in home.rooms:
                await self.begin([one], is_let=False)

    async def hand_over(
        self, room: int, balance: str, moment: str = "", who: str = "other"
    ) -> None:
        """Tenants change in one step; what is left is paid out, or moves on."""
        home, slip = self.homes[room], self.slip(who)
        if not home.is_let:
            return
        code, may = await self.leave_codes(home)
        guest, at = await self.somebody(), self.clock.step(seconds=1)
        left_minor, stays = await self.here_minor(home), Balance(balance) is Balance.MOVE
        alone = await self.second_needed(home, 0 if stays else await self.cash_of(home), who)
        if await self.do(
            lambda: settle.move_tenants(
                self.db, self.site.project_id, home.agreement_id, guest, Terms(deposit_minor=900),
                Balance(balance), LEAVING, slip.actor_id, at, slip.second_id,
            ),
            code or alone, moment, "account_ended", may,
        ):  # fmt: skip
            common_minor = home.common_minor
            if stays:
                home.moved_minor -= left_minor
                home.common_minor = 0
            await self.paid_out(home)
            new = await self.begin(home.rooms, is_let=True)
            if stays:
                new.moved_minor += left_minor
                new.common_minor = common_minor
            await self.note_deposit(new, 900)

    async def paid_out(self, home: Home) -> None:
        """All that was left and every deposit went out of the drawers of who had received it."""
        left_minor = await self.here_minor(home)
        rows = await self.site.rows(
            """select payee_id, sum(amount_minor)::int8 as minor from payment
               where agreement_id = $1 and kind = 'settlement' group by 1""", home.agreement_id,
        )  # fmt: skip
        must(sum(row["minor"] for row in rows) == left_minor, "who left was not paid what was left")
        now_id = self.payee_ids.get("electricity")
        for row in rows:
            payee_id, much_minor = row["payee_id"], row["minor"]
            fair = payee_id == now_id or much_minor <= home.left[payee_id]
            must(fair, "somebody paid back what another had received")
            self.change_hands(home, -much_minor, payee_id)
        for one in home.deposits.values():
            self.change_hands(home, -one.amount_minor, one.payee_id)
        home.out_minor += left_minor
        home.common_minor = 0
        home.deposits.clear()
        self.closed.append(home)

    async def come(self, room: int, credit_minor: int, moment: str = "") -> None:
        """A household moves in, perhaps with credit of before."""
        guest, at = await self.somebody(), self.clock.step(seconds=1)
        place_id = self.site.rooms[room].place_id
        terms = Terms(credit_minor=credit_minor, deposit_minor=700)
        owed_minor = await self.owed_minor(room)
        if await self.do(
            lambda: account.open_account(
                self.db, self.site.project_id, place_id, guest, terms, None, at
            ),
            await self.vacant_code(room), moment, "let_already",
        ):  # fmt: skip
            self.housed.append(await self.here_minor(self.homes[room]) - owed_minor)
            home = await self.begin([room], is_let=True)
            home.in_minor += credit_minor
            home.moved_minor += owed_minor
            await self.note_deposit(home, 700)
            if credit_minor:
                row = await self.site.row(
                    """select id from payment where kind = 'opening' and of_payment_id is null
                       and agreement_id = $1""", home.agreement_id,
                )  # fmt: skip
                self.sales.append(
                    Sale(row["id"], home, credit_minor, self.clock(), is_opening=True)
                )

    async def join(self, room: int, to_room: int, moment: str = "") -> None:
        """A household pays for a further room from now on."""
        home, at = self.homes[to_room], self.clock.step(seconds=1)
        code = await self.vacant_code(room) if home.is_let else "account_ended"
        place_id, owed_minor = self.site.rooms[room].place_id, await self.owed_minor(room)
        project_id, agreement_id = self.site.project_id, home.agreement_id
        done = await self.do(
            lambda: joined(self.db, project_id, agreement_id, place_id, at), code, moment,
            "let_already",
        )  # fmt: skip
        if done:
            self.housed.append(await self.here_minor(self.homes[room]) - owed_minor)
            home.sent_before[room] = await self.sent_minor(room)
            home.moved_minor += owed_minor
            self.homes[room] = home

    async def vacant_code(self, room: int) -> str | None:
        """Why nobody may begin to pay for a room, if so."""
        if self.homes[room].is_let:
            return "let_already"
        return "recharge_live" if await self.is_live(room) else None

    async def owed_minor(self, room: int) -> int:
        """What a vacant room's meter was last heard to have lent, for the house to make good."""
        if self.homes[room].is_let:
            return 0
        rows = await self.site.rows(
            """select w.overdraft_minor as minor from wallet w join meter m
                   on (m.id, m.wallet_epoch) = (w.meter_id, w.wallet_epoch)
               where m.id = $1""", self.site.meters[room],
        )  # fmt: skip
        return sum(row["minor"] for row in rows)

    async def begin(self, rooms: list[int], *, is_let: bool) -> Home:
        """Whoever pays for rooms now begins with nothing; what is in the meters goes along."""
        row = await self.site.row(
            """select a.agreement_id as id from point p join account a on a.id = p.account_id
               where p.id = $1""", self.site.points[rooms[0]],
        )  # fmt: skip
        sent = {room: await self.sent_minor(room) for room in rooms}
        home = Home(sent, row["id"], is_let)
        for room in rooms:
            self.homes[room] = home
        return home

    async def somebody(self) -> int:
        """A customer who pays for nothing yet."""
        return await customer.add(self.db, self.site.project_id, Facts("Somebody"), "en")

    # Meters are exchanged.

    async def exchange(
        self, room: int, count: int, where: str, born_minor: int = 0, moment: str = ""
    ) -> None:
        """A meter is given for another under the `same` address or a `new` one, as it shows.

        Where the address is the same, the line is cleared of what was still on it.
        """
        is_same = where == "same"
        await self.read(room)
        old, home, last = self.street.faces[room], self.homes[room], self.lives[room][-1]
        if old.meter.credit_minor < 0:
            return  # What a meter has lent is nothing that one hands over with it.
        at = self.clock.step(seconds=1)
        self.street.note_eaten()
        shown_minor = old.meter.credit_minor
        address = old.address if is_same else f"9{self.key_count:05}{room:06}"
        self.key_count += 1
        new = Exchange(
            self.street.model, address, None, 1, (0, -1, -1, -1, -1), "worn out",
            credit_minor=shown_minor,
        )  # fmt: skip
        code = "recharge_live" if await self.is_live(room) else None
        may = (*(UNTOLD if room in self.untold else ()), *(["credit_beyond"] * last.is_spoiled))
        meter_id = self.site.meters[room]
        if not await self.do(
            lambda: exchange.exchange(self.db, self.site.project_id, meter_id, new, None, at),
            code, moment, "meter_not_hung", may,
        ):  # fmt: skip
            return
        home.back_minor += shown_minor
        last.is_ended = True
        self.died[id(old)] = at
        self.way.gone.append(self.way.faces.pop(old.address))
        if is_same:
            self.way.under_way = [
                one for one in self.way.under_way if one[1].address != old.address
            ]
            self.way.late_replies = []
        face = self.way.hang(
            MeterSpec(
                address, self.street.model, load_class="steady", scale_permille=500_000,
                keeps_purse=True, price_micro=(500_000,) * 4, purchase_count=count,
                credit_minor=born_minor,
            )
        )  # fmt: skip
        self.street.addresses[room] = address
        self.own(face, room)
        self.untold.discard(room)
        row = await self.site.row(
            "select id from meter where point_id = $1 and removed_at is null",
            self.site.points[room],
        )
        self.hung[id(face)] = at
        self.lives[room].append(Life(face, row["id"], 0))
        self.site.rooms[room] = replace(self.site.rooms[room], meter_id=row["id"])

    async def tamper(self, room: int, deed: str) -> None:
        """Somebody wants a meter gone, renamed, or its point kept otherwise, money or not.

        Only where there is money: an empty meter may go, and this street would be without one.
        """
        site, at = self.site, self.clock()
        db, number, meter_id, point_id = (
            site.db, site.project_id, site.meters[room], site.points[room],
        )  # fmt: skip
        async with db.transaction([number]) as connection:
            (known,) = await recharges.in_meters(connection, number, [meter_id])
        if not known["is_live"] and not known["net_minor"]:
            return
        meter = await device.meter(db, number, meter_id)
        point = await device.point(db, number, point_id)
        doing = {
            "remove": lambda: device.remove_meter(db, number, meter_id, at),
            "rename": lambda: device.edit_meter(
                db, number, meter_id, meter["version"], site.gateway_id, "000000000088"
            ),
            "keeper": lambda: device.edit_point(
                db, number, point_id, point["version"], point["tariff_id"], Keeper.PLATFORM, at
            ),
        }  # fmt: skip
        try:
            await doing[deed]()
        except (recharges.RechargeLive, MeterHoldsMoney):
            return
        must(False, f"{deed}: a meter changed under its money")

    # What is true.

    async def check(self) -> None:
        await super().check()
        await self.check_homes()

    async def check_homes(self) -> None:
        """Every household has what was paid and moved for it, less what its meters took and ate."""
        rows = await self.site.rows(
            """select agreement_id, kind, sum(credit_minor - debit_minor)::int8 as minor
               from account where agreement_id is not null group by 1, 2"""
        )
        found = {(row["agreement_id"], row["kind"]): row["minor"] for row in rows}
        for home in self.closed:
            left = [kind for number, kind in found if number == home.agreement_id
                    and found[number, kind]]  # fmt: skip
            must(not left, f"a closed account is not at zero: {left}")
        payers: dict[int, list[Home]] = {one.agreement_id: [] for one in self.homes}
        for home in self.homes:
            if home not in payers[home.agreement_id]:
                payers[home.agreement_id].append(home)
        for number, homes in payers.items():
            here = [await self.here_minor(home) for home in homes]
            here += [] if homes[0].is_let else self.housed
            held = [await self.in_meters_minor(room) for home in homes for room in home.rooms]
            apart = [one.amount_minor for home in homes for one in home.deposits.values()]
            has = {kind: found.get((number, kind), 0)
                   for kind in ("purse", "in_flight", "deposit", "on_meter")}  # fmt: skip
            must(has["purse"] + has["in_flight"] == sum(here),
                 f"a household has {has}, and should have {here} here")  # fmt: skip
            must(has["deposit"] == sum(apart), "deposits are not what was deposited")
            if None not in held:
                must(has["on_meter"] == sum(one for one in held if one is not None),
                     f"a household has {has}, and its meters told {held}")  # fmt: skip
