"""Re-ranks the candidates of a search by their tokens, which a gallery does not store: they are encoded anew.

A candidate's picture is read from its path; where that is gone, from the gallery's thumbnail, which shows less; and a
candidate that has neither keeps what the first search said. Which it was, is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.gallery.composition import Term
from cross_modal.gallery.late_interaction import late_interaction, rerank
from cross_modal_mlflow.gallery_query import Query
from cross_modal_mlflow.gallery_table import Hit

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery

WEIGHT = 0.25  # share of the tokens in the mixture


@dataclass
class TokenReranker:
    """Reorders candidates by late interaction with the query's terms.

    A query of several terms scores Σ w_i s(term_i, candidate) / Σ |w_i|.

    Attributes:
        gallery: The gallery, for thumbnails and for terms that are its own items.
        twin: Its model.
        data: How pictures are decoded.
        weight: Share of the token scores in the mixture that orders.
    """

    gallery: Gallery
    twin: TwinEncoder
    data: DataConfig = field(default_factory=DataConfig)
    weight: float = WEIGHT
    _known: dict[Term, np.ndarray] = field(default_factory=dict)

    def __call__(self, query: Query, hits: Sequence[Hit]) -> tuple[list[Hit], list[str]]:
        """Reorders.

        Args:
            query: What was looked for.
            hits: The candidates, best first.

        Returns:
            The hits in their new order with token scores, and sentences about what could not be seen in full.
        """
        cells, seen = self._pictures(hits)
        total = sum(abs(term.weight) for term in query.terms)
        scores = np.full(len(hits), np.nan)
        tokens, masks, rows = self._candidates(hits, cells)
        if len(rows):
            scores[rows] = 0.0
            for term in query.terms:
                values = self._term(term)
                each = late_interaction(values, tokens, candidate_masks=masks, metric=self.twin.metric)
                scores[rows] += term.weight / total * each
        order, _ = rerank(np.array([hit.score for hit in hits]), scores, self.weight)
        again = [
            replace(hits[row], before=hits[row].rank, tokens=None if np.isnan(scores[row]) else float(scores[row]))
            for row in order.tolist()
        ]
        return again, _notes(len(hits), seen, int(np.isnan(scores).sum()))

    def _pictures(self, hits: Sequence[Hit]) -> tuple[list[str | bytes | None], dict[str, int]]:
        """What each candidate's picture is read from, and how many come from where."""
        cells: list[str | bytes | None] = [None] * len(hits)
        for row, hit in enumerate(hits):
            if hit.kind == "image" and hit.image and Path(hit.image).is_file():
                cells[row] = hit.image
        missing = [row for row, hit in enumerate(hits) if hit.kind == "image" and cells[row] is None]
        seen = {"files": sum(cell is not None for cell in cells), "thumbnails": 0}
        if missing:
            for row, small in zip(missing, self.gallery.thumbnails([hits[row].id for row in missing]), strict=True):
                cells[row] = small
                seen["thumbnails"] += small is not None
        return cells, seen

    def _candidates(
        self, hits: Sequence[Hit], cells: Sequence[str | bytes | None]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Token embeddings (n, M, D) and masks (n, M) of the candidates in rows (n,); others have none."""
        parts = []
        rows = [row for row, cell in enumerate(cells) if cell is not None]
        if rows:
            parts.append((rows, *image_tokens(self.twin, [cells[row] for row in rows], self.data)))
        rows = [row for row, hit in enumerate(hits) if hit.kind == "text" and hit.text]
        if rows:
            parts.append((rows, *text_tokens(self.twin, [str(hits[row].text) for row in rows])))
        if not parts:
            return np.zeros((0, 1, self.twin.dim), np.float32), np.zeros((0, 1), bool), np.zeros(0, np.int64)
        longest = max(values.shape[1] for _, values, _ in parts)
        values = np.concatenate([_padded(values, longest) for _, values, _ in parts])
        masks = np.concatenate([_padded(mask, longest) for _, _, mask in parts])
        return values, masks, np.concatenate([np.array(rows, np.int64) for rows, _, _ in parts])

    def _term(self, term: Term) -> np.ndarray:
        """(L, D) real tokens of a term; the one vector of a term that is one."""
        if term.vector is not None:
            return np.asarray(term.vector, np.float32)[None]
        if term not in self._known:
            self._known[term] = self._encoded(term)
        return self._known[term]

    def _encoded(self, term: Term) -> np.ndarray:
        if term.image is not None:
            values, masks = image_tokens(self.twin, [term.image], self.data)
            return values[0][masks[0]]
        if term.text is not None:
            values, masks = text_tokens(self.twin, [term.text])
            return values[0][masks[0]]
        assert term.id is not None
        row = self.gallery.row([term.id], ["kind", "text", "image"]).to_pylist()[0]
        own = [Hit(1, 0.0, term.id, row["kind"], text=row["text"], image=row["image"])]
        values, masks, found = self._candidates(own, self._pictures(own)[0])
        if len(found):
            return values[0][masks[0]]
        from cross_modal.gallery.schema import VECTOR, to_matrix

        return to_matrix(self.gallery.row([term.id], [VECTOR])[VECTOR])  # nothing to look at: the item as one token


def image_tokens(twin: TwinEncoder, cells: Sequence[object], data: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """Token embeddings of pictures.

    Args:
        twin: The twin; its mode is restored.
        cells: n paths, encoded bytes or arrays.
        data: How they are decoded.

    Returns:
        (n, M, dim) float32 and (n, M) bool.
    """
    import torch

    from cross_modal.data.items import Items
    from cross_modal.embed_items import open_pictures
    from cross_modal.encoders.embedding import normalise_pixels
    from cross_modal.explanation.token_embeddings import token_embeddings

    assert twin.image is not None
    pictures = open_pictures(Items.of(images=cells, source="candidates"), twin, data)
    training, device = twin.training, next(twin.parameters()).device
    twin.eval()
    with torch.no_grad():
        pixels = pictures.pixels(np.arange(len(cells))).to(device)
        tokens = twin.image(normalise_pixels(pixels, twin.image.mean, twin.image.std))
        values = token_embeddings(twin, tokens, "image").float().cpu().numpy()
    twin.train(training)
    return values, tokens.mask.cpu().numpy()


def text_tokens(twin: TwinEncoder, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token embeddings (n, M, dim) float32 of texts, and which are real (n, M) bool."""
    import torch

    from cross_modal.explanation.token_embeddings import token_embeddings

    assert twin.text is not None
    training, device = twin.training, next(twin.parameters()).device
    twin.eval()
    with torch.no_grad():
        tokens = twin.text(twin.text.tokenize(list(texts)).to(device))
        values = token_embeddings(twin, tokens, "text").float().cpu().numpy()
    twin.train(training)
    return values, tokens.mask.cpu().numpy()


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """(n, M, …) with zeros (false) up to a length."""
    width = [(0, 0), (0, length - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, width)


def _notes(candidates: int, seen: dict[str, int], unseen: int) -> list[str]:
    notes = []
    if seen["thumbnails"]:
        notes.append(
            f"{seen['thumbnails']} of {candidates} candidates re-ranked by thumbnail: the picture file is gone"
        )
    if unseen:
        notes.append(f"{unseen} of {candidates} candidates could not be re-ranked: neither picture file nor thumbnail")
    return notes
