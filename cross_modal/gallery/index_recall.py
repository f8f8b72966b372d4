"""How much an approximate index finds of what is truly nearest: measured on the gallery, never assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cross_modal.gallery.backends.port import IndexFacts

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

QUERIES, TOP = 50, 10
_ROUNDING = 1e-5  # scores of the index and of exact search are summed in another order


def measured_index(gallery: Gallery, probes: int, seconds: float, generator: np.random.Generator) -> IndexFacts:
    """Compares the index with exact search.

    Queries lie between two references, one of them nearer: on references themselves an index looks better than it is.

    Args:
        gallery: The gallery, its index built.
        probes: How many partitions a query looks into.
        seconds: How long building took.
        generator: Draws the queries.

    Returns:
        Recall of the true best ten, and median times.
    """
    vectors = gallery.matrix().vectors
    near, far = (vectors[generator.integers(len(vectors), size=QUERIES)] for _ in range(2))
    queries = 0.7 * near + 0.3 * far
    found = taken = 0
    exact_times, times = [], []
    for query in queries:
        exact = gallery.search(query, TOP, exact=True)
        approximate = gallery.search(query, TOP)
        worst = exact.scores[0][exact.scores[0] > -np.inf].min(initial=np.inf)
        found += int((approximate.scores[0] >= worst - _ROUNDING).sum())
        taken += int((exact.scores[0] > -np.inf).sum())
        exact_times.append(exact.seconds)
        times.append(approximate.seconds)
    return IndexFacts(
        kind="ivf_pq",
        recall=found / max(taken, 1),
        queries=QUERIES,
        probes=probes,
        rows=len(vectors),
        seconds=seconds,
        exact_milliseconds=1000 * float(np.median(exact_times)),
        milliseconds=1000 * float(np.median(times)),
    )
