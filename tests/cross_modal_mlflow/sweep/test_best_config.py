from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import create_trial
from toys.sweep_studies import heads_study, training_study

from cross_modal.configuration import Experiment, ObjectiveConfig, PartConfig
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.metric_buffer import metric_name
from cross_modal_mlflow.sweep.best_config import best_config_yaml, sweep_metrics
from cross_modal_mlflow.sweep.trial_words import TrialWords


def read_back(text: str, folder: Path) -> Experiment:
    path = folder / "best_config.yaml"
    path.write_text(text, encoding="utf-8")
    return parse(Experiment, [], command="train", examples="", usage="", config=str(path))


def test_it_reads_back_as_the_same_experiment(tmp_path: Path) -> None:
    study = training_study(12)
    words = TrialWords(study)
    for trial in study.trials:
        experiment = words.experiment(trial)
        assert experiment is not None
        if trial.values:
            assert read_back(best_config_yaml(experiment, study, trial), tmp_path) == experiment


def test_its_head_says_where_it_comes_from_and_the_margin() -> None:
    study = optuna.create_study(study_name="büro: fünf\nrm -rf: /", direction="maximize")
    study.add_trial(create_trial(value=0.51234))
    experiment = Experiment(data="x", objective=ObjectiveConfig(PartConfig("CircleLoss", {"m": 0.3})))
    text = best_config_yaml(experiment, study, study.trials[0])
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert head == [
        "# Trial 0 of study büro: fünf rm -rf: / (1 trials): value 0.5123, on validation classes.",
        "# CircleLoss.m 0.3 (cosine; library default 0.4)",
        "# cross-modal train --config best_config.yaml",
    ]
    assert yaml.safe_load(text)["objective"]["loss"]["arguments"] == {"m": 0.3}


def test_a_study_is_metrics() -> None:
    study = training_study(30)
    found = sweep_metrics(study)
    assert found["sweep/best_value"] == study.best_value
    assert found["sweep/best_trial"] == study.best_trial.number
    assert (found["sweep/trials"], found["sweep/complete"], found["sweep/died"]) == (28, 20, 2)
    assert found["sweep/training_seconds"] == pytest.approx(
        sum(each.user_attrs["training_seconds"] for each in study.trials)
    )
    shares = {name: share for name, share in found.items() if name.startswith("importance/")}
    assert sum(shares.values()) == pytest.approx(1)
    assert all(metric_name(name) == name for name in found)  # MLflow shows the names that --json has


def test_several_targets_have_a_best_value_each_of_one_trial() -> None:
    study = training_study(12, targets=("score", "eer"))
    found = sweep_metrics(study)
    best = study.trials[int(found["sweep/best_trial"])]
    assert [found["sweep/best_value_0"], found["sweep/best_value_1"]] == best.values
    assert best.number in {each.number for each in study.best_trials}
    assert any(name.startswith("importance/eer/") for name in found)


def test_a_study_without_a_finished_trial_has_counts_alone() -> None:
    assert sweep_metrics(optuna.create_study()) == {
        "sweep/trials": 0, "sweep/complete": 0, "sweep/pruned": 0, "sweep/failed": 0,
    }  # fmt: skip
    assert sweep_metrics(heads_study(8))["sweep/complete"] == 8
