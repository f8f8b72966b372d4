"""The threshold under a hand."""

from typing import Any


def test_the_slider_moves_the_figures_and_the_link_keeps_it(watched: Any) -> None:
    page = watched.open("verification")
    slider = page.get_by_role("slider", name="Threshold")
    accepted = page.locator("[data-testid=stMetricValue]").first
    before, where = accepted.inner_text(), float(slider.input_value())
    slider.focus()
    slider.press("Home")
    page.wait_for_function("new URL(location).searchParams.has('threshold')")
    watched.settle()
    assert float(slider.input_value()) < where
    assert accepted.inner_text() == "100.00%" != before  # the lowest threshold takes every pair for the same
    again = watched.open(page.url.removeprefix(watched.home).removeprefix("/"))
    assert again.locator("[data-testid=stMetricValue]").first.inner_text() == "100.00%"


def test_one_false_accept_in_so_many_is_taken_as_the_threshold(watched: Any) -> None:
    page = watched.open("verification")
    count = page.get_by_role("spinbutton", name="One false accept in")
    count.fill("10")
    count.press("Enter")
    watched.settle()
    page.get_by_role("button", name="Take this threshold").click()
    page.wait_for_function("new URL(location).searchParams.has('threshold')")
    watched.settle()
    rate = float(page.locator("[data-testid=stMetricValue]").first.inner_text().rstrip("%"))
    assert 0 <= rate <= 10
