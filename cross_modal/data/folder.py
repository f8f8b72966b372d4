"""A folder of class folders: ``root/wren/a.png``, or ``root/train/wren/a.png`` where the data brings splits.

Class folders may be nested (``root/Greek/alpha/1.png``): the label is then the relative path "Greek/alpha".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cross_modal.data.items import Items
from cross_modal.data.splits import split_name
from cross_modal.errors import CrossModalError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")


def picture_files(root: Path) -> Iterator[Path]:
    """Every picture below a folder, sorted; hidden files and folders are passed over, links are followed once."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


def text_of(label: str) -> str:
    """What a class folder's name says.

    >>> text_of("Greek/small_letter_alpha")
    'Greek small letter alpha'
    """
    return " ".join(label.replace("_", " ").replace("/", " ").split())


def read_folder(source: str) -> Items:
    """Reads a folder of class folders.

    Args:
        source: The folder. Where every folder in it is called train, validation (or val) or test, these are the splits.

    Returns:
        The items; the label is the class folder's path, the text is the same in words.

    Raises:
        CrossModalError: Where there is no picture in a class folder, or a picture that is in none.
    """
    root = Path(source)
    tops = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    split_of = {name: split for name in tops if (split := split_name(name))}
    has_splits = bool(tops) and len(split_of) == len(tops)
    images: list[str] = []
    labels: list[str] = []
    splits: list[str] = []
    for file in picture_files(root):
        *folders, _ = file.relative_to(root).parts
        if has_splits and folders:
            splits.append(split_of[folders.pop(0)])
        if not folders:
            raise CrossModalError(f"{source}: expected pictures in class folders, found '{file}' in none")
        images.append(str(file))
        labels.append("/".join(folders))
    if not images:
        raise CrossModalError(f"{source}: expected class folders with pictures ({', '.join(SUFFIXES)}), found none")
    return Items.of(
        images=images,
        texts=[text_of(label) for label in labels],
        labels=labels,
        splits=splits if has_splits else None,
        source=source,
    )
