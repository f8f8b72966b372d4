"""The Map page's logic: a run's map as points in colours, what is selected, and what its numbers mean. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.components.embedding_map import MapPoints
from cross_modal_mlflow.explorer_map import ARTIFACT, MapFacts, map_facts
from cross_modal_mlflow.gallery_table import Hit
from cross_modal_mlflow.gallery_tiles import pictures_of

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

LABEL, SPLIT, ERROR, KIND = "label", "split", "error", "kind"
EVERYTHING, PICTURES, TEXTS, ERRORS = "everything", "pictures", "texts", "errors"
# Tol's vibrant and muted colours, which people with any colour vision tell apart on light and on dark ground.
PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988", "#882255", "#999933",
           "#6a7fdb", "#c2703d")  # fmt: skip
GREY, RIGHT, WRONG = "#8a8f98", "#4477aa", "#e0533d"
NONE = "none given"
_LONGEST, _PICTURES = 120, 64


@dataclass(frozen=True, eq=False)
class RunMap:
    """A run's map.

    Attributes:
        table: N rows; see `cross_modal_mlflow.explorer_map.map_table`.
        facts: How it was made.
    """

    table: pd.DataFrame
    facts: MapFacts

    @classmethod
    def read(cls, file: Path) -> RunMap:
        """Reads the artifact.

        Raises:
            CrossModalError: It is no map.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise CrossModalError(f"{ARTIFACT}: expected a Parquet file, found {str(error)[:80]!r}") from None
        facts = map_facts(table)
        frame = table.to_pandas()
        places = frame[["x", "y"]].to_numpy(np.float64)
        if not len(frame) or not ((places >= 0) & (places <= 1)).all():
            raise CrossModalError(f"{ARTIFACT}: expected places in 0–1, found {len(frame)} rows with others")
        return cls(frame, facts)

    @cached_property
    def words(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """(N,) place in the distinct words, and those: text and label, or what there is of them, else the id."""
        text, label = (self.table[name].str.slice(0, _LONGEST) for name in ("text", "label"))
        both = (text + " · " + label).where(text != label, text)
        codes, names = pd.factorize(both.fillna(text).fillna(label).fillna(self.table["id"]).astype(str))
        return codes.astype(np.uint32), tuple(map(str, names))

    @cached_property
    def labels(self) -> list[str]:
        """All labels, in order."""
        return sorted(map(str, self.table["label"].dropna().unique()))

    def colours(self) -> list[str]:
        """What the points can be coloured by: what differs between them."""
        ways = [LABEL] if self.labels else []
        ways += [KIND] if self.table["kind"].nunique() > 1 else []
        ways += [SPLIT] if self.table["split"].nunique(dropna=False) > 1 else []
        return [*ways, *([ERROR] if self.table["error"].notna().any() else [])] or [KIND]

    def errors_in_words(self) -> str:
        """How many items have another class nearest, by kind."""
        parts = []
        for kind, words in (("image", "pictures"), ("text", "texts")):
            judged = ((self.table["kind"] == kind) & self.table["error"].notna()).to_numpy()
            if judged.any():
                wrong = int((self.wrong & judged).sum())
                parts.append(f"{wrong:,} of {judged.sum():,} {words}")
        return " · ".join(parts) or "Not judged: no classes, or too many items."

    def shown(self) -> list[str]:
        """What can be shown alone."""
        kinds = [PICTURES, TEXTS] if self.table["kind"].nunique() > 1 else []
        return [EVERYTHING, *kinds, *([ERRORS] if self.wrong.any() else [])]

    @cached_property
    def wrong(self) -> np.ndarray:
        """(N,) bool: the nearest support is of another class."""
        return self.table["error"].fillna(False).to_numpy(bool)

    def bright(self, show: str, labels: Sequence[str] = ()) -> np.ndarray:
        """(N,) bool: rows that are looked at; the others stay as context.

        Args:
            show: One of `shown()`.
            labels: These only; all where there are none.
        """
        kinds = self.table["kind"].to_numpy()
        bright = {
            PICTURES: kinds == "image",
            TEXTS: kinds == "text",
            ERRORS: self.wrong,
        }.get(show, np.ones(len(kinds), bool))
        return bright & self.table["label"].isin(list(labels)).to_numpy() if labels else bright

    def selected(self, picked: np.ndarray, show: str, labels: Sequence[str]) -> np.ndarray:
        """The rows to list: those picked on the map, else those of the labels, else the errors if those are shown.

        Returns:
            (n,) int64, ascending; none where nothing was asked for.
        """
        if len(picked):
            return picked
        return np.flatnonzero(self.bright(show, labels)) if labels or show == ERRORS else np.zeros(0, np.int64)

    def listed(self, rows: np.ndarray, run_id: str) -> pd.DataFrame:
        """Some rows as a table: what they are, who is nearest, and a link to their matches."""
        found = self.table.iloc[rows].reset_index(drop=True)
        names = {"own": "nearest of its class", "other": "nearest of another class", "error": "other is nearer"}
        found = found.rename(columns=names).drop(columns=["x", "y"]).dropna(axis="columns", how="all")
        found["matches"] = [f"matches?{urlencode({'run': run_id, 'id': name})}" for name in found["id"]]
        return found


def map_points(found: RunMap, colour: str, show: str, labels: Sequence[str] = ()) -> MapPoints:
    """The map in colours.

    Args:
        found: The map.
        colour: One of `found.colours()`.
        show: One of `found.shown()`.
        labels: Labels that are looked at; all where there are none.
    """
    group, palette, legend = _groups(found, colour, labels)
    code, names = found.words
    return MapPoints(
        xy=found.table[["x", "y"]].to_numpy(np.float32),
        text=(found.table["kind"] == "text").to_numpy(),
        group=group.astype(np.uint8),
        bright=found.bright(show, labels),
        name=code,
        names=names,
        palette=palette,
        legend=legend,
        title=f"Map of {len(found.table):,} embeddings by {colour}; arrow keys go from point to point",
    )


def small_pictures(gallery: Gallery, found: RunMap, rows: np.ndarray) -> dict[int, bytes | None]:
    """Row → small picture, of so many rows at most that an answer stays quick."""
    rows = rows[(found.table["kind"].to_numpy()[rows] == "image")][:_PICTURES]
    names = found.table["id"].to_numpy(object)[rows]
    matrix = gallery.matrix()
    places = matrix.rows_of(names)
    names, rows, places = names[places >= 0], rows[places >= 0], places[places >= 0]
    files = [matrix.facts["image"][place].as_py() for place in places.tolist()]
    hits = [Hit(0, 0.0, str(name), "image", image=file) for name, file in zip(names, files, strict=True)]
    small = pictures_of(gallery, hits)
    return {int(row): small.get(str(name)) for row, name in zip(rows, names, strict=True)}


def gap_in_words(gap: float | None) -> str:
    """What the modality gap says.

    >>> gap_in_words(0.13)
    'Pictures and texts share one region: their centres nearly coincide.'
    """
    if gap is None:
        return "The gallery holds pictures only, or texts only: there is no gap between them."
    if gap < 0.25:
        return "Pictures and texts share one region: their centres nearly coincide."
    if gap < 0.6:
        return "Pictures and texts lie partly apart: compare scores within a kind only with scores of that kind."
    return "Pictures and texts lie in two regions: scores across kinds and within a kind cannot be compared."


def made_in_words(facts: MapFacts) -> str:
    """How the map was made, and what it is worth."""
    if facts.method == "PCA":
        how = "The two directions in which the embeddings differ most (PCA)"
    elif facts.method == "t-SNE":
        how = f"t-SNE of all {facts.landmarks:,} embeddings"
    else:
        how = f"t-SNE of {facts.landmarks:,} embeddings, the others placed among the nearest of those"
    worth = "" if facts.kept is None else f" {facts.kept:.0%} of an item's ten nearest are among its ten nearest here."
    return f"{how}, seed {facts.seed}, computed with the run in {facts.seconds:.1f} s.{worth}"


def _groups(found: RunMap, colour: str, labels: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """(N,) group of each row, the groups' colours and words."""
    if colour == ERROR:
        error = found.table["error"]
        group = np.where(error.isna(), 0, 1 + found.wrong)
        words = ("" if error.notna().all() else "not judged", "its own class is nearest", "another class is nearest")
        return group, (GREY, RIGHT, WRONG), words
    values = found.table[colour]
    if colour == KIND:
        values = values.map({"image": "pictures", "text": "texts"})
    names = [name for name in labels if name in found.labels] if colour == LABEL and labels else None
    names = names or sorted(map(str, values.dropna().unique()))
    codes = pd.Categorical(values, categories=names).codes.astype(np.int64)
    group = np.where(codes < 0, 0, 1 + codes % len(PALETTE))
    if len(names) > len(PALETTE):  # colours repeat: a legend would name the wrong ones
        return group, (GREY, *PALETTE), ("",) * (1 + len(PALETTE))
    other = "" if not (codes < 0).any() else "other" if colour == LABEL and labels else NONE
    return group, (GREY, *PALETTE[: len(names)]), (other, *names)
