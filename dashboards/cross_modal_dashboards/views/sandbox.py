"""The few-shot sandbox: choose classes and supports, and see at once what a method makes of other pictures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal_dashboards import resources
from cross_modal_dashboards.choice import BOUND, chosen, stop_with
from cross_modal_dashboards.components.tiles import ClickTile, tiles
from cross_modal_dashboards.sandbox import QUICK, Episode, Pool, draw, over_shots, spread
from cross_modal_dashboards.uploaded_picture import checked_picture

DRAWS = 20
PICTURES = ["png", "jpg", "jpeg", "webp", "bmp", "gif"]

choice = chosen()
st.title("Few-shot sandbox")
try:
    gallery = choice.open_gallery()
    model = resources.model(choice.uri, choice.run.run_id)
    pool = Pool(gallery.matrix(), gallery.binding.metric)
except Exception as error:
    stop_with(error)
if len(pool.of_class) < 2:
    stop_with(
        CrossModalError(
            f"gallery {gallery.location}: expected two labelled classes or more, found {len(pool.of_class)}"
        )
    )

with st.sidebar:
    method = st.selectbox("Method", QUICK, key="method", bind=BOUND)
    ways = st.slider("Classes", 2, min(20, len(pool.of_class)), min(5, len(pool.of_class)), key="ways", bind=BOUND)
    shots = st.slider("Supports of each", 1, 10, 1, key="shots", bind=BOUND)
    seed = int(st.number_input("Draw", 0, 9999, 0, key="draw", bind=BOUND, help="Another number draws other supports"))
    names = st.toggle("Names take part", bool(pool.texts), key="names", bind=BOUND, disabled=not pool.texts)
    unknown = st.slider("Unknown below", 0.0, 1.0, 0.0, 0.01, key="unknown", bind=BOUND,
                        help="Confidence under which nothing is named")  # fmt: skip

picked = st.multiselect("Classes by hand", list(pool.of_class), key="class", bind=BOUND,
                        placeholder="drawn; pick two or more to choose them yourself")  # fmt: skip
try:
    classes = picked if len(picked) >= 2 else pool.classes(ways, shots, seed)
    episode = draw(pool, method, classes, shots, seed, with_texts=names)
    for swap in st.query_params.get_all("swap"):
        label, _, place = swap.rpartition(":")
        if label in episode.supports and place.isdigit() and int(place) < len(episode.supports[label]):
            episode = episode.swapped(label, int(place))
    with st.expander("Supports of your own"):
        own = st.text_input("Their class", key="own", help="A class of the episode, or a new one")
        files = st.file_uploader(
            "Pictures", PICTURES, accept_multiple_files=True, key="own pictures",
            help="Not kept, and not part of the link", disabled=model.twin.image is None,
        )  # fmt: skip
    own_pictures = [checked_picture(each.getvalue(), each.name) for each in files or []]
    if own_pictures and own.strip():
        embedded = embed_pair_items(model.twin, Items.of(images=own_pictures, source="upload"))
        episode = replace(episode, uploaded={own.strip(): embedded})
    elif own_pictures:
        st.caption("Say which class your pictures are of.")
    accuracy = episode.accuracy
except CrossModalError as error:
    stop_with(error)

texts = pool.matrix.column("text")
labels = pool.matrix.column("label")


def picture_tiles(rows: np.ndarray, titles: list[str], scores: list[str], states: list[str]) -> list[ClickTile]:
    """Rows of the gallery as tiles."""
    small = gallery.thumbnails([str(name) for name in pool.matrix.ids[rows]])
    return [
        ClickTile(
            str(row), title, str(texts[row] or ""), score, f"{title}: {texts[row] or labels[row]}", picture, (), state
        )
        for row, title, score, picture, state in zip(rows.tolist(), titles, scores, small, states, strict=True)
    ]


st.subheader("Supports")
st.caption("A click takes another picture of the class; the address keeps it.")
rows = episode.support_rows
try:
    margins = episode.doubtful()
except CrossModalError:
    margins = np.full(len(rows) + sum(map(len, episode.uploaded.values())), np.nan)
states = ["wrong" if margin < 0 else "plain" for margin in margins.tolist()]
notes = ["the others take it for another class" if margin < 0 else "" for margin in margins.tolist()]
supports = picture_tiles(rows, [str(labels[row]) for row in rows], notes[: len(rows)], states[: len(rows)])
supports += [
    ClickTile(f"own {place}", label, "uploaded", notes[place], f"{label}: uploaded", own_pictures[place - len(rows)],
              (), states[place])
    for label, vectors in episode.uploaded.items()
    for place in range(len(rows), len(rows) + len(vectors))
]  # fmt: skip
clicked = tiles(supports, key="supports")
if clicked is not None and clicked.isdigit():
    row = int(clicked)
    of_class = str(labels[row])
    at = list(episode.supports[of_class]).index(row)
    st.query_params["swap"] = [*st.query_params.get_all("swap"), f"{of_class}:{at}"]
    st.rerun()

st.subheader("What it says of other pictures")
upload = st.file_uploader("Your own query", PICTURES, key="upload",
                          help="Not kept, and not part of the link", disabled=model.twin.image is None)  # fmt: skip
order = episode.classes


def explain(fitted: Episode, vector: np.ndarray) -> None:
    """The probabilities of one query and the supports that decided."""
    chances = fitted.probabilities(vector[None])[0]
    best = int(chances.argmax())
    said = "unknown" if chances[best] < unknown else order[best]
    st.markdown(f"**{said}** at {chances[best]:.1%}" if said != "unknown" else f"**unknown** ({chances[best]:.1%})")
    st.bar_chart(pd.DataFrame({"probability": chances}, index=order), horizontal=True, height=40 + 26 * len(order))
    shares = fitted.shares(vector)
    if shares is None:
        st.caption("This method's score is no sum of votes.")
        return
    strongest = np.argsort(-shares)[:5]
    tiles([replace(supports[each], score=f"{shares[each]:+.3f}", state="plain") for each in strongest], key="votes")


if upload is not None:
    try:
        content = checked_picture(upload.getvalue(), upload.name)
        (vector,) = embed_pair_items(model.twin, Items.of(images=[content], source="upload"))
    except CrossModalError as error:
        stop_with(error)
    st.image(content, width=160, alt="your query")
    explain(episode, vector)

queries = episode.queries
chances = episode.probabilities(pool.matrix.vectors[queries])
best = chances.argmax(1)
said = [order[place] if chance >= unknown else "unknown" for place, chance in zip(best, chances.max(1), strict=True)]
right = [name == labels[row] for name, row in zip(said, queries, strict=True)]
st.metric("Named rightly", f"{np.mean(right):.1%}", help=f"{len(queries)} queries; without a threshold {accuracy:.1%}")
shown = picture_tiles(
    queries,
    said,
    [f"{chance:.1%}" for chance in chances.max(1)],
    ["right" if each else "wrong" for each in right],
)
asked = tiles(shown, key="queries", pressed=st.query_params.get("of"))
if asked is not None:
    st.query_params["of"] = asked
    st.rerun()
about = st.query_params.get("of", "")
if about.isdigit() and int(about) in queries:
    st.markdown("Because of")
    explain(episode, pool.matrix.vectors[int(about)])
st.download_button(
    "Download as CSV",
    pd.DataFrame({"id": pool.matrix.ids[queries], "label": labels[queries], "said": said, "confidence": chances.max(1)})
    .to_csv(index=False),
    "predictions.csv",
    "text/csv",
    on_click="ignore",
)  # fmt: skip

st.subheader("Luck of the draw")
if st.toggle("Other supports, other shots", key="luck", bind=BOUND):
    with st.spinner("drawing supports"):
        found = spread(episode, DRAWS, seed, shots)
        curve = over_shots(episode, [each for each in (1, 2, 4, 8) if each <= 8], DRAWS, seed)
    st.caption(f"{DRAWS} draws of {shots}: {found.min():.1%} to {found.max():.1%}, mean {found.mean():.1%}")
    table = pd.DataFrame(curve, columns=["supports", "accuracy", "± 95 %"]).set_index("supports")
    st.line_chart(table["accuracy"], height=260, x_label="supports of each class", y_label="accuracy")
    st.dataframe(table.style.format("{:.1%}"))
