"""The chart of accounts: what each kind of account is, and on which side it grows.

Owns the meaning of `AccountKind`. Must never know a row. A household's money is what the house
owes it, so purse, deposit and on-meter accounts grow on the credit side; cash and receivables are
what the house holds or is owed and grow on the debit side.
"""

from dataclasses import dataclass

from meterhouse.model import AccountKind, Commodity, Compartment


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What is true of every account of a kind.

    `credit_normal`: a credit makes it grow. `per_agreement`: belongs to one household.
    `spendable`: a charge may draw it and a relay may count on it.
    """

    credit_normal: bool
    per_agreement: bool
    spendable: bool


CHART: dict[AccountKind, KindFacts] = {
    AccountKind.PURSE: KindFacts(credit_normal=True, per_agreement=True, spendable=True),
    AccountKind.DEPOSIT: KindFacts(credit_normal=True, per_agreement=True, spendable=False),
    AccountKind.ON_METER: KindFacts(credit_normal=True, per_agreement=True, spendable=False),
    AccountKind.IN_FLIGHT: KindFacts(credit_normal=True, per_agreement=True, spendable=False),
    AccountKind.CASH: KindFacts(credit_normal=False, per_agreement=False, spendable=False),
    AccountKind.RECEIVABLE: KindFacts(credit_normal=False, per_agreement=True, spendable=False),
    AccountKind.REVENUE: KindFacts(credit_normal=True, per_agreement=False, spendable=False),
    AccountKind.FEE: KindFacts(credit_normal=True, per_agreement=False, spendable=False),
    AccountKind.TAX: KindFacts(credit_normal=True, per_agreement=False, spendable=False),
    AccountKind.SUBSIDY: KindFacts(credit_normal=False, per_agreement=False, spendable=False),
    AccountKind.ROUNDING: KindFacts(credit_normal=True, per_agreement=False, spendable=False),
    AccountKind.SUSPENSE: KindFacts(credit_normal=True, per_agreement=False, spendable=False),
    # Against it stands what households brought along when the books began (期初).
    AccountKind.OPENING: KindFacts(credit_normal=False, per_agreement=False, spendable=False),
}

# Which compartments a charge may draw, in order. Property fees never draw energy money and so
# never open a relay; a project that wants otherwise states its basis in its policy.
DRAW_ORDER: dict[str, tuple[Compartment, ...]] = {
    Commodity.ELECTRICITY: (Compartment.ELECTRICITY, Compartment.COMMON),
    Commodity.WATER: (Compartment.WATER, Compartment.COMMON),
    Commodity.HEAT: (Compartment.HEAT, Compartment.COMMON),
    Commodity.COOLING: (Compartment.HEAT, Compartment.COMMON),
    "fee": (Compartment.FEE,),
}

# A project's books begin with these accounts; households bring their own.
HOUSE_ACCOUNTS: tuple[AccountKind, ...] = (
    AccountKind.CASH,
    AccountKind.REVENUE,
    AccountKind.FEE,
    AccountKind.TAX,
    AccountKind.SUBSIDY,
    AccountKind.ROUNDING,
    AccountKind.SUSPENSE,
    AccountKind.OPENING,
)
