import dataclasses
import re
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState
from toys.toy_worker import SETTINGS

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.leases import RETRY_OF, WORKER
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.study import (
    WAIT,
    Wait,
    create_study,
    finished,
    load_study,
    refuse_existing,
    take_trial,
    tell_trial,
    unique_name,
)
from cross_modal_mlflow.sweep.worker_process import worker_name

Study = tuple[optuna.Study, optuna.storages.BaseStorage]


@pytest.fixture
def study(place: str) -> Study:
    storage = open_storage(place)
    return create_study(storage, "birds", SETTINGS), storage


def taken(study: Study, limit: int) -> optuna.Trial:
    trial = take_trial(*study, limit)
    assert isinstance(trial, optuna.Trial)
    return trial


def test_workers_take_as_many_trials_as_were_asked_for_and_not_one_more(study: Study) -> None:
    numbers: list[int] = []
    count = study[0].get_trials

    def slowly(**options: bool) -> list[optuna.trial.FrozenTrial]:
        trials = count(**options)
        time.sleep(0.02)  # between counting and asking, where the others come in
        return trials

    study[0].get_trials = slowly  # type: ignore[method-assign, assignment]

    def work() -> None:
        while (trial := take_trial(*study, 7)) is not None:
            if not isinstance(trial, Wait):
                numbers.append(trial.number)
                study[0].tell(trial, 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(7))
    assert finished(study[0]) == 7


def test_a_trial_says_from_the_first_whose_it_is(study: Study) -> None:
    taken(study, 1)
    assert study[0].trials[0].user_attrs == {WORKER: worker_name()}


def test_while_the_last_trial_runs_elsewhere_a_worker_waits_and_takes_it_over_if_that_one_dies(study: Study) -> None:
    last = taken(study, 1)
    x = last.suggest_float("x", 0, 1)
    assert take_trial(*study, 1) is WAIT
    study[0].tell(last, state=TrialState.FAIL)  # its worker died: it does not count
    successor = taken(study, 1)
    assert successor.user_attrs[RETRY_OF] == last.number
    assert successor.suggest_float("x", 0, 1) == x
    study[0].tell(successor, 0.5)
    assert take_trial(*study, 1) is None


def test_what_is_enqueued_comes_first_and_counts_among_the_trials(study: Study) -> None:
    for x in (0.25, 0.75):
        study[0].enqueue_trial({"x": x})
    for x in (0.25, 0.75):
        trial = taken(study, 2)
        assert trial.suggest_float("x", 0, 1) == x
        study[0].tell(trial, x)
    assert take_trial(*study, 2) is None


def test_trials_that_ended_of_themselves_count_and_others_do_not(study: Study) -> None:
    study[0].tell(study[0].ask(), 0.5)
    study[0].tell(study[0].ask(), state=TrialState.PRUNED)
    for attribute in ("error", "interrupted", "mlflow_run_id"):
        trial = study[0].ask()
        trial.set_user_attr(attribute, "collapsed")
        study[0].tell(trial, state=TrialState.FAIL)
    study[0].ask()
    assert finished(study[0]) == 3


@pytest.mark.parametrize(("values", "state"), [([0.5], TrialState.COMPLETE), (None, TrialState.PRUNED)])
def test_telling_what_others_have_ended_meanwhile_says_so(
    study: Study, values: list[float] | None, state: TrialState
) -> None:
    first, second = taken(study, 2), taken(study, 2)
    told = tell_trial(study[0], first, values, state)
    assert told is not None
    assert told.state == state
    study[0].tell(second.number, state=TrialState.FAIL)
    assert tell_trial(study[0], second, values, state) is None
    assert study[0].trials[second.number].state == TrialState.FAIL


def test_telling_nonsense_stays_an_error(study: Study) -> None:
    with pytest.raises(ValueError, match="number of the values"):
        tell_trial(study[0], taken(study, 1), [0.5, 0.5], TrialState.COMPLETE)


def test_names_that_exist_and_names_that_do_not_are_one_line(place: str) -> None:
    storage = open_storage(place)
    with pytest.raises(CrossModalError, match="found none of that name; there is none"):
        load_study(storage, "birds")
    refuse_existing(storage, "birds")
    create_study(storage, "birds", SETTINGS)
    with pytest.raises(CrossModalError, match="expected a new name, found a study of that name; --resume goes on"):
        refuse_existing(storage, "birds")
    with pytest.raises(CrossModalError, match="--resume goes on"):
        create_study(storage, "birds", SETTINGS)
    with pytest.raises(CrossModalError, match=r"did you mean birds\?"):
        load_study(storage, "brids")
    with pytest.raises(CrossModalError, match="there are birds"):
        load_study(storage, "something else")


def test_directions_follow_the_targets_and_a_loaded_study_has_the_same(place: str) -> None:
    storage = open_storage(place)
    settings = dataclasses.replace(SETTINGS, targets=["score", "eer"], sampler="tpe")
    create_study(storage, "birds", settings)
    loaded = load_study(storage, "birds", settings, seed=3)
    assert [direction.name for direction in loaded.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert isinstance(loaded.sampler, optuna.samplers.TPESampler)
    assert isinstance(loaded.pruner, optuna.pruners.NopPruner)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("/data/my photos/", "my-photos"),
        ("glyphs", "glyphs"),
        ("torchvision:MNIST", "torchvision-MNIST"),
        ("/", "sweep"),
    ],
)
def test_a_name_is_made_of_the_data_and_the_time_and_none_is_made_twice(data: str, word: str) -> None:
    names = {unique_name(data) for _ in range(5)}
    assert len(names) > 1
    assert all(re.fullmatch(word + r"-\d{8}-\d{6}-[0-9a-f]{4}", name) for name in names)
