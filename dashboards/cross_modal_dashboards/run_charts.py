"""The charts of runs and studies: curves of training, and what a sweep learned."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from cross_modal_dashboards.runs_table import StudyFrames

GREEN, BLUE = "#00a676", "#2f8fce"
#: Okabe and Ito's and one more, in an order that keeps neighbours apart on light and on dark.
SERIES = ("#2f8fce", "#d55e00", "#00a676", "#cc79a7", "#e69f00", "#56b4e9", "#8a94a0", "#8464c8")
HEIGHT, LEGEND_LINE = 260, 20  # pixels; a legend takes its room from the chart
PANELS = 3  # of margins in a row


def curve_chart(points: pd.DataFrame) -> alt.Chart:
    """Values over steps, a line a metric."""
    names = sorted(points["metric"].unique())
    many = len(names) > 1
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=220) if many else None
    return (
        alt.Chart(points)
        .mark_line(point=len(points) <= 60)
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("value:Q", title=None if many else names[0], scale=alt.Scale(zero=False)),
            color=alt.Color("metric:N", scale=alt.Scale(domain=names, range=list(SERIES)), legend=legend),
            tooltip=["metric:N", "step:Q", alt.Tooltip("value:Q", format=".5f")],
        )
        .properties(height=HEIGHT + LEGEND_LINE * (math.ceil(len(names) / 2) if many else 0))
    )


def history_chart(found: StudyFrames) -> alt.LayerChart:
    """Each trial's value, and the best so far."""
    x = alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d"))
    y = alt.Y("value:Q", title=found.target, scale=alt.Scale(zero=False))
    endings = sorted(found.history["ending"].unique())
    points = (
        alt.Chart(found.history)
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "ending:N",
                scale=alt.Scale(domain=endings, range=list(SERIES)),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            shape=alt.Shape("ending:N", legend=None),
            tooltip=["trial:Q", alt.Tooltip("value:Q", format=".4f"), "ending:N"],
        )
    )
    best = (
        alt.Chart(found.history.dropna(subset=["best"]))
        .mark_line(interpolate="step-after", color=GREEN)
        .encode(x=x, y=alt.Y("best:Q", title=found.target))
    )
    return (best + points).properties(height=HEIGHT)


def margin_chart(found: StudyFrames) -> alt.Chart:
    """Values over every margin that was drawn, a panel a loss; a margin means something within its distance only."""
    margins = found.margins.assign(panel=found.margins["loss"] + " · " + found.margins["argument"])
    panels = margins["panel"].nunique()
    return (
        alt.Chart(margins)
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=alt.X("margin:Q", title=None, scale=alt.Scale(zero=False)),
            y=alt.Y("value:Q", title=found.target, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "unit:N", scale=alt.Scale(range=list(SERIES)), legend=alt.Legend(title="distance", orient="bottom")
            ),
            tooltip=[
                "loss:N",
                "argument:N",
                "unit:N",
                "trial:Q",
                alt.Tooltip("margin:Q", format=".4f"),
                alt.Tooltip("value:Q", format=".4f"),
            ],
        )
        .properties(width=270, height=180)
        .facet(alt.Facet("panel:N", title=None), columns=min(PANELS, panels))
        .resolve_scale(x="independent")
    )


def importance_chart(found: StudyFrames) -> alt.Chart:
    """How much each setting decides."""
    return (
        alt.Chart(found.importance)
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("share:Q", title="share of what decides (PED-ANOVA)", axis=alt.Axis(format="%")),
            y=alt.Y("parameter:N", title=None, sort="-x", axis=alt.Axis(labelLimit=260)),
            tooltip=["parameter:N", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=max(26 * len(found.importance) + 40, 120))
    )
