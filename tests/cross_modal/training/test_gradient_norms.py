"""Each tower's gradient norm, and none for a tower without a gradient."""

import pytest
import torch
from toys.shapes import experiment

from cross_modal.encoders.build import build_twin
from cross_modal.training.gradient_norms import gradient_norms


def test_it_is_the_norm_of_all_gradients_of_a_tower() -> None:
    twin = build_twin(experiment().twin, ["a box"])
    assert gradient_norms(twin) == {}
    twin.encode_image(torch.randn(3, 1, 16, 16)).sum().backward()
    (name,) = found = gradient_norms(twin)
    assert name == "health/image_gradient_norm"
    flat = torch.cat([p.grad.flatten() for part in (twin.image, twin.image_map) for p in part.parameters()])
    assert found[name] == pytest.approx(float(flat.norm()), rel=1e-5)
    assert found[name] > 0
