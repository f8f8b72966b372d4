"""One trial, one MLflow run: a child of the study's run, told by name and not by whatever run happens to be active.

MLflow's active run belongs to a thread, so a trial in another thread or process would not find its parent; here every
call names its run, and trials run anywhere. A trial that takes over from a dead one goes on with the dead one's run.
The study is the truth and the run is its picture: a store that fails for a while costs no trial. What it missed is
written with the next report, or at the end of the sweep by `reconcile`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.metric_buffer import metric_name
from cross_modal_mlflow.store import impatient
from cross_modal_mlflow.sweep.trial_ending import ending
from cross_modal_mlflow.tracking import ERROR, flatten, shorten

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run
    from optuna import Trial

RUN_ID = "mlflow_run_id"  # user attribute of a trial; its successor inherits it
PARENT = "mlflow.parentRunId"
INTERMEDIATE = "optuna/intermediate_value"
#: Tags of the parent that each trial's run carries too: trials are found by them.
INHERITED = (
    "optuna.storage", "cross_modal.data", "cross_modal.digest", "cross_modal.trunk", "cross_modal.ways",
    "cross_modal.shots",
)  # fmt: skip
_AT_ONCE = 100  # entries of a kind in one call of MLflow's API


class TrialRun:
    """The run of one trial; made by `TrialRun.start`, used by the thread that runs the trial.

    Attributes:
        run_id: The run's id.
    """

    def __init__(self, client: MlflowClient, trial: Trial, run: Run, reported: set[int]) -> None:
        self.run_id = str(run.info.run_id)
        self._client, self._trial, self._reported = client, trial, reported
        self._parameters = set(run.data.params)
        self._waiting: list[Metric] = []
        self._last: list[Metric] = []

    @classmethod
    def start(
        cls,
        client: MlflowClient,
        experiment_id: str,
        parent_run_id: str,
        trial: Trial,
        tags: Mapping[str, str] | None = None,
    ) -> TrialRun:
        """Starts the run of a trial, or goes on with that of the trial which it takes over from.

        Args:
            client: A client of the store; threads may share it.
            experiment_id: The experiment of a new run.
            parent_run_id: The study's run.
            trial: The trial, which has just been asked for.
            tags: More tags.

        Returns:
            The run, RUNNING; its id is the trial's user attribute ``mlflow_run_id``.

        Raises:
            CrossModalError: If the store does not take it.
        """
        from mlflow.exceptions import MlflowException

        number = trial.number
        try:
            own = _tags(client, parent_run_id, trial) | dict(tags or {})
            run, reported = _attach(client, trial.user_attrs.get(RUN_ID), f"trial-{number}", own)
            if run is None:
                run = _create(client, experiment_id, f"trial-{number}", own)
        except (MlflowException, OSError) as error:
            raise CrossModalError(
                f"tracking store {client.tracking_uri}: expected it to take a run for trial {number}, found: "
                f"{_reason(error)}"
            ) from error
        if trial.user_attrs.get(RUN_ID) != run.info.run_id:
            trial.set_user_attr(RUN_ID, run.info.run_id)
        return cls(client, trial, run, reported)

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Logs settings by dotted path, e.g. ``objective.loss.name``; those that an earlier attempt logged stay."""
        from mlflow.entities import Param

        flat = {path: value for path, value in flatten(values).items() if path not in self._parameters}
        rows = [Param(path, value) for path, value in flat.items()]
        for start in range(0, len(rows), _AT_ONCE):
            self._write(params=rows[start : start + _AT_ONCE])
        self._parameters |= set(flat)

    def report(self, value: float, step: int, metrics: Mapping[str, float] | None = None) -> None:
        """Logs an intermediate value, at once: a killed worker's reports are in the store.

        Args:
            value: What the trial reports to the study.
            step: The step; one that an earlier attempt at the trial has logged is left as it is.
            metrics: More metrics of that step.
        """
        if step in self._reported:
            return
        self._reported.add(step)
        self._waiting += _metrics({INTERMEDIATE: value, **(metrics or {})}, step)
        self._write(metrics=True)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Takes metrics that are logged when the trial ends, in the same call."""
        self._last += _metrics(values, step)

    def files(self, folder: Path, name: str) -> None:
        """Keeps a folder's files as artifacts below a folder of this name."""
        self._client.log_artifacts(self.run_id, str(folder), name)

    def finish(
        self, state: TrialState, values: Sequence[float] | None = None, error: str | BaseException | None = None
    ) -> None:
        """Ends the run: COMPLETE as FINISHED, PRUNED as KILLED, FAIL as FAILED, an interrupted trial as KILLED.

        Args:
            state: How the trial ended.
            values: Its values.
            error: Why it failed; an exception leaves its traceback in ``error.txt`` too.
        """
        interrupted = "interrupted" in self._trial.user_attrs
        end = ending(state, values, _words(error), interrupted=interrupted)
        self._waiting += self._last + _metrics(end.metrics, 0)
        self._last = []
        with impatient() if interrupted else nullcontext():  # Ctrl-C must not wait for a dead server
            problem = self._write(metrics=True, tags=end.tags)
            try:
                if ERROR in end.tags:
                    self._client.log_text(self.run_id, _account(error or end.tags[ERROR]), "error.txt")
                self._client.set_terminated(self.run_id, end.status)
            except Exception as failure:  # whatever the store or its driver raises: the study has been told
                problem = problem or failure
        if problem is not None:
            said = f"note: trial {self._trial.number}: its run {self.run_id} is incomplete: {_reason(problem)}"
            print(said, file=sys.stderr)

    def _write(
        self, *, metrics: bool = False, params: Sequence[Any] = (), tags: Mapping[str, str] | None = None
    ) -> Exception | None:
        """One call of MLflow's API (more for very many metrics); metrics that it did not take wait for the next.

        They keep their time stamps meanwhile: a store that took them and could not say so knows them again.
        """
        from mlflow.entities import RunTag

        rows = [RunTag(name, value) for name, value in (tags or {}).items()]
        batch = self._waiting[:500] if metrics else []
        try:
            while batch or rows or params:
                self._client.log_batch(self.run_id, metrics=batch, params=params, tags=rows, synchronous=True)
                del self._waiting[: len(batch)]
                rows, params, batch = [], (), self._waiting[:500] if metrics else []
        except Exception as error:  # whatever the store or its driver raises: the trial goes on
            return error
        return None


def _tags(client: MlflowClient, parent_run_id: str, trial: Trial) -> dict[str, str]:
    """What a trial's run is found by."""
    from cross_modal import __version__

    attributes = trial.user_attrs
    said = {
        **_inherited(client, parent_run_id),
        "cross_modal.command": "trial",
        "cross_modal.version": __version__,
        PARENT: parent_run_id,
        "optuna.study": trial.study.study_name,
        "optuna.trial": str(trial.number),
        "optuna.state": TrialState.RUNNING.name,
    }
    return said | {f"optuna.{name}": str(attributes[name]) for name in ("retry_of", "role") if name in attributes}


@lru_cache(maxsize=16)
def _inherited(client: MlflowClient, parent_run_id: str) -> dict[str, str]:
    tags = client.get_run(parent_run_id).data.tags
    return {name: tags[name] for name in INHERITED if name in tags}


def _create(client: MlflowClient, experiment_id: str, name: str, tags: dict[str, str]) -> Run:
    from mlflow.tracking.context.registry import resolve_tags

    return client.create_run(experiment_id, run_name=name, tags=resolve_tags(tags))


def _attach(client: MlflowClient, run_id: str | None, name: str, tags: dict[str, str]) -> tuple[Run | None, set[int]]:
    """The run of an earlier attempt, running again, with its reported steps; None if there is none, or no more."""
    from mlflow.entities import RunTag
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None, set()
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None, set()
    if run.info.lifecycle_stage != "active":  # somebody has deleted it meanwhile
        return None, set()
    client.update_run(run_id, "RUNNING", name)
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()], synchronous=True)
    for old in run.data.tags:
        if old == ERROR or old.startswith("optuna.value"):
            client.delete_tag(run_id, old)
    return run, {row.step for row in client.get_metric_history(run_id, INTERMEDIATE)}


def _metrics(values: Mapping[str, float], step: int) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(metric_name(name), float(value), now, step) for name, value in values.items()]


def _words(error: str | BaseException | None) -> str | None:
    if error is None or isinstance(error, str):
        return error
    return str(error) if isinstance(error, CrossModalError) else f"{type(error).__name__}: {error}"


def _account(error: str | BaseException) -> str:
    import traceback

    return error + "\n" if isinstance(error, str) else "".join(traceback.format_exception(error))


def _reason(error: BaseException) -> str:
    return shorten(" ".join(str(error).split()) or type(error).__name__, 200)
