"""The two items of a pair: found in the gallery, typed or uploaded, and how an address names them."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys.shape_gallery import write_shape_gallery

from cross_modal.errors import CrossModalError
from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards import pair_items
from cross_modal_dashboards.pair_items import closest, gallery_item, offered, pair_link, typed, uploaded


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    write_shape_gallery(folder)
    return folder


@pytest.fixture
def gallery(place: Path) -> Gallery:
    return Gallery.open(place / "shapes.gallery")


def rows(gallery: Gallery, kind: str) -> list[dict]:
    return [row for row in gallery.rows().to_pylist() if row["kind"] == kind]


def test_a_gallerys_picture_has_its_file_its_embedding_and_its_class(gallery: Gallery) -> None:
    row = rows(gallery, "image")[0]
    item = gallery_item(gallery, row["id"])
    assert item.side is not None
    assert item.side.image == row["image"]
    assert (item.modality, item.label, item.small) == ("image", row["label"], False)
    stored = np.array(gallery.row([row["id"]], ["vector"])["vector"].to_pylist()[0], np.float32)
    assert item.vector is not None
    np.testing.assert_array_equal(item.vector, stored)


def test_where_the_file_is_gone_the_small_picture_stands_for_it(gallery: Gallery) -> None:
    row = rows(gallery, "image")[0]
    file = Path(row["image"])
    content = file.read_bytes()
    file.unlink()
    try:
        item = gallery_item(gallery, row["id"])
    finally:
        file.write_bytes(content)
    (thumbnail,) = gallery.thumbnails([row["id"]])
    assert item.small
    assert (item.side is None) == (thumbnail is None)
    assert item.side is None or item.side.image == thumbnail


def test_a_gallerys_text_is_a_text(gallery: Gallery) -> None:
    row = rows(gallery, "text")[0]
    item = gallery_item(gallery, row["id"])
    assert item.side is not None
    assert (item.modality, item.side.text, item.name) == ("text", row["text"], row["text"])


def test_an_id_that_it_does_not_hold_is_refused(gallery: Gallery) -> None:
    with pytest.raises(CrossModalError, match="expected an id that it holds, found 'nobody'"):
        gallery_item(gallery, "nobody")


def test_the_list_has_those_with_all_the_words_in_any_case(gallery: Gallery) -> None:
    everything = offered(gallery)
    assert everything.found == len(gallery) == len(everything.titles)
    found = offered(gallery, "BOX image")
    expected = {
        row["id"]
        for row in gallery.rows().to_pylist()
        if all(
            any(word in str(row[name] or "").lower() for name in ("id", "text", "label")) for word in ("box", "image")
        )
    }
    assert set(found.titles) == expected
    assert offered(gallery, "no such thing").titles == {}
    assert offered(gallery, ".*").found == 0  # words, not patterns


def test_the_list_is_short_but_keeps_what_is_chosen_and_begins_with_the_nearest(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_items, "LISTED", 5)
    ids = gallery.matrix().ids.tolist()
    found = offered(gallery, "", keep=ids[-1], first=(ids[-2], "gone", ids[-3]))
    assert list(found.titles) == [ids[-1], ids[-2], ids[-3], *ids[:3]]
    assert found.found == len(ids)
    assert len(set(found.titles.values())) == len(found.titles)


def test_the_closest_are_by_score_and_never_the_item_itself(gallery: Gallery) -> None:
    matrix = gallery.matrix()
    item = gallery_item(gallery, str(matrix.ids[3]))
    assert item.vector is not None
    scores = matrix.vectors @ item.vector
    found = closest(gallery, item, item.vector, 5)
    assert item.id not in found
    others = np.delete(scores, 3)
    np.testing.assert_allclose(scores[matrix.rows_of(np.array(found, object))], np.sort(others)[::-1][:5], atol=1e-6)


def test_texts_and_uploads_are_told_apart_by_content() -> None:
    assert typed(" a ring ") == typed("a ring")
    assert typed("a ring").key != typed("a box").key
    assert uploaded(b"1").key != uploaded(b"2", "same name").key


@pytest.mark.parametrize("text", ["", "  \n", "x" * 2001])
def test_a_text_of_no_or_too_many_letters_is_refused(text: str) -> None:
    with pytest.raises(CrossModalError, match="expected 1 to 2,000 letters"):
        typed(text)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_a_link_says_what_it_was_given_and_cannot_leave_the_explorer(a: str, b: str, text: str) -> None:
    parts = urlsplit(pair_link("1f", a, b, text_a=text))
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "pair")
    said = parse_qs(parts.query, keep_blank_values=True)
    assert said == {"run": ["1f"], "from_a": ["text"], "text_a": [text], "a": [a], "b": [b]}
