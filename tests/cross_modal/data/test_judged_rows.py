"""The judged rows of one split: their own items, both verdicts, and words for a message."""

from dataclasses import replace

import numpy as np
import pytest
from toys.judged import judged, sentences, triplets

from cross_modal.data.judged_rows import JudgedRows
from cross_modal.errors import CrossModalError


def rows_of(data, split="train"):
    return JudgedRows.of_split(data, split, data.items.split(split))


def test_indices_point_into_the_split():
    data = judged(sentences())
    rows = rows_of(data, "validation")
    part = data.split("validation")
    for side, end in zip((part.a, part.b), rows.ends, strict=True):
        assert (rows.items.texts[end] == data.items.texts[side]).all()
    assert (rows.same == part.same).all()
    assert set(rows.items.splits) == {"validation"}


def test_graded_pairs_and_triplets():
    graded = rows_of(judged(sentences(), graded=True))
    assert graded.graded
    assert graded.same is None
    assert "graded pairs, scores of 0.5" in graded.in_words()
    three = rows_of(triplets(sentences()))
    assert len(three.ends) == 3
    assert three.verdicts is None
    assert three.in_words().endswith(" triplets")


def test_the_imbalance_is_said():
    assert rows_of(judged(sentences(), same_share=0.2)).in_words() == "40 same and 160 different pairs (20.0 % same)"


@pytest.mark.parametrize("verdict", [True, False])
def test_one_verdict_is_refused_with_file_and_row(verdict):
    data = judged(sentences())
    keep = (data.splits != "validation") | (data.same == verdict)
    names = ("a", "b", "same", "splits", "rows")
    data = replace(data, **{name: getattr(data, name)[keep] for name in names})
    first = data.split("validation").rows[0]
    message = (
        rf"^sentences\.csv row {first}: expected pairs that are the same and pairs that are not in the split "
        rf"validation, found same = {int(verdict)} in this row and all others of it \(\d+ in all\)$"
    )
    with pytest.raises(CrossModalError, match=message):
        rows_of(data, "validation").check_verdicts()
    rows_of(data, "train").check_verdicts()


def test_one_score_is_refused_too():
    data = judged(sentences(), graded=True)
    with pytest.raises(CrossModalError, match=r"row \d+: expected two different scores .* found score = 0\.5 in this"):
        rows_of(replace(data, score=np.full(len(data), 0.5))).check_verdicts()


def test_an_item_of_another_split_is_refused():
    data = judged(sentences())
    stray = data.b.copy()
    stray[3] = np.flatnonzero(data.items.splits == "test")[0]
    with pytest.raises(CrossModalError, match=r"sentences\.csv row 4: expected items of the split train"):
        rows_of(replace(data, b=stray))
