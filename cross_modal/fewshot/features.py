"""Stored embeddings as the input of a K-shot experiment: one .npz file, no model and no data.

Keys: ``train_features`` (N, D), ``train_labels`` (N,), ``test_features`` (Q, D), ``test_labels`` (Q,); where there are
any, ``val_features`` and ``val_labels``, ``text_features`` (C, D) and ``classes`` (C,); and, if wished,
``train_views`` (N, V, D) and ``train_ids``, ``val_ids``, ``test_ids``, ``train_groups``, ``val_groups``,
``test_groups``. Labels are integers or text; integer labels beside class names are positions in ``classes``.

Two equal rows on two sides are one picture that was both learned and measured, so they are an error.
"""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_sides import (
    LearningSide,
    TestSide,
    check_aligned,
    check_kinds,
    check_labelled,
    check_texts,
    row_ids,
)

NEEDED = ("train_features", "train_labels", "test_features", "test_labels")
SPLITS = {"train": "train", "validation": "val", "test": "test"}  # our name → the key's
COLUMNS = tuple(f"{key}_{column}" for column in ("ids", "groups") for key in SPLITS.values())
OPTIONAL = ("val_features", "val_labels", "text_features", "classes", "train_views", *COLUMNS)


@dataclass(frozen=True)
class Features:
    """Stored embeddings, checked.

    Attributes:
        train: (N, D) floats.
        train_labels: (N,) integers or text.
        test: (Q, D).
        test_labels: (Q,).
        validation: (M, D), or None.
        validation_labels: (M,), or None.
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`, or None.
        class_names: (C,) names of `classes` where labels are positions, or None.
        views: (N, V, D) augmented views of train, or None.
        ids: Split ("train", "validation", "test") → names of its items; rows are hashed where the file names none.
        groups: Split → groups of its items, for the splits that have them.
        digest: SHA-256 of the file.
        ignored: Keys of the file that are none of ours.
        name: The file's name without its ending.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    validation: np.ndarray | None
    validation_labels: np.ndarray | None
    texts: np.ndarray | None
    classes: np.ndarray | None
    class_names: np.ndarray | None
    views: np.ndarray | None
    ids: dict[str, np.ndarray]
    groups: dict[str, np.ndarray]
    digest: str
    ignored: tuple[str, ...]
    name: str

    def learning_side(self) -> LearningSide:
        """What a learner may see."""
        return LearningSide(
            self.train,
            self.train_labels,
            self.validation,
            self.validation_labels,
            self.texts,
            self.classes,
            self.views,
            self.ids["train"],
            self.ids.get("validation"),
            self.groups.get("train"),
            self.groups.get("validation"),
            name=self.name,
        )

    def test_side(self) -> TestSide:
        """What it is measured on."""
        return TestSide(self.test, self.test_labels, self.ids["test"], self.groups.get("test"))


def read_features(path: str | Path) -> Features:
    """Reads stored embeddings.

    Args:
        path: The .npz file; nothing in it is unpickled.

    Returns:
        The embeddings, in the float type they were stored in.

    Raises:
        CrossModalError: One line that names the file and what is wrong: no such file, a missing key, rows that are not
            finite, widths that differ, labels that no class has, a class without items, or an item on two sides.
    """
    path = Path(path)
    arrays, ignored = _arrays(path)
    try:
        return _checked(path, arrays, ignored)
    except CrossModalError as error:
        raise CrossModalError(f"{path}: {error}") from None


def _arrays(path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The arrays of the known keys, and the other keys."""
    if not path.is_file():
        raise CrossModalError(f"{path}: expected a .npz file of features, found no such file")
    try:
        archive = np.load(path, allow_pickle=False)
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise CrossModalError(f"{path}: expected a .npz file of features, found another format") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise CrossModalError(f"{path}: expected a .npz file with several arrays, found a single array")
    with archive:
        for key in NEEDED:
            if key not in archive:
                raise CrossModalError(f"{path}: expected the key {key}, found {', '.join(sorted(archive)) or 'none'}")
        known = [key for key in archive if key in NEEDED + OPTIONAL]
        return {key: _array(path, archive, key) for key in known}, tuple(sorted(set(archive) - set(known)))


def _array(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        return archive[key]
    except ValueError as error:  # an object array would have to be unpickled
        raise CrossModalError(f"{path}: {key}: expected plain numbers or text, found Python objects") from error
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise CrossModalError(f"{path}: {key}: expected a whole array, found a damaged one") from error


def _checked(path: Path, arrays: dict[str, np.ndarray], ignored: tuple[str, ...]) -> Features:
    if ("val_features" in arrays) != ("val_labels" in arrays):
        raise CrossModalError("expected both val_features and val_labels, or neither, found one of them")
    classes, class_names = _classes(arrays)
    present = {split: key for split, key in SPLITS.items() if f"{key}_features" in arrays}
    for key in present.values():
        _check_split(arrays, key)
    texts = arrays.get("text_features")
    if texts is not None:
        check_texts(texts, classes, arrays["train_features"].shape[1])
    _check_classes(arrays, classes)
    return Features(
        train=arrays["train_features"],
        train_labels=arrays["train_labels"],
        test=arrays["test_features"],
        test_labels=arrays["test_labels"],
        validation=arrays.get("val_features"),
        validation_labels=arrays.get("val_labels"),
        texts=texts,
        classes=None if texts is None else classes,
        class_names=class_names,
        views=arrays.get("train_views"),
        ids=_ids(arrays, present),
        groups={split: arrays[f"{key}_groups"] for split, key in present.items() if f"{key}_groups" in arrays},
        digest=_digest(path),
        ignored=ignored,
        name=path.stem,
    )


def _check_split(arrays: dict[str, np.ndarray], key: str) -> None:
    """The arrays of one split fit each other and those of train."""
    features, labels, train = arrays[f"{key}_features"], arrays[f"{key}_labels"], arrays["train_features"]
    check_labelled(key, features, labels, train.shape[1] if train.ndim == 2 else None)
    check_aligned(key, len(features), ids=arrays.get(f"{key}_ids"), groups=arrays.get(f"{key}_groups"))
    check_kinds(f"{key} labels", labels, arrays["train_labels"])
    if not len(features) and key != "val":
        raise CrossModalError(f"{key}_features: expected items, found none")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _classes(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The labels of the classes, and their names where labels are positions among names."""
    classes = arrays.get("classes")
    if classes is None:
        return None, None
    if classes.ndim != 1 or classes.dtype.kind not in "iuU":
        raise CrossModalError(
            f"classes: expected integers or texts (C,), found {classes.dtype} of shape {classes.shape}"
        )
    if classes.dtype.kind == "U" and arrays["train_labels"].dtype.kind in "iu":
        return np.arange(len(classes)), classes
    return classes, None


def _check_classes(arrays: dict[str, np.ndarray], classes: np.ndarray | None) -> None:
    """Every label has a class; every class has items."""
    train = np.unique(arrays["train_labels"])
    for split in ("train", "val", "test"):
        labels = arrays.get(f"{split}_labels", train)
        stray = labels[~np.isin(labels, train if classes is None else classes)]
        if len(stray):
            where = "classes" if classes is not None else "train_labels"
            raise CrossModalError(f"{split}_labels: expected labels among {where}, found {stray[0].item()!r}")
    if classes is not None:
        items = np.concatenate([arrays[key] for key in ("train_labels", "val_labels", "test_labels") if key in arrays])
        empty = classes[~np.isin(classes, items)]
        if len(empty):
            raise CrossModalError(f"class {empty[0].item()!r}: expected items, found none ({len(empty)} such classes)")


def _ids(arrays: dict[str, np.ndarray], present: dict[str, str]) -> dict[str, np.ndarray]:
    """Names of the items of each split: the file's own where all splits have them, else hashes of the rows."""
    hashes = {split: row_ids(arrays[f"{key}_features"]) for split, key in present.items()}
    _check_apart(hashes, "equal features")
    if not all(f"{key}_ids" in arrays for key in present.values()):
        return hashes
    named = {split: arrays[f"{key}_ids"].astype(str) for split, key in present.items()}
    _check_apart(named, "equal ids")
    return named


def _check_apart(ids: dict[str, np.ndarray], what: str) -> None:
    """No item stands on two sides; both rows are named."""
    for first, second in itertools.combinations(ids, 2):
        shared, left, right = np.intersect1d(ids[first], ids[second], return_indices=True)
        if len(shared):
            at = int(left.argmin())
            raise CrossModalError(
                f"expected every item on one side, found {what} in {SPLITS[first]} row {left[at]} and in "
                f"{SPLITS[second]} row {right[at]} ({len(shared)} such items)"
            )
