"""Watches a training run and says, in one sentence, what went wrong, why, and what to change.

A loss that is NaN and embeddings that have all become alike stop the run: more steps repair neither. A miner that
finds nothing, negatives that never occur and a tower without gradient are warnings, each given once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cross_modal.configuration import HealthConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.gauges import alignment, effective_rank, embedding_gauges, modality_gap, spread, uniformity

__all__ = [
    "HealthMonitor", "TrainingStopped", "alignment", "effective_rank", "embedding_gauges", "modality_gap", "spread",
    "uniformity",
]  # fmt: skip


class TrainingStopped(CrossModalError):
    """Training cannot recover; the sentence says what happened, why, and what to change."""


class HealthMonitor:
    """Reads each step's metrics and keeps count.

    Args:
        config: When to stop or warn.
        warm_up: Steps of the learning rate's warm-up: until then towers may be silent (a zero gate gives zero
            gradients at step 0) and an untrained trunk's embeddings may be nearly alike.

    >>> HealthMonitor(HealthConfig(), warm_up=10).check(0, {"train/loss": 3.2})
    []
    """

    def __init__(self, config: HealthConfig, warm_up: int = 0) -> None:
        self.config = config
        self.warm_up = warm_up
        self._since: dict[str, int] = {}
        self._told: set[str] = set()
        self._collapsed: dict[str, int] = {}

    def state_dict(self) -> dict[str, Any]:
        """What it has counted and said so far."""
        return {"since": dict(self._since), "told": sorted(self._told), "collapsed": dict(self._collapsed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self._since, self._told = dict(state["since"]), set(state["told"])
        self._collapsed = dict(state["collapsed"])

    def check(self, step: int, metrics: Mapping[str, float], warm_up: int | None = None) -> list[str]:
        """Judges one step.

        Args:
            step: Number of the step.
            metrics: Any of ``train/loss`` and ``train/gradient_norm``; the parts of `LossOutput` under ``train/``
                (``train/usable_anchors``, ``train/kept_pairs`` and so on); ``health/image_gradient_norm`` and
                ``health/text_gradient_norm``; and `embedding_gauges`. What is absent is not judged in this step.
            warm_up: Steps of warm-up where they differ from those given at first.

        Returns:
            New warnings; each is given once in a run.

        Raises:
            TrainingStopped: For a loss or gradient that is not finite, and for collapse where the config says so.
        """
        self._finite(step, metrics)
        warm = step >= (self.warm_up if warm_up is None else warm_up)
        warnings = self._collapse(step, metrics) if warm else []
        for name, happens, sentence in _idle(metrics):
            if happens is None or (name.startswith("gradient") and not warm):
                continue
            if not happens:
                self._since.pop(name, None)
                continue
            steps = step - self._since.setdefault(name, step) + 1
            if steps >= self.config.idle_steps:
                warnings += self._once(name, f"step {step}: " + sentence.format(steps=steps))
        rank = metrics.get("health/effective_rank", math.inf)
        if warm and rank < 2 and metrics.get("health/spread", 0.0) >= self.config.spread:
            warnings += self._once(
                "rank",
                f"step {step}: the embeddings use {rank:.1f} dimensions only, because nothing pushes them into more; "
                "use more classes a batch, a loss with many negatives (SupConLoss), or a lower learning rate",
            )
        return warnings

    def _once(self, name: str, sentence: str) -> list[str]:
        if name in self._told:
            return []
        self._told.add(name)
        return [sentence]

    @staticmethod
    def _finite(step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            if name.endswith(("/loss", "gradient_norm")) and not math.isfinite(value):
                what = "the loss" if name.endswith("loss") else "the " + name.split("/")[-1].replace("_", " ")
                raise TrainingStopped(
                    f"step {step}: {what} is {value}, because a step was too large or an input is not finite; lower "
                    "training.learning_rate, set training.gradient_clip=1, or train with precision 32-true"
                )

    def _collapse(self, step: int, metrics: Mapping[str, float]) -> list[str]:
        warnings: list[str] = []
        for tower in ("image", "text"):
            value = metrics.get(f"health/{tower}/spread")
            if value is None:
                continue
            self._collapsed[tower] = self._collapsed.get(tower, 0) + 1 if value < self.config.spread else 0
            if self._collapsed[tower] < 2:  # once may be an odd batch
                continue
            sentence = (
                f"step {step}: the {tower} embeddings have become alike (spread {value:.3f}, below "
                f"{self.config.spread}), because pulling positives together won over pushing negatives apart; lower "
                "the learning rate, use SupConLoss or a smaller margin, or a miner with semi-hard negatives"
            )
            if self.config.stop_on_collapse:
                raise TrainingStopped(sentence)
            warnings += self._once(f"collapse/{tower}", sentence)
        return warnings


def _idle(metrics: Mapping[str, float]) -> list[tuple[str, bool | None, str]]:
    """Conditions that are harmless in one step and not in many.

    Returns:
        Name, whether it holds now (None: nothing is known in this step), and the sentence.
    """
    usable, loss = metrics.get("train/usable_anchors"), metrics.get("train/loss")
    kept = metrics.get("train/kept_triplets", metrics.get("train/kept_pairs"))
    positives, negatives = metrics.get("train/kept_positives"), metrics.get("train/kept_negatives")
    return [
        (
            "miner",
            None if kept is None else kept == 0,
            "the miner has kept nothing for {steps} steps, because every tuple lies outside its margins; widen the "
            "miner's margin, choose an easier strategy, or remove objective.miner",
        ),
        (
            "anchors",
            None if usable is None or kept is not None else usable == 0,
            "no anchor has had a positive and a negative for {steps} steps, because the batches hold too few items of "
            "a class; raise batch.items or batch.classes, or set the weight of terms without pairs to 0",
        ),
        (
            "attraction",
            None if positives is None or negatives is None else positives > 0 and negatives == 0,
            "the miner has kept positives but no negative for {steps} steps, so embeddings are only pulled together; "
            "raise the miner's neg_margin (with a similarity, lower it)",
        ),
        (
            "zero",
            None if usable is None or loss is None else loss == 0 and usable > 0 and kept != 0,
            "the loss has been exactly 0 for {steps} steps, because every tuple satisfies the margin; raise the margin "
            "or mine harder tuples, else there is nothing left to learn",
        ),
        *(
            (
                f"gradient/{tower}",
                None if (norm := metrics.get(f"health/{tower}_gradient_norm")) is None else norm == 0,
                f"the {tower} tower has had no gradient for {{steps}} steps, because it is frozen or no term of the "
                f"loss reaches it; check twin.freeze and the terms with {tower} in objective.terms",
            )
            for tower in ("image", "text")
        ),
    ]
