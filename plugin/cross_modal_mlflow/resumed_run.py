"""A training run that was broken off, found again: its settings, its checkpoint, and whether its process has ended."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
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
COMMANDS = ("train", "demo")
_SEARCHED = 1000  # newest runs among which one is looked for by the beginning of its id, or by its name


@dataclass(frozen=True)
class ResumedRun:
    """A run to go on with.

    Attributes:
        run_id: The run.
        command: What started it: "train" or "demo".
        experiment: Its settings.
        folder: Where its checkpoints lie.
    """

    run_id: str
    command: str
    experiment: Experiment
    folder: Path


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
    return ResumedRun(run_id, command, _experiment(store.client, run_id), folder)


def refuse_other_settings(asked: Experiment, kept: Experiment) -> None:
    """A resumed run keeps its settings: whoever asks for others wants another run.

    Raises:
        CrossModalError: Naming the first setting that was asked for and is another.

    >>> refuse_other_settings(Experiment(data="birds"), Experiment(data="photos"))
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: --data birds: expected photos, as the run was started with
    """
    usual, before = _leaves(dataclasses.asdict(Experiment())), _leaves(dataclasses.asdict(kept))
    for name, value in _leaves(dataclasses.asdict(asked)).items():
        if value not in (usual.get(name), before.get(name)):
            raise CrossModalError(f"--{name} {value}: expected {before.get(name)}, as the run was started with")


def logged_metrics(client: MlflowClient, run_id: str) -> dict[str, dict[int, float]]:
    """What a run has logged: metric → step → value."""
    found = {}
    for name in client.get_run(run_id).data.metrics:
        found[name] = {point.step: point.value for point in client.get_metric_history(run_id, name)}
    return found


def _find(client: MlflowClient, asked: str) -> Run:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(asked)
    except MlflowException:
        pass
    experiments = [each.experiment_id for each in client.search_experiments()]
    newest = client.search_runs(experiments, max_results=_SEARCHED, order_by=["attributes.start_time DESC"])
    found = [run for run in newest if run.info.run_id.startswith(asked) or run.info.run_name == asked]
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
