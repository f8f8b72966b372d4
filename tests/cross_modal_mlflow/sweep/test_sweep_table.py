import io

import optuna
from rich.console import Console
from rich.table import Table
from toys.sweep_studies import heads_study, training_study

from cross_modal_mlflow.sweep.sweep_table import best_margins, decisive_settings, study_line, trial_table


def rendered(table: Table) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def rows(table: Table) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in rendered(table) if line.startswith("│")]


def test_the_five_best_trials_the_best_first_with_whole_names_and_the_unit() -> None:
    study = training_study(30)
    found = rows(trial_table(study))
    values = sorted((each.value for each in study.trials if each.value is not None), reverse=True)[:5]
    assert [row[-1] for row in found] == [f"{value:.4f}" for value in values]
    best = study.best_trial
    assert found[0][0] == str(best.number)
    assert found[0][1] == best.params["objective.loss"]
    assert found[0][2].endswith(("(L2 distance)", "(cosine)"))


def test_the_default_is_named() -> None:
    assert rows(trial_table(training_study(1)))[0][0] == "0 (default)"


def test_several_targets_show_their_front() -> None:
    study = training_study(30, targets=("score", "eer", "seconds"))
    found = rows(trial_table(study))
    assert {int(row[0].split()[0]) for row in found} == {each.number for each in study.best_trials}
    assert [row[-3] for row in found] == sorted((row[-3] for row in found), reverse=True)


def test_heads_show_their_parameters() -> None:
    found = rows(trial_table(heads_study(12)))
    assert {row[1] for row in found} <= {"prototypes", "nearest_neighbours", "tip_adapter", "gaussian_discriminant"}
    assert best_margins(heads_study(12)) == []


def test_the_best_margin_of_each_loss_that_was_tried_is_a_sentence() -> None:
    study = training_study(60, sampler=optuna.samplers.RandomSampler(seed=3))
    said = best_margins(study)
    best = study.best_trial
    assert said[0].startswith(f"best: {best.params['objective.loss']}.")
    assert said[0].endswith(f"{best.value:.4f}, trial {best.number}")
    assert all(line.startswith("also: ") for line in said[1:])
    losses = [line.split(": ")[1].split(".")[0] for line in said]
    assert len(set(losses)) == len(losses)
    assert "SupConLoss" not in losses[1:]  # it has no margin
    assert any("library default 0.05" in line for line in said)


def test_a_winner_without_margin_is_said_to_have_none() -> None:
    said = best_margins(training_study(3, losses=("SupConLoss",), miners=("none",)))
    assert len(said) == 1
    assert said[0].startswith("best: SupConLoss has no margin, temperature ")


def test_how_the_trials_ended_and_what_decides_are_sentences() -> None:
    study = training_study(30)
    assert study_line(study) == ("sweep: study glyphs-sweep, 28 trials (20 complete, 5 pruned, 3 failed, 2 died)")
    (said,) = decisive_settings(study)
    assert said.startswith("what decides the validation score (PED-ANOVA): ")
    assert decisive_settings(training_study(6)) == []
