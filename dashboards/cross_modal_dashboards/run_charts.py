"""The charts of runs and studies: curves of training, and what a sweep learned."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import altair as alt
import pandas as pd

from cross_modal_dashboards.study_frames import StudyFrames

GREEN, BLUE = "#00a676", "#2f8fce"
#: Okabe and Ito's and one more, in an order that keeps neighbours apart on light and on dark.
SERIES = ("#2f8fce", "#d55e00", "#00a676", "#cc79a7", "#e69f00", "#56b4e9", "#8a94a0", "#8464c8")
HEIGHT, LEGEND_LINE = 260, 20  # pixels; a legend takes its room from the chart
PANELS = 3  # of margins in a row
PICK = "pick"  # the selection of a trial by a click


def picked_trial(event: object) -> int | None:
    """The trial that was clicked in a chart, from what Streamlit says of its selections.

    >>> picked_trial({"selection": {"pick": [{"trial": 3}]}}), picked_trial({"selection": {"pick": []}})
    (3, None)
    """
    chosen = event["selection"].get(PICK) if isinstance(event, Mapping) and "selection" in event else None
    return int(chosen[0]["trial"]) if chosen and "trial" in chosen[0] else None


def _pick() -> alt.Parameter:
    return alt.selection_point(name=PICK, fields=["trial"], on="click", empty=False)


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
            shape=alt.Shape(
                "ending:N", scale=alt.Scale(domain=endings), legend=alt.Legend(title=None, orient="bottom")
            ),
            tooltip=["trial:Q", alt.Tooltip("value:Q", format=".4f"), "ending:N"],
        )
        .add_params(_pick())
    )
    best = (
        alt.Chart(found.history.dropna(subset=["best"]))
        .mark_line(interpolate="step-after", color=GREEN)
        .encode(x=x, y=alt.Y("best:Q", title=found.target))
    )
    return (best + points).properties(height=HEIGHT)


def margin_charts(found: StudyFrames) -> dict[str, alt.Chart]:
    """Values over every margin that was drawn; a margin means something within its loss and its distance only.

    Returns:
        Loss and argument, in words → the chart; all share the scale of the values and the colours of the distances.
    """
    units = sorted(found.margins["unit"].unique())
    values = found.margins["value"]
    room = 0.05 * (values.max() - values.min() or 1.0)
    scale = alt.Scale(domain=[values.min() - room, values.max() + room], nice=False)
    return {
        f"{loss} · {argument}": alt.Chart(points)
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=alt.X("margin:Q", title=None, scale=alt.Scale(zero=False, padding=12)),
            y=alt.Y("value:Q", title=found.target, scale=scale),
            color=alt.Color(
                "unit:N",
                scale=alt.Scale(domain=units, range=list(SERIES)),
                legend=alt.Legend(title=None, orient="bottom"),
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
        .add_params(_pick())
        .properties(height=270)
        for (loss, argument), points in found.margins.groupby(["loss", "argument"])
    }


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


def parallel_chart(found: StudyFrames) -> alt.LayerChart:
    """Parallel coordinates: a line a trial from axis to axis, its colour what it came to; the winner stands out."""
    names = found.axes.groupby("axis")["name"].first().tolist()
    label = f"{json.dumps(names)}[datum.value]"  # a list of the expression language is one of JSON
    x = alt.X(
        "axis:Q",
        title=None,
        scale=alt.Scale(domain=[-0.1, len(names) - 0.6], nice=False),
        axis=alt.Axis(
            values=list(range(len(names))),
            labelExpr=label,
            labelLimit=150,
            labelAngle=-30,
            labelOverlap=False,
            grid=True,
            domain=False,
        ),
    )
    y = alt.Y("place:Q", title=None, axis=None, scale=alt.Scale(domain=[-0.05, 1.05], nice=False))
    colour = alt.Color(
        "value:Q",
        scale=alt.Scale(scheme="viridis", reverse=not found.maximise),
        legend=alt.Legend(title=found.target, orient="bottom", gradientLength=220),
    )
    lines = (
        alt.Chart(found.lines)
        .mark_line(strokeWidth=2.5, opacity=0.85)
        .encode(
            x=x,
            y=y,
            detail="trial:N",
            color=alt.condition("datum.winner", alt.value("#d55e00"), colour),
            strokeWidth=alt.condition("datum.winner", alt.value(4.5), alt.value(2.2)),
            tooltip=["trial:Q", alt.Tooltip("value:Q", format=".4f", title=found.target)],
        )
        .add_params(_pick())
    )
    ticks = (
        alt.Chart(found.axes)
        .mark_text(align="left", dx=6, fontSize=11, color="#8a94a0")
        .encode(x=x, y=y, text="text:N")
    )
    return (lines + ticks).properties(height=460)


def change_chart(table: pd.DataFrame) -> alt.LayerChart:
    """Each query's rank in run A against its rank in run B; below the diagonal B is earlier."""
    most = max(int(table[["rank_a", "rank_b"]].max().max()), 2)
    scale = alt.Scale(type="log", domain=[0.8, most * 1.25], nice=False)
    tens = alt.Axis(values=[10**power for power in range(len(str(most)))], format=",d")
    counted = table.groupby(["rank_a", "rank_b", "outcome"], as_index=False).size()
    points = (
        alt.Chart(counted)
        .mark_circle(opacity=0.8)
        .encode(
            x=alt.X("rank_a:Q", title="rank of the right class in A", scale=scale, axis=tens),
            y=alt.Y("rank_b:Q", title="rank in B", scale=scale, axis=tens),
            size=alt.Size("size:Q", title="queries", legend=None, scale=alt.Scale(range=[40, 500])),
            color=alt.Color(
                "outcome:N",
                scale=alt.Scale(domain=["better", "equal", "worse"], range=[GREEN, "#8a94a0", "#d55e00"]),
                legend=alt.Legend(title="B is", orient="bottom"),
            ),
            tooltip=["rank_a:Q", "rank_b:Q", "outcome:N", alt.Tooltip("size:Q", title="queries")],
        )
    )
    ends = pd.DataFrame({"rank_a": [1, most], "rank_b": [1, most]})
    diagonal = alt.Chart(ends).mark_line(strokeDash=[4, 4], color="#8a94a0").encode(x="rank_a:Q", y="rank_b:Q")
    return (diagonal + points).properties(height=300)
