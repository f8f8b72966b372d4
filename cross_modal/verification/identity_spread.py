"""How much identities differ from each other in how alike their own items are, and a threshold for one of them.

Some people sign carefully, others never twice alike. With several references of one identity its own scores are known,
and the threshold can follow them, as far as they can be trusted:

    t_i = t + λ (m_i − m),   λ = τ² / (τ² + σ² / n)

m_i is the mean score among the references, m that of same pairs in general, τ² the variance of identities around m, σ²
that of pairs around their identity, and n the number of disjoint pairs among the references. Few references, or
identities that hardly differ, leave the threshold where it was.

Sources: James, Stein 1961 and Efron, Morris 1975 (shrinkage); Searle, Casella, McCulloch 1992, "Variance components",
section 3.6 (τ² from unequal groups); Poh, Kittler 2007, "On the use of log-likelihood ratio based model-specific score
normalisation in biometric authentication" (thresholds of identities).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class IdentitySpread:
    """Scores of same pairs, between identities and within them.

    Attributes:
        mean: m, mean over identities of their same pairs' mean score.
        between: τ², variance of identities, at least 0.
        within: σ², variance of an identity's pairs.
    """

    mean: float
    between: float
    within: float

    def shift(self, scores: np.ndarray, references: int) -> float:
        """How far one identity's threshold lies from the general one.

        Args:
            scores: (n,) scores among its references, each pair once.
            references: How many there are, at least 2.

        Returns:
            λ (m_i − m).

        >>> IdentitySpread(mean=0.5, between=0.01, within=0.01).shift(np.array([0.3]), references=2)
        -0.1
        """
        if self.between <= 0:
            return 0.0
        trust = self.between / (self.between + self.within / (references // 2))
        return trust * (float(np.mean(scores)) - self.mean)

    def to_dict(self) -> dict[str, float]:
        """As JSON-able primitives, for `from_dict`."""
        return {"mean": self.mean, "between": self.between, "within": self.within}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IdentitySpread:
        """Reads what `to_dict` wrote.

        Raises:
            CrossModalError: Something else.
        """
        try:
            found = cls(float(values["mean"]), float(values["between"]), float(values["within"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CrossModalError(f"identity spread: expected what to_dict wrote, found {error!r}") from None
        if not np.isfinite([found.mean, found.between, found.within]).all() or min(found.between, found.within) < 0:
            raise CrossModalError(f"identity spread: expected finite variances of at least 0, found {dict(values)}")
        return found


def identity_spread(scores: np.ndarray, owners: np.ndarray) -> IdentitySpread | None:
    """Measures it on same pairs.

    Args:
        scores: (M,) of same pairs.
        owners: (M,) int64, the identity of each.

    Returns:
        The variances; None where there are fewer than two identities, or none has two pairs.

    >>> identity_spread(np.array([0.1, 0.3, 0.7, 0.9]), np.array([0, 0, 1, 1])).mean
    0.5
    """
    groups = np.unique(owners, return_inverse=True)[1]
    sizes = np.bincount(groups)
    count, total = len(sizes), len(scores)
    if count < 2 or total <= count:
        return None
    means = np.bincount(groups, weights=scores) / sizes
    within = float(((scores - means[groups]) ** 2).sum() / (total - count))
    across = float((sizes * (means - scores.mean()) ** 2).sum() / (count - 1))
    typical = (total - (sizes**2).sum() / total) / (count - 1)
    return IdentitySpread(float(means.mean()), max((across - within) / float(typical), 0.0), within)
