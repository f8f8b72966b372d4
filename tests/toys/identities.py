"""Embeddings of identities (a centre each, items around it), and pictures of them in a gallery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from toys.clouds import unit

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items, content_hash
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import embed_images
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.cohort import ATTACHMENT, Cohort
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.item_ids import DIGITS
from cross_modal.gallery.schema import reference_table


def identities(
    count: int, items: int, dim: int = 16, *, noise: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(count · items, dim) float32 of length one, and their labels ("0000", …)."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(count, dim))
    owners = np.repeat(np.arange(count), items)
    rows = centres[owners] + noise * generator.normal(size=(len(owners), dim))
    return unit(rows).astype(np.float32), np.array([f"{owner:04d}" for owner in owners], object)


def write_identities(folder: Path, count: int, items: int, *, seed: int = 0, prefix: str = "p") -> pd.DataFrame:
    """16×16 pictures, those of one identity alike, and their table (image, label); also as manifest.csv."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for who in range(count):
        face = generator.integers(0, 256, (16, 16))
        for item in range(items):
            path = folder / f"{prefix}{who:02d}_{item}.png"
            noisy = np.clip(face + generator.normal(0, 6, (16, 16)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(path)
            rows.append((str(path), f"{prefix}{who:02d}"))
    table = pd.DataFrame(rows, columns=["image", "label"])
    table.to_csv(folder / "manifest.csv", index=False)
    return table


def write_gallery(location: Path, model: Path, table: pd.DataFrame, cohort: pd.DataFrame | None = None) -> Gallery:
    """A gallery of the saved model's embeddings of the pictures, with the others as its cohort."""
    twin, binding = Binding.of_folder(model)

    def embedded(rows: pd.DataFrame) -> np.ndarray:
        items = Items.of(images=rows["image"].tolist())
        return embed_images(twin, open_pictures(items, twin, DataConfig(workers=0)), np.arange(len(items)))

    gallery = Gallery.create(location, binding)
    gallery.upsert(
        reference_table(
            [Path(path).name for path in table["image"]],
            embedded(table),
            kinds="image",
            contents=[content_hash(path).hex()[: 2 * DIGITS] for path in table["image"]],
            binding=binding,
            labels=table["label"].tolist(),
            images=table["image"].tolist(),
        )
    )
    if cohort is not None:
        gallery.attach(ATTACHMENT, Cohort.of(embedded(cohort), cohort["label"].to_numpy(object)).to_bytes())
    return gallery
