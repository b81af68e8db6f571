"""Every message has its translation, and no template speaks by itself."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from meterhouse.web import labels
from meterhouse.web.pages import TEMPLATE_FOLDER, make_environment
from meterhouse.words import LANGUAGES, catalogue_path, choose_language, words

WEB = Path(labels.__file__).parent
HOUSE = WEB.parent
# Names and signs that are written the same in every language.
SAME_EVERYWHERE = {"XLSX", "CSV", "kWh", "kW", "m³"}


def messages_in_code():
    methods = [("**.py", "python"), ("web/templates/**.html", "jinja2")]
    found = extract_from_dir(HOUSE, methods)
    return {item[2] if isinstance(item[2], str) else item[2][0] for item in found}


def messages_of_errors():
    """First docstring lines of every class below MeterhouseError, read without importing it."""
    classes = [
        node
        for path in HOUSE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    ours, grew = {"MeterhouseError"}, True
    while grew:
        below = {c.name for c in classes if {ast.unparse(base) for base in c.bases} & ours}
        grew = not below <= ours
        ours |= below
    return {ast.get_docstring(c).splitlines()[0] for c in classes if c.name in ours}


def catalogue(language):
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"))


@pytest.mark.parametrize("language", [tag for tag in LANGUAGES if tag != "en"])
def test_every_message_is_translated(language):
    translated = {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalogue(language)
        if message.id and not message.fuzzy
        and all([message.string] if isinstance(message.string, str) else message.string)
    }  # fmt: skip
    wanted = messages_in_code() | messages_of_errors()
    assert sorted(wanted - translated) == []


@pytest.mark.parametrize("language", [tag for tag in LANGUAGES if tag != "en"])
def test_no_translation_is_left_over_and_fields_agree(language):
    wanted = messages_in_code() | messages_of_errors()
    for message in catalogue(language):
        if not message.id:
            continue
        key = message.id if isinstance(message.id, str) else message.id[0]
        assert key in wanted, f"nobody says {key!r} any more"
        texts = [message.string] if isinstance(message.string, str) else message.string
        for text in texts:
            assert fields_of(text) <= fields_of(key) | {"count"}, key


def fields_of(text):
    return set(re.findall(r"\{(\w+)", text))


class Spoken(HTMLParser):
    """Collects what a reader would hear of a template's own text."""

    ATTRIBUTES = ("title", "placeholder", "aria-label", "alt", "label")

    def __init__(self):
        super().__init__()
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.texts += [text or "" for name, text in attrs if name in self.ATTRIBUTES]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("path", sorted(TEMPLATE_FOLDER.rglob("*.html")), ids=lambda p: p.name)
def test_templates_have_no_text_of_their_own(path):
    tokens = jinja2.Environment().lex(path.read_text())
    inside, plain = False, []
    for _, kind, text in tokens:
        if kind in {"block_begin", "variable_begin", "comment_begin"}:
            inside = True
        elif kind in {"block_end", "variable_end", "comment_end"}:
            inside = False
        elif kind == "data" and not inside:
            plain.append(text)
    spoken = Spoken()
    spoken.feed("".join(plain))
    texts = {word for text in spoken.texts for word in re.findall(r"[^\W\d_]+", text)}
    assert sorted(texts - SAME_EVERYWHERE) == []


def test_every_enum_member_has_a_word():
    for table in labels.TABLES:
        kind = type(next(iter(table)))
        assert set(table) == set(kind), kind


def test_all_templates_parse():
    environment = make_environment()
    for name in environment.list_templates():
        environment.get_template(name)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh-Hans"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("en-GB,en;q=0.9", "en"),
        ("fr,en;q=0.1,zh;q=0.7", "zh-Hans"),
        ("fr;q=abc,,;;en", "zh-Hans"),
        ("x" * 10_000, "zh-Hans"),
    ],
)
def test_language_follows_what_the_browser_wants(header, language):
    assert choose_language((None, "klingon"), header) == language


def test_known_language_goes_before_the_browser():
    assert choose_language((None, "en"), "zh-CN") == "en"


def test_words_fill_facts_and_plurals():
    assert words("en").plural("{count} row", "{count} rows", 1) == "1 row"
    assert words("en").plural("{count} row", "{count} rows", 2) == "2 rows"
    assert words("zh-Hans").plural("{count} row", "{count} rows", 2) == "共 2 条"
