"""Training a part of a pretrained twin: which blocks move, what is kept, and the warning where tuning made it worse."""

from pathlib import Path

import pytest
import torch
from toys.shapes import experiment, shapes
from toys.tiny_open_clip import open_clip_experiment

from cross_modal.configuration import LoraConfig, TrainingConfig, TwinConfig
from cross_modal.encoders.build import build_twin
from cross_modal.errors import CrossModalError
from cross_modal.training.loop import TrainingResult, train
from cross_modal.training.partial import PartialTraining, twin_settings


def run(folder: Path, **training: object) -> tuple[dict[str, torch.Tensor], TrainingResult]:
    settings = open_clip_experiment(trunk_learning_rate=1e-3, **training)
    torch.manual_seed(settings.training.seed)
    start = build_twin(settings.twin).state_dict()
    return start, train(settings, shapes(per_class=4), folder=folder)


def test_only_the_last_blocks_move(tmp_path: Path) -> None:
    start, result = run(tmp_path, last_blocks=1)
    state = result.twin.state_dict()
    for tower in ("image.tower.", "text.tower."):
        moved = {name for name in start if name.startswith(tower) and not torch.equal(start[name], state[name])}
        assert any("resblocks.2." in name for name in moved)
        assert not any(below in name for name in moved for below in ("resblocks.0.", "resblocks.1.", "embedding"))


def test_averaging_is_never_worse_on_validation_than_either_end(tmp_path: Path) -> None:
    start, result = run(tmp_path, weight_averaging=4, steps=9)
    (message,) = [text for text in result.messages if text.startswith("weight averaging")]
    words = message.replace(";", "").replace(")", "").replace("(", "").replace(",", "").split()
    alpha, best, tuned, before = (float(words[place]) for place in (2, words.index("validation") + 1, -5, -1))
    assert best >= max(tuned, before)
    assert result.best_score == pytest.approx(best, abs=1e-4)
    if alpha == 0:
        assert all(torch.equal(start[name], value) for name, value in result.twin.state_dict().items())


def test_lora_and_averaging_together_stay_on_the_line_of_plain_weights(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    start, result = run(tmp_path, weight_averaging=2, lora=LoraConfig(rank=2, learning_rate=1e-2))
    assert set(result.twin.state_dict()) == set(start)
    assert any(text.startswith("weight averaging") for text in result.messages)


@pytest.mark.parametrize(("tuned", "warns"), [(0.5, True), (0.7, False), (0.9, False), (None, False)])
def test_a_tuned_twin_below_the_pretrained_one_is_told(tuned: float | None, warns: bool) -> None:
    messages: list[str] = []
    partial = PartialTraining(build_twin(open_clip_experiment().twin), TrainingConfig(), messages.append)
    partial.measure_start(lambda _: {"validation/score": 0.7})
    assert partial.finish(lambda _: {}, tuned) == tuned
    assert bool(messages) is warns
    if warns:
        assert "scores 0.5000 on validation, below the 0.7000 of the pretrained model" in messages[0]


def test_a_twin_from_scratch_is_not_measured_before_it_learned() -> None:
    messages: list[str] = []
    partial = PartialTraining(build_twin(experiment().twin, ["a", "b"]), TrainingConfig(), messages.append)
    partial.measure_start(lambda _: pytest.fail("it knows nothing yet"))
    partial.finish(lambda _: {}, 0.1)
    assert not messages


def test_measuring_the_start_changes_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, with_it = run(tmp_path / "a")
    monkeypatch.setattr(PartialTraining, "measure_start", lambda *_: None)
    _, without = run(tmp_path / "b")
    other = without.twin.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in with_it.twin.state_dict().items())


@pytest.mark.parametrize(
    ("freeze", "training", "message"),
    [
        ("none", {"last_blocks": -1}, r"training\.last_blocks: expected 0 or more"),
        ("trunk", {"last_blocks": 2}, r"training\.last_blocks 2: expected twin\.freeze none, found 'trunk'"),
        (
            "none",
            {"last_blocks": 1, "lora": LoraConfig(rank=2)},
            r"training\.lora: expected twin\.freeze none .* 'last:1'",
        ),
        ("trunk", {"lora": LoraConfig(rank=2)}, r"training\.lora: expected twin\.freeze none"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(freeze: str, training: dict, message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        twin_settings(TwinConfig(freeze=freeze), TrainingConfig(**training))


def test_there_must_be_something_to_go_back_to() -> None:
    twin = build_twin(experiment().twin, ["a", "b"])
    with pytest.raises(CrossModalError, match=r"training\.weight_averaging: expected a pretrained trunk, found none"):
        PartialTraining(twin, TrainingConfig(weight_averaging=3), print)
    with pytest.raises(CrossModalError, match=r"training\.weight_averaging: expected 0 or more, found -1"):
        PartialTraining(twin, TrainingConfig(weight_averaging=-1), print)
