"""Galleries made of a cohort, all of them at once: what strangers score in them, and what the enrolled do.

The galleries themselves need not be drawn. Where a stranger's scores with the other I − 1 identities are sorted, the
j-th best of them decides if that identity is among the N enrolled ones and the j − 1 better ones are not, which happens
in C(I − 1 − j, N − 1) of C(I − 1, N) galleries. Only which items are references is drawn. Likewise for an enrolled
identity: it comes first where the other N − 1 are among those that score less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.identity_scores import How, enrol
from cross_modal.gallery.stranger_tail import StrangerScores

_EVENTS = 2_000_000  # scores of strangers held at a time: what sorts within a second
_FAINT = 1e-6  # of the likeliest: ranks that decide more rarely are left out


@dataclass(frozen=True)
class PlayedGalleries:
    """Galleries made of a cohort.

    Attributes:
        enrolled: How many identities they have: fewer than were asked for where the cohort is smaller.
        strangers: What strangers score.
        own: (G,) float64: what enrolled ones score with themselves.
        first: (G,) float64: in which share of the galleries that is the best score.
        weights: (G,) float64: how much each counts; they add up to 1.
        short: Identities of the cohort that have fewer items than a gallery wants references.
    """

    enrolled: int
    strangers: StrangerScores
    own: np.ndarray
    first: np.ndarray
    weights: np.ndarray
    short: int

    @classmethod
    def of(
        cls, cohort: Cohort, enrolled: int, counts: np.ndarray, how: How, metric: Metric, seed: int, draws: int
    ) -> PlayedGalleries:
        """Plays `draws` choices of references through."""
        codes, sizes, generator = cohort.codes, cohort.sizes, np.random.default_rng(seed)
        ranks = _rank_weights(len(sizes) - 1, enrolled)
        most = max(_EVENTS // (len(ranks) * draws), len(sizes))
        parts, owns, short = [], [], 0
        for _ in range(draws):
            wanted = generator.permutation(np.resize(counts, len(sizes)))
            places = _places(codes, sizes, generator)
            chosen = places < wanted[codes]
            short = max(short, int((sizes < wanted).sum()))
            gallery = enrol(cohort.embeddings, codes.astype(str).astype(object), metric, keep=chosen)
            numbers = gallery.identities.astype(np.int64)  # names in order are not numbers in order
            # items of an identity that come later are probes for fewer, where there are more than can be held
            probes = np.flatnonzero(places >= sizes[codes] - max(most // len(sizes), 1))
            for part, table in gallery.scores(cohort.embeddings[probes], how):
                rows = probes[part]
                in_order = np.empty_like(table)
                in_order[:, numbers] = table
                events, own, below = _sorted_scores(in_order, codes[rows], len(ranks))
                weight = 1 / (np.minimum(sizes, max(most // len(sizes), 1))[codes[rows]] * len(sizes) * draws)
                really = np.broadcast_to(codes[rows, None], events[0].shape)
                parts.append((events[0], ranks * weight[:, None], really, events[1]))
                asked = ~chosen[rows]
                owns.append((own[asked], below[asked], weight[asked]))
        scores, shares, strangers, taken = (
            np.concatenate([np.ravel(each) for each in column]) for column in zip(*parts, strict=True)
        )
        order = np.argsort(-scores, kind="stable")
        found = StrangerScores(
            scores[order].astype(np.float64), shares[order], strangers[order], taken[order], len(sizes)
        )
        own, below, weights = (np.concatenate(column) for column in zip(*owns, strict=True))
        first = _all_below(len(sizes) - 1, enrolled - 1, below)
        total = weights.sum()
        return cls(enrolled, found, own, first, weights / total if total else weights, short)

    def found(self, threshold: float) -> tuple[float, float]:
        """Shares of the enrolled that are named rightly, and that come first; NaN where all items are references."""
        if not len(self.own):
            return np.nan, np.nan
        named = self.first * self.weights
        return float(named[self.own >= threshold].sum()), float(named.sum())


def _sorted_scores(
    table: np.ndarray, own: np.ndarray, ranks: int
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """The best scores with other identities and whose they are, the own score, and how many others score less."""
    rows = np.arange(len(table))
    mine = table[rows, own].copy()
    table[rows, own] = -np.inf
    below = (table < mine[:, None]).sum(axis=1) - np.isfinite(mine)  # the own column is no other
    best = np.argpartition(-table, min(ranks, table.shape[1] - 1), axis=1)[:, :ranks] if ranks > 1 else None
    if best is None:
        best = table.argmax(axis=1)[:, None]
    values = np.take_along_axis(table, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return (np.take_along_axis(values, order, axis=1), np.take_along_axis(best, order, axis=1)), mine, below


def _rank_weights(others: int, enrolled: int) -> np.ndarray:
    """(J,) float64: how often the j-th best of the others is the best of those that are enrolled, j from 1."""
    rank = np.arange(1, others - enrolled + 2)
    weights = np.exp(_log_choose(others - rank, enrolled - 1) - _log_choose(np.array([others]), enrolled))
    return weights[weights > _FAINT * weights[0]]


def _all_below(others: int, drawn: int, below: np.ndarray) -> np.ndarray:
    """How often all of `drawn` identities are among the `below` ones of the others."""
    drawn = min(drawn, others)
    enough = below >= drawn
    logs = _log_choose(np.where(enough, below, drawn), drawn) - _log_choose(np.array([others]), drawn)
    return np.where(enough, np.exp(logs), 0.0)


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def _places(codes: np.ndarray, sizes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(M,) int64: the place of each item among those of its identity, in random order."""
    order = np.lexsort((generator.random(len(codes)), codes))
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return places
