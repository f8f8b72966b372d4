"""The two sides of a K-shot experiment: what a learner may see, and what it is measured on.

The learning side holds support and validation; it has no field for the test split. The test side gives its embeddings
out only by `reveal`, which an experiment calls once, when nothing is left to choose. What it says before (classes,
width, ids, groups) is needed to refuse bad input at the start, not after an hour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric


@dataclass(frozen=True)
class LearningSide:
    """All that selection may see.

    Attributes:
        train: (N, D) float embeddings from which supports are drawn.
        train_labels: (N,) integers or text.
        validation: (M, D), or None (or no rows): then a fifth of train is held out.
        validation_labels: (M,).
        texts: (C, D) class texts, a NaN row where a class has none; None without texts.
        classes: (C,) labels of the rows of `texts`; None without texts.
        views: (N, V, D) embeddings of V augmented views of each train item, or None.
        ids: (N,) what names the items in splits: content hashes or relative paths. None hashes the embeddings.
        validation_ids: (M,), likewise.
        groups: (N,) source, drawer or session of the items, None where an item has none; or None.
        validation_groups: (M,), likewise.
        metric: How embeddings are compared.
        name: What the protocol calls the data.
    """

    train: np.ndarray
    train_labels: np.ndarray
    validation: np.ndarray | None = None
    validation_labels: np.ndarray | None = None
    texts: np.ndarray | None = None
    classes: np.ndarray | None = None
    views: np.ndarray | None = None
    ids: np.ndarray | None = None
    validation_ids: np.ndarray | None = None
    groups: np.ndarray | None = None
    validation_groups: np.ndarray | None = None
    metric: Metric = "cosine"
    name: str = "features"

    def __post_init__(self) -> None:
        """Checks shapes, finiteness and labels; raises CrossModalError."""
        check_labelled("train", self.train, self.train_labels)
        check_aligned("train", len(self.train), ids=self.ids, groups=self.groups, views=self.views)
        if (self.validation is None) != (self.validation_labels is None):
            raise CrossModalError("validation: expected embeddings and labels, found one without the other")
        if self.validation is not None and self.validation_labels is not None:
            check_labelled("validation", self.validation, self.validation_labels, self.dim)
            check_aligned("validation", len(self.validation), ids=self.validation_ids, groups=self.validation_groups)
            check_kinds("validation labels", self.validation_labels, self.train_labels)
        if self.views is not None and (self.views.ndim != 3 or self.views.shape[2] != self.dim):
            raise CrossModalError(f"views: expected ({len(self.train)}, V, {self.dim}), found {self.views.shape}")
        if self.texts is not None:
            check_texts(self.texts, self.classes, self.dim)
        if self.classes is not None:
            check_kinds("classes", self.classes, self.train_labels)
        if self.validation_labels is not None:
            strange = self.validation_labels[~np.isin(self.validation_labels, self.labels)]
            if len(strange):
                label = strange[0].item()
                raise CrossModalError(f"validation class {label!r}: expected a train item or a text of it, found none")

    @property
    def dim(self) -> int:
        """D."""
        return self.train.shape[1]

    @property
    def labels(self) -> np.ndarray:
        """(C,) all classes, sorted: those of the items and those that have a text."""
        known = self.train_labels if self.classes is None else np.concatenate([self.train_labels, self.classes])
        return np.unique(known)

    @property
    def has_validation(self) -> bool:
        """Whether the data brings its own validation items."""
        return self.validation is not None and len(self.validation) > 0

    def class_texts(self, labels: np.ndarray) -> np.ndarray | None:
        """(C, D) texts of these labels, NaN where a class has none; None without texts."""
        if self.texts is None or self.classes is None:
            return None
        order = np.argsort(self.classes)
        place = np.minimum(np.searchsorted(self.classes, labels, sorter=order), len(order) - 1)
        rows = self.texts[order[place]]
        return np.where((self.classes[order[place]] == labels)[:, None], rows, np.asarray(np.nan, rows.dtype))

    def among(self, labels: np.ndarray) -> LearningSide:
        """The side of these classes alone.

        Args:
            labels: The classes that stay.

        Returns:
            The rows of train, validation and texts whose class stays.
        """
        rows = np.isin(self.train_labels, labels)
        inside = None if self.validation_labels is None else np.isin(self.validation_labels, labels)
        named = None if self.classes is None else np.isin(self.classes, labels)
        return replace(
            self,
            train=self.train[rows],
            train_labels=self.train_labels[rows],
            validation=_take(self.validation, inside),
            validation_labels=_take(self.validation_labels, inside),
            texts=_take(self.texts, named),
            classes=_take(self.classes, named),
            views=_take(self.views, rows),
            ids=_take(self.ids, rows),
            validation_ids=_take(self.validation_ids, inside),
            groups=_take(self.groups, rows),
            validation_groups=_take(self.validation_groups, inside),
        )


class TestSide:
    """The items that are measured, behind one door.

    Attributes:
        classes: (C,) their classes, sorted.
        dim: D.
        ids: (Q,) names of the items, as the learning side names its own; None where nobody names them.
        groups: (Q,) their groups, or None.
        revealed: How often `reveal` was called.
    """

    __test__: ClassVar[bool] = False  # pytest takes every class Test… for a case

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        ids: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        """Takes (Q, D) float embeddings and (Q,) labels.

        Raises:
            CrossModalError: Not a table of finite numbers, or another number of labels, ids or groups.
        """
        check_labelled("test", features, labels)
        check_aligned("test", len(features), ids=ids, groups=groups)
        self.classes, self.dim = np.unique(labels), features.shape[1]
        self.ids, self.groups, self.revealed = ids, groups, 0
        self._open: Callable[[], tuple[np.ndarray, np.ndarray]] = lambda: (features, labels)

    def reveal(self) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings (Q, D) and labels (Q,): to be called when every choice is made."""
        self.revealed += 1
        return self._open()


def row_ids(features: np.ndarray) -> np.ndarray:
    """(N,) what names embeddings that nobody named: 32 hexadecimal digits of the SHA-256 of each float32 row.

    >>> row_ids(np.zeros((1, 4), np.float16)).tolist()
    ['374708fff7719dd5979ec875d56cd228']
    """
    return np.array([hashlib.sha256(row.astype("<f4").tobytes()).hexdigest()[:32] for row in features], "<U32")


def check_labelled(name: str, features: np.ndarray, labels: np.ndarray, dim: int | None = None) -> None:
    """Checks that this is a table of finite floats (of D columns) with an integer or text label a row.

    Raises:
        CrossModalError: It is not; the first row that is not finite is named.
    """
    width = "D" if dim is None else str(dim)
    if features.ndim != 2 or features.dtype.kind != "f" or features.shape[1] != (dim or features.shape[1]):
        raise CrossModalError(
            f"{name} features: expected floats (N, {width}), found {features.dtype} of shape {features.shape}"
        )
    check_finite(f"{name} features", features)
    if labels.dtype.kind not in "iuU" or labels.shape != (len(features),):
        raise CrossModalError(
            f"{name} labels: expected {len(features)} integers or texts, found {labels.dtype} of shape {labels.shape}"
        )


def check_finite(name: str, values: np.ndarray) -> None:
    """Raises CrossModalError with the first row that is not finite."""
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row, count = int(finite.argmin()), int((~finite).sum())
        raise CrossModalError(f"{name}: row {row}: expected finite numbers, found NaN or infinity ({count} such rows)")


def check_aligned(name: str, count: int, **columns: np.ndarray | None) -> None:
    """Raises CrossModalError where a column that is given has not `count` rows."""
    for column, values in columns.items():
        if values is not None and len(values) != count:
            raise CrossModalError(f"{name} {column}: expected {count}, one an item, found {len(values)}")


def check_kinds(name: str, labels: np.ndarray, train_labels: np.ndarray) -> None:
    """Raises CrossModalError where some labels are numbers and others are text: they would never meet."""
    if (labels.dtype.kind == "U") != (train_labels.dtype.kind == "U"):
        expected = "text" if train_labels.dtype.kind == "U" else "integers"
        raise CrossModalError(f"{name}: expected {expected} as the train labels, found {labels.dtype}")


def check_texts(texts: np.ndarray, classes: np.ndarray | None, dim: int) -> None:
    """Checks class texts: one row a class, finite or all NaN.

    Raises:
        CrossModalError: Without classes, of another width or number, with a class twice, or with a row partly finite.
    """
    if classes is None:
        raise CrossModalError("texts: expected classes, the labels that their rows belong to, found none")
    if texts.dtype.kind != "f" or texts.shape != (len(classes), dim):
        found = f"{texts.dtype} of shape {texts.shape}"
        raise CrossModalError(f"texts: expected floats ({len(classes)}, {dim}), one row a class, found {found}")
    values, counts = np.unique(classes, return_counts=True)
    if len(values) < len(classes):
        raise CrossModalError(f"classes: expected distinct labels, found {values[counts.argmax()].item()!r} twice")
    partly = ~np.isfinite(texts).all(axis=1) & ~np.isnan(texts).all(axis=1)
    if partly.any():
        label = classes[partly][0].item()
        raise CrossModalError(f"texts: class {label!r}: expected finite numbers (or all NaN for none), found a mixture")


def _take(values: np.ndarray | None, rows: np.ndarray | None) -> np.ndarray | None:
    return None if values is None or rows is None else values[rows]
