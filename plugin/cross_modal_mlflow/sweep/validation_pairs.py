"""The equal error rate on validation classes: as many pairs of the same class as of different ones, always the same.

Every trial of a sweep is measured on the same pairs, as they follow from the items and a seed alone. Look-alikes (two
classes of one set) are neither the same nor different, forgeries take no part, and where there are groups (drawers,
sessions) the two pictures of a same pair come from two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from cross_modal.evaluation import EvaluationItems
    from cross_modal.fewshot.scoring import Metric

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
MOST = 10_000  # pairs of either kind
EER = "eer"


class ValidationPairs:
    """Measures the equal error rate of embeddings; give it to `train` as its `measure`.

    The pairs are drawn when it is called first: one of these measures one table of items, as often as it changes.

    Args:
        seed: Seed of the pairs.
        source: What the items are called, for messages.
        most: Most pairs of the same class, and of different ones.
    """

    def __init__(self, seed: int, source: str, most: int = MOST) -> None:
        self._seed, self._source, self._most = seed, source, most
        self._pairs: dict[str, Pairs] | None = None

    def __call__(self, items: EvaluationItems, metric: Metric) -> dict[str, float]:
        """Measures.

        Args:
            items: The embeddings of the validation items.
            metric: How they are compared.

        Returns:
            "eer": the mean of "eer/pictures" (picture and picture) and "eer/names" (picture and name), or whichever of
            the two there is ("eer/texts" for texts alone); they are there too.

        Raises:
            CrossModalError: If there are no pairs of both kinds.
        """
        if self._pairs is None:
            self._pairs = self._draw(items)
        sides = {"pictures": (items.images, items.images), "names": (items.images, items.texts)}
        sides["texts"] = (items.texts, items.texts)
        found = {}
        for name, pairs in self._pairs.items():
            left, right = sides[name]
            assert left is not None
            assert right is not None
            found[f"{EER}/{name}"] = _eer(left, right, pairs, metric)
        if not found:
            raise CrossModalError(
                f"{self._source}: expected validation items with pairs of the same class and of different ones for "
                "the target eer, found none"
            )
        return found | {EER: float(np.mean(list(found.values())))}

    def _draw(self, items: EvaluationItems) -> dict[str, Pairs]:
        """The pairs of each kind that there are."""
        random = np.random.default_rng(self._seed)
        if items.images is None:
            none = np.full(len(items.text_classes), -1)
            drawn = {"texts": row_pairs(items.text_classes, none, None, self._most, random)}
        else:
            classes, sets = items.genuine_classes, _sets(items)
            drawn = {"pictures": row_pairs(classes, sets, items.groups, self._most, random)}
            if items.texts is not None:
                drawn["names"] = name_pairs(classes, sets, items.text_classes, self._most, random)
        return {name: pairs for name, pairs in drawn.items() if len(pairs[0])}


def row_pairs(
    classes: np.ndarray, sets: np.ndarray, groups: np.ndarray | None, most: int, random: np.random.Generator
) -> Pairs:
    """Pairs of rows of one table.

    Args:
        classes: (N,) class ids; rows below 0 take no part.
        sets: (N,) ids of sets of look-alikes; below 0 where there is none.
        groups: (N,) groups of the rows, or None.
        most: Most pairs of either kind.
        random: Where pairs are drawn from, where there are more.

    Returns:
        (M,) rows, (M,) rows, and (M,) bool whether they are the same; as many of either kind, perhaps none.
    """
    rows = np.flatnonzero(classes >= 0)
    order = rows[np.argsort(classes[rows], kind="stable")]
    starts = np.flatnonzero(np.append(True, np.diff(classes[order]) != 0)) if len(order) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(order)))
    total = int((sizes * (sizes - 1) // 2).sum())
    if total <= 4 * most:
        within = [np.stack(np.triu_indices(size, 1)) + start for start, size in zip(starts, sizes, strict=True)]
        a, b = np.concatenate(within, axis=1) if within else np.zeros((2, 0), np.int64)
    else:
        place = random.integers(0, len(order), 8 * most)
        of = np.searchsorted(starts, place, side="right") - 1
        other = starts[of] + (place - starts[of] + 1 + random.integers(0, np.maximum(sizes[of] - 1, 1))) % sizes[of]
        low, high = np.minimum(place, other), np.maximum(place, other)
        a, b = np.unique(np.stack([low, high])[:, low != high], axis=1)
    a, b = order[a], order[b]
    if groups is not None:
        apart = np.array([groups[i] is None or groups[i] != groups[j] for i, j in zip(a, b, strict=True)], bool)
        a, b = a[apart], b[apart]
    return _balanced(a, b, rows, rows, classes, sets, classes, sets, most, random)


def name_pairs(
    classes: np.ndarray, sets: np.ndarray, text_classes: np.ndarray, most: int, random: np.random.Generator
) -> Pairs:
    """Pairs of a row of pictures and a row of texts; arguments and result as for `row_pairs`.

    Args:
        classes: (N,) class ids of the pictures.
        sets: (N,) ids of their sets.
        text_classes: (T,) class ids of the texts.
        most: Most pairs of either kind.
        random: Where pairs are drawn from.
    """
    rows, texts = np.flatnonzero(classes >= 0), np.flatnonzero(text_classes >= 0)
    by_class = texts[np.argsort(text_classes[texts], kind="stable")]
    first = np.searchsorted(text_classes[by_class], classes[rows], side="left")
    count = np.searchsorted(text_classes[by_class], classes[rows], side="right") - first
    a = rows[count > 0]
    b = by_class[first[count > 0] + random.integers(0, count[count > 0])] if len(a) else a
    set_of = dict(zip(classes[rows].tolist(), sets[rows].tolist(), strict=True))
    text_sets = np.array([set_of.get(each, -1) for each in text_classes.tolist()], np.int64)
    return _balanced(a, b, rows, texts, classes, sets, text_classes, text_sets, most, random)


def _balanced(
    a: np.ndarray,
    b: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    left_classes: np.ndarray,
    left_sets: np.ndarray,
    right_classes: np.ndarray,
    right_sets: np.ndarray,
    most: int,
    random: np.random.Generator,
) -> Pairs:
    """At most so many of the same pairs (a, b), and as many different ones of rows of left and right."""
    if len(a) > most:
        chosen = np.sort(random.permutation(len(a))[:most])
        a, b = a[chosen], b[chosen]
    if not len(a) or not len(right):
        return a[:0], b[:0], np.zeros(0, bool)
    drawn = 16 + 4 * len(a)  # among two classes every second one is different
    x, y = random.choice(left, drawn), random.choice(right, drawn)
    alike = (left_sets[x] == right_sets[y]) & (left_sets[x] >= 0)
    different = np.flatnonzero((left_classes[x] != right_classes[y]) & ~alike)[: len(a)]
    count = min(len(a), len(different))
    same = np.repeat([True, False], count)
    return np.append(a[:count], x[different[:count]]), np.append(b[:count], y[different[:count]]), same


def _sets(items: EvaluationItems) -> np.ndarray:
    """(N,) int64 id of each picture's set; −1 where there is none."""
    if items.sets is None:
        return np.full(len(items.image_classes), -1)
    names = {None: -1}
    return np.array([names.setdefault(name, len(names) - 1) for name in items.sets], np.int64)


def _eer(a: np.ndarray, b: np.ndarray, pairs: Pairs, metric: Metric) -> float:
    """Equal error rate of pairs of rows."""
    from cross_modal.verification.error_rates import error_rates
    from cross_modal.verification.pair_scores import pair_scores

    scores = pair_scores(a[pairs[0]], b[pairs[1]], metric)
    return float(error_rates(scores, pairs[2])["eer"][0])
