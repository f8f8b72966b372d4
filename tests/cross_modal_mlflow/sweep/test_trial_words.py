import json

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from toys.sweep_studies import heads_study, training_study

from cross_modal_mlflow.sweep.settings import ATTRIBUTE
from cross_modal_mlflow.sweep.trial_words import TrialWords, best_so_far, duration_words, state_words, value_words


def test_a_training_is_its_loss_margin_and_miner_as_the_loss_is_given_them() -> None:
    study = training_study(40, losses=("ContrastiveLoss",), miners=("none", "TripletMarginMiner"), ends=False)
    words = TrialWords(study)
    assert words.columns == ("loss", "margin", "miner")
    for trial in study.trials:
        loss, margin, miner = words.cells(trial, short=False)
        assert loss == "ContrastiveLoss"
        assert miner == trial.params.get("objective.miner", "none")
        experiment = words.experiment(trial)
        assert experiment is not None
        given = experiment.objective.loss.arguments
        cosine = trial.params["objective.distance"] == "CosineSimilarity"
        assert margin == (
            f"pos_margin {given['pos_margin']:.3g}, neg_margin {given['neg_margin']:.3g} "
            f"({'cosine' if cosine else 'L2 distance'})"
        )
        assert (given["neg_margin"] < given["pos_margin"]) == cosine  # the gap, on the side of the distance


def test_an_experiment_that_was_handed_out_may_be_changed() -> None:
    study = training_study(1)
    words = TrialWords(study)
    first = words.experiment(study.trials[0])
    assert first is not None
    first.data = "elsewhere"
    again = words.experiment(study.trials[0])
    assert again is not None
    assert again.data == "glyphs"


def test_a_trial_that_is_still_drawn_shows_what_is_there() -> None:
    study = training_study(1)
    study.ask().suggest_categorical("objective.loss", ["CircleLoss"])
    assert TrialWords(study).cells(study.trials[-1]) == ("Circle", "", "")
    study.ask()
    assert TrialWords(study).cells(study.trials[-1]) == ("", "", "")
    assert TrialWords(study).margins(study.trials[-1]) is None


def test_a_head_is_its_method_and_parameters() -> None:
    study = heads_study(12)
    words = TrialWords(study)
    for trial in study.trials:
        head, parameters = words.cells(trial)
        assert head == trial.params["method"]
        assert len(parameters.split(", ")) == len(trial.params) - 1
        assert words.margins(trial) is None


def test_a_study_of_another_program_shows_its_parameters() -> None:
    study = optuna.create_study()
    study.ask().suggest_float("x", 0.25, 0.25)
    assert TrialWords(study).cells(study.trials[0]) == ("x 0.25",)


def test_a_study_of_another_version_shows_its_parameters() -> None:
    study = training_study(2)
    kept = json.loads(study.user_attrs[ATTRIBUTE])
    study.set_user_attr(ATTRIBUTE, json.dumps(kept | {"space": {"draws": []}}))
    assert TrialWords(study).columns == ("parameters",)
    study.set_user_attr(ATTRIBUTE, json.dumps({"kind": "training"}))
    assert "learning_rate 0.002" in TrialWords(study).cells(study.trials[0])[0]


@pytest.mark.parametrize(
    ("made", "value", "state"),
    [
        (create_trial(value=0.51234), "0.5123", "done"),
        (create_trial(values=[0.5, 0.25]), "0.5000 0.2500", "done"),
        (create_trial(value=0.5, constraints={"memory": 1.0}), "0.5000", "beyond a limit"),
        (create_trial(state=TrialState.PRUNED, intermediate_values={30: 0.1, 60: 0.2}), "(0.2000)", "pruned @60"),
        (create_trial(state=TrialState.FAIL), "", "worker died"),
        (create_trial(state=TrialState.FAIL, user_attrs={"error": "a\nb"}), "", "failed: a b"),
        (create_trial(state=TrialState.FAIL, user_attrs={"interrupted": True}), "", "interrupted"),
        (create_trial(state=TrialState.WAITING), "", "waiting"),
    ],
)
def test_values_and_states_in_words(made: optuna.trial.FrozenTrial, value: str, state: str) -> None:
    assert value_words(made) == value
    assert state_words(made) == state


def test_a_running_trial_says_how_far_it_is_and_whose_successor() -> None:
    study = optuna.create_study()
    study.ask().report(0.3, 30)
    assert (value_words(study.trials[0]), state_words(study.trials[0])) == ("(0.3000)", "running @30")
    study.enqueue_trial({}, user_attrs={"retry_of": 0})
    study.ask()
    assert state_words(study.trials[1]) == "running, was trial 0"


def test_times_and_the_best() -> None:
    assert [duration_words(each) for each in (0.4, 59.9, 3600, -1)] == ["0:00", "0:59", "1:00:00", "0:00"]
    assert best_so_far(optuna.create_study()) is None
    study = training_study(12)
    best = best_so_far(study)
    assert best is not None
    assert best.number == study.best_trial.number
