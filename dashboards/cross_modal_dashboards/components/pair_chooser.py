"""One side of a pair, chosen: an item of the gallery from a list that can be searched, a typed text, or an upload.

Ids and texts stay in the address (`a`, `text_a`, `from_a`, `find_a`, and so for `b`); an uploaded picture does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cross_modal_dashboards.choice import BOUND
from cross_modal_dashboards.pair_items import LISTED, PairItem, gallery_item, offered, typed, uploaded
from cross_modal_dashboards.uploaded_picture import checked_picture

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery

KINDS = ["png", "jpg", "jpeg", "webp", "bmp", "gif"]


def choose_side(side: str, gallery: Gallery | None, twin: TwinEncoder, first: tuple[str, ...] = ()) -> PairItem | None:
    """Shows the choice and gives what was chosen.

    Args:
        side: "a" or "b": the name in the address.
        gallery: The gallery; None where there is none.
        twin: Says what can be typed or uploaded.
        first: Ids that the list begins with.

    Returns:
        The item; None where it is still to be given.

    Raises:
        CrossModalError: An upload that is no picture, or too long a text.
    """
    sources = [] if gallery is None else ["gallery"]
    sources += ["text"] if twin.text is not None else []
    sources += ["picture"] if twin.image is not None else []
    name = side.upper()
    source = st.radio(f"{name} is from", sources, key=f"from_{side}", bind=BOUND, horizontal=True)
    if source == "gallery" and gallery is not None:
        return _listed(gallery, side, first)
    if source == "text":
        words = st.text_input(f"Text {name}", key=f"text_{side}", bind=BOUND, placeholder="type a text")
        return typed(words) if words.strip() else None
    picture = st.file_uploader(
        f"Picture {name}", KINDS, key=f"upload_{side}", help="Not kept, and not part of the link"
    )
    return None if picture is None else uploaded(checked_picture(picture.getvalue(), picture.name), picture.name)


def take(side: str, identity: str) -> None:
    """Chooses an item of the gallery, from a button's callback."""
    st.session_state[_key(side)] = identity
    st.query_params[side] = identity


def _listed(gallery: Gallery, side: str, first: tuple[str, ...]) -> PairItem:
    find = ""
    if len(gallery) > LISTED:
        find = st.text_input(f"Find {side.upper()}", key=f"find_{side}", bind=BOUND, on_change=_forget, args=(side,),
                             placeholder="words of its text, label or id")  # fmt: skip
    key, asked = _key(side), st.query_params.get(side)
    offer = offered(gallery, find, st.session_state.get(key, asked), first)
    ids = list(offer.titles)
    if not ids:
        st.info(f"No item of the gallery has “{find}” in its text, label or id." if find else "The gallery is empty.")
        st.stop()
    if st.session_state.get(key) not in ids:
        if asked is not None and asked not in ids:
            st.warning(f"The gallery has no item “{asked[:60]}”; this is another one.")
        st.session_state[key] = asked if asked in ids else ids[0]
    some = f"{offer.found:,} items" if offer.found <= LISTED else f"The first {LISTED} of {offer.found:,} items"
    order = ", those most like A first" if first and not find else ""
    picked = st.selectbox(
        f"Item {side.upper()}",
        ids,
        key=key,
        format_func=lambda name: offer.titles.get(name, name),
        help=f"{some}{order}; type to search the list",
    )
    assert picked is not None
    if picked != asked:
        st.query_params[side] = picked
    return gallery_item(gallery, picked)


def _forget(side: str) -> None:
    """Lets go of the item that was chosen, so that the first that fits what was just typed is taken."""
    st.session_state.pop(_key(side), None)
    st.query_params.pop(side, None)


def _key(side: str) -> str:
    return f"item {side}"
