"""Every page in a made-up language: whatever is not in its brackets was never translated.

All messages come out as ⟦message⟧. What stands outside the brackets must be data of the site,
figures or signs; two messages in one piece of text were glued together, which no translator can
put in another order.
"""

import csv
import gettext
import re
from html.parser import HTMLParser

import httpx
import pytest

import meterhouse.words
from desk import key_in, signed_in, token_in
from meterhouse.flows import library
from meterhouse.store.db import maintenance
from meterhouse.web.access import LANGUAGE_COOKIE, check_routes
from meterhouse.web.acts import FORMS
from walking import ASIDE, ASKED, ROOT, walk_of

# The same in every language: units, formats, the product's own name, key caps, languages' names.
SAME = (
    "kWh", "kW", "m³", "m²", "XLSX", "CSV", "JSON", "CNY", "meterhouse", "English", "简体中文",
    "API", "Ctrl", "Esc",
)  # fmt: skip
FILES = ("/export", "/template", ".xlsx", ".csv", "/file")
HEARD = ("title", "placeholder", "aria-label", "alt", "label")
# Longer than any line; only what asks for several lines takes so much.
LONG = "?" * 600
QUIET = {"script", "style", "textarea", "svg"}


class Pseudo(gettext.NullTranslations):
    def gettext(self, message):
        return f"⟦{message}⟧"

    def ngettext(self, one, many, count):
        return f"⟦{one if count == 1 else many}⟧"


class Heard(HTMLParser):
    """Every piece of text a reader sees or hears, as one piece a node."""

    def __init__(self):
        super().__init__()
        self.pieces, self.quiet = [], 0

    def handle_starttag(self, tag, attrs):
        self.quiet += tag in QUIET
        self.pieces += [text for name, text in attrs if name in HEARD and text]

    def handle_endtag(self, tag):
        self.quiet -= tag in QUIET

    def handle_data(self, text):
        if text.strip() and not self.quiet:
            self.pieces.append(text.strip())


@pytest.fixture
def pseudo(monkeypatch):
    monkeypatch.setattr(meterhouse.words.gettext, "NullTranslations", Pseudo)
    meterhouse.words.words.cache_clear()
    yield
    meterhouse.words.words.cache_clear()


async def known_texts(site):
    """Whatever text the database holds: names, addresses, models, notes."""
    found = set()
    async with maintenance(site.db.address) as connection:
        columns = await connection.fetch(
            """select table_name, column_name from information_schema.columns
               where table_schema = 'meterhouse' and data_type = 'text'"""
        )
        for table, column in columns:
            rows = await connection.fetch(
                f'select distinct "{column}" as said from {table} limit 2000'
            )
            found |= {row["said"] for row in rows if row["said"]}
        # The facts of the audit are told in the words of the books, as the API tells them.
        rows = await connection.fetch("select concat(before, ' ', after) as said from audit_entry")
        found |= {word for row in rows for word in re.findall(r"\w{2,}", row["said"])}
    # What ships as a file says itself who wrote it.
    for scheme in map(library.scheme, library.names()):
        source = scheme.source
        found.add(scheme.name)
        for text in (source.title, source.issuer, source.note):
            found |= {text} if isinstance(text, str) else set(text.values())
    found.discard("")
    return sorted(found)


def outside(piece):
    """What stands outside of all brackets, and how many outermost messages there are."""
    rest, depth, count = [], 0, 0
    for sign in piece:
        if sign == "⟦":
            count += depth == 0
            depth += 1
        elif sign == "⟧":
            depth -= 1
        elif depth == 0:
            rest.append(sign)
    return "".join(rest), count


def faults(pieces, known):
    for piece in pieces:
        rest, count = outside(piece)
        between = re.fullmatch(r"⟦[^⟦⟧]*⟧(\s*)⟦[^⟦⟧]*⟧", piece)
        if between and count > 1:
            yield f"glued: {piece}"
        for text in sorted((*known, *SAME), key=len, reverse=True):
            if text in rest:
                rest = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", " ", rest)
        if re.search(r"[A-Za-z]{2,}|[\u4e00-\u9fff]", rest):
            yield f"untranslated: {piece}"


@pytest.fixture(scope="module")
async def walk(site):
    """All pages there are, of a site where each has something to show."""
    return await walk_of(site)


@pytest.fixture(scope="module")
async def signed(walk):
    """Somebody who may do everything; signed in once, as often is not let."""
    transport = httpx.ASGITransport(app=walk.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        client.cookies.set(LANGUAGE_COOKIE, "en")
        yield await signed_in(client, ROOT)


@pytest.fixture
def reader(signed, pseudo):
    """The same, who reads the made-up language."""
    return signed


def heard_in(page):
    heard = Heard()
    heard.feed(page.text)
    return heard.pieces


async def test_every_page_is_there_and_speaks_the_readers_language_alone(site, walk, reader):
    known, found, seen = await known_texts(site), [], 0
    for path, address in walk.pages():
        page = await reader.get(address)
        if page.status_code != 200:
            found.append(f"{path}: {page.status_code}")
        elif "text/html" in page.headers.get("content-type", "") and not path.endswith(FILES):
            seen += 1
            found += [f"{path}: {one}" for one in faults(heard_in(page), known)]
    assert seen > 200
    assert sorted(set(found)) == []


def test_what_is_left_aside_is_a_route(walk):
    """A name that no route has any more would excuse the next one that takes it."""
    assert ASIDE.keys() <= {path for _, path, _ in check_routes(walk.app)}
    assert ASKED.keys() | walk.more.keys() <= {path for path, _ in walk.pages()}


def can_be_wrong(act):
    """Whether a form asks for more than yes or no."""
    return any(ask.kind != "flag" for _, ask in act.asks.values())


@pytest.mark.parametrize("act", [*filter(can_be_wrong, FORMS)], ids=lambda act: act.name)
async def test_what_is_wrong_with_a_field_is_said_in_the_readers_language(site, walk, reader, act):
    known, address = await known_texts(site), walk.addresses[act.page]
    form = await reader.get(address)
    sent = {"csrf": token_in(form), "key": key_in(form)}
    for name, (_, ask) in act.asks.items():
        if ask.kind != "flag":
            sent[name] = "\u0000" * 3 if ask.kind == "secret" else LONG
    answer = await reader.post(address, data=sent)
    assert answer.status_code == 422
    assert list(faults(heard_in(answer), [*known, LONG])) == []


async def test_files_have_headings_in_the_readers_language(walk, reader):
    seen = 0
    for path, address in walk.pages():
        if path.endswith("/export"):
            sheet = await reader.get(address, params={"kind": "csv"})
            first = next(csv.reader([sheet.text.lstrip("\ufeff").splitlines()[0]]))
            assert all(cell.startswith("⟦") for cell in first), (path, first)
            seen += 1
    assert seen >= 6


def test_what_is_untranslated_or_glued_is_found():
    assert list(faults(["⟦Room⟧ A101", "⟦Room⟧ · 12.50 kWh"], ["A101"])) == []
    assert list(faults(["Room A101"], ["A101"])) == ["untranslated: Room A101"]
    assert list(faults(["⟦Room⟧ ⟦of⟧"], [])) == ["glued: ⟦Room⟧ ⟦of⟧"]
