"""The charts of the verification bench: scores of both kinds, ROC and DET, each with the threshold in it.

Colours are Okabe and Ito's for all kinds of colour vision ("Color universal design", 2008); axes and words take the
theme's.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import ndtri

from cross_modal_dashboards.verification_bench import DIFFERENT, SAME, Bench, Rates

BLUE, ORANGE, GREEN, GREY = "#2f8fce", "#d55e00", "#00a676", "#8a94a0"
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
HEIGHT = 300
_PERCENT = "format(100 * cumulativeNormal(datum.value), '.2~r') + ' %'"


def histogram_chart(bench: Bench, rates: Rates) -> alt.LayerChart:
    """How the scores of same and of different pairs lie, and the threshold between them."""
    colour = alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=[SAME, DIFFERENT], range=[BLUE, ORANGE]),
        legend=alt.Legend(title=None, orient="top"),
    )
    bars = (
        alt.Chart(bench.histogram())
        .mark_bar(opacity=0.6)
        .encode(
            x=alt.X("low:Q", title="score", scale=alt.Scale(zero=False)),
            x2="high:Q",
            y=alt.Y("share:Q", title="share of its kind", axis=alt.Axis(format="%"), stack=None),
            y2=alt.Y2Datum(0),
            color=colour,
            tooltip=["verdict:N", _number("low", ".4f"), _number("high", ".4f"), "pairs:Q", _number("share", ".1%")],
        )
    )
    line = (
        alt.Chart(pd.DataFrame({"threshold": [rates.threshold]}))
        .mark_rule(color=GREEN, strokeWidth=2.5)
        .encode(x="threshold:Q", tooltip=[_number("threshold", ".6f")])
    )
    return _sized(bars + line)


def roc_chart(bench: Bench, rates: Rates) -> alt.LayerChart:
    """True accepts over false accepts."""
    x = alt.X("false_accepts:Q", title="different taken for same", axis=alt.Axis(format="%"))
    y = alt.Y("true_accepts:Q", title="same taken for same", axis=alt.Axis(format="%"))
    tips = [_number("false_accepts", ".2%"), _number("true_accepts", ".2%"), _number("threshold", ".4f")]
    curve = alt.Chart(bench.roc()).mark_line(color=BLUE, strokeWidth=2).encode(x=x, y=y, order="threshold:Q")
    hover = alt.Chart(bench.roc()).mark_circle(opacity=0, size=80).encode(x=x, y=y, tooltip=tips)
    chance = pd.DataFrame({"false_accepts": [0.0, 1.0], "true_accepts": [0.0, 1.0]})
    here = pd.DataFrame(
        {
            "false_accepts": [rates.false_accept.value],
            "true_accepts": [1 - rates.false_reject.value],
            "threshold": [rates.threshold],
        }
    )
    return _sized(_dashes(chance, x, y) + curve + hover + _point(here, x, y, tips))


def det_chart(bench: Bench, rates: Rates) -> alt.LayerChart:
    """False rejects over false accepts, both on the scale of normal deviates."""
    table = bench.det()
    least = 0.5 / np.array(bench.counts[::-1])  # half a pair of either kind is the nearest to 0 that can be drawn
    lowest = float(ndtri(max(least.min() / 2, 5e-4)))
    scale = alt.Scale(domain=[lowest, float(ndtri(0.9))], clamp=True, nice=False, zero=False)
    axis = alt.Axis(values=[float(ndtri(tick)) for tick in TICKS if ndtri(tick) > lowest], labelExpr=_PERCENT)
    x = alt.X("x:Q", title="different taken for same", scale=scale, axis=axis)
    y = alt.Y("y:Q", title="same taken for different", scale=scale, axis=axis)
    tips = [_number("false_accepts", ".2%"), _number("false_rejects", ".2%"), _number("threshold", ".4f")]
    curve = alt.Chart(table).mark_line(color=BLUE, strokeWidth=2).encode(x=x, y=y, order="threshold:Q")
    hover = alt.Chart(table).mark_circle(opacity=0, size=80).encode(x=x, y=y, tooltip=tips)
    both = np.array([rates.false_accept.value, rates.false_reject.value])
    drawn = ndtri(np.clip(both, least, 1 - least))
    here = pd.DataFrame(
        {
            "x": drawn[:1],
            "y": drawn[1:],
            "false_accepts": both[:1],
            "false_rejects": both[1:],
            "threshold": [rates.threshold],
        }
    )
    ends = [lowest, float(ndtri(0.9))]
    return _sized(_dashes(pd.DataFrame({"x": ends, "y": ends}), x, y) + curve + hover + _point(here, x, y, tips))


def _point(here: pd.DataFrame, x: Any, y: Any, tips: list[alt.Tooltip]) -> alt.Chart:
    return alt.Chart(here).mark_point(color=GREEN, filled=True, size=140, opacity=1).encode(x=x, y=y, tooltip=tips)


def _dashes(ends: pd.DataFrame, x: Any, y: Any) -> alt.Chart:
    return alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y)


def _number(name: str, digits: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:Q", format=digits, title=name.replace("_", " "))


def _sized(chart: alt.LayerChart) -> alt.LayerChart:
    return chart.properties(height=HEIGHT)
