"""What a run shows besides numbers: example matches with thumbnails, and the confusions of the hardest classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cross_modal.configuration import EvaluationConfig
from cross_modal.confusions import confusions
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal.fewshot.mixture import Mixture
from cross_modal.fewshot.scoring import Metric
from cross_modal.retrieval.matches import example_matches
from cross_modal_mlflow import figures
from cross_modal_mlflow.match_page import SIDE, Match, caption, match_page, thumbnail
from cross_modal_mlflow.tracking import TrackedRun

AT_MOST = 4_000  # queries and candidates of the example matches; a sample beyond
EXAMPLES, TOP, DRAWN = 12, 5, 12


def log_evidence(
    run: TrackedRun,
    items: Items,
    embedded: EvaluationItems,
    rows: tuple[np.ndarray, np.ndarray],
    config: EvaluationConfig,
    *,
    mixture: Mixture | None,
    metric: Metric,
) -> None:
    """Logs example matches (page and table) and confusions (figure and table) of one split.

    Args:
        run: The run.
        items: The split's items.
        embedded: Their embeddings.
        rows: The items' rows of the embedded pictures and of the embedded texts.
        config: Episodes for the confusions.
        mixture: Learned on validation classes, or None.
        metric: "cosine" or "euclidean".
    """
    sections = find_matches(items, embedded, rows, metric)
    if any(sections):
        run.text(match_page(items, sections, f"Matches on {items.source}"), "matches/matches.html")
        for section in filter(None, sections):
            name = section[0].task.replace(" → ", "_to_")
            run.table(match_table(items, section), f"matches/{name}.json")
    if items.labels is None:
        return  # every picture is its own class: there is nothing to confuse it with but everything
    found = hardest(items, embedded, config, mixture, metric)
    if found is None:
        return
    title, pairs = found
    drawn = [
        figures.ConfusedPair(*pair[:4], (thumbnail(items, pair[4]), thumbnail(items, pair[5])))
        for pair in pairs[:DRAWN]
    ]
    run.figure(figures.confusion(drawn, title), "confusion/hardest_classes.png")
    run.table(confusion_table(items, pairs), "confusion/hardest_classes.json")


def find_matches(
    items: Items, embedded: EvaluationItems, rows: tuple[np.ndarray, np.ndarray], metric: Metric
) -> list[list[Match]]:
    """Example matches of each task that the modalities allow: across them, and from picture to picture."""
    sides: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    if embedded.images is not None:
        sides["picture"] = _sample(embedded.images, embedded.genuine_classes, rows[0])
    if embedded.texts is not None:
        sides["text"] = _sample(embedded.texts, embedded.text_classes, rows[1])
    tasks = [("text", "picture"), ("picture", "text"), ("picture", "picture")]
    tasks = tasks if "picture" in sides else [("text", "text")]
    sections = []
    for asks, finds in tasks:
        if asks not in sides or finds not in sides:
            continue
        (queries, of_query, query_rows), (candidates, of_candidate, found_rows) = sides[asks], sides[finds]
        alone = asks == finds
        try:
            examples = example_matches(
                queries, of_query, candidates, of_candidate, count=EXAMPLES, top=TOP, metric=metric, exclude_self=alone
            )
        except CrossModalError:  # nothing has a match
            continue
        sections.append(
            [
                Match(f"{asks} → {finds}", int(query_rows[query]), found_rows[found], scores, right)
                for query, found, scores, right in zip(
                    examples.queries, examples.candidates, examples.scores, examples.right, strict=True
                )
            ]
        )
    return sections


def match_table(items: Items, matches: list[Match]) -> dict[str, list[Any]]:
    """One row a query with its best match, thumbnails included, as MLflow's table viewer shows it."""
    asks, _, finds = matches[0].task.partition(" → ")
    best = [int(match.found[0]) for match in matches]
    columns: dict[str, list[Any]] = {"query": [caption(items, match.query) for match in matches]}
    if asks == "picture":
        columns["query_picture"] = [_picture(items, match.query) for match in matches]
    columns["best_match"] = [caption(items, row) for row in best]
    if finds == "picture":
        columns["best_match_picture"] = [_picture(items, row) for row in best]
    columns["score"] = [round(float(match.scores[0]), 4) for match in matches]
    columns["right"] = [bool(match.right[0]) for match in matches]
    return columns


Pair = tuple[str, str, int, int, int, int]  # true, taken for, count, meetings, a row of each class


def hardest(
    items: Items, embedded: EvaluationItems, config: EvaluationConfig, mixture: Mixture | None, metric: Metric
) -> tuple[str, list[Pair]] | None:
    """The pairs of classes confused most often, in the largest setting that the data allows; None where none is."""
    if embedded.images is None:
        return None
    shots = min((count for count in config.shots if count), default=0)
    for ways in sorted(set(config.ways), reverse=True):
        try:
            found = confusions(embedded, config, ways=ways, shots=shots, mixture=mixture, metric=metric)
        except CrossModalError:
            continue
        if not found:
            return None
        first = {int(name): row for row, name in reversed(list(enumerate(items.class_ids.tolist())))}
        pairs = [
            (caption(items, first[pair.true]), caption(items, first[pair.predicted]), pair.count,
             pair.meetings, first[pair.true], first[pair.predicted])
            for pair in found
        ]  # fmt: skip
        by = "names" if not shots else "pictures and names" if mixture is not None else "pictures"
        return f"Hardest classes: {ways}-way {shots}-shot by {by}", pairs
    return None


def confusion_table(items: Items, pairs: list[Pair]) -> dict[str, list[Any]]:
    """One row a pair, with a picture of each class."""
    return {
        "true": [pair[0] for pair in pairs],
        "true_looks": [_picture(items, pair[4]) for pair in pairs],
        "taken_for": [pair[1] for pair in pairs],
        "taken_for_looks": [_picture(items, pair[5]) for pair in pairs],
        "count": [pair[2] for pair in pairs],
        "meetings": [pair[3] for pair in pairs],
        "share": [round(pair[2] / max(pair[3], 1), 4) for pair in pairs],
    }


def _picture(items: Items, row: int) -> Any:
    """A thumbnail that MLflow's table shows; a blank one where the item has no picture (columns hold one type)."""
    import mlflow

    picture = thumbnail(items, row)
    return mlflow.Image(np.full((SIDE, SIDE, 3), 230, np.uint8) if picture is None else picture)


def _sample(embeddings: np.ndarray, classes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most `AT_MOST` rows of a side; classes keep together, so that queries keep their matches."""
    labels = classes.astype(object)
    labels[classes < 0] = None
    if len(rows) > AT_MOST:
        order = np.random.default_rng(0).permutation(int(classes.max(initial=0)) + 1)
        chosen = np.sort(np.argsort(order[classes], kind="stable")[:AT_MOST])
        embeddings, labels, rows = embeddings[chosen], labels[chosen], rows[chosen]
    return embeddings, labels, rows
