"""The figure of open-set identification: how many of the enrolled are named for how many strangers let in.

Colours are Okabe and Ito's for all kinds of colour vision ("Color universal design", 2008).
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cross_modal.gallery.identification_calibration import IdentificationCalibration
from cross_modal.gallery.identification_measure import IdentificationMeasure

_INK, _GRID = "#1f2933", "#e4e7eb"
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"
_TICKS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def detection_figure(measured: IdentificationMeasure, calibration: IdentificationCalibration | None = None) -> Figure:
    """Draws scores of the enrolled and of strangers, and detection over false identification.

    Args:
        measured: With enrolled probes and strangers.
        calibration: Whose threshold is marked, or None.

    Returns:
        The figure, two panels.
    """
    figure = Figure(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _scores(left, measured, calibration)
    rates, found = measured.curve
    lowest = max(min(float(rates[rates > 0].min()), 0.01), 5e-4)
    right.plot(100 * np.maximum(rates, lowest), 100 * found, color=_BLUE, linewidth=1.8, drawstyle="steps-post")
    right.set_xscale("log")
    ticks = [tick for tick in _TICKS if tick >= lowest]
    right.set_xticks([100 * tick for tick in ticks], [f"{100 * tick:g}" for tick in ticks])
    right.minorticks_off()
    right.set_ylim(0, 102)
    if "identification/rank1" in measured.metrics:
        rank1 = 100 * measured.metrics["identification/rank1"]
        right.axhline(rank1, color=_ORANGE, linewidth=1.2, linestyle=(0, (4, 4)), label=f"rank 1: {rank1:.1f} %")
    name = "identification/false_identification_rate"
    if calibration is not None and name in measured.metrics:
        realised = measured.metrics[name]
        named = measured.metrics["identification/detection_and_identification_rate"]
        right.plot(
            [100 * max(realised, lowest)],
            [100 * named],
            marker="o",
            markersize=7,
            linestyle="none",
            color=_GREEN,
            label=f"threshold: {100 * realised:.2g} % of strangers for {100 * calibration.rate:g} % asked",
        )
    _dress(right, "Named rightly over strangers let in", "strangers taken for somebody, %")
    right.set_ylabel("enrolled named rightly, %", fontsize=9, color=_INK)
    right.legend(frameon=False, fontsize=8.5, loc="lower right")
    return figure


def _scores(axes: Axes, measured: IdentificationMeasure, calibration: IdentificationCalibration | None) -> None:
    edges = np.histogram_bin_edges(measured.scores, 40).tolist()
    for kind, colour, name in (
        (measured.correct, _BLUE, "enrolled, right first"),
        (~measured.enrolled, _ORANGE, "strangers"),
    ):
        chosen = measured.scores[kind]
        axes.hist(chosen, edges, density=True, alpha=0.55, color=colour, label=f"{name} ({len(chosen):,})")
    if calibration is not None:
        label = f"threshold {calibration.threshold:.4g}"
        axes.axvline(calibration.threshold, color=_GREEN, linewidth=1.6, label=label)
    _dress(axes, "Best scores", "score with the nearest identity")
    axes.set_yticks([])
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")


def _dress(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel(below, fontsize=9, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
