"""The shapes as a manifest of PNG files, and the settings of a twin that learns a little of them in a second."""

import dataclasses
from pathlib import Path

import pandas as pd
import yaml
from PIL import Image
from toys.shapes import experiment, shapes


def write_shapes(folder: Path, per_class: int = 6) -> Path:
    """Writes `items.csv` with the splits of `toys.shapes` and the settings as `shapes.yaml`.

    Returns:
        The settings: ``--config`` takes them, and with them the data.
    """
    items = shapes(per_class)
    (folder / "pictures").mkdir(parents=True)
    rows = []
    for row, (image, text, label, split) in enumerate(
        zip(items.images, items.texts, items.labels, items.splits, strict=True)
    ):
        name = f"pictures/{row:04d}.png"
        Image.fromarray(image).save(folder / name)
        rows.append((name, text, label, split))
    pd.DataFrame(rows, columns=["image", "text", "label", "split"]).to_csv(folder / "items.csv", index=False)
    settings = dataclasses.asdict(experiment())
    settings |= {"data": str(folder / "items.csv"), "evaluation": {"ways": [5], "shots": [0, 1], "episodes": 50}}
    (folder / "shapes.yaml").write_text(yaml.safe_dump(settings))
    return folder / "shapes.yaml"
