"""Weight averaging between the pretrained and the tuned twin: what tuning gained, with less of what it forgot.

The twin with the weights (1 − α)·pretrained + α·tuned often is better than either end, most of all on data unlike that
of training, and costs nothing in use (Wortsman et al. 2022, WiSE-FT, equation 1). α is chosen on validation; both ends
are among the candidates, so that the result is never worse there than the tuned twin, nor than the pretrained one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cross_modal.encoders.twin import TwinEncoder

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Averaged:
    """What was chosen.

    Attributes:
        alpha: 0 is the twin as it started, 1 the tuned one.
        score: Its validation score.
        scores: α → validation score, of all candidates.
    """

    alpha: float
    score: float
    scores: dict[float, float]


def average(start: Weights, tuned: Weights, alpha: float) -> Weights:
    """Weights between two ends; the ends themselves are returned bit for bit.

    Args:
        start: Name → tensor of the twin at the start.
        tuned: The same of the tuned twin; between the ends, what is no floating-point number
            (a counter) is taken from it.
        alpha: Share of the tuned weights, from 0 to 1.

    Returns:
        (1 − α)·start + α·tuned, by name.

    >>> average({"w": torch.zeros(1)}, {"w": torch.ones(1)}, 0.25)["w"].item()
    0.25
    """
    mixed = {}
    for name, end in tuned.items():
        begin = start[name].to(end.device)
        mixed[name] = torch.lerp(begin, end, alpha) if end.is_floating_point() else end
        if alpha in (0, 1):
            mixed[name] = end if alpha == 1 else begin
    return mixed


def choose_average(
    twin: TwinEncoder, start: Weights, points: int, score: Callable[[TwinEncoder], float | None]
) -> Averaged | None:
    """Puts the best weights between start and end into a twin.

    Args:
        twin: The tuned twin; it has the chosen weights afterwards.
        start: The weights of `twin` at the start of training, those that training could change.
        points: N: the candidates are α = 0, 1/N, … 1.
        score: Validation score of a twin, higher is better.

    Returns:
        The choice; of equal scores the one nearest to the tuned end. None where there is no score.
    """
    tuned = {name: value.detach().clone() for name, value in twin.state_dict().items() if name in start}
    scores: dict[float, float] = {}
    for point in range(points, -1, -1):
        alpha = point / points
        twin.load_state_dict(average(start, tuned, alpha), strict=False)
        found = score(twin)
        if found is None:
            twin.load_state_dict(tuned, strict=False)
            return None
        scores[alpha] = found
    best = max(scores, key=scores.__getitem__)
    twin.load_state_dict(average(start, tuned, best), strict=False)
    return Averaged(best, scores[best], scores)
