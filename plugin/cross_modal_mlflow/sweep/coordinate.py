"""``cross-modal sweep``, whole: a study starts or goes on, workers run its trials, the winner is measured.

With one worker the trials run in this process; with several each is a process of its own (Python's interpreter lock and
torch's threads would make threads slower than one worker). Either way the table is fed by the study itself, so that it
shows trials of workers on other machines too.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import FOLDER, impatient
from cross_modal_mlflow.sweep.finish import SweepOutcome, finish
from cross_modal_mlflow.sweep.leases import release
from cross_modal_mlflow.sweep.live_table import LiveTable
from cross_modal_mlflow.sweep.objective import build_objective
from cross_modal_mlflow.sweep.processes import WorkerProcesses
from cross_modal_mlflow.sweep.reconcile import reconcile
from cross_modal_mlflow.sweep.start import started
from cross_modal_mlflow.sweep.worker import Worker

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal_mlflow.sweep.options import SweepOptions
    from cross_modal_mlflow.sweep.start import Sweep


def sweep(options: SweepOptions, console: Console) -> SweepOutcome:
    """Runs a sweep.

    Args:
        options: What the user asked for.
        console: Where progress goes (standard error).

    Returns:
        What it gave.

    Raises:
        CrossModalError: If settings, storage, store or data do not allow it, or no trial was finished.
    """
    with started(options, console) as begun:
        try:
            notes = _run_trials(begun, options.workers, console)
        except (KeyboardInterrupt, CrossModalError) as end:
            with impatient(), suppress(Exception):  # last words: the store may be what was lost
                release(begun.study)
                reconcile(begun.study, begun.store.client)
            if isinstance(end, KeyboardInterrupt):
                end.args = (f"study {begun.study.study_name} is kept; go on with: {_again(begun, options)}",)
            raise
        return finish(begun, console, notes, options.register)


def _run_trials(begun: Sweep, workers: int, console: Console) -> list[str]:
    """All trials; returns notes."""
    study, limit = begun.study, begun.settings.trials
    with begun.clock.phase("trials"), LiveTable(study, limit, console, workers):
        if workers == 1:
            objective = build_objective(begun.settings, study, begun.items)
            Worker(study, begun.storage, objective, begun.store.client).work()
            return []
        logs = FOLDER / "sweeps" / study.study_name
        with WorkerProcesses(study.study_name, begun.storage_argument, workers, logs, begun.store.uri) as processes:
            return processes.wait()


def _again(begun: Sweep, options: SweepOptions) -> str:
    """The command line that goes on with the study; a password stays out of it."""
    words = ["cross-modal sweep", "--study", begun.study.study_name]
    if options.storage is not None:
        words += ["--storage", begun.storage_label]
    if options.workers > 1:
        words += ["--workers", str(options.workers)]
    return " ".join([*words, "--resume"])
