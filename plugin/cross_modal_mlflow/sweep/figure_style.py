"""How the figures of a study look: ink, marks of trials by how they ended, names that fit.

Colours are Okabe and Ito's for all kinds of colour vision ("Color universal design", 2008); every ending has a mark of
its own too, so that the figures can be read in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from cross_modal_mlflow.sweep.trial_facts import COMPLETE, DIED, FAILED, INTERRUPTED, OUTSIDE, PRUNED, RUNNING, WAITING

if TYPE_CHECKING:
    from matplotlib.axis import Axis

INK, SOFT, GRID = "#1f2933", "#616e7c", "#e4e7eb"
BLUE, ORANGE, GREEN, PINK, AMBER, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
SERIES = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)
#: Colour of each ending, in the order of legends.
COLOURS = {
    COMPLETE: BLUE, OUTSIDE: "#9aa5b1", PRUNED: AMBER, FAILED: ORANGE, DIED: PINK, INTERRUPTED: "#7A5C3E",
    RUNNING: GREEN, WAITING: GRID,
}  # fmt: skip
WORDS = {
    COMPLETE: "complete", OUTSIDE: "beyond a constraint", PRUNED: "pruned (last value)", FAILED: "failed",
    DIED: "worker died, run again", INTERRUPTED: "interrupted, run again", RUNNING: "running", WAITING: "waiting",
}  # fmt: skip


def new_figure(width: float, height: float, title: str) -> Figure:
    """A figure that no window manager knows, with its title at the left."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, color=INK)
    return figure


def dress(axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Grid, ink and labels."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=8, colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)


def mark(axes: Axes, points: Iterable[tuple[Any, float]], ending: str, colour: str | None = None, **more: Any) -> None:
    """Draws trials that ended in one way.

    Args:
        axes: Where.
        points: (x, value) of each.
        ending: How they ended: complete ones are filled, stopped ones hollow, ones beyond a constraint crossed out.
        colour: None takes the ending's.
        **more: For `Axes.scatter`.
    """
    found = list(points)
    if not found:
        return
    colour = colour or COLOURS[ending]
    look: dict[str, Any] = {"s": 34, "linewidths": 1.3, "zorder": 3}
    if ending == COMPLETE:
        look |= {"marker": "o", "color": colour, "edgecolors": "white", "linewidths": 0.8}
    elif ending == PRUNED:
        look |= {"marker": "o", "facecolors": "none", "edgecolors": colour}
    else:
        look |= {"marker": "x", "color": colour}
    axes.scatter(*zip(*found, strict=True), **(look | more))


def logarithmic(axis: Axis) -> None:
    """A logarithmic axis with plain numbers; over less than two decades also between the powers of ten."""
    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")  # type: ignore[attr-defined]
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.set_major_formatter(plain)
    low, high = sorted(axis.get_view_interval())
    decades = _decades(low, high)
    if decades >= 2:
        axis.set_minor_formatter(NullFormatter())
        return
    kept = (1, 2, 5) if decades > 0.6 else (1, 2, 3, 4, 5, 6, 7, 8, 9)
    axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if _first_digit(value) in kept else ""))


def wrapped(name: str, longest: int = 18) -> str:
    """A name in lines, broken before dots, brackets and capitals.

    Example:
        >>> wrapped("ContrastiveLoss[LpDistance].gap").splitlines()
        ['ContrastiveLoss', '[LpDistance].gap']
    """
    lines = [""]
    for word in re.split(r"(?=[.\[])(?<!^)|(?<= )", name):
        # a word is broken inside only where it is too long for a line of its own
        for piece in [word] if len(word) <= longest else re.split(r"(?<=[a-z])(?=[A-Z])", word):
            if lines[-1] and len(lines[-1]) + len(piece) > longest:
                lines.append("")
            lines[-1] += piece
    return "\n".join(lines)


def category(value: Any) -> str:
    """A value of a categorical parameter, short enough for a tick.

    Example:
        >>> category("TripletMarginLoss"), category("CosineSimilarity"), category(None)
        ('TripletMargin', 'Cosine', 'none')
    """
    if value is None:
        return "none"
    words = str(value).lower() if isinstance(value, bool) else str(value)
    for ending in ("Loss", "Miner", "Similarity", "Distance"):
        if words.endswith(ending) and words != ending:
            return words.removesuffix(ending)
    return words.replace("_", " ")


def in_order(endings: Iterable[str]) -> list[str]:
    """Endings as legends list them, each once."""
    found = set(endings)
    return [ending for ending in COLOURS if ending in found]


def legend(axes: Axes, handles: Sequence[Any] | None = None, **more: Any) -> None:
    """A legend right of the axes."""
    look: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "frameon": False, "fontsize": 8.5}
    found = axes.get_legend_handles_labels()[0] if handles is None else handles
    if found:
        axes.legend(handles=list(found), labelcolor=INK, **(look | more))


def colour_bar(axes: Axes, shades: ScalarMappable, label: str) -> None:
    """What the colours mean, right of the axes."""
    assert isinstance(axes.figure, Figure)
    bar = axes.figure.colorbar(shades, ax=axes, pad=0.02, fraction=0.05)
    bar.set_label(label, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, colors=INK, length=0)
    bar.ax.spines[:].set_visible(False)


def _decades(low: float, high: float) -> float:
    return math.log10(high / low) if low > 0 else 9.0


def _first_digit(value: float) -> int:
    return int(f"{value:e}"[0])
