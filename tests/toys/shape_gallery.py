"""A gallery of shapes whose pictures are files, with class texts, further columns, a forgery and a cohort if asked."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from toys.shapes import KINDS, picture
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import PLAIN

from cross_modal.data.items import Items, column
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.cohort import ATTACHMENT, Cohort
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items


def write_shapes(folder: Path, *, per_class: int = 6, seed: int = 0) -> list[dict[str, str]]:
    """Writes pictures of eight classes; the rows of their manifest."""
    random = np.random.default_rng(seed)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = []
    for kind, name in enumerate(KINDS):
        for number in range(per_class):
            path = folder / "pictures" / f"{seed}-{name}-{number}.png"
            Image.fromarray(picture(kind, 5, random)).save(path)
            rows.append({"image": str(path), "text": f"a {name}", "label": name})
    return rows


def write_shape_gallery(folder: Path, *, cohort: bool = False, normalise: bool = True) -> Path:
    """Saves the tiny twin as `model` and indexes the shapes with their texts; `box` 5 is a forgery.

    Args:
        folder: Where to.
        cohort: Attach directions drawn at random, of 50 identities.
        normalise: Of the twin: cosine, or Euclidean distance.

    Returns:
        The gallery; beside it `pictures/1-….png` are shapes that it does not hold.
    """
    untrained = tiny_twin()
    untrained.normalise = untrained.config.normalise = normalise
    model = save_twin(untrained, folder / "model")
    twin, binding = Binding.of_folder(model, str(model))
    rows = write_shapes(folder)
    new = write_shapes(folder, per_class=2, seed=1)
    items = Items.of(
        images=column([row["image"] for row in rows]),
        texts=[row["text"] for row in rows],
        labels=[row["label"] for row in rows],
        splits=["test" if row["image"].endswith(("0.png", "1.png")) else "train" for row in rows],
        genuine=["box-5" not in row["image"] for row in rows],
        source=str(folder / "shapes.csv"),
    )
    with Gallery.create(folder / "shapes.gallery", binding) as gallery:
        index_items(gallery, twin, items, IndexConfig(of="each"), PLAIN)
        if cohort:
            vectors = np.random.default_rng(0).normal(size=(200, binding.dim)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            labels = np.repeat([f"nobody {number}" for number in range(50)], 4).astype(object)
            gallery.attach(ATTACHMENT, Cohort.of(vectors, labels).to_bytes())
    with (folder / "new.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "text", "label"])
        writer.writeheader()
        writer.writerows(new)
    return folder / "shapes.gallery"
