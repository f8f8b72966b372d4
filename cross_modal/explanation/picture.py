"""Explanations as pictures: maps over photographs, links between two of them, weights under the letters of a text.

A picture keeps its own proportions; a map is laid on that part of it which the model saw (all of it, the middle square,
or all of it inside a square with black edges). Where the model did not look, nothing is tinted.

Colours: maps that only say how much use "viridis", signed ones use "PuOr" with nought in the middle; both are even in
lightness and told apart by people who see few colours.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cross_modal.data.decode import Resize, decode
from cross_modal.errors import CrossModalError
from cross_modal.explanation.token_similarity import Link

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

STRENGTH = 0.7  # opacity of a map where it is largest
SIDE = 4.0  # inches of a picture's longer side
DPI = 100
EVEN, SIGNED = "viridis", "PuOr_r"
BRIGHT = 0.32  # how far a signed map goes from the middle of its colours: their ends are too dark to see on black
FULL = 0.98  # share of a map's values below full colour
PALE = 0.2, 0.6  # darkest grey of a picture under a map, and how far from it the lightest is
_INK = "#222222"


@dataclass(frozen=True)
class Placement:
    """Which part of a picture the model's square shows, in the picture's pixels; may reach beyond it ("pad").

    Attributes:
        left: Left edge.
        top: Upper edge.
        width: Of the part.
        height: Of the part.
    """

    left: float
    top: float
    width: float
    height: float

    def centre(self, cell: int, grid: tuple[int, int]) -> tuple[float, float]:
        """X and y of the middle of a cell of a map, counted row by row."""
        row, column = divmod(cell, grid[1])
        return self.left + (column + 0.5) * self.width / grid[1], self.top + (row + 0.5) * self.height / grid[0]


def placement(width: int, height: int, resize: Resize) -> Placement:
    """Where the model's square lies on a picture.

    Args:
        width: Of the picture.
        height: Of the picture.
        resize: How the trunk makes a square of it (`twin.image.resize`).

    >>> placement(200, 100, "crop")
    Placement(left=50.0, top=0.0, width=100, height=100)
    """
    if resize == "squash":
        return Placement(0.0, 0.0, width, height)
    side = min(width, height) if resize == "crop" else max(width, height)
    return Placement((width - side) / 2, (height - side) / 2, side, side)


def map_picture(
    image: str | bytes | np.ndarray,
    values: np.ndarray,
    resize: Resize = "squash",
    *,
    title: str = "",
    inches: float = SIDE,
) -> bytes:
    """A map over a picture, as PNG.

    Args:
        image: Path, bytes or uint8 array.
        values: (h, w) float. Where any is negative, colours are signed, with nought untinted.
        resize: How the trunk makes a square of it.
        title: Written above.
        inches: Of the picture's longer side, at 100 pixels an inch.

    Raises:
        CrossModalError: The picture cannot be decoded, or the map is none.
    """
    pixels = _decoded(image)
    figure, (axes,) = _canvas([pixels], inches, title)
    _lay(axes, pixels, values, resize)
    return _png(figure)


def links_picture(
    a: str | bytes | np.ndarray,
    b: str | bytes | np.ndarray,
    links: Sequence[Link],
    grids: tuple[tuple[int, int], tuple[int, int]],
    resize: Resize = "squash",
    *,
    title: str = "",
    inches: float = SIDE,
) -> bytes:
    """Two pictures side by side with lines between the places that choose each other, as PNG.

    Args:
        a: The left picture.
        b: The right one.
        links: Pairs of places, numbers counted row by row.
        grids: h and w of the places of each.
        resize: How the trunk makes squares of them.
        title: Written above.
        inches: Of a picture's longer side.
    """
    from matplotlib.patches import ConnectionPatch

    pixels = [_decoded(a), _decoded(b)]
    figure, (left, right) = _canvas(pixels, inches, title)
    for axes, picture in zip((left, right), pixels, strict=True):
        axes.imshow(_pale(picture))
    colours = _colours(EVEN)
    for rank, link in enumerate(links):
        ends = [
            placement(picture.shape[1], picture.shape[0], resize).centre(cell, grid)
            for picture, cell, grid in zip(pixels, (link.a, link.b), grids, strict=True)
        ]
        colour = colours((rank + 0.5) / len(links))
        bent = f"arc3,rad={(0.06, -0.06, 0.12, -0.12)[rank % 4]}"  # lines along one row of places are told apart
        line = ConnectionPatch(ends[0], ends[1], "data", "data", axesA=left, axesB=right, connectionstyle=bent)
        line.set(color=colour, linewidth=1.8, zorder=5, fill=False)
        figure.add_artist(line)
        for axes, end in zip((left, right), ends, strict=True):
            axes.plot(*end, "o", color=colour, markersize=6, markeredgecolor="white", markeredgewidth=1)
    return _png(figure)


def text_picture(words: Sequence[str], values: np.ndarray, *, title: str = "", inches: float = 2 * SIDE) -> bytes:
    """A text with a tint behind each word, as PNG.

    Args:
        words: The words, or pieces.
        values: (n,) float, one for each; where any is negative, colours are signed.
        title: Written above.
        inches: Width.

    Raises:
        CrossModalError: Not one value for each word.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (len(words),):
        raise CrossModalError(f"text: expected a value for each of {len(words)} words, found {values.shape}")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(inches, 1), dpi=DPI)
    tints, opacity = _tints(values)
    signed = bool((values < 0).any())
    numbers = [f"{value:+.3f}" if signed else f"{value:.0%}" for value in values]
    lines = _lines(figure, words, numbers, inches * DPI - 40)
    top = 34 if title else 14
    height = top + 46 * max(len(lines), 1)
    figure.set_size_inches(inches, height / DPI)
    if title:
        figure.text(20 / (inches * DPI), 1 - 20 / height, title, fontsize=11, color=_INK, parse_math=False)
    for row, line in enumerate(lines):
        for number, x in line:
            colour = (*tints[number][:3], float(opacity[number]) * STRENGTH)
            place = (x + 20) / (inches * DPI), 1 - (top + 46 * row + 22) / height
            figure.text(
                *place, words[number], fontsize=14, color=_INK, va="center", parse_math=False,
                bbox={"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": "none"},
            )  # fmt: skip
            figure.text(place[0], place[1] - 21 / height, numbers[number], fontsize=7.5, color=_INK, va="center")
    return _png(figure)


def overlay(image: np.ndarray, values: np.ndarray, resize: Resize = "squash") -> np.ndarray:
    """The tint of a map over a picture, smoothed, at the picture's size.

    Args:
        image: (H, W, C) uint8.
        values: (h, w) float.
        resize: How the trunk made a square of it.

    Returns:
        (H, W, 4) float32 in [0, 1]: colour and opacity, nought where the model did not look.
    """
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise CrossModalError(f"map: expected finite values (h, w), found {values.shape}")
    height, width = image.shape[:2]
    part = placement(width, height, resize)
    size = (max(round(part.width), 1), max(round(part.height), 1))
    smooth = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
    tints, opacity = _tints(smooth, like=values)
    whole = np.zeros((height, width, 4), np.float32)
    left, top = round(part.left), round(part.top)
    rows, columns = slice(max(top, 0), min(top + size[1], height)), slice(max(left, 0), min(left + size[0], width))
    inner = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    whole[rows, columns, :3] = tints[inner][..., :3]
    whole[rows, columns, 3] = opacity[inner] * STRENGTH
    return whole


def _tints(values: np.ndarray, like: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Colours (…, 4) and opacities (…) in [0, 1] of values, scaled by all but the largest (of `like`)."""
    scale = values if like is None else like
    # one bright place must not hide all others
    largest = float(np.quantile(np.abs(scale), FULL) if scale.size else 0) or float(np.abs(scale).max(initial=0)) or 1.0
    share = np.clip(values / largest, -1, 1)
    if (scale < 0).any():
        return _colours(SIGNED)(0.5 + BRIGHT * share), np.abs(share) ** 0.75
    return _colours(EVEN)(share), share


def _lay(axes: Axes, pixels: np.ndarray, values: np.ndarray, resize: Resize) -> None:
    axes.imshow(_pale(pixels))
    axes.imshow(overlay(pixels, values, resize), interpolation="bilinear")


def _decoded(image: str | bytes | np.ndarray) -> np.ndarray:
    return decode(image, channels=3)


def _pale(pixels: np.ndarray) -> np.ndarray:
    """Washed out to grey, so that the only colours are the map's, and these show on black and white alike."""
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat((PALE[0] + PALE[1] * grey / 255)[..., None], 3, axis=2)


def _canvas(pictures: Sequence[np.ndarray], inches: float, title: str) -> tuple[Figure, list[Axes]]:
    """A figure whose axes have the pictures' proportions, pixel for pixel."""
    from matplotlib.figure import Figure

    sizes = [np.array(each.shape[1::-1]) / max(each.shape[:2]) * inches for each in pictures]
    gap, head = 0.4, 0.35 if title else 0.0
    width, height = sum(size[0] for size in sizes) + gap * (len(sizes) - 1), max(size[1] for size in sizes) + head
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes, left = [], 0.0
    for size in sizes:
        bottom = (height - head - size[1]) / 2
        one = figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
        one.set_axis_off()
        axes.append(one)
        left += size[0] + gap
    if title:
        figure.text(0.01, 1 - 0.17 / height, title, fontsize=10, color=_INK, va="center", parse_math=False)
    return figure, axes


def _lines(figure: Figure, words: Sequence[str], numbers: Sequence[str], width: float) -> list[list[tuple[int, float]]]:
    """Words set in lines: numbers with the pixel at which each begins."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    lines: list[list[tuple[int, float]]] = [[]]
    at = 0.0
    for number, word in enumerate(words):
        texts = [
            figure.text(0, 0, word, fontsize=14, parse_math=False),
            figure.text(0, 0, numbers[number], fontsize=7.5),
        ]
        length = max(text.get_window_extent(renderer).width for text in texts) + 20
        for text in texts:
            text.remove()
        if at and at + length > width:
            lines.append([])
            at = 0.0
        lines[-1].append((number, at))
        at += length
    return lines


def _colours(name: str) -> Colormap:
    from matplotlib import colormaps

    return colormaps[name]


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor="white")
    return file.getvalue()
