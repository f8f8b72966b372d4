"""The query of the Matches page as terms, and what comes of it."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import memory_gallery

from cross_modal.encoders.embedding import embed_texts
from cross_modal.errors import CrossModalError
from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards.match_query import MatchQuery, answer, as_csv, hit_tiles, in_words

TWIN = tiny_twin()


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return memory_gallery(shapes(4).split("test"), "each")


def picture(row: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(shapes(4).split("test").images[row])).save(file, "PNG")
    return file.getvalue()


def test_a_text_finds_what_the_gallery_finds(gallery: Gallery) -> None:
    text = str(shapes(4).split("test").texts[0])
    found = answer(gallery, TWIN, MatchQuery(text=text).query(TWIN), [], 7)
    hits = gallery.search(embed_texts(TWIN, [text]), 7)
    assert [hit.id for hit in found.hits] == hits.ids[0].tolist()
    assert [hit.score for hit in found.hits] == pytest.approx(hits.scores[0], abs=1e-6)
    assert found.exact


def test_an_uploaded_picture_finds_itself(gallery: Gallery) -> None:
    found = answer(gallery, TWIN, MatchQuery(pictures=(picture(3),)).query(TWIN), ["kind=image"], 3)
    assert found.hits[0].score == pytest.approx(1, abs=1e-5)
    assert found.hits[0].label == shapes(4).split("test").labels[3]  # type: ignore[index]


def test_an_item_is_not_among_its_own_matches_and_filters_hold(gallery: Gallery) -> None:
    name = str(gallery.matrix().ids[0])
    found = answer(gallery, TWIN, MatchQuery(item=name).query(TWIN), ["kind=text"], 50)
    assert name not in [hit.id for hit in found.hits]
    assert {hit.kind for hit in found.hits} == {"text"}


def test_terms_become_an_equation_in_words() -> None:
    query = MatchQuery(text="pole", without="ring", item="picture:1", pictures=(picture(0),)).query(TWIN)
    assert in_words(query) == "1 × uploaded picture + 1 × “pole” + 1 × item picture:1 − 0.5 × “ring”"


def test_nothing_looked_for_is_empty_even_with_something_unwanted() -> None:
    assert MatchQuery(without="ring", text="  ").empty
    assert not MatchQuery(equation="1 text:pole").empty


@pytest.mark.parametrize("equation", ["image:/etc/passwd", "1 text:pole + 2 image:secret.png"])
def test_no_file_of_the_server_is_ever_opened(equation: str) -> None:
    with pytest.raises(CrossModalError, match="found image:FILE"):
        MatchQuery(equation=equation).query(TWIN)


@pytest.mark.parametrize(
    ("asked", "where", "said"),
    [
        (MatchQuery(item="nowhere"), [], "nowhere"),
        (MatchQuery(equation="pole"), [], "query"),
        (MatchQuery(text="pole"), ["colour=red"], "colour"),
        (MatchQuery(text="pole"), ["label=nobody"], "expected references that it keeps, found none"),
    ],
)
def test_what_cannot_be_found_is_one_line(gallery: Gallery, asked: MatchQuery, where: list[str], said: str) -> None:
    with pytest.raises(CrossModalError, match=said) as caught:
        answer(gallery, TWIN, asked.query(TWIN), where, 5)
    assert "\n" not in str(caught.value)


def test_tiles_carry_picture_words_and_what_a_screen_reader_says(gallery: Gallery) -> None:
    found = answer(gallery, TWIN, MatchQuery(text="pole size 3").query(TWIN), [], 40)
    shown = hit_tiles(gallery, found.hits)
    assert [tile.id for tile in shown] == [hit.id for hit in found.hits]
    for tile, hit in zip(shown, found.hits, strict=True):
        assert (tile.picture is not None) == (hit.kind == "image")
        assert f"rank {hit.rank}," in tile.alt


def test_the_table_can_be_kept(gallery: Gallery) -> None:
    found = answer(gallery, TWIN, MatchQuery(text="pole size 3").query(TWIN), [], 4)
    rows = list(csv.DictReader(io.StringIO(as_csv(found.hits))))
    assert [row["id"] for row in rows] == [hit.id for hit in found.hits]
    assert float(rows[0]["score"]) == found.hits[0].score
