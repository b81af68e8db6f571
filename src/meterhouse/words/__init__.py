"""Words in the reader's language: gettext catalogues parsed from `.po` files at start-up.

Owns which languages there are, how one is chosen for a request, and the translation of a message.
Must never know a page, a flow or an enum. English is the language of the message
ids, so only the other languages have a catalogue; a test fails on any message without one.
"""

import gettext
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.core import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from meterhouse.errors import MeterhouseError, Said

LANGUAGES: Final = {"zh-Hans": "简体中文", "en": "English"}
"""BCP 47 tag → the language's own name, which is never translated."""

DEFAULT_LANGUAGE: Final = "zh-Hans"
LOCALE_FOLDER: Final = Path(__file__).parent / "locale"

# What browsers send for readers of simplified Chinese; an exact tag of ours needs no entry.
_ALIASES: Final = {"zh": "zh-Hans", "zh-cn": "zh-Hans", "zh-sg": "zh-Hans", "zh-hans-cn": "zh-Hans"}
_ACCEPT_LANGUAGE_MAX_CHARS: Final = 256


def N_(message: str) -> str:  # noqa: N802  # the name Babel extracts by default
    """Mark a message for extraction where it is declared; it is translated where it is shown."""
    return message


class Words:
    """One language: translates messages and fills in facts."""

    def __init__(self, language: str, catalogue: gettext.NullTranslations) -> None:
        self.language = language
        self.locale = Locale.parse(language, sep="-")
        self._catalogue = catalogue

    def __call__(self, message: str, **facts: Any) -> str:
        """The message in this language, `{name}` fields filled from `facts`."""
        # The empty message is where a catalogue keeps its own header.
        text = self._catalogue.gettext(message) if message else ""
        return text.format(**facts) if facts else text

    def plural(self, one: str, many: str, count: int, **facts: Any) -> str:
        """The form of a message that fits `count`, which is itself the field `{count}`."""
        return self._catalogue.ngettext(one, many, count).format(count=count, **facts)

    def said(self, sentence: Said) -> str:
        """A sentence that stands within an error's message, in this language."""
        return self(sentence.message, **sentence.facts)

    def error(self, error: MeterhouseError) -> str:
        """An error's message: its docstring's first line is the message id."""
        first = (type(error).__doc__ or "").strip().splitlines()[0]
        # What an error speaks of is itself a message (`N_("Room")`); other facts pass unchanged.
        what = {k: self(v) for k, v in error.facts.items() if k == "what" and isinstance(v, str)}
        said = {k: self.said(v) for k, v in error.facts.items() if isinstance(v, Said)}
        try:
            return self._catalogue.gettext(first).format(**error.facts | what | said)
        except (KeyError, IndexError):
            return self._catalogue.gettext(first)


def catalogue_path(language: str) -> Path:
    """Where the catalogue of a language lies."""
    return LOCALE_FOLDER / language.replace("-", "_") / "LC_MESSAGES" / "messages.po"


@cache
def words(language: str) -> Words:
    """The words of one of `LANGUAGES`; an unknown tag gives the default language."""
    if language not in LANGUAGES:
        return words(DEFAULT_LANGUAGE)
    path = catalogue_path(language)
    if not path.exists():
        return Words(language, gettext.NullTranslations())
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language.replace("-", "_"))
    # The standard library reads compiled catalogues only; compiling in memory keeps .mo out of git.
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Words(language, gettext.GNUTranslations(compiled))


def choose_language(candidates: Iterable[str | None], accept_language: str) -> str:
    """The first candidate that is a language of ours, else the best of `Accept-Language`."""
    for tag in candidates:
        if tag in LANGUAGES:
            return str(tag)
    wanted = _tags_by_weight(accept_language[:_ACCEPT_LANGUAGE_MAX_CHARS])
    for tag in wanted:
        if tag.lower() in _ALIASES:
            return _ALIASES[tag.lower()]
        found = negotiate_locale([tag], list(LANGUAGES), sep="-")
        if found in LANGUAGES:
            return str(found)
    return DEFAULT_LANGUAGE


def _tags_by_weight(accept_language: str) -> list[str]:
    """Tags of an `Accept-Language` header, most wanted first; equal weights keep their order."""
    weighed: list[tuple[int, str]] = []
    for part in accept_language.split(","):
        tag, _, parameter = part.strip().partition(";")
        weight = parameter.strip().removeprefix("q=") or "1"
        digits = (weight + "000").replace(".", "")[:4] if weight[:1] in "01" else "0"
        if tag and digits.isdigit():
            weighed.append((-int(digits.ljust(4, "0")), tag))
    return [tag for _, tag in sorted(weighed, key=lambda pair: pair[0])]
