"""Every trainable parameter stands in one group; trunks that were pretrained learn at their own rate."""

import pytest
import torch
from toys.shapes import experiment

from cross_modal.configuration import ObjectiveConfig, PartConfig
from cross_modal.encoders.build import build_twin
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.training.optimizer import build_optimizer

TEXTS = ["bar size 3", "pole size 4"]


@pytest.mark.parametrize("loss", ["SupConLoss", "ArcFaceLoss", "SigLIPLoss"])
def test_every_parameter_once_and_decay_for_matrices_only(loss: str) -> None:
    settings = experiment()
    twin = build_twin(settings.twin, TEXTS)
    criterion = CrossModalLoss(ObjectiveConfig(loss=PartConfig(loss)), twin.dim, 4)
    optimizer = build_optimizer(twin, criterion, settings.training)
    found = [id(p) for group in optimizer.param_groups for p in group["params"]]
    expected = [id(p) for module in (twin, criterion) for p in module.parameters()]
    assert sorted(found) == sorted(expected)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays[id(twin.head.projection.weight)] > 0
    assert decays[id(twin.head.pooling.query_projection.weight)] > 0
    for parameter in (twin.head.pooling.query, twin.head.projection, twin.image.position, twin.text.embedding.weight):
        if isinstance(parameter, torch.nn.Parameter):
            assert decays[id(parameter)] == 0
    assert all(decays[id(p)] == 0 for p in criterion.parameters())
    assert all(decays[id(p)] == 0 for p in twin.parameters() if p.ndim < 2)


def test_pretrained_trunks_learn_slowly_and_frozen_ones_not_at_all() -> None:
    settings = experiment(learning_rate=1e-3, trunk_learning_rate=1e-5)
    twin = build_twin(settings.twin, TEXTS)
    twin.image.pretrained = True
    twin.text.requires_grad_(False)
    optimizer = build_optimizer(twin, torch.nn.Identity(), settings.training)
    peaks = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    assert {peaks[id(p)] for p in twin.image.parameters()} == {1e-5}
    assert {peaks[id(p)] for p in twin.head.parameters()} == {1e-3}
    assert not any(id(p) in peaks for p in twin.text.parameters())
