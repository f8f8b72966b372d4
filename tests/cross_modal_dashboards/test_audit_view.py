"""The tables of the Audit page: who takes part, and what they say of splits."""

import numpy as np
import pandas as pd
import pytest
from toys.reference_rows import binding

from cross_modal.errors import CrossModalError
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.schema import reference_table
from cross_modal_dashboards.audit_view import audit_of, duplicates_table, leak_lines
from cross_modal_dashboards.pair_items import matches_link, pair_link

POINTS = {"cat": 0, "dog": 1}


def gallery_of(*rows: tuple[str, str, str, bool, str], points: dict[str, int] | None = None) -> Gallery:
    """Rows (id, kind, label, genuine, split), each where its label is, or where `points` puts its id."""
    bound = binding()
    eye = np.eye(bound.dim, dtype=np.float32)
    places = [{**POINTS, **(points or {})}.get(row[0], POINTS[row[2]]) for row in rows]
    gallery = Gallery.create("memory", bound)
    gallery.add(
        reference_table(
            [row[0] for row in rows],
            eye[places],
            kinds=[row[1] for row in rows],  # type: ignore[misc]
            contents=[row[0] for row in rows],
            binding=bound,
            labels=[row[2] for row in rows],
            genuine=[row[3] for row in rows],
            splits=[row[4] for row in rows],
        )
    )
    return gallery


def cats_and_dogs(genuine: bool, points: dict[str, int]) -> Gallery:
    """Two pictures and a name of either class, and a third cat."""
    of = [(f"{kind} {label} {n}", kind, label, True, "test") for label in POINTS for kind, n in
          (("image", 1), ("image", 2), ("text", 1))]  # fmt: skip
    return gallery_of(*of, ("third", "image", "cat", genuine, "test"), points=points)


def test_a_picture_beside_another_name_is_listed_and_a_forgery_that_lies_there_on_purpose_is_not() -> None:
    assert audit_of(cats_and_dogs(True, {"third": 1})).names["id a"].tolist() == ["third"]
    forged = audit_of(cats_and_dogs(False, {"third": 1}))
    assert len(forged.names) == 0
    assert "third" not in forged.negatives()[["id a", "id b"]].to_numpy()
    assert "third" not in forged.mislabelled["id"].tolist()


def test_a_planted_mislabel_comes_first_with_its_true_label_and_is_a_negative_of_its_neighbours() -> None:
    audit = audit_of(cats_and_dogs(True, {"third": 1}))
    assert audit.mislabelled.loc[0, ["id", "label", "suggested"]].tolist() == ["third", "cat", "dog"]
    first = audit.negatives().iloc[0]
    assert {first["label a"], first["label b"]} == {"cat", "dog"}
    assert "third" in (first["id a"], first["id b"])
    assert first["score"] == 1.0


def test_the_order_in_which_rows_came_changes_no_table() -> None:
    rows = [(f"i{n}", "image", "cat" if n % 3 else "dog", True, "test") for n in range(12)]
    straight, turned = (audit_of(gallery_of(*order, points={"i4": 1})) for order in (rows, rows[::-1]))
    for a, b in (
        (straight.mislabelled, turned.mislabelled),
        (straight.confusable, turned.confusable),
        (straight.negatives(), turned.negatives()),
    ):
        pd.testing.assert_frame_equal(a, b)


def test_leaks_are_counted_by_pair_of_splits_and_each_item_once() -> None:
    gallery = gallery_of(
        ("a", "image", "cat", True, "train"), ("b", "image", "cat", True, "test"),
        ("c", "image", "cat", True, "test"), ("d", "image", "dog", True, "validation"),
        ("e", "image", "dog", True, "test"),
    )  # fmt: skip
    across = duplicates_table(gallery, "image", 0.99, True)
    assert leak_lines(across) == [
        "test and train share 2 near-duplicate pairs: 2 items of test, 1 of train",
        "test and validation share 1 near-duplicate pair: 1 item of test, 1 of validation",
    ]
    assert leak_lines(duplicates_table(gallery, "image", 0.99, False)) == leak_lines(across)
    assert leak_lines(across.head(0)) == []


def test_unlabelled_items_and_one_class_cannot_be_audited() -> None:
    for gallery, found in (
        (gallery_of(("a", "image", "cat", True, "test"), ("b", "image", "cat", True, "test")), "found 1"),
        (gallery_of(("a", "image", "cat", False, "test"), ("b", "image", "dog", False, "test")), "found none"),
    ):
        with pytest.raises(CrossModalError, match=f"expected items of two labels or more to audit, {found}"):
            audit_of(gallery)


def test_links_keep_the_gallery_that_the_items_are_of() -> None:
    assert pair_link("1f", "x", "y", gallery="all splits") == "pair?run=1f&a=x&b=y&gallery=all+splits"
    assert pair_link("1f", "x", "y") == "pair?run=1f&a=x&b=y"
    assert matches_link("1f", "x&y") == "matches?run=1f&id=x%26y"
