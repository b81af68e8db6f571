"""A scheme as it runs along with the readings: said by bands, blocks and days, or refused.

Owns the translation. Prepaid money is charged interval by interval, so whatever is charged while
energy flows must follow from bands, blocks, prices and the days that begin: a surcharge is a part
of every price, free energy is a first block that costs nothing, the higher the more persons it is
given for, a standing charge falls due day by day. What cannot be said so would be on the
calculator's bill and on nobody's account; it is refused here, with its path and what to do instead,
before such a scheme is published. Must never know a point or a reading.
"""

from collections.abc import Iterator
from dataclasses import replace

from meterhouse.rating.blocks import BLOCKS_MAX, PERSONS_MAX, Blocks, Counted, Fill, Period
from meterhouse.rating.charges import NO_CHARGES, Allowance, Charges, Grant, Per, Standing
from meterhouse.rating.fields import TariffInvalid
from meterhouse.rating.periods import Billing, Proration
from meterhouse.rating.standing import STANDING_MICRO_MAX
from meterhouse.rating.tariff import Scheme, Version
from meterhouse.units import PRICE_MICRO_MAX
from meterhouse.words import N_


def live(scheme: Scheme) -> Scheme:
    """The scheme by bands, blocks and standing charges; it charges as `bill` does.

    For so many persons it is laid out as `of_household` gives it.

    Raises:
        TariffInvalid: something of it cannot be charged while energy flows.
    """
    billing = scheme.billing or Billing()
    return replace(
        scheme,
        versions=tuple(
            _version(version, billing, f"$.versions[{place}]")
            for place, version in enumerate(scheme.versions)
        ),
    )


def _version(version: Version, billing: Billing, path: str) -> Version:
    charges, blocks = version.charges, version.blocks
    _check(charges, path)
    if charges.standing:
        _check_standing(charges.standing, billing, f"{path}.standing")
    if blocks.counted is Counted.HOUSEHOLD:
        mend = N_("choose meter; each meter fills its own blocks while it runs")
        raise TariffInvalid(f"{path}.blocks.counted", mend)
    prices = _with_surcharges(version.prices_micro, charges, f"{path}.surcharges")
    if charges.allowance:
        at = f"{path}.allowance"
        _check_allowance(charges.allowance, version, billing, at)
        blocks = _raised(blocks, charges.allowance, at)
        prices = tuple((0, *row) for row in prices)
    left = replace(NO_CHARGES, standing=charges.standing)
    return replace(version, blocks=blocks, prices_micro=prices, charges=left)


def _check(charges: Charges, path: str) -> None:
    """Nothing is charged of power, of energy that was not measured, or at a period's end."""
    unsaid = {
        "minimum_micro": charges.minimum_micro > 0,
        "demand": charges.demand is not None,
    }
    for field in (name for name, is_said in unsaid.items() if is_said):
        mend = N_(
            "take it out, or make it a standing charge or a fee; at a period's end nothing is "
            "charged while it runs"
        )
        raise TariffInvalid(f"{path}.{field}", mend)
    if charges.multiplier != 1:
        mend = N_("take it out and give the meter its multiplier, which its readings then have")
        raise TariffInvalid(f"{path}.multiplier", mend)
    if charges.loss_micro:
        mend = N_(
            "take it out and put it into the prices; a running tariff charges what was measured"
        )
        raise TariffInvalid(f"{path}.loss_micro", mend)
    if charges.tax and not charges.tax.included:
        raise TariffInvalid(f"{path}.tax.included", N_("give prices with their tax"))


def _check_standing(standing: Standing, billing: Billing, path: str) -> None:
    """A charge for being connected that falls due day by day."""
    if standing.per is Per.PERIOD and billing.proration is not Proration.DAYS:
        mend = N_("choose days; a charge by the period runs along day by day")
        raise TariffInvalid("$.billing.proration", mend)
    if standing.amount_micro > STANDING_MICRO_MAX:
        mend = N_("give at most {most}; it is charged while energy flows")
        raise TariffInvalid(f"{path}.amount_micro", mend, most=STANDING_MICRO_MAX)


def _with_surcharges(
    prices_micro: tuple[tuple[int, ...], ...], charges: Charges, path: str
) -> tuple[tuple[int, ...], ...]:
    added_micro = sum(each.price_micro for each in charges.surcharges)
    summed = tuple(tuple(price + added_micro for price in row) for row in prices_micro)
    if not all(0 <= price <= PRICE_MICRO_MAX for row in summed for price in row):
        mend = N_("keep every price, surcharges included, from 0 to {most}")
        raise TariffInvalid(path, mend, most=PRICE_MICRO_MAX)
    return summed


def _check_allowance(
    allowance: Allowance, version: Version, billing: Billing, path: str
) -> None:  # fmt: skip
    """Free energy that a first block gives exactly as a bill would."""
    has_limits = bool(version.blocks.limits_milli)
    if allowance.per_person and allowance.grant is Grant.ONCE:
        mend = N_("give it each period, or for the room; who comes later would have none of it")
        raise TariffInvalid(f"{path}.per_person", mend)
    if allowance.carries:
        raise TariffInvalid(f"{path}.carries", N_("let it lapse; a running tariff carries nothing"))
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
