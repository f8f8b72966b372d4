import pytest

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.options import SweepOptions


def test_the_experiment_is_what_every_trial_starts_from_and_holds_nothing_of_the_search() -> None:
    options = SweepOptions(data="photos", trials=3, study="x")
    options.training.steps = 7
    experiment = options.experiment()
    assert type(experiment) is Experiment
    assert (experiment.data, experiment.training.steps) == ("photos", 7)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"trials": 0}, "--trials: expected at least 1, found 0"),
        ({"workers": 0}, "--workers: expected at least 1, found 0"),
        ({"resume": True}, "--resume: expected --study NAME"),
        ({"targets": ["accuracy"]}, "--targets: expected distinct ones of score, eer, seconds, found ['accuracy']"),
        ({"targets": []}, "--targets: expected distinct ones"),
        ({"targets": ["score", "score"]}, "--targets: expected distinct ones"),
        ({"losses": []}, "--losses: expected at least one name, found none"),
        ({"miners": []}, "--miners: expected at least one name, found none"),
        ({"max_latency": 0.0}, "--max_latency: expected a number above 0, found 0.0"),
        ({"max_memory": float("nan")}, "--max_memory: expected a number above 0, found nan"),
        ({"pruner": "wilcoxon"}, "--pruner wilcoxon: expected --model MODEL"),
        ({"model": "m/", "targets": ["eer"]}, "--model: heads are tuned for their score"),
        ({"model": "m/", "register": "x"}, "--model: heads are tuned for their score"),
        ({"model": "m/", "pruner": "hyperband"}, "--pruner hyperband: expected wilcoxon or none with --model"),
        ({"study": "../x"}, "--study: expected letters, digits"),
        ({"study": ".."}, "--study: expected letters, digits"),
        ({"register": "a/b"}, "expected a name without"),
    ],
)
def test_what_makes_no_sense_is_one_line(given: dict, says: str) -> None:
    with pytest.raises(CrossModalError) as caught:
        SweepOptions(**given).check()
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_defaults_make_sense() -> None:
    SweepOptions().check()
