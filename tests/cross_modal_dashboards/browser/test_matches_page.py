"""Looking for things as people do: type, click, upload, paste, send a link."""

import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

TILES = ".grid button"


def asked(page: Any) -> dict[str, list[str]]:
    """The state in the address."""
    return parse_qs(urlsplit(page.url).query)


def a_picture() -> bytes:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[6:18, 10:30] = (255, 40, 10)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_typed_name_finds_and_a_click_on_a_result_asks_anew_and_back_returns(watched: Any) -> None:
    page = watched.open("matches")
    page.get_by_label("Look for").fill("a red square")
    page.get_by_label("Look for").press("Enter")
    page.wait_for_selector(TILES)
    watched.settle()
    assert asked(page)["text"] == ["a red square"]
    assert "1 × “a red square”" in page.locator("[data-testid=stMain]").inner_text()
    page.locator(TILES).nth(1).click()
    page.wait_for_function("new URL(location).searchParams.has('id')")
    watched.settle()
    assert "text" not in asked(page)
    (item,) = asked(page)["id"]
    page.locator("[data-testid=stImageCaption]", has_text=item).wait_for()  # what is asked about is seen


def test_a_deep_link_shows_what_its_sender_saw(watched: Any) -> None:
    page = watched.open("matches?text=a+blue+circle&top=5&show=pictures")
    page.wait_for_selector(TILES)
    assert page.locator(TILES).count() == 5
    first = page.locator(TILES).first.get_attribute("aria-label")
    again = watched.open(page.url.removeprefix(watched.home).removeprefix("/"))
    again.wait_for_selector(TILES)
    assert again.locator(TILES).first.get_attribute("aria-label") == first


def test_the_bare_address_leads_to_the_matches_and_keeps_what_was_asked(watched: Any) -> None:
    page = watched.open("?text=a+blue+circle&top=5")
    page.wait_for_selector(TILES)
    assert urlsplit(page.url).path == "/matches"
    assert page.locator(TILES).count() == 5


def test_an_uploaded_picture_is_looked_for_and_a_text_file_under_its_name_is_refused(watched: Any) -> None:
    page = watched.open("matches")
    page.get_by_text("A picture, an item, a weighted mix").click()
    page.set_input_files(
        "[data-testid=stFileUploaderDropzoneInput]",
        {"name": "square.png", "mimeType": "image/png", "buffer": a_picture()},
    )
    page.wait_for_selector(TILES)
    assert "uploaded picture" in page.locator("[data-testid=stMain]").inner_text()
    page.set_input_files(
        "[data-testid=stFileUploaderDropzoneInput]",
        {"name": "square.png", "mimeType": "image/png", "buffer": b"<svg onload='alert(1)'/>"},
    )
    page.get_by_text("square.png: expected a picture").wait_for()


def test_a_pasted_picture_is_looked_for_and_can_be_removed(watched: Any) -> None:
    page = watched.open("matches")
    page.get_by_text("A picture, an item, a weighted mix").click()
    field = page.get_by_role("textbox", name="Paste a picture here")
    field.evaluate(
        """(field, bytes) => {
            const clipboard = new DataTransfer()
            clipboard.items.add(new File([new Uint8Array(bytes)], 'image.png', {type: 'image/png'}))
            field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: clipboard, bubbles: true}))
        }""",
        list(a_picture()),
    )
    page.wait_for_selector(TILES)
    assert "uploaded picture" in page.locator("[data-testid=stMain]").inner_text()
    assert field.locator("img").count() == 1
    field.get_by_role("button", name="remove").click()
    page.get_by_text("Type what you look for").wait_for()


def test_the_keyboard_alone_reaches_a_result_and_takes_it(watched: Any) -> None:
    page = watched.open("matches?text=a+blue+circle&top=5")
    page.wait_for_selector(TILES)
    page.locator(TILES).first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("new URL(location).searchParams.has('id')")


@pytest.mark.parametrize("wrong", ["where=nothing%3D1", "query=image%3A%2Fetc%2Fpasswd", "id=nobody"])
def test_a_link_that_asks_for_what_is_not_there_gets_one_sentence(watched: Any, wrong: str) -> None:
    page = watched.open(f"matches?text=square&{wrong}")
    alert = page.locator("[data-testid=stAlertContentError]")
    alert.wait_for()
    assert "expected" in alert.inner_text()
    assert "Traceback" not in page.content()
