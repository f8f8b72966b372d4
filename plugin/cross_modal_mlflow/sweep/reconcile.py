"""Makes the runs of a study say what the study says.

A worker that is killed between telling the study and ending the run, a store that failed for a while, a trial that
nobody ran again: each leaves a run that is still RUNNING or lacks its value. The study is the truth, and a run that is
right is not touched: this may be called any number of times, while workers run, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from cross_modal_mlflow.sweep.trial_ending import Ending, ending
from cross_modal_mlflow.sweep.trial_run import INTERMEDIATE, PARENT, RUN_ID
from cross_modal_mlflow.tracking import ERROR

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run
    from optuna import Study
    from optuna.trial import FrozenTrial

DIED = "the trial ended without a value: its worker died, or the value was no number"
_PAGE = 1000  # runs in one answer, and metrics in one call


def reconcile(study: Study, client: MlflowClient) -> list[str]:
    """Gives the runs of a study's trials the statuses, values and reports that the study knows.

    Several attempts at a trial share a run: the latest decides. Running trials are left alone; a run that waits for its
    next attempt is KILLED until then. A run that a worker made and did not live to write down is KILLED for good.

    Args:
        study: The study.
        client: A client of the store that its runs are in.

    Returns:
        The ids of the runs that were wrong.
    """
    trials = study.get_trials(deepcopy=False)
    latest = {str(trial.user_attrs[RUN_ID]): trial for trial in trials if RUN_ID in trial.user_attrs}
    runs = _children(client, list(latest))
    wrong = [run_id for run_id, trial in latest.items() if run_id in runs and _repair(client, runs[run_id], trial)]
    ended = {str(trial.number) for trial in trials if trial.state.is_finished()}
    for run_id, run in runs.items():
        tags = run.data.tags
        ours = run_id not in latest and tags.get("optuna.study") == study.study_name
        if ours and run.info.status == "RUNNING" and tags.get("optuna.trial") in ended:
            client.set_terminated(run_id, "KILLED")
            wrong.append(run_id)
    return wrong


def _children(client: MlflowClient, run_ids: Sequence[str]) -> dict[str, Run]:
    """All runs under the parent of these, by id: one question for a thousand runs, and not one for each."""
    from mlflow.exceptions import MlflowException

    found: dict[str, Run] = {}
    for run_id in run_ids:
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # deleted for good: another will know the parent
                continue
            raise
        where = f"tags.`{PARENT}` = '{run.data.tags.get(PARENT, '')}'"
        token = None
        while True:
            page = client.search_runs([run.info.experiment_id], where, max_results=_PAGE, page_token=token)
            found |= {each.info.run_id: each for each in page}
            token = page.token
            if not token:
                return found
    return found


def _repair(client: MlflowClient, run: Run, trial: FrozenTrial) -> bool:
    """Writes what the run lacks; returns whether that was anything."""
    run_id, status = run.info.run_id, run.info.status
    if trial.state == TrialState.RUNNING:
        return False
    if trial.state == TrialState.WAITING:
        if status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
        return status == "RUNNING"
    end = _ending(trial)
    known = {ERROR} & set(run.data.tags)  # the run's own words stay: the study keeps fewer
    tags = {name: value for name, value in end.tags.items() if name not in known and run.data.tags.get(name) != value}
    metrics = _lacking(client, run, trial, end)
    if tags or metrics:
        _write(client, run_id, tags, metrics)
    if status != end.status:
        client.set_terminated(run_id, end.status, end_time=_milliseconds(trial))
    return bool(tags or metrics or status != end.status)


def _ending(trial: FrozenTrial) -> Ending:
    interrupted = "interrupted" in trial.user_attrs
    error = trial.user_attrs.get("error")
    if trial.state == TrialState.FAIL and not interrupted:
        error = error or DIED
    return ending(trial.state, trial.values, error, interrupted=interrupted)


def _lacking(client: MlflowClient, run: Run, trial: FrozenTrial, end: Ending) -> list[Metric]:
    """The value(s), and the intermediate values that the study was told and the run was not."""
    from mlflow.entities import Metric

    when = _milliseconds(trial)
    lacking = [Metric(name, value, when, 0) for name, value in end.metrics.items() if name not in run.data.metrics]
    reported = trial.intermediate_values
    if reported and run.data.metrics.get(INTERMEDIATE) != reported[max(reported)]:  # a history is read only if it must
        logged = {row.step for row in client.get_metric_history(run.info.run_id, INTERMEDIATE)}
        lacking += [Metric(INTERMEDIATE, value, when, step) for step, value in reported.items() if step not in logged]
    return lacking


def _write(client: MlflowClient, run_id: str, tags: dict[str, str], metrics: list[Metric]) -> None:
    from mlflow.entities import RunTag

    if tags:
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()], synchronous=True)
    for start in range(0, len(metrics), _PAGE):
        client.log_batch(run_id, metrics=metrics[start : start + _PAGE], synchronous=True)


def _milliseconds(trial: FrozenTrial) -> int:
    """When the trial ended, and not when it was found out."""
    return int(trial.datetime_complete.timestamp() * 1000) if trial.datetime_complete else 0
