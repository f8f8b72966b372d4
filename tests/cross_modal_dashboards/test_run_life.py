"""How a running run is doing: what its last metric says."""

import pandas as pd
import pytest

from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.run_life import SILENT, RunLife

START = 1_700_000_000
RUN = RunFacts("r", "r", "train", "RUNNING", START * 1000, "glyphs", parameters={"training.steps": "750"})


def life(now: float, *points: tuple[int, float]) -> RunLife:
    table = pd.DataFrame([("train/loss", step, 0.5, 1000 * at) for step, at in points],
                         columns=["metric", "step", "value", "time"])  # fmt: skip
    return RunLife.of(RUN, table, now)


def test_it_says_its_age_its_step_and_when_it_was_last_heard_of() -> None:
    found = life(START + 600, (10, START + 5), (300, START + 597))
    assert found.sentence == "Running for 10 minutes; step 300 of 750; last heard of 3 seconds ago."
    assert found.warning is None


def test_a_long_silence_is_a_warning_and_a_new_step_ends_it() -> None:
    last = START + 60
    assert life(last + SILENT - 1, (10, last)).warning is None
    quiet = life(last + 7 * 60, (10, last))
    assert quiet.warning is not None
    assert quiet.warning.startswith("No new step for 7 minutes")
    assert life(last + 7 * 60, (10, last), (11, last + 7 * 60 - 1)).warning is None


def test_a_run_that_never_logged_is_silent_since_its_start() -> None:
    found = life(START + SILENT)
    assert found.step is None
    assert "no step yet" in found.sentence
    assert found.silent


@pytest.mark.parametrize("now", [START - 30, START])
def test_clocks_that_disagree_give_no_negative_times(now: float) -> None:
    assert life(now, (1, START + 5)).sentence == "Running for 0 seconds; step 1 of 750; last heard of 0 seconds ago."
