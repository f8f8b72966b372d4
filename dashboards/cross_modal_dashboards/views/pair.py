"""Pair: two items side by side, whether they are the same, what made the match, and whether that explanation holds."""

import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal.explanation.match import MatchExplanation
from cross_modal.verification.pair_scorer import load_pair_scorer
from cross_modal_dashboards import resources
from cross_modal_dashboards.choice import BOUND, chosen, stop_with
from cross_modal_dashboards.components.explained_sides import explained_sides
from cross_modal_dashboards.components.pair_chooser import choose_side, take
from cross_modal_dashboards.pair_chart import deletion_chart
from cross_modal_dashboards.pair_drawing import linked_sides, mapped_side, plain_side
from cross_modal_dashboards.pair_items import PairItem, closest
from cross_modal_dashboards.pair_view import (
    MAPS,
    MEANING,
    PLAIN,
    Checked,
    MapName,
    check,
    compare,
    deletion_table,
    embedding_of,
    explain,
    in_sentences,
    late_interaction_score,
    link_table,
    notes_on,
    parts_table,
    truth,
    verdict_table,
)
from cross_modal_mlflow.verification_answer import Answer, Verifier

QUICK = 30_000_000  # parameters; with more, the deletion check waits to be asked for
Run = tuple[str, str]  # tracking store, run id


@st.cache_resource(max_entries=4, show_spinner=False)
def verifier_of(uri: str, run_id: str) -> Verifier:
    """A run's twin, ready to say "same or not"."""
    model = resources.model(uri, run_id)
    return Verifier(model.twin, load_pair_scorer(model.folder), model.calibration, PLAIN)


@st.cache_resource(max_entries=32, show_spinner="looking for what made the match")
def explained(run: Run, keys: tuple[str, str], _a: PairItem, _b: PairItem) -> MatchExplanation:
    """`explain`, kept."""
    return explain(verifier_of(*run), _a, _b)


@st.cache_resource(max_entries=32, show_spinner="hiding what the maps point at")
def checks(run: Run, keys: tuple[str, str], _a: PairItem, _b: PairItem) -> list[Checked]:
    """`check`, kept."""
    return check(verifier_of(*run), _a, _b, explained(run, keys, _a, _b))


def show_answer(answer: Answer, a: PairItem, b: PairItem) -> None:
    """The decision with its numbers."""
    decided = answer.same is not None
    columns = st.columns(4)
    columns[0].metric("Decision", ("Same" if answer.same else "Different") if decided else "–", border=True,
                      help="At the run's own threshold")  # fmt: skip
    columns[1].metric("Score", f"{answer.score:.4f}", border=True)
    columns[2].metric("Threshold", f"{answer.threshold:.4f}" if decided else "–", border=True,
                      help="Scores from here on are taken for the same")  # fmt: skip
    columns[3].metric("Probability of same", f"{answer.probability:.1%}" if decided else "–", border=True)
    labels = truth(a, b)
    st.text("\n".join([*([f"By their labels: {labels}."] if labels else []), *in_sentences(answer)]))


def show_maps(match: MatchExplanation, a: PairItem, b: PairItem, answer: Answer, verifier: Verifier) -> MapName:
    """Both sides under the map that is chosen; which that is."""
    picked = st.segmented_control("Show", list(MAPS), default="contributions", key="map", bind=BOUND, required=True)
    which = MAPS[picked or "contributions"]
    st.caption(MEANING[which])
    twin = verifier.twin
    explained_sides([mapped_side("A", a, match.a, which, twin), mapped_side("B", b, match.b, which, twin)], key="maps")
    for note in notes_on(match, answer, a, b, verifier.scorer.name):
        st.text(note)
    st.download_button("Download the maps as CSV", parts_table(match).to_csv(index=False), "pair_maps.csv",
                       "text/csv", on_click="ignore")  # fmt: skip
    return which


def show_check(tested: list[Checked], which: MapName) -> None:
    """The deletion test of a map on both sides, and of all maps as a table."""
    shown = [each for each in tested if each.map == which]
    for column, each in zip(st.columns(2, gap="medium"), shown, strict=True):
        box = {"holds": column.success, "fails": column.warning, "none": column.info}[each.verdict]
        box(f"{each.side}: {each.sentence}")
        if each.curves is not None:
            column.altair_chart(deletion_chart(each.curves), width="stretch")
    with st.expander("All maps of both sides"):
        st.dataframe(verdict_table(tested), hide_index=True, width="stretch")
        st.download_button("Download the check as CSV", deletion_table(tested).to_csv(index=False),
                           "pair_deletion.csv", "text/csv", on_click="ignore")  # fmt: skip


def show_links(match: MatchExplanation, a: PairItem, b: PairItem, verifier: Verifier) -> None:
    """Parts that choose each other."""
    tokens = late_interaction_score(match)
    if tokens is None or not match.links:
        st.info("No parts that choose each other.")
        return
    st.caption(
        f"Late interaction: parts with the same number choose each other. Part by part the two score {tokens:.4f}. "
        "The model is trained on whole items, so this is a hint and no part of the score."
    )
    explained_sides(linked_sides(a, b, match, verifier.twin), key="links")
    with st.expander("The links as a table"):
        st.dataframe(link_table(match), hide_index=True, width="stretch")
        st.download_button("Download the links as CSV", link_table(match).to_csv(index=False), "pair_links.csv",
                           "text/csv", on_click="ignore")  # fmt: skip


def show_pair(run: Run, verifier: Verifier, a: PairItem, b: PairItem) -> None:
    """All that is known of two items."""
    answer = compare(verifier, a, b)
    show_answer(answer, a, b)
    st.subheader("What made the match")
    keys = (a.key, b.key)
    match = explained(run, keys, a, b)
    which = show_maps(match, a, b, answer, verifier)
    st.subheader("Does it hold?")
    st.caption("Deletion check: what the map points at is hidden, the most important first. Where the map is right, "
               "the score falls faster than when as much is hidden at random.")  # fmt: skip
    quick = sum(each.numel() for each in verifier.twin.parameters()) <= QUICK
    if st.toggle("Check", quick, key="check", bind=BOUND, help="Scores over a hundred variants of the two items"):
        show_check(checks(run, keys, a, b), which)
    st.subheader("Which parts answer which")
    show_links(match, a, b, verifier)


choice = chosen()
st.title("Pair")
run = (choice.uri, choice.run.run_id)
gallery = None
try:
    verifier = verifier_of(*run)
    try:
        gallery = choice.open_gallery()
    except CrossModalError as error:  # texts and uploads can be compared all the same
        gallery = None
        st.error(str(error))
except Exception as error:  # a broken gallery, a model of another version: the page says so and stays
    stop_with(error)

left, right = st.columns(2, gap="medium")
try:
    with left:
        a = choose_side("a", gallery, verifier.twin)
        if a is not None:
            explained_sides([plain_side("A", a)], key="side a")
    nearest = () if a is None or gallery is None else closest(gallery, a, embedding_of(verifier.twin, a))
    with right:
        b = choose_side("b", gallery, verifier.twin, nearest)
        if b is not None:
            explained_sides([plain_side("B", b)], key="side b")
            if b.id is not None and nearest and b.id != nearest[0]:
                st.button("Take the item most like A", on_click=take, args=("b", nearest[0]), key="closest")
    if a is None or b is None:
        st.info("Type a text or upload a picture for each side that is not from the gallery.")
    else:
        show_pair(run, verifier, a, b)
except CrossModalError as error:
    stop_with(error)
