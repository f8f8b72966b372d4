"""Every page, in both themes and on a narrow screen: it is there, says something, and nothing sticks out."""

from typing import Any

import pytest

from cross_modal_dashboards.page_titles import TITLES

SCREENS = [(1280, "light"), (390, "dark")]
VISIBLE = [name for name in TITLES if name != "welcome"]


@pytest.mark.parametrize("watched", SCREENS, indirect=True, ids=["1280-light", "390-dark"])
@pytest.mark.parametrize("name", VISIBLE)
def test_a_page_opens_with_real_data_and_without_a_fault(watched: Any, name: str) -> None:
    page = watched.open(name)
    assert page.locator("h1").inner_text() == TITLES[name][0]
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert page.locator("[data-testid=stMain]").inner_text().count("\n") > 3
    overhang = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overhang <= 0
    stretched = page.evaluate(
        "[...document.images].filter(i => i.naturalWidth && getComputedStyle(i).objectFit === 'fill' && "
        "Math.abs(i.clientWidth / i.clientHeight / (i.naturalWidth / i.naturalHeight) - 1) > .05).map(i => i.alt)"
    )
    assert stretched == []


@pytest.mark.parametrize("name", VISIBLE)
def test_every_control_has_a_name_that_a_screen_reader_can_say(watched: Any, name: str) -> None:
    page = watched.open(name)
    nameless = page.evaluate(
        """[...document.querySelectorAll('[data-testid=stMain] button, [data-testid=stMain] input:not([type=hidden])')]
        .filter(each => each.offsetParent && !each.textContent.trim() && !each.getAttribute('aria-label')
          && !each.getAttribute('aria-labelledby') && !each.title && !each.labels?.length && !each.closest('label'))
        .map(each => each.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
