"""What a run on pairs shows besides numbers: curves, reliability, and the pairs that the threshold is least sure of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cross_modal.data.items import Items
from cross_modal_mlflow.match_page import SIDE, thumbnail
from cross_modal_mlflow.pair_measurement import PairMeasures, ScoredPairs
from cross_modal_mlflow.tracking import TrackedRun
from cross_modal_mlflow.verification_figures import ShownPair, nearest_pairs, reliability, roc_and_det

DRAWN, LISTED = 12, 24
FOLDER = "verification"


def log_pair_evidence(run: TrackedRun, scored: ScoredPairs, measures: PairMeasures) -> None:
    """Logs the figures and the table of one split; graded pairs have none, and a threshold needs a calibration.

    Args:
        run: The run.
        scored: Pairs with scores.
        measures: What was measured on them.
    """
    same = scored.same
    if same is None or same.all() or not same.any():
        return
    scored = replace(scored, scores=measures.scores)
    run.figure(roc_and_det(scored.scores, same, measures.metrics, measures.threshold), f"{FOLDER}/curves.png")
    if measures.threshold is None or measures.probabilities is None:
        return
    ece = measures.metrics["verification/ece"]
    run.figure(reliability(measures.probabilities, same, measures.prior, ece), f"{FOLDER}/reliability.png")
    if scored.pairs is not None:
        log_nearest(run, scored, measures.threshold, measures.probabilities)


def log_nearest(run: TrackedRun, scored: ScoredPairs, threshold: float, probabilities: np.ndarray) -> None:
    """Logs the pairs nearest to the threshold, as a figure and as a table; a pair that stands twice is shown once.

    Args:
        run: The run.
        scored: Pairs with scores, and the pairs themselves.
        threshold: Scores from here on are "same".
        probabilities: (M,) that pairs are the same.
    """
    pairs, same = scored.pairs, scored.same
    assert pairs is not None
    assert same is not None
    order = np.argsort(np.abs(scored.scores - threshold), kind="stable")
    # Two rows about one pair that contradict each other are both shown.
    known = np.stack([np.minimum(pairs.a, pairs.b), np.maximum(pairs.a, pairs.b), same], 1)[order]
    order = order[np.sort(np.unique(known, axis=0, return_index=True)[1])]
    shown = [shown_pair(scored, place) for place in order[:DRAWN].tolist()]
    run.figure(nearest_pairs(shown, threshold), f"{FOLDER}/nearest_the_threshold.png")
    run.table(pair_columns(scored, order[:LISTED], probabilities), f"{FOLDER}/nearest_the_threshold.json")


def shown_pair(scored: ScoredPairs, place: int) -> ShownPair:
    """One pair as it is drawn."""
    pairs, same = scored.pairs, scored.same
    assert pairs is not None
    assert same is not None
    rows = int(pairs.a[place]), int(pairs.b[place])
    return ShownPair(
        captions=tuple(_caption(pairs.items, row) for row in rows),  # type: ignore[arg-type]
        pictures=tuple(thumbnail(pairs.items, row) for row in rows),  # type: ignore[arg-type]
        score=float(scored.scores[place]),
        same=bool(same[place]),
    )


def pair_columns(scored: ScoredPairs, places: np.ndarray, probabilities: np.ndarray) -> dict[str, list[Any]]:
    """Pairs as a table that MLflow shows, thumbnails included.

    Args:
        scored: The pairs.
        places: Which of them, in this order.
        probabilities: (M,) of all.
    """
    pairs, same = scored.pairs, scored.same
    assert pairs is not None
    assert same is not None
    columns: dict[str, list[Any]] = {
        "row": pairs.rows[places].tolist(),
        "same": [bool(verdict) for verdict in same[places]],
        "score": [round(float(score), 4) for score in scored.scores[places]],
        "probability": [round(float(probability), 4) for probability in probabilities[places]],
    }
    for side, rows in (("a", pairs.a[places].tolist()), ("b", pairs.b[places].tolist())):
        columns[side] = [_caption(pairs.items, row) for row in rows]
        if pairs.items.has_images:
            columns[f"{side}_looks"] = [_picture(pairs.items, row) for row in rows]
    return columns


def _caption(items: Items, row: int) -> str:
    text = items.texts[row]
    if text is not None:
        return str(text)
    cell = items.images[row]
    return cell.rsplit("/", 1)[-1] if isinstance(cell, str) else items.where(row)


def _picture(items: Items, row: int) -> Any:
    """A thumbnail that MLflow's table shows; a blank one where there is none (columns hold one type)."""
    import mlflow

    picture = thumbnail(items, row)
    return mlflow.Image(np.full((SIDE, SIDE, 3), 230, np.uint8) if picture is None else picture)
