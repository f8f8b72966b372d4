"""What `sweep` takes on the command line: the experiment that every trial starts from, and how it is searched."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Literal

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.registry import check_name

Sampler = Literal["tpe", "gp", "random"]
Pruner = Literal["median", "hyperband", "wilcoxon", "none"]
TRIALS = 30
#: The variable that names a storage, so that no process list shows its password.
STORAGE = "CROSS_MODAL_STORAGE"
#: What can be optimised, and which way.
TARGETS = {"score": "maximize", "eer": "minimize", "seconds": "minimize"}


@dataclass
class SweepOptions(Experiment):
    """A sweep: the experiment that every trial starts from, and how it is searched.

    Attributes:
        trials: Trials in all, 30 where nothing is said; a resumed study has those of its start, or more.
        workers: Processes on this machine; each takes its share of the cores.
        study: The study's name; None makes one from the data and the time.
        storage: Where the study lives: a file (Optuna's journal), or postgresql://… for many machines.
        resume: Go on with the study of this name, with the settings that it was started with.
        space: A YAML file of dotted settings and their ranges, instead of the built-in space.
        losses: The losses of the built-in space; their margins, scales and temperatures come with them.
        miners: The miners of the built-in space; "none" mines nothing.
        targets: What is optimised on validation classes: "score", "eer", "seconds"; several give a Pareto front.
        sampler: "tpe" (multivariate, constant liar), "gp" or "random".
        sampler_seed: Seed of the sampler of the first worker; the others count on from it.
        pruner: "median" or "hyperband" stop poor trials at a validation, "wilcoxon" poor heads at an episode; "none".
        warm_start: A study of the same storage whose best trials are tried first, after the defaults.
        max_latency: Milliseconds that encoding one picture and one text may take; a winner keeps to it.
        max_memory: Megabytes that the twin's weights may take; a winner keeps to it.
        model: Tune closed-form few-shot heads on this model's embeddings (MODEL), instead of training twins.
        register: Register the winner under this name.
    """

    trials: int | None = None
    workers: int = 1
    study: str | None = None
    storage: str | None = None
    resume: bool = False
    space: str | None = None
    losses: list[str] = field(
        default_factory=lambda: [
            "SupConLoss", "MultiSimilarityLoss", "CircleLoss", "ContrastiveLoss", "TripletMarginLoss",
        ]
    )  # fmt: skip
    miners: list[str] = field(default_factory=lambda: ["none", "MultiSimilarityMiner", "TripletMarginMiner"])
    targets: list[str] = field(default_factory=lambda: ["score"])
    sampler: Sampler = "tpe"
    sampler_seed: int = 0
    pruner: Pruner = "median"
    warm_start: str | None = None
    max_latency: float | None = None
    max_memory: float | None = None
    model: str | None = None
    register: str | None = None

    def experiment(self) -> Experiment:
        """The settings that every trial starts from.

        Example:
            >>> SweepOptions(data="photos", trials=5).experiment() == Experiment(data="photos")
            True
        """
        return Experiment(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Experiment)})

    def check(self) -> None:
        """Refuses what can be refused before anything is read or imported.

        Raises:
            CrossModalError: In one line.

        Example:
            >>> SweepOptions(trials=0).check()
            Traceback (most recent call last):
            cross_modal.errors.CrossModalError: --trials: expected at least 1, found 0
        """
        for name in ("trials", "workers"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise CrossModalError(f"--{name}: expected at least 1, found {getattr(self, name)}")
        if self.resume and not self.study:
            raise CrossModalError("--resume: expected --study NAME, which study to go on with, found none")
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets or len(set(self.targets)) < len(self.targets):
            raise CrossModalError(f"--targets: expected distinct ones of {', '.join(TARGETS)}, found {self.targets}")
        for name in ("losses", "miners"):
            if not getattr(self, name):
                raise CrossModalError(f"--{name}: expected at least one name, found none")
        for name in ("max_latency", "max_memory"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < float("inf"):
                raise CrossModalError(f"--{name}: expected a number above 0, found {limit}")
        if self.pruner == "wilcoxon" and self.model is None:
            raise CrossModalError(
                "--pruner wilcoxon: expected --model MODEL, as it compares few-shot heads episode by episode; "
                "trainings take median or hyperband"
            )
        if self.model is not None and self.pruner == "hyperband":
            raise CrossModalError(
                "--pruner hyperband: expected wilcoxon or none with --model, whose trials are episodes"
            )
        if self.study is not None and (not re.fullmatch(r"[\w. -]+", self.study) or set(self.study) <= {"."}):
            raise CrossModalError(f"--study: expected letters, digits, '_', '-', '.', found {self.study!r}")
        own = SweepOptions()
        of_trainings = ("targets", "space", "losses", "miners", "max_latency", "max_memory", "register")
        if self.model is not None and any(getattr(self, name) != getattr(own, name) for name in of_trainings):
            raise CrossModalError(
                f"--model: heads are tuned for their score, over a space of their own, and are no model to register: "
                f"expected no --{', --'.join(of_trainings)}"
            )
        if self.register is not None:
            check_name(self.register)
