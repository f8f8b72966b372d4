import inspect
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses, miners

from cross_modal_mlflow.loss_parameters import loss_parameters

#: Of regularizers, which none has here.
SILENT = {"embedding_reg_weight", "weight_reg_weight"}


def buildable() -> list[Any]:
    """Every loss and miner of the library that can be built with sizes alone."""
    built = []
    for cls in [*vars(losses).values(), *vars(miners).values()]:
        if not inspect.isclass(cls) or not issubclass(cls, torch.nn.Module):
            continue
        for sizes in ({}, {"num_classes": 4}, {"num_classes": 4, "embedding_size": 8}):
            try:
                built.append(cls(**sizes))
                break
            except (TypeError, KeyError, ValueError):  # it needs more, or less
                continue
    return built


def test_nearly_all_of_the_library_is_looked_at() -> None:
    assert len(buildable()) > 35


@pytest.mark.parametrize("part", buildable(), ids=lambda part: type(part).__name__)
def test_defaults_come_back_as_they_were_given(part: Any) -> None:
    found = loss_parameters(part)
    assert found["objective.loss.name"] == type(part).__name__
    for name, parameter in inspect.signature(type(part).__init__).parameters.items():
        reported = found.get(f"objective.loss.arguments.{name}")
        number = isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
        if not number or name in SILENT:
            continue
        assert reported is not None, name
        assert float(reported) == pytest.approx(float(parameter.default)), name


@pytest.mark.parametrize("degrees", [5.73, 20.0, 28.6, 45.0])
def test_angles_are_in_degrees(degrees: float) -> None:
    for part, name in (
        (losses.ArcFaceLoss(4, 8, margin=degrees), "margin"),
        (losses.AngularLoss(alpha=degrees), "alpha"),
        (losses.TupletMarginLoss(margin=degrees), "margin"),
        (miners.AngularMiner(angle=degrees), "angle"),
    ):
        assert loss_parameters(part)[f"objective.loss.arguments.{name}"] == str(degrees)


def test_a_users_subclass_keeps_the_unit_of_what_it_extends() -> None:
    class Mine(losses.ArcFaceLoss):
        def __init__(self, sharpness: float = 3.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.sharpness = sharpness

    found = loss_parameters(Mine(num_classes=4, embedding_size=8, margin=30.0))
    assert found["objective.loss.name"] == "Mine"
    assert found["objective.loss.arguments.sharpness"] == "3.0"
    assert found["objective.loss.arguments.margin"] == "30.0"


def test_parts_of_the_loss_stand_where_our_own_runs_have_them() -> None:
    found = loss_parameters(losses.TripletMarginLoss(margin=0.3))
    assert found["objective.loss.arguments.margin"] == "0.3"
    assert found["objective.distance.name"] == "LpDistance"
    assert found["objective.distance.arguments.p"] == "2"
    assert found["objective.reducer.name"] == "AvgNonZeroReducer"
    miner = loss_parameters(miners.MultiSimilarityMiner(epsilon=0.2), "objective.miner")
    assert miner["objective.miner.arguments.epsilon"] == "0.2"
    assert "objective.distance.name" not in miner


def test_a_wrapper_shows_what_it_wraps() -> None:
    memory = losses.CrossBatchMemory(losses.SupConLoss(temperature=0.2), 8, memory_size=64)
    found = loss_parameters(memory)
    assert found["objective.loss.name"] == "CrossBatchMemory"
    assert found["objective.loss.arguments.memory_size"] == "64"
    assert found["objective.loss.loss.name"] == "SupConLoss"
    assert found["objective.loss.loss.arguments.temperature"] == "0.2"


def test_a_learned_scalar_is_a_number() -> None:
    loss = losses.MarginLoss(beta=1.5, learn_beta=True)
    assert isinstance(loss.beta, torch.nn.Parameter)
    assert loss_parameters(loss)["objective.loss.arguments.beta"] == "1.5"
