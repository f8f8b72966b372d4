"""Pictures: the decoded pictures of a table of items, as one tensor where they fit into memory.

Decoding is done by threads, not processes: Pillow releases the interpreter's lock while it decodes, and threads write
straight into the shared tensor. Equal cells (one picture with five captions) are decoded once, and where processes
share a store of decoded pictures, once for all of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from cross_modal.configuration import DataConfig
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.decode import BadImage, Resize, decode, fit_for_stacking
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError

#: Rows of the distinct pictures, and what decodes them all → their pixels, perhaps from a store: (M, C, H, W) uint8.
Keep = Callable[[np.ndarray, Callable[[], np.ndarray]], np.ndarray]
CHUNK = 4  # pictures a thread takes at once: few, or one thread idles while another ends the batch
BAR_FROM = 512  # fewer pictures than this need no progress bar


class Pictures:
    """Decoded pictures by row.

    >>> pictures = Pictures([np.zeros((4, 4), np.uint8), None], channels=1, size=4)
    >>> pictures.pixels([0, 0]).shape
    torch.Size([2, 1, 4, 4])
    """

    def __init__(
        self,
        images: Sequence[object] | np.ndarray,
        channels: int = 3,
        size: int = 224,
        resize: Resize = "squash",
        max_pixels: int = 64_000_000,
        workers: int = 2,
        memory_gigabytes: float = 2.0,
        progress: bool = True,
        *,
        interpolation: str = "bicubic",
        where: Callable[[int], str] | None = None,
        keep: Keep | None = None,
    ) -> None:
        """Remembers the cells; nothing is decoded yet.

        Args:
            images: (N,) paths, bytes, uint8 arrays or None.
            channels: 1 or 3.
            size: Side of the square pictures.
            resize: "squash", "crop" or "pad"; see `cross_modal.data.decode.fit`.
            max_pixels: Largest picture that is decoded.
            workers: Threads; 0 decodes in the calling thread.
            memory_gigabytes: Decoded pictures are kept where all of them fit into this.
            progress: Show a progress bar for many pictures, on a terminal only.
            interpolation: See `cross_modal.data.decode.fit`.
            where: The place of a row in its source, for messages.
            keep: Where all pictures are looked up before any is decoded, if they fit into memory.
        """
        if channels not in (1, 3):
            raise CrossModalError(f"channels: expected 1 or 3, found {channels}")
        self.channels, self.size = channels, size
        self._resize: Resize = resize
        self._interpolation, self._max_pixels = interpolation, max_pixels
        self._where = where or (lambda row: f"item {row}")
        self._progress, self._keep = progress, keep
        self._cells: list[object] = []
        self._rows: list[int] = []  # the first row of each distinct cell, for messages
        self._slots = self._join_equal(images)
        fits = len(self._cells) * channels * size * size <= memory_gigabytes * 1e9
        self._store = np.empty((len(self._cells), channels, size, size), np.uint8) if fits else None
        self._ready = np.zeros(len(self._cells), bool)
        self._pool = ThreadPoolExecutor(workers, "decode") if workers > 0 else None

    @classmethod
    def of(
        cls,
        items: Items,
        config: DataConfig,
        *,
        channels: int,
        size: int,
        resize: Resize = "squash",
        interpolation: str = "bicubic",
        progress: bool = True,
        keep: Keep | None = None,
    ) -> Pictures:
        """The pictures of a table of items, with its rows in the messages."""
        return cls(
            items.images,
            channels,
            size,
            resize,
            config.max_pixels,
            config.workers,
            config.memory_gigabytes,
            progress,
            interpolation=interpolation,
            where=items.where,
            keep=keep,
        )

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def kept(self) -> bool:
        """Whether decoded pictures are kept in memory."""
        return self._store is not None

    def prepare(self, indices: Sequence[int] | np.ndarray | None = None) -> None:
        """Decodes now what would be decoded at first use; does nothing where the pictures do not fit into memory.

        Args:
            indices: Rows; None takes all that have a picture.

        Raises:
            BadImage: Where one cannot be decoded; the message names its row.
        """
        if self._store is None:
            return
        slots = np.unique(self._slots if indices is None else self._slots[np.asarray(indices, np.int64)])
        missing = slots[slots >= 0]
        missing = missing[~self._ready[missing]]
        if missing.size and self._keep is not None:
            self._store = self._kept(self._keep)
            self._ready[:] = True
        elif missing.size:
            self._decode_into(self._store, missing, missing)
            self._ready[missing] = True

    def pixels(self, indices: Sequence[int] | np.ndarray) -> torch.Tensor:
        """The pictures of these rows.

        Args:
            indices: (B,) rows; each must have a picture.

        Returns:
            (B, channels, size, size) uint8.

        Raises:
            BadImage: Where one cannot be decoded, or has no picture; the message names its row.
        """
        rows = np.asarray(indices, np.int64)
        slots = self._slots[rows]
        if slots.size and slots.min() < 0:
            raise BadImage(f"{self._where(int(rows[np.argmin(slots)]))}: expected a picture, found none")
        if self._store is not None:
            if not self._ready[slots].all():
                self.prepare(rows)  # may put another array there
            return torch.from_numpy(self._store[slots])
        distinct, place = np.unique(slots, return_inverse=True)
        decoded = np.empty((len(distinct), self.channels, self.size, self.size), np.uint8)
        self._decode_into(decoded, distinct, np.arange(len(distinct)))
        return torch.from_numpy(decoded[place])

    def _kept(self, keep: Keep) -> np.ndarray:
        """All pictures, from where they are kept; arrays that need no decoding are not worth a look."""
        stacked = fit_for_stacking(self._cells, self.channels, self.size)
        if stacked is not None:
            return stacked

        def decode_all() -> np.ndarray:
            everything = np.arange(len(self._cells))
            values = np.empty((len(self._cells), self.channels, self.size, self.size), np.uint8)
            self._decode_into(values, everything, everything)
            return values

        return keep(np.array(self._rows, np.int64), decode_all)

    def _join_equal(self, images: Sequence[object] | np.ndarray) -> np.ndarray:
        """Slots: the index of each row's cell among the distinct cells, -1 where it has none."""
        of_key: dict[object, int] = {}
        slots = np.full(len(images), -1, np.int64)
        for row, cell in enumerate(images):
            if cell is None:
                continue
            key = cell if isinstance(cell, str | bytes | ArchiveMember) else id(cell)
            slot = of_key.setdefault(key, len(of_key))
            if slot == len(self._cells):
                self._cells.append(cell)
                self._rows.append(row)
            slots[row] = slot
        return slots

    def _decode_into(self, target: np.ndarray, slots: np.ndarray, places: np.ndarray) -> None:
        """Decodes the cells of these slots into these places of a (M, C, H, W) array."""
        cells = [self._cells[slot] for slot in slots.tolist()]
        stacked = fit_for_stacking(cells, self.channels, self.size)
        if stacked is not None:
            target[places] = stacked
            return

        # A small batch is handed out one by one, so that every thread gets a share.
        step = CHUNK if len(cells) > 4 * CHUNK else 1

        def work(start: int) -> int:
            stop = min(start + step, len(cells))
            for index in range(start, stop):
                target[places[index]] = self._decode(cells[index], int(slots[index])).transpose(2, 0, 1)
            return stop - start

        starts = range(0, len(cells), step)
        done = map(work, starts) if self._pool is None else self._pool.map(work, starts)
        for _ in self._with_bar(done, len(cells)):
            pass

    def _decode(self, cell: object, slot: int) -> np.ndarray:
        try:
            return decode(
                cell,
                channels=self.channels,
                size=self.size,
                max_pixels=self._max_pixels,
                resize=self._resize,
                interpolation=self._interpolation,
            )
        except BadImage as error:
            raise BadImage(f"{self._where(self._rows[slot])}: {error}") from None

    def _with_bar(self, counts: Iterable[int], total: int) -> Iterator[int]:
        """Passes the counts on; shows a bar where that is wanted, useful and possible."""
        if not self._progress or total < BAR_FROM or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield from counts
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("decoding pictures", total=total)
            for count in counts:
                bar.advance(task, count)
                yield count
