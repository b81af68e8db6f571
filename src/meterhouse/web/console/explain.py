"""Every coin (每一分钱): the page that tells why a balance changed, and the same page on paper.

Owns what stands on both; the one on paper is for the tenant, in the tenant's language, and has
nothing around it. Must never know how a sum is made, nor show what only staff may see.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows.access import Verb
from meterhouse.flows.explain import Explained, Standing, explain_transfer
from meterhouse.flows.intervals import Interval
from meterhouse.model import AccountKind, Commodity, PaymentKind, Quality
from meterhouse.rating.explained import Line
from meterhouse.units import from_us, nano_per_minor
from meterhouse.web import labels, moneywords, parameterwords, rechargewords
from meterhouse.web.access import Permission, database_of
from meterhouse.web.cells import masked_name
from meterhouse.web.doubtwords import DecidedName
from meterhouse.web.formats import ABSENT, Formats, fine_amount, grouped
from meterhouse.web.labels import Source
from meterhouse.web.moneywords import why_moved
from meterhouse.web.pages import formats_of, render
from meterhouse.web.paperwords import WAYS
from meterhouse.words import LANGUAGES, N_, Words, words

router = APIRouter(dependencies=[Depends(Permission(Verb.MONEY_READ))])

_ADDRESS: Final = "/projects/{project_id}/transfers/{transfer_id:int}/explain"


@router.get(_ADDRESS)
async def explain_page(request: Request, project_id: int, transfer_id: int) -> Response:
    """Why a balance changed, down to the readings."""
    now = await _look(request, project_id, transfer_id)
    fmt = formats_of(request)
    households = [(one, _name(one)) for one in now.households.values()]
    more = {"is_linked": True, "households": households}
    return render(request, "explain.html", _facts(now, fmt) | more)


@router.get(f"{_ADDRESS}/print")
async def explain_print(
    request: Request, project_id: int, transfer_id: int, language: str = "", agreement: int = 0
) -> Response:
    """The same for the tenant: one sheet without the frame, in a language of its own.

    Of two households whose money it moved, `agreement` says which one reads it; else who gave.
    """
    now = await _look(request, project_id, transfer_id)
    households = now.households
    whose = households.get(agreement) or next(iter(households.values()), None)
    now = now.to(None if whose is None else whose.agreement_id)
    spoken = words(language) if language in LANGUAGES else formats_of(request).words
    scope = request.state.scope
    zone = ZoneInfo(scope.timezone)
    fmt = Formats(spoken, zone, scope.currency, scope.currency_exponent)
    more = {"is_linked": False, "fmt": fmt, "whose": whose, "customer": _name(whose)}
    more |= _spoken(spoken)
    return render(request, "explain_print.html", _facts(now, fmt) | more)


def _name(whose: Standing | None) -> str:
    if whose is None:
        return ABSENT
    return masked_name({"customer": whose.customer, "is_erased": whose.is_erased})


def _spoken(spoken: Words) -> dict[str, Any]:
    """What makes a page speak another language than its reader's."""
    return {"_": spoken, "ngettext": spoken.plural, "words": spoken, "language": spoken.language}


async def _look(request: Request, project_id: int, transfer_id: int) -> Explained:
    tariffs = request.app.state.tariffs
    return await explain_transfer(database_of(request), tariffs, project_id, transfer_id)


def _facts(now: Explained, fmt: Formats) -> dict[str, Any]:
    """What both show."""
    row, order = now.row, now.order
    commodity = Commodity(row["commodity"]) if row["commodity"] else None
    unit = labels.UNIT[commodity] if commodity else ""
    rated = now.booking or now.report
    tariffs = sorted({one.tariff for one in rated.intervals}) if rated else []
    return {
        "told": now,
        "row": row,
        "why": why_moved(row["kind"], commodity),
        "why_moved": why_moved,
        "sides": [(AccountKind(row[f"{side}_kind"]), row[f"{side}_compartment"])
                  for side in ("debit", "credit")],
        "part_words": moneywords.COMPARTMENT,
        "order": order,
        "order_kind": None if order is None else PaymentKind(order["kind"]),
        "channel": "" if order is None else WAYS.get(order["channel"], order["channel"]),
        "size_nano": nano_per_minor(fmt.currency_exponent),
        "kinds": rechargewords.RECHARGE_KIND,
        "step_words": rechargewords.STEP,
        "reply_words": rechargewords.REPLY | rechargewords.HALTED_BY,
        "unit": unit,
        "fine": fine_amount,
        "exact_energy": lambda milli: grouped(milli, 3),
        "line_text": _line_text(fmt, unit),
        "tariffs": tariffs,
        "remarks": lambda one: _remarks(one, fmt, unit, is_mixed=len(tariffs) > 1),
    }  # fmt: skip


def _line_text(fmt: Formats, unit: str) -> Callable[[Interval, Line], str]:
    """One line of an interval: `Peak band, block 1: 2.000 kWh × 0.62 = 1.24`."""

    def text(interval: Interval, line: Line) -> str:
        if line.is_standing:
            return fmt.words(
                N_("Standing charge of the day from {at}, price version {version}: {amount}"),
                at=fmt.instant(from_us(line.from_us)), amount=fine_amount(line.amount_nano),
                version=line.version + 1,
            )  # fmt: skip
        if line.is_unpriced:
            used = f"{grouped(line.energy_milli, 3)} {unit}"
            return fmt.words(N_("Used while there was no tariff, at no charge: {energy}"),
                             energy=used)  # fmt: skip
        said = {
            "band": fmt.words(parameterwords.BAND.get(line.band, line.band)),
            "block": line.block + 1,
            "energy": f"{grouped(line.energy_milli, 3)} {unit}",
            "price": fine_amount(line.price_micro * 1_000),
            "amount": fine_amount(line.amount_nano),
            "version": line.version + 1,
        }
        if interval.has_blocks:
            return fmt.words(
                N_("{band}, block {block}, price version {version}: {energy} × {price} = {amount}"),
                **said,
            )
        return fmt.words(N_("{band}, price version {version}: {energy} × {price} = {amount}"),
                         **said)  # fmt: skip

    return text


def _remarks(one: Interval, fmt: Formats, unit: str, *, is_mixed: bool) -> Sequence[str]:
    """What else there is to know of an interval, in the reader's words.

    The tariff stands above them all, unless several are mixed.
    """
    words, found = fmt.words, []
    if is_mixed:
        found.append(words(N_("Tariff {name}"), name=one.tariff))
    if one.closing is not None:
        found.append(labels.label(words, Source(one.closing.source)))
    if one.has_blocks:
        used = f"{grouped(one.block_milli, 3)} {unit}"
        found.append(words(N_("Used before in the block period: {energy}"), energy=used))
    for held in one.held:
        limits = " · ".join(f"{grouped(each, 3)} {unit}" for each in held.limits_milli)
        found.append(words(N_("Limits for a household of {count}: {limits}"), count=held.persons,
                           limits=limits))  # fmt: skip
    if one.multiplier != 1:
        found.append(words(N_("Multiplied by {count}"), count=one.multiplier))
    if one.is_rollover:
        found.append(words(N_("The register began again at zero")))
    if one.quality is not Quality.GOOD:
        found.append(labels.label(words, one.quality))
    for said in one.decisions:
        told = {
            "what": labels.label(words, DecidedName(said.decided.name.lower())),
            "read_at": fmt.instant(said.read_at), "decided_at": fmt.instant(said.decided_at),
            "reason": said.reason,
        }  # fmt: skip
        found.append(
            words(N_("Decided {decided_at} about {read_at}: {what}. Reason: {reason}"), **told)
        )
    if one.replaced_nano:
        found.append(words(N_("Corrects an earlier charge of {amount}"),
                           amount=fine_amount(one.replaced_nano)))  # fmt: skip
    if one.correction is not None:
        why = {"at": fmt.instant(one.correction.since), "reason": one.correction.reason}
        found.append(
            words(N_("Another tariff was given since {at}: {reason}"), **why)
            if one.correction.is_given
            else words(N_("The price was corrected from {at} on: {reason}"), **why)
        )
    if not one.is_exact:
        found.append(words(N_("Cannot be rated anew")))
    return found
