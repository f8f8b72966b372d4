"""The loop learns, repeats itself, keeps the best, never looks at the test split, and says why it stops."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.shapes import experiment, shapes

from cross_modal.configuration import ObjectiveConfig, PartConfig, TermWeights
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.objectives.health import TrainingStopped
from cross_modal.training.checkpoint import load_checkpoint
from cross_modal.training.inputs import StepInputs, TrainingInputs
from cross_modal.training.loop import BEST, Silence, train
from cross_modal.training.validation import SCORE, Validation


class Ledger(Silence):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.validations: list[tuple[int, dict[str, float]]] = []
        self.messages: list[str] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        assert step == len(self.steps) + 1
        self.steps.append(metrics)

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        self.validations.append((step, metrics))

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def losses(items: Items, folder: Path, **training: object) -> list[float]:
    ledger = Ledger()
    train(experiment(**training), items, folder=folder, listener=ledger)
    return [metrics["train/loss"] for metrics in ledger.steps]


def test_it_learns_to_tell_unseen_classes_apart(tmp_path: Path) -> None:
    items = shapes()
    settings = experiment(steps=120, validate_every=60, learning_rate=5e-3, warm_up=10)
    ledger = Ledger()
    result = train(settings, items, folder=tmp_path, listener=ledger)
    first, last = ledger.steps[0]["train/loss"], ledger.steps[-1]["train/loss"]
    assert last < 0.6 * first
    unseen = Validation(items.split("test"), result.twin, settings).measure(result.twin)
    assert unseen["validation/episodes/5way_1shot/accuracy"] > 0.6  # a guess is right in 0.2
    assert result.best_score == max(metrics[SCORE] for _, metrics in ledger.validations)
    assert not result.twin.training


def test_the_same_seed_repeats_the_run_and_another_does_not(tmp_path: Path) -> None:
    items = shapes()
    assert losses(items, tmp_path) == losses(items, tmp_path)
    assert losses(items, tmp_path) != losses(items, tmp_path, seed=2)


def test_pictures_decoded_ahead_change_nothing(tmp_path: Path) -> None:
    items = shapes()
    settings = experiment()
    kept, streamed = Ledger(), Ledger()
    train(settings, items, folder=tmp_path, listener=kept)
    settings.items.memory_gigabytes = 0.0
    train(settings, items, folder=tmp_path, listener=streamed)
    assert [m["train/loss"] for m in kept.steps] == [m["train/loss"] for m in streamed.steps]


def test_the_speed_counts_the_wait_for_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load, sizes = TrainingInputs.load, []

    def slow(inputs: TrainingInputs, step: int) -> StepInputs:
        time.sleep(0.2)
        found = load(inputs, step)
        sizes.append(found.size)
        return found

    monkeypatch.setattr(TrainingInputs, "load", slow)
    ledger = Ledger()
    train(experiment(steps=2), shapes(), folder=tmp_path, listener=ledger)
    for metrics, size in zip(ledger.steps, sizes, strict=True):
        assert 0 < metrics["train/items_per_second"] < size / 0.2


def test_the_test_split_is_never_looked_at(tmp_path: Path) -> None:
    items = shapes()
    blinded = np.array(
        [None if split == "test" else cell for cell, split in zip(items.images, items.splits, strict=False)] + [0],
        object,
    )[:-1]
    assert losses(replace(items, images=blinded), tmp_path) == losses(items, tmp_path)


def test_the_best_checkpoint_is_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.9, 0.1])
    monkeypatch.setattr(Validation, "measure", lambda self, twin: {SCORE: next(scores)})
    result = train(experiment(steps=9), shapes(), folder=tmp_path)
    saved = load_checkpoint(tmp_path / BEST)
    assert (result.best_step, result.best_score, saved["step"]) == (6, 0.9, 6)
    assert all(torch.equal(saved["twin"][name], tensor) for name, tensor in result.twin.state_dict().items())


def test_patience_ends_the_run_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validation, "measure", lambda self, twin: {SCORE: 0.5})
    ledger = Ledger()
    result = train(experiment(steps=30, patience=2), shapes(), folder=tmp_path, listener=ledger)
    assert result.steps == 9
    assert result.best_step == 3
    assert result.stopped in ledger.messages[-1]


def test_micro_batches_through_batch_statistics_are_warned_of(tmp_path: Path) -> None:
    result = train(experiment(micro_batch=4, steps=2), shapes(), folder=tmp_path)
    assert sum("statistics of its micro-batch" in message for message in result.messages) == 1
    assert not any("micro-batch" in message for message in train(experiment(), shapes(), folder=tmp_path).messages)


@pytest.mark.parametrize("missing", ["texts", "images"])
def test_one_modality_alone_is_a_twin_too(tmp_path: Path, missing: str) -> None:
    items = shapes(texts=missing != "texts")
    settings = experiment()
    if missing == "images":
        captions = [f"{text} number {row % 12}" for row, text in enumerate(items.texts)]
        items = Items.of(texts=captions, labels=items.labels, splits=items.splits, source="captions")
        settings.objective.terms = TermWeights(0, 0, 0, 1)
    ledger = Ledger()
    result = train(settings, items, folder=tmp_path, listener=ledger)
    assert (result.twin.text is None) == (missing == "texts")
    assert (result.twin.image is None) == (missing == "images")
    assert "the twin gets no" in ledger.messages[0]
    assert ledger.steps[-1]["train/usable_anchors"] > 0


def test_captions_without_labels_train_and_are_judged_by_retrieval(tmp_path: Path) -> None:
    items = shapes(labels=False)
    ledger = Ledger()
    settings = experiment()
    settings.objective.terms = TermWeights(1, 1, 0, 0)
    train(settings, items, folder=tmp_path, listener=ledger)
    assert ledger.steps[0]["train/usable_anchors"] > 0
    assert 0 <= ledger.validations[-1][1][SCORE] <= 1
    assert any(name.endswith("image_to_text/recall_at_1") for name in ledger.validations[-1][1])


def test_turned_pictures_are_classes_of_their_own(tmp_path: Path) -> None:
    settings = experiment()
    settings.augmentation.quarter_turns = True
    settings.objective.loss = PartConfig("ArcFaceLoss")  # has one proxy a class
    result = train(settings, shapes(), folder=tmp_path)
    proxies = load_checkpoint(tmp_path / BEST)["criterion"]
    assert any(80 in tensor.shape for tensor in proxies.values() if hasattr(tensor, "shape"))
    assert result.steps == 6


def test_a_loss_that_is_no_number_stops_before_it_spoils_the_weights(tmp_path: Path) -> None:
    settings = experiment(learning_rate=1e30, gradient_clip=0.0, warm_up=0)
    with pytest.raises(TrainingStopped, match=r"step \d+: the .* is (nan|inf)"):
        train(settings, shapes(), folder=tmp_path)


@pytest.mark.parametrize(
    "name", ["TripletMarginLoss", "ContrastiveLoss", "MultiSimilarityLoss", "CircleLoss", "ProxyAnchorLoss"]
)
def test_other_losses_train_too(tmp_path: Path, name: str) -> None:
    settings = experiment(steps=2)
    settings.objective = ObjectiveConfig(loss=PartConfig(name))
    ledger = Ledger()
    train(settings, shapes(), folder=tmp_path, listener=ledger)
    assert all(np.isfinite(metrics["train/loss"]) for metrics in ledger.steps)


def test_bfloat16_trains_with_the_loss_in_float32(tmp_path: Path) -> None:
    ledger = Ledger()
    train(experiment(steps=2, precision="bf16-mixed"), shapes(), folder=tmp_path, listener=ledger)
    assert all(np.isfinite(metrics["train/loss"]) for metrics in ledger.steps)


def test_no_training_items_and_unknown_monitors_are_named(tmp_path: Path) -> None:
    items = shapes()
    with pytest.raises(CrossModalError, match="shapes: expected items in the split train, found none"):
        train(experiment(), items.split("test"), folder=tmp_path)
    lonely = items.take(np.flatnonzero(items.labels == items.split("train").labels[0]))
    with pytest.raises(CrossModalError, match="shapes: expected at least 2 classes to train on, found 1"):
        train(experiment(), lonely, folder=tmp_path)
    with pytest.raises(
        CrossModalError, match=r"training\.monitor: expected a metric that grows .* 'validation/.*/eer'"
    ):
        train(experiment(monitor="validation/verification/eer"), items, folder=tmp_path)
    with pytest.raises(CrossModalError, match=r"training\.monitor: expected one of .* found 'validation/luck'"):
        train(experiment(monitor="validation/luck"), items, folder=tmp_path)
    with pytest.raises(CrossModalError, match="at least 1, found 0"):
        train(experiment(steps=0), items, folder=tmp_path)
