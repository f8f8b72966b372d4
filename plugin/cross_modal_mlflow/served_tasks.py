"""What a served twin answers: embeddings, few-shot labels, nearest neighbours, same or different. A table each.

The label (or what stands for it) is the first column: MLflow shows some callers the first column alone. Numbers of rows
are those of the request, from 0. An empty label says "none of these".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric, place
from cross_modal.verification.comparison import BOTH, PICTURE, TEXT, comparisons
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.logged_support import LoggedSupport
from cross_modal_mlflow.request_embeddings import RequestEmbeddings
from cross_modal_mlflow.request_rows import RequestRows
from cross_modal_mlflow.served_params import ServedParams

if TYPE_CHECKING:
    import pandas as pd

    from cross_modal.fewshot.classifiers import FewShotClassifier

NO_SUPPORT = (
    'request: expected support rows (role "support", with a label) or a support set logged with the model, '
    "found neither"
)


def request_support(rows: RequestRows, embeddings: RequestEmbeddings) -> LoggedSupport | None:
    """The support that a request brought; a row without a label takes its text as its label.

    Args:
        rows: The request.
        embeddings: Of all its rows.

    Returns:
        The support, or None where no row is support.
    """
    if not rows.support:
        return None
    pictured = [row for row in rows.support if embeddings.has_image[row]]
    worded = [row for row in rows.support if embeddings.has_text[row]]

    def labels(chosen: list[int]) -> list[str]:
        return [rows.labels[row] or rows.texts[row] or "" for row in chosen]

    return LoggedSupport(
        embeddings.images[pictured], labels(pictured), embeddings.texts[worded], labels(worded), pictured, worded
    )


def embed(rows: RequestRows, embeddings: RequestEmbeddings) -> pd.DataFrame:
    """Embeddings of all rows, whatever their role.

    Args:
        rows: The request.
        embeddings: Of all its rows.

    Returns:
        `embedding` (of the picture where there is one, else of the text), `text_embedding` (of the text, where the row
        has both), `modality` ("image" or "text"), `row`.
    """
    import pandas as pd

    image, text = embeddings.has_image, embeddings.has_text
    main = np.where(image[:, None], embeddings.images, embeddings.texts)
    beside = [cell.tolist() if both else None for cell, both in zip(embeddings.texts, image & text, strict=True)]
    return pd.DataFrame(
        {
            "embedding": pd.Series(main.tolist(), dtype=object),
            "text_embedding": pd.Series(beside, dtype=object),
            "modality": np.where(image, "image", "text").astype(object),
            "row": np.arange(len(rows)),
        }
    )


def classify(
    rows: RequestRows, embeddings: RequestEmbeddings, classifier: FewShotClassifier, params: ServedParams
) -> pd.DataFrame:
    """The most likely class of each query.

    Args:
        rows: The request.
        embeddings: Of all its rows.
        classifier: Fitted on the support.
        params: Threshold and whether to insist on one.

    Returns:
        `label` (empty where the score is below the threshold), `probability`, `score` of the class, `row`.

    Raises:
        CrossModalError: `reject` without a threshold.
    """
    import pandas as pd

    threshold = params.threshold
    if threshold is None and params.reject:
        threshold = classifier.threshold_
        if threshold is None:
            raise CrossModalError(
                "params.reject: expected params.threshold beside it, or one calibrated with the logged support, "
                "found neither"
            )
    queries = rows.queries
    scores = classifier.scores(_mixed(embeddings.at(queries)))
    logits = scores.astype(np.float64) / classifier.temperature_
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    best, places = scores.argmax(axis=1), np.arange(len(queries))
    score = scores[places, best].astype(np.float64)
    kept = np.full(len(queries), True) if threshold is None else score >= threshold
    return pd.DataFrame(
        {
            "label": pd.Series(np.where(kept, classifier.classes_[best], "").tolist(), dtype=object),
            "probability": odds[places, best] / odds.sum(axis=1),
            "score": score,
            "row": queries,
        }
    )


def search(
    rows: RequestRows, embeddings: RequestEmbeddings, support: LoggedSupport, top: int, metric: Metric
) -> pd.DataFrame:
    """The nearest supports of each query.

    A support counts by the nearer of its picture and its text; a query with both by the mean of what both find.

    Args:
        rows: The request.
        embeddings: Of all its rows.
        support: What is searched.
        top: Neighbours of each query; fewer where there are fewer.
        metric: "cosine" or "euclidean" (scores are minus the distance).

    Returns:
        `label` and `score` of the nearest, `neighbour_labels`, `neighbour_scores` and `neighbour_rows` (rows of the
        request, or items of the logged support), nearest first, `row`.
    """
    import pandas as pd

    asked = embeddings.at(rows.queries)
    image, text = asked.has_image[:, None], asked.has_text[:, None]
    entries = np.concatenate([support.images, support.texts])
    found = np.where(image, similarities(asked.images, entries, metric), 0) + np.where(
        text, similarities(asked.texts, entries, metric), 0
    )
    found = found / (image.astype(np.float32) + text)
    numbers = [*support.image_rows, *support.text_rows]
    labels = dict(zip(numbers, [*support.image_labels, *support.text_labels], strict=True))
    distinct, owner = np.unique(numbers, return_inverse=True)
    of_support = np.full((len(found), len(distinct)), -np.inf, found.dtype)
    np.maximum.at(of_support.T, owner, found.T)
    order = np.argsort(-of_support, axis=1, kind="stable")[:, :top]
    scores = np.take_along_axis(of_support, order, axis=1).astype(np.float64)
    nearest = distinct[order]
    return pd.DataFrame(
        {
            "label": pd.Series([labels[row[0]] for row in nearest.tolist()], dtype=object),
            "score": scores[:, 0],
            "neighbour_labels": pd.Series([[labels[one] for one in row] for row in nearest.tolist()], dtype=object),
            "neighbour_scores": pd.Series(scores.tolist(), dtype=object),
            "neighbour_rows": pd.Series(nearest.tolist(), dtype=object),
            "row": rows.queries,
        }
    )


def verify(
    rows: RequestRows,
    embeddings: RequestEmbeddings,
    scorer: PairScorer,
    calibration: SavedCalibration | None = None,
    threshold: float | None = None,
) -> pd.DataFrame:
    """Whether the two rows of each pair are the same.

    A row that has a picture and a text counts by the mean of both, as in training and in ``cross-modal verify``.

    Args:
        rows: The request; each value of `pair` stands in two rows.
        embeddings: Of all its rows.
        scorer: What scores pairs.
        calibration: The model's thresholds and probabilities, or None.
        threshold: The score from which two are the same; None takes the model's own, and leaves the label empty where
            it has none.

    Returns:
        `label` ("same", "different" or empty), `score`, `probability` (NaN without a calibration), `threshold` (NaN
        where there is none), `pair`.

    Raises:
        CrossModalError: A row without a pair, or a pair that has not two rows.
    """
    import pandas as pd

    names, a, b = _paired(rows)
    points, sides = _mixed(embeddings), _seen(embeddings)
    scores = scorer.score(points[a], points[b])
    thresholds = np.full(len(scores), np.nan if threshold is None else threshold)
    probabilities = np.full(len(scores), np.nan)
    if calibration is not None:
        kinds = comparisons(sides, a, b)
        for kind in set(kinds.tolist()):
            chosen, (own, _) = kinds == kind, calibration.of(kind)
            probabilities[chosen] = own.probability(scores[chosen])
            if threshold is None:
                thresholds[chosen] = own.threshold
    decided = np.where(scores >= thresholds, "same", "different")
    return pd.DataFrame(
        {
            "label": pd.Series(np.where(np.isnan(thresholds), "", decided).tolist(), dtype=object),
            "score": scores,
            "probability": probabilities,
            "threshold": thresholds,
            "pair": names,
        }
    )


def similarities(a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    """Cosines, or minus the Euclidean distances, of rows (N, dim) and (M, dim): (N, M).

    >>> similarities(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0], [1.0, 0.0]]), "euclidean").round(1).tolist()
    [[-5.0, -2.0]]
    """
    if metric == "cosine":
        return place(a, metric) @ place(b, metric).T
    lengths = np.square(a).sum(1)[:, None] + np.square(b).sum(1)
    return -np.sqrt(np.maximum(lengths - 2 * (a @ b.T), 0))


def _paired(rows: RequestRows) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the pairs, and the rows (M,) of either side."""
    members: dict[str, list[int]] = {}
    for row, pair in enumerate(rows.pairs):
        if pair is None:
            raise CrossModalError(
                f"row {row}: pair: expected what it shares with the row it is compared to, found none"
            )
        members.setdefault(pair, []).append(row)
    for pair, pair_rows in members.items():
        if len(pair_rows) != 2:
            numbers = ", ".join(map(str, pair_rows[:5]))
            raise CrossModalError(f"pair {pair[:60]!r}: expected two rows, found {len(pair_rows)} (row {numbers})")
    a, b = np.array(list(members.values()), np.int64).reshape(-1, 2).T
    return list(members), a, b


def _seen(embeddings: RequestEmbeddings) -> np.ndarray:
    """(N,) object: what each row has that the twin encodes."""
    image, text = embeddings.has_image, embeddings.has_text
    return np.select([image & text, image], [BOTH, PICTURE], TEXT).astype(object)


def _mixed(embeddings: RequestEmbeddings) -> np.ndarray:
    """(N, dim) one point a row: its picture, its text, or the mean of both."""
    image, text = embeddings.has_image[:, None], embeddings.has_text[:, None]
    total = np.where(image, embeddings.images, 0) + np.where(text, embeddings.texts, 0)
    return (total / (image.astype(np.float32) + text)).astype(np.float32)
