"""Every code is explained at the address that problems name, in both languages."""

import httpx
import pytest

from meterhouse.web.console.explained import explained
from meterhouse.words import LANGUAGES


def test_both_pages_explain_the_same_codes_in_the_same_order():
    pages = [list(explained(language)) for language in LANGUAGES]
    assert pages[0] == pages[1]
    assert len(pages[0]) > 100


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_type_of_a_problem_leads_to_its_page(erp, language):
    problem = await erp.get("/api/v1/projects/999/rooms")
    address = problem.json()["type"]
    erp.cookies.clear()
    del erp.headers["Authorization"]
    page = await erp.get(address, headers={"Accept-Language": language})
    happened, remedy = explained(language)["not_found"]
    assert (page.status_code, f'<html lang="{language}">' in page.text) == (200, True)
    assert happened in page.text
    assert remedy in page.text
    assert httpx.URL(address).is_relative_url


async def test_a_link_and_a_word_of_code_are_shown_as_such(client):
    page = (await client.get("/errors/rights_missing")).text
    assert "<code>meterhouse migrate</code>" in page
    assert "operator&#39;s guide" in page
    assert "](" not in page


@pytest.mark.parametrize("code", ["nothing_of_ours", "Not_Found", "%3Cb%3E"])
async def test_an_unknown_code_has_no_page(client, code):
    assert (await client.get(f"/errors/{code}")).status_code == 404
