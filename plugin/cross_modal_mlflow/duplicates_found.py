"""The near-duplicates of a gallery: pictures among pictures, texts among texts, each with a threshold of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.duplicates import DuplicatePairs, Leak, groups, leaks, near_duplicates
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.matrix import Matrix

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

COMPARED = {"image": "picture_picture", "text": "text_text"}  # kind of a row → name of the comparison


@dataclass(frozen=True)
class Threshold:
    """From which score two items of a kind are near-duplicates.

    Attributes:
        value: The score: cosine, or minus the distance.
        chosen_by: How it was chosen, in words.
        false_accept: Share of pairs of different classes that reach it; None where nobody knows.
        notes: What to know about it.
    """

    value: float
    chosen_by: str
    false_accept: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        matrix: The gallery's rows.
        pairs: Of rows of the matrix, the most alike first.
        group: (N,) int64: the group of each row, −1 for none; 0 is the largest.
        leaks: What splits share.
        compared: Kind → rows that were compared.
        comparisons: Pairs that were looked at.
        seconds: Phase → seconds.
    """

    matrix: Matrix
    pairs: DuplicatePairs
    group: np.ndarray
    leaks: list[Leak]
    compared: dict[str, int]
    comparisons: int
    seconds: dict[str, float]

    @property
    def sizes(self) -> np.ndarray:
        """(G,) how many rows each group has."""
        return np.bincount(self.group[self.group >= 0])

    @property
    def other_labels(self) -> int:
        """Pairs whose labels differ: perhaps labelled wrongly."""
        label = self.matrix.column("label")
        a, b = label[self.pairs.a], label[self.pairs.b]
        return sum(x is not None and y is not None and x != y for x, y in zip(a.tolist(), b.tolist(), strict=True))

    def metrics(self) -> dict[str, float]:
        """Name → number."""
        counts = {
            "pairs": len(self.pairs),
            "groups": len(self.sizes),
            "items": int((self.group >= 0).sum()),
            "identical_pairs": int(self.pairs.identical.sum()),
            "other_label_pairs": self.other_labels,
            "across_splits_pairs": sum(leak.pairs for leak in self.leaks),
            "comparisons": self.comparisons,
        }
        return {f"duplicates/{name}": float(count) for name, count in counts.items()}


def kinds_compared(gallery: Gallery, of: str, where: Filter) -> list[str]:
    """The kinds that a gallery has among the rows asked for.

    Raises:
        CrossModalError: No rows at all, or none of the kind that was asked for.
    """
    matrix = gallery.matrix()
    kind = matrix.column("kind")
    present = kind[where.mask(matrix.facts)] if where else kind
    found = [name for name in COMPARED if of in ("any", name) and (present == name).any()]
    if not found:
        what = "references" if of == "any" else f"references of kind {of!r}"
        raise CrossModalError(f"gallery {gallery.location}: expected {what} to compare, found none")
    return found


def calibrated_thresholds(folder: Path, metric: str, kinds: Sequence[str], rate: float | None) -> dict[str, Threshold]:
    """The thresholds that a model was calibrated with: from there on two items count as the same.

    Args:
        folder: The model's.
        metric: Of the gallery.
        kinds: What is compared.
        rate: Learn the threshold for this false-accept rate; None takes the one chosen in training.

    Returns:
        Kind → threshold.

    Raises:
        CrossModalError: No calibration, or none for such a comparison: a picture scores otherwise with a picture than
            with a text, so that the one threshold says nothing about the other.
    """
    from cross_modal.verification.comparison import MIXED, in_words
    from cross_modal.verification.saved_calibration import SavedCalibration

    saved = SavedCalibration.load(folder)
    if saved is None:
        raise CrossModalError(f"duplicates: expected --threshold, as the model in {folder} was never calibrated")
    found = {}
    for kind in kinds:
        name = COMPARED[kind]
        if name not in saved.calibrations and next(iter(saved.calibrations)) != MIXED:
            known = ", ".join(in_words(each) for each in saved.calibrations)
            raise CrossModalError(
                f"duplicates: expected --threshold or a model calibrated on {in_words(name)}, "
                f"found one calibrated on {known}"
            )
        calibration, notes = saved.of(name, rate)
        if calibration.metric != metric:
            raise CrossModalError(f"duplicates: expected a calibration for {metric}, found {calibration.metric}")
        chosen = calibration.point()
        found[kind] = Threshold(calibration.threshold, calibration.chosen_by, chosen.false_accept.value, tuple(notes))
    return found


def find_duplicates(
    gallery: Gallery,
    thresholds: dict[str, Threshold],
    *,
    where: Filter,
    across_splits: bool = False,
    limit: int,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Compares every row with every other one of its kind.

    Args:
        gallery: The gallery.
        thresholds: Kind → threshold; other kinds are left out.
        where: Only these rows.
        across_splits: Only pairs of two splits.
        limit: Pairs of a kind at most.
        progress: Told the comparisons done and those to do, kind by kind.

    Returns:
        What was found.

    Raises:
        CrossModalError: More pairs than the limit, or no two splits to compare across.
    """
    began = time.perf_counter()
    matrix = gallery.matrix()
    wanted = where.mask(matrix.facts) if where else np.ones(len(matrix), bool)
    kind, split, content = (matrix.column(name) for name in ("kind", "split", "content"))
    if across_splits:
        _check_splits(split[wanted])
    loaded = time.perf_counter()
    told = _Told(progress)
    pieces: list[DuplicatePairs] = []
    compared = {}
    for name, threshold in thresholds.items():
        rows = np.flatnonzero(wanted & (kind == name))
        pairs = near_duplicates(
            matrix.vectors if len(rows) == len(matrix) else matrix.vectors[rows],
            threshold.value,
            gallery.binding.metric,
            splits=split[rows],
            contents=content[rows],
            across_splits=across_splits,
            limit=limit,
            progress=told,
        )
        pieces.append(DuplicatePairs(rows[pairs.a], rows[pairs.b], pairs.scores, pairs.identical))
        compared[name] = len(rows)
        told.next()
    pairs = _joined(pieces)
    grouping = time.perf_counter()
    group, shared = groups(pairs, len(matrix)), leaks(pairs, split)
    ended = time.perf_counter()
    seconds = {"load": loaded - began, "comparison": grouping - loaded, "groups": ended - grouping}
    return Found(matrix, pairs, group, shared, compared, told.comparisons, seconds)


class _Told:
    """Counts comparisons over several kinds, and hands them on."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self.comparisons, self._before, self._progress = 0, 0, progress

    def __call__(self, done: int, total: int) -> None:
        self.comparisons = self._before + done
        if self._progress is not None:
            self._progress(self.comparisons, self._before + total)

    def next(self) -> None:
        """The next kind begins."""
        self._before = self.comparisons


def _check_splits(splits: np.ndarray) -> None:
    names = sorted({name for name in splits.tolist() if name is not None})
    if len(names) < 2:
        raise CrossModalError(
            f"--across-splits: expected references of two splits, found {', '.join(names) or 'none with a split'} "
            "(cross-modal index --split all writes them all)"
        )


def _joined(pieces: Sequence[DuplicatePairs]) -> DuplicatePairs:
    if len(pieces) == 1:
        return pieces[0]
    columns = ([getattr(each, name) for each in pieces] for name in ("a", "b", "scores", "identical"))
    pairs = DuplicatePairs(*(np.concatenate(column) for column in columns))
    return pairs.take(np.lexsort((pairs.b, pairs.a, -pairs.scores)))
