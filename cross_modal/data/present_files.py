"""Which files of a manifest are there: folders are listed once rather than every file looked up by itself.

Paths in a manifest are seen from its folder. Looking five million of them up one by one takes longer than reading the
manifest; most lie in few folders, whose listings answer for all of them.
"""

from __future__ import annotations

import os
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd

LISTED_FROM = 64  # so many files of one folder are worth a listing of it
LARGEST_LISTING = 500_000  # names that are kept, of one folder or several


class PresentFiles:
    """The files below a folder.

    Args:
        root: The folder that paths are seen from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listings: dict[str, frozenset[str] | None] = {}
        self._names = 0

    def find(self, written: list[str]) -> list[str | None]:
        """Looks paths up.

        Args:
            written: Paths as a manifest has them, none of them empty.

        Returns:
            Each path as ``str(root / written)``; None where it may be no file: the slow way tells what it is.
        """
        if not written:
            return []
        folders, separators, names = (
            list(part) for part in zip(*map(str.rpartition, written, repeat("/")), strict=True)
        )
        codes, distinct = pd.factorize(np.fromiter(folders, object, len(folders)))
        starts = np.fromiter((self._start(folder) for folder in distinct), object, len(distinct))
        paths = (starts[codes] + np.fromiter(names, object, len(names))).tolist()
        found = np.zeros(len(written), bool)
        order = np.argsort(codes, kind="stable")
        for places in np.split(order, np.cumsum(np.bincount(codes))[:-1]):
            folder = starts[codes[places[0]]]
            found[places] = self._are_files(folder, [names[place] for place in places.tolist()])
        # "a/", "a/." and "/a" are written in ways that the slow way knows better
        plain = [
            name not in ("", ".") and bool(folder or not separator)
            for folder, separator, name in zip(folders, separators, names, strict=True)
        ]
        return [
            path if is_file and is_plain else None for path, is_file, is_plain in zip(paths, found, plain, strict=True)
        ]

    def _start(self, folder: str) -> str:
        """What paths of a folder start with."""
        start = str(self._root / folder)
        return "" if start == "." else os.path.join(start, "")

    def _are_files(self, folder: str, names: list[str]) -> list[bool]:
        """Which names of a folder are files."""
        listing = self._listing(folder) if len(names) >= LISTED_FROM else None
        if listing is None:
            return [os.path.isfile(folder + name) for name in names]
        return list(map(listing.__contains__, names))

    def _listing(self, folder: str) -> frozenset[str] | None:
        """The files of a folder; None where they are too many, or it cannot be read."""
        if folder not in self._listings:
            found: list[str] | None = []
            try:
                with os.scandir(folder or ".") as entries:
                    for entry in entries:
                        if entry.is_file():
                            found.append(entry.name)
                            if len(found) > LARGEST_LISTING:
                                found = None
                                break
            except OSError:
                found = None
            if self._names + len(found or ()) > LARGEST_LISTING:
                self._listings.clear()
                self._names = 0
            self._listings[folder] = None if found is None else frozenset(found)
            self._names += len(found or ())
        return self._listings[folder]
