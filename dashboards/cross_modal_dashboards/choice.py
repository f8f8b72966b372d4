"""What is looked at: the run and its gallery, chosen in the sidebar and kept in the address.

Every page begins with `chosen()`. Where there is nothing to look at the page says what to do and stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal_dashboards import resources
from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.known_galleries import known_galleries
from cross_modal_mlflow.store import tracking_uri

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

RUN, GALLERY = "run", "gallery"
OWN = "the run's test items"
BOUND: Final = "query-params"  # a widget with it keeps its value in the address


@dataclass(frozen=True)
class Choice:
    """What a page shows.

    Attributes:
        uri: The tracking store.
        run: The run.
        other: The location of a gallery that was chosen in place of the run's own; None for that.
    """

    uri: str
    run: RunFacts
    other: str | None = None

    @property
    def gallery(self) -> str:
        """Where the gallery lies.

        Raises:
            CrossModalError: The run has none, or it is not on this machine any more.
        """
        return self.other or self.own_gallery

    @property
    def own_gallery(self) -> str:
        """Where the gallery of the run's own test items lies.

        Raises:
            CrossModalError: The run has none, or it is not on this machine any more.
        """
        where = self.run.gallery
        if where is None:
            raise CrossModalError(
                f"run {self.run.title}: expected a gallery, found none; "
                f"cross-modal index runs:/{self.run.run_id}/model --data SOURCE --gallery FOLDER writes one"
            )
        if "://" not in where and not where.startswith("milvus:") and not Path(where).exists():
            raise CrossModalError(f"run {self.run.title}: expected a gallery at {where}, found nothing there")
        return where

    def open_gallery(self) -> Gallery:
        """The gallery at its newest version.

        Raises:
            CrossModalError: It cannot be read, or another twin's embeddings are in it.
        """
        found = resources.gallery(self.gallery)
        found.refresh()
        resources.check_gallery(self.gallery, self.uri, self.run.run_id)
        return found


def chosen() -> Choice:
    """The run of this view; stops the page, with a sentence, where there is none."""
    uri = tracking_uri()
    try:
        found = [each for each in resources.runs(uri) if each.has_model]
    except CrossModalError as error:
        st.error(str(error))
        st.stop()
    if not found:
        st.switch_page(str(Path(__file__).with_name("views") / "welcome.py"))
    by_id = {each.run_id: each for each in found}
    asked = st.query_params.get(RUN)
    if asked is not None and asked not in by_id:
        st.error(f"run {asked}: expected a run with a twin in {uri}, found none; the link may be of another store")
        st.stop()
    ids = list(by_id)
    picked = st.sidebar.selectbox(  # not bound to the address, which would get the title in place of the id
        "Run",
        ids,
        index=ids.index(asked) if asked else 0,
        format_func=lambda run_id: by_id[run_id].title,
        key="chosen run",
        help="Twins that were trained, newest first",
    )
    if picked != asked and (asked or picked != ids[0]):
        st.query_params[RUN] = picked
    run = by_id[picked]
    st.sidebar.caption(f"{run.command} · {run.data or 'no data named'} · {run.status.lower()}")
    return Choice(uri, run, _gallery(run))


def _gallery(run: RunFacts) -> str | None:
    """The gallery in place of the run's own, where there are any to choose from."""
    known, asked = known_galleries(), st.query_params.get(GALLERY)
    if asked is not None and asked not in known:
        listed = ", ".join(known) or "none"
        st.error(f"gallery {asked[:60]}: expected one that the explorer was started with (--gallery): {listed}")
        st.stop()
    if not known:
        return None
    names = [*([OWN] if run.gallery else []), *known]
    picked = st.sidebar.selectbox(
        "Gallery", names, index=names.index(asked) if asked else 0, key=f"chosen gallery {run.run_id}"
    )
    if picked == OWN:
        if asked is not None:
            del st.query_params[GALLERY]
        return None
    st.query_params[GALLERY] = picked
    return known[picked]


def stop_with(error: Exception) -> None:
    """Says what is wrong in one line and ends the page."""
    st.error(str(error) if isinstance(error, CrossModalError) else f"unexpected {type(error).__name__}: {error}")
    st.stop()
