"""Training a head on a frozen trunk: through the feature store without being told, to the same losses."""

from pathlib import Path

import pytest
from toys.shapes import experiment, shapes

from cross_modal.configuration import Experiment
from cross_modal.training.loop import Silence, train


class Losses(Silence):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.messages: list[str] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.losses.append(metrics["train/loss"])

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def frozen(store: bool) -> Experiment:
    settings = experiment(steps=12, validate_every=6)
    settings.twin.freeze = "trunk"
    settings.items.feature_store = store
    settings.augmentation.views = 2
    settings.health.stop_on_collapse = False  # random trunks tell these shapes apart badly
    return settings


def run(settings: Experiment, folder: Path) -> Losses:
    heard = Losses()
    train(settings, shapes(per_class=4), folder=folder, listener=heard)
    return heard


def test_stored_tokens_give_the_same_losses(tmp_path: Path) -> None:
    encoded = run(frozen(store=False), tmp_path)
    stored = run(frozen(store=True), tmp_path)
    assert stored.losses == pytest.approx(encoded.losses, rel=1e-3)


def test_a_second_run_reads_everything_and_gives_the_very_same_losses(tmp_path: Path) -> None:
    first, second = (run(frozen(store=True), tmp_path) for _ in range(2))
    assert first.losses == second.losses
    assert any(": 0 encoded" in message for message in second.messages)
    assert not any(": 0 encoded" in message for message in first.messages)


def test_a_trunk_that_learns_uses_no_store(tmp_path: Path) -> None:
    settings = frozen(store=True)
    settings.twin.freeze = "none"
    assert not any("feature store" in message for message in run(settings, tmp_path).messages)
