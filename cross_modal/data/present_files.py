"""Which files of a manifest are there: folders are listed once rather than every file looked up by itself.

Paths in a manifest are seen from its folder. Looking five million of them up one by one takes longer than reading the
manifest; most lie in folders of many, whose listings answer for all of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

LISTED_FROM = 64  # so many files of one folder are worth a listing of it
REMEMBERED = 200_000  # paths that are kept: those of a folder are mostly asked for together
WASTE = 20  # a folder with so many times more files than were asked for is not listed again


class PresentFiles:
    """The files below a folder.

    Args:
        root: The folder that paths are seen from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[str, str | None] = {}
        self._starts: dict[str, str] = {}
        self._unlisted: set[str] = set()

    def find(self, cells: np.ndarray) -> np.ndarray:
        """Looks paths up.

        Args:
            cells: (M,) object: paths as a manifest has them, not blank, or None.

        Returns:
            (M,) object: each path as ``str(root / cell)``, equal ones one object; None where the cell is None, or may
            be no file: the slow way tells what it is.
        """
        wanted = set(cells)
        wanted.discard(None)
        new = wanted.difference(self._paths)
        if len(self._paths) + len(new) > REMEMBERED:
            self._paths.clear()
            new = wanted
        counts = Counter(path.rpartition("/")[0] for path in new)
        for folder, count in counts.items():
            if count >= LISTED_FROM and folder not in self._unlisted:
                self._list(folder, count)
        self._look_up(new.difference(self._paths))
        return np.fromiter(map(self._paths.get, cells), object, len(cells))

    def _list(self, folder: str, asked: int) -> None:
        """Remembers the files of a folder, unless they are too many."""
        start, key = self._start(folder), f"{folder}/" if folder else ""
        listed: dict[str, str | None] = {}
        try:
            with os.scandir(start or ".") as entries:
                for entry in entries:
                    if entry.is_file():
                        listed[key + entry.name] = start + entry.name
                        if len(self._paths) + len(listed) > 2 * REMEMBERED:
                            self._unlisted.add(folder)
                            return
        except OSError:
            return
        if len(listed) > WASTE * asked:
            self._unlisted.add(folder)
        self._paths.update(listed)

    def _look_up(self, paths: Iterable[str]) -> None:
        """Remembers paths that are looked up one by one."""
        for written in paths:
            folder, separator, name = written.rpartition("/")
            if name in ("", ".") or (separator and not folder):
                self._paths[written] = None  # the slow way knows what pathlib makes of "a/", "a/." and "/a"
                continue
            path = self._start(folder) + name
            self._paths[written] = path if os.path.isfile(path) else None

    def _start(self, folder: str) -> str:
        """What the paths of a folder start with."""
        if folder not in self._starts:
            start = str(self._root / folder)
            self._starts[folder] = "" if start == "." else os.path.join(start, "")
        return self._starts[folder]
