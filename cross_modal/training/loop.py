"""The training loop: plain, seeded, and silent about where its results go.

One step is: inputs of the step → both towers → one loss in float32 → clipped gradients → AdamW under a cosine. What
a step reads and what is made small is the `Task`'s: classes of items, or pairs. The loop knows neither MLflow nor a
progress bar; it tells a `Listener`. Stopping and the best checkpoint follow a *validation* score over classes or pairs
that were never trained on; the test split cannot be reached from here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.data.passes import key_of
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.objectives.gauges import embedding_gauges
from cross_modal.objectives.health import HealthMonitor, TrainingStopped
from cross_modal.training.activation_checkpointing import checkpoint_activations
from cross_modal.training.alike import start_alike
from cross_modal.training.batch_statistics import check_rows, with_shared_statistics
from cross_modal.training.cached_gradients import CachedEmbeddings
from cross_modal.training.checkpoints import BEST, LAST, Checkpoints
from cross_modal.training.class_task import ClassTask
from cross_modal.training.fabric import build_fabric
from cross_modal.training.fed_trunks import fed_trunks
from cross_modal.training.gradient_norms import gradient_norms
from cross_modal.training.interrupts import Interrupts
from cross_modal.training.launched import Launched
from cross_modal.training.listener import Listener, Silence
from cross_modal.training.optimizer import build_optimizer
from cross_modal.training.pair_task import PairTask
from cross_modal.training.partial import PartialTraining, twin_settings
from cross_modal.training.peak_memory import forget_peak_memory, peak_memory
from cross_modal.training.processes import Processes, joined_processes
from cross_modal.training.schedule import learning_rate_factor
from cross_modal.training.settings_check import check_settings
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.task import Inputs, StepOutput, Task
from cross_modal.training.training_result import TrainingResult
from cross_modal.training.training_state import TrainingState, fingerprint
from cross_modal.training.validation import SCORE, Measure

Embeddings = tuple[Tensor | None, Tensor | None]


def train(
    experiment: Experiment,
    data: Items | Pairs | Triplets,
    *,
    folder: str | Path,
    listener: Listener | None = None,
    shared: SharedParts | None = None,
    measure: Measure | None = None,
    resume: bool = False,
    resumable: bool = True,
) -> TrainingResult:
    """Trains a twin on the train split of items, labelled pairs or triplets.

    Args:
        experiment: All settings; those of pairs are under `pairs`, and make pairs of classes with `from_classes`.
        data: With splits; "validation" picks the best checkpoint, "test" is not looked at.
        folder: Where the checkpoints `best.pt` and `last.pt` go.
        listener: Told of steps, validations and warnings.
        shared: What several trainings on the same data have in common; it makes them quicker and changes no number.
        measure: What is measured of the validation items besides, at every validation; not with labelled pairs.
        resume: Go on from `last.pt`, with the losses that the training would have had without a break.
        resumable: Write `last.pt` at every validation, every `checkpoint_every` steps, and when interrupted.

    Started by `torchrun`, all its processes train one twin. Process 0 alone validates, writes checkpoints and tells the
    listener; what the others return is their twin after the last step.

    Returns:
        The best twin and how it came about.

    Raises:
        CrossModalError: If the data, the settings or the machine do not allow it, or another process has gone.
        TrainingStopped: If training collapsed or the loss is not a number.
    """
    with joined_processes() as processes:
        heard = listener if listener is not None and processes.leads else Silence()
        return Loop(experiment, data, Path(folder), heard, shared, measure, resumable, processes).run(resume)


class Loop:
    """State of one training run; `train` is the door to it."""

    def __init__(
        self,
        experiment: Experiment,
        data: Items | Pairs | Triplets,
        folder: Path,
        listener: Listener,
        shared: SharedParts | None = None,
        measure: Measure | None = None,
        resumable: bool = True,
        processes: Processes | None = None,
    ) -> None:
        started = time.perf_counter()
        config = experiment.training
        check_settings(config)
        self.experiment, self.config, self.listener, self.folder = experiment, config, listener, folder
        self.processes = processes or Processes(Launched())
        self.fabric = build_fabric(config, self.processes.place)
        forget_peak_memory(self.fabric.device)
        shared = shared or SharedParts.alone()
        items = data if isinstance(data, Items) else data.items
        train_items = shared.split(items, "train")
        if not len(train_items):
            raise CrossModalError(f"{items.source}: expected items in the split train, found none")
        self.messages: list[str] = []
        texts = [str(text) for text in train_items.texts if text is not None]
        twin_config = twin_settings(fed_trunks(experiment.twin, train_items, self._message), config)
        twin = shared.twin(twin_config, texts, config.seed, self.fabric.device)
        self.partial = PartialTraining(twin, config, self._message)
        store = FeatureStore.open() if twin.frozen and experiment.items.feature_store else None
        twin = with_shared_statistics(
            twin,
            processes=self.processes.size,
            micro_batch=config.micro_batch,
            device=self.fabric.device,
            message=self._message,
        ).to(self.fabric.device)
        self.task = _task(
            experiment, data, twin, store, shared, self.fabric.device, self._message, measure, self.processes
        )
        self.criterion = self.task.criterion
        self.twin = twin
        optimizer: Any = self.fabric.setup_optimizers(build_optimizer(twin, self.criterion, config))
        self.optimizer = optimizer
        if config.activation_checkpointing:
            checkpoint_activations(twin, self._message)
        start_alike(self.processes, experiment, len(items), twin, self.criterion)
        self.health = HealthMonitor(experiment.health, config.warm_up)
        self.result = TrainingResult(twin, messages=self.messages, head=self.task.head)
        self.result.parameters = sum(p.numel() for p in twin.parameters() if p.requires_grad)
        self.result.seconds = {"setup": time.perf_counter() - started, "training": 0.0, "validation": 0.0}
        self.resumable = resumable
        parts = {"health": self.health, "task": self.task, "progress": self.result}
        precision = self.fabric.strategy.precision
        state = TrainingState(twin, self.criterion, optimizer, precision, parts, self.processes.size)
        self.checkpoints = Checkpoints(
            folder, state, self.result, self.processes, lambda: fingerprint(experiment, data.digest)
        )

    def run(self, resume: bool = False) -> TrainingResult:
        """All steps, then the best weights."""
        steps = self.config.steps
        if self.processes.leads:
            self.partial.measure_start(self.task.measure)
        if resume:
            self._resume()
        first = self.result.steps
        stream = self.task.stream(first, steps)
        self.twin.train()
        with Interrupts() as interrupts:
            for step in range(first, steps if self.result.stopped is None else first):
                began = time.perf_counter()
                metrics = self._step(step, inputs := next(stream))
                seconds = time.perf_counter() - began  # waiting for pictures included
                metrics["train/items_per_second"] = inputs.size / max(seconds, 1e-9)
                self.result.steps = step + 1
                self.listener.on_step(step + 1, metrics)
                self.result.seconds["training"] += time.perf_counter() - began
                goes_on = not self._is_validation(step + 1) or self._validate(step + 1)
                came = self.processes.any(interrupts.came)
                if self.resumable and (came or self._is_kept(step + 1)):
                    self._keep_state()
                if came:
                    self.processes.leave()
                interrupts.obey()
                if came:
                    raise KeyboardInterrupt("with another process")
                if not goes_on:
                    break
        self.result.peak_memory = self.processes.largest(peak_memory(self.fabric.device))
        if self.processes.leads:
            self._finish()
        self.twin.eval()
        self.criterion.eval()
        return self.result

    def _finish(self) -> None:
        """What is left when the steps are done."""
        for notice in self.task.notices():
            self._message(notice)
        self.checkpoints.restore_best()
        self.result.best_score = self.partial.finish(self.task.measure, self.result.best_score)

    def _step(self, step: int, inputs: Inputs) -> dict[str, float]:
        """One optimizer step over one batch."""
        factor = learning_rate_factor(step, steps=self.config.steps, warm_up=self.config.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.optimizer.zero_grad()
        last = self._backward(inputs)
        total = float(last.output.loss.detach())
        norms = gradient_norms(self.twin)  # before clipping, so that each tower's share shows
        norm = self._clip()
        if norm is not None:
            norms["train/gradient_norm"] = norm
        metrics = {"train/loss": total} | ({} if self._overflowed(norms) else norms)
        metrics |= {f"train/{name}": float(value) for name, value in last.output.parts.items()}
        metrics["train/learning_rate"] = self.config.learning_rate * factor
        logged = step % self.config.log_every == 0 or step + 1 == self.config.steps
        if logged and math.isfinite(total):
            metrics |= embedding_gauges(last.image, last.text, last.image_ids, last.text_ids)
        for warning in self.health.check(step, metrics):  # before the step: a loss that is no number spoils no weight
            self._message(warning)
        self.optimizer.step()
        return metrics

    def _backward(self, inputs: Inputs) -> StepOutput:
        """Both towers, the loss, and the gradients of both."""
        device, size = self.fabric.device, self.config.micro_batch
        image, text = (None if each is None else each.to(device) for each in (inputs.image, inputs.text))
        check_rows(self.twin, inputs.counts, self.processes.size)
        cached = CachedEmbeddings(self._embedded, image, text, size) if size else None
        own = self._embedded(image, text) if cached is None else (cached.image, cached.text)
        pictures, texts = (
            self.processes.joined(rows, total, self.twin.dim, device)
            for rows, total in zip(own, inputs.counts, strict=True)
        )
        with self.processes.same_draws(key_of(self.config.seed, 7, self.result.steps), device):
            found = self.task.loss(pictures, texts, inputs)
        if found.output.loss.requires_grad:
            self.fabric.backward(found.output.loss)
        if cached is not None:
            cached.backward()
        learned = [p for p in self.twin.parameters() if p.requires_grad]
        self.processes.sum_gradients(learned, [p for p in self.criterion.parameters() if p.requires_grad])
        self.fabric.strategy.precision.unscale_gradients(self.optimizer.optimizer)
        return found

    def _embedded(self, image: Tensor | Tokens | None, text: Tensor | Tokens | None) -> Embeddings:
        """Both towers, in the training's precision; embeddings are float32."""
        with self.fabric.autocast():
            return self.twin(image, text)

    def _overflowed(self, norms: dict[str, float]) -> bool:
        """Whether scaled float16 gradients were too large: the scaler then skips the step and scales by less."""
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        return scaler is not None and scaler.get_scale() > 1 and not all(map(math.isfinite, norms.values()))

    def _clip(self) -> float | None:
        """Clips the gradients of twin and loss together; returns the norm before."""
        if not self.config.gradient_clip:
            return None
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        return float(nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip))

    def _is_validation(self, done: int) -> bool:
        return done == self.config.steps or done % self.config.validate_every == 0

    def _validate(self, done: int) -> bool:
        """Validates, in process 0, and keeps the best; false, in all, when patience has run out."""
        goes_on = self._validated(done) if self.processes.leads else False
        return self.processes.any(goes_on)

    def _validated(self, done: int) -> bool:
        began = time.perf_counter()
        metrics = self.task.measure(self.twin)
        self.result.seconds["validation"] += time.perf_counter() - began
        if not metrics:
            return True
        self.listener.on_validation(done, metrics)
        score = metrics.get(self.config.monitor if self.config.monitor != "auto" else SCORE)
        if score is None:
            names = ", ".join(sorted(metrics))
            raise CrossModalError(f"training.monitor: expected one of {names}, found {self.config.monitor!r}")
        if self.result.best_score is None or score > self.result.best_score:
            self.result.best_score, self.result.best_step = score, done
            self.checkpoints.keep_best()
        waited = (done - self.result.best_step) // self.config.validate_every
        if self.config.patience and waited >= self.config.patience:
            self.result.stopped = f"no better {self.config.monitor} score since step {self.result.best_step}"
            self._message(f"stopped at step {done}: {self.result.stopped}")
            return False
        return True

    def _is_kept(self, done: int) -> bool:
        every = self.config.checkpoint_every
        return self._is_validation(done) or bool(every and done % every == 0)

    def _keep_state(self) -> None:
        """Writes `last.pt`, and tells whoever has to have written its own by then."""
        if self.processes.leads:
            self.listener.on_checkpoint(self.result.steps)
        failure = self.checkpoints.keep()
        if failure is not None:
            self._message(failure)

    def _resume(self) -> None:
        """Goes on from `last.pt`."""
        elsewhere = self.checkpoints.go_on()
        self._message(f"resumed after step {self.result.steps}")
        if elsewhere is not None:
            self._message(elsewhere)

    def _message(self, text: str) -> None:
        self.messages.append(text)
        self.listener.on_message(text)


def _task(
    experiment: Experiment,
    data: Items | Pairs | Triplets,
    twin: TwinEncoder,
    store: FeatureStore | None,
    shared: SharedParts,
    device: torch.device,
    message: Callable[[str], None],
    measure: Measure | None,
    processes: Processes,
) -> Task:
    """What is trained on: pairs where the data is pairs or the settings make them of classes."""
    if isinstance(data, Items) and not experiment.pairs.from_classes:
        return ClassTask(experiment, data, twin, store, shared, device, measure, processes)
    return PairTask(experiment, data, twin, store, shared, device, message, measure, processes)


__all__ = ["BEST", "LAST", "Listener", "Silence", "TrainingResult", "TrainingStopped", "train"]
