"""Audit: what is wrong with the data by the twin's own embeddings, each finding with its pictures and as a file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal_dashboards import resources
from cross_modal_dashboards.audit_view import NEIGHBOURS, Audit, audit_of, duplicates_table, leak_lines
from cross_modal_dashboards.choice import BOUND, GALLERY, chosen, stop_with
from cross_modal_dashboards.components.pair_cards import PairCard, pair_cards
from cross_modal_dashboards.pair_items import matches_link, pair_link
from cross_modal_dashboards.verification_bench import sides

ON_THE_PAGE = 12
LABELS, DUPLICATES, CLASSES, NEGATIVES = "Labels", "Near-duplicates", "Classes", "Hardest negatives"
SECTIONS = [LABELS, DUPLICATES, CLASSES, NEGATIVES]
KINDS = {"pictures": "image", "texts": "text"}

choice = chosen()
st.title("Audit")
try:
    gallery = choice.open_gallery()
except Exception as error:  # a broken gallery: the page says so and stays
    stop_with(error)
if not len(gallery):
    stop_with(CrossModalError(f"gallery {gallery.location}: expected items to audit, found none"))
other_gallery = st.query_params.get(GALLERY)


@contextmanager
def telling() -> Iterator[Callable[[int, int], None]]:
    """A bar that stands while something long runs."""
    bar = st.progress(0.0, "comparing every item with every other")

    def told(done: int, todo: int) -> None:
        bar.progress(done / max(todo, 1))

    yield told
    bar.empty()


@st.cache_resource(max_entries=2, show_spinner=False)
def audited(location: str, version: int) -> Audit:
    """The neighbourhoods of one version of a gallery."""
    with telling() as told:
        return audit_of(resources.gallery(location), told)


@st.cache_data(max_entries=4, show_spinner=False)
def negatives(location: str, version: int, _found: Audit) -> pd.DataFrame:
    """The most alike pairs of different classes of one version of a gallery."""
    with telling() as told:
        return _found.negatives(told)


@st.cache_data(max_entries=8, show_spinner=False)
def duplicates(location: str, version: int, kind: str, threshold: float, across: bool) -> pd.DataFrame:
    """Near-duplicates of one version of a gallery."""
    with telling() as told:
        return duplicates_table(resources.gallery(location), kind, threshold, across, told)


def nearest_own(row: dict[str, Any]) -> str:
    """What a pair of different classes is to be held against."""
    own = row["nearest of its own"]
    return (
        "the left one is alone in its class" if pd.isna(own) else f"the nearest of the left one's own class: {own:.4f}"
    )


def show(
    table: pd.DataFrame, a: str, b: str, name: str, lines: Sequence[str | Callable[[dict[str, Any]], str]], title: str
) -> None:
    """The first findings as cards, all of them as a table and a file.

    Args:
        table: The findings, the worst first.
        a: The column with the id of the one item.
        b: The column with the id of the other.
        name: The file's.
        lines: What a card says, with columns in braces, or a function of the row.
        title: The first of it.
    """
    first = table.head(ON_THE_PAGE)
    known = sides(gallery, [*first[a], *first[b]])
    cards = []
    for record in first.to_dict("records"):
        row = {str(column): "none" if value is None else value for column, value in record.items()}
        left, right = known[row[a]], known[row[b]]
        said = tuple(line.format(**row) if isinstance(line, str) else line(row) for line in lines)
        cards.append(
            PairCard(
                (left.words, right.words), (left.picture, right.picture), title.format(**row), said,
                alt=f"{left.words} and {right.words}: {'; '.join(said)}",
                link=pair_link(choice.run.run_id, left.id, right.id, gallery=other_gallery),
                more=(("Near left", matches_link(choice.run.run_id, left.id, other_gallery)),
                      ("Near right", matches_link(choice.run.run_id, right.id, other_gallery))),
            )
        )  # fmt: skip
    pair_cards(cards, key=f"cards {name}")
    if len(table) > ON_THE_PAGE:
        st.caption(f"The first {ON_THE_PAGE} of {len(table):,}; the table has all.")
    st.dataframe(table, hide_index=True)
    st.download_button("Download as CSV", table.to_csv(index=False), f"{name}.csv", "text/csv", on_click="ignore")


def audit_labels(found: Audit) -> None:
    """Likely mislabelled items."""
    table = found.mislabelled
    st.caption(
        f"The {NEIGHBOURS} nearest items vote, the nearest most. Below are the items whose neighbours prefer another "
        "label: the left one of each card is in doubt, the right one is the nearest that has the suggested label. "
        "A twin that has not learned a class well suspects it wrongly: look before you change a label."
    )
    if not len(table):
        st.success("The neighbours agree with every label.")
        return
    st.markdown(f"**{len(table):,}** of {len(found.found.rows):,} labels are in doubt")
    lines = ["{neighbours for suggested:.0%} against {neighbours for label:.0%} of the neighbours' votes"]
    title = "labelled {label}, neighbours say {suggested}"
    show(table, "id", "nearest suggested id", "mislabelled", lines, title)


def audit_duplicates() -> None:
    """Near-duplicates, across splits where there are several."""
    kinds = set(gallery.matrix().column("kind").tolist())
    shown = [name for name, kind in KINDS.items() if kind in kinds]
    splits = sorted({each for each in gallery.matrix().column("split").tolist() if each is not None})
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    picked = left.radio("Compare", shown, key="compare", bind=BOUND, horizontal=True)
    cosine = gallery.binding.metric == "cosine"
    threshold = middle.number_input(
        "From this score on", -1.0 if cosine else -1e6, 1.0 if cosine else 0.0, 0.98 if cosine else -0.2, 0.005,
        format="%.4f", key="from", bind=BOUND, help="A cosine of 1, or a distance of 0, is the same to the twin",
    )  # fmt: skip
    across = right.toggle("Across splits only", len(splits) > 1, key="across", bind=BOUND, disabled=len(splits) < 2)
    if len(splits) < 2:
        where = f"of the split {splits[0]} only" if splits else "of no split"
        st.info(
            f"This gallery holds items {where}. For leakage between training and test, write one of all splits with "
            f"`cross-modal index runs:/{choice.run.run_id}/model --split all --gallery FOLDER`, and start "
            "`cross-modal explore --gallery FOLDER`."
        )
    table = duplicates(choice.gallery, gallery.version, KINDS[picked], threshold, across and len(splits) > 1)
    if not len(table):
        st.success(f"No two {picked} score {threshold:g} or more.")
        return
    other = int((table["label a"] != table["label b"]).sum())
    st.markdown(f"**{len(table):,}** pairs, **{other:,}** of them with different labels, "
                f"{int(table['identical'].sum()):,} byte for byte the same")  # fmt: skip
    for line in leak_lines(table):
        st.text(line)
    show(table, "id a", "id b", "near_duplicates", ["{label a} ({split a}) and {label b} ({split b})"],
         "score {score:.4f}")  # fmt: skip


def audit_classes(found: Audit) -> None:
    """Confusable classes."""
    table = found.confusable
    st.caption("Classes whose items are often each other's nearest, then classes whose prototypes are nearest.")
    lines = ["{confusions} of {items} items are nearest to one of the other class", "prototypes {prototype score:.4f}"]
    show(table, "id a", "id b", "confusable_classes", lines, "{class a} and {class b}")


def audit_negatives(found: Audit) -> None:
    """Hardest negatives, among items and against names."""
    both = [("Two items", negatives(choice.gallery, gallery.version, found)), ("A picture and a name", found.names)]
    tables = {name: table for name, table in both if len(table)}
    st.caption("Of different classes and yet alike. Where a pair scores more than the nearest of its own class, the "
               "twin takes the one for the other.")  # fmt: skip
    if not tables:
        st.success("No item is near one of another class.")
        return
    names = list(tables)
    picked = st.radio("Show", names, key="negatives", bind=BOUND, horizontal=True)
    show(tables[picked], "id a", "id b", "hardest_negatives", ["{label a} and {label b}", nearest_own],
         "score {score:.4f}")  # fmt: skip


section = st.segmented_control("What to look at", SECTIONS, default=LABELS, key="section", bind=BOUND, required=True,
                               label_visibility="collapsed")  # fmt: skip
try:
    if section == DUPLICATES:
        audit_duplicates()
    else:
        found = audited(choice.gallery, gallery.version)
        {CLASSES: audit_classes, NEGATIVES: audit_negatives}.get(section or LABELS, audit_labels)(found)
except CrossModalError as error:
    stop_with(error)
