"""The score of a training on pairs: 1 − EER, Spearman's correlation, or triplets in the right order."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys.judged import judged, sentences, text_experiment, triplets
from toys.shapes import experiment

from cross_modal.data.judged_rows import JudgedRows
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import DifferenceHead
from cross_modal.training.pair_validation import PairValidation, graded_rates, triplet_rates
from cross_modal.training.validation import SCORE
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal.verification.pair_scorer import PairScorer


def twin_of_words() -> TwinEncoder:
    settings = text_experiment(experiment())
    settings.twin.image.name = "none"
    torch.manual_seed(0)
    return build_twin(settings.twin, sentences().texts.tolist())


def rows_of(data: Pairs | Triplets) -> JudgedRows:
    return JudgedRows.of_split(data, "validation", data.items.split("validation"))


def measured(data: Pairs | Triplets, head: DifferenceHead | None = None) -> dict[str, float]:
    return PairValidation(rows_of(data), twin_of_words(), experiment(), head).measure(twin_of_words())


def scores_of(rows: JudgedRows, head: DifferenceHead | None = None) -> np.ndarray:
    twin = twin_of_words()
    embeddings = embed_pair_items(twin, rows.items)
    return PairScorer.of(twin, head).score(embeddings[rows.ends[0]], embeddings[rows.ends[1]])


@pytest.mark.parametrize("with_head", [True, False])
def test_pairs_with_verdicts(with_head: bool) -> None:
    head = DifferenceHead(32) if with_head else None
    if head is not None:
        with torch.no_grad():
            head.weight.copy_(torch.linspace(-1, 0.5, 32))
    data = judged(sentences())
    found, rows = measured(data, head), rows_of(data)
    eer = error_rates(scores_of(rows, head), rows.same)["eer"].item()
    assert found[SCORE] == 1 - eer
    assert found["validation/verification/eer"] == eer
    assert found["validation/verification/same_pairs"] == rows.same.sum()
    assert found["validation/verification/different_pairs"] == (~rows.same).sum()


def test_graded_pairs() -> None:
    found = measured(judged(sentences(), graded=True))
    assert found[SCORE] == found["validation/verification/spearman"]
    assert not any(name.endswith("ci95") for name in found)
    assert graded_rates(np.ones(4), np.array([0, 0.2, 0.5, 1]))[SCORE] == 0  # a collapsed twin knows nothing


def test_triplets() -> None:
    found = measured(triplets(sentences()))
    assert found[SCORE] == found["validation/verification/triplet_accuracy"]
    assert triplet_rates(np.array([0.9, 0.1]), np.array([0.5, 0.5]))[SCORE] == 0.5


def test_kinds_are_measured_apart_and_averaged() -> None:
    rows = rows_of(judged(sentences()))
    kinds = np.where(np.arange(len(rows)) % 2, "text_text", "picture_text").astype(object)
    validation = PairValidation(rows, twin_of_words(), experiment(), kinds=kinds)
    found = validation.measure(twin_of_words())
    parts = [found[f"validation/verification/{name}/eer"] for name in ("text_text", "picture_text")]
    assert found["validation/verification/eer"] == pytest.approx(np.mean(parts))
    assert found[SCORE] == pytest.approx(1 - np.mean(parts))


def test_nothing_to_validate_on_gives_no_score() -> None:
    data = judged(sentences())
    data = replace(data, splits=np.where(data.splits == "validation", "test", data.splits).astype(object))
    data = replace(data, items=replace(data.items, splits=data.items.splits.copy()))
    data.items.splits[data.items.splits == "validation"] = "test"
    assert measured(data) == {}


def test_what_cannot_be_measured_is_refused_before_training() -> None:
    data = judged(sentences())
    same = data.same.copy()
    same[data.splits == "validation"] = True
    with pytest.raises(CrossModalError, match=r"sentences\.csv row \d+: .* found same = 1 in this row and all others"):
        measured(replace(data, same=same))
    graded = judged(sentences(), graded=True)
    keep = graded.splits != "validation"
    keep[np.flatnonzero(~keep)[[0, -1]]] = True
    few = replace(graded, **{name: getattr(graded, name)[keep] for name in ("a", "b", "score", "splits", "rows")})
    with pytest.raises(CrossModalError, match="expected at least 3 graded pairs in the split validation, found 2"):
        measured(few)
