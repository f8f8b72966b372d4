"""The end of a sweep on the terminal: the best trials, the best margin of each loss, the winner against the default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal_mlflow.report import metric_table
from cross_modal_mlflow.summary import print_report
from cross_modal_mlflow.sweep.importance import METHOD, importances
from cross_modal_mlflow.sweep.study import counts
from cross_modal_mlflow.sweep.trial_facts import complete_trials, pareto_front, ranked, tally, targets_of
from cross_modal_mlflow.sweep.trial_words import TrialWords, value_words

if TYPE_CHECKING:
    from optuna import Study
    from rich.console import Console
    from rich.table import Table

    from cross_modal_mlflow.sweep.finish import SweepOutcome

BEST = 5  # trials shown
FRONT = 12  # trials shown of a Pareto front
_DECISIVE, _LEAST_TRIALS = 3, 12  # settings named, and complete trials below which none is


def print_sweep(console: Console, outcome: SweepOutcome, json: Path | None) -> None:
    """Prints a sweep's outcome and writes ``--json``."""
    study, report = outcome.study, outcome.report
    shown = {name: value for name, value in report.metrics.items() if name.startswith("episodes/")}
    print_report(
        console,
        report,
        [*best_margins(study), *decisive_settings(study), *outcome.notes],
        outcome.store,
        json,
        next_steps=[*outcome.next_steps, f"optuna-dashboard {outcome.storage}    the study in Optuna's own pages"],
        title=f"{study_line(study)}; the best on validation classes"
        + (", then the winner on unseen classes" if shown else ""),
        tables=[trial_table(study), *([metric_table(shown)] if shown else [])],
    )


def study_line(study: Study) -> str:
    """The study in one line: its name, and how many trials ended how."""
    trials = study.get_trials(deepcopy=False)
    endings = ", ".join(f"{count} {ending}" for ending, count in tally(trials).items())
    return f"sweep: study {study.study_name}, {sum(map(counts, trials))} trials ({endings})"


def trial_table(study: Study) -> Table:
    """The best trials, the best first; of several targets the Pareto front, led by the first target."""
    from rich.table import Table
    from rich.text import Text

    words, targets, trials = TrialWords(study), targets_of(study), ranked(study)
    front = {trial.number for trial in pareto_front(targets, trials)}
    chosen = trials[:BEST] if len(targets) == 1 else [each for each in trials if each.number in front][:FRONT]
    table = Table(header_style="bold")
    table.add_column("trial", justify="right")
    for name in (*words.columns, *(["learning rate"] if words.kind == "training" else [])):
        table.add_column(name)
    for target in targets:
        table.add_column(target.name, justify="right")
    for trial in chosen:
        cells = list(words.cells(trial, short=False))
        if words.kind == "training":
            experiment = words.experiment(trial)
            cells.append("" if experiment is None else f"{experiment.training.learning_rate:.2g}")
        role = " (default)" if trial.user_attrs.get("role") == "default" else ""
        values = [f"{target.final(trial):.4f}" for target in targets]
        table.add_row(f"{trial.number}{role}", *(Text(cell) for cell in cells), *values)
    return table


def best_margins(study: Study) -> list[str]:
    """The sentences that people came for: of each loss that was tried the best trial's margins, the best loss first."""
    words = TrialWords(study)
    found: dict[str, str] = {}
    for trial in ranked(study):
        margins = words.margins(trial)
        if margins is None or margins.loss in found:
            continue
        if not found or margins.any:
            found[margins.loss] = f"{margins.sentence}: {value_words(trial)}, trial {trial.number}"
    return [f"{'best' if place == 0 else 'also'}: {said}" for place, said in enumerate(found.values())]


def decisive_settings(study: Study) -> list[str]:
    """A sentence a target about the settings that decide most; none where the trials are too few."""
    sentences: list[str] = []
    for target in targets_of(study) if len(complete_trials(study)) >= _LEAST_TRIALS else []:
        shares = {name: share for name, share in importances(study, target).items() if share >= 0.01}
        if shares:
            said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(shares.items())[:_DECISIVE])
            sentences.append(f"what decides the {target.label} ({METHOD}): {said}")
    return sentences
