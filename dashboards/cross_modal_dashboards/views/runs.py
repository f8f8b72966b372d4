"""Runs and sweeps: every run as a table; one of them with its curves and its study, or two on the same queries."""

from typing import Final

import streamlit as st

from cross_modal_dashboards import resources
from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.choice import BOUND, stop_with
from cross_modal_dashboards.components.run_curves import run_curves
from cross_modal_dashboards.components.study_panel import study_for, sweep_panel
from cross_modal_dashboards.components.two_runs import QUERY, RUNS, two_runs
from cross_modal_dashboards.runs_table import LISTED, matching, runs_frame
from cross_modal_dashboards.study_frames import STUDY, StudyFrames
from cross_modal_mlflow.store import tracking_uri

OF: Final = "of"  # the run of this view, in the address
OF_STUDY: Final = "study"  # or the study whose sweep it is
ONE, TWO = "One run", "Two runs on the same queries"


@st.cache_data(ttl=resources.FRESH, max_entries=4, show_spinner=False)
def listed(uri: str) -> list[RunFacts]:
    """All runs but trials, newest first."""
    return resources.catalogue(uri).runs(LISTED)


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def studies(uri: str, sweeps: tuple[str, ...]) -> dict[str, str]:
    """Run id → name of the study of each sweep that has one."""
    if not sweeps:  # looking must not make a store
        return {}
    client = resources.catalogue(uri).client
    tags = {run_id: client.get_run(run_id).data.tags for run_id in sweeps}
    return {run_id: of[STUDY] for run_id, of in tags.items() if STUDY in of}


uri = tracking_uri()
st.title("Runs and sweeps")
try:
    runs = listed(uri)
    study_names = studies(uri, tuple(run.run_id for run in runs if run.command == "sweep"))
except Exception as error:  # a store that does not answer, or is none: the page says so and stays
    stop_with(error)
if not runs:
    st.info(f"No runs in {uri} yet. `cross-modal demo` makes one; so does `cross-modal train --data YOUR_FOLDER`.")
    st.stop()

by_id = {run.run_id: run for run in runs}
every = runs_frame(runs)
words, commands, statuses = st.columns([2, 2, 2])
table = matching(
    every,
    words.text_input("Filter", key="find", bind=BOUND, placeholder="words of the name, the data, the id"),
    commands.multiselect("Commands", sorted(set(every["command"])), key="commands", bind=BOUND, placeholder="all"),
    statuses.multiselect("Status", sorted(set(every["status"])), key="status", bind=BOUND, placeholder="any"),
)
COLUMNS = {
    "run_id": None,
    "started": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    **{name: st.column_config.NumberColumn(format="%.4f") for name in table.columns[6:]},
}
picked = st.dataframe(table, hide_index=True, column_config=COLUMNS, key="table", on_select="rerun",
                      selection_mode="single-row")  # fmt: skip
count, save = st.columns([3, 1])
count.caption(
    f"{len(table):,} of {len(every):,} runs." if len(table) < len(every) else f"{len(every):,} runs, newest first."
)
save.download_button("Download runs as CSV", table.to_csv(index=False), "runs.csv", "text/csv", on_click="ignore")

if "part" not in st.session_state:
    st.session_state["part"] = TWO if RUNS in st.query_params else ONE
part = st.segmented_control("Show", [ONE, TWO], key="part", label_visibility="collapsed", required=True)
if part == TWO:
    for name in (OF, OF_STUDY):
        st.query_params.pop(name, None)
    try:
        two_runs(uri, runs)
    except Exception as error:  # a gallery that is gone or broken: the rest of the page stays
        stop_with(error)
    st.stop()
for name in (RUNS, QUERY):
    st.query_params.pop(name, None)

rows = picked["selection"]["rows"] if picked else []
asked, asked_study = st.query_params.get(OF), st.query_params.get(OF_STUDY)
if asked is None and asked_study is not None:
    asked = next((run_id for run_id, name in study_names.items() if name == asked_study), None)
    if asked is None:
        st.warning(f"study {asked_study[:40]}: expected a sweep of it in {uri}, found none; showing the newest run")
if asked is not None and asked not in by_id:
    st.warning(f"run {asked[:40]}: expected a run in {uri}, found none; showing the newest")
if st.session_state.get("chosen_run") not in by_id:
    st.session_state["chosen_run"] = asked if asked in by_id else every["run_id"][0]
if rows != st.session_state.get("rows", []) and rows and rows[0] < len(table):
    st.session_state["chosen_run"] = table["run_id"][rows[0]]  # a click decides; a later choice in the list wins
st.session_state["rows"] = rows
chosen_id = st.selectbox("Run", list(by_id), format_func=lambda each: by_id[each].title, key="chosen_run")
# A bound list would put the run's title in the address: ids stay what they are when a run is renamed.
st.query_params[OF] = chosen_id
if chosen_id in study_names:
    st.query_params[OF_STUDY] = study_names[chosen_id]
else:
    st.query_params.pop(OF_STUDY, None)
try:
    run = resources.catalogue(uri).run(chosen_id)  # as it is now: the list may be some seconds old
except Exception as error:
    stop_with(error)

st.subheader("Curves")
run_curves(uri, run)
with st.expander(f"All {len(run.metrics)} metrics and {len(run.parameters)} parameters"):
    left, right = st.columns(2)
    left.dataframe({"metric": list(run.metrics), "value": list(run.metrics.values())}, hide_index=True)
    right.dataframe({"parameter": list(run.parameters), "value": list(run.parameters.values())}, hide_index=True)

try:
    children = resources.catalogue(uri).children(run.run_id)
except Exception as error:
    stop_with(error)
if not children and run.run_id not in study_names:
    st.stop()

st.subheader("Study")
found: StudyFrames | Exception
try:
    found = study_for(uri, run.run_id)
except Exception as error:  # a journal that is elsewhere or broken: the trials are in MLflow all the same
    found = error
sweep_panel(uri, run, children, found)
