import io
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from toys.sweep_studies import heads_study, training_study

from cross_modal_mlflow.sweep.live_table import ROWS, LiveTable, time_left
from cross_modal_mlflow.sweep.storage import open_storage


def screen(width: int = 140, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def drawn(study: optuna.Study, limit: int, width: int = 140) -> list[str]:
    console = screen(width)
    table = LiveTable(study, limit, console, workers=2)
    table._look()
    console.print(table.draw())
    return shown(console).splitlines()


def test_the_last_trials_stand_there_with_loss_margin_value_state_and_time() -> None:
    study = training_study(30)
    lines = drawn(study, 40)
    for word in ("study glyphs-sweep", "trial", "loss", "margin", "miner", "score", "state", "time"):
        assert any(word in line for line in lines)
    rows = [line for line in lines if line.lstrip(" ★").split(" ")[0].isdigit()]
    assert [int(line.lstrip(" ★").split()[0]) for line in rows] == list(range(30 - ROWS, 30))
    assert "failed: TrainingStopped" in rows[-1]
    assert sum("★" in line for line in lines) <= 2


def test_below_stand_the_best_so_far_with_its_margin_the_count_and_the_time_left() -> None:
    study = training_study(30)
    best = study.best_trial
    lines = drawn(study, 40)
    line = next(each for each in lines if "best so far" in each)
    assert f"trial {best.number}, {best.value:.4f}: {best.params['objective.loss']}" in line
    assert "(L2 distance)" in line or "(cosine)" in line
    assert "28/40 trials" in lines[-1]  # two died: their successors will count
    assert "left" in lines[-1]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("study", [training_study(12), training_study(12, targets=("score", "eer")), heads_study(6)])
def test_it_fits_every_terminal_and_keeps_values_and_states(width: int, study: optuna.Study) -> None:
    lines = drawn(study, 40, width)
    assert max(map(len, lines)) <= width
    if width >= 80:
        shown_values = [f"{value:.4f}" for value in study.trials[-1].values or []]
        assert all(any(value in line for line in lines) for value in shown_values)
        assert any("done" in line for line in lines)


def test_several_targets_are_led_by_the_front() -> None:
    lines = drawn(training_study(12, targets=("score", "eer")), 12)
    assert any("best score of the Pareto front" in line for line in lines)


def test_off_a_terminal_it_says_one_line_a_finished_trial_and_those_before_not_again() -> None:
    study = training_study(3, ends=False)
    more = training_study(6, ends=False).trials[3:]
    console = screen()
    with LiveTable(study, 6, console, workers=1, period=0.01):
        study.ask()
        study.add_trials(more[:2])
        wait_for(lambda: shown(console).count("\n") == 2)
        study.add_trials(more[2:])
    lines = shown(console).splitlines()
    assert [line.split()[1] for line in lines] == ["4", "5", "6"]
    assert "[6/6 trials" in lines[-1]
    assert f"(trial {study.best_trial.number})" in lines[-1]
    assert "[0m" not in shown(console)


def test_on_a_terminal_the_table_stays_when_the_sweep_ends() -> None:
    study = training_study(5, ends=False)
    console = screen(terminal=True)
    with LiveTable(study, 5, console, workers=1, period=0.01):
        wait_for(lambda: "5/5 trials" in shown(console))
    assert "5/5 trials" in shown(console).splitlines()[-2]  # the last line gives the cursor back
    assert "left" not in shown(console).splitlines()[-2]
    assert not any(thread.name == "sweep-table" for thread in threading.enumerate())


def test_a_storage_that_fails_for_a_while_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    study = training_study(4, ends=False)
    console, whole = screen(), study.get_trials
    fails = True

    def get_trials(deepcopy: bool = True) -> list[optuna.trial.FrozenTrial]:
        if fails:
            raise ConnectionError("gone")
        return whole(deepcopy)

    monkeypatch.setattr(study, "get_trials", get_trials)
    table = LiveTable(study, 8, console, workers=1, period=0.01)
    table._look()
    console.print(table.draw())
    assert "does not answer" in shown(console)
    with table:
        fails = False
        wait_for(lambda: shown(console).count("complete") + shown(console).count("done") >= 4)


def test_an_error_of_the_sweep_passes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), LiveTable(training_study(1), 2, screen(terminal=True), 1, period=0.01):
        raise KeyboardInterrupt


def test_a_journal_that_others_write_is_followed(tmp_path: Path) -> None:
    path = str(tmp_path / "sweeps.journal")
    study = training_study(2, storage=open_storage(path), ends=False)
    theirs = optuna.load_study(study_name=study.study_name, storage=open_storage(path))
    console = screen()
    with LiveTable(study, 4, console, workers=1, period=0.01):
        theirs.add_trials(training_study(4, ends=False).trials[2:])
        wait_for(lambda: shown(console).count("\n") == 2)
    assert "4/4 trials" in shown(console)


@given(
    st.lists(st.floats(0.1, 100), max_size=30),
    st.lists(st.floats(0, 100), max_size=4),
    st.integers(1, 60),
    st.integers(1, 4),
)
def test_time_left_is_none_at_first_and_nothing_when_all_is_done(
    ended: list[float], running: list[float], limit: int, workers: int
) -> None:
    left = time_left(ended, running, limit, workers)
    assert (left is None) == (not ended)
    if left is not None:
        assert 0 <= left <= max(ended) * (max(limit - len(ended), 0) + len(running)) / workers + 1e-6
        if len(ended) >= limit and not running:
            assert left == 0
