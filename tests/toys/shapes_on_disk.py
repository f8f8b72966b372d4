"""The shapes as a manifest of PNG files or as WebDataset shards, and the settings of a small twin for them."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from toys.shapes import experiment, shapes
from toys.shards_on_disk import write_shard


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
    return write_settings(folder, str(folder / "items.csv"))


def write_settings(folder: Path, source: str) -> Path:
    """Writes the settings as `shapes.yaml`."""
    settings = dataclasses.asdict(experiment())
    settings |= {"data": source, "evaluation": {"ways": [5], "shots": [0, 1], "episodes": 50}}
    (folder / "shapes.yaml").write_text(yaml.safe_dump(settings))
    return folder / "shapes.yaml"


def write_shape_shards(folder: Path, per_class: int = 4, shards: int = 5, bad: tuple[int, ...] = ()) -> Path:
    """Writes the shapes as `s-0.tar` … and the settings as `shapes.yaml`.

    Args:
        folder: Where.
        per_class: Pictures of each class.
        shards: How many.
        bad: Rows from 0 whose pictures are none.

    Returns:
        The settings: ``--config`` takes them, and with them the data.
    """
    items = shapes(per_class)
    for shard, rows in enumerate(np.array_split(np.arange(len(items)), shards)):
        members: dict[str, bytes] = {}
        for row in rows.tolist():
            content = io.BytesIO()
            Image.fromarray(items.images[row]).save(content, "PNG")
            members[f"{row:04d}.png"] = b"no image" if row in bad else content.getvalue()
            members[f"{row:04d}.txt"] = items.texts[row].encode()
            members[f"{row:04d}.json"] = json.dumps({"label": items.labels[row], "split": items.splits[row]}).encode()
        write_shard(folder / f"s-{shard}.tar", members)
    return write_settings(folder, f"webdataset:{folder}/s-*.tar")
