"""The town's desk: households come and go, move, get back and deposit money, and change meters.

Owns what may be done with money besides sending it to a meter, by the flows that do it in life,
each foretold: how it must be refused, or what must be true of every household behind it. Whoever
does it may die before its transaction commits, or after; then it is done again.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.errors import MeterhouseError
from meterhouse.flows import account, customer, device, exchange, move, refund, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.exchange import Exchange
from meterhouse.flows.keeping import MeterHoldsMoney
from meterhouse.flows.refund import Slip
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.model import Keeper
from meterhouse.sim.spec import MeterSpec
from meterhouse.store import recharges
from meterhouse.store.personal import Facts
from meterhouse.units import Minor
from stateful.homes import Died, Home, Life, Sale, dying
from stateful.money import Town
from stateful.watched import must
from street import ESAM

ZONE = ZoneInfo("Asia/Shanghai")
LEAVING = Leaving("moved away")
# A meter that was exchanged behind our back counts backwards, and settles nothing.
UNTOLD = ("last_reading_missing", "last_reading_doubtful")


@dataclass
class Desk(Town):
    """A town, and everything that people ask for at its desk."""

    # What the house kept of rooms that were let since.
    housed: list[int] = field(default_factory=list)
    moves: list[tuple[Home, Home, int, str]] = field(default_factory=list)
    deposited: list[tuple[int, Home]] = field(default_factory=list)
    key_count: int = 0
    # What was foretold of everything asked for: refused as, or done by who dies before or after.
    asked: Counter[str] = field(default_factory=Counter)

    async def do(
        self, doing: Callable[[], Awaitable[Any]], code: str | None = None, moment: str = "",
        again: str | None = None, may: tuple[str, ...] = (),
    ) -> bool:  # fmt: skip
        """Let something be done, or refused as foretold; whether it was done.

        Args:
            doing: what; done again it must change nothing, or be refused as `again`.
            code: how it must be refused.
            moment: when whoever does it dies: `before` it commits, or `after`.
            again: how it is refused once it is done.
            may: how it may be refused besides.
        """
        self.asked[code or moment or "whole"] += 1
        if code is not None:
            await self.ask(doing(), code, *may)
            return False
        if moment:
            try:
                with dying(self.db, moment):
                    await doing()
            except Died:
                pass
            except MeterhouseError as error:
                must(error.code in may, f"refused as {error.code}, not {may}")
                return False
        if moment == "after":
            await self.ask(doing(), *([again] if again else []))
            return True
        return await self.ask(doing(), may=may) is not None

    def slip(self, key: str = "") -> Slip:
        """A slip of the desk."""
        self.key_count += 1
        return Slip("cash", key or f"slip-{self.key_count}", "asked for", None, self.clock())

    # What a household should have.

    def sent_minor(self, room: int, extra_minor: int) -> int:
        """What a room's meters took by orders; of the last one, `extra` is not posted yet."""
        taken = 0
        for life in self.lives[room]:
            meter = life.face.meter
            foreign_minor = self.foreign_minor.get(id(life.face), 0)
            taken += meter.purchased_minor - meter.spec.credit_minor - foreign_minor
        return taken - extra_minor

    async def extra_minor(self, room: int) -> int:
        """What a room's meters took by orders that are still on their way in the books."""
        self.way.settle()
        extra = await self.surplus(
            {"meter_id": self.site.meters[room]}, self.street.faces[room]
        )  # fmt: skip
        gone = {id(face) for face in self.taken_down.values()}
        for life in self.lives[room][:-1]:
            old = await self.surplus({"meter_id": life.meter_id}, life.face)
            must(old == 0 or id(life.face) in gone, "a meter that is gone took more than is posted")
            extra += old
        return extra

    async def here_minor(self, home: Home) -> int:
        """What should be in a household's purse, or on its way."""
        return home.here_minor(self.sent_minor(home.room, await self.extra_minor(home.room)))

    async def in_meters_minor(self, room: int) -> int | None:
        """What a room's meters held when they last told; None where no report can tell."""
        held = 0
        for life in self.lives[room]:
            if life.is_ended:
                continue
            if life.is_spoiled:
                return None
            meter, where = life.face.meter, {"meter_id": life.meter_id}
            (row,) = await self.site.rows(
                """select max(read_at) as at from wallet where meter_id = $1
                   and wallet_epoch between $2 and $3""",
                life.meter_id, life.first_epoch, life.last_epoch,
            )  # fmt: skip
            if row["at"] is None:
                continue
            must((id(life.face), row["at"]) in self.street.eaten, "a report of no conversation")
            posted = meter.purchased_minor - await self.surplus(where, life.face)
            held += posted - self.street.eaten[id(life.face), row["at"]]
        return held

    # What people ask for.

    async def refund(self, room: int, moment: str = "") -> None:
        """Whatever is in a purse is paid out at the desk."""
        home, slip = self.homes[room], self.slip()
        amount_minor = min(await self.here_minor(home), home.cash_left_minor)
        if amount_minor <= 0:
            return
        code = "no_live_agreement" if not home.is_let else None
        if home.is_let and await self.is_live(room):
            code = "money_under_way"
        point_id = self.site.points[room]
        if await self.do(
            lambda: refund.refund(
                self.db, self.site.project_id, point_id, Minor(amount_minor), slip
            ),
            code, moment,
        ):  # fmt: skip
            self.paid_back(home, amount_minor)

    def paid_back(self, home: Home, amount_minor: int) -> None:
        """What was paid in at the desk went back over it."""
        home.out_minor += amount_minor
        home.cash_left_minor -= amount_minor
        self.cash_minor -= amount_minor

    async def reverse(self, pick: int, moment: str = "") -> None:
        """A sale, or opening credit, is undone."""
        if not self.sales:
            return
        sale, slip = self.sales[pick % len(self.sales)], self.slip()
        code = await self.reverse_code(sale)
        if await self.do(
            lambda: refund.reverse(self.db, self.site.project_id, sale.payment_id, slip),
            code, moment,
        ):  # fmt: skip
            sale.is_undone = True
            if sale.is_opening:
                sale.home.out_minor += sale.amount_minor
            else:
                self.paid_back(sale.home, sale.amount_minor)

    async def reverse_code(self, sale: Sale) -> str | None:
        """Why a sale cannot be undone, if so."""
        home = self.homes[sale.home.room]
        is_live, here_minor = await self.is_live(home.room), await self.here_minor(home)
        is_today = sale.at.astimezone(ZONE).date() == self.clock().astimezone(ZONE).date()
        is_late = not sale.is_opening and not is_today
        reasons = {
            "no_live_agreement": not home.is_let,
            "reversed_already": sale.is_undone,
            "household_changed": sale.is_opening and sale.home is not home,
            "day_over": is_late or sale.home is not home,
            "money_under_way": is_live,
            "money_used": sale.amount_minor > here_minor,
            "beyond_paid": not sale.is_opening and sale.amount_minor > home.cash_left_minor,
        }
        return next((code for code, is_so in reasons.items() if is_so), None)

    async def move(self, room: int, to_room: int, amount_minor: int, moment: str = "") -> None:
        """Money is moved to another household, if it is in the purse."""
        home, to = self.homes[room], self.homes[to_room]
        self.key_count += 1
        if home is to:
            return
        held_minor = await self.here_minor(home) - await self.carried_minor(room)
        code = "more_than_available" if amount_minor > held_minor else None
        if not (home.is_let and to.is_let):
            code = "account_ended"
        key = f"move-{self.key_count}"
        if await self.do(self.moving(home, to, amount_minor, key), code, moment):
            home.moved_minor -= amount_minor
            to.moved_minor += amount_minor
            self.moves.append((home, to, amount_minor, key))

    def moving(self, home: Home, to: Home, amount_minor: int, key: str) -> Any:
        """The flow that moves money."""
        at = self.clock()
        return lambda: move.move(
            self.db, self.site.project_id, home.agreement_id, "electricity", to.agreement_id,
            "electricity", Minor(amount_minor), key, "asked for", None, at,
        )  # fmt: skip

    async def move_again(self, pick: int) -> None:
        """The same move arrives a second time."""
        if self.moves:
            home, to, amount_minor, key = self.moves[pick % len(self.moves)]
            ended = home in self.closed or to in self.closed
            doing = self.moving(home, to, amount_minor, key)
            await self.do(doing, "account_ended" if ended else None)

    async def carried_minor(self, room: int) -> int:
        """What a live recharge of a room carries."""
        rows = [row for row in await self.live("reserved", "sent", "unknown", "halted")
                if row["point_id"] == self.site.points[room]]  # fmt: skip
        return sum(row["amount_minor"] for row in rows if row["kind"] == "recharge")

    async def deposit(self, room: int, amount_minor: int, moment: str = "") -> None:
        """A deposit is taken."""
        home, slip, point_id = self.homes[room], self.slip(), self.site.points[room]
        code = None if home.is_let else "no_live_agreement"
        if await self.do(
            lambda: refund.take_deposit(
                self.db, self.site.project_id, point_id, Minor(amount_minor), slip
            ),
            code, moment,
        ):  # fmt: skip
            await self.note_deposit(home, amount_minor)

    async def note_deposit(self, home: Home, amount_minor: int) -> None:
        """Remember a deposit by its order, the newest."""
        row = await self.site.row("select max(id) as id from payment where kind = 'deposit'")
        home.deposits[row["id"]] = amount_minor
        self.deposited.append((row["id"], home))
        self.cash_minor += amount_minor

    async def give_back(self, pick: int, moment: str = "") -> None:
        """A deposit is given back, whatever is on its way."""
        if not self.deposited:
            return
        payment_id, home = self.deposited[pick % len(self.deposited)]
        code, slip = None if payment_id in home.deposits else "reversed_already", self.slip()
        if await self.do(
            lambda: refund.return_deposit(self.db, self.site.project_id, payment_id, slip),
            code, moment,
        ):  # fmt: skip
            self.cash_minor -= home.deposits.pop(payment_id)

    # Households come and go.

    async def empty(self, room: int) -> None:
        """All money is taken back out of a meter, and its relay opened, as before a leave."""
        self.street.faces[room].meter.trip()
        await self.read(room)
        await self.take_back(room, None)
        await self.wait(2)

    async def leave_codes(self, room: int) -> tuple[str | None, tuple[str, ...]]:
        """How leaving must be refused, and how it may be."""
        await self.read(room)
        may = UNTOLD if room in self.untold else ()
        if await self.is_live(room):
            return "money_on_its_way", may
        stays = "money_stays_in_meter" if self.street.model == ESAM else "money_in_meter"
        held_minor = await self.in_meters_minor(room)
        if held_minor is None:
            return None, (*may, stays)
        return (stays if held_minor else None), may

    async def leave(self, room: int, moment: str = "") -> None:
        """A household's account is closed; the house pays from now on."""
        home = self.homes[room]
        if not home.is_let:
            return
        code, may = await self.leave_codes(room)
        at = self.clock.step(seconds=1)
        if await self.do(
            lambda: settle.close(self.db, self.site.project_id, home.agreement_id, LEAVING, None,
                                 at),
            code, moment, "account_ended", may,
        ):  # fmt: skip
            await self.paid_out(home)
            await self.begin(room, is_let=False)

    async def hand_over(self, room: int, balance: str, moment: str = "") -> None:
        """Tenants change in one step; what is left is paid out, or moves on."""
        home = self.homes[room]
        if not home.is_let:
            return
        code, may = await self.leave_codes(room)
        who, at = await self.somebody(), self.clock.step(seconds=1)
        left_minor = await self.here_minor(home)
        if await self.do(
            lambda: settle.move_tenants(
                self.db, self.site.project_id, home.agreement_id, who, Terms(deposit_minor=900),
                Balance(balance), LEAVING, None, at,
            ),
            code, moment, "account_ended", may,
        ):  # fmt: skip
            stays = Balance(balance) is Balance.MOVE
            if stays:
                home.moved_minor -= left_minor
            await self.paid_out(home)
            new = await self.begin(room, is_let=True)
            new.moved_minor += left_minor if stays else 0
            await self.note_deposit(new, 900)

    async def paid_out(self, home: Home) -> None:
        """All that was left and every deposit went out of the drawer."""
        left_minor = await self.here_minor(home)
        home.out_minor += left_minor
        self.cash_minor -= left_minor + sum(home.deposits.values())
        home.deposits.clear()
        self.closed.append(home)

    async def come(self, room: int, credit_minor: int, moment: str = "") -> None:
        """A household moves in, perhaps with credit of before."""
        who, at = await self.somebody(), self.clock.step(seconds=1)
        place_id = self.site.rooms[room].place_id
        code, may = None, ()
        if self.homes[room].is_let:
            code = "let_already"
        elif await self.is_live(room):
            code = "recharge_live"
        terms = Terms(credit_minor=credit_minor, deposit_minor=700)
        if await self.do(
            lambda: account.open_account(
                self.db, self.site.project_id, place_id, who, terms, None, at
            ),
            code, moment, "let_already", may,
        ):  # fmt: skip
            self.housed.append(await self.here_minor(self.homes[room]))
            home = await self.begin(room, is_let=True)
            home.in_minor += credit_minor
            await self.note_deposit(home, 700)
            if credit_minor:
                row = await self.site.row(
                    """select id from payment where kind = 'opening' and of_payment_id is null
                       and agreement_id = $1""", home.agreement_id,
                )  # fmt: skip
                self.sales.append(
                    Sale(row["id"], home, credit_minor, self.clock(), is_opening=True)
                )

    async def begin(self, room: int, *, is_let: bool) -> Home:
        """Whoever pays for a room now begins with nothing; what is in the meter goes along."""
        row = await self.site.row(
            """select a.agreement_id as id from point p join account a on a.id = p.account_id
               where p.id = $1""", self.site.points[room],
        )  # fmt: skip
        sent_minor = self.sent_minor(room, await self.extra_minor(room))
        home = Home(room, row["id"], is_let, sent_before_minor=sent_minor)
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
            payers[home.agreement_id].append(home)
        for number, homes in payers.items():
            here = [await self.here_minor(home) for home in homes]
            here += [] if homes[0].is_let else self.housed
            held = [await self.in_meters_minor(home.room) for home in homes]
            apart = [amount for home in homes for amount in home.deposits.values()]
            has = {kind: found.get((number, kind), 0)
                   for kind in ("purse", "in_flight", "deposit", "on_meter")}  # fmt: skip
            must(has["purse"] + has["in_flight"] == sum(here),
                 f"a household has {has}, and should have {here} here")  # fmt: skip
            must(has["deposit"] == sum(apart), "deposits are not what was deposited")
            if None not in held:
                must(has["on_meter"] == sum(one for one in held if one is not None),
                     f"a household has {has}, and its meters told {held}")  # fmt: skip
