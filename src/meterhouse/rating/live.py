"""A scheme as it runs along with the readings: said by bands, blocks and days, or refused.

Owns the translation. Prepaid money is charged interval by interval, so whatever is charged while
energy flows must follow from bands, blocks, prices and the days that begin: a surcharge is a part
of every price, free energy is a first block that costs nothing, the higher the more persons it is
given for, a standing charge falls due day by day.

What is known only when a billing period has ended (minimum, demand, losses, tax that is added, free
energy that is carried over) runs along as near as prices can say it: losses and tax as parts of
them, the rest not at all. The period's bill then says exactly what is owed, and the difference is
posted (`flows/bills.py`); `is_billed` tells which schemes need that. What neither can say is
refused here, with its path and what to do instead, before such a scheme is published. Must never
know a point or a reading.
"""

from collections.abc import Iterator
from dataclasses import replace

from meterhouse import units
from meterhouse.rating.arrays import AT_US_MAX
from meterhouse.rating.blocks import BLOCKS_MAX, PERSONS_MAX, Blocks, Counted, Fill, Period
from meterhouse.rating.charges import (
    NO_CHARGES,
    Allowance,
    Charges,
    DemandBy,
    Grant,
    Per,
    Standing,
)
from meterhouse.rating.fields import TariffInvalid
from meterhouse.rating.periods import Billing, Proration
from meterhouse.rating.standing import STANDING_MICRO_MAX
from meterhouse.rating.tariff import BandSource, Scheme, Version
from meterhouse.units import MICRO_PER_UNIT, PRICE_MICRO_MAX
from meterhouse.words import N_


def live(scheme: Scheme) -> Scheme:
    """The scheme by bands, blocks and standing charges.

    It charges as `bill` does, to the Nano; or nearly so, where the scheme `is_billed`.

    For so many persons it is laid out as `of_household` gives it.

    Raises:
        TariffInvalid: something of it cannot be charged while energy flows.
    """
    billing = scheme.billing or Billing()
    if is_billed(scheme):
        _check_bands(scheme)
    return replace(
        scheme,
        versions=tuple(
            _version(version, billing, f"$.versions[{place}]")
            for place, version in enumerate(scheme.versions)
        ),
    )


def is_billed(scheme: Scheme, from_us: int = 0, to_us: int = AT_US_MAX) -> bool:
    """Whether something is known only when a billing period has ended, at any instant of a span."""
    ends_us = [*(units.to_us(version.effective_from) for version in scheme.versions[1:]), AT_US_MAX]
    return any(
        _billed_part(version.charges) != NO_CHARGES
        for version, end_us in zip(scheme.versions, ends_us, strict=True)
        if units.to_us(version.effective_from) < to_us and end_us > from_us
    )


def _check_bands(scheme: Scheme) -> None:
    """A bill divides energy by the day tables, in every version that it may reach over."""
    for place, version in enumerate(scheme.versions):
        if version.band_source is BandSource.METER:
            mend = N_("choose platform; a period's bill divides energy by the day tables")
            raise TariffInvalid(f"$.versions[{place}].band_source", mend)


def _version(version: Version, billing: Billing, path: str) -> Version:
    charges, blocks = version.charges, version.blocks
    _check(version, path)
    standing = charges.standing and replace(
        charges.standing, amount_micro=_taxed(charges.standing.amount_micro, charges)
    )
    if standing:
        _check_standing(standing, billing, f"{path}.standing")
    if blocks.counted is Counted.HOUSEHOLD:
        mend = N_("choose meter; each meter fills its own blocks while it runs")
        raise TariffInvalid(f"{path}.blocks.counted", mend)
    prices = _whole_prices(version.prices_micro, charges, path)
    if charges.allowance:
        at = f"{path}.allowance"
        _check_allowance(charges.allowance, version, billing, at)
        blocks = _raised(blocks, charges.allowance, at)
        prices = tuple((0, *row) for row in prices)
    left = replace(_billed_part(charges), standing=standing)
    return replace(version, blocks=blocks, prices_micro=prices, charges=left)


def _billed_part(charges: Charges) -> Charges:
    """What of the charges waits for the period's bill, so that nobody takes prices for all."""
    free, tax = charges.allowance, charges.tax
    return replace(
        NO_CHARGES,
        minimum_micro=charges.minimum_micro,
        demand=charges.demand,
        loss_micro=charges.loss_micro,
        tax=tax if tax and not tax.included else None,
        allowance=free if free and free.carries else None,
    )


def _check(version: Version, path: str) -> None:
    """What is charged of power, of energy that was not measured, or at a period's end."""
    charges = version.charges
    if charges.demand is not None and charges.demand.by is DemandBy.CAPACITY:
        mend = N_("choose maximum, or make it a standing charge; no capacity is kept of a meter")
        raise TariffInvalid(f"{path}.demand.by", mend)
    if charges.multiplier != 1:
        mend = N_("take it out and give the meter its multiplier, which its readings then have")
        raise TariffInvalid(f"{path}.multiplier", mend)
    is_billed = _billed_part(charges) != NO_CHARGES
    if is_billed and charges.allowance and charges.allowance.grant is Grant.ONCE:
        mend = N_("give it each period; a period's bill does not know what was given once")
        raise TariffInvalid(f"{path}.allowance.grant", mend)


def _check_standing(standing: Standing, billing: Billing, path: str) -> None:
    """A charge for being connected that falls due day by day."""
    if standing.per is Per.PERIOD and billing.proration is not Proration.DAYS:
        mend = N_("choose days; a charge by the period runs along day by day")
        raise TariffInvalid("$.billing.proration", mend)
    if standing.amount_micro > STANDING_MICRO_MAX:
        mend = N_("give at most {most}; it is charged while energy flows")
        raise TariffInvalid(f"{path}.amount_micro", mend, most=STANDING_MICRO_MAX)


def _whole_prices(
    prices_micro: tuple[tuple[int, ...], ...], charges: Charges, path: str
) -> tuple[tuple[int, ...], ...]:
    """Prices with surcharges, losses and the tax that is added; a rounded price where it must."""
    added_micro = sum(each.price_micro for each in charges.surcharges)
    summed = tuple(
        tuple(_taxed(_with_losses(price + added_micro, charges), charges) for price in row)
        for row in prices_micro
    )
    if not all(0 <= price <= PRICE_MICRO_MAX for row in summed for price in row):
        mend = N_("keep every price, surcharges included, from 0 to {most}")
        raise TariffInvalid(f"{path}.surcharges", mend, most=PRICE_MICRO_MAX)
    return summed


def _with_losses(price_micro: int, charges: Charges) -> int:
    return _share_up(price_micro, MICRO_PER_UNIT + charges.loss_micro)


def _taxed(amount_micro: int, charges: Charges) -> int:
    """An amount with the tax that is added to it."""
    if charges.tax is None or charges.tax.included:
        return amount_micro
    return _share_up(amount_micro, MICRO_PER_UNIT + charges.tax.rate_micro)


def _share_up(amount_micro: int, share_micro: int) -> int:
    """A share in millionths, rounded half up."""
    return (2 * amount_micro * share_micro + MICRO_PER_UNIT) // (2 * MICRO_PER_UNIT)


def _check_allowance(
    allowance: Allowance, version: Version, billing: Billing, path: str
) -> None:  # fmt: skip
    """Free energy that a first block gives exactly as a bill would."""
    has_limits = bool(version.blocks.limits_milli)
    if allowance.per_person and allowance.grant is Grant.ONCE:
        mend = N_("give it each period, or for the room; who comes later would have none of it")
        raise TariffInvalid(f"{path}.per_person", mend)
    if len(version.bands) > 1 and version.blocks.fill is Fill.PRO_RATA:
        raise TariffInvalid(
            path, N_("choose chronological filling; free energy is what comes first")
        )
    if allowance.grant is Grant.ONCE:
        if has_limits and version.blocks.period is not Period.NONE:
            mend = N_("give it each period; blocks that begin again give it anew")
            raise TariffInvalid(f"{path}.grant", mend)
        return
    if has_limits and version.blocks.period is not Period.MONTH:
        raise TariffInvalid(
            path, N_("choose blocks by the month; free energy begins again with them")
        )
    if billing.proration is not Proration.WHOLE:
        mend = N_("choose whole; who opens within a period has all of its free energy")
        raise TariffInvalid("$.billing.proration", mend)


def _raised(blocks: Blocks, allowance: Allowance, path: str) -> Blocks:
    """A free block before all others, which it raises: free energy fills no block."""
    if len(blocks.limits_milli) + 1 >= BLOCKS_MAX:
        mend = N_("leave room: free energy is one of {most} blocks")
        raise TariffInvalid(path, mend, most=BLOCKS_MAX)
    free_milli = allowance.energy_milli
    period = Period.NONE if allowance.grant is Grant.ONCE else Period.MONTH
    return replace(
        blocks,
        period=period,
        limits_milli=(free_milli, *(limit + free_milli for limit in blocks.limits_milli)),
        seasonal=tuple(
            (name, (free_milli, *(limit + free_milli for limit in limits)))
            for name, limits in blocks.seasonal
        ),
        persons=tuple(_persons(blocks, allowance)),
    )


def _persons(blocks: Blocks, allowance: Allowance) -> Iterator[tuple[int, tuple[int, ...]]]:
    """What households have in addition; each person's free energy raises every limit."""
    if not allowance.per_person:
        yield from ((least, (0, *adds)) for least, adds in blocks.persons)
        return
    for persons in range(1, PERSONS_MAX + 1):
        more_milli = allowance.energy_milli * (persons - 1)
        adds = next(
            (adds for least, adds in reversed(blocks.persons) if least <= persons),
            (0,) * len(blocks.limits_milli),
        )
        yield persons, (more_milli, *(add + more_milli for add in adds))
