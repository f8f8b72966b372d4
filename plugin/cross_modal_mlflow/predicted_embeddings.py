"""Embeddings of a table's pictures and texts, from a pyfunc model or from a column that the table brings.

A model is asked through its public door, ``predict(frame, params={"task": "embed"})``, so that a URI, a loaded pyfunc,
a model in an environment of its own and a plain function are all the same. Equal pictures and equal texts are sent
once; a picture and the text beside it are sent as two rows, since they are compared with each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import check_embeddings
from cross_modal_mlflow.items_table import encoded

OUTPUTS = ("embedding", "embeddings", "predictions", "output", "0")


@dataclass(frozen=True)
class ItemEmbeddings:
    """Items with the embeddings of their distinct pictures and texts.

    Attributes:
        items: The items.
        images: (P, dim) float32, or None without pictures.
        image_of: (N,) int64 row of `images` of each item; −1 where it has no picture.
        texts: (T, dim) float32, or None without texts.
        text_of: (N,) int64 row of `texts` of each item; −1 where it has no text.
    """

    items: Items
    images: np.ndarray | None
    image_of: np.ndarray
    texts: np.ndarray | None
    text_of: np.ndarray

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        found = self.images if self.images is not None else self.texts
        assert found is not None
        return found.shape[1]

    def take(self, rows: np.ndarray) -> ItemEmbeddings:
        """Some of the items; the embeddings stay where they are."""
        return replace(self, items=self.items.take(rows), image_of=self.image_of[rows], text_of=self.text_of[rows])

    def of_items(self) -> np.ndarray:
        """(N, dim) float32, one an item: its picture's, or its text's where it has no picture."""
        rows = np.full((len(self.items), self.dim), np.nan, np.float32)
        for values, places in ((self.texts, self.text_of), (self.images, self.image_of)):
            if values is not None:
                rows[places >= 0] = values[places[places >= 0]]
        return rows


def embed_by_model(model: Any, items: Items, *, batch: int = 256, output: str | None = None) -> ItemEmbeddings:
    """Asks a model for the embeddings.

    Args:
        model: Something with MLflow's `predict(frame, params)`.
        items: The items.
        batch: Rows of one call.
        output: The column of the answer that holds the embeddings; None finds it.

    Raises:
        CrossModalError: The model refuses, or answers something else than an embedding a row.
    """
    image_rows, image_of = _distinct(items.image_ids.tolist(), items.has_image)
    text_rows, text_of = _distinct(items.texts.tolist(), items.has_text)
    images = _ask(model, "image", image_rows, lambda row: encoded(items.images[row]), batch, output)
    texts = _ask(model, "text", text_rows, lambda row: str(items.texts[row]), batch, output)
    if images is not None and texts is not None and images.shape[1] != texts.shape[1]:
        raise CrossModalError(f"model: pictures have {images.shape[1]} dimensions and texts {texts.shape[1]}")
    return ItemEmbeddings(items, images, image_of, texts, text_of)


def embeddings_of_column(items: Items, cells: Sequence[Any]) -> ItemEmbeddings:
    """Takes the embeddings that the table brings, one a row: of its text where it has no picture, else of its picture.

    Args:
        items: The items.
        cells: (N,) embeddings, each a list of numbers.

    Raises:
        CrossModalError: A cell is no list of finite numbers of the common length.
    """
    rows = as_embeddings(list(cells), len(items), "predictions")
    of_text = items.has_text & ~items.has_image
    image_of, text_of = (np.where(mask, np.cumsum(mask) - 1, -1) for mask in (~of_text, of_text))
    return ItemEmbeddings(
        items,
        rows[~of_text] if (~of_text).any() else None,
        image_of,
        rows[of_text] if of_text.any() else None,
        text_of,
    )


def as_embeddings(answer: Any, count: int, name: str, output: str | None = None) -> np.ndarray:
    """An answer as embeddings.

    Args:
        answer: A frame with a column of lists or one column a dimension, an array, a Series or a list.
        count: How many rows were asked for.
        name: Whom the message names.
        output: The frame's column; None finds it.

    Returns:
        (count, dim) float32.

    Raises:
        CrossModalError: It is something else.

    >>> as_embeddings([[1, 2], [3, 4]], 2, "model").shape
    (2, 2)
    """
    cells = _cells(answer, name, output)
    try:
        rows = np.array([np.asarray(cell, np.float32) for cell in cells])
    except (TypeError, ValueError):
        raise CrossModalError(f"{name}: expected {count} embeddings of one length, found something else") from None
    if rows.ndim != 2 or len(rows) != count:
        raise CrossModalError(f"{name}: expected {count} embeddings (rows, dim), found shape {rows.shape}")
    return check_embeddings(name, rows)


def _cells(answer: Any, name: str, output: str | None) -> Any:
    if not hasattr(answer, "columns"):
        return answer.tolist() if hasattr(answer, "tolist") else answer
    columns = [str(each) for each in answer.columns]
    if output is not None and output not in columns:
        raise CrossModalError(f"{name}: expected a column {output!r} in its answer, found {', '.join(columns)}")
    for candidate in OUTPUTS if output is None else (output,):
        if candidate in columns:
            cells = answer.iloc[:, columns.index(candidate)]
            if cells.map(np.ndim).eq(1).all():
                return cells.tolist()
    if all(kind.kind in "fiu" for kind in answer.dtypes):
        return answer.to_numpy(np.float32)  # one column a dimension
    raise CrossModalError(f"{name}: expected a column of embeddings in its answer, found {', '.join(columns)}")


def _distinct(keys: list[Any], present: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The first row of each distinct thing, and which of them each row has (−1 for none)."""
    number: dict[Any, int] = {}
    rows: list[int] = []
    of = np.full(len(keys), -1, np.int64)
    for row in np.flatnonzero(present).tolist():
        place = number.setdefault(keys[row], len(rows))
        if place == len(rows):
            rows.append(row)
        of[row] = place
    return rows, of


def _ask(
    model: Any, name: str, rows: list[int], cell: Callable[[int], Any], batch: int, output: str | None
) -> np.ndarray | None:
    """The embeddings of one column of some rows, a batch a call; None where there is nothing to embed."""
    import pandas as pd
    from mlflow.exceptions import MlflowException

    parts = []
    for start in range(0, len(rows), batch):
        asked = rows[start : start + batch]
        frame = pd.DataFrame({name: pd.Series([cell(row) for row in asked], dtype=object)})
        try:
            answer = model.predict(frame, params={"task": "embed"})
        except MlflowException as error:
            raise CrossModalError(f"model: refused to embed {name}s: {_of_table(error.message, asked)}") from error
        parts.append(as_embeddings(answer, len(asked), f"model, {name}s", output))
    return np.concatenate(parts) if parts else None


def _of_table(message: str, rows: list[int]) -> str:
    """A model counts the rows of its batch; whoever reads the message has the table."""

    def renamed(found: re.Match[str]) -> str:
        place = int(found[1])
        return f"row {rows[place]}" if place < len(rows) else found[0]

    return re.sub(r"\brow (\d+)", renamed, message)
