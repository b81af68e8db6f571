"""What receipts and reports say in a reader's words, and their files on the paper asked for.

Owns titles, labels and order of what stands on paper. Must never know how a number was taken,
nor a request. Texts that people typed pass `plain`, so that none can steer a printer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.responses import Response

from meterhouse.flows.orders import Direction, direction_of
from meterhouse.flows.receipt import Facts, Print, Receipt
from meterhouse.model import Commodity, PaymentKind
from meterhouse.paper.capitals import RENMINBI, capitals
from meterhouse.paper.sheet import TICKET_COLUMNS, Paper, Row, Sheet, Table, plain
from meterhouse.paper.statement import Column, statement
from meterhouse.paper.ticket import ticket
from meterhouse.press import setter
from meterhouse.units import Minor, to_decimal
from meterhouse.web import labels, paperwords
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.web.tables import Column as ListColumn
from meterhouse.web.tables import Kind, cell_text
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
    is_out = direction_of(facts.kind, facts.channel) is Direction.OUT
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
    return spoken(paperwords.RECEIPT_FOR[PaymentKind(kind)])


def _rows(receipt: Receipt, fmt: Formats, payer: str) -> list[Row]:
    facts, spoken = receipt.facts, fmt.words
    paid_at = datetime.fromisoformat(facts.paid_at)
    channel = paperwords.PAID_BY.get(facts.channel, facts.channel)
    found = [
        (N_("Project"), facts.project),
        (N_("Room"), f"{facts.building} {facts.room}".strip()),
        (N_("Customer"), payer),
        (N_("Meter"), facts.meter),
        (N_("Payment for"), what_for(facts.kind, facts.commodity, spoken)),
        (N_("Fee for"), facts.purpose),
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


async def report_answer(tables: Sequence[Table], name: str, at: datetime) -> Response:
    """A report as an answer that a browser shows. Raises `ChineseFontMissing`, `OutOfRange`."""
    (made,) = await asyncio.to_thread(setter.report, tables, "pdf", at)
    headers = {
        "Content-Disposition": f'inline; filename="{name}.pdf"',
        "Cache-Control": "no-store",
    }
    return Response(made, headers=headers, media_type=PDF)


def page_foot(spoken: Words) -> str:
    """The foot of a report's pages; the two numbers are put in where it is set."""
    return spoken(N_("Page {page} of {pages}"), page="{page}", pages="{pages}")


_FIGURES: Final = frozenset({Kind.COUNT, Kind.MONEY, Kind.ENERGY, Kind.POWER})
# Parts of the width: an instant and a word want more than a figure does.
_WIDTHS: Final = {Kind.INSTANT: 5, Kind.TEXT: 4, Kind.WORD: 4, Kind.STATE: 3}


def of_columns(
    title: str, facts: Sequence[Row], columns: Sequence[ListColumn], rows: Sequence[Any],
    fmt: Formats,
) -> Table:  # fmt: skip
    """A report of the columns that a page shows, on A4."""
    return statement(
        fmt.words.language,
        title,
        facts,
        [
            Column(fmt.words(one.title), _WIDTHS.get(one.kind, 3), one.kind in _FIGURES)
            for one in columns
        ],
        [[cell_text(one, row, fmt) for one in columns] for row in rows],
        page=page_foot(fmt.words),
    )


def checklist(row: Any, lines: Sequence[Mapping[str, Any]], fmt: Formats) -> Table:
    """A meter's signed checklist; `lines` as `console.commissioning.lines` writes them."""
    spoken = fmt.words
    signed = f"{fmt.instant(row['signed_at'])} {row['signer_name']}" if row["signed_at"] else ""
    place = " ".join(filter(None, (row["building"], row["floor"], row["room"])))
    facts = (
        (N_("Project"), row["project"]),
        (N_("Room"), place),
        (N_("Meter"), row["address"]),
        (N_("Model"), row["model"]),
        (N_("Gateway"), row["gateway"]),
        (N_("Installed"), fmt.instant(row["installed_at"])),
        (N_("Begun"), f"{fmt.instant(row['started_at'])} {row['starter_name']}"),
        (N_("Signed at"), signed or spoken(N_("Not signed"))),
        (N_("Note"), row["note"]),
    )
    blank = " ________________"
    return statement(
        spoken.language,
        f"{spoken(N_('Commissioning report'))} {row['address']}",
        [Row(spoken(title), text or ABSENT) for title, text in facts],
        [Column(spoken(N_("Item")), 3), Column(spoken(N_("State")), 2),
         Column(spoken(N_("What was seen")), 5), Column(spoken(N_("At")), 3)],
        [(one["title"], labels.label(spoken, one["state"]),
          " ".join(filter(None, (one["seen"], one["why"]))), fmt.instant(one["at"]))
         for one in lines],
        notes=[spoken(title) + blank
               for title in (N_("Engineer"), N_("For the property"), N_("Date"))],
        page=page_foot(spoken),
    )  # fmt: skip
