"""Map: where a run's pictures and texts lie to each other, which are misplaced, and a way into their matches."""

from pathlib import Path

import numpy as np
import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal.gallery.gallery import Gallery
from cross_modal_dashboards import resources
from cross_modal_dashboards.choice import BOUND, chosen, stop_with
from cross_modal_dashboards.components.embedding_map import MapPoints, embedding_map, map_pictures
from cross_modal_dashboards.components.tiles import ClickTile, tiles
from cross_modal_dashboards.map_view import RunMap, gap_in_words, made_in_words, map_points, small_pictures
from cross_modal_mlflow.explorer_map import ARTIFACT

ON_THE_PAGE, LISTED = 24, 1000  # as pictures, as lines
MATCHES = str(Path(__file__).with_name("matches.py"))


@st.cache_resource(max_entries=4, show_spinner="reading the map")
def map_for(uri: str, run_id: str) -> RunMap:
    """A run's map.

    Raises:
        CrossModalError: It has none, or what is there is none.
    """
    file = resources.catalogue(uri).artifact(run_id, ARTIFACT)
    if file is None:
        raise CrossModalError(
            f"run {run_id}: expected a map ({ARTIFACT}), found none; cross-modal train and cross-modal demo write one "
            "with the run, on a store of this machine and without --explorer false"
        )
    return RunMap.read(file)


@st.cache_resource(max_entries=8, show_spinner=False)
def points_for(uri: str, run_id: str, colour: str, show: str, labels: tuple[str, ...]) -> MapPoints:
    """The map in colours; packed once."""
    return map_points(map_for(uri, run_id), colour, show, labels)


choice = chosen()
run_id = choice.run.run_id
st.title("Map")
try:
    found = map_for(choice.uri, run_id)
except Exception as error:  # an artifact that is no map: the page says so and stays
    stop_with(error)
gallery: Gallery | None = None
try:
    gallery = resources.gallery(choice.own_gallery)  # the map is of the run's own items
    gallery.refresh()
    if gallery.version != found.facts.gallery_version:
        st.caption("The gallery has changed since the map was made: what was added since is not on it.")
except Exception as error:  # the map stands without its gallery
    st.caption(f"No pictures: {error}")

left, middle, right = st.columns(3)
gap, kept = found.facts.gap, found.facts.kept
left.metric("Modality gap", "–" if gap is None else f"{gap:.3f}", border=True,
            help="Distance between the centre of all pictures and the centre of all texts, among the embeddings, "
                 "not on the map: 0 is one centre, 2 the farthest. CLIP as published has about 0.8.")  # fmt: skip
left.caption(gap_in_words(gap))
judged = int(found.table["error"].notna().sum())
middle.metric("Nearest is of another class", f"{found.wrong.sum() / judged:.1%}" if judged else "–", border=True,
              help="Of all items, left out one at a time: the nearest picture is of another class")  # fmt: skip
middle.caption(found.errors_in_words())
right.metric("Neighbours kept", "–" if kept is None else f"{kept:.0%}", border=True,
             help="A plane cannot keep all of them: look at the matches before you believe a distance")  # fmt: skip
trust = found.facts.trustworthiness
right.caption("Too few items to say." if trust is None else f"Trustworthiness {trust:.2f} of 1")

row = st.container(horizontal=True, vertical_alignment="bottom")
colour = row.segmented_control("Colour by", found.colours(), default=found.colours()[0], key="colour", bind=BOUND,
                                 required=True)  # fmt: skip
show = row.segmented_control("Show", found.shown(), default=found.shown()[0], key="show", bind=BOUND, required=True)
labels = row.multiselect("Labels", found.labels, key="labels", bind=BOUND, placeholder="all",
                           disabled=not found.labels)  # fmt: skip


def pictures(rows: np.ndarray) -> dict[int, bytes | None]:
    """Small pictures of rows; none where the gallery does not answer."""
    if gallery is None or not len(rows):
        return {}
    try:
        return small_pictures(gallery, found, rows)
    except CrossModalError as error:
        st.caption(f"No pictures: {error}")
        return {}


@st.fragment
def show_map() -> None:
    """The map and what is selected on it: only these run again when something is picked or hovered over."""
    points = points_for(choice.uri, run_id, str(colour), str(show), tuple(labels))
    key = f"map_{run_id}"
    answer = embedding_map(points, key)
    map_pictures(points, pictures(answer.wanted), key)
    st.caption(made_in_words(found.facts))
    rows = found.selected(answer.picked, str(show), labels)
    st.subheader("Selected")
    if not len(rows):
        st.caption("Draw a line around points on the map, or choose labels above: they are listed here.")
        return
    table = found.listed(rows, run_id)
    count = f"{len(rows):,} item{'s' * (len(rows) != 1)}"
    first = f", the first {ON_THE_PAGE} in pictures" if len(rows) > ON_THE_PAGE else ""
    st.caption(f"{count}{first}. A click looks for what is near one of them.")
    clicked = tiles(selected_tiles(rows[:ON_THE_PAGE]), key="selected")
    if clicked is not None:
        st.switch_page(MATCHES, query_params={"run": run_id, "id": clicked})
    if len(table) > LISTED:
        st.caption(f"The first {LISTED:,} of {len(table):,} lines; the CSV has them all.")
    st.dataframe(table[:LISTED], hide_index=True,
                 column_config={"matches": st.column_config.LinkColumn(display_text="matches")})  # fmt: skip
    written = table.drop(columns="matches").to_csv(index=False)
    st.download_button("Download selection as CSV", written, "map_selection.csv", "text/csv", on_click="ignore")


def selected_tiles(rows: np.ndarray) -> list[ClickTile]:
    """Some rows as tiles; a red edge where another class is nearer."""
    small = pictures(rows)
    code, names = found.words
    made = []
    for row in rows.tolist():
        facts, words = found.table.iloc[row], names[code[row]]
        lines = ("another class is nearer",) if found.wrong[row] else ()
        alt = f"{words}{', another class is nearer' if lines else ''}; look for it"
        state = "wrong" if lines else "plain"
        title, text = (str(facts[name]) if isinstance(facts[name], str) else "" for name in ("label", "text"))
        made.append(ClickTile(str(facts["id"]), title or words, text or words, "", alt, small.get(row), lines, state))
    return made


show_map()
