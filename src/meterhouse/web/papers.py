"""What a receipt says in a reader's words, and its file on the paper asked for.

Owns titles, labels and order of what stands on a receipt. Must never know how a number was taken,
nor a request. Texts that people typed pass `plain`, so that none can steer a printer.
"""

import asyncio
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from meterhouse.flows.receipt import PAID_OUT, Facts, Print, Receipt
from meterhouse.model import Commodity, PaymentKind
from meterhouse.paper.capitals import RENMINBI, capitals
from meterhouse.paper.sheet import TICKET_COLUMNS, Paper, Row, Sheet, plain
from meterhouse.paper.ticket import ticket
from meterhouse.press import setter
from meterhouse.units import Minor, to_decimal
from meterhouse.web import labels
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.words import N_, Words, words

PDF: Final = "application/pdf"
BYTES: Final = "application/octet-stream"
SVG: Final = "image/svg+xml"

_CELL_CHARS_MAX: Final = 60
_FOOTER_CHARS_MAX: Final = 200
_PRICE_EXPONENT: Final = 6


def formats(facts: Facts, spoken: Words) -> Formats:
    """How the receipt's values look: its project's zone and currency, as they were."""
    zone = ZoneInfo(facts.timezone)
    return Formats(spoken, zone, facts.currency, facts.currency_exponent)


def sheet_of(receipt: Receipt, spoken: Words, payer: str, mark: str) -> Sheet:
    """A receipt as it is printed; `mark` sets it apart from the original."""
    facts, row = receipt.facts, receipt.row
    fmt = formats(facts, spoken)
    is_out = facts.kind in PAID_OUT
    total = Row(
        spoken(N_("Amount paid out")) if is_out else spoken(N_("Amount received")),
        fmt.money(facts.amount_minor),
    )
    return Sheet(
        language=spoken.language,
        title=spoken(N_("Payment voucher")) if is_out else spoken(N_("Receipt of payment")),
        payee=plain(facts.payee or facts.project, _CELL_CHARS_MAX),
        mark=mark,
        void=spoken(N_("VOID")) if row["is_void"] else "",
        number=Row(spoken(N_("No.")), row["label"]),
        rows=tuple(_rows(receipt, fmt, payer)),
        total=total,
        capitals=_capitals(facts, spoken),
        signs=(
            Row(spoken(N_("Payee (seal)")), ""),
            Row(spoken(N_("Cashier")), plain(row["cashier"], _CELL_CHARS_MAX)),
            Row(spoken(N_("Signature")), ""),
        ),
        footer=plain(receipt.settings.footer, _FOOTER_CHARS_MAX),
    )


def what_for(kind: str, commodity: str, spoken: Words) -> str:
    """What the money was for, as in 电费预存."""
    if kind == PaymentKind.RECHARGE and commodity:
        named = labels.label(spoken, Commodity(commodity))
        return spoken(N_("Prepayment: {commodity}"), commodity=named)
    return spoken(labels.RECEIPT_FOR[PaymentKind(kind)])


def _rows(receipt: Receipt, fmt: Formats, payer: str) -> list[Row]:
    facts, spoken = receipt.facts, fmt.words
    paid_at = datetime.fromisoformat(facts.paid_at)
    channel = labels.PAID_BY.get(facts.channel, facts.channel)
    found = [
        (N_("Project"), facts.project),
        (N_("Room"), f"{facts.building} {facts.room}".strip()),
        (N_("Customer"), payer),
        (N_("Meter"), facts.meter),
        (N_("Payment for"), what_for(facts.kind, facts.commodity, spoken)),
        (N_("Paid by"), spoken(channel)),
        (N_("Price"), _price(facts, fmt)),
        (N_("Energy"), _energy(facts, fmt)),
        (N_("Paid at"), fmt.instant(paid_at)),
        (N_("Order no."), str(facts.payment_id)),
        (N_("Takes back"), facts.of_label),
        (N_("Cash given"), _maybe(facts.tender_minor, fmt)),
        (N_("Change given"), _change(facts, fmt)),
        (N_("Balance afterwards"), _maybe(facts.balance_minor, fmt)),
        (N_("Tax identity"), facts.tax_id),
    ]  # fmt: skip
    # A vacant line is left out, but who paid is always said, or that it is not known.
    rows = [
        Row(spoken(title), plain(text, _CELL_CHARS_MAX) or ABSENT)
        for title, text in found
        if text or title == "Customer"
    ]
    if receipt.row["is_void"]:
        since = f"{fmt.instant(receipt.row['voided_at'])} {receipt.row['void_reason']}"
        rows.append(Row(spoken(N_("Void since")), plain(since), is_wide=True))
    return rows


def _maybe(amount_minor: int | None, fmt: Formats) -> str:
    return "" if amount_minor is None else fmt.money(amount_minor)


def _change(facts: Facts, fmt: Formats) -> str:
    given = facts.tender_minor
    return "" if given is None else fmt.money(given - facts.amount_minor)


def _energy(facts: Facts, fmt: Formats) -> str:
    if facts.energy_milli is None or not facts.commodity:
        return ""
    return f"{fmt.energy(facts.energy_milli)} {labels.UNIT[Commodity(facts.commodity)]}"


def _price(facts: Facts, fmt: Formats) -> str:
    """A price with four decimals, or all six where they say more."""
    if facts.price_micro is None or not facts.commodity:
        return ""
    text = to_decimal(facts.price_micro, _PRICE_EXPONENT).removesuffix("00")
    return f"{fmt.currency_symbol}{text}/{labels.UNIT[Commodity(facts.commodity)]}"


def _capitals(facts: Facts, spoken: Words) -> Row:
    """The amount in capitals, which are those of the yuan, in Chinese."""
    is_yuan = (facts.currency, facts.currency_exponent) == ("CNY", 2)
    if not is_yuan or not spoken.language.startswith("zh"):
        return Row("", "")
    return Row(spoken(N_("In capitals")), RENMINBI + capitals(Minor(facts.amount_minor)))


def copy_mark(copy: int, spoken: Words) -> str:
    """What the paper says of a print: nothing on the first, then which copy it is."""
    return "" if copy == 1 else spoken(N_("Copy {number}"), number=copy - 1)


async def file_of(one: Print) -> tuple[bytes, str, str]:
    """The file of a print: its bytes, its media type, its name.

    Raises:
        ChineseFontMissing: it is a PDF, and no font for it is installed.
    """
    spoken = words(one.language)
    sheet = sheet_of(one.receipt, spoken, one.payer, copy_mark(one.copy, spoken))
    stem = "".join(c if c.isascii() and c.isalnum() else "-" for c in one.receipt.row["label"])
    if one.paper in TICKET_COLUMNS:
        return ticket(sheet, one.paper), BYTES, f"{stem}.escpos"
    made = await asyncio.to_thread(setter.receipt, sheet, one.paper, "pdf", one.printed_at)
    return made, PDF, f"{stem}.pdf"


async def preview_of(receipt: Receipt, paper: Paper, spoken: Words) -> bytes:
    """How it would look, as SVG, masked and marked as no receipt. Raises as `file_of`."""
    payer = receipt.row["customer"] or ""
    sheet = sheet_of(receipt, spoken, payer, spoken(N_("Preview")))
    # A ticket printer's paper looks like the roll, which is as wide.
    shown = Paper.ROLL if paper in TICKET_COLUMNS else paper
    return await asyncio.to_thread(setter.receipt, sheet, shown, "svg")
