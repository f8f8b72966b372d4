"""What pages share between reruns and between people: twins, galleries, calibrations; never copied, kept few.

`st.cache_resource` hands out the very same object, so everything here is read-only by agreement: a copy of a 100,000 ×
256 array on every rerun would cost 700 times more than looking at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cross_modal_dashboards.catalogue import Catalogue, RunFacts

if TYPE_CHECKING:
    import pandas as pd

    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery
    from cross_modal.verification.saved_calibration import SavedCalibration

FEW = 4
FRESH = 5  # seconds that a list of runs stays as it is


@st.cache_resource(max_entries=FEW, show_spinner=False)
def catalogue(uri: str) -> Catalogue:
    """The runs of a store."""
    return Catalogue(uri)


@st.cache_data(ttl=FRESH, max_entries=FEW, show_spinner=False)
def runs(uri: str) -> list[RunFacts]:
    """Trained twins, newest first."""
    return catalogue(uri).runs()


@dataclass(frozen=True)
class Model:
    """A twin with what it needs to answer.

    Attributes:
        twin: The twin, in evaluation mode.
        folder: Where it lies.
        calibration: Its thresholds of "same or not", or None.
    """

    twin: TwinEncoder
    folder: Path
    calibration: SavedCalibration | None


@st.cache_resource(max_entries=FEW, show_spinner="loading the twin")
def model(uri: str, run_id: str) -> Model:
    """A run's twin.

    Raises:
        CrossModalError: The run has none, or it is gone.
    """
    from cross_modal.encoders.saved_twin import load_twin
    from cross_modal.verification.saved_calibration import SavedCalibration

    known = catalogue(uri)
    folder = known.model_folder(known.run(run_id))
    return Model(load_twin(folder).eval(), folder, SavedCalibration.load(folder))


@st.cache_resource(max_entries=FEW, show_spinner="opening the gallery")
def gallery(location: str) -> Gallery:
    """A gallery; it looks for newer versions by itself (`Gallery.refresh`)."""
    from cross_modal.gallery.gallery import Gallery

    return Gallery.open(location)


@st.cache_resource(max_entries=FEW, show_spinner=False)
def check_gallery(location: str, uri: str, run_id: str) -> None:
    """Refuses a gallery that another twin made.

    Raises:
        CrossModalError: Its embeddings are not this run's.
    """
    from cross_modal.gallery.binding import Binding

    gallery(location).binding.check(Binding.of(model(uri, run_id).twin, run_id), location)


@st.cache_data(max_entries=FEW, show_spinner=False)
def artifact_table(uri: str, run_id: str, path: str) -> pd.DataFrame | None:
    """A run's Parquet artifact; None where it has none of that name."""
    import pandas as pd

    file = catalogue(uri).artifact(run_id, path)
    return None if file is None else pd.read_parquet(file)
