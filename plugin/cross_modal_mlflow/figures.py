"""Figures of a run: the curves of the loss and the health gauges, and the confusion of the hardest classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_INK, _GRID, _COLOURS = (
    "#1f2933",
    "#e4e7eb",
    ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#0891b2", "#ca8a04"),
)
History = Sequence[tuple[int, dict[str, float]]]


def curves(history: History) -> Figure:
    """Loss, validation scores and health gauges over the steps, one panel each.

    Args:
        history: (step, metrics) in the order in which they came.

    Returns:
        The figure; panels without data are left out.
    """
    panels: list[tuple[str, Callable[[str], bool]]] = [
        ("loss", lambda name: name == "train/loss" or (name.startswith("train/") and "_to_" in name)),
        ("validation", lambda name: name.startswith("validation/") and name.endswith(_SCORES)),
        ("health: gaps and spread", lambda name: name in _BOUNDED),
        ("health: effective rank", lambda name: name.startswith("health/") and "rank" in name),
        ("health: gradient norm", lambda name: "gradient_norm" in name),
        ("health: other gauges", lambda name: name.startswith("health/") and not _elsewhere(name)),
        ("speed, items/s", lambda name: name == "train/items_per_second"),
    ]
    names = sorted({name for _, metrics in history for name in metrics})
    kept = [(title, chosen) for title, belongs in panels if (chosen := [name for name in names if belongs(name)])]
    columns = min(3, max(len(kept), 1))
    rows = max(math.ceil(len(kept) / columns), 1)
    figure = Figure(figsize=(5.2 * columns, 3.4 * rows), layout="constrained")
    for place, (title, chosen) in enumerate(kept, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for colour, name in zip(_COLOURS * 9, chosen, strict=False):
            points = [(step, metrics[name]) for step, metrics in history if name in metrics]
            marker = "o" if len(points) < 12 else None
            label = name.split("/", 1)[-1].removesuffix("/accuracy")
            axes.plot(*zip(*points, strict=True), label=label, color=colour, linewidth=1.6, marker=marker, markersize=3)
        _dress(axes, title)
        if len(chosen) > 1:
            axes.legend(fontsize=7, framealpha=0.8, edgecolor="none")
    return figure


_SCORES = ("/score", "/accuracy", "/recall_at_1")
_BOUNDED = (
    "health/modality_gap",
    "health/spread",
    "health/alignment",
    "health/active_fraction",
    "train/active_fraction",
)


def _elsewhere(name: str) -> bool:
    return name in _BOUNDED or "rank" in name or "gradient_norm" in name


@dataclass(frozen=True)
class ConfusedPair:
    """One pair of classes for `confusion`.

    Attributes:
        true: Name of the true class.
        taken_for: Name of the class that it was taken for.
        count: How often.
        meetings: How often it could have been.
        pictures: (H, W, 3) uint8 of each class, or None where there is none.
    """

    true: str
    taken_for: str
    count: int
    meetings: int
    pictures: tuple[np.ndarray | None, np.ndarray | None]


def confusion(pairs: Sequence[ConfusedPair], title: str) -> Figure:
    """The pairs of classes that are confused most: what they look like, and how often it happens.

    Args:
        pairs: The most confused first.
        title: Above it.

    Returns:
        The figure, one row a pair.
    """
    figure = Figure(figsize=(11, 1.0 + 0.62 * len(pairs)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=_INK)
    grid = figure.add_gridspec(len(pairs), 3, width_ratios=(1, 1, 9), wspace=0.02, hspace=0.08)
    widest = max((pair.count / max(pair.meetings, 1) for pair in pairs), default=1.0) or 1.0
    for row, pair in enumerate(pairs):
        for column, picture in enumerate(pair.pictures):
            axes = figure.add_subplot(grid[row, column])
            axes.axis("off")
            if picture is not None:
                axes.imshow(picture)
        axes = figure.add_subplot(grid[row, 2])
        share = pair.count / max(pair.meetings, 1)
        axes.barh([0], [share], color=_COLOURS[0], height=0.32)
        axes.text(0, 0.34, f"{_short(pair.true)}  →  {_short(pair.taken_for)}", fontsize=8, color=_INK, va="bottom")
        axes.text(share + 0.01 * widest, 0, f"{pair.count} of {pair.meetings}", fontsize=7, color=_INK, va="center")
        axes.set(xlim=(0, 1.15 * widest), ylim=(-0.3, 0.9))
        axes.axis("off")
    return figure


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.set_xlabel("step", fontsize=8, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _short(name: str, longest: int = 48) -> str:
    return name.replace("$", r"\$") if len(name) <= longest else f"{name[: longest - 1]}…".replace("$", r"\$")
