"""Data sets that torchvision can read, by name from an allow-list; nothing is ever downloaded.

Their own train and test parts share their classes, so that they are pooled and split anew by class: evaluation here is
on unseen classes. Omniglot is the exception: its background and evaluation alphabets are disjoint, and are kept.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cross_modal.data.folder import text_of
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError

Cells = tuple[list[object], list[str]]


@dataclass(frozen=True)
class Entry:
    """How one data set is read.

    Attributes:
        parts: Arguments of the constructor for each of its parts.
        folder: Where its files belong, below the root.
        splits: The split of each part, where the parts are class-disjoint.
    """

    parts: tuple[dict[str, Any], ...]
    folder: str
    splits: tuple[str, ...] | None = None


TRAIN_FLAG = ({"train": True}, {"train": False})
TRAIN_TEST = ({"split": "train"}, {"split": "test"})
TRAIN_VAL_TEST = ({"split": "train"}, {"split": "val"}, {"split": "test"})
ALLOWED = {
    "CIFAR10": Entry(TRAIN_FLAG, "cifar-10-batches-py"),
    "CIFAR100": Entry(TRAIN_FLAG, "cifar-100-python"),
    "Caltech101": Entry(({"target_type": "category"},), "caltech101"),
    "DTD": Entry(TRAIN_VAL_TEST, "dtd/dtd"),
    "EMNIST": Entry(({"split": "balanced", "train": True}, {"split": "balanced", "train": False}), "EMNIST/raw"),
    "EuroSAT": Entry(({},), "eurosat/2750"),
    "FGVCAircraft": Entry(TRAIN_VAL_TEST, "fgvc-aircraft-2013b"),
    "FashionMNIST": Entry(TRAIN_FLAG, "FashionMNIST/raw"),
    "Flowers102": Entry(TRAIN_VAL_TEST, "flowers-102"),
    "Food101": Entry(TRAIN_TEST, "food-101"),
    "GTSRB": Entry(TRAIN_TEST, "gtsrb"),
    "KMNIST": Entry(TRAIN_FLAG, "KMNIST/raw"),
    "MNIST": Entry(TRAIN_FLAG, "MNIST/raw"),
    "Omniglot": Entry(({"background": True}, {"background": False}), "omniglot-py", ("train", "test")),
    "OxfordIIITPet": Entry(({"split": "trainval"}, {"split": "test"}), "oxford-iiit-pet"),
    "STL10": Entry(TRAIN_TEST, "stl10_binary"),
    "SVHN": Entry(TRAIN_TEST, "."),
    "StanfordCars": Entry(TRAIN_TEST, "stanford_cars"),
}


def import_torchvision() -> ModuleType:
    """Imports torchvision's data sets.

    Raises:
        CrossModalError: Where torchvision is missing, or built for another torch ("operator torchvision::nms does not
            exist"); one line that says which pair to install.
    """
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError, OSError) as error:
        raise CrossModalError(mismatch(str(error))) from None
    return datasets


def mismatch(reason: str) -> str:
    """The line that says which torch and torchvision to install together."""
    found = []
    for name in ("torch", "torchvision"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    first = reason.split("\n", 1)[0]
    return (
        f"torchvision cannot be imported ({first}): expected a build made for the installed torch, found "
        f"{' and '.join(found)}; install both from one place, for a CPU-only machine "
        "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cpu"
    )


def data_root() -> Path:
    """Where the data sets lie: the folder CROSS_MODAL_DATA, else ~/.cache/cross-modal/torchvision."""
    given = os.environ.get("CROSS_MODAL_DATA")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "cross-modal" / "torchvision"


def read_torchvision(name: str) -> Items:
    """Reads a data set of the allow-list from disk.

    Args:
        name: Its torchvision name, e.g. "CIFAR10".

    Returns:
        The items; labels are class names, texts the same in words.

    Raises:
        CrossModalError: For a name that is not allowed, files that are not there (says where to put them), or a
            torchvision that cannot be imported.
    """
    if name not in ALLOWED:
        raise CrossModalError(f"torchvision:{name}: expected one of {', '.join(ALLOWED)}")
    entry, root = ALLOWED[name], data_root()
    constructor: Callable[..., Any] = getattr(import_torchvision(), name)
    images: list[object] = []
    labels: list[str] = []
    splits: list[str] = []
    for number, arguments in enumerate(entry.parts):
        try:
            cells, names = cells_of(constructor(str(root), download=False, **arguments))
        except (RuntimeError, OSError) as error:
            place = (root / entry.folder).resolve()
            raise CrossModalError(
                f"torchvision:{name} is not complete on this machine, expected its files in {place} (nothing is "
                f"downloaded; CROSS_MODAL_DATA names another root), found: {str(error).split(chr(10), 1)[0]}"
            ) from None
        images += cells
        labels += names
        splits += [entry.splits[number] if entry.splits else ""] * len(names)
    return Items.of(
        images=images,
        texts=[text_of(label) for label in labels],
        labels=labels,
        splits=splits if entry.splits else None,
        source=f"torchvision:{name}",
    )


def cells_of(dataset: Any) -> Cells:
    """Pictures and class names of a torchvision data set, without decoding: paths where it has files, else arrays.

    Raises:
        CrossModalError: Where this torchvision keeps them in an unknown way.
    """
    kind = type(dataset).__name__
    if kind == "Omniglot":
        return omniglot_cells(dataset)
    if kind == "Caltech101":
        folder, numbers = Path(dataset.root, "101_ObjectCategories"), dataset.y
        paths = [
            str(folder / dataset.categories[number] / f"image_{index:04d}.jpg")
            for number, index in zip(numbers, dataset.index, strict=True)
        ]
        return list(paths), [dataset.categories[number] for number in numbers]
    if hasattr(dataset, "data"):
        numbers = dataset.targets if hasattr(dataset, "targets") else dataset.labels
        pixels = np.asarray(dataset.data)
        if pixels.ndim == 4 and pixels.shape[1] == 3:  # SVHN and STL10 put the channels first
            pixels = pixels.transpose(0, 2, 3, 1)
        if kind == "EMNIST":
            pixels = pixels.transpose(0, 2, 1)  # its files hold the pictures mirrored at the diagonal
        return list(pixels), named(dataset, numbers)
    for samples in ("samples", "_samples"):
        if hasattr(dataset, samples):
            files_and_numbers = getattr(dataset, samples)
            return [str(path) for path, _ in files_and_numbers], named(dataset, [n for _, n in files_and_numbers])
    for files in ("_image_files", "_images"):
        if hasattr(dataset, files):
            return [str(path) for path in getattr(dataset, files)], named(dataset, dataset._labels)
    raise CrossModalError(
        f"torchvision {importlib.metadata.version('torchvision')}: {kind} is laid out in an unknown way"
    )


def named(dataset: Any, numbers: Sequence[int]) -> list[str]:
    """Class numbers as names, where the data set has them."""
    classes = getattr(dataset, "classes", None)
    values = [int(number) for number in numbers]
    return [str(classes[value]) for value in values] if classes else [str(value) for value in values]


def omniglot_cells(dataset: Any) -> Cells:
    """Omniglot's drawings; the label is "alphabet/character"."""
    labels = [dataset._characters[number] for _, number in dataset._flat_character_images]
    paths = [
        str(Path(dataset.target_folder, label, file))
        for label, (file, _) in zip(labels, dataset._flat_character_images, strict=True)
    ]
    return list(paths), [label.replace(os.sep, "/") for label in labels]
