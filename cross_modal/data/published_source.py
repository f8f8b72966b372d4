"""A published split file as a source: CoOp's ``split_zhou_….json``, its pictures beside it or in a folder below.

These files name pictures relative to a folder that the authors kept elsewhere, so the folder is found by looking: the
one beside the file, or the nearest below, in which the first picture stands.
"""

from __future__ import annotations

import re
from pathlib import Path

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError

DEPTH = 2  # folders below the file in which pictures are looked for
NUMBERED = re.compile(r" \(\d+\)$")  # the label behind a class name that two labels share


def read_published(source: str) -> Items:
    """Reads a split file of CoOp: every picture with its class, the class's name as text, and its split.

    Args:
        source: The JSON file.

    Returns:
        The items; train, validation and test hold the same classes, so that it is K-shot data.

    Raises:
        CrossModalError: If it is no such file, or its pictures are not found.
    """
    from cross_modal.fewshot.published_splits import read_coop_split

    split = read_coop_split(source)
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    rows = [
        (path, label, name) for name, pool in parts.items() for label, paths in sorted(pool.items()) for path in paths
    ]
    if not rows:
        raise CrossModalError(f"{source}: expected pictures, found none")
    folder = _folder_of(Path(source), rows[0][0])
    return Items.of(
        images=[str(folder / path) for path, _, _ in rows],
        texts=[NUMBERED.sub("", label).replace("_", " ") for _, label, _ in rows],
        labels=[label for _, label, _ in rows],
        splits=[name for _, _, name in rows],
        source=source,
    )


def _folder_of(source: Path, first: str) -> Path:
    """The folder that the paths are relative to."""
    level = [source.parent]
    for _ in range(DEPTH + 1):
        for folder in level:
            if (folder / first).is_file():
                return folder
        level = sorted(child for folder in level for child in folder.iterdir() if child.is_dir())
    raise CrossModalError(f"{source}: expected the picture {first} beside it or in a folder below, found it nowhere")
