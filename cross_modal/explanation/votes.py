"""Which references decided a search: those that were found, label by label, and how far the winner is ahead.

A label is as good as its best reference; that is what a search grouped by class shows. Beside it stands how many of
the references found are the label's, and its share of the votes, each reference voting with a weight that falls with
the distance to the best hit's score (a softmax over the scores): a label with one lucky reference and nine of another's
right behind it is seen for what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cross_modal.errors import CrossModalError

TEMPERATURE = 0.05  # of the votes: a reference 0.05 behind another in cosine has e⁻¹ of its weight


@dataclass(frozen=True)
class LabelVotes:
    """What speaks for one label.

    Attributes:
        label: The label.
        ids: Its references among those found, best first.
        scores: Their scores.
        share: Its share of the votes of all labels, in [0, 1].
    """

    label: str
    ids: tuple[str, ...]
    scores: tuple[float, ...]
    share: float

    @property
    def best(self) -> float:
        """The score of its best reference."""
        return self.scores[0]


@dataclass(frozen=True)
class Votes:
    """The labels that were found for one query, best first.

    Attributes:
        labels: By their best reference; equal ones by share, then by name.
        unlabelled: References found that have no label and so no vote.
    """

    labels: tuple[LabelVotes, ...]
    unlabelled: int

    @property
    def margin(self) -> float | None:
        """How far the winner's best reference is ahead of the best of any other label; None with fewer than two."""
        return self.labels[0].best - self.labels[1].best if len(self.labels) > 1 else None

    @property
    def agreed(self) -> bool:
        """The label of the best reference has the largest share as well."""
        return bool(self.labels) and self.labels[0].share >= max(each.share for each in self.labels)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "labels": [
                {"label": each.label, "ids": list(each.ids), "scores": list(each.scores), "share": each.share}
                for each in self.labels
            ],
            "margin": self.margin,
            "agreed": self.agreed,
            "unlabelled": self.unlabelled,
        }


def votes(
    ids: Sequence[str | None] | np.ndarray,
    scores: Sequence[float] | np.ndarray,
    labels: Sequence[str | None] | np.ndarray,
    temperature: float = TEMPERATURE,
) -> Votes:
    """Counts what was found for one query, as `hits.ids[q]` and `hits.scores[q]` give it.

    Args:
        ids: (k,) ids of references; None where fewer were found.
        scores: (k,) cosines or minus distances; minus infinity where fewer were found.
        labels: (k,) the references' labels; None for those without.
        temperature: Of the votes' weights, in the scores' unit.

    Returns:
        The labels found.

    Raises:
        CrossModalError: Lengths that differ, or a temperature that is not positive.

    >>> found = votes(["a1", "b1", "a2"], [0.9, 0.8, 0.7], ["a", "b", "a"])
    >>> found.labels[0].ids, round(found.margin, 3)
    (('a1', 'a2'), 0.1)
    """
    values = np.asarray(scores, np.float64)
    if not len(ids) == len(values) == len(labels):
        raise CrossModalError(
            f"votes: expected as many ids, scores and labels, found {len(ids)}, {len(values)}, {len(labels)}"
        )
    if not temperature > 0:
        raise CrossModalError(f"votes: expected a positive temperature, found {temperature}")
    there = [place for place, name in enumerate(ids) if name is not None and np.isfinite(values[place])]
    voting = [place for place in there if labels[place] is not None]
    if not voting:
        return Votes((), len(there))
    weights = np.exp((values[voting] - values[voting].max()) / temperature)
    weights /= weights.sum()
    of: dict[str, list[int]] = {}
    for number, place in enumerate(voting):
        of.setdefault(str(labels[place]), []).append(number)
    found = []
    for label, numbers in of.items():
        numbers.sort(key=lambda number: (-values[voting[number]], str(ids[voting[number]])))
        places = [voting[number] for number in numbers]
        found.append(
            LabelVotes(
                label,
                tuple(str(ids[place]) for place in places),
                tuple(float(values[place]) for place in places),
                float(weights[numbers].sum()),
            )
        )
    found.sort(key=lambda each: (-each.best, -each.share, each.label))
    return Votes(tuple(found), len(there) - len(voting))
