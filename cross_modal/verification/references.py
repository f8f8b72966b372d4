"""Several references for one side: is this another signature of the person who signed these five?

- ``mean``: the mean of the scores with all references. It lies where scores of single pairs lie, and closer together:
  their threshold serves, and both kinds are better told apart; false accepts are rarer than expected of single pairs.
- ``best``: the highest of them, for references that show different things (poses, seasons). A stranger has as many
  chances as there are references: false accepts may be that many times as frequent (the union bound), false rejects are
  no more frequent than with one.
- ``identity``: the mean, against a threshold of this identity's own (see `identity_spread`).

A reference that is unlike most of its fellows is named: it may be of another identity, or a bad picture, and it spoils
every answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import check_embeddings
from cross_modal.verification.calibration import CHOSEN, Calibration, Decision
from cross_modal.verification.estimate import Estimate
from cross_modal.verification.pair_scores import pair_scores

How = Literal["mean", "best", "identity"]
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (M, dim) and (M, dim) → (M,), whichever side comes first


@dataclass(frozen=True)
class FarReference:
    """A reference that is unlike most of its fellows.

    Attributes:
        place: Its place among the references, from 0.
        score: Its median score with its fellows.
        threshold: What a score of the same identity was expected to reach.
        name: What the message calls it.
    """

    place: int
    score: float
    threshold: float
    name: str

    def sentence(self) -> str:
        """For people.

        >>> FarReference(1, 0.12, 0.43, "b.png").sentence()
        'reference b.png: scores 0.12 with its fellows, expected 0.43 or more: another identity, or a bad item?'
        """
        return (
            f"reference {self.name}: scores {self.score:.3g} with its fellows, expected {self.threshold:.3g} or more: "
            "another identity, or a bad item?"
        )


def decide_by_references(
    calibration: Calibration,
    queries: np.ndarray,
    references: np.ndarray,
    how: How = "mean",
    at: str = CHOSEN,
    score: Score | None = None,
) -> tuple[np.ndarray, Decision]:
    """Answers whether queries are of the identity that the references are of.

    Args:
        calibration: Of pairs, under the metric that it names.
        queries: (Q, dim) embeddings.
        references: (K, dim) embeddings of one identity.
        how: "mean", "best" or "identity".
        at: Which threshold of the calibration.
        score: What scores pairs where that is no metric (a learned head); None takes the calibration's metric.

    Returns:
        (Q,) float64 scores, and the answers. Error rates are those of single pairs, for "best" with false accepts
        bounded by K times as many; "identity" moves the threshold, and the probabilities with it.

    Raises:
        CrossModalError: No references, sizes that differ, embeddings that are not finite, an unknown way, or thresholds
            of identities from one reference, or by a calibration that knows no identities.
    """
    if how not in get_args(How):
        raise CrossModalError(f"references: expected one of {', '.join(get_args(How))}, found {how!r}")
    table = reference_scores(calibration, queries, references, score)
    if how == "identity":
        shift = _shift(calibration, references, score)
        scores = table.mean(axis=1)
        decision = calibration.decide(scores - shift, at)
        return scores, replace(decision, threshold=decision.threshold + shift)
    if how == "mean":
        scores = table.mean(axis=1)
        return scores, calibration.decide(scores, at)
    scores = table.max(axis=1)
    decision = calibration.decide(scores, at)
    bounded = [min(1.0, table.shape[1] * rate) for rate in decision.false_accept.to_list()]
    return scores, replace(decision, false_accept=Estimate(*bounded))


def reference_scores(
    calibration: Calibration, queries: np.ndarray, references: np.ndarray, score: Score | None = None
) -> np.ndarray:
    """Scores of all queries with all references.

    Args:
        calibration: Whose metric is taken.
        queries: (Q, dim).
        references: (K, dim), K at least 1.
        score: What scores pairs; None takes the metric.

    Returns:
        (Q, K) float64.

    Raises:
        CrossModalError: No references, sizes that differ, or embeddings that are not finite.
    """
    references, queries = check_embeddings("references", references), check_embeddings("queries", queries)
    if not len(references):
        raise CrossModalError("references: expected at least 1, found none")
    if queries.shape[1] != references.shape[1]:
        raise CrossModalError(
            f"references: expected size {queries.shape[1]} as the queries, found {references.shape[1]}"
        )
    if score is None:
        columns = [pair_scores(queries, reference[None], calibration.metric) for reference in references]
    else:
        columns = [score(queries, np.repeat(reference[None], len(queries), axis=0)) for reference in references]
    return np.stack(columns, axis=1)


def far_references(
    calibration: Calibration,
    references: np.ndarray,
    names: Sequence[str] | None = None,
    at: str = CHOSEN,
    score: Score | None = None,
) -> list[FarReference]:
    """References that differ from more than half of their fellows.

    Of two that differ, both are named: nobody can say which is wrong.

    Args:
        calibration: Of pairs; its threshold says what differs.
        references: (K, dim) embeddings of one identity.
        names: What messages call them; None numbers them from 1.
        at: Which threshold of the calibration.
        score: What scores pairs; None takes the metric.

    Returns:
        Those that stand apart, in their order; none of a single reference.

    Raises:
        CrossModalError: Embeddings that are not finite, or a name missing.
    """
    names = [str(place + 1) for place in range(len(references))] if names is None else names
    if len(names) != len(references):
        raise CrossModalError(f"references: expected a name for each of {len(references)}, found {len(names)}")
    threshold = calibration.point(at).threshold
    among = reference_scores(calibration, references, references, score)
    found = []
    for place, row in enumerate(among):
        fellows = np.delete(row, place)
        if len(fellows) and (fellows < threshold).mean() > 0.5:
            found.append(FarReference(place, float(np.median(fellows)), threshold, names[place]))
    return found


def _shift(calibration: Calibration, references: np.ndarray, score: Score | None) -> float:
    """How far this identity's threshold lies from the general one."""
    count = len(references)
    if count < 2:
        raise CrossModalError(f"references: a threshold of an identity's own needs 2 references or more, found {count}")
    if calibration.spread is None:
        raise CrossModalError(
            "references: a threshold of an identity's own needs a calibration by labels with several same pairs each, "
            f"found one by {calibration.identities} {calibration.identity_kind}s"
        )
    among = reference_scores(calibration, references, references, score)
    return calibration.spread.shift(among[np.triu_indices(count, 1)], count)
