"""Selling at the desk (充值): money into a household's purse, and what it brings back.

Owns what is asked before money is taken, and the one transaction of a sale: order, transfer,
booking, warnings and relay. Must never know how a sale is shown, or how money travels to a meter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import close, react, receipt, received, recharge
from meterhouse.flows.orders import FROM_PURSE
from meterhouse.flows.recharge import PAYMENT_MINOR_MAX
from meterhouse.ledger.book import available_minor
from meterhouse.model import Keeper
from meterhouse.rating import tariff as tariffs
from meterhouse.rating.charges import NO_CHARGES
from meterhouse.rating.live import live
from meterhouse.rating.tariff import Scheme
from meterhouse.store import catalog, desk, monitor, readings, sales
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment
from meterhouse.store.queue import NewNotice
from meterhouse.units import Micro, Milli, Minor, nano_of, nano_per_minor, to_decimal

CASH: Final = "cash"
WEEK: Final = timedelta(days=7)


class NoLiveAgreement(MeterhouseError):
    """Nobody has an account here; open one first."""

    code = "no_live_agreement"
    http_status = 409


class HouseholdChanged(MeterhouseError):
    """Another household pays here now; look at what it has before you go on."""

    code = "household_changed"
    http_status = 409


class ProjectFrozen(MeterhouseError):
    """This project is frozen; nothing is recharged until it is thawed."""

    code = "project_frozen"
    http_status = 409


class NotSoldHere(MeterhouseError):
    """The money of this point is kept elsewhere; it is not recharged here."""

    code = "not_sold_here"
    http_status = 409


class HoardingLimit(MeterhouseError):
    """So much is not kept in advance: at most {most}, and {have} is there already."""

    code = "hoarding_limit"
    http_status = 409
    field = "amount"


class ShiftNeeded(MeterhouseError):
    """Open your shift before you take cash."""

    code = "shift_needed"
    http_status = 409


class ChannelUnusable(BadInput):
    """What is paid in comes over the counter, not out of the purse."""

    code = "channel_unusable"
    field = "channel"


class TenderShort(BadInput):
    """Less was handed over than is to be paid."""

    code = "tender_short"
    field = "tender"


class PriceNotFlat(BadInput):
    """A unit has no single price here; recharge by money."""

    code = "price_not_flat"
    field = "energy"


class NothingToSell(BadInput):
    """Enter either money or an amount of energy."""

    code = "nothing_to_sell"
    field = "amount"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be sold, and how it is paid.

    Attributes:
        amount_minor: the money; None where it is sold by energy.
        energy_milli: the energy or volume; None where it is sold by money.
        channel: `cash`, `card`, `transfer`, …
        tender_minor: the cash handed over; None: exactly the amount, or no cash.
        key: chosen by the caller once per sale; the same key sells once.
        reason: a note.
        agreement_id: the household that is meant; None: whoever pays for the point.
    """

    amount_minor: Minor | None
    energy_milli: Milli | None
    channel: str
    tender_minor: Minor | None
    key: str
    reason: str = ""
    agreement_id: int | None = None


@dataclass(frozen=True, slots=True)
class Sold:
    """What a sale led to; `is_new` is False when its key had been used for the same before."""

    payment_id: int
    is_new: bool
    amount_minor: Minor
    energy_milli: Milli | None
    change_minor: Minor
    available_minor: int
    commands: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What an amount would buy now.

    Attributes:
        amount_minor: what is to be paid.
        energy_milli: what it buys; None where that cannot be told.
        is_exact: whether the energy is exact; else it is what the last week's price would give.
        change_minor: what is given back of the cash handed over.
        after_minor: what may be spent afterwards.
    """

    amount_minor: Minor
    energy_milli: int | None
    is_exact: bool
    change_minor: Minor | None
    after_minor: int


async def sell(
    db: Database, project_id: int, point_id: int, wish: Wish, actor_id: int | None, at: datetime
) -> Sold:
    """Take money for what a point delivers; the relay closes again if that is enough.

    Where the meter keeps the money, it sets out for the meter in the same transaction.

    Raises:
        NotFound: there is no such point.
        NoLiveAgreement: nobody but the house pays for it.
        HouseholdChanged: another household than the one meant does.
        NotSoldHere: its money is kept by others, or by nobody.
        ProjectFrozen: the project is frozen.
        HoardingLimit: the household would hold more than the project allows.
        ShiftNeeded: cash, and the project demands an open shift for it.
        NothingToSell, PriceNotFlat, TenderShort, ChannelUnusable: the wish cannot be met.
        MeterhouseError: as `recharge.begin`, where the meter keeps the money; nothing is sold then.
        Conflict: the key was used for another payment.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        facts = await sales.facts(connection, project_id, point_id, actor_id, wish.key)
        if facts is None:
            raise NotFound("Point", point_id)
        amount_minor, price_micro = await _due(connection, facts, wish, at)
        change_minor = _change(wish.tender_minor, amount_minor)
        if facts["paid_id"] is None:
            _check(facts, amount_minor, wish.channel)
            check_household(facts, wish.agreement_id)
        new = _order(facts, wish, amount_minor, price_micro)
        spendable_minor, commands, is_here = _spendable(facts), 0, facts["keeper"] != Keeper.METER
        if is_here and facts["paid_id"] is None:
            spendable_minor += amount_minor
        is_all = is_here and _is_calm(facts, spendable_minor)
        payment_id, is_new = await sales.write(
            connection, project_id, new, await cash_account(connection, facts),
            *_papers(facts, new, spendable_minor if is_here else None, actor_id, at), actor_id, at,
            is_all=is_all,
        )  # fmt: skip
        if is_new and not is_all:
            if is_here:
                commands = await _follow(connection, facts, spendable_minor, at)
            else:
                await recharge.begin(
                    connection, facts, point_id, payment_id, amount_minor, actor_id, at
                )
            await readings.bump(connection, project_id)
    return Sold(
        payment_id, is_new, amount_minor, wish.energy_milli, change_minor, spendable_minor,
        commands,
    )  # fmt: skip


async def quote(db: Database, project_id: int, point_id: int, wish: Wish, at: datetime) -> Quote:
    """What a wish would buy and cost now. Raises what `sell` would for such a wish."""
    async with db.transaction([project_id]) as connection:
        facts = await sales.facts(connection, project_id, point_id, None, wish.key)
        if facts is None:
            raise NotFound("Point", point_id)
        amount_minor, _ = await _due(connection, facts, wish, at)
        energy_milli: int | None = wish.energy_milli
        is_exact = True
        if energy_milli is None:
            energy_milli, is_exact = await _bought(connection, facts, amount_minor, at)
    change_minor = None
    if wish.tender_minor is not None:
        change_minor = _change(wish.tender_minor, amount_minor)
    return Quote(
        amount_minor, energy_milli, is_exact, change_minor, _spendable(facts) + amount_minor
    )


async def flat_price_micro(
    connection: Connection, project_id: int, tariff_id: int | None, at: datetime
) -> Micro | None:
    """The one price of a unit from now on; None where it depends on when or how much."""
    if tariff_id is None:
        return None
    bodies = (await catalog.tariff_bodies(connection, project_id, [tariff_id]))[tariff_id]
    return one_price_micro(_scheme(bodies), at)


def one_price_micro(scheme: Scheme, at: datetime) -> Micro | None:
    """The price that every band and block has in what is in force now and in what is to come.

    None too where anything is charged beside it: so much money would not buy so much energy.
    """
    past = [one for one in scheme.versions if one.effective_from <= at]
    versions = past[-1:] + [one for one in scheme.versions if one.effective_from > at]
    prices = {price for version in versions for band in version.prices_micro for price in band}
    is_all = all(version.charges == NO_CHARGES for version in versions)
    return Micro(prices.pop()) if past and is_all and len(prices) == 1 else None


def _scheme(bodies: list[dict[str, Any]]) -> Scheme:
    versions = [part for body in bodies for part in body["versions"]]
    return live(tariffs.parse({**bodies[0], "versions": versions}))


async def _due(
    connection: Connection, facts: Any, wish: Wish, at: datetime
) -> tuple[Minor, Micro | None]:
    """What is to be paid, and the price where energy was asked for: rounded up to a whole coin."""
    if (wish.amount_minor is None) == (wish.energy_milli is None):
        raise NothingToSell
    if wish.energy_milli is None:
        assert wish.amount_minor is not None
        return wish.amount_minor, None
    price_micro = await flat_price_micro(connection, facts["id"], facts["tariff_id"], at)
    if not price_micro:
        raise PriceNotFlat
    size = nano_per_minor(facts["currency_exponent"])
    amount_minor = -(-nano_of(wish.energy_milli, price_micro) // size)
    if amount_minor > PAYMENT_MINOR_MAX:
        raise PriceNotFlat
    return Minor(amount_minor), price_micro


async def _bought(
    connection: Connection, facts: Any, amount_minor: Minor, at: datetime
) -> tuple[int | None, bool]:
    """The energy that money buys: exact at one price, else at what the last week came to."""
    amount_nano = amount_minor * nano_per_minor(facts["currency_exponent"])
    price_micro = await flat_price_micro(connection, facts["id"], facts["tariff_id"], at)
    if price_micro:
        return amount_nano // price_micro, True
    used = await desk.used_since(connection, facts["id"], [facts["point_id"]], at - WEEK)
    if not used or used[0]["amount_nano"] <= 0:
        return None, False
    return amount_nano * used[0]["energy_milli"] // used[0]["amount_nano"], False


def _change(tender_minor: Minor | None, amount_minor: Minor) -> Minor:
    """What is given back. Raises `TenderShort`."""
    if tender_minor is None:
        return Minor(0)
    if tender_minor < amount_minor:
        raise TenderShort
    return Minor(tender_minor - amount_minor)


def _check(facts: Any, amount_minor: Minor, channel: str) -> None:
    """Everything that forbids a sale, before any money is taken."""
    if channel == FROM_PURSE:
        raise ChannelUnusable
    if facts["agreement_kind"] != "tenant":
        raise NoLiveAgreement
    if facts["keeper"] not in (Keeper.PLATFORM, Keeper.METER):
        raise NotSoldHere
    if facts["frozen"]:
        raise ProjectFrozen
    policy = policies.read(facts["policy"])
    have_minor = _spendable(facts)
    if have_minor + amount_minor > policy.hoarding_max_minor:
        exponent = facts["currency_exponent"]
        raise HoardingLimit(
            most=to_decimal(policy.hoarding_max_minor, exponent),
            have=to_decimal(max(have_minor, 0), exponent),
        )
    if channel == CASH and policy.desk_needs_shift and facts["shift_id"] is None:
        raise ShiftNeeded


def check_household(facts: Any, meant_id: int | None) -> None:
    """A point is who pays for it, until they move out. Raises `HouseholdChanged`."""
    if meant_id not in (None, facts["agreement_id"]):
        raise HouseholdChanged


def _spendable(facts: Any) -> int:
    spendable: int = available_minor(
        facts["balance_minor"], facts["pending_debit_minor"], facts["accrued_nano"],
        facts["currency_exponent"],
    )  # fmt: skip
    return spendable


def _order(facts: Any, wish: Wish, amount_minor: Minor, price_micro: Micro | None) -> NewPayment:
    return NewPayment(
        facts["agreement_id"], facts["account_id"], wish.channel, amount_minor, wish.key,
        reason=wish.reason, point_id=facts["point_id"], payee_id=facts["payee_id"],
        shift_id=facts["shift_id"], tender_minor=wish.tender_minor,
        energy_milli=wish.energy_milli, price_micro=price_micro,
    )  # fmt: skip


def _papers(
    facts: Any, new: NewPayment, balance_minor: int | None, actor_id: int | None, at: datetime
) -> tuple[Mapping[str, Any] | None, list[NewNotice]]:
    """The receipt and the notices of a sale; money on its way to a meter has not arrived yet."""
    paper = None
    if receipt.is_wanted(facts["quiet_channels"], new.channel):
        paper = receipt.of_sale(facts, new, balance_minor, actor_id, at)
    if balance_minor is None:
        return paper, []
    return paper, received.notices(
        facts, facts, facts["point_id"], sales.PAYMENT_ID, new.amount_minor
    )


def _has_whole_coins(facts: Any) -> bool:
    """Whether there are accruals to book."""
    coins: bool = facts["largest_nano"] >= nano_per_minor(facts["currency_exponent"])
    return coins


def _is_at_ease(facts: Any, spendable_minor: int) -> bool:
    """Whether nobody needs a second look.

    Money only lifts a balance, so that is whoever is neither warned nor switched off, and has more
    than any warning level now.
    """
    ease: bool = not facts["is_uneasy"] and spendable_minor > facts["highest_minor"]
    return ease


def _is_calm(facts: Any, spendable_minor: int) -> bool:
    """Whether nothing follows from money in the purse."""
    return not _has_whole_coins(facts) and _is_at_ease(facts, spendable_minor)


async def _follow(connection: Connection, facts: Any, spendable_minor: int, at: datetime) -> int:
    """Book what has accrued, then warnings and relays; answers the commands queued."""
    if _has_whole_coins(facts):
        await close.book(connection, facts, facts["account_id"], at)
    if _is_at_ease(facts, spendable_minor):
        return 0
    meters = await monitor.meters_of_account(connection, facts["id"], facts["account_id"])
    return await react.look_again(connection, facts, meters, at)


async def with_receipt(
    connection: Connection, facts: Any, payment_id: int, channel: str, actor_id: int | None,
    at: datetime,
) -> None:  # fmt: skip
    """The receipt that a payment over this channel brings by itself."""
    if receipt.is_wanted(facts["quiet_channels"], channel):
        await receipt.issue(connection, facts, payment_id, actor_id, at)


async def cash_account(connection: Connection, facts: Any) -> int:
    """Where the money of a point's charge class lies: its payee's cash, else the house's."""
    if facts["payee_id"] is None:
        house_id: int = facts["house_cash_id"]
        return house_id
    return facts["payee_cash_id"] or await desk.open_payee_cash(
        connection, facts["id"], facts["payee_id"], facts["currency"]
    )
