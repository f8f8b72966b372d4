"""A run's curves; those of a run that trains are drawn again every few seconds, with a word on how it is doing."""

from __future__ import annotations

import time

import streamlit as st

from cross_modal_dashboards import resources
from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.choice import stop_with
from cross_modal_dashboards.run_charts import curve_chart
from cross_modal_dashboards.run_life import RunLife
from cross_modal_dashboards.runs_table import RUNNING, curve_groups, curves

LIVE = "3s"


def run_curves(uri: str, run: RunFacts) -> None:
    """Draws the curves of a run.

    Args:
        uri: The tracking store.
        run: The run; only one that is still running is looked at again and again.
    """
    st.fragment(_drawn, run_every=LIVE if run.status == RUNNING else None)(uri, run)


def _drawn(uri: str, run: RunFacts) -> None:
    """The run's curves, read anew each time."""
    known = resources.catalogue(uri)
    try:
        now = known.run(run.run_id)
        groups = curve_groups(now.metrics)
        points = curves(known, run.run_id, [name for names in groups.values() for name in names])
    except Exception as error:
        stop_with(error)
    if now.status == RUNNING:
        life = RunLife.of(now, points, time.time())
        st.caption(f"{life.sentence} Looked at every {LIVE.removesuffix('s')} seconds.")
        if life.warning is not None:
            st.warning(life.warning)
    elif run.status == RUNNING:
        st.rerun()  # it has just ended: the whole page is drawn again, and nothing is looked at any more
    tables = {title: points[points["metric"].isin(names)] for title, names in groups.items()}
    drawn = {title: each for title, each in tables.items() if each["step"].nunique() > 1}
    if not drawn:
        st.caption(
            "No curves yet." if now.status == RUNNING else "No curves: this run logged no metric more than once."
        )
        return
    columns = st.columns(2)
    for place, (title, each) in enumerate(drawn.items()):
        columns[place % 2].markdown(f"**{title.capitalize()}**")
        columns[place % 2].altair_chart(curve_chart(each), width="stretch")
