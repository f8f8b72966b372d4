"""What manifests of pairs and of triplets share: rows that name several items, and splits of connected rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItem, BadItems
from cross_modal.data.components import connected_components
from cross_modal.data.items import Items, column, image_keys
from cross_modal.data.manifest import TRUTHS, Row, check_columns, image_cell, read_table, text_cell
from cross_modal.data.pair_splits import check_brought, groups_of_items, split_rows
from cross_modal.data.sources import check_pictures
from cross_modal.data.splits import split_name
from cross_modal.data.together import ALONE, Together
from cross_modal.errors import CrossModalError

Key = tuple[str | None, str | None]  # picture and text of an item, by which equal items are one


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
        groups: (M,) object, the group of each row (a writer, a source) or None; None without such a column.
        skipped: Rows that were left out.
    """

    items: Items
    ends: np.ndarray
    same: np.ndarray | None
    score: np.ndarray | None
    splits: np.ndarray
    numbers: np.ndarray
    groups: np.ndarray | None
    skipped: list[BadItem]


def ends_of(sides: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that name items.

    >>> ends_of(("a", "b"))
    ('image_a', 'text_a', 'image_b', 'text_b')
    """
    return tuple(f"{modality}_{side}" for side in sides for modality in ("image", "text"))


def read_pair_table(
    source: str, sides: tuple[str, ...], values: tuple[str, ...], config: DataConfig, together: Together = ALONE
) -> PairTable:
    """Reads a manifest whose rows name several items.

    Args:
        source: A .csv, .tsv, .parquet or .jsonl file.
        sides: The sides of a row, e.g. ("a", "b").
        values: The columns of which a row has exactly one ("same", "score"), or none.
        config: Shares, seed and policy.
        together: The processes that read it: each picture is looked at by one of them.

    Returns:
        The table, every row with its split.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    path = Path(source)
    columns, rows = read_table(path)
    check_columns(path.name, columns, (*ends_of(sides), *values, "split", "group"))
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
            cells = row_of(row, sides, given, "split" in columns, path.parent)
            kept.append((number, cells | ({"group": text_cell(row.get("group"))} if "group" in columns else {})))
        except ValueError as error:
            bad.add(number, f"{path.name} row {number}", str(error))
    return assemble(source, sides, given, "split" in columns, kept, bad, config, together)


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
    together: Together = ALONE,
) -> PairTable:
    """Joins equal items, drops rows with bad pictures or one item on two sides, and splits."""
    every, kept, keys, faults = _good_rows(source, sides, kept, bad, config, together)
    if not kept:
        raise CrossModalError(f"{source}: expected rows, found none")
    number_of: dict[Key, int] = {}
    ids = np.array([number_of.setdefault(key, len(number_of)) for key in keys], np.int64)
    ends, numbers = ids.reshape(-1, len(sides)).T, [number for number, _ in kept]
    groups = column(row["group"] for _, row in kept) if "group" in kept[0][1] else None
    # What two rows share is a picture where there is one (whatever is written beside it), else a text.
    things = column(picture or f"text:{text}" for picture, text in keys).reshape(-1, len(sides)).T.tolist()
    brought = [str(row["split"]) for _, row in kept] if has_split else None
    if brought is None and groups is not None:  # a group is not torn apart either
        things.append([None if group is None else f"group:{group}" for group in groups.tolist()])
    components = connected_components(*things)
    if brought is not None:
        check_brought(source, components, brought, numbers)
    splits = split_rows(source, components, brought, config)
    items = every.take(np.unique(ids, return_index=True)[1])
    of_item: dict[int, str] = {}
    for side in ends:
        of_item.update(zip(side.tolist(), splits, strict=True))
    numeric = {name: np.array([row[name] for _, row in kept], np.float64) for name in given}
    return PairTable(
        items=replace(
            items,
            splits=column(of_item[index] for index in range(len(items))),
            groups=None if groups is None else groups_of_items(ends, groups, len(items)),
        ),
        ends=ends,
        same=numeric.get("same"),
        score=numeric.get("score"),
        splits=column(splits),
        numbers=np.array(numbers, np.int64),
        groups=groups,
        skipped=sorted([*bad.skipped, *faults], key=lambda fault: fault.row),
    )


def _good_rows(
    source: str,
    sides: tuple[str, ...],
    kept: list[tuple[int, Row]],
    bad: BadItems,
    config: DataConfig,
    together: Together,
) -> tuple[Items, list[tuple[int, Row]], list[Key], list[BadItem]]:
    """The rows whose pictures can be read and whose items differ, side by side; with what tells their items apart."""
    every = Items.of(
        images=[row[side][0] for _, row in kept for side in sides],  # type: ignore[index]
        texts=[row[side][1] for _, row in kept for side in sides],  # type: ignore[index]
        rows=[number for number, _ in kept for _ in sides],
        source=source,
    )
    faults = {fault.row: fault for fault in check_pictures(every, config, together).skipped}
    good = np.array([number not in faults for number, _ in kept], bool)
    every, kept = every.take(np.repeat(good, len(sides))), list(compress(kept, good.tolist()))
    # Spaces at either end tell no texts apart: no tokenizer sees them.
    texts = [None if text is None else text.strip() for text in every.texts.tolist()]
    keys: list[Key] = list(zip(image_keys(every.images, source), texts, strict=True))
    starts = range(0, len(keys), len(sides))
    distinct = [
        _are_distinct(source, number, sides, keys[start : start + len(sides)], bad)
        for start, (number, _) in zip(starts, kept, strict=True)
    ]
    wanted = np.repeat(np.array(distinct, bool), len(sides))
    return every.take(wanted), list(compress(kept, distinct)), list(compress(keys, wanted.tolist())), [*faults.values()]


def _are_distinct(source: str, number: int, sides: tuple[str, ...], keys: list[Key], bad: BadItems) -> bool:
    """Whether no item stands twice in a row; a row that names one twice is bad."""
    for place, key in enumerate(keys):
        if key in keys[:place]:
            first = sides[keys.index(key)]
            shown = f"the text '{str(key[1])[:60]}'" if key[0] is None else f"the picture '{Path(key[0]).name}'"
            reason = f"expected different items on the sides {first} and {sides[place]}, found {shown} on both"
            bad.add(number, f"{Path(source).name} row {number}", reason)
            return False
    return True
