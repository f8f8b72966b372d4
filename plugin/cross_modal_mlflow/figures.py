"""Figures of a run: the curves of the loss and the health gauges, and the confusion of the hardest classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
    terms = ("train/loss",)
    panels: list[tuple[str, Callable[[str], bool]]] = [
        ("loss", lambda name: name in terms or (name.startswith("train/") and "_to_" in name)),
        ("validation", lambda name: name.startswith("validation/") and not name.endswith("/ci95")),
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
            label = name.split("/", 1)[-1]
            axes.plot(*zip(*points, strict=True), label=label, color=colour, linewidth=1.6, marker=marker, markersize=3)
        _dress(axes, title)
        if len(chosen) > 1 or title != chosen[0]:
            axes.legend(fontsize=7, frameon=False)
    return figure


_BOUNDED = (
    "health/modality_gap",
    "health/spread",
    "health/alignment",
    "health/active_fraction",
    "train/active_fraction",
)


def _elsewhere(name: str) -> bool:
    return name in _BOUNDED or "rank" in name or "gradient_norm" in name


def confusion(pairs: Sequence[tuple[str, str, int, int]], title: str, most: int = 18) -> Figure:
    """The classes that are taken for each other, as a heat map with counts.

    Args:
        pairs: (true class, taken for, how often, out of how many meetings), the most frequent first.
        title: Above it.
        most: Classes at most.

    Returns:
        The figure; its colour is the share of the meetings.
    """
    names: list[str] = []
    for true, taken, *_ in pairs:
        fresh = [name for name in dict.fromkeys((true, taken)) if name not in names]
        if len(names) + len(fresh) <= most:
            names += fresh
    place = {name: index for index, name in enumerate(names)}
    shares, counts = np.zeros((2, len(names), len(names)))
    for true, taken, count, meetings in pairs:
        if true in place and taken in place:
            counts[place[true], place[taken]] = count
            shares[place[true], place[taken]] = count / max(meetings, 1)
    side = 3.0 + 0.4 * len(names)
    figure = Figure(figsize=(side + 1.5, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(float(shares.max(initial=0)), 0.01))
    for row, column in np.argwhere(counts):
        dark = shares[row, column] > 0.6 * shares.max()
        text, colour = str(int(counts[row, column])), "white" if dark else _INK
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    ticks = [_short(name) for name in names]
    axes.set_xticks(range(len(names)), ticks, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), ticks, fontsize=7)
    axes.set_xlabel("taken for", color=_INK, fontsize=8)
    axes.set_ylabel("true class", color=_INK, fontsize=8)
    axes.set_title(title, color=_INK, fontsize=10, loc="left")
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of their meetings").outline.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.set_xlabel("step", fontsize=8, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _short(name: str, longest: int = 28) -> str:
    return name.replace("$", r"\$") if len(name) <= longest else f"{name[: longest - 1]}…".replace("$", r"\$")
