"""Items that are probably labelled wrongly: their neighbours agree with each other, and not with the label.

An item's neighbours vote with weights that fall from the nearest on; what they give its own label is its
self-confidence, and what they give the strongest other label says which label it should perhaps have. Ranking by the
normalised margin of the two is Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(JAIR 2021); neighbours in place of a classifier's probabilities are Bahri, Jiang, Gupta, "Deep k-NN for Noisy Labels"
(ICML 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.audit.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Mislabelled:
    """Suspects, the worst first.

    Attributes:
        rows: (S,) int64, the gallery's rows.
        labels: (S,) the label that each has.
        suggested: (S,) the label that its neighbours have.
        own: (S,) float64 in [0, 1]: the neighbours' share for its own label.
        other: (S,) float64 in [0, 1]: their share for the suggested one; above `own`.
        witness: (S,) int64: the nearest row with the suggested label.
    """

    rows: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray
    own: np.ndarray
    other: np.ndarray
    witness: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def suspicion(self) -> np.ndarray:
        """(S,) float64 in (0, 1]: by how much the neighbours prefer another label."""
        return self.other - self.own


def mislabelled(found: Neighbourhood) -> Mislabelled:
    """The items whose neighbours prefer another label; a class of one item cannot be judged and is left out.

    Args:
        found: The neighbourhoods.

    Example:
        >>> from cross_modal.audit.neighbourhood import neighbourhood
        >>> angles = np.array([0.0, 0.1, 0.2, 1.4, 1.5, 1.6])
        >>> points = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
        >>> labels = np.array(["a", "b", "a", "b", "b", "b"], object)
        >>> suspects = mislabelled(neighbourhood(points, labels, "cosine", k=2))
        >>> int(suspects.rows[0]), str(suspects.suggested[0])
        (1, 'a')
    """
    count, k = found.neighbours.shape
    weights = np.where(found.exists, 1.0 / np.arange(1, k + 1), 0.0)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-12)
    classes = found.neighbour_labels
    own = (weights * (classes == found.labels[:, None])).sum(1)
    # (R, K): what the class of the j-th neighbour gets in all, zero for the own class; K² and never R × classes
    votes = np.einsum("rj,rij->ri", weights, (classes[:, :, None] == classes[:, None, :]).astype(np.float32))
    votes = np.where(found.exists & (classes != found.labels[:, None]), votes, 0.0)
    if not k or not count:
        place = np.zeros(count, np.int64)
    else:
        place = votes.argmax(1)  # the first of equals is the nearest
    every = np.arange(count)
    other = votes[every, place] if count else np.zeros(0)
    sizes = np.bincount(found.labels, minlength=len(found.names))
    suspect = np.flatnonzero((other > own) & (sizes[found.labels] > 1))
    order = suspect[np.lexsort((found.rows[suspect], own[suspect] - other[suspect]))]
    chosen = place[order]
    return Mislabelled(
        found.rows[order],
        found.names[found.labels[order]],
        found.names[classes[order, chosen]],
        own[order],
        other[order],
        found.rows[found.neighbours[order, chosen]],
    )
