"""The map under a pointer and under keys: pictures where it rests, a lasso, a point selected without a mouse."""

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

COUNT, HINT = ".bar .count", ".hint.on"
# The first picture's place on the screen, from the map's own numbers.
PLACE = """canvas => { const map = canvas.getRootNode().querySelector('.map').drawn
  const i = map.text.indexOf(0); return [map.at[2 * i], map.at[2 * i + 1]] }"""


def stage(page: Any) -> tuple[Any, dict[str, float]]:
    canvas = page.locator("canvas.above")
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    expect(page.locator(COUNT)).to_contain_text("points")
    box = canvas.bounding_box()
    assert box is not None
    return canvas, box


def test_a_lasso_around_all_lists_all_and_clearing_lists_nothing(watched: Any) -> None:
    page = watched.open("map")
    _, box = stage(page)
    count = int(page.locator(COUNT).inner_text().split()[0])
    x, y, radius = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, min(box["width"], box["height"]) / 2 - 3
    page.mouse.move(x + radius, y - radius)
    page.mouse.down()
    for across, down in ((1, 1), (-1, 1), (-1, -1), (1, -1)):
        page.mouse.move(x + across * radius, y + down * radius, steps=4)
    page.mouse.up()
    expect(page.locator(COUNT)).to_have_text(f"{count} of {count} selected")
    page.get_by_text(f"{count} items").wait_for()
    page.locator(".grid button").first.wait_for()
    with page.expect_download(timeout=15_000) as download:
        page.get_by_role("button", name="Download selection as CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == count + 1
    page.get_by_role("button", name="Clear selection").click()
    page.get_by_text("Draw a line around points").wait_for()
    expect(page.locator(COUNT)).to_have_text(f"{count} points")


def test_where_the_pointer_rests_the_picture_is_shown(watched: Any) -> None:
    page = watched.open("map")
    canvas, box = stage(page)
    x, y = canvas.evaluate(PLACE)
    page.mouse.move(box["x"] + x + 40, box["y"] + y)
    page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    picture = page.locator(f"{HINT} img")
    picture.wait_for()
    assert str(picture.get_attribute("src")).startswith("data:image/")
    assert page.locator(f"{HINT} b").inner_text()


def test_keys_reach_select_and_clear_a_point_and_zoom(watched: Any) -> None:
    page = watched.open("map")
    canvas, _ = stage(page)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".said")).not_to_be_empty()
    before = canvas.evaluate(PLACE)
    page.keyboard.press("+")
    page.wait_for_timeout(200)
    assert canvas.evaluate(PLACE) != before
    page.keyboard.press("Enter")
    page.get_by_text("1 item.").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("Draw a line around points").wait_for()


def test_a_selected_tile_leads_to_its_matches(watched: Any) -> None:
    page = watched.open("map?show=errors")
    stage(page)
    page.locator(".grid button").first.click()
    page.wait_for_url("**/matches?**id=**")
