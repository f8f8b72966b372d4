"""Scored pairs: what is measured, and by which threshold."""

from dataclasses import replace

import numpy as np
import pytest
from toys.calibrations import calibrated, pairs_around
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs
from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.pair_measurement import (
    ScoredPairs,
    learn_calibration,
    measure_pairs,
    owners_of_pairs,
    score_pairs,
    triplet_accuracy,
)

WORDS = Pairs(
    items=Items.of(texts=["a cat", "a dog", "an owl", "a fox"], source="pairs.csv"),
    a=np.array([0, 2]),
    b=np.array([1, 0]),
    same=np.array([True, False]),
    score=None,
    splits=column(["test"] * 2),
    rows=np.array([1, 2]),
    source="pairs.csv",
)


def scored(thresholds: dict[str, float], people: int = 30) -> ScoredPairs:
    """Pairs around the thresholds of several comparisons."""
    parts = [pairs_around(threshold, people) for threshold in thresholds.values()]
    return ScoredPairs(
        np.concatenate([part.scores for part in parts]),
        np.repeat(np.array(list(thresholds), object), 2 * people),
        Owners(*(np.concatenate([getattr(part.owners, side) for part in parts]) for side in "ab")),
        np.concatenate([part.same for part in parts]),
    )


class TestScores:
    def test_they_are_those_of_the_twins_embeddings_whichever_side_comes_first(self) -> None:
        turned = replace(WORDS, a=WORDS.b, b=WORDS.a)
        one, other = (score_pairs(tiny_twin(), PairScorer("cosine"), pairs, DataConfig()) for pairs in (WORDS, turned))
        assert (one.scores == other.scores).all()
        assert one.kinds.tolist() == ["text_text"] * 2
        assert one.pairs is WORDS

    def test_an_item_that_the_twin_cannot_encode_is_named(self) -> None:
        with pytest.raises(CrossModalError, match=r"pairs\.csv row 1: expected a picture"):
            score_pairs(tiny_twin(text="none"), PairScorer("cosine"), WORDS, DataConfig())

    def test_groups_own_their_pairs_where_every_pair_has_one(self) -> None:
        assert owners_of_pairs(replace(WORDS, groups=column(["x", "x"]))).kind == "group"
        assert owners_of_pairs(replace(WORDS, groups=column(["x", None]))).kind == "item"
        assert owners_of_pairs(WORDS).kind == "item"


class TestCalibration:
    def test_it_is_learned_on_pairs_of_both_kinds(self) -> None:
        found, notes = learn_calibration(scored({"text_text": 0.4}), tiny_twin(), {"data": "x"})
        assert found is not None
        assert found.main.threshold == pytest.approx(0.4)
        assert all(note.startswith("calibration: ") for note in notes)

    def test_one_verdict_gives_none_and_a_reason(self) -> None:
        pairs = scored({"text_text": 0.4})
        found, notes = learn_calibration(pairs.take(pairs.same), tiny_twin(), {})
        assert found is None
        assert notes[0].startswith("no threshold was learned: calibration: expected pairs that are the same and others")

    def test_graded_pairs_have_no_threshold(self) -> None:
        pairs = replace(scored({"text_text": 0.4}), same=None, graded=np.linspace(0, 1, 60))
        none = "no threshold was learned: graded pairs have none, and verify answers with the score alone"
        assert learn_calibration(pairs, tiny_twin(), {}) == (None, [none])


class TestMeasures:
    def test_a_threshold_learned_elsewhere_decides(self) -> None:
        found = measure_pairs(scored({"text_text": 0.4}), calibrated({"text_text": 0.4}))
        assert found.threshold == pytest.approx(0.4)
        assert found.metrics["verification/accuracy"] == 1
        assert found.metrics["verification/equal_error/accuracy"] == 1
        strict = measure_pairs(scored({"text_text": 0.4}), calibrated({"text_text": 0.6}))
        assert strict.metrics["verification/false_reject_rate"] > 0.5
        assert strict.metrics["verification/eer"] == 0

    def test_without_one_nothing_is_decided(self) -> None:
        found = measure_pairs(scored({"text_text": 0.4}), None)
        assert (found.threshold, found.probabilities) == (None, None)
        assert "verification/accuracy" not in found.metrics
        assert found.metrics["verification/auc"] == 1

    def test_each_comparison_is_decided_by_its_own(self) -> None:
        both = {"picture_picture": 0.7, "picture_text": 0.2}
        found = measure_pairs(scored(both), calibrated(both))
        assert found.metrics["verification/accuracy"] == 1
        assert found.metrics["verification/picture_text/threshold"] == pytest.approx(0.2)
        assert found.metrics["verification/picture_picture/accuracy"] == 1
        one = measure_pairs(scored(both), calibrated({"mixed": 0.45}))
        assert one.metrics["verification/accuracy"] < 1
        assert ((found.scores >= found.threshold) == scored(both).same).all()

    def test_a_comparison_with_few_pairs_is_not_measured_by_itself(self) -> None:
        found = measure_pairs(scored({"picture_picture": 0.7, "picture_text": 0.2}, people=10), None)
        assert "picture against text: 20 pairs, too few to be measured by themselves" in found.notes

    def test_a_calibration_of_another_comparison_is_noted(self) -> None:
        (note,) = measure_pairs(scored({"text_text": 0.4}), calibrated({"picture_text": 0.4})).notes
        assert "learned on picture against text, not on text against text" in note

    def test_graded_pairs_have_correlations(self) -> None:
        pairs = replace(scored({"text_text": 0.4}), same=None)
        found = measure_pairs(replace(pairs, graded=np.clip(pairs.scores, 0, 1)), calibrated({"text_text": 0.4}))
        assert found.metrics["verification/spearman"] == pytest.approx(1)
        assert found.threshold is None

    def test_one_verdict_is_refused(self) -> None:
        pairs = scored({"text_text": 0.4})
        with pytest.raises(CrossModalError, match="found 30 same and 0 different"):
            measure_pairs(pairs.take(pairs.same), None)


def test_a_triplet_is_right_where_the_positive_scores_higher() -> None:
    assert triplet_accuracy(np.array([0.9, 0.1, 0.1, 0.9]))["verification/triplets/accuracy"] == 0.5
