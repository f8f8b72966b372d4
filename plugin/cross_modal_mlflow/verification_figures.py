"""Figures of verification: ROC and DET, the reliability of probabilities, and the pairs nearest to the threshold.

Colours are Okabe and Ito's for all kinds of colour vision ("Color universal design", 2008).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from cross_modal.verification.curves import det_curve, roc_curve
from cross_modal.verification.probability import pair_weights

_INK, _GRID, _SOFT = "#1f2933", "#e4e7eb", "#9aa5b1"
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"
_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_BINS = 10


@dataclass(frozen=True)
class ShownPair:
    """One pair for `nearest_pairs`.

    Attributes:
        captions: What stands under (or in place of) the picture of each side.
        pictures: (H, W, 3) uint8 of each side, or None where there is none.
        score: Its score.
        same: Its verdict.
    """

    captions: tuple[str, str]
    pictures: tuple[np.ndarray | None, np.ndarray | None]
    score: float
    same: bool


def roc_and_det(
    scores: np.ndarray, same: np.ndarray, metrics: Mapping[str, float], threshold: float | None = None
) -> Figure:
    """Draws scores of both kinds, the ROC and the DET curve, with the operating point of the threshold.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        metrics: `verification/eer` and `verification/auc` with their intervals, for the titles.
        threshold: What decides, or None.

    Returns:
        The figure, three panels.

    Raises:
        CrossModalError: Pairs that cannot be measured.
    """
    roc, det = roc_curve(scores, same), det_curve(scores, same)
    figure = Figure(figsize=(15.2, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _scores(left, scores, same, threshold)
    middle.plot(100 * roc.false_accepts, 100 * roc.true_accepts, color=_BLUE, linewidth=1.8)
    middle.plot([0, 100], [0, 100], color=_SOFT, linewidth=1, linestyle=(0, (4, 4)))
    _dress(middle, f"ROC: area {_value(metrics, 'auc', 1, 4)}", "different taken for same, %")
    middle.set_ylabel("same taken for same, %", fontsize=9, color=_INK)
    right.plot(det.x, det.y, color=_BLUE, linewidth=1.8)
    lowest = ndtri(max(min(det.least) / 2, 5e-4))
    right.plot([lowest, ndtri(0.9)], [lowest, ndtri(0.9)], color=_SOFT, linewidth=1, linestyle=(0, (4, 4)))
    for axis in (right.xaxis, right.yaxis):
        axis.set_ticks(ndtri(_TICKS), [f"{100 * tick:g}" for tick in _TICKS])
    right.set_xlim(lowest, ndtri(0.9))
    right.set_ylim(lowest, ndtri(0.9))
    _dress(right, f"DET: equal error rate {_value(metrics, 'eer', 100, 1)} %", "different taken for same, %")
    right.set_ylabel("same taken for different, %", fontsize=9, color=_INK)
    if threshold is not None:
        false, missed = float((scores[~same] >= threshold).mean()), float((scores[same] < threshold).mean())
        point = {"marker": "o", "color": _GREEN, "markersize": 7, "zorder": 5}
        middle.plot([100 * false], [100 * (1 - missed)], **point)
        x, y = (ndtri(np.clip(rate, low, 1 - low)) for rate, low in zip((false, missed), det.least, strict=True))
        right.plot([x], [y], linestyle="none", label=f"threshold {threshold:.4g}", **point)
        right.legend(frameon=False, fontsize=8.5, loc="upper right")
    return figure


def reliability(probabilities: np.ndarray, same: np.ndarray, prior: float, ece: float) -> Figure:
    """Draws how often pairs are the same against the probability that was given.

    Args:
        probabilities: (M,) in [0, 1].
        same: (M,) bool, both kinds.
        prior: Share of same pairs that the probabilities assume; the pairs are weighed so that it holds.
        ece: Expected calibration error, for the title.

    Returns:
        The figure: the diagram, and below it how many pairs there are in each bin.
    """
    bins = np.clip(np.ceil(probabilities * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    weights = pair_weights(same, prior)
    total = np.bincount(bins, weights, _BINS)
    filled = total > 0
    claimed, seen = (
        np.bincount(bins, weights * values, _BINS)[filled] / total[filled] for values in (probabilities, same)
    )
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1))
    top.plot([0, 100], [0, 100], color=_SOFT, linewidth=1, linestyle=(0, (4, 4)))
    top.plot(100 * claimed, 100 * seen, color=_BLUE, marker="o", linewidth=1.6, markersize=5)
    top.set(xlim=(-2, 102), ylim=(-2, 102))
    _dress(top, f"Reliability: calibration error {100 * ece:.1f} %", "probability given, %")
    top.set_ylabel("really the same, %", fontsize=9, color=_INK)
    places = (np.arange(_BINS) + 0.5) * 100 / _BINS
    for kind, colour, name in ((True, _BLUE, "same"), (False, _ORANGE, "different")):
        counts = np.bincount(bins[same == kind], minlength=_BINS)
        shift = (-1 if kind else 1) * 20 / _BINS
        bottom.bar(places + shift, np.where(counts > 0, counts, np.nan), width=40 / _BINS, color=colour, label=name)
    bottom.set_yscale("log")
    bottom.set_ylim(bottom=0.5)  # one pair has a bar, too
    bottom.set_xlim(-2, 102)
    _dress(bottom, "", "probability given, %")
    bottom.set_ylabel("pairs", fontsize=9, color=_INK)
    bottom.legend(frameon=False, fontsize=8, loc="upper center")  # most pairs stand at either end
    return figure


def nearest_pairs(pairs: Sequence[ShownPair], threshold: float) -> Figure:
    """Draws the pairs nearest to the threshold: what each shows, its score, its verdict, and whether it was got right.

    Args:
        pairs: The nearest first.
        threshold: Scores from here on are "same".

    Returns:
        The figure, three pairs a row.
    """
    columns = min(3, max(len(pairs), 1))
    rows = max(math.ceil(len(pairs) / columns), 1)
    figure = Figure(figsize=(4.0 * columns, 0.5 + 2.3 * rows), layout="constrained")
    figure.suptitle(f"Nearest to the threshold {threshold:.4f}", x=0.01, ha="left", fontsize=11, color=_INK)
    grid = figure.add_gridspec(rows, 2 * columns)
    for place, pair in enumerate(pairs):
        row, column = divmod(place, columns)
        right = (pair.score >= threshold) == pair.same
        for side in (0, 1):
            axes = figure.add_subplot(grid[row, 2 * column + side])
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color=_GREEN if right else _ORANGE, linewidth=1.6)
            _show(axes, pair.pictures[side], pair.captions[side])
            if side == 0:
                verdict = "same" if pair.same else "different"
                title = f"{verdict}, {'right' if right else 'wrong'}: {pair.score:.4f}"
                axes.set_title(title, loc="left", fontsize=8.5, color=_GREEN if right else _ORANGE)
    return figure


def _show(axes: Axes, picture: np.ndarray | None, caption: str) -> None:
    words = "\n".join(textwrap.wrap(caption.replace("$", r"\$"), 18)[:5])
    if picture is None:
        axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color=_INK, transform=axes.transAxes)
        axes.set_box_aspect(1)
        return
    axes.imshow(picture)
    axes.set_xlabel(textwrap.shorten(words.replace("\n", " "), 24, placeholder="…"), fontsize=7, color=_INK)


def _scores(axes: Axes, scores: np.ndarray, same: np.ndarray, threshold: float | None) -> None:
    edges = np.histogram_bin_edges(scores, 40).tolist()
    for kind, colour, name in ((True, _BLUE, "same"), (False, _ORANGE, "different")):
        chosen = scores[same == kind]
        axes.hist(chosen, edges, density=True, alpha=0.55, color=colour, label=f"{name} ({len(chosen):,})")
    if threshold is not None:
        axes.axvline(threshold, color=_GREEN, linewidth=1.6, label=f"threshold {threshold:.4g}")
    _dress(axes, "Scores of pairs", "score")
    axes.set_yticks([])
    axes.legend(frameon=False, fontsize=8.5)


def _value(metrics: Mapping[str, float], name: str, scale: float, digits: int) -> str:
    value, half = metrics.get(f"verification/{name}", math.nan), metrics.get(f"verification/{name}/ci95")
    interval = "" if half is None else f" ± {scale * half:.{digits}f}"
    return f"{scale * value:.{digits}f}{interval}"


def _dress(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel(below, fontsize=9, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
