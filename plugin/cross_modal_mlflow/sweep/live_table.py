"""What the terminal shows while a sweep runs: the last trials, the best so far with its margin, and the time left.

It is fed by the study and by nothing else, so that it shows the trials of workers on other machines too. Not on a
terminal (a log file, CI) it says one line a finished trial. A storage that fails for a while costs it a look, and the
sweep nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from cross_modal_mlflow.sweep.study import counts
from cross_modal_mlflow.sweep.trial_facts import ending_of, rank, targets_of
from cross_modal_mlflow.sweep.trial_words import TrialWords, duration_words, state_words, value_words

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from rich.console import Console, Group, RenderableType
    from rich.table import Table

ROWS = 10  # trials shown
PERIOD = 1.0  # seconds between two looks at the study
PATIENCE = 5.0  # seconds that a storage gets for the last look
_NARROW, _WIDE = 100, 130  # characters below which the miner is left out, and from which on a failure says why
_RECENT = 20  # trials whose mean time is that of the ones to come
_COLOURS = {"complete": "green", "pruned": "yellow", "failed": "red", "died": "magenta", "running": "cyan"}


class LiveTable:
    """Watches a study from a thread of its own; use it as a context manager.

    Args:
        study: The study.
        limit: Trials in all.
        console: Where to.
        workers: How many work on this machine, for the time left.
        period: Seconds between two looks.
    """

    def __init__(self, study: Study, limit: int, console: Console, workers: int = 1, *, period: float = PERIOD) -> None:
        self._study, self._limit, self._console, self._workers, self._period = study, limit, console, workers, period
        self._words, self._targets = TrialWords(study), targets_of(study)
        self._trials: list[FrozenTrial] = []
        self._since: dict[int, float] = {}  # running trial → when it was first seen, by this machine's clock
        self._told: set[int] = set()
        self._began, self._answers = time.monotonic(), True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sweep-table", daemon=True)

    def __enter__(self) -> LiveTable:
        self._look()
        self._told = {trial.number for trial in self._trials if trial.state.is_finished()}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def draw(self) -> Group:
        """The table as it stands, with the lines below it."""
        from rich.console import Group

        best = next(iter(rank(self._targets, self._trials)), None)
        return Group(self._table(best), *self._footer(best))

    def _watch(self) -> None:
        if not self._console.is_terminal:
            while not self._over.wait(self._period):
                self._tell()
            self._tell()
            return
        from rich.live import Live

        with Live(self.draw(), console=self._console, auto_refresh=False) as live:
            while True:
                over = self._over.wait(self._period)
                self._look()
                live.update(self.draw(), refresh=True)
                if over:
                    return

    def _look(self) -> None:
        try:
            self._trials = self._study.get_trials(deepcopy=False)
            self._answers = True
        except Exception:  # whatever the storage or its driver raises: the trials go on, and so does the table, later
            self._answers = False
        now = time.monotonic()
        running = {trial.number for trial in self._trials if trial.state == TrialState.RUNNING}
        self._since = {number: self._since.get(number, now) for number in running}

    def _table(self, best: FrozenTrial | None) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        name, values = self._study.study_name, " ".join(f"{target.name:>6}" for target in self._targets)
        width = self._console.width
        states = 12 if width < _NARROW else 16 if width < _WIDE else 28
        columns = min(len(self._words.columns), 2 if width < _NARROW else 3)
        fixed = 5 + max(8, len(values)) + states + 7 + 3 * (columns + 4)  # of which three between two columns
        widest = max(5, (width - fixed) // columns)
        table = Table(box=SIMPLE_HEAD, header_style="bold", title=f"study {name}", title_justify="left", pad_edge=False)
        table.add_column("trial", justify="right", no_wrap=True)
        for column in self._words.columns[:columns]:  # what is cut on a narrow terminal
            table.add_column(column, no_wrap=True, overflow="ellipsis", max_width=widest)
        table.add_column(values, justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True, overflow="ellipsis", max_width=states)
        table.add_column("time", justify="right", no_wrap=True)
        for trial in [each for each in self._trials if each.state != TrialState.WAITING][-ROWS:]:
            leads = best is not None and trial.number == best.number
            table.add_row(
                f"{'★ ' if leads else ''}{trial.number}",
                *(Text(cell) for cell in self._words.cells(trial)[:columns]),
                value_words(trial),
                Text(state_words(trial), style=_COLOURS.get(ending_of(trial), "dim")),
                duration_words(self._seconds(trial)),
                style="bold" if leads else "",
            )
        return table

    def _footer(self, best: FrozenTrial | None) -> Sequence[RenderableType]:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        done = sum(map(counts, self._trials))
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(self._limit, 1), completed=min(done, self._limit), width=24)
        line.add_row(bar, Text(self._progress(done)))
        lines: list[RenderableType] = [line]
        if best is not None:
            said = ", ".join(cell for cell in self._words.cells(best, short=False) if cell not in ("", "none"))
            leads = "best so far" if len(self._targets) == 1 else f"best {self._targets[0].name} of the Pareto front"
            words = f"★ {leads}: trial {best.number}, {value_words(best)}" + (f": {said}" if said else "")
            lines.insert(0, Text(words, style="bold green"))
        if not self._answers:
            lines.append(Text("the study's storage does not answer at the moment", style="yellow"))
        return lines

    def _progress(self, done: int) -> str:
        left = None if done >= self._limit else self._left()
        words = [f"{done}/{self._limit} trials", f"{duration_words(time.monotonic() - self._began)} so far"]
        return ", ".join([*words, *([] if left is None else [f"about {duration_words(left)} left"])])

    def _tell(self) -> None:
        """One line for each trial that has ended since the last look."""
        self._look()
        for trial in self._trials:
            if trial.number in self._told or not trial.state.is_finished():
                continue
            self._told.add(trial.number)
            best = next(iter(rank(self._targets, self._trials)), None)
            words = [*self._words.cells(trial), value_words(trial), state_words(trial)]
            words.append(duration_words(self._seconds(trial)))
            leader = "" if best is None else f", best {value_words(best)} (trial {best.number})"
            done = self._progress(sum(map(counts, self._trials)))
            line = f"trial {trial.number}  {'  '.join(word for word in words if word)}  [{done}{leader}]"
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _seconds(self, trial: FrozenTrial) -> float:
        """How long a trial took by its worker's clock, or has been running by ours: clocks are never compared."""
        if trial.state == TrialState.RUNNING:
            return time.monotonic() - self._since.get(trial.number, time.monotonic())
        if trial.datetime_start is None or trial.datetime_complete is None:
            return 0.0
        return (trial.datetime_complete - trial.datetime_start).total_seconds()

    def _left(self) -> float | None:
        ended = [self._seconds(trial) for trial in self._trials if counts(trial)]
        running = [self._seconds(trial) for trial in self._trials if trial.state == TrialState.RUNNING]
        return time_left(ended, running, self._limit, max(self._workers, len(running)))


def time_left(ended: Sequence[float], running: Sequence[float], limit: int, workers: int) -> float | None:
    """Seconds that the rest of a study may take, if its trials go on to take as long as the last ones did.

    Args:
        ended: Seconds that each trial took which counts.
        running: Seconds that each running trial has taken so far.
        limit: Trials in all.
        workers: How many run at once.

    Returns:
        The seconds; None before the first trial has ended.

    Example:
        >>> time_left([10.0, 10.0], [4.0, 4.0], limit=8, workers=2)
        26.0
    """
    if not ended:
        return None
    recent = ended[-_RECENT:]
    mean = sum(recent) / len(recent)
    waiting = max(limit - len(ended) - len(running), 0)
    return (waiting * mean + sum(max(mean - spent, 0.0) for spent in running)) / max(workers, 1)
