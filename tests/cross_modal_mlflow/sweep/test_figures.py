"""Every figure of studies of all kinds is drawn and saved; what a study is too young for is said."""

from io import BytesIO

import matplotlib
import optuna
import pytest
from matplotlib import pyplot
from toys.sweep_studies import heads_study, training_study

from cross_modal_mlflow.sweep import figures
from cross_modal_mlflow.sweep.figures import study_figures

ONE = {
    "history.png", "importances.png", "margins.png", "slice.png", "contour.png", "parallel_coordinates.png",
    "intermediate_values.png", "timeline.png",
}  # fmt: skip


def saved(figure: matplotlib.figure.Figure) -> bool:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=20)
    return file.getvalue().startswith(b"\x89PNG")


def test_a_sweep_has_all_figures() -> None:
    study = training_study(30)
    drawn, notes = study_figures(study)
    assert set(drawn) == ONE
    assert notes == []
    assert all(saved(figure) for figure in drawn.values())
    assert "PED-ANOVA" in drawn["importances.png"].get_suptitle()


def test_several_targets_have_a_figure_each_and_their_front() -> None:
    drawn, notes = study_figures(training_study(24, targets=("score", "eer"), constraints={"memory": 9.0}))
    several = {f"{name}_{target}.png" for name in ("margins", "slice", "contour") for target in ("score", "eer")}
    common = {"history.png", "importances.png", "parallel_coordinates.png", "timeline.png", "pareto_front.png"}
    assert set(drawn) == several | common
    assert notes == []
    assert all(saved(drawn[name]) for name in ("history.png", "importances.png", "pareto_front.png"))


def test_heads_have_no_margins() -> None:
    drawn, _ = study_figures(heads_study(20))
    assert set(drawn) >= ONE - {"margins.png", "contour.png"}
    assert "margins.png" not in drawn
    assert saved(drawn["parallel_coordinates.png"])


def test_what_a_young_study_lacks_is_said() -> None:
    drawn, notes = study_figures(training_study(2, ends=False))
    assert {"history.png", "timeline.png"} <= set(drawn)
    assert "figure importances.png left out: expected at least 4 complete trials whose values differ, found 2" in notes
    assert "figure parallel_coordinates.png left out: expected at least 3 complete trials, found 2" in notes
    none, said = study_figures(training_study(0))
    assert none == {}
    assert "figure history.png left out: no trial has a value yet" in said
    assert "figure timeline.png left out: no trial has run yet" in said


def test_a_study_of_another_program_is_drawn() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_int("n", 1, 9), n_trials=12)
    drawn, notes = study_figures(study)
    assert set(drawn) == ONE - {"margins.png", "intermediate_values.png"}
    assert len(notes) == 2


def test_running_trials_and_strange_values_cost_no_figure() -> None:
    study = training_study(12)
    study.tell(study.ask(), float("inf"))
    trial = study.ask()
    trial.suggest_float("training.learning_rate", 1e-4, 1e-2, log=True)
    trial.report(float("nan"), 30)
    drawn, notes = study_figures(study)
    assert ONE - {"contour.png", "slice.png"} <= set(drawn), notes
    assert all(saved(figure) for figure in drawn.values())


def test_a_figure_that_fails_costs_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(study: optuna.Study) -> None:
        raise ZeroDivisionError("no\nroom")

    monkeypatch.setattr(figures, "timeline_figure", fail)
    drawn, notes = study_figures(training_study(12))
    assert "timeline.png" not in drawn
    assert notes[-1] == "figure timeline.png left out: it could not be drawn (ZeroDivisionError: no room)"
    assert "history.png" in drawn


def test_nobodys_matplotlib_is_changed() -> None:
    before = dict(matplotlib.rcParams)
    study_figures(training_study(12))
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []
