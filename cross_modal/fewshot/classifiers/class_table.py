"""Which classes a few-shot classifier knows: their labels in order, their texts, and how many shots each has.

Every rule about labels and texts that users can break is checked here, before anything is learned or changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cross_modal.errors import CrossModalError

NUMBERS = "biuf"


def plain(label: Any) -> Any:
    """A label as users write it: 'a' rather than np.str_('a')."""
    return label.item() if isinstance(label, np.generic) else label


def sorted_classes(
    name: str, y: np.ndarray, classes: Any, texts: Any, width: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The sorted labels, and the texts in their order.

    Args:
        name: What messages call the classifier.
        y: (N,) labels of the support.
        classes: (C,) labels of the rows of `texts`; None takes those of `y`, sorted.
        texts: (C, D) floats, a NaN row where a class has none; or None.
        width: D.

    Returns:
        (C,) labels, and (C, D) texts or None.

    Raises:
        CrossModalError: Labels that are not one each, or texts of another shape or only partly finite.
    """
    given = np.unique(y) if classes is None else np.asarray(classes)
    if given.ndim != 1 or len(np.unique(given)) != len(given):
        raise CrossModalError(f"{name}: expected classes (C,) that differ, found {given.tolist()!r:.80}")
    order = np.argsort(given)
    if texts is None:
        return given[order], None
    texts = np.asarray(texts)
    if texts.ndim != 2 or texts.dtype.kind != "f" or texts.shape[1] != width:
        raise CrossModalError(f"{name}: expected texts (C, {width}) of floats, found {texts.dtype} {texts.shape}")
    if len(texts) != len(given):
        hint = "; classes=… says whose texts they are" if classes is None else ""
        raise CrossModalError(f"{name}: expected {len(given)} texts, one a class, found {len(texts)}{hint}")
    _check_whole(name, texts, given)
    return given[order], texts[order]


def arriving_labels(name: str, labels: Any, known: np.ndarray) -> np.ndarray:
    """Labels that are added to known ones.

    Args:
        name: What messages call the classifier.
        labels: (M,) labels, or None for none.
        known: (C,) labels.

    Returns:
        (M,) labels.

    Raises:
        CrossModalError: Numbers among names or names among numbers: 1 and "1" would become one class.
    """
    if labels is None or not np.size(labels):
        return known[:0]
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise CrossModalError(f"{name}: expected labels (M,), found shape {labels.shape}")
    if (labels.dtype.kind in NUMBERS) != (known.dtype.kind in NUMBERS):
        raise CrossModalError(f"{name}: expected labels like {plain(known[0])!r}, found {plain(labels[0])!r}")
    return labels


def arriving_texts(name: str, texts: Any, named: np.ndarray, width: int) -> np.ndarray | None:
    """Texts that are added.

    Args:
        name: What messages call the classifier.
        texts: (A, D) floats, or None.
        named: (A,) whose texts they are.
        width: D.

    Returns:
        (A, D) texts, or None where there are none.

    Raises:
        CrossModalError: Not one text for each class that is named, or classes named twice.
    """
    if texts is None and not len(named):
        return None
    found, expected = np.asarray([] if texts is None else texts), (len(np.unique(named)), width)
    if found.dtype.kind != "f" or found.shape != expected or len(named) != len(found):
        raise CrossModalError(
            f"{name}: expected texts {expected} of floats, one for each of classes=…, found {found.dtype} {found.shape}"
        )
    _check_whole(name, found, named)
    return found


def _check_whole(name: str, texts: np.ndarray, labels: np.ndarray) -> None:
    """A text is there or it is not: a row is finite, or it is NaN throughout."""
    partly = ~np.isfinite(texts).all(axis=1) & ~np.isnan(texts).all(axis=1)
    if partly.any():
        raise CrossModalError(f"{name}: text of class {plain(labels[partly][0])!r}: expected finite numbers or all NaN")


def positions(name: str, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(N,) int64 positions of labels in sorted classes.

    Raises:
        CrossModalError: A label that is not among them.

    >>> positions("Prototypes", np.array(["b", "a"]), np.array(["a", "b"])).tolist()
    [1, 0]
    """
    places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = classes[places] != y
    if np.any(unknown):
        raise CrossModalError(f"{name}: expected labels among its classes, found {plain(y[unknown][0])!r}")
    return places.astype(np.int64)


def count_shots(name: str, support_classes: np.ndarray, classes: np.ndarray, texts: np.ndarray | None) -> np.ndarray:
    """(C,) int64 shots of each class.

    Raises:
        CrossModalError: A class that has neither a shot nor a text.
    """
    shots = np.bincount(support_classes, minlength=len(classes))
    known = shots > 0
    if texts is not None:
        known = known | np.isfinite(texts).all(axis=1)
    if not known.all():
        raise CrossModalError(f"{name}: class {plain(classes[~known][0])!r}: expected a shot or a text, found neither")
    return shots
