"""The Pair page: a link names two items; it says what the library says of them, and survives whatever it is given."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards import resources
from cross_modal_dashboards.pair_items import closest, gallery_item

Opened = Callable[..., AppTest]


def place_of(run: Any) -> Path:
    return Path(run.folder) / "galleries" / f"{run.run_id}.gallery"


def gallery_of(run: Any) -> Gallery:
    return Gallery.open(place_of(run))


def ids_of(run: Any, kind: str = "image") -> list[str]:
    return [row["id"] for row in gallery_of(run).rows().to_pylist() if row["kind"] == kind]


def metrics(page: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in page.metric}


def asked(page: AppTest, name: str) -> str:
    value = page.query_params[name]
    return value if isinstance(value, str) else value[0]


def said(page: AppTest) -> str:
    every = (page.text, page.caption, page.info, page.error, page.warning, page.success)
    return " ".join(str(each.value) for kind in every for each in kind)


def test_a_link_shows_the_answer_of_its_two_items(explored: Any, open_view: Opened) -> None:
    ids = ids_of(explored)
    page = open_view("pair", run=explored.run_id, a=ids[0], b=ids[-1])
    assert not page.exception
    assert [each.value for each in page.selectbox if each.key in {"item a", "item b"}] == [ids[0], ids[-1]]
    matrix = gallery_of(explored).matrix()
    rows = matrix.rows_of(np.array([ids[0], ids[-1]], object))
    score = float(matrix.vectors[rows[0]] @ matrix.vectors[rows[1]])
    calibration = resources.model(explored.uri, explored.run_id).calibration
    assert calibration is not None
    learned = calibration.of("picture_picture")[0]
    decision = learned.decide(np.array([score]))
    assert metrics(page) == {
        "Decision": "Same" if decision.same[0] else "Different",
        "Score": f"{score:.4f}",
        "Threshold": f"{decision.threshold:.4f}",
        "Probability of same": f"{decision.probability[0]:.1%}",
    }
    assert learned.chosen_by in said(page)


def test_without_a_link_it_is_the_first_item_and_the_one_most_like_it(explored: Any, open_view: Opened) -> None:
    page = open_view("pair")
    assert not page.exception
    gallery = gallery_of(explored)
    first = gallery_item(gallery, str(gallery.matrix().ids[0]))
    assert first.vector is not None
    assert asked(page, "a") == first.id
    assert asked(page, "b") == closest(gallery, first, first.vector, 1)[0]


def test_another_choice_is_in_the_address_and_changes_the_score(explored: Any, open_view: Opened) -> None:
    ids = ids_of(explored)
    page = open_view("pair", a=ids[0], b=ids[1])
    before = metrics(page)["Score"]
    page.selectbox(key="item b").set_value(ids[-1]).run()
    assert not page.exception
    assert asked(page, "b") == ids[-1]
    assert metrics(page)["Score"] != before
    page.button(key="closest").click().run()
    gallery = gallery_of(explored)
    item = gallery_item(gallery, ids[0])
    assert item.vector is not None
    assert page.selectbox(key="item b").value == closest(gallery, item, item.vector, 1)[0]


def test_a_gallery_that_changes_changes_the_page(explored: Any, open_view: Opened, tmp_path: Path) -> None:
    ids = ids_of(explored)
    before = metrics(open_view("pair", a=ids[0], b=ids[1]))["Score"]
    place = place_of(explored)
    shutil.copytree(place, tmp_path / "kept")
    try:
        gallery = gallery_of(explored)
        table = gallery.row([ids[1]], gallery.columns)
        turned = -np.asarray(table["vector"].combine_chunks().flatten(), np.float32)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(turned), len(turned))
        gallery.upsert(table.set_column(table.column_names.index("vector"), "vector", vectors))
        page = open_view("pair", a=ids[0], b=ids[1])
        assert float(metrics(page)["Score"]) == pytest.approx(-float(before), abs=2e-4)
        assert "The gallery's embeddings score" in said(page)  # the picture that is drawn over is not what is stored
    finally:
        shutil.rmtree(place)
        shutil.move(tmp_path / "kept", place)


def test_the_check_is_shown_with_the_map_that_is_chosen(explored: Any, open_view: Opened) -> None:
    ids = ids_of(explored)
    for name in ("contributions", "attention", "left out"):
        page = open_view("pair", a=ids[0], b=ids[1], map=name)
        assert not page.exception
        verdicts = [*page.success, *page.warning]
        assert sorted(str(each.value)[:2] for each in verdicts) == ["A:", "B:"]
    off = open_view("pair", a=ids[0], b=ids[1], check="false")
    assert not [*off.success, *off.warning]


def test_a_typed_text_beside_a_picture(explored: Any, open_view: Opened) -> None:
    words = "<img src=x onerror=alert(1)> ring **size** 3"
    page = open_view("pair", from_a="text", text_a=words, b=ids_of(explored)[0])
    assert not page.exception
    assert "picture against text" in said(page)
    assert not [each for each in [*page.markdown, *page.caption] if "onerror" in str(each.value)]


def test_two_sides_to_be_given_say_so(explored: Any, open_view: Opened) -> None:
    page = open_view("pair", from_a="text", from_b="picture")
    assert not page.exception
    assert "Type a text or upload a picture" in said(page)
    assert not page.metric


def test_an_upload_is_compared_and_one_that_is_no_picture_is_one_line(explored: Any, open_view: Opened) -> None:
    ids = ids_of(explored)
    (row,) = gallery_of(explored).row([ids[0]]).to_pylist()
    page = open_view("pair", from_a="picture", b=ids[1])
    page.file_uploader(key="upload_a").upload("mine.png", Path(row["image"]).read_bytes(), "image/png").run()
    assert not page.exception
    assert metrics(page)["Score"] == metrics(open_view("pair", a=ids[0], b=ids[1]))["Score"]
    page.file_uploader(key="upload_a").upload("evil.png", b"<svg onload=alert(1)>", "image/png").run()
    assert "evil.png: expected a picture" in page.error[0].value
    assert not page.exception


def test_an_item_that_is_not_there_is_said(explored: Any, open_view: Opened) -> None:
    page = open_view("pair", a="<b>nobody</b>")
    assert not page.exception
    assert "has no item" in said(page)
    assert page.metric


def test_a_gallery_that_is_gone_leaves_texts_and_uploads(explored: Any, open_view: Opened, tmp_path: Path) -> None:
    place = place_of(explored)
    shutil.move(place, tmp_path / "away")
    try:
        page = open_view("pair", text_a="a ring", text_b="a box", from_a="text", from_b="text")
        assert not page.exception
        assert "found nothing there" in page.error[0].value
        assert "text against text" in said(page)
    finally:
        shutil.move(tmp_path / "away", place)


def test_a_broken_gallery_is_one_line(explored: Any, open_view: Opened, tmp_path: Path) -> None:
    place = place_of(explored)
    shutil.copytree(place, tmp_path / "kept")
    try:
        for file in place.rglob("*"):
            if file.is_file():
                file.write_bytes(b"broken")
        page = open_view("pair")
        assert len(page.error) == 1
        assert "\n" not in page.error[0].value
        assert not page.exception
    finally:
        shutil.rmtree(place)
        shutil.move(tmp_path / "kept", place)


def test_a_picture_that_cannot_be_read_any_more_is_one_line(explored: Any, open_view: Opened) -> None:
    ids = ids_of(explored)
    (row,) = gallery_of(explored).row([ids[0]]).to_pylist()
    file = Path(row["image"])
    content = file.read_bytes()
    try:
        file.write_bytes(content[:40])
        page = open_view("pair", a=ids[0], b=ids[1])
        assert len(page.error) == 1
        assert "\n" not in page.error[0].value
        assert not page.exception
    finally:
        file.write_bytes(content)


def test_the_best_match_links_here(explored: Any, open_view: Opened) -> None:
    ids = ids_of(explored)
    page = open_view("matches", id=ids[0])
    (link,) = [str(each.value) for each in page.markdown if "](pair?" in str(each.value)]
    assert f"run={explored.run_id}" in link
    assert "a=" in link
    typed = open_view("matches", text="ring ](x) <b>")
    (link,) = [str(each.value) for each in typed.markdown if "](pair?" in str(each.value)]
    assert "text_a=ring+%5D%28x%29+%3Cb%3E&b=" in link
