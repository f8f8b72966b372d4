"""Training a part of a large pretrained twin, and what is done with its start: kept, compared with, averaged with.

The loop calls this at three places: before the twin is built (which blocks learn), before the first step (what the
pretrained twin scores) and after the last (low-rank changes become weights, averaging, a warning).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from cross_modal.configuration import TrainingConfig, TwinConfig
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.lora import add_lora, merge_lora
from cross_modal.training.validation import SCORE
from cross_modal.training.weight_averaging import Weights, choose_average

Measured = Callable[[TwinEncoder], dict[str, float]]
TRUNKS = ("image", "text")


def twin_settings(twin: TwinConfig, config: TrainingConfig) -> TwinConfig:
    """The twin's settings with what `training` says of its blocks.

    Args:
        twin: The twin's settings.
        config: `last_blocks` and `lora`.

    Returns:
        Settings whose `freeze` says which blocks learn.

    Raises:
        CrossModalError: Where two settings say different things of the same blocks.

    >>> twin_settings(TwinConfig(), TrainingConfig(last_blocks=2)).freeze
    'last:2'
    """
    if config.last_blocks < 0:
        raise CrossModalError(f"training.last_blocks: expected 0 or more blocks, found {config.last_blocks}")
    wanted = f"last:{config.last_blocks}" if config.last_blocks else twin.freeze
    if twin.freeze not in ("none", wanted):
        raise CrossModalError(
            f"training.last_blocks {config.last_blocks}: expected twin.freeze none, found {twin.freeze!r}"
        )
    if config.lora.rank and wanted != "none":
        raise CrossModalError(
            f"training.lora: expected twin.freeze none and training.last_blocks 0, as it freezes the trunks itself; "
            f"found {wanted!r}"
        )
    return replace(twin, freeze=wanted)


class PartialTraining:
    """What a training that starts from a pretrained twin does besides the steps.

    Args:
        twin: The twin as it was built; it gets low-rank changes here, where they are asked for.
        config: The settings.
        message: Told what came of it.

    Raises:
        CrossModalError: As `add_lora`; and where weights are to be averaged with those of a twin that knows nothing.
    """

    def __init__(self, twin: TwinEncoder, config: TrainingConfig, message: Callable[[str], None]) -> None:
        self._twin, self._config, self._message = twin, config, message
        self._start: Weights | None = None
        self._start_score: float | None = None
        if config.weight_averaging < 0:
            raise CrossModalError(f"training.weight_averaging: expected 0 or more, found {config.weight_averaging}")
        if config.weight_averaging:
            if not any(trunk is not None and trunk.pretrained for trunk in (twin.image, twin.text)):
                raise CrossModalError(
                    "training.weight_averaging: expected a pretrained trunk, found none to go back to"
                )
            self._start = {
                name: value.detach().cpu().clone()
                for name, value in twin.state_dict().items()
                if not twin.frozen or name.split(".")[0] not in TRUNKS
            }
        if config.lora.rank:
            add_lora(twin, config.lora)

    def measure_start(self, measure: Measured) -> None:
        """Measures the pretrained twin, which is what an untrained one is where it has a residual."""
        twin = self._twin
        pretrained = twin.image is not None and twin.image.pretrained
        if twin.residual_gate is not None and pretrained:
            with torch.random.fork_rng(devices=[]):  # the steps draw the same numbers, measured or not
                self._start_score = self._score(measure, twin)

    def finish(self, measure: Measured, score: float | None) -> float | None:
        """Makes the tuned twin plain, averages it with its start, and warns where the start was better.

        Args:
            measure: Metrics of a twin on the validation classes.
            score: The validation score of the tuned twin; None where there is none.

        Returns:
            The validation score of the twin as it is now.
        """
        merge_lora(self._twin)
        if self._start is not None:
            points = self._config.weight_averaging
            chosen = choose_average(self._twin, self._start, points, lambda twin: self._score(measure, twin))
            if chosen is None:
                self._message("weight averaging: nothing to validate on, the tuned weights are kept")
            else:
                score = chosen.score
                self._message(
                    f"weight averaging: {chosen.alpha:g} of the tuned weights is best on validation "
                    f"({chosen.score:.4f}; tuned {chosen.scores[1.0]:.4f}, at the start {chosen.scores[0.0]:.4f})"
                )
        if self._start_score is not None and score is not None and score < self._start_score:
            self._message(
                f"the tuned twin scores {score:.4f} on validation, below the {self._start_score:.4f} of the pretrained "
                "model as it was: a lower trunk_learning_rate, fewer steps or --training.weight_averaging 10 may keep "
                "what it knew"
            )
        return score

    def _score(self, measure: Measured, twin: TwinEncoder) -> float | None:
        """What picks the best checkpoint, too."""
        monitor = self._config.monitor
        return measure(twin).get(SCORE if monitor == "auto" else monitor)
