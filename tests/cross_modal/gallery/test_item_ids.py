"""What of a table of items is embedded, and what it is called."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.gallery.item_ids import contents_of, reference_rows

BOTH = Items.of(
    images=[np.zeros((4, 4), np.uint8), None, np.ones((4, 4), np.uint8)],
    texts=["a cat", "a dog", None],
    labels=["cat", "dog", "owl"],
)


def kinds(of: str, items: Items = BOTH, **sides: str) -> list[tuple[int, str]]:
    rows = reference_rows(items, tiny_twin(**sides), of)  # type: ignore[arg-type]
    return list(zip(rows.places.tolist(), rows.kinds.tolist(), strict=True))


def test_by_itself_a_picture_stands_for_its_item_and_a_text_where_there_is_none() -> None:
    assert kinds("auto") == [(0, "image"), (2, "image"), (1, "text")]


def test_one_modality_or_both_as_rows_of_their_own() -> None:
    assert kinds("image") == [(0, "image"), (2, "image")]
    assert kinds("text") == [(0, "text"), (1, "text")]
    assert kinds("each") == [(0, "image"), (2, "image"), (0, "text"), (1, "text")]


def test_a_twin_of_texts_takes_texts() -> None:
    assert kinds("auto", image="none") == [(0, "text"), (1, "text")]


def test_a_text_that_a_label_has_often_is_one_row() -> None:
    items = Items.of(texts=["cat", "cat", "cat", "dog"], labels=["a", "a", "b", "b"])
    assert [place for place, _ in kinds("auto", items)] == [0, 2, 3]


def test_files_are_called_by_their_path_inside_the_source(tmp_path: Path) -> None:
    for name in ("cats/1.png", "cats/2.png", "elsewhere.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    (tmp_path / "data").mkdir()
    images = [str(tmp_path / name) for name in ("cats/1.png", "cats/2.png", "cats/1.png", "elsewhere.png")]
    inside = reference_rows(Items.of(images=images, source=str(tmp_path / "items.csv")), tiny_twin())
    assert inside.ids == ["cats/1.png", "cats/2.png", "cats/1.png#2", "elsewhere.png"]
    outside = reference_rows(Items.of(images=images, source=str(tmp_path / "cats")), tiny_twin())
    assert outside.ids[0] == "1.png"
    assert outside.ids[3] == str(tmp_path / "elsewhere.png")


def test_names_do_not_depend_on_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    here = reference_rows(Items.of(images=[str(tmp_path / "a.png")], source=str(tmp_path / "i.csv")), tiny_twin()).ids
    monkeypatch.chdir(tmp_path)
    assert reference_rows(Items.of(images=["a.png"], source="i.csv"), tiny_twin()).ids == here


def test_pictures_in_memory_are_called_by_content() -> None:
    items = shapes(3)
    rows = reference_rows(items, tiny_twin())
    order = np.random.default_rng(0).permutation(len(items))
    again = reference_rows(items.take(order), tiny_twin())
    assert len(set(rows.ids)) == len(items)
    assert sorted(rows.ids) == sorted(again.ids)


def test_contents_are_of_the_picture_or_the_text_alone(tmp_path: Path) -> None:
    for name, level in (("a", 1), ("b", 1), ("c", 2)):
        Image.new("L", (4, 4), level).save(tmp_path / f"{name}.png")
    items = Items.of(images=[str(tmp_path / f"{name}.png") for name in "abc"], texts=list("xyx"), labels=list("123"))
    rows = reference_rows(items, tiny_twin(), "each")
    a, b, c, x, y, again = contents_of(items, rows)
    assert a == b != c
    assert x == again != y


def test_nothing_to_embed_is_one_line() -> None:
    texts = Items.of(texts=["a"], source="a.csv")
    with pytest.raises(CrossModalError, match=r"a\.csv: expected items that this model encodes \(pictures\)"):
        reference_rows(texts, tiny_twin(text="none"))
    with pytest.raises(CrossModalError, match="asked for: image"):
        reference_rows(texts, tiny_twin(), "image")


def test_ids_that_items_bring_are_theirs_whatever_is_asked_for() -> None:
    def ids(of: str) -> list[str]:
        return reference_rows(BOTH, tiny_twin(), of, ["x", "y", "z"]).ids  # type: ignore[arg-type]

    assert ids("auto") == [*ids("image"), "y"] == ["x", "z", "y"]
    assert ids("each") == ["x", "z", "x#text", "y"]
    assert ids("text") == ["x#text", "y"]


def test_a_text_that_has_an_id_is_a_row_of_its_own() -> None:
    items = Items.of(texts=["cat", "cat"], labels=["a", "a"])
    assert reference_rows(items, tiny_twin(), "auto", ["x", "y"]).ids == ["x", "y"]


def test_a_prefix_begins_every_id() -> None:
    plain, other = (reference_rows(BOTH, tiny_twin(), "each", prefix=prefix).ids for prefix in ("", "b/"))
    assert other == [f"b/{name}" for name in plain]
