"""What the map sends to the browser, and what it believes of what comes back."""

import base64

import numpy as np
import pytest

from cross_modal_dashboards.components import embedding_map as component
from cross_modal_dashboards.components.embedding_map import MapPoints, embedding_map
from cross_modal_dashboards.components.embedding_map_script import FEED, HTML, JS


def some_points(count: int = 4, colour: int = 0) -> MapPoints:
    return MapPoints(
        xy=np.linspace(0, 1, 2 * count).reshape(count, 2),
        text=np.arange(count) % 2 == 1,
        group=np.full(count, colour),
        bright=np.ones(count, bool),
        name=np.arange(count),
        names=tuple(f"<b>{row}</b>" for row in range(count)),
        palette=("#123456", "#654321"),
        legend=("a", "b"),
        title="a map",
    )


def test_the_browser_gets_the_very_numbers() -> None:
    points = some_points(5)
    packed = points.packed
    xy = np.frombuffer(base64.b64decode(packed["xy"]), "<f4").reshape(-1, 2)
    assert np.array_equal(xy, points.xy.astype(np.float32))
    for name, kind in (("text", "u1"), ("group", "u1"), ("bright", "u1"), ("name", "<u4")):
        assert np.frombuffer(base64.b64decode(packed[name]), kind).tolist() == list(getattr(points, name))


def test_another_colour_is_another_version_of_the_same_rows() -> None:
    first, again, other = some_points(), some_points(), some_points(colour=1)
    assert first.packed["version"] == again.packed["version"] != other.packed["version"]
    assert first.rows == other.rows != some_points(5).rows


def test_twenty_thousand_points_are_less_than_a_megabyte() -> None:
    packed = some_points(20_000).packed
    assert sum(len(value) for name, value in packed.items() if name != "names") < 1_000_000


@pytest.mark.parametrize("sent", [None, "1", {"0": 1}, [0, 3, 3, 99, -1, "2", True, 1.5, None]])
def test_only_rows_that_exist_are_believed(monkeypatch: pytest.MonkeyPatch, sent: object) -> None:
    monkeypatch.setattr(component, "_component", lambda: lambda **_: {"picked": sent})
    answer = embedding_map(some_points(), "map")
    assert answer.picked.tolist() == ([0, 3] if isinstance(sent, list) else [])
    assert answer.wanted.tolist() == []


def test_texts_of_users_are_never_markup_and_nothing_is_fetched() -> None:
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch(", "http"):
        assert forbidden not in JS + FEED + HTML
