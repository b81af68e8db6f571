"""Where a scheme comes from: in one language or in several, and the same file again."""

import pytest

from meterhouse.rating.fields import TariffInvalid
from meterhouse.rating.source import (
    LANGUAGES_MAX,
    TEXT_MAX,
    Said,
    dump_source,
    parse_source,
    said_in,
)

PLAIN = {
    "title": "Price table", "issuer": "Price bureau", "issued_on": "2026-01-01",
    "as_of": "2026-02-01", "note": "Large households left out.",
}  # fmt: skip
BY_LANGUAGE = PLAIN | {
    "title": {"en": "Price table", "zh-Hans": "价目表"},
    "note": {"zh-Hans": "大家庭未收入。", "en": "Large households left out."},
}


@pytest.mark.parametrize("body", [PLAIN, BY_LANGUAGE], ids=["plain", "by language"])
def test_a_source_is_kept_as_it_was_given(body):
    assert dump_source(parse_source(body, "$.source")) == body


def test_a_text_is_said_in_the_readers_language_where_it_can_be():
    source = parse_source(BY_LANGUAGE, "$.source")
    assert said_in(source.title, "zh-Hans") == Said("价目表", "zh-Hans")
    assert said_in(source.note, "de") == Said("大家庭未收入。", "zh-Hans")
    assert said_in(source.issuer, "zh-Hans") == Said("Price bureau", "")


@pytest.mark.parametrize(
    ("note", "path"),
    [
        ({}, "$.source.note"),
        ({"en": ""}, "$.source.note.en"),
        ({"en": "x" * (TEXT_MAX + 1)}, "$.source.note.en"),
        ({"English": "x"}, "$.source.note.English"),
        ({f"a{chr(97 + n)}": "x" for n in range(LANGUAGES_MAX + 1)}, "$.source.note"),
        (7, "$.source.note"),
    ],
)
def test_what_is_no_text_is_refused_with_its_path(note, path):
    with pytest.raises(TariffInvalid) as refused:
        parse_source(PLAIN | {"note": note}, "$.source")
    assert refused.value.facts["path"] == path
