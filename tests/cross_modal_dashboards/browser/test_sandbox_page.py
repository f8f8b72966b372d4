"""Supports swapped and predictions asked about, by clicks."""

import io
from typing import Any

from PIL import Image

GRIDS = ".grid"


def test_a_click_swaps_a_support_and_the_address_keeps_it(watched: Any) -> None:
    from playwright.sync_api import expect

    page = watched.open("sandbox?ways=3&shots=2")
    supports = page.locator(GRIDS).first.locator("button")
    supports.nth(5).wait_for()
    assert supports.count() == 6
    sources = [each.get_attribute("src") for each in supports.locator("img").all()]
    supports.first.click()
    page.wait_for_function("new URL(location).searchParams.has('swap')")
    expect(supports.locator("img").first).not_to_have_attribute("src", sources[0])
    after = [each.get_attribute("src") for each in supports.locator("img").all()]
    assert after[0] != sources[0]
    assert after[1:] == sources[1:]


def test_a_prediction_shows_the_supports_that_voted(watched: Any) -> None:
    page = watched.open("sandbox?ways=3&shots=2")
    page.locator(GRIDS).nth(1).locator("button").first.click()
    page.get_by_text("Because of").wait_for()
    page.locator(GRIDS).nth(2).locator("button").first.wait_for()
    assert page.locator(GRIDS).count() == 3


def test_uploaded_supports_make_a_class_of_their_own(watched: Any) -> None:
    page = watched.open("sandbox?ways=3&shots=2&names=false")
    page.locator(GRIDS).first.locator("button").nth(5).wait_for()
    page.get_by_text("Supports of your own").click()
    page.get_by_role("textbox", name="Their class").fill("mine")
    page.get_by_role("textbox", name="Their class").press("Enter")
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(
        [{"name": f"{name}.png", "mimeType": "image/png", "buffer": picture(name)} for name in (0, 255)]
    )
    page.locator(GRIDS).first.locator("button").nth(7).wait_for()
    labels = [each.get_attribute("aria-label") for each in page.locator(GRIDS).first.locator("button").all()]
    assert labels[6:] == ["mine: uploaded"] * 2


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 24), (shade, shade, 80)).save(file, "PNG")
    return file.getvalue()
