"""Runs and sweeps: every run as a table, how the chosen one went (live while it runs), and what a study learned."""

from typing import Final

import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal_dashboards import resources
from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.choice import stop_with
from cross_modal_dashboards.run_charts import curve_chart, history_chart, importance_chart, margin_chart
from cross_modal_dashboards.runs_table import (
    LISTED,
    RUNNING,
    STUDY,
    StudyFrames,
    curve_groups,
    curves,
    runs_frame,
    study_of,
    trials_frame,
)
from cross_modal_mlflow.store import tracking_uri

OF: Final = "of"  # the run of this view, in the address
LIVE = "3s"


@st.cache_data(ttl=resources.FRESH, max_entries=4, show_spinner=False)
def listed(uri: str) -> list[RunFacts]:
    """All runs but trials, newest first."""
    return resources.catalogue(uri).runs(LISTED)


@st.cache_data(ttl=resources.FRESH, max_entries=8, show_spinner="reading the study")
def study_for(uri: str, run_id: str) -> StudyFrames:
    """What the study of a sweep learned."""
    return study_of(resources.catalogue(uri), run_id)


uri = tracking_uri()
st.title("Runs and sweeps")
try:
    runs = listed(uri)
except Exception as error:  # a store that does not answer, or is none: the page says so and stays
    stop_with(error)
if not runs:
    st.info(f"No runs in {uri} yet. `cross-modal demo` makes one; so does `cross-modal train --data YOUR_FOLDER`.")
    st.stop()

by_id = {run.run_id: run for run in runs}
table = runs_frame(runs)
COLUMNS = {
    "run_id": None,
    "started": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    **{name: st.column_config.NumberColumn(format="%.4f") for name in table.columns[6:]},
}
picked = st.dataframe(table, hide_index=True, column_config=COLUMNS, key="table", on_select="rerun",
                      selection_mode="single-row")  # fmt: skip
st.download_button("Download runs as CSV", table.to_csv(index=False), "runs.csv", "text/csv", on_click="ignore")
rows = picked["selection"]["rows"] if picked else []
asked = st.query_params.get(OF)
if asked is not None and asked not in by_id:
    st.warning(f"run {asked[:40]}: expected a run in {uri}, found none; showing the newest")
if st.session_state.get("chosen_run") not in by_id:
    st.session_state["chosen_run"] = asked if asked in by_id else table["run_id"][0]
if rows != st.session_state.get("rows", []) and rows and rows[0] < len(table):
    st.session_state["chosen_run"] = table["run_id"][rows[0]]  # a click decides; a later choice in the list wins
st.session_state["rows"] = rows
chosen_id = st.selectbox("Run", list(by_id), format_func=lambda each: by_id[each].title, key="chosen_run")
# A bound list would put the run's title in the address: ids stay what they are when a run is renamed.
st.query_params[OF] = chosen_id
run = by_id[chosen_id]


def show_curves() -> None:
    """The run's curves, read anew each time."""
    known = resources.catalogue(uri)
    try:
        now = known.run(run.run_id)
        groups = curve_groups(now.metrics)
        tables = {title: curves(known, run.run_id, names) for title, names in groups.items()}
    except Exception as error:
        stop_with(error)
    if now.status == RUNNING:
        st.caption(f"Running; looked at every {LIVE.removesuffix('s')} seconds.")
    elif run.status == RUNNING:
        st.caption(f"Ended: {now.status.lower()}.")
    drawn = {title: points for title, points in tables.items() if points["step"].nunique() > 1}
    if not drawn:
        st.caption("No curves: this run logged no metric more than once.")
        return
    columns = st.columns(2)
    for place, (title, points) in enumerate(drawn.items()):
        columns[place % 2].markdown(f"**{title.capitalize()}**")
        columns[place % 2].altair_chart(curve_chart(points), width="stretch")


st.subheader("Curves")
# Only what is still running is looked at again and again.
st.fragment(show_curves, run_every=LIVE if run.status == RUNNING else None)()
with st.expander(f"All {len(run.metrics)} metrics and {len(run.parameters)} parameters"):
    left, right = st.columns(2)
    left.dataframe({"metric": list(run.metrics), "value": list(run.metrics.values())}, hide_index=True)
    right.dataframe({"parameter": list(run.parameters), "value": list(run.parameters.values())}, hide_index=True)

try:
    children = resources.catalogue(uri).children(run.run_id)
    is_sweep = bool(children) or STUDY in resources.catalogue(uri).client.get_run(run.run_id).data.tags
except Exception as error:
    stop_with(error)
if not is_sweep:
    st.stop()

st.subheader("Study")
try:
    found = study_for(uri, run.run_id)
except CrossModalError as error:
    st.info(str(error))
else:
    left, right = st.columns(2)
    left.markdown(f"**Trial by trial**: {found.target}, {'more' if found.maximise else 'less'} is better")
    if len(found.history):
        left.altair_chart(history_chart(found), width="stretch")
    else:
        left.caption("No trial has a value yet.")
    right.markdown("**What decides**")
    if len(found.importance):
        right.altair_chart(importance_chart(found), width="stretch")
    else:
        right.caption("Too few complete trials to say.")
    st.markdown("**Which margin?**")
    if len(found.margins):
        st.altair_chart(margin_chart(found), width="content")
    else:
        st.caption("No trial that has a value drew a margin.")
trials = trials_frame(children)
st.markdown(f"**{len(trials)} trials**")
st.dataframe(trials, hide_index=True, column_config={"run_id": None})
st.download_button("Download trials as CSV", trials.to_csv(index=False), "trials.csv", "text/csv", on_click="ignore",
                   key="trials")  # fmt: skip
