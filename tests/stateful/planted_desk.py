"""Faults at the desk that the checks on money must find: leaving, moving, undoing, exchanging.

As `planted`, for everything that people ask for besides a recharge.
"""

from dataclasses import replace
from typing import Any

from meterhouse.control import policy as policies
from meterhouse.flows import move, parties, recharge, refund, settle, vacancy, wallet
from meterhouse.model import AccountKind
from meterhouse.store import agreements, customers, desk, ledger, recharges
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor
from stateful.planted import PAY, SOON, Fault, Planting, Step, serve
from street import Mishap

BACK: tuple[Step, ...] = (PAY, ("cancel", 0))
"""Money in the purse: it was paid, and its recharge called back."""
GONE: tuple[Step, ...] = (("empty", 0), ("leave", 0))
"""A vacant room with an empty meter."""


def moves_what_is_on_its_way(patch: Planting) -> None:
    """A household's money is looked for wherever it is."""
    honest = customers.purses_of

    async def purses_of(connection: Any, project_id: int, ids: Any) -> list[Any]:
        flying = {
            row["agreement_id"]: row["id"]
            for row in await connection.fetch(
                """select id, agreement_id from account where project_id = $1
                   and kind = 'in_flight' and credit_minor > debit_minor""", project_id,
            )
        }  # fmt: skip
        rows = [dict(row) for row in await honest(connection, project_id, ids)]
        return [row | {"id": flying.get(row["agreement_id"], row["id"])} for row in rows]

    patch.setattr(customers, "purses_of", purses_of)


def nothing_is_undone(patch: Planting) -> None:
    """Nobody asks whether a payment was undone before."""

    async def is_undone(*_: Any) -> bool:
        return False

    patch.setattr(desk, "is_undone", is_undone)


def nobody_asks_where_it_is(patch: Planting) -> None:
    """An account is closed wherever its money is."""

    async def check_home(*_: Any) -> None:
        return

    patch.setattr(settle, "_check_home", check_home)


def moved_twice(patch: Planting) -> None:
    """What an old meter held comes back to the purse a second time."""
    honest = wallet.retire

    async def retire(connection: Any, project: Any, keeper: Any, net: int, *rest: Any) -> int:
        moved = await honest(connection, project, keeper, net, *rest)
        opening = await ledger.house_account(connection, project["id"], AccountKind.OPENING)
        again = NewTransfer(opening, keeper["account_id"], Minor(moved), "taken_over")
        await ledger.post(connection, project["id"], [again], None, rest[1])
        return moved

    patch.setattr(wallet, "retire", retire)


def purse_lives_on(patch: Planting) -> None:
    """The purse of a meter that is gone keeps what was in it."""
    honest = wallet.retire

    async def retire(connection: Any, project: Any, keeper: Any, net: int, *rest: Any) -> int:
        moved = await honest(connection, project, keeper, net, *rest)
        await recharges.set_wallet(
            connection, project["id"], keeper["meter_id"], keeper["wallet_epoch"],
            {**wallet.split(net), "frozen_at": None},
        )  # fmt: skip
        return moved

    patch.setattr(wallet, "retire", retire)


def exchanged_under_money(patch: Planting) -> None:
    """Nobody asks whether money is on its way to the meter that leaves."""

    async def live_of_meter(*_: Any) -> None:
        return None

    async def is_live(*_: Any) -> bool:
        return False

    patch.setattr(recharge, "live_of_meter", live_of_meter)
    patch.setattr(recharges, "is_live", is_live)


def deposit_in_the_purse(patch: Planting) -> None:
    """A deposit lies where it may be spent."""
    honest = ledger.open_account

    async def open_account(
        connection: Any, project_id: int, kind: Any, *rest: Any, **more: Any
    ) -> int:
        if kind is not AccountKind.DEPOSIT:
            return await honest(connection, project_id, kind, *rest, **more)
        purse: int = await connection.fetchval(
            """select id from account where project_id = $1 and agreement_id = $2
               and kind = 'purse' order by id limit 1""", project_id, rest[1],
        )  # fmt: skip
        return purse

    patch.setattr(ledger, "open_account", open_account)


def deposit_is_forgotten(patch: Planting) -> None:
    """Whoever leaves gets back what is in the purse, and that is that."""

    async def deposits(*_: Any) -> list[Any]:
        return []

    patch.setattr(agreements, "deposits", deposits)


def every_move_is_new(patch: Planting) -> None:
    """A move that arrives twice moves twice."""
    honest, count = move.NewPayment, iter(range(10**6))

    def new_payment(
        agreement_id: int, from_id: int, how: str, amount: Any, key: str, *rest: Any
    ) -> Any:
        return honest(agreement_id, from_id, how, amount, f"{key} {next(count)}", *rest)

    patch.setattr(move, "NewPayment", new_payment)


def every_slip_is_new(patch: Planting) -> None:
    """A slip that arrives twice, because the first answer was lost, is done twice."""
    honest, count = refund._order, iter(range(10**6))

    def order(facts: Any, slip: Any, *rest: Any) -> Any:
        return honest(facts, replace(slip, key=f"{slip.key} {next(count)}"), *rest)

    patch.setattr(refund, "_order", order)


def credit_out_of_the_drawer(patch: Planting) -> None:
    """Opening credit is booked as if somebody had paid it."""
    honest = ledger.house_account

    async def house_account(connection: Any, project_id: int, kind: Any, *rest: Any) -> int:
        is_opening = kind is AccountKind.OPENING
        return await honest(connection, project_id, AccountKind.CASH if is_opening else kind, *rest)

    patch.setattr(ledger, "house_account", house_account)


def found_by_nobody(patch: Planting) -> None:
    """What a vacant meter holds stays the house's, whoever moves in."""

    async def go_along(*_: Any) -> None:
        return

    patch.setattr(vacancy, "go_along", go_along)


def left_to_the_next(patch: Planting) -> None:
    """Whoever moves in gets what their predecessor's recharge was to bring."""
    nobody_asks_where_it_is(patch)
    honest = settle._write

    async def write(connection: Any, project_id: int, agreement_id: int, *rest: Any) -> None:
        await honest(connection, project_id, agreement_id, *rest)
        await connection.execute(
            """update recharge r set agreement_id = a.agreement_id, account_id = a.id
               from point p join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
               where r.project_id = $1 and r.agreement_id = $2 and p.id = r.point_id
               and r.state in ('sent', 'unknown')""", project_id, agreement_id,
        )  # fmt: skip

    patch.setattr(settle, "_write", write)


def pooled(patch: Planting) -> None:
    """Whoever is paid, money is money."""

    def is_pooled(*_: Any) -> bool:
        return False

    patch.setattr(parties, "is_pooled", is_pooled)


def out_of_the_houses_drawer(patch: Planting) -> None:
    """What a payee received is paid back by the house."""

    async def cash_of(connection: Any, facts: Any, payee_id: Any) -> int:
        house: int = facts["house_cash_id"]
        return house

    patch.setattr(refund, "_cash_of", cash_of)


def nobody_else_is_asked(patch: Planting) -> None:
    """No amount is so large that two have to agree."""

    def needs_second(*_: Any) -> bool:
        return False

    patch.setattr(policies, "needs_second", needs_second)


def one_agrees_with_oneself(patch: Planting) -> None:
    """Whoever agreed, somebody did."""
    honest = refund._check_second

    def check_second(facts: Any, amount_minor: int, slip: Any) -> None:
        if slip.second_id is None:
            honest(facts, amount_minor, slip)

    patch.setattr(refund, "_check_second", check_second)


def anothers_purse(patch: Planting) -> None:
    """What is left is looked for with who asks, and taken from who came first."""
    honest = refund._out

    async def out(connection: Any, facts: Any, new: Any, slip: Any) -> Any:
        first: int = await connection.fetchval(
            """select a.id from account a join agreement g on g.id = a.agreement_id
               where a.kind = 'purse' and g.kind = 'tenant' and a.compartment = 'electricity'
               order by a.id limit 1"""
        )
        return await honest(connection, facts, replace(new, account_id=first), slip)

    patch.setattr(refund, "_out", out)


def one_meter_is_all(patch: Planting) -> None:
    """Money of a household is looked for on its way to the meter that was named alone."""

    async def live_recharge(*_: Any) -> bool:
        return False

    patch.setattr(desk, "live_recharge", live_recharge)


def debt_goes_along(patch: Planting) -> None:
    """Whoever moves in owes what the meter says."""

    async def make_good(*_: Any) -> None:
        return

    patch.setattr(vacancy, "_make_good", make_good)


FEE: Step = ("fee", 0, 60, False)
TWO_METERS: tuple[Step, ...] = (("empty", 1), ("leave", 1), ("join", 1, 0))
"""One household, two rooms."""

DESK_FAULTS = (
    Fault("money pooled across payees", pooled,
          (("receive", "electricity", "Works"), ("receive", "fee", "Caretakers"), *BACK,
           ("share", 0, 100), ("fee", 0, 60, True))),
    Fault("another's drawer pays back", out_of_the_houses_drawer,
          (("receive", "electricity", "Works"), *BACK, ("refund", 0))),
    Fault("nobody else is asked", nobody_else_is_asked, (("deposit", 0, 30_000),
          ("give_back", 0, "", ""))),
    Fault("one agrees with oneself", one_agrees_with_oneself, (("deposit", 0, 30_000),
          ("give_back", 0, "", "self"))),
    Fault("refunded out of another's purse", anothers_purse,
          (*BACK, ("pay", 1, 500), ("cancel", 0), ("refund", 1))),
    Fault("a fee is undone twice", nothing_is_undone,
          (FEE, FEE, ("undo_fee", 0), ("undo_fee", 0)), sql=("drop index payment_reversed",)),
    Fault("a refund while another of its meters waits", one_meter_is_all,
          (*TWO_METERS, *BACK, ("pay", 1, 500), serve(Mishap.LOST), ("refund", 0))),
    Fault("a new tenant inherits an overdraft", debt_goes_along,
          (*GONE, ("overdraw", 0), ("come", 0, 0))),
    Fault("a further room brings its debt along", debt_goes_along,
          (*GONE, ("overdraw", 0), ("join", 0, 1))),
    Fault("move takes what is on its way", moves_what_is_on_its_way,
          (PAY, serve(Mishap.LOST), ("move", 0, 1, 300))),
    Fault("a move twice", every_move_is_new, (*BACK, ("move", 0, 1, 100), ("move_again", 0))),
    Fault("a sale is reversed twice", nothing_is_undone,
          (*BACK, ("reverse", 0), *BACK, ("reverse", 0)), sql=("drop index payment_reversed",)),
    Fault("a deposit is given back twice", nothing_is_undone,
          (("deposit", 0, 700), ("deposit", 0, 700), ("give_back", 0), ("give_back", 0))),
    Fault("a refund twice after a crash", every_slip_is_new,
          (*BACK, *BACK, ("refund", 0, "after"))),
    Fault("a deposit may be spent", deposit_in_the_purse, (("deposit", 0, 700),)),
    Fault("closing forgets the money in the meter", nobody_asks_where_it_is, (("leave", 0),)),
    Fault("closing forgets the deposit", deposit_is_forgotten, (("deposit", 0, 700), *GONE)),
    Fault("a recharge is left to the next household", left_to_the_next,
          (("empty", 0), PAY, serve(Mishap.LOST), ("hand_over", 0, "move"))),
    Fault("opening credit comes out of the drawer", credit_out_of_the_drawer,
          (*GONE, ("come", 0, 3_000))),
    Fault("what a vacant meter holds is nobody's", found_by_nobody,
          (*GONE, ("exchange", 0, 0, "new", 500), SOON, ("read", 0), ("come", 0, 0))),
    Fault("an exchange moves the money twice", moved_twice, (("exchange", 0, 0, "new"),)),
    Fault("an exchange leaves the old purse alive", purse_lives_on, (("exchange", 0, 0, "same"),)),
    Fault("an exchange under money", exchanged_under_money,
          (PAY, serve(Mishap.REPLY_LOST), ("exchange", 0, 0, "new"))),
)  # fmt: skip
