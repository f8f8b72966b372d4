"""The sandbox page: a link draws the same episode, and its accuracy is the library's."""

import numpy as np
import pytest

from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards.sandbox import Pool, draw


def test_the_accuracy_shown_is_the_classifiers(explored: object, request: pytest.FixtureRequest) -> None:
    test = request.getfixturevalue("open_view")("sandbox", ways="3", shots="2", draw="4", method="prototypes")
    assert not test.exception
    assert not test.error
    gallery = Gallery.open(explored.folder / "galleries" / f"{explored.run_id}.gallery")  # type: ignore[attr-defined]
    pool = Pool(gallery.matrix(), gallery.binding.metric)
    episode = draw(pool, "prototypes", pool.classes(3, 2, 4), 2, 4)
    assert test.metric[0].value == f"{episode.accuracy:.1%}"


def test_another_draw_changes_what_is_seen(explored: object, request: pytest.FixtureRequest) -> None:
    gallery = Gallery.open(explored.folder / "galleries" / f"{explored.run_id}.gallery")  # type: ignore[attr-defined]
    pool = Pool(gallery.matrix(), gallery.binding.metric)
    values = {seed: draw(pool, "prototypes", pool.classes(5, 1, seed), 1, seed).accuracy for seed in range(8)}
    one, other = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    assert values[one] != values[other]
    for seed in (one, other):
        test = request.getfixturevalue("open_view")("sandbox", draw=str(seed))
        assert test.metric[0].value == f"{values[seed]:.1%}"


def test_all_are_unknown_above_every_confidence(explored: object, request: pytest.FixtureRequest) -> None:
    test = request.getfixturevalue("open_view")("sandbox", unknown="1.0", method="nearest_neighbours")
    assert not test.exception
    assert float(test.metric[0].value.rstrip("%")) <= 100 * np.nextafter(1, 0)


def test_luck_is_shown_when_it_is_asked_for(explored: object, request: pytest.FixtureRequest) -> None:
    test = request.getfixturevalue("open_view")("sandbox", luck="true", ways="3")
    assert not test.exception
    assert any("20 draws of 1" in each.value for each in test.caption)


def test_more_classes_than_there_are_is_one_line(explored: object, request: pytest.FixtureRequest) -> None:
    test = request.getfixturevalue("open_view")("sandbox", shots="10")
    assert "expected" in test.error[0].value
    assert not test.exception
