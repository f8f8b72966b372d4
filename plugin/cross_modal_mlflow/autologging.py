"""``cross_modal_mlflow.autolog()``: a hand-written pytorch-metric-learning loop logs itself to the active run.

    cross_modal_mlflow.autolog()
    with mlflow.start_run():
        for images, labels in loader:
            embeddings = model(images)
            loss = loss_function(embeddings, labels, miner(embeddings, labels))
            ...

Calls of losses and miners are watched from outside: `__call__` is put over the library's base classes, runs what it
covers, and looks at what went in and came out. Nothing is drawn from a random generator, no graph is kept, no exception
leaves it: with or without it, the loop computes the same bits.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cross_modal_mlflow.loss_parameters import loss_parameters
from cross_modal_mlflow.run_context import VARIABLE

if TYPE_CHECKING:
    from torch import Tensor

_LOGGER = logging.getLogger(__name__)
_GAUGES = ("health/spread", "health/effective_rank", "health/uniformity", "health/modality_gap")
_watcher: Watcher | None = None
_inside = threading.local()  # kinds of part that are running: a loss inside a loss is one loss


def autolog(*, disable: bool = False, log_every_n_steps: int = 10, health_every_n_steps: int = 100) -> None:
    """Logs losses and miners of pytorch-metric-learning to the active run, where there is one.

    What is logged: name and arguments of loss, miner, distance and reducer, once a run, as the parameters that
    ``cross-modal train`` has (``objective.loss.name``); ``train/loss``; what the miner kept (``train/positives``,
    ``train/negatives``, ``train/triplets``); the health of the embeddings (``health/spread``,
    ``health/effective_rank``, ``health/uniformity``, and ``health/modality_gap`` where the loss takes two sets of
    embeddings). A step is a call with gradients on; second losses and miners count as ``loss_2``. Runs of
    ``cross-modal`` itself are left alone: they log all this already.

    Args:
        disable: Stop, and leave the library as it was found.
        log_every_n_steps: Steps between logged points of the curves; on SQLite each takes some 30 ms.
        health_every_n_steps: Steps between looks at the embeddings' health, rounded up to logged steps.

    Raises:
        CrossModalError: If a number of steps is below 1.
    """
    global _watcher
    from cross_modal.errors import CrossModalError

    for name, steps in (("log_every_n_steps", log_every_n_steps), ("health_every_n_steps", health_every_n_steps)):
        if steps < 1:
            raise CrossModalError(f"autolog: expected {name} of at least 1, found {steps}")
    if disable:
        _watcher = None
        _uncover()
    else:
        _watcher = Watcher(log_every_n_steps, health_every_n_steps)
        _cover()


class RunState:
    """What has been seen in one run: which losses and miners, and how often each was called."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken  # parameters that the run has: MLflow's never change, and the user's own go first
        self._names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._steps: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def step(self, part: Any) -> int:
        """Counts a call, from 1."""
        self._steps[part] = self._steps.get(part, 0) + 1
        return self._steps[part]

    def name(self, part: Any, kind: str) -> str:
        """Its name among the run's: "loss", "loss_2" and so on, in the order of their first logged calls."""
        if part not in self._names:
            count = sum(name.startswith(kind) for name in self._names.values())
            self._names[part] = kind if not count else f"{kind}_{count + 1}"
        return self._names[part]


class Watcher:
    """Sees the calls of losses and miners, and logs.

    Args:
        log_every: Steps between logged points.
        health_every: Steps between looks at the embeddings.
    """

    def __init__(self, log_every: int, health_every: int) -> None:
        self._log_every, self._health_every = log_every, health_every
        self._runs: dict[str, RunState] = {}
        self._failed: set[str] = set()

    def saw(self, kind: str, part: Any, arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        """A call of a loss or miner has ended; whatever goes wrong here ends the logging of this run, not the run."""
        import mlflow

        run_id = ""
        try:
            run = mlflow.active_run()
            run_id = "" if run is None else run.info.run_id
            if run_id and run_id not in self._failed and _is_training_step(kind, result):
                self._log(run_id, kind, part, (arguments, named), result)
        except Exception as error:
            if run_id not in self._failed:  # once
                said = " ".join(str(error).split())[:200]
                _LOGGER.warning("cross_modal_mlflow.autolog logs nothing more to run %s: %s", run_id, said)
            self._failed.add(run_id)

    def _log(self, run_id: str, kind: str, part: Any, call: tuple[Any, Any], result: Any) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
        from mlflow.utils.time import get_current_time_millis

        from cross_modal_mlflow.store import impatient

        if run_id not in self._runs:
            with impatient():
                self._runs[run_id] = RunState(set(MlflowClient().get_run(run_id).data.params))
        state = self._runs[run_id]
        step = state.step(part)
        if (step - 1) % self._log_every:
            return
        name = state.name(part, kind)
        parameters = loss_parameters(part, f"objective.{name}") if step == 1 else {}
        fresh = {key: value for key, value in parameters.items() if key not in state.taken}
        state.taken |= set(fresh)
        health = kind == "loss" and (step - 1) // self._log_every % -(-self._health_every // self._log_every) == 0
        metrics = measures(kind, name, result)
        if health:
            metrics |= embedding_health(part, *call)
        now = get_current_time_millis()
        with impatient():
            MlflowClient().log_batch(
                run_id,
                [Metric(key, value, now, step) for key, value in metrics.items()],
                [Param(key, value) for key, value in fresh.items()],
            )


def measures(kind: str, name: str, result: Any) -> dict[str, float]:
    """What a loss came to, or what a miner kept, under the names of our own runs."""
    number = name.removeprefix(kind)
    if kind == "loss":
        return {f"train/loss{number}": float(result.detach())} if getattr(result, "ndim", 1) == 0 else {}
    if len(result) == 3:
        return {f"train/triplets{number}": float(len(result[0]))}
    return {f"train/positives{number}": float(len(result[0])), f"train/negatives{number}": float(len(result[2]))}


def embedding_health(part: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, float]:
    """The gauges of the embeddings that a loss was called with."""
    import torch

    from cross_modal.objectives.gauges import embedding_gauges

    bound = inspect.signature(type(part).forward).bind(part, *arguments, **named).arguments
    rows, references = bound.get("embeddings"), bound.get("ref_emb")
    if rows is None or not _is_matrix(rows):
        return {}
    with torch.no_grad(), torch.autocast(rows.device.type, enabled=False):
        gauges = embedding_gauges(rows, references if _is_matrix(references) else None)
    return {key: gauges[key] for key in _GAUGES if key in gauges}


def _is_matrix(rows: Tensor | None) -> bool:
    return getattr(rows, "ndim", 0) == 2 and getattr(rows, "is_floating_point", bool)()


def _is_training_step(kind: str, result: Any) -> bool:
    """Whether gradients are on; not in our own runs, and not where reading a number would break a CUDA graph."""
    import torch

    if VARIABLE in os.environ or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()):
        return False
    return torch.is_grad_enabled() and (kind == "miner" or not hasattr(result, "requires_grad") or result.requires_grad)


def _parts() -> list[tuple[type, str]]:
    """The library's base classes: every loss and miner is called through one of them."""
    from pytorch_metric_learning.losses.base_loss_wrapper import BaseLossWrapper
    from pytorch_metric_learning.losses.base_metric_loss_function import BaseMetricLossFunction
    from pytorch_metric_learning.miners.base_miner import BaseMiner

    return [(BaseMetricLossFunction, "loss"), (BaseLossWrapper, "loss"), (BaseMiner, "miner")]


def _cover() -> None:
    for cls, kind in _parts():
        if not _covered(cls):
            cls.__call__ = _watched(cls.__call__, kind)  # type: ignore[method-assign]


def _uncover() -> None:
    for cls, _ in _parts():
        if _covered(cls):
            del cls.__call__  # torch's own comes back into sight


def _covered(cls: type) -> bool:
    return getattr(vars(cls).get("__call__"), "_cross_modal", False)


def _watched(inner: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """`inner`, watched; a part that another of its kind calls is the other's business."""
    import torch

    def __call__(self: Any, *arguments: Any, **named: Any) -> Any:
        running: set[str] = _inside.__dict__.setdefault("kinds", set())
        watcher = _watcher
        if watcher is None or torch.compiler.is_compiling() or kind in running:
            return inner(self, *arguments, **named)
        running.add(kind)
        try:
            result = inner(self, *arguments, **named)
        finally:
            running.discard(kind)
        watcher.saw(kind, self, arguments, named, result)
        return result

    __call__._cross_modal = True  # type: ignore[attr-defined]
    return __call__
