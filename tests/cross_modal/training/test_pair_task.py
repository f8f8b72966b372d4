"""Pairs, triplets and pairs made of classes train: they learn, repeat themselves, and say what they cannot do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.judged import judged, sentences, shape_pairs, text_experiment, triplets, with_loss
from toys.shapes import experiment, shapes

from cross_modal.configuration import Experiment, PartConfig
from cross_modal.data.items import Items
from cross_modal.data.one_sided import one_sided
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import DifferenceHead, SimilarityHead
from cross_modal.training.checkpoint import load_checkpoint
from cross_modal.training.loop import BEST, Silence, TrainingResult, train
from cross_modal.training.pair_validation import PairValidation
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.validation import SCORE


class Ledger(Silence):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.validations: list[dict[str, float]] = []
        self.messages: list[str] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.steps.append(metrics)

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        self.validations.append(metrics)

    def on_message(self, text: str) -> None:
        self.messages.append(text)

    @property
    def losses(self) -> list[float]:
        return [metrics["train/loss"] for metrics in self.steps]


def learned(settings: Experiment, data: Items | Pairs | Triplets, folder: Path) -> tuple[TrainingResult, Ledger]:
    ledger = Ledger()
    return train(settings, data, folder=folder, listener=ledger, resumable=False), ledger


def longer() -> Experiment:
    return experiment(steps=60, validate_every=30, learning_rate=5e-3, warm_up=5)


def from_classes(settings: Experiment) -> Experiment:
    settings.pairs.from_classes, settings.pairs.refresh, settings.pairs.batch.pairs = True, 2, 24
    return settings


@pytest.mark.parametrize("head", ["similarity", "difference"])
def test_pictures_in_pairs_learn_to_be_told_apart(tmp_path: Path, head: str) -> None:
    result, ledger = learned(with_loss(longer(), "PairHeadLoss", head=head), shape_pairs(), tmp_path)
    assert ledger.losses[-1] < 0.6 * ledger.losses[0]
    assert result.best_score is not None
    assert result.best_score > 0.75
    assert result.best_score == max(metrics[SCORE] for metrics in ledger.validations)
    assert isinstance(result.head, DifferenceHead if head == "difference" else SimilarityHead)
    assert not result.head.training
    assert result.twin.text is None


@pytest.mark.parametrize("trunk", ["gru", "transformer"])
def test_texts_need_no_picture(tmp_path: Path, trunk: str) -> None:
    settings = text_experiment(longer(), trunk)
    result, ledger = learned(settings, judged(sentences(), same_share=0.2), tmp_path)
    assert result.twin.image is None
    assert ledger.losses[-1] < 0.7 * ledger.losses[0]
    assert "pairs to train on: 40 same and 160 different pairs (20.0 % same)" in ledger.messages[1]
    assert {metrics["train/same_share"] for metrics in ledger.steps} == {0.5}
    assert ledger.steps[0]["train/same_pairs"] == 16


@pytest.mark.parametrize("loss", ["CoSENTLoss", "RegressionLoss", "PairHeadLoss"])
def test_graded_pairs_are_judged_by_their_order(tmp_path: Path, loss: str) -> None:
    settings = with_loss(text_experiment(longer(), "transformer"), loss)
    _, ledger = learned(settings, judged(sentences(), graded=True), tmp_path)
    assert np.mean(ledger.losses[-5:]) < np.mean(ledger.losses[:5])
    assert ledger.validations[-1][SCORE] == ledger.validations[-1]["validation/verification/spearman"]


@pytest.mark.parametrize("loss", ["TripletMarginLoss", "PairHeadLoss", "CircleLoss"])
def test_triplets_train_as_they_are_given(tmp_path: Path, loss: str) -> None:
    settings = with_loss(text_experiment(experiment(steps=3)), loss)
    result, ledger = learned(settings, triplets(sentences()), tmp_path)
    assert ledger.steps[0]["train/pairs"] == 64  # thirty-two triplets, two pairs each
    assert "validation/verification/triplet_accuracy" in ledger.validations[-1]
    assert (result.head is None) == (loss != "PairHeadLoss")


@pytest.mark.parametrize("loss", ["ContrastiveLoss", "MultiSimilarityLoss", "MarginLoss", "SupConLoss"])
@pytest.mark.parametrize("within", ["batch", "item"])
def test_other_losses_over_pairs_train_too(tmp_path: Path, loss: str, within: str) -> None:
    settings = with_loss(text_experiment(experiment(steps=2)), loss)
    settings.pairs.objective.compare_within = within  # type: ignore[assignment]
    _, ledger = learned(settings, judged(sentences()), tmp_path)
    assert all(np.isfinite(ledger.losses))
    assert ledger.steps[-1]["train/usable_anchors"] > 0
    assert "train/kept_pairs" not in ledger.steps[0]  # nothing was mined


def test_a_miner_is_heard_of(tmp_path: Path) -> None:
    settings = with_loss(text_experiment(experiment(steps=2)), "MultiSimilarityLoss")
    settings.pairs.objective.miner = PartConfig("MultiSimilarityMiner")
    _, ledger = learned(settings, judged(sentences()), tmp_path)
    assert "train/kept_pairs" in ledger.steps[0]


def test_a_picture_and_its_name_are_a_pair(tmp_path: Path) -> None:
    items = one_sided(shapes())
    data = judged(items)
    across = items.has_image[data.a] != items.has_image[data.b]
    data = replace(data, **{name: getattr(data, name)[across] for name in ("a", "b", "same", "splits", "rows")})
    result, ledger = learned(experiment(steps=3), data, tmp_path)
    assert result.twin.image is not None
    assert result.twin.text is not None
    assert ledger.steps[-1]["health/text_gradient_norm"] > 0
    assert ledger.steps[-1]["health/image_gradient_norm"] > 0


def test_classes_make_pairs_of_both_modalities_with_hard_negatives(tmp_path: Path) -> None:
    result, ledger = learned(from_classes(experiment()), shapes(), tmp_path)
    assert "made of 20 classes of shapes (image with image, image with text)" in ledger.messages[0]
    assert "hard negatives: looked up 2 times, of 20 classes last" in result.messages
    assert {"validation/verification/picture_picture/eer", "validation/verification/picture_text/eer"} <= set(
        ledger.validations[-1]
    )
    assert ledger.steps[-1]["health/modality_gap"] > 0


def test_classes_that_are_turned_make_pairs_too(tmp_path: Path) -> None:
    settings = from_classes(experiment(steps=4))
    settings.augmentation.quarter_turns = True
    assert learned(settings, shapes(texts=False), tmp_path)[0].steps == 4


def test_signatures_with_forgeries_train(tmp_path: Path) -> None:
    items = shapes(texts=False)
    genuine = np.arange(len(items)) % 3 > 0
    result, _ = learned(from_classes(experiment()), replace(items, genuine=genuine), tmp_path)
    assert result.best_score is not None


def test_a_frozen_trunk_gives_its_tokens_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSS_MODAL_CACHE", str(tmp_path / "cache"))
    settings = experiment(warm_up=9)
    settings.twin.freeze = "trunk"
    shared, data = SharedParts(), shape_pairs()
    first, again = Ledger(), Ledger()
    for ledger in (first, again):
        train(settings, data, folder=tmp_path, listener=ledger, shared=shared)
    assert first.losses == again.losses
    assert "0 encoded" in again.messages[-1]
    classes = from_classes(experiment(warm_up=9))
    classes.twin.freeze = "trunk"
    assert learned(classes, shapes(texts=False), tmp_path)[0].steps == 6


@pytest.mark.parametrize("kind", ["pairs", "classes"])
def test_the_same_seed_repeats_the_run_and_another_does_not(tmp_path: Path, kind: str) -> None:
    def losses(**training: object) -> list[float]:
        settings = experiment(**training)
        settings.items.memory_gigabytes = 0.0 if training.pop("streamed", False) else 2.0
        data = shape_pairs() if kind == "pairs" else shapes()
        return learned(settings if kind == "pairs" else from_classes(settings), data, tmp_path)[1].losses

    assert losses() == losses()
    assert losses() != losses(seed=2)


def test_pictures_decoded_ahead_change_nothing(tmp_path: Path) -> None:
    kept, streamed = from_classes(experiment(micro_batch=5)), from_classes(experiment(micro_batch=5))
    streamed.items.memory_gigabytes = 0.0
    assert learned(kept, shapes(), tmp_path)[1].losses == learned(streamed, shapes(), tmp_path)[1].losses


def test_the_test_split_is_never_looked_at(tmp_path: Path) -> None:
    data = shape_pairs()
    images = data.items.images.copy()
    images[data.items.splits == "test"] = "no/such/file.png"
    blinded = replace(data, items=replace(data.items, images=images))
    assert learned(experiment(), blinded, tmp_path)[1].losses == learned(experiment(), data, tmp_path)[1].losses


def test_both_sides_go_through_the_very_same_weights(tmp_path: Path) -> None:
    result, _ = learned(text_experiment(experiment(steps=1)), judged(sentences()), tmp_path)
    twin = result.twin
    assert twin.text is not None
    assert twin.text_head is None
    texts = sentences().texts.tolist()[:2]
    used = []
    for text in texts:  # one side, then the other: the gradients reach the identical parameters
        twin.zero_grad()
        twin.encode_text(twin.text.tokenize([text])).sum().backward()
        used.append([id(parameter) for parameter in twin.parameters() if parameter.grad is not None])
    assert used[0] == used[1]
    assert used[0]


def test_turning_the_pairs_round_changes_nothing(tmp_path: Path) -> None:
    data = judged(sentences())
    turned = replace(data, a=data.b, b=data.a)
    settings = with_loss(text_experiment(experiment()), "PairHeadLoss", head="difference")
    one, other = (learned(settings, each, tmp_path) for each in (data, turned))
    assert one[1].losses == pytest.approx(other[1].losses, abs=1e-6)
    assert one[1].validations[0][SCORE] == pytest.approx(other[1].validations[0][SCORE])


def test_the_best_head_comes_with_the_best_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.1])
    monkeypatch.setattr(PairValidation, "measure", lambda self, twin: {SCORE: next(scores)})
    result, _ = learned(with_loss(experiment(), "PairHeadLoss", head="difference"), shape_pairs(), tmp_path)
    saved = load_checkpoint(tmp_path / BEST)
    assert saved["step"] == result.best_step == 3
    assert result.head is not None
    assert torch.equal(saved["criterion"]["term.head.weight"], result.head.weight.detach())


def test_other_measures_are_taken_of_validation_classes(tmp_path: Path) -> None:
    ledger = Ledger()
    settings = from_classes(experiment())
    train(settings, shapes(), folder=tmp_path, listener=ledger, measure=lambda items, metric: {"luck": 7.0})
    assert ledger.validations[-1]["validation/luck"] == 7.0
    assert ledger.validations[-1][SCORE] == 1 - ledger.validations[-1]["validation/verification/eer"]
    with pytest.raises(CrossModalError, match="expected items with classes to measure besides, found pairs"):
        train(experiment(), shape_pairs(), folder=tmp_path, measure=lambda items, metric: {})


def test_pairs_without_a_validation_split_train_without_a_score(tmp_path: Path) -> None:
    data = shape_pairs()
    keep = data.splits == "train"
    data = replace(data, **{name: getattr(data, name)[keep] for name in ("a", "b", "same", "splits", "rows")})
    result, _ = learned(experiment(), data, tmp_path)
    assert result.best_score is None
    assert result.best_step == 6
    assert learned(from_classes(experiment()), shapes().split("train"), tmp_path)[0].best_score is None


def test_what_cannot_train_says_so(tmp_path: Path) -> None:
    data = judged(sentences())
    one_verdict = replace(data, same=np.ones(len(data), bool))
    with pytest.raises(CrossModalError, match=r"sentences\.csv row 1: .* in the split train, found same = 1 in this"):
        train(text_experiment(experiment()), one_verdict, folder=tmp_path)
    settings = with_loss(text_experiment(experiment()), "ContrastiveLoss")
    with pytest.raises(CrossModalError, match="ContrastiveLoss: needs verdicts"):
        train(settings, judged(sentences(), graded=True), folder=tmp_path)
    with pytest.raises(CrossModalError, match="expected pairs in the split train, found none"):
        train(text_experiment(experiment()), replace(data, splits=np.full(len(data), "test", object)), folder=tmp_path)
    turned = text_experiment(experiment())
    turned.augmentation.quarter_turns = True
    with pytest.raises(CrossModalError, match="labelled pairs name no classes; set it to false"):
        train(turned, data, folder=tmp_path)
    empty = text_experiment(experiment())
    empty.pairs.batch.pairs = 0
    with pytest.raises(CrossModalError, match=r"pairs\.batch\.pairs: expected at least 1"):
        train(empty, data, folder=tmp_path)
    with pytest.raises(CrossModalError, match="ArcFaceLoss"):
        train(with_loss(text_experiment(experiment()), "ArcFaceLoss"), data, folder=tmp_path)
