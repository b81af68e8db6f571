"""The town's counter: money paid back, moved, deposited, charged; whose drawer; who agrees.

Owns what may be asked for there, by the flows that do it in life, each foretold: how it must be
refused, or what must be true of every household and drawer behind it. Whoever does it may die
before its transaction commits, or after; then it is done again.
"""

from collections import Counter as Count
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.errors import MeterhouseError
from meterhouse.flows import fee, move, project, refund
from meterhouse.flows.orders import FROM_PURSE
from meterhouse.flows.refund import Slip
from meterhouse.store import people
from meterhouse.units import Minor
from stateful.homes import Deposit, Died, Fee, Home, Sale, dying
from stateful.money import Town
from stateful.watched import must

ZONE = ZoneInfo("Asia/Shanghai")
LIMIT_MINOR = 20_000
POLICY = f'{{"notice_age_s": 0, "refund_second_minor": {LIMIT_MINOR}}}'


@dataclass
class Counter(Town):
    """A town, and what its people ask for over the counter."""

    moves: list[tuple[Home, Home, int, str]] = field(default_factory=list)
    deposited: list[tuple[int, Home]] = field(default_factory=list)
    fees: list[Fee] = field(default_factory=list)
    key_count: int = 0
    # Who does everything, and who may agree to it; the names of who receives what.
    person_id: int = 0
    other_id: int = 0
    parties: dict[str, str] = field(default_factory=dict)
    # What was foretold of everything asked for: refused as, or done by who dies before or after.
    asked: Count[str] = field(default_factory=Count)

    async def open(self, *given: Any, **more: Any) -> None:
        """Found the street, where so much money is paid out by two people alone."""
        await super().open(*given, **more)
        await self.site.rows("update project set policy = $1 returning id", POLICY)
        async with self.db.transaction([0]) as connection:
            self.person_id, self.other_id = [
                await people.insert_person(
                    connection, "staff", login, login, None, None, self.clock()
                )
                for login in ("ben", "fay")
            ]  # fmt: skip

    async def do(
        self, doing: Callable[[], Awaitable[Any]], code: str | None = None, moment: str = "",
        again: str | None = None, may: tuple[str, ...] = (),
    ) -> Any:  # fmt: skip
        """Let something be done, or refused as foretold; what was done, or None.

        Args:
            doing: what; done again it must change nothing, or be refused as `again`.
            code: how it must be refused.
            moment: when whoever does it dies: `before` it commits, or `after`.
            again: how it is refused once it is done.
            may: how it may be refused besides.
        """
        self.asked[code or moment or "whole"] += 1
        if code is not None:
            return await self.ask(doing(), code, *may)
        if moment:
            try:
                with dying(self.db, moment):
                    await doing()
            except Died:
                pass
            except MeterhouseError as error:
                must(error.code in may, f"refused as {error.code}, not {may}")
                return None
        if moment == "after":
            return await self.ask(doing(), *([again] if again else [])) or True
        return await self.ask(doing(), may=may)

    def slip(self, who: str = "") -> Slip:
        """A slip of the counter, agreed to by nobody, by who asks it (`self`), or by an `other`."""
        self.key_count += 1
        second_id = {"": None, "self": self.person_id, "other": self.other_id}[who]
        return Slip(
            "cash", f"slip-{self.key_count}", "asked for", self.person_id, self.clock(), second_id
        )

    def second_code(self, amount_minor: int, who: str) -> str | None:
        """Why one person alone may not give out so much, if so."""
        needed = amount_minor > LIMIT_MINOR and who != "other"
        return "payout_needs_second" if needed else None

    async def receive(self, charge_class: str, name: str) -> None:
        """From now on somebody else receives what is charged for something."""
        key, new = (self.db, self.site.project_id), project.Payee(charge_class, name, "", "", "")
        if charge_class in self.payee_ids:
            number = self.payee_ids[charge_class]
            known = await project.payee(*key, number)
            await project.edit_payee(*key, number, known["version"], new)
        else:
            self.payee_ids[charge_class] = await project.add_payee(*key, new)
        self.parties[charge_class] = name

    # What a household should have.

    def sent_of(self, room: int, extra_minor: int) -> int:
        """What a room's meters took by orders; of the last one, `extra` is not posted yet."""
        taken = 0
        for life in self.lives[room]:
            meter = life.face.meter
            foreign_minor = self.foreign_minor.get(id(life.face), 0)
            taken += meter.purchased_minor - meter.spec.credit_minor - foreign_minor
        return taken - extra_minor

    async def sent_minor(self, room: int) -> int:
        """What is posted to a room's meters, as these have it."""
        return self.sent_of(room, await self.extra_minor(room))

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
        """What should be in a household's purses, or on its way."""
        return home.here_minor({room: await self.sent_minor(room) for room in home.rooms})

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

    async def is_home_live(self, home: Home) -> bool:
        """Whether an order of any of a household's rooms is not settled."""
        return any([await self.is_live(room) for room in home.rooms])

    async def carried_minor(self, home: Home) -> int:
        """What live recharges of a household carry."""
        points = [self.site.points[room] for room in home.rooms]
        rows = await self.live("reserved", "sent", "unknown", "halted")
        return sum(
            row["amount_minor"] for row in rows
            if row["kind"] == "recharge" and row["point_id"] in points
        )  # fmt: skip

    async def free_minor(self, home: Home) -> int:
        """What lies in the purse that feeds a household's meters."""
        return await self.here_minor(home) - await self.carried_minor(home) - home.common_minor

    # What people ask for.

    async def refund(self, room: int, moment: str = "", who: str = "other") -> None:
        """Whatever is in a purse is paid out, by one who received so much of it."""
        home, slip, now_id = self.homes[room], self.slip(who), self.payee_ids.get("electricity")
        most_minor = max(home.left.values(), default=0)
        here_minor = await self.here_minor(home) - home.common_minor
        amount_minor = min(here_minor, most_minor)
        if amount_minor <= 0:
            return
        code = self.second_code(amount_minor, who)
        if not home.is_let or await self.is_home_live(home):
            code = "money_under_way" if home.is_let else "no_live_agreement"
        point_id = self.site.points[room]
        if await self.do(
            lambda: refund.refund(
                self.db, self.site.project_id, point_id, Minor(amount_minor), slip
            ),
            code, moment,
        ):  # fmt: skip
            able = [one for one in sorted(home.left, key=nulls_last)
                    if home.left[one] >= amount_minor]  # fmt: skip
            payee_id = now_id if now_id in able else able[0]
            home.out_minor += amount_minor
            home.left[payee_id] -= amount_minor
            self.change_hands(home, -amount_minor, payee_id)

    async def reverse(self, pick: int, moment: str = "", who: str = "other") -> None:
        """A sale, or opening credit, is undone."""
        if not self.sales:
            return
        sale, slip = self.sales[pick % len(self.sales)], self.slip(who)
        code = await self.reverse_code(sale, who)
        if await self.do(
            lambda: refund.reverse(self.db, self.site.project_id, sale.payment_id, slip),
            code, moment,
        ):  # fmt: skip
            sale.is_undone = True
            sale.home.out_minor += sale.amount_minor
            if not sale.is_opening:
                sale.home.left[sale.payee_id] -= sale.amount_minor
                self.change_hands(sale.home, -sale.amount_minor, sale.payee_id)

    async def reverse_code(self, sale: Sale, who: str) -> str | None:
        """Why a sale cannot be undone, if so."""
        row = await self.site.row(
            "select point_id from payment where id = $1", sale.payment_id
        )  # fmt: skip
        home = self.homes[self.site.points.index(row["point_id"])]
        here_minor = await self.here_minor(home) - home.common_minor
        is_late = not sale.is_opening and not self.is_today(sale.at)
        second = None if sale.is_opening else self.second_code(sale.amount_minor, who)
        reasons = {
            "no_live_agreement": not home.is_let,
            "reversed_already": sale.is_undone,
            "household_changed": sale.is_opening and sale.home is not home,
            "day_over": is_late or sale.home is not home,
            "money_under_way": await self.is_home_live(home),
            "payout_needs_second": second is not None,
            "money_used": sale.amount_minor > here_minor,
            "beyond_paid": not sale.is_opening and sale.amount_minor > home.left[sale.payee_id],
        }
        return next((code for code, is_so in reasons.items() if is_so), None)

    def is_today(self, at: datetime) -> bool:
        """Whether it was on the present day of the project."""
        return at.astimezone(ZONE).date() == self.clock().astimezone(ZONE).date()

    async def move(self, room: int, to_room: int, amount_minor: int, moment: str = "") -> None:
        """Money is moved to another household, if it is in the purse."""
        home, to = self.homes[room], self.homes[to_room]
        self.key_count += 1
        if home is to:
            return
        code = "more_than_available" if amount_minor > await self.free_minor(home) else None
        if not (home.is_let and to.is_let):
            code = "account_ended"
        key = f"move-{self.key_count}"
        if await self.do(self.moving(home, to, "electricity", amount_minor, key), code, moment):
            home.moved_minor -= amount_minor
            to.moved_minor += amount_minor
            self.moves.append((home, to, amount_minor, key))

    async def share(self, room: int, amount_minor: int) -> None:
        """Money is moved to the common purse of the same household, which may pay fees."""
        home = self.homes[room]
        self.key_count += 1
        code = "more_than_available" if amount_minor > await self.free_minor(home) else None
        if not home.is_let:
            code = "account_ended"
        doing = self.moving(home, home, "common", amount_minor, f"share-{self.key_count}")
        if await self.do(doing, code):
            home.common_minor += amount_minor

    def moving(self, home: Home, to: Home, part: str, amount_minor: int, key: str) -> Any:
        """The flow that moves money."""
        at = self.clock()
        return lambda: move.move(
            self.db, self.site.project_id, home.agreement_id, "electricity", to.agreement_id,
            part, Minor(amount_minor), key, "asked for", None, at,
        )  # fmt: skip

    async def move_again(self, pick: int) -> None:
        """The same move arrives a second time."""
        if self.moves:
            home, to, amount_minor, key = self.moves[pick % len(self.moves)]
            ended = home in self.closed or to in self.closed
            doing = self.moving(home, to, "electricity", amount_minor, key)
            await self.do(doing, "account_ended" if ended else None)

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
            await self.note_deposit(home, amount_minor, self.payee_ids.get("electricity"))

    async def note_deposit(
        self, home: Home, amount_minor: int, payee_id: int | None = None
    ) -> None:
        """Remember a deposit by its order, the newest."""
        row = await self.site.row("select max(id) as id from payment where kind = 'deposit'")
        home.deposits[row["id"]] = Deposit(amount_minor, payee_id)
        self.deposited.append((row["id"], home))
        self.change_hands(home, amount_minor, payee_id)

    async def give_back(self, pick: int, moment: str = "", who: str = "other") -> None:
        """A deposit is given back, whatever is on its way."""
        if not self.deposited:
            return
        payment_id, home = self.deposited[pick % len(self.deposited)]
        slip, known = self.slip(who), home.deposits.get(payment_id)
        code = "reversed_already"
        if known is not None:
            code = self.second_code(known.amount_minor, who)  # type: ignore[assignment]
        if await self.do(
            lambda: refund.return_deposit(self.db, self.site.project_id, payment_id, slip),
            code, moment,
        ):  # fmt: skip
            back = home.deposits.pop(payment_id)
            self.change_hands(home, -back.amount_minor, back.payee_id)

    # Fees.

    async def fee(
        self, room: int, amount_minor: int, is_from_purse: bool, moment: str = ""
    ) -> None:
        """A fee is charged, out of the common purse or over the counter."""
        home, point_id = self.homes[room], self.site.points[room]
        slip = replace(self.slip(), channel=FROM_PURSE if is_from_purse else "cash")
        is_pooled = self.parties.get("fee") != self.parties.get("electricity")
        code = None
        if is_from_purse and (is_pooled or amount_minor > home.common_minor):
            code = "fee_beyond_purse"
        done = await self.do(
            lambda: fee.charge(
                self.db, self.site.project_id, point_id, Minor(amount_minor), slip
            ),
            code if home.is_let else "no_live_agreement", moment,
        )  # fmt: skip
        if not done:
            return
        payee_id = self.payee_ids.get("fee")
        row = await self.site.row("select max(id) as id from payment where kind = 'fee'")
        self.fees.append(
            Fee(row["id"], home, room, amount_minor, self.clock(), payee_id, is_from_purse)
        )
        if is_from_purse:
            home.common_minor -= amount_minor
            home.out_minor += amount_minor
        else:
            self.drawers[payee_id] += amount_minor

    async def undo_fee(self, pick: int, moment: str = "", who: str = "other") -> None:
        """A fee is undone, of today or of another day."""
        if not self.fees:
            return
        one, slip = self.fees[pick % len(self.fees)], self.slip(who)
        code = self.second_code(one.amount_minor, who)
        if one.is_from_purse:
            code = None if self.is_today(one.at) else code
            code = code if one.home is self.homes[one.room] else "household_changed"
        code = "reversed_already" if one.is_undone else code
        if not await self.do(
            lambda: fee.reverse(self.db, self.site.project_id, one.payment_id, slip), code, moment
        ):
            return
        one.is_undone = True
        if one.is_from_purse:
            one.home.common_minor += one.amount_minor
            one.home.out_minor -= one.amount_minor
        else:
            self.drawers[one.payee_id] -= one.amount_minor


def nulls_last(payee_id: int | None) -> tuple[bool, int]:
    """The order of the books, in which the house comes last."""
    return payee_id is None, payee_id or 0
