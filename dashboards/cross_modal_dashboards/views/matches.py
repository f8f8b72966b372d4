"""Matches: look for anything in a run's gallery, see what is near it, and go on from there."""

import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal_dashboards import resources
from cross_modal_dashboards.choice import BOUND, GALLERY, chosen, stop_with
from cross_modal_dashboards.components.pasted_picture import pasted_picture
from cross_modal_dashboards.components.tiles import tiles
from cross_modal_dashboards.match_query import MatchQuery, answer, as_csv, hit_tiles, in_words
from cross_modal_dashboards.pair_items import pair_link
from cross_modal_dashboards.uploaded_picture import checked_picture

KINDS = {"pictures": ["kind=image"], "texts": ["kind=text"], "both": []}

choice = chosen()
st.title("Matches")
try:
    gallery = choice.open_gallery()
    model = resources.model(choice.uri, choice.run.run_id)
except Exception as error:  # a broken gallery, a model of another version: the page says so and stays
    stop_with(error)


def look_for(item: str) -> None:
    """Makes an item of the gallery the next query."""
    st.session_state.update({"id": item, "text": "", "not": "", "query": ""})


if "next" in st.session_state:  # a tile was clicked in the last run: widgets may be set only before they are drawn
    look_for(st.session_state.pop("next"))

with st.sidebar:
    shown = [kind for kind in ("image", "text") if kind in gallery.matrix().column("kind")]
    kinds = list(KINDS) if len(shown) == 2 else ["both"]
    kind = st.radio("Show", kinds, key="show", bind=BOUND, disabled=len(kinds) == 1)
    top = st.slider("How many", 5, 100, 20, 5, key="top", bind=BOUND)
    by_class = st.toggle("Best of each class", key="classes", bind=BOUND)
    where = st.text_input("Filter", key="where", bind=BOUND, placeholder="label=cat split!=train",
                          help="column=value, with != < <= > >= and ~ (contains); blanks part several")  # fmt: skip

texts = gallery.matrix().column("text")[:200].tolist()
example = next((str(text) for text in texts if text), "a text")
words, minus = st.columns([3, 2])
text = words.text_input("Look for", key="text", bind=BOUND, placeholder=example,
                        disabled=model.twin.text is None)  # fmt: skip
without = minus.text_input("But not", key="not", bind=BOUND, disabled=model.twin.text is None)
with st.expander("A picture, an item, a weighted mix"):
    upload, item = st.columns(2)
    picture = upload.file_uploader(
        "Picture",
        ["png", "jpg", "jpeg", "webp", "bmp", "gif"],
        key="upload",
        help="Not kept, and not part of the link",
        disabled=model.twin.image is None,
    )
    with upload:
        pasted = None if model.twin.image is None else pasted_picture(key="pasted")
    webcam = upload.camera_input("Webcam", key="webcam") if upload.toggle("Use the webcam", key="camera") else None
    identity = item.text_input("Item of the gallery", key="id", bind=BOUND, help="A click on a result puts its id here")
    equation = item.text_input("Equation", key="query", bind=BOUND, placeholder="1 text:shoe + 0.5 text:red")

try:
    given = [(each.getvalue(), each.name) for each in (picture, webcam) if each is not None]
    given += [(pasted, "the pasted picture")] if pasted else []
    pictures = tuple(checked_picture(content, name) for content, name in given)
    asked = MatchQuery(text, without, identity, equation, pictures)
    if asked.empty:
        st.info(f"{len(gallery):,} references to look through. Type what you look for, for example “{example}”, or "
                "open the box above for a picture.")  # fmt: skip
        st.stop()
    query = asked.query(model.twin)
    filters = [*KINDS[kind], *where.split()]
    found = answer(gallery, model.twin, query, filters, top, by_class)
except CrossModalError as error:
    stop_with(error)

st.markdown(f"**{len(found.hits)} nearest** to")
st.text(in_words(query))
known = sorted(query.ids)  # an item that is asked about is not among its own matches
shown_items = [(name, picture) for name, picture in zip(known, gallery.thumbnails(known), strict=True) if picture]
if shown_items:
    st.image([picture for _, picture in shown_items], caption=[name for name, _ in shown_items], width=96)
st.caption(found.badge(len(gallery)))
others = [hit.id for hit in found.hits if hit.id != identity]
plain = bool(identity) != bool(text) and not (without or equation or pictures)
if others and plain:  # of a mix there is no one thing to lay beside a match
    link = pair_link(choice.run.run_id, identity or None, others[0], text_a=text or None,
                     gallery=st.query_params.get(GALLERY))  # fmt: skip
    st.markdown(f"[What made the best match]({link})")
clicked = tiles(hit_tiles(gallery, found.hits), key="tiles")
if clicked is not None:
    st.session_state["next"] = clicked
    st.rerun()
st.download_button("Download as CSV", as_csv(found.hits), "matches.csv", "text/csv", on_click="ignore")
