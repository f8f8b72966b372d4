"""The settings of the evaluator `few_shot`: what ``evaluator_config`` may say, checked before anything is embedded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cross_modal.configuration import EvaluationConfig, KShotConfig
from cross_modal.errors import CrossModalError

_LISTS = {"ways": 2, "shots": 0, "kshot": 1, "seeds": 0}  # name → least value
_NUMBERS = {"queries": 1, "episodes": 1, "seed": 0, "pairs": 0, "resamples": 100, "batch": 1}


@dataclass(frozen=True)
class FewShotSettings:
    """What ``evaluator_config`` may say.

    Attributes:
        ways: N, classes in an episode.
        shots: K, pictures of each class in the support; 0 is zero-shot (names only).
        queries: Query pictures of each class.
        episodes: Episodes a setting.
        seed: Seed of episodes, drawn pairs and resamples.
        within_prefix: Draw the classes of an episode from one label prefix.
        kshot: K of the K-shot protocol; none leaves it out.
        seeds: Seeds of its splits.
        methods: Its classifiers, or "all".
        pairs: Pairs that verification draws from labelled items, half of them of one class; 0 leaves it out. A table
            with a column `pair` brings its own.
        resamples: Bootstrap resamples behind the intervals of verification.
        split: The rows that are measured where the table has a column `split`; None takes "test" where there is one,
            else all.
        metric: "cosine" or "euclidean"; None takes the model's own.
        batch: Rows of one call of the model.

    >>> settings = FewShotSettings.of({"ways": 5, "episodes": 100})
    >>> settings.ways, settings.evaluation.episodes
    ([5], 100)
    """

    ways: list[int] = field(default_factory=lambda: [5, 20])
    shots: list[int] = field(default_factory=lambda: [0, 1, 5])
    queries: int = 5
    episodes: int = 1000
    seed: int = 0
    within_prefix: bool = False
    kshot: list[int] = field(default_factory=lambda: [1, 4])
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    methods: list[str] = field(default_factory=lambda: ["zero_shot", "prototypes", "tip_adapter"])
    pairs: int = 2000
    resamples: int = 1000
    split: str | None = None
    metric: str | None = None
    batch: int = 256

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> FewShotSettings:
        """Reads ``evaluator_config``; a single value stands for a list of one.

        Raises:
            CrossModalError: An unknown name (says the nearest), or a value out of range.
        """
        known = [each.name for each in fields(cls)]
        values = {}
        for name, value in config.items():
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise CrossModalError(f"evaluator_config: unknown {name!r}{hint}, expected {', '.join(known)}")
            if value is not None:
                values[name] = _checked(name, value)
        return cls(**values)

    @property
    def evaluation(self) -> EvaluationConfig:
        """Its part that `evaluate_embeddings` takes."""
        return EvaluationConfig(self.ways, self.shots, self.queries, self.episodes, self.seed, self.within_prefix)

    @property
    def kshot_config(self) -> KShotConfig:
        """Its part that the K-shot protocol takes."""
        return KShotConfig(shots=sorted(set(self.kshot)), seeds=list(dict.fromkeys(self.seeds)), methods=self.methods)


def _checked(name: str, value: Any) -> Any:
    if name in _LISTS:
        return [_number(name, each, _LISTS[name]) for each in _as_list(value)]
    if name in _NUMBERS:
        return _number(name, value, _NUMBERS[name])
    if name == "within_prefix":
        if not isinstance(value, bool):
            raise CrossModalError(f"evaluator_config: {name}: expected true or false, found {value!r}")
        return value
    if name == "methods":
        return _methods(_as_list(value))
    choices = {"split": ("train", "validation", "test", "all"), "metric": ("cosine", "euclidean")}[name]
    if value not in choices:
        raise CrossModalError(f"evaluator_config: {name}: expected one of {', '.join(choices)}, found {value!r}")
    return value


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | range) else [value]


def _number(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise CrossModalError(f"evaluator_config: {name}: expected an integer of at least {least}, found {value!r}")
    return int(value)


def _methods(names: list[Any]) -> list[str]:
    from cross_modal.fewshot.classifiers import METHODS

    for name in names:
        if name not in {"all", *METHODS}:
            raise CrossModalError(
                f"evaluator_config: methods: expected all or names of {', '.join(METHODS)}, found {name!r}"
            )
    return names
