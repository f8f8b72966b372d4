"""What the terminal shows while a sweep runs: the last trials, the best so far with its margins, and the time left.

It is fed by the study and by nothing else, so that it shows the trials of workers on other machines too. Not on a
terminal (a log file, CI) it says one line a finished trial.
"""

from __future__ import annotations

import datetime
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from cross_modal_mlflow.sweep.study import counts
from cross_modal_mlflow.sweep.trial_words import (
    best_so_far,
    duration_words,
    margin_words,
    state_words,
    value_words,
    what,
)

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial
    from rich.console import Console, Group

ROWS = 12  # trials shown
PERIOD = 1.0  # seconds between two looks at the study
_COLOURS = {"done": "green", "pruned": "yellow", "failed": "red", "died": "red", "running": "cyan"}


class LiveTable:
    """Watches a study from a thread of its own; use it as a context manager.

    Args:
        study: The study.
        limit: Trials in all.
        console: Where to.
        workers: How many work on this machine, for the time left.
    """

    def __init__(self, study: optuna.Study, limit: int, console: Console, workers: int) -> None:
        self._study, self._limit, self._console, self._workers = study, limit, console, workers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sweep-table", daemon=True)
        self._told = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()}

    def __enter__(self) -> LiveTable:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        if not self._console.is_terminal:
            while not self._over.wait(PERIOD):
                self._tell()
            self._tell()
            return
        from rich.live import Live

        with Live(console=self._console, refresh_per_second=4, transient=False) as live:
            while True:
                over = self._over.wait(PERIOD)
                trials = self._trials()
                if trials is not None:
                    live.update(self.draw(trials))
                if over:
                    return

    def draw(self, trials: list[FrozenTrial]) -> Group:
        """The table of these trials, with the lines below it."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(header_style="bold", title=f"study {self._study.study_name}", title_justify="left")
        for name, justify in (("trial", "right"), ("loss · miner", "left"), ("margins", "left"), ("value", "right"),
                              ("state", "left"), ("time", "right")):  # fmt: skip
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        best = self._best()
        for trial in [each for each in trials if each.state != TrialState.WAITING][-ROWS:]:
            state = state_words(trial)
            colour = _COLOURS.get(state, "dim")
            star = " ★" if best is not None and trial.number == best.number else ""
            table.add_row(
                f"{trial.number}", what(trial), margin_words(trial), value_words(trial) + star,
                f"[{colour}]{state}[/]", duration_words(_seconds(trial)),
            )  # fmt: skip
        return Group(table, *(Text(line) for line in self._lines(trials, best)))

    def _lines(self, trials: list[FrozenTrial], best: FrozenTrial | None) -> list[str]:
        done = sum(map(counts, trials))
        left = time_left(trials, self._limit, self._workers)
        progress = f"{done}/{self._limit} trials" + ("" if left is None else f", {duration_words(left)} left")
        if best is None:
            return [progress]
        words = ", ".join(word for word in (what(best), margin_words(best)) if word)
        return [f"best so far: trial {best.number}, {value_words(best)}: {words}", progress]

    def _tell(self) -> None:
        """One line for each trial that has ended since the last look."""
        trials = self._trials() or []
        for trial in trials:
            if trial.number in self._told or not trial.state.is_finished():
                continue
            self._told.add(trial.number)
            words = [what(trial), margin_words(trial), value_words(trial), state_words(trial)]
            said = "  ".join(word for word in words if word)
            progress = self._lines(trials, self._best())[-1]
            line = f"trial {trial.number}  {said}  {duration_words(_seconds(trial))}  ({progress})"
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _trials(self) -> list[FrozenTrial] | None:
        try:
            return self._study.get_trials(deepcopy=False)
        except Exception:  # a storage that fails for a while: the trials go on, and so does the table, later
            return None

    def _best(self) -> FrozenTrial | None:
        try:
            return best_so_far(self._study)
        except Exception:  # as above
            return None


def time_left(trials: list[FrozenTrial], limit: int, workers: int) -> float | None:
    """Seconds that the rest of a study may take; None before the first trial has ended.

    Args:
        trials: Its trials.
        limit: Trials in all.
        workers: How many run at once.
    """
    ended = [_seconds(trial) for trial in trials if counts(trial)]
    if not ended:
        return None
    mean = sum(ended) / len(ended)
    running = [_seconds(trial) for trial in trials if trial.state == TrialState.RUNNING]
    waiting = max(limit - len(ended) - len(running), 0)
    return (waiting * mean + sum(max(mean - spent, 0.0) for spent in running)) / max(workers, 1)


def _seconds(trial: FrozenTrial) -> float:
    if trial.datetime_start is None:
        return 0.0
    return ((trial.datetime_complete or datetime.datetime.now()) - trial.datetime_start).total_seconds()
