"""The deletion test as a chart: the score over the share of an item that is hidden, by a map and by chance."""

from __future__ import annotations

import altair as alt
import pandas as pd

from cross_modal.explanation.deletion import Deletion

POINTED, RANDOM = "parts pointed at", "parts at random"
BLUE, ORANGE = "#2f8fce", "#d55e00"  # as on the verification bench
HEIGHT = 280


def deletion_chart(curves: Deletion) -> alt.Chart:
    """Two curves; the map is right where the one of the parts pointed at falls faster.

    Args:
        curves: Of one map of one side.
    """
    table = pd.concat(
        [
            pd.DataFrame({"share": curves.shares, "score": scores, "hidden": name})
            for name, scores in ((POINTED, curves.pointed), (RANDOM, curves.random))
        ]
    )
    colour = alt.Color(
        "hidden:N",
        scale=alt.Scale(domain=[POINTED, RANDOM], range=[ORANGE, BLUE]),
        legend=alt.Legend(title=None, orient="top"),
    )
    return (
        alt.Chart(table)
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("share:Q", title="share hidden", axis=alt.Axis(format="%", tickCount=5)),
            y=alt.Y("score:Q", scale=alt.Scale(zero=False)),
            color=colour,
            strokeDash=alt.StrokeDash(
                "hidden:N",
                scale=alt.Scale(domain=[POINTED, RANDOM], range=[[1, 0], [5, 3]]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=["hidden:N", alt.Tooltip("share:Q", format=".0%"), alt.Tooltip("score:Q", format=".4f")],
        )
        .properties(height=HEIGHT)
    )
