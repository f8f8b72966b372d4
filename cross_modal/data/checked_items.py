"""The rows of a manifest, checked by the column: what the cells mean is worked out once for each distinct cell.

Only the rows in which something is wrong are looked at one by one, by the rule itself (`manifest_cells.item_of`), which
says what it is. So five million rows cost what their distinct labels and pictures cost, and messages are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import Items, given
from cross_modal.data.manifest_cells import TRUTHS, item_of, text_cell
from cross_modal.data.present_files import PresentFiles
from cross_modal.data.splits import split_name
from cross_modal.data.table_chunks import Chunk

REMEMBERED = 500_000  # distinct labels whose meaning is kept; equal ones are one string in memory


class Meanings(dict[object, object]):
    """Cell → what it means, worked out when it is first met; None where it means nothing.

    >>> meanings = Meanings(split_name)
    >>> [meanings[cell] for cell in ("val", "test", "tset")]
    ['validation', 'test', None]
    """

    def __init__(self, meaning: Callable[[str], object]) -> None:
        super().__init__()
        self._meaning = meaning

    def __missing__(self, cell: object) -> object:
        if len(self) >= REMEMBERED:
            self.clear()
        written = text_cell(cell)
        self[cell] = found = None if written is None else self._meaning(written)
        return found

    def of(self, cells: np.ndarray) -> np.ndarray:
        """(M,) object: the meaning of each cell."""
        return np.fromiter(map(self.__getitem__, cells), object, len(cells))


class CheckedItems:
    """Collects the items of a manifest, a chunk at a time.

    Args:
        names: The columns of items that the manifest has.
        path: The manifest.
        bad: What happens to bad rows.
    """

    def __init__(self, names: list[str], path: Path, bad: BadItems) -> None:
        self._names, self._path, self._bad = names, path, bad
        self._files = PresentFiles(path.parent)
        rules: dict[str, Callable[[str], object]] = {
            "label": str,
            "group": str,
            "split": split_name,
            "genuine": lambda cell: TRUTHS.get(cell.strip().lower()),
        }
        self._meanings = {name: Meanings(rule) for name, rule in rules.items()}
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        self._rows: list[np.ndarray] = []

    def add(self, chunk: Chunk) -> None:
        """Checks the rows of a chunk.

        Raises:
            CrossModalError: At the first bad row where the policy is "error".
        """
        quick = all(
            name in chunk.strings or (name in chunk.integers and name in self._meanings) for name in self._names
        )
        columns = self._by_column(chunk) if quick else {name: np.full(len(chunk), None, object) for name in self._names}
        good = np.full(len(chunk), quick)
        if quick:
            for name in self._names:
                if name in self._meanings:
                    good &= given(columns[name])
            good &= self._has_content(chunk, columns)
        for place in np.flatnonzero(~good).tolist():
            good[place] = self._judge(chunk, columns, place)
        everything = bool(good.all())
        for name, cells in columns.items():
            self._parts[name].append(cells if everything else cells[good])
        self._rows.append(chunk.first + np.flatnonzero(good))

    def items(self, source: str) -> Items:
        """The items of all rows that were kept."""
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        self._rows.clear()
        for meanings in self._meanings.values():
            meanings.clear()
        whole: dict[str, np.ndarray] = {}
        for name in self._names:  # column by column, so that never more than one stands in memory twice
            parts = self._parts.pop(name)
            whole[name] = np.concatenate([np.empty(0, object), *parts])
        return Items.of(
            images=whole.get("image", None if "text" in whole else np.full(len(rows), None, object)),
            texts=whole.get("text"),
            labels=whole.get("label"),
            splits=whole.get("split"),
            groups=whole.get("group"),
            genuine=whole.get("genuine"),
            rows=rows,
            source=source,
            skipped=self._bad.skipped,
        )

    def _by_column(self, chunk: Chunk) -> dict[str, np.ndarray]:
        """What the cells mean; None where they are empty, or wrong."""
        columns = {}
        for name in self._names:
            cells = chunk.columns[name]
            if name in self._meanings:
                columns[name] = self._meanings[name].of(cells)
            else:
                cells = _filled(cells)
                columns[name] = self._files.find(cells) if name == "image" else cells
        return columns

    def _has_content(self, chunk: Chunk, columns: dict[str, np.ndarray]) -> np.ndarray:
        """(M,) bool: the row has a picture or a text, and the picture is there if it names one."""
        content = np.zeros(len(chunk), bool)
        for name in ("image", "text"):
            if name in columns:
                content |= given(columns[name])
        if "image" in columns:
            named = given(_filled(chunk.columns["image"]))
            content &= ~named | given(columns["image"])
        return content

    def _judge(self, chunk: Chunk, columns: dict[str, np.ndarray], place: int) -> bool:
        """Looks at one row by itself; whether it is good after all."""
        row = {name: chunk.columns[name][place] for name in self._names}
        try:
            item = item_of(row, self._names, self._path.parent)
        except ValueError as error:
            number = chunk.first + place
            self._bad.add(number, f"{self._path.name} row {number}", str(error))
            return False
        for name in self._names:
            columns[name][place] = item[name]
        return True


def _filled(cells: np.ndarray) -> np.ndarray:
    """(M,) object: strings; None where they are missing or blank."""
    full = given(cells)
    words = cells[full]
    if full.all() and all(map(str.strip, words)):
        return cells
    full[full] = np.fromiter(map(bool, map(str.strip, words)), bool, len(words))
    filled = cells.copy()
    filled[~full] = None
    return filled
