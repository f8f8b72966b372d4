"""A sweep: history, what decides, margins, all settings at once, trials; a click on a trial opens its matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from cross_modal_dashboards import resources
from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.components.matches_link import open_matches
from cross_modal_dashboards.run_charts import (
    PANELS,
    PICK,
    history_chart,
    importance_chart,
    margin_charts,
    parallel_chart,
    picked_trial,
)
from cross_modal_dashboards.runs_table import trials_frame
from cross_modal_dashboards.study_frames import StudyFrames, study_of, trial_matches, trial_number

TRIAL = "trial"  # the trial that is looked at: a widget's key


@st.cache_data(ttl=resources.FRESH, max_entries=8, show_spinner="reading the study")
def study_for(uri: str, run_id: str) -> StudyFrames:
    """What the study of a sweep learned."""
    return study_of(resources.catalogue(uri), run_id)


def study_charts(found: StudyFrames) -> int | None:
    """Draws what a study learned.

    Returns:
        The trial that was clicked just now; None where none was.
    """
    clicks = []
    left, right = st.columns(2)
    left.markdown(f"**Trial by trial**: {found.target}, {'more' if found.maximise else 'less'} is better")
    if len(found.history):
        clicks.append(_clickable(left, history_chart(found), "history"))
    else:
        left.caption("No trial has a value yet.")
    right.markdown("**What decides**")
    if len(found.importance):
        right.altair_chart(importance_chart(found), width="stretch")
    else:
        right.caption("Too few complete trials to say.")
    st.markdown("**Which margin?**")
    if len(found.margins):
        panels = list(margin_charts(found).items())
        for begin in range(0, len(panels), PANELS):
            for column, (title, chart) in zip(st.columns(PANELS), panels[begin : begin + PANELS], strict=False):
                column.caption(title)
                clicks.append(_clickable(column, chart, f"margin {title}"))
    else:
        st.caption("No trial that has a value drew a margin.")
    st.markdown("**All settings at once**: a line a trial, the winner's is the thick one")
    if len(found.lines):
        clicks.append(_clickable(st, parallel_chart(found), "parallel"))
    else:
        st.caption("Too few complete trials, or no setting that most of them have and that differs.")
    return next((trial for trial in clicks if trial is not None), None)


def trials_panel(sweep: RunFacts, children: Sequence[RunFacts], found: StudyFrames | None, clicked: int | None) -> None:
    """The trials as a table, and the way to the matches of one.

    Args:
        sweep: The run of the sweep.
        children: The runs of its trials.
        found: What its study says; None where it is not on this machine.
        clicked: The trial that was clicked in a chart just now.
    """
    trials = trials_frame(children)
    numbers = [trial_number(name) for name in trials["trial"]]
    st.markdown(f"**{len(trials)} trial{'' if len(trials) == 1 else 's'}**")
    state = st.dataframe(
        trials, hide_index=True, column_config={"run_id": None}, key="trial rows", on_select="rerun",
        selection_mode="single-row",
    )  # fmt: skip
    rows = [row for row in _rows(state) if row < len(trials)]
    of_table = numbers[rows[0]] if _news("trial rows", rows) and rows else None
    st.download_button(
        "Download trials as CSV", trials.to_csv(index=False), "trials.csv", "text/csv", on_click="ignore", key="trials"
    )
    known = sorted(number for number in numbers if number is not None)
    if not known:
        return
    picked = clicked if clicked in known else of_table
    if picked is not None:
        st.session_state[TRIAL] = picked
    best = found.winner if found is not None and found.winner in known else known[0]
    if st.session_state.get(TRIAL) not in known:
        st.session_state[TRIAL] = best
    choose, go = st.columns([1, 3], vertical_alignment="bottom")
    trial = choose.selectbox("Trial", known, key=TRIAL, help="A click on a chart or on a row chooses it too")
    there = trial_matches(trial, sweep, found, children)
    if picked is not None and there.own and there.run_id is not None:
        open_matches(there.run_id)
    if there.run_id is not None:
        label = "Open its matches" if there.own else "Open the twin's matches" if _heads(found) else "Open the winner's"
        if go.button(label, icon=":material/search:", key="open matches"):
            open_matches(there.run_id)
    st.caption(there.sentence)


def _heads(found: StudyFrames | None) -> bool:
    return found is not None and found.kind == "heads"


def _clickable(place: Any, chart: Any, key: str) -> int | None:
    """Draws a chart; the trial that was clicked in it since the last run."""
    event = place.altair_chart(chart, width="stretch", key=key, on_select="rerun", selection_mode=PICK)
    trial = picked_trial(event)
    return trial if _news(key, trial) else None


def _news(key: str, value: Any) -> bool:
    """Whether a selection is another than at the last run: Streamlit tells it again with every rerun."""
    before = st.session_state.get(f"last {key}")
    st.session_state[f"last {key}"] = value
    return bool(before != value and value not in (None, []))


def _rows(state: Any) -> list[int]:
    return list(state["selection"]["rows"]) if state else []


def sweep_panel(uri: str, sweep: RunFacts, children: Sequence[RunFacts], found: StudyFrames | Exception) -> None:
    """Everything about a sweep.

    Args:
        uri: The tracking store.
        sweep: Its run.
        children: The runs of its trials.
        found: What its study says, or why it cannot be read: the trials are shown all the same.
    """
    clicked = None
    if isinstance(found, Exception):
        st.info(str(found))
    else:
        clicked = study_charts(found)
    trials_panel(sweep, children, None if isinstance(found, Exception) else found, clicked)
