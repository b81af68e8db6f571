"""Every page in a made-up language: whatever is not in its brackets was never translated.

All messages come out as ⟦message⟧. What stands outside the brackets must be data of the site,
figures or signs; two messages in one piece of text were glued together, which no translator can
put in another order.
"""

import contextlib
import gettext
import re
from html.parser import HTMLParser

import httpx
import pytest

import meterhouse.words
from addresses import filled, ids_of, names_in
from desk import key_in, signed_in, token_in
from meterhouse.errors import Conflict
from meterhouse.flows import access
from meterhouse.store.db import maintenance
from meterhouse.web.access import LANGUAGE_COOKIE, check_routes
from meterhouse.web.acts import FORMS
from small_site import NOW, PASSWORD

# The same in every language: units, formats, the product's own name, key caps, languages' names.
SAME = (
    "kWh", "kW", "m³", "m²", "XLSX", "CSV", "JSON", "CNY", "meterhouse", "English", "简体中文",
    "API", "Ctrl", "Esc",
)  # fmt: skip
FILES = ("/export", "/template", ".xlsx", ".csv", "/file")
HEARD = ("title", "placeholder", "aria-label", "alt", "label")
QUIET = {"script", "style", "svg"}


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
            rest = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", " ", rest)
        if re.search(r"[A-Za-z]{2,}|[\u4e00-\u9fff]", rest):
            yield f"untranslated: {piece}"


@pytest.fixture
async def reader(app, site, pseudo):
    """Somebody who may do everything and reads the made-up language."""
    with contextlib.suppress(Conflict):  # one site for all tests
        await access.add_person(
            site.db, "pseudo", "Pseudo", PASSWORD, "platform_administrator", "platform", 0, NOW
        )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        client.cookies.set(LANGUAGE_COOKIE, "en")
        yield await signed_in(client, "pseudo")


def heard_in(page):
    heard = Heard()
    heard.feed(page.text)
    return heard.pieces


async def test_every_page_speaks_the_readers_language_alone(app, site, reader):
    ids, known, found, seen = await ids_of(site), await known_texts(site), [], 0
    for method, path, _ in check_routes(app):
        if method != "GET" or path.startswith("/api/") or path.endswith(FILES):
            continue
        assert set(names_in(path)) <= set(ids), f"no number is known for {path}"
        page = await reader.get(filled(path, ids))
        if "text/html" in page.headers.get("content-type", ""):
            seen += 1
            found += [f"{path}: {one}" for one in faults(heard_in(page), known)]
    assert seen > 12
    assert sorted(set(found)) == []


@pytest.mark.parametrize("act", [act for act in FORMS if act.asks], ids=lambda act: act.name)
async def test_what_is_wrong_with_a_field_is_said_in_the_readers_language(site, reader, act):
    ids, known = await ids_of(site), await known_texts(site)
    form = await reader.get(filled(act.page, ids))
    if form.status_code != 200:
        # Not open for what the site has; that is said in the reader's language, too.
        assert form.status_code in (404, 409, 422)
        assert list(faults(heard_in(form), known)) == []
        return
    sent = {"csrf": token_in(form), "key": key_in(form)}
    for name, (_, ask) in act.asks.items():
        sent[name] = "\u0000" * 3 if ask.kind == "secret" else "?" * 300
    answer = await reader.post(filled(act.page, ids), data=sent)
    assert answer.status_code == 422
    assert list(faults(heard_in(answer), [*known, "?" * 300])) == []


async def test_files_have_headings_in_the_readers_language(app, site, reader):
    ids, seen = await ids_of(site), 0
    for method, path, _ in check_routes(app):
        if method == "GET" and path.endswith("/export") and not path.startswith("/api/"):
            sheet = await reader.get(filled(path, ids), params={"kind": "csv"})
            first = sheet.text.lstrip("\ufeff").splitlines()[0]
            assert all(cell.strip('"').startswith("⟦") for cell in first.split(",")), (path, first)
            seen += 1
    assert seen >= 6


def test_what_is_untranslated_or_glued_is_found():
    assert list(faults(["⟦Room⟧ A101", "⟦Room⟧ · 12.50 kWh"], ["A101"])) == []
    assert list(faults(["Room A101"], ["A101"])) == ["untranslated: Room A101"]
    assert list(faults(["⟦Room⟧ ⟦of⟧"], [])) == ["glued: ⟦Room⟧ ⟦of⟧"]
