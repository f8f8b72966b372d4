import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from cross_modal_mlflow.sweep.trial_ending import ending


@given(
    st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]),
    st.lists(st.floats(), min_size=1, max_size=3),
    st.text(max_size=900) | st.none(),
    st.booleans(),
)
def test_an_ending_is_always_one_that_mlflow_takes(
    state: TrialState, values: list[float], error: str | None, interrupted: bool
) -> None:
    end = ending(state, values, error, interrupted=interrupted)
    assert end.status in ("FINISHED", "KILLED", "FAILED")
    assert all("\n" not in text and len(text) <= 500 for text in end.tags.values())
    good = state == TrialState.COMPLETE and not any(map(math.isnan, values))
    assert list(end.metrics.values()) == (values if good else [])
    assert (end.status == "FINISHED") == good


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.WAITING])
def test_a_trial_that_has_not_ended_has_no_ending(state: TrialState) -> None:
    with pytest.raises(ValueError, match=f"has ended, found {state.name}"):
        ending(state)
