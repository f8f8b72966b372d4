from cross_modal.configuration import Experiment
from cross_modal_mlflow.sweep.setting_paths import (
    BOUNDS,
    SAME_FOR_ALL,
    bounds_of,
    read_setting,
    setting_types,
    write_setting,
)


def test_every_setting_of_an_experiment_is_read_and_written_by_its_path() -> None:
    experiment = Experiment()
    for path in setting_types():
        write_setting(experiment, path, read_setting(Experiment(), path))
    assert experiment == Experiment()
    write_setting(experiment, "twin.pooling.queries", 2)
    assert experiment.twin.pooling.queries == 2


def test_parts_are_no_plain_settings() -> None:
    assert not [path for path in setting_types() if path.startswith(("objective.loss", "objective.miner"))]


def test_bounds_are_those_of_settings_and_hold_the_defaults() -> None:
    assert set(BOUNDS) <= set(setting_types())
    for path, bounds in BOUNDS.items():
        value = read_setting(Experiment(), path)
        assert value is None or bounds.contains(value), path
    assert not bounds_of("training.warm_up").contains(-1)


def test_what_makes_trials_comparable_exists() -> None:
    assert all(any(path.startswith(each) for path in setting_types()) for each in SAME_FOR_ALL)
