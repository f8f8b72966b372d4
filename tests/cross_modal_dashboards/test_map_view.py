"""The map in colours: which rows are looked at, listed and named; and files that are no map."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys.shapes import shapes
from toys.toy_gallery import memory_gallery

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.map_view import (
    GREY,
    PALETTE,
    RIGHT,
    WRONG,
    RunMap,
    gap_in_words,
    made_in_words,
    map_points,
    small_pictures,
)
from cross_modal_mlflow.explorer_map import METADATA, MapFacts, map_table

FACTS = MapFacts("t-SNE", 6, 0, 1, 2.5, 0.3, 0.7, 0.9, True)


def a_map(**columns: list) -> RunMap:
    table = pd.DataFrame(
        {
            "id": list("abcdef"),
            "x": np.linspace(0, 1, 6),
            "y": np.linspace(1, 0, 6),
            "kind": ["image"] * 4 + ["text"] * 2,
            "label": ["cat", "cat", "dog", None, "cat", "dog"],
            "text": [None, None, None, None, "a cat", "dog"],
            "split": ["test"] * 6,
            "own": [0.9] * 6,
            "other": [0.1] * 6,
            "error": pd.array([False, True, False, None, True, False], "object"),
        }
    )
    return RunMap(table.assign(**columns), FACTS)


def written(table: pa.Table, folder: Path) -> Path:
    pq.write_table(table, folder / "map.parquet")
    return folder / "map.parquet"


def test_it_offers_what_differs() -> None:
    assert a_map().colours() == ["label", "kind", "error"]
    assert a_map(split=["train"] * 3 + ["test"] * 3).colours() == ["label", "kind", "split", "error"]
    bare = a_map(label=[None] * 6, kind=["image"] * 6, error=[None] * 6)
    assert bare.colours() == ["kind"]
    assert bare.shown() == ["everything"]
    assert a_map().shown() == ["everything", "pictures", "texts", "errors"]


@pytest.mark.parametrize(
    ("show", "labels", "expected"),
    [
        ("everything", [], [0, 1, 2, 3, 4, 5]),
        ("pictures", [], [0, 1, 2, 3]),
        ("texts", ["cat"], [4]),
        ("errors", [], [1, 4]),
        ("everything", ["dog"], [2, 5]),
    ],
)
def test_what_is_looked_at(show: str, labels: list[str], expected: list[int]) -> None:
    assert np.flatnonzero(a_map().bright(show, labels)).tolist() == expected
    assert np.flatnonzero(map_points(a_map(), "label", show, labels).bright).tolist() == expected


def test_listed_is_what_was_picked_else_the_labels_else_the_errors() -> None:
    found = a_map()
    assert found.selected(np.array([3, 5]), "errors", ["cat"]).tolist() == [3, 5]
    assert found.selected(np.zeros(0, np.int64), "everything", ["cat"]).tolist() == [0, 1, 4]
    assert found.selected(np.zeros(0, np.int64), "errors", []).tolist() == [1, 4]
    assert found.selected(np.zeros(0, np.int64), "pictures", []).tolist() == []


def test_errors_have_their_own_colour_and_rows_without_a_class_another() -> None:
    points = map_points(a_map(), "error", "everything")
    assert [points.palette[group] for group in points.group] == [RIGHT, WRONG, RIGHT, GREY, WRONG, RIGHT]
    assert points.legend[0] == "not judged"
    assert a_map().errors_in_words() == "1 of 3 pictures · 1 of 2 texts"


def test_a_label_has_one_colour_on_pictures_and_texts_and_the_legend_names_it() -> None:
    points = map_points(a_map(), "label", "everything")
    assert [points.legend[group] for group in points.group] == ["cat", "cat", "dog", "none given", "cat", "dog"]
    assert points.text.tolist() == [False] * 4 + [True] * 2
    chosen = map_points(a_map(), "label", "everything", ["dog"])
    assert [chosen.legend[group] for group in chosen.group] == ["other", "other", "dog", "other", "other", "dog"]


def test_where_colours_repeat_no_legend_names_them() -> None:
    many = 3 * len(PALETTE)
    table = pd.concat([a_map().table] * 6, ignore_index=True).assign(label=[f"l{row}" for row in range(many)])
    points = map_points(RunMap(table, FACTS), "label", "everything")
    assert not any(points.legend)
    assert len(set(points.group.tolist())) == len(PALETTE)


def test_a_point_is_called_by_its_text_and_its_label() -> None:
    points = map_points(a_map(), "kind", "everything")
    assert [points.names[place] for place in points.name] == ["cat", "cat", "dog", "d", "a cat · cat", "dog"]


def test_a_listed_row_leads_to_its_matches_however_its_id_is_spelt() -> None:
    listed = a_map(id=["a&b=c d#é", *"bcdef"]).listed(np.array([0, 1]), "77")
    assert listed["matches"][0] == "matches?run=77&id=a%26b%3Dc+d%23%C3%A9"
    assert listed["other is nearer"].tolist() == [False, True]


def test_pictures_are_those_of_the_gallery(tmp_path: Path) -> None:
    gallery = memory_gallery(shapes(4).split("test"), "each")
    found = RunMap.read(written(map_table(gallery), tmp_path))
    rows = np.arange(len(gallery))
    small = small_pictures(gallery, found, rows)
    names = gallery.matrix().ids
    kinds = gallery.matrix().column("kind")
    assert sorted(small) == np.flatnonzero(kinds == "image")[:64].tolist()
    for row, picture in small.items():
        assert picture == gallery.thumbnails([names[row]])[0]
    gallery.delete([str(names[0])])  # deleted since: no picture, no fault
    assert 0 not in small_pictures(gallery, found, rows)


def test_a_file_that_is_no_map_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"not parquet")
    with pytest.raises(CrossModalError, match="expected a Parquet file"):
        RunMap.read(tmp_path / "bad")
    good = map_table(memory_gallery(shapes(4).split("test"), "each"))
    far = good.set_column(1, "x", pa.array([7.0] * len(good), pa.float32()))
    with pytest.raises(CrossModalError, match="expected places in 0–1"):
        RunMap.read(written(far, tmp_path))
    with pytest.raises(CrossModalError, match="expected places in 0–1, found 0 rows"):
        RunMap.read(written(good[:0], tmp_path))


def test_words_follow_the_numbers() -> None:
    assert "share one region" in gap_in_words(0.1)
    assert "two regions" in gap_in_words(0.9)
    assert "no gap" in gap_in_words(None)
    words = made_in_words(FACTS)
    assert "t-SNE of all 6" in words
    assert "2.5 s" in words
    assert "70%" in words
    stored = json.loads((map_table(memory_gallery(shapes(4), "each")).schema.metadata or {})[METADATA])
    assert set(stored) == set(FACTS.__dict__)
