"""Split files that others have published, read as they are.

Two formats, both JSON:

- CoOp (Zhou et al. 2022; ``split_zhou_Caltech101.json``): ``{"train": [[path, label, class name], …], "val": …,
  "test": …}``. Paths are relative to the folder of pictures, labels count from 0. It gives whole splits, from which
  K shots are still to be drawn. (CoOp's own K-shot draws are pickles, which are never read.)
- Cross-modal adaptation (Lin et al. 2023; ``indices/caltech101/shot_4-seed_1.json``): ``{"train": {"data": [{"impath":
  …, "label": …, "classname": …}, …], "indices": […]}, "val": …}``. It gives the support and the validation items of one
  (K, seed), named by the file. `indices` are the rows of the data's own train and validation lists; the paths already
  say the same and begin with the folder in which the authors kept their data, ``./data/caltech-101/…``.

In both, several labels may have one class name (ImageNet has two cranes); then the label stands behind the name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_split import KShotSplit
from cross_modal.fewshot.validation_holdout import Pool

FILE_NAME = re.compile(r"shot_(\d+)-seed_(\d+)")
Entry = tuple[str, int, str]


@dataclass(frozen=True)
class PublishedSplit:
    """Whole splits, ready for `kshot_split(split.train, split.validation, …, test=split.test_items)`.

    Attributes:
        train: Class → paths of its pictures.
        validation: Class → paths.
        test: Class → paths.
        classes: The classes in the order of their published labels 0, 1, ….
    """

    train: Pool
    validation: Pool
    test: Pool
    classes: tuple[str, ...]

    @property
    def test_items(self) -> list[str]:
        """Paths of all test pictures."""
        return [item for items in self.test.values() for item in items]


def read_coop_split(path: str | Path) -> PublishedSplit:
    """Reads a split file of CoOp.

    Args:
        path: The JSON file.

    Returns:
        Its splits; a path that a split lists twice counts once.

    Raises:
        CrossModalError: Not such a file, a label with two names, or a path with two labels or in two splits.
    """
    path = Path(path)
    content = _content(path)
    found = {name: _coop_entries(path, name, content) for name in ("train", "val", "test")}
    names = _class_names(path, (entry for entries in found.values() for entry in entries))
    train, validation, test = (_pool(entries, names) for entries in found.values())
    _check_apart(path, {"train": train, "val": validation, "test": test})
    return PublishedSplit(train, validation, test, tuple(names[label] for label in sorted(names)))


def read_kshot_indices(
    path: str | Path, prefix: str = "", shots: int | None = None, seed: int | None = None
) -> KShotSplit:
    """Reads a few-shot index file of cross-modal adaptation.

    Args:
        path: The JSON file.
        prefix: Taken off the beginning of every path, e.g. "./data/caltech-101/101_ObjectCategories/".
        shots: K; None takes it from the file's name, shot_K-seed_S.json.
        seed: Seed; None takes it from the file's name.

    Returns:
        The split; classes with fewer than K support items are listed in `short`.

    Raises:
        CrossModalError: Not such a file, a path without the prefix, or one with two labels or in two splits.
    """
    path = Path(path)
    if shots is None or seed is None:
        named = FILE_NAME.fullmatch(path.stem)
        if named is None:
            raise CrossModalError(f"{path}: expected a name like shot_4-seed_1.json, which says K and the seed")
        shots, seed = (int(named[1]) if shots is None else shots), (int(named[2]) if seed is None else seed)
    content = _content(path)
    found = {name: _index_entries(path, name, content, prefix) for name in ("train", "val")}
    names = _class_names(path, (entry for entries in found.values() for entry in entries))
    support, validation = (_pool(entries, names) for entries in found.values())
    _check_apart(path, {"train": support, "val": validation})
    counts = {label: len(items) for label, items in sorted(support.items())}
    most = max(counts.values(), default=0)
    if most > shots:
        raise CrossModalError(f"{path}: expected at most {shots} support items a class, found {most}")
    short = {label: count for label, count in counts.items() if count < shots}
    return KShotSplit(seed, shots, support, validation, short)


def read_split(path: str | Path, prefix: str = "") -> PublishedSplit | KShotSplit:
    """Reads a split file of any known format: CoOp, cross-modal adaptation, or `KShotSplit.to_json`.

    Args:
        path: The JSON file.
        prefix: As for `read_kshot_indices`.

    Returns:
        Whole splits, or one K-shot split.

    Raises:
        CrossModalError: A file of none of the formats.
    """
    content = _content(Path(path))
    if "format" in content:
        return KShotSplit.from_json(Path(path).read_text(encoding="utf-8"))
    return read_kshot_indices(path, prefix) if isinstance(content.get("train"), dict) else read_coop_split(path)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CrossModalError(f"{path}: expected a split file, found none ({error.strerror})") from error
    except ValueError as error:  # bad JSON and bad UTF-8
        raise CrossModalError(f"{path}: expected JSON, found something else ({error})") from error
    if not isinstance(content, dict):
        raise CrossModalError(f'{path}: expected an object with "train" and "val", found {type(content).__name__}')
    return content


def _coop_entries(path: Path, name: str, content: dict[str, Any]) -> list[Entry]:
    rows = content.get(name)
    if not isinstance(rows, list):
        raise CrossModalError(f'{path}: expected a list "{name}" of [path, label, class name], found none')
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 3 or not _is_entry(*row):
            raise CrossModalError(f"{path}: {name} row {number}: expected [path, label, class name], found {row!r:.80}")
    return [(item, int(label), class_name) for item, label, class_name in rows]


def _index_entries(path: Path, name: str, content: dict[str, Any], prefix: str) -> list[Entry]:
    part = content.get(name)
    rows = part.get("data") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(rows, list):
        raise CrossModalError(f'{path}: expected "{name}" with a list "data", found none')
    if len(part.get("indices", rows)) != len(rows):
        raise CrossModalError(f"{path}: {name}: expected as many indices as data, {len(rows)}, found another number")
    entries = []
    for number, row in enumerate(rows):
        values: list[Any] = [None] * 3
        if isinstance(row, dict):
            values = [row.get(key) for key in ("impath", "label", "classname")]
        if not _is_entry(*values):
            raise CrossModalError(f"{path}: {name} row {number}: expected impath, label, classname, found {row!r:.80}")
        item, label, class_name = values
        if not item.startswith(prefix):
            raise CrossModalError(f"{path}: {name} row {number}: expected a path below '{prefix}', found '{item}'")
        entries.append((item[len(prefix) :], int(label), class_name))
    return entries


def _is_entry(item: Any, label: Any, name: Any) -> bool:
    """Whether this is a path, a label (both projects convert it, so digits will do) and a class name."""
    whole = isinstance(label, int) and not isinstance(label, bool)
    return isinstance(item, str) and isinstance(name, str) and (whole or (isinstance(label, str) and label.isdecimal()))


def _class_names(path: Path, entries: Iterable[Entry]) -> dict[int, str]:
    """Label → class name; names that several labels have are told apart by the label."""
    names: dict[int, str] = {}
    for _, label, name in entries:
        if names.setdefault(label, name) != name:
            raise CrossModalError(
                f"{path}: label {label}: expected one class name, found '{names[label]}' and '{name}'"
            )
    uses = Counter(names.values())
    return {label: name if uses[name] == 1 else f"{name} ({label})" for label, name in names.items()}


def _pool(entries: list[Entry], names: dict[int, str]) -> Pool:
    """Class → its items, in the order of the file, each once; every class has its place."""
    pool: dict[str, dict[str, None]] = {names[label]: {} for label in sorted(names)}
    for item, label, _ in entries:
        pool[names[label]][item] = None
    return {name: list(items) for name, items in pool.items()}


def _check_apart(path: Path, splits: dict[str, Pool]) -> None:
    home: dict[str, str] = {}
    for split, pool in splits.items():
        for label, items in pool.items():
            for item in items:
                place = f"{split} as '{label}'"
                if home.setdefault(item, place) != place:
                    raise CrossModalError(f"{path}: '{item}': expected one place, found {home[item]} and {place}")
