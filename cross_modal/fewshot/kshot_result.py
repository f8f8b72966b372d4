"""What a K-shot experiment found: a row a fit, means with intervals over seeds, and the protocol they hold under."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cross_modal.configuration import KShotConfig
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.kshot_split import KShotSplit


@dataclass(frozen=True)
class KShotRow:
    """One classifier, chosen and measured.

    Attributes:
        method: Its name, e.g. "tip_adapter".
        shots: K; 0 for names alone.
        seed: Seed of the split.
        accuracy: Share of the test items that it names rightly; base-to-new: of the base classes' items.
        parameters: The hyper-parameters that validation chose.
        seconds: What fitting and choosing took.
        validation_accuracy: Of the chosen hyper-parameters; NaN without validation.
        measures: What else was measured, name → number: calibration and rejection; base-to-new accuracies.
    """

    method: str
    shots: int
    seed: int
    accuracy: float
    parameters: dict[str, Any]
    seconds: float
    validation_accuracy: float
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """Everything that has a mean over seeds; the accuracy of base classes alone is never called "accuracy"."""
        return self.measures if "base_accuracy" in self.measures else {"accuracy": self.accuracy, **self.measures}


@dataclass(frozen=True)
class KShotResult:
    """All rows of an experiment.

    Attributes:
        rows: By method, shots and seed.
        protocol: One line that stands beside every number.
        splits: The splits, as they are stored with the run.
        split_digests: "4shot_seed1" → SHA-256 of that split.
        notes: What a reader must know: methods left out, classes with fewer shots, what could not be resolved.
    """

    rows: list[KShotRow]
    protocol: str
    splits: list[KShotSplit]
    split_digests: dict[str, str]
    notes: list[str]

    def metrics(self) -> dict[str, float]:
        """Means over seeds under ``kshot/<method>/<K>shot/<number>``, with the half-width of the 95 % interval.

        Returns:
            Name → number, half-widths under ``…/ci95``; a number of a single seed has none, and NaN is left out.
        """
        gathered: dict[str, list[float]] = {}
        for row in self.rows:
            for name, value in row.numbers.items():
                if math.isfinite(value):
                    gathered.setdefault(f"kshot/{row.method}/{row.shots}shot/{name}", []).append(value)
        metrics: dict[str, float] = {}
        for name, values in gathered.items():
            mean, half_width = mean_and_interval(np.array(values))
            metrics[name] = mean
            if math.isfinite(half_width):
                metrics[f"{name}/ci95"] = half_width
        return metrics


def protocol_line(
    name: str, config: KShotConfig, splits: Sequence[KShotSplit], views: int, *, texts: bool, published: bool
) -> str:
    """The protocol in one line.

    Args:
        name: Of the data.
        config: The experiment's settings.
        splits: Its splits.
        views: How many augmented views each support item had; 1 for none.
        texts: Whether classes had texts.
        published: Whether the splits are somebody else's.

    Returns:
        E.g. ``glyphs K=1,4 seeds=1-3 val=min(K,4) views=10 select=val split=ab12cd34``.
    """
    validated = any(any(split.validation.values()) for split in splits)
    parts = [
        name,
        f"K={','.join(str(shots) for shots in sorted({split.shots for split in splits}))}",
        f"seeds={_ranges(sorted({split.seed for split in splits}))}",
        f"val={('published' if published else f'min(K,{config.max_validation})') if validated else 'none'}",
        f"views={views}",
        f"select={'val' if validated else 'defaults'}",
        f"split={digest_of(split_digests(splits))[:8]}",
    ]
    if published:
        parts.append("splits=published")
    if not texts:
        parts.append("texts=none")
    elif config.templates != "plain":
        parts.append(f"templates={config.templates.replace(' ', '_')}")
    if config.base_to_new:
        parts.append("classes=base-to-new")
    return " ".join(parts)


def split_digests(splits: Sequence[KShotSplit]) -> dict[str, str]:
    """Name of each split → its SHA-256."""
    return {f"{split.shots}shot_seed{split.seed}": split.digest for split in splits}


def digest_of(digests: Mapping[str, str]) -> str:
    """One SHA-256 over those of several splits, whatever their order."""
    lines = sorted(f"{name} {digest}" for name, digest in digests.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers as ranges.

    >>> _ranges([1, 2, 3, 7])
    '1-3,7'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
