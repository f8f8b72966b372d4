"""The shapes as manifests of labelled pairs and triplets, and settings that train on them in a second."""

import csv
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from toys.shapes import shapes

SETTINGS = {
    "twin": {
        "width": 16,
        "image": {"widths": [8, 16], "pools": 2, "size": 16},
        "text": {"width": 16, "layers": 1, "heads": 2},
        "pooling": {"queries": 2, "heads": 2},
    },
    "training": {"steps": 6, "validate_every": 3, "warm_up": 2, "log_every": 2},
    "pairs": {"batch": {"pairs": 16}},
}


def drawn_pairs(per_split: int = 80, seed: int = 0) -> list[tuple[int, int, int, str]]:
    """Rows of the shapes, by twos of one split: first, second, same, split."""
    items, random = shapes(6), np.random.default_rng(seed)
    found: dict[tuple[int, int], tuple[int, int, int, str]] = {}
    for split in ("train", "validation", "test"):
        rows = np.flatnonzero(items.splits == split)
        for number in range(per_split):
            first = int(random.choice(rows))
            fellows = rows[(items.labels[rows] == items.labels[first]) == (number % 2 == 0)]
            second = int(random.choice(fellows[fellows != first]))
            key = min(first, second), max(first, second)
            found[key] = (*key, 1 - number % 2, split)
    return list(found.values())


def write_pairs(folder: Path, *, picture_text: bool = False, per_split: int = 80) -> Path:
    """Writes `pairs.csv` (two pictures a row; or a picture and the name of a shape) and `pairs.yaml` with the settings.

    Returns:
        The settings, which name the data.
    """
    items = shapes(6)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for row, image in enumerate(items.images):
        Image.fromarray(image).save(folder / picture_of(row))
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_a", "text_b" if picture_text else "image_b", "same", "split"])
        for first, second, same, split in drawn_pairs(per_split):
            other = f"{items.texts[second]}, {split}" if picture_text else picture_of(second)
            table.writerow([picture_of(first), other, same, split])
    (folder / "pairs.yaml").write_text(yaml.safe_dump(SETTINGS | {"data": str(folder / "pairs.csv")}))
    return folder / "pairs.yaml"


def write_triplets(folder: Path, per_split: int = 40) -> Path:
    """Writes `triplets.csv` beside the pictures of `write_pairs`."""
    items, random = shapes(6), np.random.default_rng(0)
    with (folder / "triplets.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_anchor", "image_positive", "image_negative", "split"])
        for split in ("train", "validation", "test"):
            rows = np.flatnonzero(items.splits == split)
            for _ in range(per_split):
                anchor = int(random.choice(rows))
                alike = items.labels[rows] == items.labels[anchor]
                positive = int(random.choice(rows[alike & (rows != anchor)]))
                table.writerow([*map(picture_of, (anchor, positive, int(random.choice(rows[~alike])))), split])
    return folder / "triplets.csv"


def picture_of(row: int) -> str:
    """Path of a shape's picture, seen from the folder."""
    return f"pictures/{row:04d}.png"
