import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.configuration import Experiment, MemoryConfig, ObjectiveConfig, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.rebuild import rebuild


@given(
    st.sampled_from([None, PartConfig("AngularMiner", {"angle": 30.0})]),
    st.floats(1e-5, 1.0),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_an_experiment_survives_json(miner: PartConfig | None, rate: float, ways: list[int]) -> None:
    experiment = Experiment(data="photos", objective=ObjectiveConfig(miner=miner, memory=MemoryConfig(size=64)))
    experiment.training.learning_rate, experiment.evaluation.ways = rate, ways
    assert rebuild(Experiment, json.loads(json.dumps(dataclasses.asdict(experiment)))) == experiment


def test_what_is_absent_takes_its_default() -> None:
    assert rebuild(Experiment, {"data": "x", "training": {"steps": 5}}).training.steps == 5


def test_what_a_later_version_has_set_is_refused_by_name() -> None:
    with pytest.raises(CrossModalError, match=r"TrainingConfig: expected steps, .* found warp"):
        rebuild(Experiment, {"training": {"warp": True}})
