"""What all few-shot classifiers share: scikit-learn's contract over embeddings, and class texts beside the support.

A few-shot classifier sees K shots of each class, and perhaps one text embedding a class. Shots may be uneven, a class
may have a text and no shot, or shots and no text; a class that has neither cannot be told from anything and is an
error. Subclasses write two functions: `_fit` on placed support, and `_scores` of placed queries. Everything that users
meet (labels, order of classes, shapes, probabilities, classes added later) is decided here, once.

All arithmetic keeps the dtype of the input, so that float64 embeddings give float64 scores.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import class_table

Views = Literal["plain", "mean", "rows"]
FLOATS = (np.float64, np.float32)


class FewShotClassifier(ClassifierMixin, BaseEstimator, ABC):
    """A classifier from a few embeddings of each class and, where there are any, one text embedding a class.

    Subclasses take ``texts`` ((C, D) class texts, a NaN row where a class has none), ``classes`` ((C,) the labels that
    the rows of ``texts`` belong to; None takes the labels of `fit`, sorted), ``scale`` (s, the factor of cosines) and
    ``metric`` ("cosine" or "euclidean") beside their own hyper-parameters.

    Attributes:
        classes_: (C,) labels, sorted.
        texts_: (C, D) placed class texts in the order of `classes_`, NaN where there is none; None without texts.
        support_: (N, D) placed support.
        support_classes_: (N,) int64 positions of the support's classes in `classes_`.
        shots_: (C,) int64 number of shots of each class.
        temperature_: What scores are divided by before they become probabilities; 1 until it is calibrated.
        threshold_: The score below which a query is "unknown"; None until it is calibrated.
        n_features_in_: D.
    """

    views: ClassVar[Views] = "plain"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    closed_form: ClassVar[bool] = False
    needs_texts: ClassVar[bool] = False

    texts: Any
    classes: Any
    scale: float
    metric: str

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Learns from the support.

        Args:
            X: (N, D) float embeddings of the support; None where all classes are known by their text alone.
            y: (N,) labels.

        Returns:
            Itself.

        Raises:
            CrossModalError: Labels outside `classes`, a class with neither shot nor text, texts of another width, or
                no texts where the method needs them.
        """
        if self.metric not in ("cosine", "euclidean"):
            raise CrossModalError(f'metric: expected "cosine" or "euclidean", found {self.metric!r}')
        if np.ndim(self.texts) == 2 and all(each is None or np.shape(each)[:1] == (0,) for each in (X, y)):
            X = np.zeros((0, np.shape(self.texts)[-1]), _dtype(self.texts))
            y, self.n_features_in_ = np.zeros(0, np.int64), X.shape[1]
        else:
            X, y = validate_data(self, X, y, dtype=FLOATS)
            if y.dtype.kind == "f":  # elsewhere it only warns of one shot a class, which is legal here
                check_classification_targets(y)
        name = type(self).__name__
        self.classes_, texts = class_table.sorted_classes(name, y, self.classes, self.texts, self.n_features_in_)
        self.texts_ = None if texts is None else self._place(texts.astype(X.dtype, copy=False))
        if self.needs_texts and self.texts_ is None:
            raise CrossModalError(f"{name}: expected texts (C, D), one row a class, found none")
        self.support_, self.support_classes_ = self._place(X), class_table.positions(name, y, self.classes_)
        self.temperature_, self.threshold_ = 1.0, None
        self.shots_ = class_table.count_shots(name, self.support_classes_, self.classes_, self.texts_)
        self._fit(self.support_, self.support_classes_)
        return self

    def scores(self, X: Any) -> np.ndarray:
        """Scores queries against every class.

        Args:
            X: (Q, D) float embeddings.

        Returns:
            (Q, C) logits; columns follow `classes_`.
        """
        check_is_fitted(self, "classes_")
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return self._scores(self._place(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """`scores` in scikit-learn's shape: (Q, C), or (Q,) for two classes, positive for the second."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (Q, C): the softmax of the scores over the calibrated temperature."""
        logits = self.scores(X) / self.temperature_
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        return logits / logits.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The label (Q,) of the class with the highest score; of equal ones the first in `classes_`."""
        best = self.scores(X).argmax(axis=1)
        return self.classes_[best]

    def add(self, X: Any = None, y: Any = None, *, texts: Any = None, classes: Any = None) -> Self:
        """Adds shots, or classes, in closed form: the result equals fitting on everything at once.

        Args:
            X: (M, D) more support; None where classes come by their texts alone.
            y: (M,) labels, of known classes or of new ones.
            texts: (A, D) texts of the classes in `classes`.
            classes: (A,) labels; a known class takes the new text.

        Returns:
            Itself, with the calibration forgotten.

        Raises:
            CrossModalError: If the method has no closed form, or a new class has neither shot nor text.
        """
        self._require_closed_form("add to")
        name = type(self).__name__
        if X is None:
            X = np.zeros((0, self.n_features_in_), self.support_.dtype)
        else:
            X = validate_data(self, X, dtype=FLOATS, reset=False)
        y, named = (class_table.arriving_labels(name, labels, self.classes_) for labels in (y, classes))
        if len(y) != len(X):
            raise CrossModalError(f"{name}: expected {len(X)} labels, one an embedding, found {len(y)}")
        texts = class_table.arriving_texts(name, texts, named, self.n_features_in_)
        merged = np.unique(np.concatenate([self.classes_, y, named]))
        old, before = np.searchsorted(merged, self.classes_), len(self.classes_)
        table, places = self._with_texts(merged, old, named, texts), class_table.positions(name, y, merged)
        support_classes = np.concatenate([old[self.support_classes_], places])
        # Nothing is changed before everything is known to be in order.
        self.shots_ = class_table.count_shots(name, support_classes, merged, table)
        self.classes_, self.texts_, self.support_classes_ = merged, table, support_classes
        placed = self._place(X).astype(self.support_.dtype, copy=False)
        self.support_ = np.concatenate([self.support_, placed])
        self._extend(placed, places, old, before)
        self.temperature_, self.threshold_ = 1.0, None
        return self

    def remove(self, classes: Any) -> Self:
        """Removes classes in closed form: the result equals fitting without them.

        Args:
            classes: Labels of the classes that go.

        Returns:
            Itself, with the calibration forgotten.

        Raises:
            CrossModalError: If the method has no closed form, a label is unknown, or no class is left.
        """
        self._require_closed_form("remove from")
        unknown = np.setdiff1d(np.asarray(classes), self.classes_)
        if len(unknown):
            raise CrossModalError(
                f"{type(self).__name__}: expected classes that it knows, found {class_table.plain(unknown[0])!r}"
            )
        kept = ~np.isin(self.classes_, np.asarray(classes))
        if not kept.any():
            raise CrossModalError(f"{type(self).__name__}: expected at least one class to be left, found none")
        rows = kept[self.support_classes_]
        gone, gone_classes = self.support_[~rows], self.support_classes_[~rows]
        self.support_ = self.support_[rows]
        self.support_classes_ = (np.cumsum(kept) - 1)[self.support_classes_[rows]]
        self.classes_ = self.classes_[kept]
        self.texts_ = None if self.texts_ is None else self.texts_[kept]
        self.shots_ = self.shots_[kept]
        self._shrink(gone, gone_classes, kept)
        self.temperature_, self.threshold_ = 1.0, None
        return self

    # What subclasses write.

    @abstractmethod
    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        """Learns from placed support (N, D) and class positions (N,)."""

    @abstractmethod
    def _scores(self, X: np.ndarray) -> np.ndarray:
        """Scores (Q, C) of placed queries (Q, D)."""

    def _votes(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each support (Q, N), and each text (Q, C), adds to the scores of placed queries."""
        raise CrossModalError(
            f"{type(self).__name__}: its scores are no sum over supports, so none has a share in them"
        )

    def _lost_by_numbers(self, own: np.ndarray) -> np.ndarray:
        """(N,) what each shot's own class lacks in its score (N,) without it, by having one shot less to sum over."""
        return np.zeros_like(own)

    def _scores_without(self) -> np.ndarray | None:
        """(N, C) scores of every support as if it had not been there; None where only a refit can tell."""
        return None

    def _extend(self, X: np.ndarray, y: np.ndarray, old: np.ndarray, before: int) -> None:
        """Takes in new support (M, D) of positions y; `old` are the new positions of the `before` former classes."""
        self._fit(self.support_, self.support_classes_)

    def _shrink(self, X: np.ndarray, y: np.ndarray, kept: np.ndarray) -> None:
        """Lets support (M, D) of former positions y go; `kept` says which former classes stay."""
        self._fit(self.support_, self.support_classes_)

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[tuple[dict[str, Any], float]]:
        """Validation accuracy of every grid point, in grid order; subclasses share work between the points."""
        truth = np.asarray(y_validation)
        trials = []
        for point in grid_points(grid):
            fitted = clone(self).set_params(**point).fit(X, y)
            trials.append((point, float((fitted.predict(X_validation) == truth).mean())))
        return trials

    # What subclasses may use.

    def _class_vectors(self) -> np.ndarray | None:
        """(C, D) one text a class, or None without texts; where a class has none, its mean shot stands in.

        The mean shot is moved by the distance between the modalities' means first: pictures lie apart from texts (the
        modality gap), and a picture among texts would win every comparison with pictures.
        """
        if self.texts_ is None:
            return None
        named = np.isfinite(self.texts_).all(axis=1)
        if named.all():
            return self.texts_
        means = self._place(self._class_means())
        both = named & (self.shots_ > 0)
        gap = self.texts_[both].mean(0) - means[both].mean(0) if both.any() else np.zeros_like(means[0])
        return np.where(named[:, None], self.texts_, self._place(means + gap))

    def _class_means(self) -> np.ndarray:
        """(C, D) mean of each class's placed support, zero where it has none."""
        sums = np.zeros((len(self.classes_), self.support_.shape[1]), self.support_.dtype)
        np.add.at(sums, self.support_classes_, self.support_)
        return sums / np.maximum(self.shots_, 1)[:, None].astype(sums.dtype)

    def _place(self, X: np.ndarray) -> np.ndarray:
        """Puts rows where they are compared: at length one for cosine; rows of zeros stay zero."""
        if self.metric != "cosine":
            return X
        return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), np.finfo(X.dtype).tiny)

    def _with_texts(self, merged: np.ndarray, old: np.ndarray, named: np.ndarray, texts: Any) -> np.ndarray | None:
        """(C, D) texts of former classes and of those in `named`, NaN where there is none; None where none has."""
        if self.texts_ is None and texts is None:
            return None
        table = np.full((len(merged), self.n_features_in_), np.nan, self.support_.dtype)
        if self.texts_ is not None:
            table[old] = self.texts_
        if texts is not None:
            table[np.searchsorted(merged, named)] = self._place(texts.astype(table.dtype, copy=False))
        return table

    def _require_closed_form(self, what: str) -> None:
        check_is_fitted(self, "classes_")
        if not self.closed_form:
            raise CrossModalError(f"{type(self).__name__}: cannot {what} it without refitting: it is trained by steps")


def grid_points(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The points of a grid, the last name running fastest.

    >>> list(grid_points({"a": [1, 2], "b": [3]}))
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _dtype(values: Any) -> type[np.floating]:
    """The float type in which texts are compared."""
    return np.float32 if np.asarray(values).dtype == np.float32 else np.float64
