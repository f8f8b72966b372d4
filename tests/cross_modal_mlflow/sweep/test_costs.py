"""Costs: weights are counted by their bytes, and encoding takes time for every side that the twin has."""

from dataclasses import replace

import torch
from toys.shapes import experiment

from cross_modal.configuration import ImageTrunkConfig
from cross_modal.encoders.build import build_twin
from cross_modal_mlflow.sweep.costs import latency_ms, weights_mb

TEXTS = ["bar size 3", "box size 4"]


def test_weights_are_counted_in_bytes_and_shared_ones_once() -> None:
    twin = build_twin(experiment().twin, TEXTS)
    numbers = sum(tensor.numel() * tensor.element_size() for tensor in twin.state_dict().values())
    assert abs(weights_mb(twin) - numbers / 1e6) < 0.01
    whole = weights_mb(twin)
    twin.add_module("again", twin.image)
    assert weights_mb(twin) == whole
    assert weights_mb(twin.to(torch.float16)) < 0.6 * whole


def test_latency_counts_the_sides_that_there_are() -> None:
    twin = build_twin(experiment().twin, TEXTS)
    calls: list[str] = []
    twin.image.register_forward_hook(lambda *_: calls.append("image"))
    twin.text.register_forward_hook(lambda *_: calls.append("text"))
    assert 0 < latency_ms(twin, repeats=3) < 1000
    assert calls.count("image") == calls.count("text") == 6
    assert twin.training, "its mode is restored"
    words = build_twin(replace(experiment().twin, image=ImageTrunkConfig(name="none")), TEXTS)
    assert latency_ms(words, repeats=3) > 0
