"""Layer-wise decay: each block learns at the decay times the rate of the block above, embeddings slowest."""

import pytest
import torch
from toys.shapes import experiment
from toys.tiny_open_clip import open_clip_experiment

from cross_modal.encoders.build import build_twin
from cross_modal.errors import CrossModalError
from cross_modal.training.optimizer import build_optimizer


def test_rates_fall_geometrically_from_the_top() -> None:
    settings = open_clip_experiment(learning_rate=1e-2, trunk_learning_rate=1e-4, layer_decay=0.5)
    twin = build_twin(settings.twin)
    optimizer = build_optimizer(twin, torch.nn.Identity(), settings.training)
    peaks = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    tower = twin.image.tower
    for layer, expected in enumerate((0.25e-4, 0.5e-4, 1e-4)):
        found = {peaks[id(p)] for p in tower.transformer.resblocks[layer].parameters()}
        assert sorted(found) == pytest.approx([expected])
    assert peaks[id(tower.conv1.weight)] == peaks[id(tower.positional_embedding)] == pytest.approx(0.125e-4)
    assert peaks[id(tower.proj)] == peaks[id(tower.ln_post.weight)] == pytest.approx(1e-4)
    assert peaks[id(twin.text.tower.token_embedding.weight)] == pytest.approx(0.125e-4)
    assert {peaks[id(p)] for p in twin.head.parameters()} == {1e-2}
    assert len(peaks) == sum(1 for p in twin.parameters() if p.requires_grad)


def test_no_decay_is_the_optimizer_as_it_was() -> None:
    settings = open_clip_experiment()
    twin = build_twin(settings.twin)
    optimizer = build_optimizer(twin, torch.nn.Identity(), settings.training)
    assert len(optimizer.param_groups) == 4  # trunk and head, decayed and not


@pytest.mark.parametrize("decay", [0.0, -1.0, 1.5, float("nan")])
def test_a_decay_out_of_its_range_is_refused(decay: float) -> None:
    settings = open_clip_experiment(layer_decay=decay)
    with pytest.raises(CrossModalError, match=r"training\.layer_decay: expected a factor above 0, of at most 1"):
        build_optimizer(build_twin(settings.twin), torch.nn.Identity(), settings.training)


def test_trunks_from_scratch_have_nothing_to_spare() -> None:
    settings = experiment(layer_decay=0.7)
    with pytest.raises(CrossModalError, match=r"training\.layer_decay: expected a pretrained trunk, found none"):
        build_optimizer(build_twin(settings.twin, ["a", "b"]), torch.nn.Identity(), settings.training)
