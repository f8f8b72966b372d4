"""A map of embeddings on a canvas: tens of thousands of points, a lasso, keys, and pictures where the pointer rests.

Streamlit's own charts send four megabytes for a lasso over 20,000 points and show no pictures. Here points are sent
once, as packed arrays, and what is picked comes back as row numbers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import streamlit as st

from cross_modal_dashboards.components.embedding_map_script import CSS, FEED, HTML, JS
from cross_modal_dashboards.components.tiles import data_uri


@dataclass(frozen=True, eq=False)
class MapPoints:
    """What the map shows.

    Attributes:
        xy: (N, 2) in [0, 1].
        text: (N,) bool: a text, drawn as a diamond; a picture is a disc.
        group: (N,) its colour, a place in `palette`, below 256.
        bright: (N,) bool: the others are drawn faintly and can be neither hovered over nor picked.
        name: (N,) its words, a place in `names`.
        names: Distinct words.
        palette: CSS colours.
        legend: The words of each colour; "" where it has none.
        title: What a screen reader calls the map.
    """

    xy: np.ndarray
    text: np.ndarray
    group: np.ndarray
    bright: np.ndarray
    name: np.ndarray
    names: tuple[str, ...]
    palette: tuple[str, ...]
    legend: tuple[str, ...]
    title: str

    @cached_property
    def rows(self) -> str:
        """Which points these are, however coloured."""
        return hashlib.sha256(np.ascontiguousarray(self.xy, "<f4").tobytes()).hexdigest()[:16]

    @cached_property
    def packed(self) -> dict[str, Any]:
        """As the browser gets it."""
        made: dict[str, Any] = {
            "xy": _pack(self.xy, "<f4"),
            "text": _pack(self.text, "u1"),
            "group": _pack(self.group, "u1"),
            "bright": _pack(self.bright, "u1"),
            "name": _pack(self.name, "<u4"),
            "names": list(self.names),
            "palette": list(self.palette),
            "legend": list(self.legend),
            "title": self.title,
            "rows": self.rows,
        }
        return made | {"version": hashlib.sha256(repr(sorted(made.items())).encode()).hexdigest()[:16]}


@dataclass(frozen=True)
class MapAnswer:
    """What a person did on the map.

    Attributes:
        picked: (n,) int64 rows that are selected, ascending.
        wanted: (n,) int64 rows whose pictures the map asks for, just now.
    """

    picked: np.ndarray
    wanted: np.ndarray


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("cross_modal_map", html=HTML, css=CSS, js=JS)


@cache
def _feed() -> Callable[..., Any]:
    return st.components.v2.component("cross_modal_map_pictures", html="<div></div>", js=FEED)


def embedding_map(points: MapPoints, key: str) -> MapAnswer:
    """Shows a map.

    Args:
        points: What it shows.
        key: The component's key on the page.
    """
    result = _component()(
        key=key,
        data=points.packed | {"key": key},  # nothing of the answer in it: a pick must not send all points again
        default={"picked": []},
        on_picked_change=lambda: None,
        on_wanted_change=lambda: None,
    )
    picked, wanted = (result[name] if result and name in result else None for name in ("picked", "wanted"))
    return MapAnswer(_rows(picked, len(points.xy)), _rows(wanted, len(points.xy)))


def map_pictures(points: MapPoints, pictures: Mapping[int, bytes | None], key: str) -> None:
    """Gives a map the pictures that it asked for.

    Args:
        points: What the map shows.
        pictures: Row → small picture; None where there is none.
        key: The key of the map.
    """
    found = {str(row): data_uri(picture) for row, picture in pictures.items() if picture is not None}
    _feed()(key=f"{key}_pictures", data={"key": key, "rows": points.rows, "pictures": found})


def _rows(found: object, count: int) -> np.ndarray:
    """Row numbers that exist: what a browser sends is only what it says."""
    if not isinstance(found, list):
        return np.zeros(0, np.int64)
    return np.unique([row for row in found if type(row) is int and 0 <= row < count]).astype(np.int64)


def _pack(array: np.ndarray, kind: str) -> str:
    """An array as base64.

    >>> _pack(np.array([True, False]), "u1")
    'AQA='
    """
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
