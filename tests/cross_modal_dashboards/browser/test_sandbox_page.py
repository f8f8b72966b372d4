"""Supports swapped and predictions asked about, by clicks."""

from typing import Any

GRIDS = ".grid"


def test_a_click_swaps_a_support_and_the_address_keeps_it(watched: Any) -> None:
    page = watched.open("sandbox?ways=3&shots=2")
    supports = page.locator(GRIDS).first.locator("button")
    assert supports.count() == 6
    before = [each.get_attribute("aria-label") for each in supports.all()]
    sources = [each.get_attribute("src") for each in supports.locator("img").all()]
    supports.first.click()
    page.wait_for_function("new URL(location).searchParams.has('swap')")
    watched.settle()
    after = [each.get_attribute("src") for each in supports.locator("img").all()]
    assert after[0] != sources[0]
    assert after[1:] == sources[1:]
    assert len(before) == supports.count()


def test_a_prediction_shows_the_supports_that_voted(watched: Any) -> None:
    page = watched.open("sandbox?ways=3&shots=2")
    page.locator(GRIDS).nth(1).locator("button").first.click()
    page.get_by_text("Because of").wait_for()
    watched.settle()
    assert page.locator(GRIDS).count() == 3
