"""What manifests of pairs and of triplets share: rows that name several items, and splits of connected rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItem, BadItems
from cross_modal.data.components import connected_components
from cross_modal.data.items import Items, column, image_keys
from cross_modal.data.manifest import TRUTHS, Row, check_columns, image_cell, read_table, text_cell
from cross_modal.data.sources import check_pictures
from cross_modal.data.splits import place_of, split_name
from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class PairTable:
    """Rows that name S items each (two in a pair, three in a triplet).

    Attributes:
        items: The distinct items.
        ends: (S, M) int64, index of each row's item on each side.
        same: (M,) float64, 0 or 1, or None.
        score: (M,) float64 in 0–1, or None.
        splits: (M,) object.
        numbers: (M,) int64, number of the row in the source.
        skipped: Rows that were left out.
    """

    items: Items
    ends: np.ndarray
    same: np.ndarray | None
    score: np.ndarray | None
    splits: np.ndarray
    numbers: np.ndarray
    skipped: list[BadItem]


def ends_of(sides: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that name items.

    >>> ends_of(("a", "b"))
    ('image_a', 'text_a', 'image_b', 'text_b')
    """
    return tuple(f"{modality}_{side}" for side in sides for modality in ("image", "text"))


def read_pair_table(source: str, sides: tuple[str, ...], values: tuple[str, ...], config: DataConfig) -> PairTable:
    """Reads a manifest whose rows name several items.

    Args:
        source: A .csv, .tsv, .parquet or .jsonl file.
        sides: The sides of a row, e.g. ("a", "b").
        values: The columns of which a row has exactly one ("same", "score"), or none.
        config: Shares, seed and policy.

    Returns:
        The table, every row with its split.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    path = Path(source)
    columns, rows = read_table(path)
    check_columns(path.name, columns, (*ends_of(sides), *values, "split"))
    given = [name for name in values if name in columns]
    if values and len(given) != 1:
        raise CrossModalError(
            f"{path.name}: expected one column of {' and '.join(values)}, found {' and '.join(given) or 'none'}"
        )
    for side in sides:
        if not {f"image_{side}", f"text_{side}"} & set(columns):
            raise CrossModalError(f"{path.name}: expected a column image_{side} or text_{side}, found neither")
    bad = BadItems(config.on_bad_item)
    kept: list[tuple[int, Row]] = []
    for number, row in enumerate(rows, 1):
        try:
            kept.append((number, row_of(row, sides, given, "split" in columns, path.parent)))
        except ValueError as error:
            bad.add(number, f"{path.name} row {number}", str(error))
    return assemble(source, sides, given, "split" in columns, kept, bad, config)


def row_of(row: Row, sides: tuple[str, ...], given: list[str], has_split: bool, root: Path) -> Row:
    """The cells of one row, checked.

    Raises:
        ValueError: Where the row is bad; the message is a reason for `BadItems`.
    """
    cells: Row = {}
    for side in sides:
        cells[side] = (image_cell(row.get(f"image_{side}"), root), text_cell(row.get(f"text_{side}")))
        if cells[side] == (None, None):
            raise ValueError(f"expected image_{side} or text_{side}, found neither")
    for name in given:
        written = (text_cell(row.get(name)) or "").strip().lower()
        if name == "same":
            if written not in TRUTHS:
                raise ValueError(f"same is '{written}', expected 0 or 1")
            cells[name] = float(TRUTHS[written])
        else:
            try:
                cells[name] = float(written)
            except ValueError:
                raise ValueError(f"score is '{written}', expected a number from 0 to 1") from None
            if not 0 <= float(written) <= 1:
                raise ValueError(f"score is {written}, expected a number from 0 to 1")
    if has_split:
        written = text_cell(row.get("split")) or ""
        cells["split"] = split_name(written)
        if cells["split"] is None:
            raise ValueError(f"split is '{written}', expected train, validation or test")
    return cells


def assemble(
    source: str,
    sides: tuple[str, ...],
    given: list[str],
    has_split: bool,
    kept: list[tuple[int, Row]],
    bad: BadItems,
    config: DataConfig,
) -> PairTable:
    """Joins equal items, drops rows with bad pictures, and splits."""
    every = Items.of(
        images=[row[side][0] for _, row in kept for side in sides],  # type: ignore[index]
        texts=[row[side][1] for _, row in kept for side in sides],  # type: ignore[index]
        rows=[number for number, _ in kept for _ in sides],
        source=source,
    )
    faults = {fault.row: fault for fault in check_pictures(every, config).skipped}
    good = np.array([number not in faults for number, _ in kept], bool)
    kept = [entry for entry, fine in zip(kept, good.tolist(), strict=True) if fine]
    if not kept:
        raise CrossModalError(f"{source}: expected rows, found none")
    every = every.take(np.repeat(good, len(sides)))
    pictures = image_keys(every.images)
    number_of: dict[tuple[str | None, str | None], int] = {}
    ids = [number_of.setdefault(key, len(number_of)) for key in zip(pictures, every.texts, strict=True)]
    ends = np.array(ids, np.int64).reshape(-1, len(sides)).T
    # What two rows share is a picture where there is one (whatever is written beside it), else a text.
    things = column(picture or f"text:{text}" for picture, text in zip(pictures, every.texts, strict=True))
    components = connected_components(*things.reshape(-1, len(sides)).T.tolist())
    brought = [str(row["split"]) for _, row in kept] if has_split else None
    splits = split_rows(source, components, brought, config)
    items = every.take(np.unique(np.array(ids), return_index=True)[1])
    of_item: dict[int, str] = {}
    for side in ends:
        of_item.update(zip(side.tolist(), splits, strict=True))
    skipped = sorted([*bad.skipped, *faults.values()], key=lambda fault: fault.row)
    numeric = {name: np.array([row[name] for _, row in kept], np.float64) for name in given}
    return PairTable(
        items=replace(items, splits=column(of_item[index] for index in range(len(items)))),
        ends=ends,
        same=numeric.get("same"),
        score=numeric.get("score"),
        splits=column(splits),
        numbers=np.array([number for number, _ in kept], np.int64),
        skipped=skipped,
    )


def split_rows(source: str, components: list[str], brought: list[str] | None, config: DataConfig) -> list[str]:
    """Gives every row its split; connected rows get the same.

    Raises:
        CrossModalError: Where the splits that the data brings share an item, or everything is connected.
    """
    splits = list(brought) if brought is not None else ["train"] * len(components)
    seen: dict[str, str] = {}
    for component, split in zip(components, splits, strict=True):
        if seen.setdefault(component, split) != split:
            raise CrossModalError(
                f"{source}: rows connected with '{component}' are in {seen[component]} and in {split}, expected "
                "one split for rows that share items (drop the split column)"
            )
    if brought is None and config.test_share > 0:
        if len(set(components)) < 2:
            raise CrossModalError(f"{source}: all rows are connected by shared items, expected a split column")
        move(splits, components, "test", config.test_share, config.seed)
    if "validation" not in splits:
        move(splits, components, "validation", config.validation_share, config.seed)
    return splits


def move(splits: list[str], components: list[str], target: str, share: float, seed: int) -> None:
    """Moves about a share of the train rows into another split, by hash of their component; the largest stays."""
    sizes = Counter(component for component, split in zip(components, splits, strict=True) if split == "train")
    if share <= 0 or len(sizes) < 2:
        return
    largest = max(sizes, key=lambda component: (sizes[component], component))
    chosen: set[str] = set()
    wanted, taken = share * sum(sizes.values()), 0
    ranked = sorted(sizes.keys() - {largest}, key=lambda name: place_of(name, seed))
    # The last one is left over, so that three components are enough for three splits.
    for component in ranked[:-1] or ranked:
        if chosen and taken + sizes[component] / 2 > wanted:
            break
        chosen.add(component)
        taken += sizes[component]
    for row, component in enumerate(components):
        if component in chosen and splits[row] == "train":
            splits[row] = target
