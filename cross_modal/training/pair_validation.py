"""The score that picks the best checkpoint of a training on pairs: how well scores tell same from different.

It is 1 − EER, the equal error rate of the validation pairs. Graded pairs give Spearman's correlation, triplets the
share whose positive is nearer than their negative. Scores are those that `verify` will give, the head's where one is
trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cross_modal.configuration import Experiment
from cross_modal.data.judged_rows import JudgedRows
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import PairHead
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.validation import SCORE
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.graded import measure_graded
from cross_modal.verification.operating_points import check_pairs
from cross_modal.verification.pair_embedding import embed_pair_items, seen_by
from cross_modal.verification.pair_scorer import PairScorer

FEWEST_GRADED = 3  # pairs that a correlation needs


class PairValidation:
    """Measures a twin on judged pairs or triplets, the same way every time.

    Args:
        rows: Those of the validation split; may be empty, then there is no score.
        twin: Any twin of the run, for its trunks.
        experiment: How pictures are decoded.
        head: The verification head as it is being trained, if there is one.
        store: Where the tokens of frozen trunks are kept, if they are.
        shared: What other trainings on the same items have in common with this one; None shares nothing.
        kinds: (M,) names: pairs of one name are measured by themselves, and the score is the mean over the names; None
            measures all together.

    Raises:
        CrossModalError: One verdict only, too few graded pairs, or an item that the twin has no trunk for.
    """

    def __init__(
        self,
        rows: JudgedRows,
        twin: TwinEncoder,
        experiment: Experiment,
        head: PairHead | None = None,
        store: FeatureStore | None = None,
        shared: SharedParts | None = None,
        kinds: np.ndarray | None = None,
    ) -> None:
        rows.check_verdicts()
        if rows.graded and 0 < len(rows) < FEWEST_GRADED:
            raise CrossModalError(
                f"{rows.items.source}: expected at least {FEWEST_GRADED} graded pairs in the split {rows.split}, found "
                f"{len(rows)}"
            )
        self.rows, self.head, self.store, self.kinds = rows, head, store, kinds
        self.data = experiment.items
        if not len(rows):
            return
        shared = shared or SharedParts.alone()
        image, text = seen_by(twin, rows.items)
        self.pictures = shared.pictures(rows.items, twin, experiment.items) if image.any() else None
        self.contents = shared.contents(rows.items) if image.any() else None
        opened = store if twin.frozen else None
        self.features = (
            shared.features(twin, "image", opened) if opened is not None and image.any() else None,
            shared.features(twin, "text", opened) if opened is not None and text.any() else None,
        )

    def measure(self, twin: TwinEncoder) -> dict[str, float]:
        """Measures.

        Args:
            twin: The twin as it is now; its mode is restored.

        Returns:
            Metrics under "validation/verification/…", the score under "validation/score"; empty without pairs.

        Raises:
            CrossModalError: Scores that are not finite.
        """
        if not len(self.rows):
            return {}
        embeddings = embed_pair_items(
            twin,
            self.rows.items,
            self.data,
            self.store,
            pictures=self.pictures,
            contents=self.contents,
            features=self.features,
        )
        ends, scorer = self.rows.ends, PairScorer.of(twin, self.head)
        scores = [scorer.score_items(embeddings, ends[0], end) for end in ends[1:]]
        measured = self._measured(scores)
        return {f"validation/verification/{name}": value for name, value in measured.items() if name != SCORE} | {
            SCORE: measured[SCORE]
        }

    def _measured(self, scores: list[np.ndarray]) -> dict[str, float]:
        """Metrics by their names, and the score."""
        if len(scores) == 2:
            return triplet_rates(*scores)
        if self.rows.graded:
            return graded_rates(scores[0], self.rows.verdicts)
        same = self.rows.same
        assert same is not None
        if self.kinds is None:
            return pair_rates(scores[0], same)
        names = sorted({str(name) for name in self.kinds.tolist()})
        parts = {name: pair_rates(scores[0][self.kinds == name], same[self.kinds == name]) for name in names}
        return _mean(parts) if len(parts) > 1 else parts[names[0]]


def pair_rates(scores: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Error rates of pairs with verdicts.

    Args:
        scores: (M,).
        same: (M,) bool.

    Raises:
        CrossModalError: Scores that are not finite.

    >>> pair_rates(np.array([0.9, 0.8, 0.1, 0.2]), np.array([True, True, False, False]))["eer"]
    0.0
    """
    rates = {name: value.item() for name, value in error_rates(*check_pairs("validation", scores, same)).items()}
    counts = {"same_pairs": float(same.sum()), "different_pairs": float((~same).sum())}
    return rates | counts | {SCORE: 1 - rates["eer"]}


def graded_rates(scores: np.ndarray, verdicts: np.ndarray | None) -> dict[str, float]:
    """Correlations of graded pairs; none (0) where all scores are alike.

    >>> graded_rates(np.array([0.1, 0.5, 0.9]), np.array([0.0, 0.2, 1.0]))["spearman"]
    1.0
    """
    assert verdicts is not None
    if len(scores) and scores.min() == scores.max():
        return {"spearman": 0.0, "pearson": 0.0, "pairs": float(len(scores)), SCORE: 0.0}
    rows = np.arange(len(scores))
    found = measure_graded(scores, verdicts, (rows, rows), resamples=1)
    measured = {name.rpartition("/")[2]: value for name, value in found.items() if not name.endswith("/ci95")}
    return measured | {SCORE: measured["spearman"]}


def triplet_rates(positive: np.ndarray, negative: np.ndarray) -> dict[str, float]:
    """How often a triplet's positive scores above its negative (a tie counts half), and its pairs' error rates.

    >>> triplet_rates(np.array([0.9, 0.5]), np.array([0.1, 0.5]))["triplet_accuracy"]
    0.75
    """
    same = np.repeat([True, False], len(positive))
    rates = pair_rates(np.concatenate([positive, negative]), same)
    accuracy = float(np.mean((positive > negative) + 0.5 * (positive == negative)))
    return rates | {"triplet_accuracy": accuracy, SCORE: accuracy}


def _mean(parts: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """Each part under its name, and their mean: scores of a picture with a name lie elsewhere than of two pictures."""
    found = {f"{part}/{name}": value for part, rates in parts.items() for name, value in rates.items() if name != SCORE}
    for name in ("eer", "auc", "true_accepts_at_1_percent", SCORE):
        found[name] = float(np.mean([rates[name] for rates in parts.values()]))
    return found
