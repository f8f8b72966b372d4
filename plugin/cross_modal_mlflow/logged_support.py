"""A support set as embeddings with labels: what a request brought, or what lies in a model's folder.

Logged with a model, it answers requests that bring no support of their own (Spark's among them). In the folder are
`support.safetensors` (the embeddings) and `support.json` (everything else, with a digest of the weights that made
them: embeddings of one twin mean nothing to another). No pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.embed_items import embed_items, image_rows, open_pictures, text_rows
from cross_modal.encoders.feature_description import weights_digest
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

FORMAT = 1
EMBEDDINGS, DESCRIPTION = "support.safetensors", "support.json"


@dataclass(frozen=True)
class LoggedSupport:
    """Support embeddings and how to classify with them.

    Attributes:
        images: (N, dim) float32.
        image_labels: (N,) the class of each picture.
        texts: (T, dim) float32.
        text_labels: (T,) the class of each text; a class may have several.
        image_rows: (N,) int: the row or item that each picture came from.
        text_rows: (T,) int, likewise.
        method: Name of a few-shot classifier; None takes the server's choice.
        parameters: Its hyper-parameters.
        threshold: The score below which a query is none of the classes; None where none was calibrated.
        temperature: What scores are divided by before they become probabilities; None where none was calibrated.
        digest: `weights_digest` of the twin; "" where none is known.
    """

    images: np.ndarray
    image_labels: Sequence[str]
    texts: np.ndarray
    text_labels: Sequence[str]
    image_rows: Sequence[int]
    text_rows: Sequence[int]
    method: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    temperature: float | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        """Checks that columns are aligned, labels are text and the method is known.

        Raises:
            CrossModalError: They are not.
        """
        for name in ("image", "text"):
            rows = getattr(self, f"{name}s")
            if rows.ndim != 2 or rows.dtype != np.float32 or not np.isfinite(rows).all():
                found = f"{rows.dtype} of shape {rows.shape}"
                raise CrossModalError(f"support: expected finite float32 {name}s (N, dim), found {found}")
            for column in ("labels", "rows"):
                count = len(getattr(self, f"{name}_{column}"))
                if count != len(rows):
                    raise CrossModalError(f"support: expected {len(rows)} {name}_{column}, found {count}")
        if self.images.shape[1] != self.texts.shape[1]:
            raise CrossModalError(
                f"support: expected images and texts of one width, found {self.images.shape[1]} and "
                f"{self.texts.shape[1]}"
            )
        if not len(self):
            raise CrossModalError("support: expected at least one picture or text, found none")
        if not all(isinstance(label, str) for label in (*self.image_labels, *self.text_labels)):
            raise CrossModalError("support: expected labels that are text, found others")
        if self.method is not None:
            from cross_modal.fewshot.classifiers import METHODS

            if self.method not in METHODS:
                raise CrossModalError(f"support.method: expected one of {', '.join(METHODS)}, found {self.method!r}")

    def __len__(self) -> int:
        return len(self.images) + len(self.texts)

    def save(self, folder: str | Path) -> Path:
        """Writes the support.

        Args:
            folder: The folder to make; files of an earlier support are replaced.

        Returns:
            The folder.
        """
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"images": np.ascontiguousarray(self.images), "texts": np.ascontiguousarray(self.texts)}
        save_file(arrays, folder / EMBEDDINGS)
        description = {
            "format": FORMAT,
            "image_labels": list(self.image_labels),
            "text_labels": list(self.text_labels),
            "image_rows": [int(row) for row in self.image_rows],
            "text_rows": [int(row) for row in self.text_rows],
            "method": self.method,
            "parameters": dict(self.parameters),
            "threshold": self.threshold,
            "temperature": self.temperature,
            "model": self.digest,
        }
        text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> LoggedSupport:
        """Reads a support.

        Args:
            folder: Its folder.

        Raises:
            CrossModalError: There is none, it is damaged, or comes from a later format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            arrays = load_file(folder / EMBEDDINGS)
        except FileNotFoundError as error:
            raise CrossModalError(
                f"{folder}: expected {DESCRIPTION} and {EMBEDDINGS}, found no {error.filename}"
            ) from None
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).split("\n", 1)[0]
            raise CrossModalError(f"{folder}: expected a support set that can be read, found {reason}") from None
        found = description.get("format") if isinstance(description, dict) else None
        if found != FORMAT:
            raise CrossModalError(f"{folder / DESCRIPTION}: expected a support of format {FORMAT}, found {found!r}")
        try:
            return cls(
                arrays["images"],
                description["image_labels"],
                arrays["texts"],
                description["text_labels"],
                description["image_rows"],
                description["text_rows"],
                description["method"],
                description["parameters"],
                description["threshold"],
                description["temperature"],
                description["model"],
            )
        except (KeyError, TypeError) as error:
            raise CrossModalError(f"{folder}: expected a support set, found no {error}") from None

    def check_twin(self, twin: TwinEncoder) -> None:
        """Checks that this twin made the embeddings.

        Raises:
            CrossModalError: Another one did.
        """
        if self.images.shape[1] != twin.dim:
            raise CrossModalError(f"support: expected embeddings of width {twin.dim}, found {self.images.shape[1]}")
        if self.digest and self.digest != weights_digest(twin):
            raise CrossModalError(
                f"support: expected embeddings of this twin, found those of another (weights {self.digest[:12]}…); "
                "encode the support anew"
            )


def encode_support(
    twin: TwinEncoder,
    items: Items,
    *,
    method: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    threshold: float | None = None,
    temperature: float | None = None,
    config: DataConfig | None = None,
) -> LoggedSupport:
    """Embeds items that are to be a model's own support set.

    Args:
        twin: The twin.
        items: The items; without labels their texts (or pictures) are their classes. Forgeries are left out.
        method: Name of the few-shot classifier to use with them; None takes prototypes.
        parameters: Its hyper-parameters.
        threshold: The calibrated score below which a query is none of the classes.
        temperature: The calibrated temperature of its probabilities.
        config: How pictures are read.

    Returns:
        The support: each distinct picture and each distinct text of each class once.

    Raises:
        CrossModalError: The twin has no trunk for anything in the items, or a picture cannot be read.
    """
    if items.genuine is not None:
        items = items.take(items.genuine)
    pictures = open_pictures(items, twin, config or DataConfig()) if twin.image is not None else None
    embedded = embed_items(twin, items, pictures)
    images, texts = image_rows(items, twin), text_rows(items, twin)
    nothing = np.zeros((0, twin.dim), np.float32)

    def labels(rows: np.ndarray) -> list[str]:
        of_items = items.keys if items.labels is None else items.labels
        return [str(of_items[row]) for row in rows]

    return LoggedSupport(
        nothing if embedded.images is None else embedded.images,
        labels(images),
        nothing if embedded.texts is None else embedded.texts,
        labels(texts),
        images.tolist(),
        texts.tolist(),
        method,
        dict(parameters or {}),
        threshold,
        temperature,
        weights_digest(twin),
    )
