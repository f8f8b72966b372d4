"""A training run that was broken off, found again: its settings, its checkpoint, and whether its process has ended."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal.rebuild import rebuild
from cross_modal_mlflow.sweep.worker_process import is_gone
from cross_modal_mlflow.tracking import PROCESS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from cross_modal_mlflow.store import Store

CHECKPOINTS = "cross_modal.checkpoints"  # tag: where they lie
REGISTER, EXPLORER = "cross_modal.register", "cross_modal.explorer"  # tags: what is to happen at the end
COMMANDS = ("train", "demo")
LOCK = "resuming.lock"
_SEARCHED = 1000  # newest runs among which one is looked for by the beginning of its id, or by its name


@dataclass(frozen=True)
class ResumedRun:
    """A run to go on with.

    Attributes:
        run_id: The run.
        command: What started it: "train" or "demo".
        experiment: Its settings.
        folder: Where its checkpoints lie.
        register: The name that its twin is to be registered under, or None.
        explorer: Whether it leaves what the explorer shows.
    """

    run_id: str
    command: str
    experiment: Experiment
    folder: Path
    register: str | None = None
    explorer: bool = True


def intentions(register: str | None, explorer: bool = True) -> dict[str, str]:
    """Tags that say what is to happen after training: a process that takes the run up does it, too.

    >>> intentions("birds")
    {'cross_modal.register': 'birds', 'cross_modal.explorer': 'true'}
    """
    named = {} if register is None else {REGISTER: register}
    return named | {EXPLORER: str(explorer).lower()}


def resumed_run(store: Store, asked: str) -> ResumedRun:
    """Finds a run that was broken off.

    Args:
        store: The tracking store.
        asked: Its id, the beginning of its id, or its name.

    Raises:
        CrossModalError: There is none, or several; it is finished, or still running; its checkpoint is gone.
    """
    run = _find(store.client, asked)
    run_id, tags = run.info.run_id, run.data.tags
    command = tags.get("cross_modal.command", "")
    if command not in COMMANDS:
        raise CrossModalError(f"--resume {asked}: expected a run of train or demo, found one of {command or 'others'}")
    if run.info.lifecycle_stage != "active":
        raise CrossModalError(
            f"--resume {asked}: expected a run, found a deleted one (`mlflow runs restore` brings it back)"
        )
    if run.info.status == "FINISHED":
        raise CrossModalError(f"--resume {asked}: expected a run that was broken off, found one that is finished")
    if run.info.status == "RUNNING":
        _refuse_running(asked, tags.get(PROCESS, ""))
    folder = Path(tags.get(CHECKPOINTS, ""))
    if CHECKPOINTS not in tags or not (folder / "last.pt").is_file():
        where = f"{folder / 'last.pt'}" if CHECKPOINTS in tags else "its checkpoints"
        raise CrossModalError(
            f"--resume {asked}: expected {where}, found none: it ended before its first checkpoint, or elsewhere"
        )
    experiment = _experiment(store.client, run_id)
    return ResumedRun(run_id, command, experiment, folder, tags.get(REGISTER), tags.get(EXPLORER) != "false")


@contextmanager
def alone(run: ResumedRun) -> Iterator[None]:
    """Keeps a second process from going on with the same run; a process that dies lets go.

    Raises:
        CrossModalError: If another one is at it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(run.folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise CrossModalError(
            f"--resume {run.run_id}: expected a run that nobody goes on with, found another process resuming it"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def as_options(experiment: Experiment) -> Iterator[str]:
    """The settings as a file for ``--config``, while they are read with what was asked for besides."""
    with tempfile.TemporaryDirectory(prefix="cross-modal-resume-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(dataclasses.asdict(experiment), allow_unicode=True), encoding="utf-8")
        yield str(file)


def refuse_other_settings(asked: Experiment, kept: Experiment) -> None:
    """A resumed run keeps its settings: whoever asks for others wants another run.

    Args:
        asked: The run's own settings, with what was asked for over them.
        kept: The run's own.

    Raises:
        CrossModalError: Naming the first setting that is another.

    >>> refuse_other_settings(Experiment(data="birds"), Experiment(data="photos"))
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: --data birds: expected photos, as the run was started with
    """
    before = _leaves(dataclasses.asdict(kept))
    for name, value in _leaves(dataclasses.asdict(asked)).items():
        if value != before.get(name):
            raise CrossModalError(f"--{name} {value}: expected {before.get(name)}, as the run was started with")


def _find(client: MlflowClient, asked: str) -> Run:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(asked)
    except MlflowException:
        pass
    experiments = [each.experiment_id for each in client.search_experiments()]
    newest = client.search_runs(experiments, max_results=_SEARCHED, order_by=["attributes.start_time DESC"])
    found = [run for run in newest if run.info.run_id.startswith(asked) or run.info.run_name == asked]
    if len(found) > 1:  # all trainings on the same data have one name
        found = [run for run in found if run.info.status != "FINISHED"] or found
    if len(found) == 1:
        return found[0]
    ids = ", ".join(run.info.run_id[:12] for run in found[:5]) or "none"
    raise CrossModalError(f"--resume {asked}: expected the id or the name of one run, found {ids}")


def _refuse_running(asked: str, process: str) -> None:
    """A run that says RUNNING may be one whose process died without a word."""
    gone = is_gone(process) if process else None
    if gone:
        return
    number = process.partition(":")[2].partition(":")[0] or "unknown"
    where = f"process {number} on {process.partition('/')[0] or 'an unknown machine'}"
    if gone is False:
        raise CrossModalError(f"--resume {asked}: expected a run that was broken off, found it running ({where})")
    raise CrossModalError(
        f"--resume {asked}: expected a run that was broken off, found it running in {where}, of which this machine "
        "cannot tell whether it has ended; if it has, set the run's status to KILLED in MLflow first"
    )


def _experiment(client: MlflowClient, run_id: str) -> Experiment:
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="cross-modal-resume-") as folder:
        try:
            file = client.download_artifacts(run_id, "config.yaml", folder)
            values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (MlflowException, OSError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise CrossModalError(f"run {run_id}: expected its settings in config.yaml, found {reason}") from None
    return rebuild(Experiment, values)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
