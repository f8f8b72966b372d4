"""The two checkpoints of a training: a full disk costs one and says so; what is no state is refused."""

import os
from pathlib import Path

import pytest
import torch
from toys.shapes import experiment, shapes

from cross_modal.errors import CrossModalError
from cross_modal.training.checkpoint import load_checkpoint, save_checkpoint
from cross_modal.training.checkpoints import BEST, LAST
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop


def loop(folder: Path, **training: object) -> Loop:
    return Loop(experiment(**training), shapes(per_class=4), folder, Silence())


def test_a_full_disk_leaves_the_checkpoint_before_and_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = loop(tmp_path).checkpoints
    assert checkpoints.keep() is None
    before = (tmp_path / LAST).read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = checkpoints.keep()
    assert said is not None
    assert said.startswith("step 0: ")
    assert "last.pt: the checkpoint could not be written" in said
    assert (tmp_path / LAST).read_bytes() == before
    with pytest.raises(CrossModalError, match="could not be written"):
        checkpoints.keep_best()  # what training will have given is not given up in silence


def test_the_best_weights_come_back_and_the_last_ones_stay_where_they_are_the_best(tmp_path: Path) -> None:
    training = loop(tmp_path)
    weight = next(training.twin.parameters())
    training.result.steps, training.result.best_step, training.result.best_score = 3, 3, 0.5
    best = weight.detach().clone()
    training.checkpoints.keep_best()
    with torch.no_grad():
        weight.add_(1)
    training.checkpoints.restore_best()
    assert torch.equal(weight, best + 1)  # step 3 is the best, and this is step 3
    training.result.steps = 5
    training.checkpoints.restore_best()
    assert torch.equal(weight, best)


def test_weights_alone_are_no_state_to_go_on_from(tmp_path: Path) -> None:
    checkpoints = loop(tmp_path).checkpoints
    checkpoints.keep_best()
    save_checkpoint(tmp_path / LAST, load_checkpoint(tmp_path / BEST))
    with pytest.raises(CrossModalError, match=r"last\.pt: expected a state to go on from, found weights alone"):
        checkpoints.go_on()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    loop(tmp_path).checkpoints.keep()
    with pytest.raises(CrossModalError, match="seed"):
        loop(tmp_path, seed=2).checkpoints.go_on()
