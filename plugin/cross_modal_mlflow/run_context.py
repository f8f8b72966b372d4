"""Tags that every MLflow run inside one of our commands carries: version, trunks, ways and shots.

MLflow asks its run context providers whenever ``mlflow.start_run`` makes a run: in every process that has this package
installed, whoever's run it is. So `CrossModalContext` answers only where `announced` has said so, through an
environment variable, which children of the process inherit too (a worker's runs are our runs). The module is an entry
point, imported by ``import mlflow``: nothing but the standard library here. Not even MLflow: whoever imported this
module first would start MLflow's import in the middle of it, and MLflow would look for a class that is not there yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cross_modal.configuration import EvaluationConfig, TwinConfig

VARIABLE = "CROSS_MODAL_TAGS"
PREFIX = "cross_modal."


class CrossModalContext:
    """What MLflow loads as the entry point ``cross-modal`` of ``mlflow.run_context_provider``, by its two methods."""

    def in_context(self) -> bool:
        """Whether a run that starts now belongs to one of our commands."""
        return VARIABLE in os.environ

    def tags(self) -> dict[str, str]:
        """The tags; none where somebody else wrote nonsense into the variable."""
        try:
            said = json.loads(os.environ.get(VARIABLE, "{}"))
        except ValueError:
            return {}
        if not isinstance(said, dict):
            return {}
        return {key: str(value) for key, value in said.items() if key.startswith(PREFIX)}


@contextmanager
def announced(tags: Mapping[str, str]) -> Iterator[None]:
    """Gives these tags to every run that starts meanwhile, in this process and its children.

    Args:
        tags: Name → value; a name gets the prefix ``cross_modal.`` where it lacks it.

    Example:
        >>> with announced({"ways": "5 20"}):
        ...     CrossModalContext().tags()
        {'cross_modal.ways': '5 20'}
        >>> CrossModalContext().in_context()
        False
    """
    before = os.environ.get(VARIABLE)
    named = {f"{PREFIX}{key.removeprefix(PREFIX)}": value for key, value in tags.items()}
    os.environ[VARIABLE] = json.dumps(named)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def experiment_tags(twin: TwinConfig, evaluation: EvaluationConfig | None = None) -> dict[str, str]:
    """What is worth finding a training run by; a run on pairs has no episodes.

    >>> from cross_modal.configuration import EvaluationConfig, TwinConfig
    >>> experiment_tags(TwinConfig(), EvaluationConfig())
    {'trunk': 'conv4 transformer', 'ways': '5 20', 'shots': '0 1 5'}
    """
    towers = dict.fromkeys(name for name in (twin.image.name, twin.text.name) if name != "none")
    tags = {"trunk": " ".join(towers)}
    if evaluation is None:
        return tags
    return tags | {"ways": " ".join(map(str, evaluation.ways)), "shots": " ".join(map(str, evaluation.shots))}
