"""Manifests of pairs and triplets, as runs name and count them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.errors import CrossModalError
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.pair_data import (
    as_pairs,
    one_split,
    pair_counts,
    pair_protocol,
    read_pair_source,
)

TRIPLETS = Triplets(
    items=Items.of(texts=["a", "b", "c", "d"]),
    anchor=np.array([0, 1]),
    positive=np.array([1, 2]),
    negative=np.array([3, 3]),
    splits=column(["train", "test"]),
    rows=np.array([1, 2]),
    source="triplets.csv",
)
PAIRS = as_pairs(TRIPLETS)


def test_a_triplet_is_two_pairs_one_after_the_other() -> None:
    assert PAIRS.a.tolist() == [0, 0, 1, 1]
    assert PAIRS.b.tolist() == [1, 3, 2, 3]
    assert PAIRS.same is not None
    assert PAIRS.same.tolist() == [True, False, True, False]
    assert PAIRS.rows.tolist() == [1, 1, 2, 2]
    assert PAIRS.splits.tolist() == ["train", "train", "test", "test"]
    assert as_pairs(PAIRS) is PAIRS


def test_the_columns_say_what_a_manifest_holds(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("text_a,text_b,same,split\na,b,1,train\nc,d,0,test\n")
    (tmp_path / "triplets.csv").write_text("text_anchor,text_positive,text_negative,split\na,b,c,train\n")
    assert isinstance(read_pair_source(str(tmp_path / "pairs.csv"), DataConfig()), Pairs)
    assert isinstance(read_pair_source(str(tmp_path / "triplets.csv"), DataConfig()), Triplets)


def test_the_digest_knows_items_pairs_and_verdicts() -> None:
    assert PAIRS.same is not None
    changed = [
        replace(PAIRS, same=~PAIRS.same),
        replace(PAIRS, b=PAIRS.b[::-1]),
        replace(PAIRS, items=Items.of(texts=["a", "b", "c", "e"])),
        PAIRS.split("test"),
        replace(PAIRS, same=None, score=np.ones(4) / 2),
    ]
    assert len({each.digest for each in [PAIRS, *changed]}) == 6
    assert PAIRS.digest == as_pairs(TRIPLETS).digest


def test_the_protocol_says_what_was_measured() -> None:
    about = pair_protocol(PAIRS, "test", PairScorer("euclidean"), 3)
    assert (about["pairs"], about["same_pairs"], about["items"]) == (2, 1, 3)
    assert (about["data"], about["split"], about["seeds"]) == ("triplets.csv", "test", [3])
    assert about["split_digest"] == PAIRS.split("test").digest != about["digest"]
    assert about["method"].startswith("score: euclidean; ")
    assert pair_counts(replace(PAIRS, same=None, score=np.ones(4))) == {"pairs": 4, "items": 4}


def test_a_split_without_pairs_is_refused() -> None:
    assert len(one_split(PAIRS, "all")) == 4
    with pytest.raises(CrossModalError, match=r"^triplets\.csv: expected pairs in the split validation, found none$"):
        one_split(PAIRS, "validation")
