"""Pairs to verify: named by a column, one a row, or drawn from labels."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.pair_table import as_rows, draw_pairs, has_pairs, pairs_of_column


def test_two_rows_with_one_value_are_a_pair() -> None:
    pairs = pairs_of_column(["p", "q", "q", "p"], ["1", "0", "0", "1"], None)
    assert (pairs.a.tolist(), pairs.b.tolist(), pairs.same.tolist()) == ([0, 1], [3, 2], [True, False])


def test_labels_say_whether_they_are_the_same_where_nobody_else_does() -> None:
    pairs = pairs_of_column([1, 1, 2, 2], None, np.array(["x", "x", "x", "y"], object))
    assert pairs.same.tolist() == [True, False]


@pytest.mark.parametrize(
    ("cells", "same", "said"),
    [
        (["p", "p", "q"], [1, 1, 0], r"pair 'q': expected two rows, found 1 \(row 2\)"),
        (["p", "p", "p"], [1, 1, 1], r"pair 'p': expected two rows, found 3 \(row 0\)"),
        (["p", None], [1, 1], "row 1: pair: expected what it shares"),
        (["p", "p"], [1, 0], "pair 'p': expected one value of same in both rows"),
        (["p", "p"], [1, "maybe"], "row 1: same: expected 0 or 1, found 'maybe'"),
        (["p", "p"], None, r"expected targets same \(0 or 1\) or labels, found neither"),
    ],
)
def test_what_is_no_pair_is_named(cells: list[Any], same: list[Any] | None, said: str) -> None:
    with pytest.raises(CrossModalError, match=said):
        pairs_of_column(cells, same, None)


def test_one_row_a_pair_becomes_two() -> None:
    table = pd.DataFrame({"image_a": [b"1", b"2"], "text_b": ["a", "b"], "split": ["train", "test"]})
    assert has_pairs(table)
    rows, same = as_rows(table, [1, 0])
    assert rows["image"].tolist() == [b"1", b"2", None, None]
    assert rows["text"].tolist() == [None, None, "a", "b"]
    assert rows["split"].tolist() == ["train", "test"] * 2
    assert same == [1, 0, 1, 0]
    assert pairs_of_column(rows["pair"].tolist(), same, None).b.tolist() == [2, 3]


def test_one_side_alone_is_no_pair() -> None:
    with pytest.raises(CrossModalError, match="expected a column image_b or text_b, found neither"):
        as_rows(pd.DataFrame({"image_a": [b"1"]}), [1])


def test_items_are_left_as_they_are() -> None:
    table = pd.DataFrame({"image": [b"1"]})
    assert not has_pairs(table)
    assert as_rows(table, None)[0] is table


def _items(classes: int = 10, each: int = 6, **columns: Any) -> Items:
    return Items.of(
        images=[f"{c} {n}".encode() for c in range(classes) for n in range(each)],
        labels=[str(c) for c in range(classes) for _ in range(each)],
        **columns,
    )


def test_half_of_the_drawn_pairs_are_the_same_and_none_is_drawn_twice() -> None:
    items = _items()
    pairs = draw_pairs(items, 200, seed=0)
    assert len(pairs) == 200
    assert pairs.same.sum() == 100
    assert ((items.class_ids[pairs.a] == items.class_ids[pairs.b]) == pairs.same).all()
    assert len({frozenset(pair) for pair in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)}) == 200
    again = draw_pairs(items, 200, seed=0)
    assert (again.a == pairs.a).all()
    assert (draw_pairs(items, 200, seed=1).a != pairs.a).any()


def test_a_picture_never_meets_itself_nor_its_group() -> None:
    items = Items.of(images=[b"1", b"1", b"2", b"3"], labels=list("xxxy"), groups=["g", "h", "i", "i"])
    pairs = draw_pairs(items, 100, seed=0)
    met = {tuple(sorted(pair)) for pair in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)}
    assert met == {(0, 2), (1, 2), (0, 3), (1, 3)}


def test_classes_that_look_alike_never_meet() -> None:
    items = Items.of(images=[b"1", b"2", b"3"], labels=list("xyz"), sets=["s", "s", None])
    pairs = draw_pairs(items, 100, seed=0)
    assert sorted(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)) == [(0, 2), (1, 2)]


def test_a_forgery_is_not_the_same_as_what_it_forges() -> None:
    items = Items.of(images=[b"1", b"2", b"3"], labels=list("xxx"), genuine=[True, True, False])
    pairs = draw_pairs(items, 100, seed=0)
    found = dict(zip(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True), pairs.same.tolist(), strict=True))
    assert found == {(0, 1): True, (0, 2): False, (1, 2): False}


def test_texts_alone_are_paired_unless_they_are_equal() -> None:
    items = Items.of(texts=["a", "a", "b", "c"], labels=list("xxxy"))
    pairs = draw_pairs(items, 100, seed=0)
    same = {(a, b) for a, b, s in zip(pairs.a.tolist(), pairs.b.tolist(), pairs.same.tolist(), strict=True) if s}
    assert same == {(0, 2), (1, 2)}


def test_pairs_of_a_split_have_both_rows_in_it() -> None:
    pairs = pairs_of_column(["p", "p", "q", "q"], [1, 1, 0, 0], None)
    assert pairs.among(np.array([0, 1, 2])).a.tolist() == [0]
