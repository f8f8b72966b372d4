"""The rendered glyphs in the feature store: the processes of a sweep, and every later command, map what one rendered.

Rendering takes seconds, mapping milliseconds. What is kept is named by all that it depends on: the bytes of the fonts,
the code that draws, the libraries that rasterise, and the Unicode version whose names choose the characters.
"""

from __future__ import annotations

import hashlib
import inspect
import unicodedata
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from cross_modal.data import glyphs
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_array import stored_array
from cross_modal.errors import CrossModalError


def stored_glyphs(render: Callable[[], glyphs.Glyphs]) -> glyphs.Glyphs:
    """The glyphs from the user's feature store; rendered where it has none, is switched off or cannot be used.

    Args:
        render: Renders them.
    """
    try:
        store = FeatureStore.open()
    except CrossModalError:  # whoever needs the store says so; glyphs can do without
        store = None
    if store is None:
        return render()
    faces, about = [face.stem for face in glyphs.face_files()], describe()
    # One array a row of which is a glyph: its picture, then code point, face and set as bytes. Two could disagree.
    rows = stored_array(store, about, lambda: _packed(render(), faces)).values.view(np.ndarray)
    facts = np.ascontiguousarray(rows[:, glyphs.SIZE**2 :]).view("<i4")
    codepoints = facts[:, 0].astype(np.int64)
    return glyphs.Glyphs(
        pictures=rows[:, : glyphs.SIZE**2].reshape(-1, glyphs.SIZE, glyphs.SIZE),
        codepoints=codepoints,
        faces=np.array(faces)[facts[:, 1]],
        sets=dict(zip(codepoints.tolist(), facts[:, 2].tolist(), strict=True)),
    )


def describe() -> dict[str, Any]:
    """All that the rendered glyphs depend on."""
    from PIL import features

    fonts = hashlib.sha256()
    for face in glyphs.face_files():
        fonts.update(f"{face.name}|".encode() + face.read_bytes())
    return {
        "trunk": "glyphs",
        "modality": "image",
        "layer": "pixels",
        "fonts": fonts.hexdigest(),
        "code": hashlib.sha256((inspect.getsource(glyphs) + inspect.getsource(_packed)).encode()).hexdigest(),
        "unicode": unicodedata.unidata_version,
        "versions": {
            "freetype": features.version("freetype2"),
            **{name: version(name) for name in ("Pillow", "matplotlib")},
        },
    }


def _packed(sample: glyphs.Glyphs, faces: list[str]) -> np.ndarray:
    """(N, 32 · 32 + 12) uint8: the pictures, then code point, place of the face and set as little-endian int32."""
    place = {face: index for index, face in enumerate(faces)}
    codepoints = sample.codepoints.tolist()
    facts = [
        (code, place[face], sample.sets[code]) for code, face in zip(codepoints, sample.faces.tolist(), strict=True)
    ]
    pictures = sample.pictures.reshape(len(codepoints), -1)
    return np.concatenate([pictures, np.array(facts, "<i4").reshape(-1, 3).view(np.uint8)], axis=1)
