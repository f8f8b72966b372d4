"""What ``evaluator_config`` may say."""

from typing import Any

import pytest

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.evaluation_settings import FewShotSettings


def test_nothing_said_is_what_cross_modal_evaluate_measures() -> None:
    assert FewShotSettings.of({}).evaluation == EvaluationConfig()


def test_one_value_stands_for_a_list_of_one_and_none_for_nothing_said() -> None:
    settings = FewShotSettings.of({"ways": 5, "kshot": (1, 2), "methods": "prototypes", "episodes": None})
    assert (settings.ways, settings.kshot, settings.methods, settings.episodes) == ([5], [1, 2], ["prototypes"], 1000)


def test_the_kshot_protocol_takes_each_k_and_seed_once() -> None:
    config = FewShotSettings.of({"kshot": [4, 1, 4], "seeds": [3, 3, 1]}).kshot_config
    assert (config.shots, config.seeds) == ([1, 4], [3, 1])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"episode": 10}, r"unknown 'episode' \(did you mean 'episodes'\?\), expected ways, shots"),
        ({"ways": [1]}, "ways: expected an integer of at least 2, found 1"),
        ({"shots": ["1"]}, "shots: expected an integer of at least 0, found '1'"),
        ({"episodes": 0}, "episodes: expected an integer of at least 1, found 0"),
        ({"queries": 2.5}, "queries: expected an integer of at least 1, found 2.5"),
        ({"seed": True}, "seed: expected an integer of at least 0, found True"),
        ({"methods": ["prototype"]}, "methods: expected all or names of .* found 'prototype'"),
        ({"split": "trial"}, "split: expected one of train, validation, test, all, found 'trial'"),
        ({"metric": "manhattan"}, "metric: expected one of cosine, euclidean"),
        ({"within_prefix": 1}, "within_prefix: expected true or false"),
    ],
)
def test_what_is_wrong_is_named(config: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossModalError, match=f"^evaluator_config: {said}"):
        FewShotSettings.of(config)
