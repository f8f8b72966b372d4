import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import optuna
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from toys import toy_worker
from toys.toy_worker import HANGS, SETTINGS

from cross_modal_mlflow.sweep import leases
from cross_modal_mlflow.sweep.leases import ALIVE, LEASE, RETRIES, RETRY_OF, WORKER, Lease, Reaper, release, retry
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.study import Wait, create_study, finished, load_study, take_trial
from cross_modal_mlflow.sweep.worker_process import worker_name

Start = Callable[..., subprocess.Popen[bytes]]
Study = tuple[optuna.Study, optuna.storages.BaseStorage]
ELSEWHERE = "another-machine/0123456789ab:1:200"


@pytest.fixture
def study(place: str) -> Study:
    storage = open_storage(place)
    return create_study(storage, "birds", SETTINGS), storage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The reaper's clock, set by hand."""
    hands = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: hands.now))
    return hands


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]


def wait_until(true: Callable[[], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_lease_counts_up_while_the_trial_runs_and_names_its_worker(study: Study) -> None:
    trial = study[0].ask()
    with Lease(study[0], trial, 0.02):
        wait_until(lambda: study[0].trials[0].user_attrs.get(LEASE, 0) >= 2)
        assert study[0].trials[0].user_attrs[WORKER] == worker_name()
    after = study[0].trials[0].user_attrs[LEASE]
    time.sleep(0.1)
    assert study[0].trials[0].user_attrs[LEASE] == after


def test_a_lease_survives_a_storage_that_fails_for_a_while(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, storage = study[0].ask(), study[0]._storage
    true, failures = storage.set_trial_user_attr, iter([OSError("no space"), RuntimeError("server restarts")])

    def failing(trial_id: int, key: str, value: object) -> None:
        if key == LEASE and (error := next(failures, None)) is not None:
            raise error
        true(trial_id, key, value)

    monkeypatch.setattr(storage, "set_trial_user_attr", failing)
    with Lease(study[0], trial, 0.02) as lease:
        wait_until(lambda: LEASE in study[0].trials[0].user_attrs)
    assert next(failures, None) is None
    assert not lease.lost.is_set()


def test_a_worker_learns_that_others_took_it_for_dead(study: Study) -> None:
    trial = study[0].ask()
    with Lease(study[0], trial, 0.02) as lease:
        study[0].tell(trial.number, state=TrialState.FAIL)
        assert lease.lost.wait(10)


def test_a_worker_elsewhere_is_dead_when_its_lease_has_not_moved_for_the_grace(
    study: Study, clock: SimpleNamespace
) -> None:
    trial = study[0].ask()
    trial.set_user_attr(WORKER, ELSEWHERE)
    reaper = Reaper(*study, grace=30)
    assert reaper.reap() == []
    clock.now += 29
    assert reaper.reap() == []
    trial.set_user_attr(LEASE, 1)
    clock.now += 29
    assert reaper.reap() == []  # it has moved: the grace begins anew
    clock.now += 31
    assert reaper.reap() == [0]
    assert states(study[0]) == ["FAIL", "WAITING"]
    assert reaper.reap() == []
    assert states(study[0]) == ["FAIL", "WAITING"]


def test_a_reaper_that_was_halted_itself_takes_nobody_for_dead(study: Study, clock: SimpleNamespace) -> None:
    study[0].ask().set_user_attr(WORKER, ELSEWHERE)
    reaper = Reaper(*study, grace=30)
    reaper.reap()
    true = study[0].get_trials

    def halted(**options: bool) -> list[optuna.trial.FrozenTrial]:
        trials = true(**options)
        clock.now += 3600  # the leases were read an hour ago
        return trials

    study[0].get_trials = halted  # type: ignore[method-assign, assignment]
    assert reaper.reap() == []


def test_a_living_process_of_this_machine_has_far_more_time(study: Study, clock: SimpleNamespace) -> None:
    study[0].ask().set_user_attr(WORKER, worker_name())
    reaper = Reaper(*study, grace=30)
    assert reaper.reap() == []
    clock.now += 30 * ALIVE - 1
    assert reaper.reap() == []
    clock.now += 2
    assert reaper.reap() == [0]  # it lives, but has dropped the trial, or is halted for good


def test_a_process_that_is_gone_is_seen_at_once_even_if_its_number_is_given_again(study: Study) -> None:
    here, _, process = worker_name().partition(":")
    number = process.partition(":")[0]
    for name in (f"{here}:999999999:1", f"{here}:{number}:1", worker_name()):
        study[0].ask().set_user_attr(WORKER, name)
    assert Reaper(*study, grace=60).reap() == [0, 1]


def test_a_sweep_that_stops_ends_what_it_and_its_gone_workers_left_running_and_no_other(study: Study) -> None:
    mine, gone, elsewhere = (study[0].ask() for _ in range(3))
    leases.sign(mine)
    host, _, process = worker_name().partition(":")
    gone.set_user_attr(WORKER, f"{host}:{process.partition(':')[0]}:1")  # the number was given again
    elsewhere.set_user_attr(WORKER, ELSEWHERE)
    assert release(study[0]) == [mine.number, gone.number]
    assert states(study[0]) == ["FAIL", "FAIL", "RUNNING"]
    retry(*study)
    retries = [trial.user_attrs.get(leases.RETRIED) for trial in study[0].trials if RETRY_OF in trial.user_attrs]
    assert retries == [0, 0]  # an interruption is no death


def test_a_trial_that_ended_meanwhile_is_left_as_it_is(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = study[0].ask()
    trial.set_user_attr(WORKER, worker_name().rpartition(":")[0] + ":1")
    before = study[0].get_trials(deepcopy=True)
    study[0].tell(trial, 0.5)
    answers = iter([before])
    true = study[0].get_trials
    monkeypatch.setattr(study[0], "get_trials", lambda **options: next(answers, None) or true(**options))
    assert Reaper(*study).reap() == []
    assert states(study[0]) == ["COMPLETE"]


def test_the_successor_has_the_parameters_and_the_run_of_the_dead_trial(study: Study) -> None:
    trial = study[0].ask()
    drawn = trial.suggest_float("x", 0, 1), trial.suggest_categorical("loss", ["triplet", "circle"])
    for name, value in {"mlflow_run_id": "abc", "role": "default", WORKER: ELSEWHERE, LEASE: 7}.items():
        trial.set_user_attr(name, value)
    study[0].tell(trial, state=TrialState.FAIL)
    assert retry(*study) == [0]
    successor = study[0].ask()
    assert (successor.suggest_float("x", 0, 1), successor.suggest_categorical("loss", ["triplet", "circle"])) == drawn
    assert successor.user_attrs == {"mlflow_run_id": "abc", "role": "default", RETRY_OF: 0, "retries": 1}


def test_an_enqueued_trial_that_died_before_it_drew_keeps_what_it_was_given(study: Study) -> None:
    study[0].enqueue_trial({"x": 0.25, "y": 0.5})
    trial = study[0].ask()
    trial.suggest_float("x", 0, 1)
    study[0].tell(trial, state=TrialState.FAIL)
    retry(*study)
    successor = study[0].ask()
    assert (successor.suggest_float("x", 0, 1), successor.suggest_float("y", 0, 1)) == (0.25, 0.5)


def test_looking_again_changes_nothing(study: Study) -> None:
    study[0].tell(study[0].ask(), state=TrialState.FAIL)
    assert retry(*study) == [0]
    assert retry(*study) == []
    assert Reaper(*study).reap() == []
    assert states(study[0]) == ["FAIL", "WAITING"]


def test_a_death_that_another_reaper_left_without_successor_gets_one(study: Study) -> None:
    study[0].tell(study[0].ask(), state=TrialState.FAIL)  # it told, and died itself
    assert Reaper(*study).reap() == []
    assert states(study[0]) == ["FAIL", "WAITING"]


def test_an_error_is_not_run_again(study: Study) -> None:
    trial = study[0].ask()
    trial.set_user_attr("error", "collapsed")
    study[0].tell(trial, state=TrialState.FAIL)
    assert retry(*study) == []


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["done", "error", "dies", "interrupted"]), max_size=14), st.integers(1, 4))
def test_whatever_becomes_of_trials_as_many_count_as_were_asked_for(ends: list[str], limit: int) -> None:
    storage = optuna.storages.InMemoryStorage()
    study, coming = create_study(storage, "birds", SETTINGS), iter(ends)
    while (trial := take_trial(study, storage, limit)) is not None:
        assert not isinstance(trial, Wait)  # nobody else runs one
        end = next(coming, "done")
        if end in {"error", "interrupted"}:
            trial.set_user_attr(end, "collapsed" if end == "error" else True)
        study.tell(trial, 0.5 if end == "done" else None, TrialState.COMPLETE if end == "done" else TrialState.FAIL)
    trials = study.get_trials()
    assert finished(study) == limit
    assert all(trial.state.is_finished() for trial in trials)  # none is left waiting
    successors = [trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs]
    assert len(set(successors)) == len(successors)
    assert max((trial.user_attrs.get("retries", 0) for trial in trials), default=0) <= RETRIES
    left = [each for each in trials if each.state == TrialState.FAIL and "error" not in each.user_attrs]
    for each in left:  # without a successor only where it has died often enough
        died_last = "interrupted" not in each.user_attrs and each.user_attrs.get("retries", 0) == RETRIES
        assert (each.number in successors) != died_last


@pytest.fixture
def workers(place: str) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def start(study: str, limit: int, seconds: float, hangs: int = 0) -> subprocess.Popen[bytes]:
        words = [sys.executable, toy_worker.__file__, place, study, str(limit), str(seconds), str(hangs)]
        running.append(subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"}))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_of_four_workers_one_is_killed_and_no_trial_is_lost_or_counted_twice(place: str, workers: Start) -> None:
    limit = 16
    victim, *others = [workers("birds", limit, 0.25, hangs) for hangs in (2, 0, 0, 0)]
    study = None

    def hanging() -> list[optuna.trial.FrozenTrial]:
        nonlocal study
        if study is None:  # all four begin at once, on a storage that is not there yet
            storage = open_storage(place)
            study = load_study(storage, "birds") if "birds" in optuna.get_all_study_names(storage) else None
        return [] if study is None else [trial for trial in study.trials if HANGS in trial.user_attrs]

    wait_until(hanging, 60)
    time.sleep(0.3)  # in the middle of its trial, and not of the write that told us
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert [worker.wait(60) for worker in others] == [0, 0, 0]
    assert study is not None
    trials = study.trials
    assert [trial.number for trial in trials] == list(range(len(trials)))  # no number twice, none missing
    assert finished(study) == limit == sum(trial.state == TrialState.COMPLETE for trial in trials)
    (dead,) = [trial for trial in trials if trial.state != TrialState.COMPLETE]
    (successor,) = [trial for trial in trials if RETRY_OF in trial.user_attrs]
    assert f":{victim.pid}:" in dead.user_attrs[WORKER]
    assert f":{victim.pid}:" not in successor.user_attrs[WORKER]
    assert successor.user_attrs[RETRY_OF] == dead.number
    assert successor.params == dead.params
    assert successor.user_attrs["mlflow_run_id"] == dead.user_attrs["mlflow_run_id"]
    others_runs = [trial.user_attrs["mlflow_run_id"] for trial in trials if trial not in (dead, successor)]
    assert len({*others_runs, dead.user_attrs["mlflow_run_id"]}) == limit


def test_leases_are_renewed_by_a_thread_that_ends_with_the_trial(study: Study) -> None:
    trial = study[0].ask()
    with Lease(study[0], trial, 60):
        assert f"lease-{trial.number}" in {thread.name for thread in threading.enumerate()}
    assert f"lease-{trial.number}" not in {thread.name for thread in threading.enumerate()}
