"""Pictures of one colour each, named by it, and a model that embeds colours: what an evaluation can be sure of."""

import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

NAMES = ("red", "green", "blue", "yellow", "cyan", "magenta", "white", "black")
COLOURS = {
    name: np.array(values, np.float32)
    for name, values in zip(
        NAMES, [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1), (0, 0, 0)], strict=True
    )
}


def picture(name: str, number: int, noise: int = 30) -> bytes:
    """A PNG of about this colour; every number gives another."""
    generator = np.random.default_rng([NAMES.index(name), number])
    shade = np.abs(255 * COLOURS[name] - generator.integers(0, noise + 1, 3))
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def colour_table(classes: int = 6, pictures: int = 8, noise: int = 30) -> pd.DataFrame:
    """Columns image, text, label; one row a picture."""
    rows = [(picture(name, number, noise), name, name) for name in NAMES[:classes] for number in range(pictures)]
    return pd.DataFrame(rows, columns=["image", "text", "label"])


class ColourModel:
    """Answers ``task="embed"`` like a served twin: the mean colour of a picture, the colour that a word names.

    Attributes:
        calls: The columns and the number of rows of every call.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        assert params == {"task": "embed"}
        assert list(frame.columns) in (["image"], ["text"])
        name = frame.columns[0]
        self.calls.append((name, len(frame)))
        embed = self._of_picture if name == "image" else self._of_word
        rows = [(embed(cell) - 0.5).tolist() for cell in frame[name]]
        return pd.DataFrame({"embedding": pd.Series(rows, dtype=object), "row": np.arange(len(frame))})

    @staticmethod
    def _of_picture(content: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(content)), np.float32).mean((0, 1)) / 255

    @staticmethod
    def _of_word(word: str) -> np.ndarray:
        return COLOURS[word]
