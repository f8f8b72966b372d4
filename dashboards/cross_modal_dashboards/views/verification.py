"""Verification: a threshold of "same or different" on a run's own test pairs, and what it gets right and wrong."""

from typing import Final

import pandas as pd
import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal.verification.comparison import in_words
from cross_modal.verification.estimate import Estimate
from cross_modal_dashboards import resources
from cross_modal_dashboards.choice import chosen, stop_with
from cross_modal_dashboards.components.pair_cards import PairCard, pair_cards
from cross_modal_dashboards.pair_items import pair_link
from cross_modal_dashboards.verification_bench import (
    ARTIFACT,
    SHOWN,
    Bench,
    Rates,
    bench_of,
    comparisons_of,
    sides,
    usual_threshold,
)
from cross_modal_dashboards.verification_charts import det_chart, histogram_chart, roc_chart

BOUND: Final = "query-params"
ON_THE_PAGE = 12


@st.cache_resource(max_entries=4, show_spinner="measuring")
def bench_for(uri: str, run_id: str, comparison: str) -> Bench:
    """The pairs of one comparison of a run; what does not depend on the threshold is measured once."""
    table = resources.artifact_table(uri, run_id, ARTIFACT)
    assert table is not None
    return bench_of(table, comparison)


choice = chosen()
st.title("Verification")
try:
    table = resources.artifact_table(choice.uri, choice.run.run_id, ARTIFACT)
    if table is None:
        raise CrossModalError(
            f"run {choice.run.title}: expected scored test pairs ({ARTIFACT}), found none; cross-modal train and "
            "cross-modal demo write them on a local store"
        )
    names = comparisons_of(table)
except Exception as error:  # an artifact that is no table: the page says so and stays
    stop_with(error)

words = {in_words(name): name for name in names}
asked = st.query_params.get("comparison")
if asked is not None and asked not in words:
    st.warning(f"comparison {asked[:40]!r}: expected one of {', '.join(words)}; showing {next(iter(words))}")
comparison = words[
    st.radio(
        "Compare", list(words), key="comparison", bind=BOUND, horizontal=True,
        help="Scores of a picture with a name lie elsewhere than scores of two pictures: each has its own thresholds",
    )
]  # fmt: skip
try:
    bench = bench_for(choice.uri, choice.run.run_id, comparison)
    calibration = resources.model(choice.uri, choice.run.run_id).calibration
except Exception as error:
    stop_with(error)
usual, meaning = usual_threshold(bench, calibration, comparison)
low, high, step = bench.range()
low, high = min(low, usual), max(high, usual)

# A threshold of other pairs means nothing here; the first view keeps the one of its link.
now = (choice.run.run_id, comparison)
if st.session_state.get("bench", now) != now or not low <= st.session_state.get("threshold", usual) <= high:
    st.session_state.pop("threshold", None)
st.session_state["bench"] = now


def take(value: float) -> None:
    """Moves the slider."""
    st.session_state["threshold"] = value


threshold = st.slider("Threshold", low, high, usual, step, format="%.4f", key="threshold", bind=BOUND,
                      help="Pairs with at least this score are taken for the same")  # fmt: skip
st.caption(f"{usual:.4f} is {meaning}." if threshold == usual else f"The usual threshold is {usual:.4f}: {meaning}.")
rates = bench.at(threshold)


def interval(found: Estimate) -> str:
    """What 95 % of resamples lie in."""
    return f"{found.low:.1%}–{found.high:.1%}"


same, different = bench.counts

left, middle, right, last = st.columns(4)
left.metric("Different taken for same", f"{rates.false_accept.value:.2%}", border=True)
left.caption(f"{rates.false_accepts:,} of {different:,} · 95 %: {interval(rates.false_accept)}")
middle.metric("Same taken for different", f"{rates.false_reject.value:.2%}", border=True)
middle.caption(f"{rates.false_rejects:,} of {same:,} · 95 %: {interval(rates.false_reject)}")
right.metric("Accuracy", f"{rates.accuracy.value:.2%}", border=True, help="Where both kinds are equally frequent")
right.caption(f"95 %: {interval(rates.accuracy)}")
last.metric("Equal error rate", f"{bench.whole['eer'].value:.2%}", border=True, help="At whatever threshold")
auc = bench.whole["auc"]
last.caption(f"95 %: {interval(bench.whole['eer'])} · area {auc.value:.4f} ({auc.low:.4f}–{auc.high:.4f})")


def charts(bench: Bench, rates: Rates) -> None:
    """Scores, ROC and DET side by side."""
    drawn = (("Scores", histogram_chart), ("ROC", roc_chart), ("DET", det_chart))
    for column, (title, chart) in zip(st.columns(3), drawn, strict=True):
        column.markdown(f"**{title}**")
        column.altair_chart(chart(bench, rates), width="stretch")


charts(bench, rates)
st.subheader("A threshold for a false-accept rate")
number, answer, button = st.columns([2, 4, 2], vertical_alignment="bottom")
count = int(
    number.number_input("One false accept in", 2, 10_000_000, 1000, key="one_in", bind=BOUND, help="different pairs")
)
strict = bench.one_in(count)
found = bench.at(strict)
answer.markdown(
    f"Threshold **{strict:.4f}**: {found.false_accepts:,} of {different:,} different pairs pass, "
    f"{found.false_reject.percent()} of the same pairs are refused."
)
button.button("Take this threshold", on_click=take, args=(min(max(strict, low), high),), key="take")
if not bench.can_show(count):
    st.info(f"{different:,} different pairs cannot show one false accept in {count:,}: this threshold accepts none of "
            f"them, and {count:,} or more would be needed to measure it.")  # fmt: skip

st.subheader("Pairs nearest to the threshold")
which = st.segmented_control("Show", SHOWN, default=SHOWN[0], key="pairs", bind=BOUND, required=True)
nearest = bench.nearest(threshold, ON_THE_PAGE, which or SHOWN[0])


def cards(nearest: pd.DataFrame) -> list[PairCard]:
    """The pairs as cards, with pictures where the gallery is at hand."""
    ids = [str(name) for name in [*nearest["id_a"], *nearest["id_b"]]]
    try:
        shown = sides(resources.gallery(choice.own_gallery), ids)  # its pairs are of the run's own items
    except CrossModalError as error:
        st.caption(f"No pictures: {error}")
        shown = sides(None, ids)
    made = []
    for pair in nearest.itertuples():
        a, b = shown[str(pair.id_a)], shown[str(pair.id_b)]
        truth = "same" if pair.same else "different"
        lines = (f"is {truth}, taken for {pair.decision}: {'right' if pair.right else 'wrong'}",)
        alt = f"{a.words} and {b.words}: score {pair.score:.4f}, {lines[0]}"
        state = "right" if pair.right else "wrong"
        link = pair_link(choice.run.run_id, a.id, b.id) if all(x.picture or x.words != x.id for x in (a, b)) else ""
        made.append(PairCard((a.words, b.words), (a.picture, b.picture), f"{pair.score:.4f}", lines, state, alt, link))
    return made


if len(nearest):
    pair_cards(cards(nearest), key="cards")
else:
    st.caption(f"No {which} at this threshold.")
st.download_button("Download all pairs as CSV", bench.decided(threshold).to_csv(index=False), "verification_pairs.csv",
                   "text/csv", on_click="ignore")  # fmt: skip
