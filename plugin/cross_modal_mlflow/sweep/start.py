"""How a sweep begins: a new study with its parent run, or an earlier one taken up again.

Everything that can be refused is refused before the study exists: settings, storage, tracking store, data, space. What
a study is about is then written into it once (`StudySettings`), and a resumed sweep reads it from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import yaml

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.data.pairs import kind_of
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError
from cross_modal.rebuild import rebuild
from cross_modal_mlflow.logged_items import log_items
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.pipeline import config_yaml
from cross_modal_mlflow.run_context import experiment_tags
from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.sweep.head_space import HeadSpace
from cross_modal_mlflow.sweep.join import store_of
from cross_modal_mlflow.sweep.objective import DEFAULT, keeps_to_constraints, read_study_items
from cross_modal_mlflow.sweep.options import TRIALS, SweepOptions
from cross_modal_mlflow.sweep.sampling import pruner_note
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.space import SearchSpace
from cross_modal_mlflow.sweep.storage import open_storage, refuse_mlflow_database, storage_argument, storage_label
from cross_modal_mlflow.sweep.study import create_study, load_study, refuse_existing, unique_name
from cross_modal_mlflow.sweep.sweep_run import parent_run
from cross_modal_mlflow.tracking import TrackedRun

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from rich.console import Console

WARM = 3  # best trials of an earlier study that are tried first


@dataclass(frozen=True)
class Sweep:
    """A sweep that is under way.

    Attributes:
        study: The study, with the first worker's sampler and pruner.
        settings: What it is about.
        storage: Its storage.
        storage_argument: The same as ``--storage`` takes it, password included.
        storage_label: The same for people, without password.
        items: All items.
        store: The tracking store.
        run: The parent run.
        clock: Seconds so far.
    """

    study: optuna.Study
    settings: StudySettings
    storage: BaseStorage
    storage_argument: str
    storage_label: str
    items: Items
    store: Store
    run: TrackedRun
    clock: Clock

    @property
    def experiment(self) -> Experiment:
        """The settings that every trial starts from."""
        return rebuild(Experiment, self.settings.experiment)


@contextmanager
def started(options: SweepOptions, console: Console) -> Iterator[Sweep]:
    """Starts a study, or takes one up again, inside its parent run.

    Raises:
        CrossModalError: Whatever does not allow it.
    """
    with (_resumed if options.resume else _new)(options, console) as sweep:
        yield sweep


@contextmanager
def _new(options: SweepOptions, console: Console) -> Iterator[Sweep]:
    clock, experiment = Clock(), _with_absolute_data(options.experiment())
    _refuse_pairs(experiment)
    with clock.phase("store"):
        store = open_store()
        refuse_mlflow_database(options.storage, store.uri)
        storage = open_storage(options.storage)
        name = options.study or unique_name(experiment.data)
        refuse_existing(storage, name)
        if options.model is not None:
            model_folder(options.model, lambda: store)
    with clock.phase("data"), working(console, f"reading {experiment.data}"):
        items = read_items(experiment.data, experiment.items)
        if not len(items.split("validation")):
            raise CrossModalError(
                f"{items.source}: expected items in the split validation, found none: trials need them"
            )
    space, first = _space(options, experiment)
    for note in space.differences(experiment) if isinstance(space, SearchSpace) else []:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    earlier = _best_of(storage, options.warm_start)
    about = experiment_tags(experiment.twin, experiment.evaluation)
    with parent_run(store, name, storage_label(options.storage), about=about) as run:
        settings = _settings(options, experiment, space.to_dict(), items, store, run)
        unpruned = pruner_note(settings)
        if unpruned is not None:
            console.print(f"note: {unpruned}", markup=False, highlight=False, soft_wrap=True)
        study = create_study(storage, name, settings)
        settings.keep(study)
        study.enqueue_trial(first, user_attrs={"role": DEFAULT})
        for parameters in earlier:
            known = space.fitting(parameters) if isinstance(space, SearchSpace) else parameters
            study.enqueue_trial(known, user_attrs={"role": f"best of {options.warm_start}"})
        run.parameters(experiment)
        own = {key: value for key, value in vars(options).items() if key not in vars(experiment)}
        run.parameters({"sweep": own | {"storage": storage_label(options.storage)}})  # a URL may hold a password
        run.text(config_yaml(experiment), "config.yaml")
        run.document(settings.space, "space.json")
        run.environment()
        log_items(run, items, ("train", "validation", "test"), experiment.items)
        yield Sweep(
            study, settings, storage, storage_argument(options.storage), storage_label(options.storage),
            items, store, run, clock,
        )  # fmt: skip


@contextmanager
def _resumed(options: SweepOptions, console: Console) -> Iterator[Sweep]:
    clock, name = Clock(), str(options.study)
    with clock.phase("store"):
        storage = open_storage(options.storage)
        settings = StudySettings.of(load_study(storage, name))
        _refuse_other_settings(options, settings)
        study = load_study(storage, name, settings, seed=settings.sampler_seed + len(load_study(storage, name).trials))
        store = store_of(settings)
    with clock.phase("data"), working(console, f"reading {settings.experiment['data']}"):
        items = read_study_items(settings)
    if options.trials is not None and options.trials > settings.trials:
        settings = replace(settings, trials=options.trials)
        settings.keep(study)
    with parent_run(store, name, storage_label(options.storage), run_id=settings.run_id) as run:
        yield Sweep(
            study, settings, storage, storage_argument(options.storage), storage_label(options.storage),
            items, store, run, clock,
        )  # fmt: skip


def _refuse_pairs(experiment: Experiment) -> None:
    """A space is one of losses over classes: trials on pairs would all be the same, or end without their head."""
    kind = kind_of(experiment.data)
    if kind != "items":
        raise CrossModalError(
            f"sweep: expected data with classes (image, text, label), found {kind} in {experiment.data}: "
            "cross-modal train learns from them with the margin that --pairs.objective.loss.arguments says"
        )
    if experiment.pairs.from_classes:
        raise CrossModalError(
            "--pairs.from-classes: a sweep searches losses over classes, expected no pairs made of them, found yes"
        )


def _space(options: SweepOptions, experiment: Experiment) -> tuple[SearchSpace | HeadSpace, dict[str, Any]]:
    """The space, checked, and the parameters of the default trial in it."""
    if options.model is not None:
        heads = HeadSpace.default()
        return heads, heads.parameters_of_default()
    if options.space is not None:
        space = SearchSpace.read(Path(options.space), experiment)
    else:
        space = SearchSpace.default(options.losses, options.miners, experiment)
    space.check(experiment)
    return space, space.parameters_of(experiment)


def _settings(
    options: SweepOptions, experiment: Experiment, space: dict[str, Any], items: Items, store: Store, run: TrackedRun
) -> StudySettings:
    from cross_modal import __version__

    limits = {"latency": options.max_latency, "memory": options.max_memory}
    return StudySettings(
        kind="training" if options.model is None else "heads",
        experiment=dataclasses.asdict(experiment),
        space=space,
        targets=options.targets,
        sampler=options.sampler,
        sampler_seed=options.sampler_seed,
        pruner=options.pruner if options.model is None or options.pruner == "none" else "wilcoxon",
        trials=options.trials or TRIALS,
        digest=items.digest,
        tracking_uri=store.uri,
        experiment_id=store.experiment_id,
        run_id=run.run_id,
        version=__version__,
        constraints={name: limit for name, limit in limits.items() if limit is not None},
        model=None if options.model is None else _absolute(options.model),
    )


def _absolute(model: str) -> str:
    """A model in a folder by its absolute path; an MLflow URI stays."""
    return str(Path(model).absolute()) if Path(model).exists() else model


def _best_of(storage: BaseStorage, name: str | None) -> list[dict[str, Any]]:
    """Parameters of the best trials of an earlier study; those that the new space lacks are drawn anew."""
    if name is None:
        return []
    names = optuna.get_all_study_names(storage)
    if name not in names:
        known = ", ".join(names[:10]) or "none"
        raise CrossModalError(f"--warm-start {name}: expected the name of a study of this storage, found {known}")
    earlier = load_study(storage, name)
    if len(earlier.directions) > 1:
        best = earlier.best_trials
    else:
        done = earlier.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        sign = 1 if earlier.direction == optuna.study.StudyDirection.MINIMIZE else -1
        best = sorted(filter(keeps_to_constraints, done), key=lambda trial: sign * (trial.value or 0.0))
    if not best:
        raise CrossModalError(f"--warm-start {name}: expected a study with finished trials, found none")
    return [trial.params for trial in best[:WARM]]


def _refuse_other_settings(options: SweepOptions, settings: StudySettings) -> None:
    """A resumed study keeps its settings: whoever asks for others wants another study."""
    asked, kept = _leaves(dataclasses.asdict(_with_absolute_data(options.experiment()))), _leaves(settings.experiment)
    own = yaml.safe_load((files("cross_modal_mlflow") / "sweep.yaml").read_text(encoding="utf-8"))
    usual = _leaves(dataclasses.asdict(Experiment())) | _leaves(own)  # what nobody has asked for
    limits = settings.constraints
    searched = {name: getattr(settings, name) for name in ("targets", "sampler", "sampler_seed", "pruner", "model")}
    searched |= {"max_latency": limits.get("latency"), "max_memory": limits.get("memory")}
    for name, value in searched.items():  # the space is not kept by the words that it was asked for with
        asked[name], kept[name], usual[name] = getattr(options, name), value, getattr(SweepOptions(), name)
    for name in ("losses", "miners", "space", "warm_start"):
        asked[name], usual[name] = getattr(options, name), getattr(SweepOptions(), name)
    for path, value in asked.items():
        if value not in (kept.get(path), usual.get(path)):
            raise CrossModalError(
                f"study {options.study}: expected the settings that it was started with, found --{path} {value}"
                f"{f' for {kept[path]}' if path in kept else ''}; --study NAME without --resume starts another"
            )


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _with_absolute_data(experiment: Experiment) -> Experiment:
    """A local source by its absolute path: workers may start elsewhere."""
    path = Path(experiment.data)
    if experiment.data == "glyphs" or not path.exists():  # the built-in sample, whatever folders there are
        return experiment
    return replace(experiment, data=str(path.absolute()))
