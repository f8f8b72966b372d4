"""Figures of an evaluation: the accuracy of every episode setting, and how scores tell same from different.

Colours are Okabe and Ito's for all kinds of colour vision ("Color universal design", 2008).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_INK, _GRID = "#1f2933", "#e4e7eb"
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"
_SETTING = re.compile(r"^episodes/(?P<ways>\d+)way_(?P<shots>\d+)shot(?P<text>_text)?/accuracy$")


def episode_accuracies(metrics: Mapping[str, float]) -> Figure | None:
    """Draws the accuracy of every setting with its 95 % interval and the line of chance.

    Args:
        metrics: Name → number, as `evaluate_embeddings` gives them.

    Returns:
        The figure; None where no episodes were measured.
    """
    found = [(match, value) for name, value in metrics.items() if (match := _SETTING.match(name))]
    if not found:
        return None
    found.sort(key=lambda pair: (int(pair[0]["ways"]), int(pair[0]["shots"]), bool(pair[0]["text"])))
    figure = Figure(figsize=(7.6, 1.4 + 0.42 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    for place, (match, value) in enumerate(found):
        half = metrics.get(f"{match[0]}/ci95", math.nan)
        colour = _GREEN if match["text"] else _ORANGE if match["shots"] == "0" else _BLUE
        axes.errorbar([100 * value], [place], xerr=[100 * half], fmt="o", color=colour, capsize=3, markersize=6)
        axes.plot([100 / int(match["ways"])], [place], marker="|", color="#9aa5b1", markersize=12)
        interval = f" ± {100 * half:.1f}" if math.isfinite(half) else ""
        axes.annotate(f"{100 * value:.1f}{interval}", (100 * value, place), (0, 7), textcoords="offset points",
                      ha="center", fontsize=8, color=_INK)  # fmt: skip
    axes.set_yticks(range(len(found)), [_words(match) for match, _ in found])
    axes.set_xlim(0, 102)
    axes.set_ylim(len(found) - 0.4, -0.8)
    _dress(axes, "Episodes on these classes", "accuracy, % (bars: 95 % interval; grey strokes: chance)")
    axes.grid(axis="y", visible=False)
    return figure


def verification_curves(scores: np.ndarray, same: np.ndarray, metrics: Mapping[str, float]) -> Figure:
    """Draws the scores of same and different pairs, and the errors against each other (DET).

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool.
        metrics: `verification/eer` and its interval, for the title.

    Returns:
        The figure, two panels.
    """
    from scipy.special import ndtri
    from sklearn.metrics import roc_curve

    figure = Figure(figsize=(10.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    edges = np.histogram_bin_edges(scores, 40)
    for kind, colour, name in ((True, _BLUE, "same"), (False, _ORANGE, "different")):
        chosen = scores[same == kind]
        left.hist(chosen, edges, density=True, alpha=0.55, color=colour, label=f"{name} ({len(chosen)})")
    _dress(left, "Scores of pairs", "score")
    left.set_yticks([])
    left.legend(frameon=False, fontsize=9)
    accepted, found, _ = roc_curve(same, scores)
    least = 0.5 / len(scores)
    drawn = [ndtri(np.clip(rates, least, 1 - least)) for rates in (accepted, 1 - found)]
    right.plot(*drawn, color=_BLUE, linewidth=1.8, drawstyle="steps-post")
    ticks = [0.001, 0.01, 0.05, 0.2, 0.5, 0.8]
    right.plot(
        [ndtri(0.001), ndtri(0.8)], [ndtri(0.001), ndtri(0.8)], color="#9aa5b1", linewidth=1, linestyle=(0, (4, 4))
    )
    for axis in (right.xaxis, right.yaxis):
        axis.set_ticks(ndtri(ticks), [f"{100 * tick:g} %" for tick in ticks])
    right.set_xlim(ndtri(0.0008), ndtri(0.85))
    right.set_ylim(ndtri(0.0008), ndtri(0.85))
    eer, half = metrics.get("verification/eer", math.nan), metrics.get("verification/eer/ci95")
    interval = "" if half is None else f" ± {100 * half:.1f}"
    _dress(right, f"Equal error rate {100 * eer:.1f} %{interval}", "different taken for same")
    right.set_ylabel("same taken for different", fontsize=9, color=_INK)
    return figure


def _words(match: re.Match[str]) -> str:
    by = "names" if match["shots"] == "0" else "pictures and names" if match["text"] else "pictures"
    return f"{match['ways']}-way {match['shots']}-shot, {by}"


def _dress(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel(below, fontsize=9, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
