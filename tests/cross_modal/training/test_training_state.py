"""A training that is broken off and taken up again has the losses that it would have had, bit for bit."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys.judged import judged, sentences, shape_pairs, text_experiment, triplets
from toys.shapes import experiment, shapes
from toys.shapes_on_disk import write_shape_shards

from cross_modal.configuration import Experiment, MemoryConfig, PartConfig
from cross_modal.data import shard_listing
from cross_modal.data.items import Items
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError
from cross_modal.objectives.health import HealthMonitor
from cross_modal.training.checkpoint import load_checkpoint, save_checkpoint
from cross_modal.training.loop import BEST, LAST, Silence, train
from cross_modal.training.training_state import _otherwise, machine


class Ledger(Silence):
    """Writes down the losses by step, and may break off."""

    def __init__(self, break_after: int | None = None) -> None:
        self.losses: dict[int, dict[str, float]] = {}
        self.scores: dict[int, dict[str, float]] = {}
        self.break_after = break_after

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        assert step not in self.losses
        self.losses[step] = {name: value for name, value in metrics.items() if "per_second" not in name}
        if step == self.break_after:
            raise MemoryError("killed")

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        self.scores[step] = metrics


def with_memory(settings: Experiment) -> Experiment:
    settings.objective.memory = MemoryConfig(size=64, warm_up=2)
    return settings


def with_miner(settings: Experiment) -> Experiment:
    settings.objective.loss = PartConfig("TripletMarginLoss", {"margin": 0.2})
    settings.objective.miner = PartConfig("TripletMarginMiner", {"margin": 0.3, "type_of_triplets": "all"})
    return settings


def with_histogram(settings: Experiment) -> Experiment:
    settings.objective.loss = PartConfig("DynamicSoftMarginLoss", {})
    return settings


def with_micro_batches_and_streamed_pictures(settings: Experiment) -> Experiment:
    settings.training.micro_batch = 7
    settings.items.memory_gigabytes = 0.0
    settings.items.workers = 2
    return settings


def with_pairs_of_classes(settings: Experiment) -> Experiment:
    settings.pairs.from_classes = True
    settings.pairs.refresh = 4
    return settings


def with_dropout(settings: Experiment) -> Experiment:
    settings.twin.text.dropout = 0.3  # draws from torch's random numbers in every step
    return settings


def with_frozen_trunks(settings: Experiment) -> Experiment:
    settings.twin.freeze = "trunk"
    settings.health.stop_on_collapse = False  # random trunks tell these shapes apart badly
    return settings


def plain(settings: Experiment) -> Experiment:
    return settings


KINDS = [
    plain, with_memory, with_miner, with_histogram, with_micro_batches_and_streamed_pictures, with_pairs_of_classes,
    with_dropout, with_frozen_trunks,
]  # fmt: skip


@pytest.mark.parametrize("broken", [3, 5, 9, 10])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_later_losses_scores_and_weights_are_those_of_an_unbroken_training(
    kind: Callable[[Experiment], Experiment], broken: int, tmp_path: Path
) -> None:
    check_that_it_goes_on(kind(settings_of_twelve_steps()), shapes(), broken, tmp_path)


@pytest.mark.parametrize("broken", [5, 9])
@pytest.mark.parametrize("data", ["pairs", "graded pairs", "triplets", "sentences"])
def test_so_it_is_on_labelled_pairs_and_triplets(data: str, broken: int, tmp_path: Path) -> None:
    settings = settings_of_twelve_steps()
    settings.pairs.batch.pairs = 16
    if data == "sentences":
        settings = text_experiment(settings)
        settings.pairs.objective.loss = PartConfig("PairHeadLoss", {"head": "difference"})
    elif data == "triplets":
        settings.pairs.objective.loss = PartConfig("DynamicSoftMarginLoss")
    kinds = {
        "pairs": shape_pairs,
        "graded pairs": lambda: shape_pairs(graded=True),
        "triplets": lambda: triplets(shapes(texts=False)),
        "sentences": lambda: judged(sentences()),
    }
    check_that_it_goes_on(settings, kinds[data](), broken, tmp_path)


def test_so_it_is_on_shards_which_are_listed_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shape_shards(tmp_path)
    listed: list[str] = []
    really = shard_listing.list_shard
    noted = lambda shard, limit: listed.append(shard.name) or really(shard, limit)  # noqa: E731
    monkeypatch.setattr(shard_listing, "list_shard", noted)
    settings = with_micro_batches_and_streamed_pictures(settings_of_twelve_steps())
    settings.training.micro_batch = 0
    whole, first, second = Ledger(), Ledger(break_after=8), Ledger()
    train(settings, read_items(f"webdataset:{tmp_path}/*.tar"), folder=tmp_path / "whole", listener=whole)
    items = read_items(f"webdataset:{tmp_path}/*.tar")
    with pytest.raises(MemoryError):
        train(settings, items, folder=tmp_path / "broken", listener=first)
    listed.clear()
    items = read_items(f"webdataset:{tmp_path}/*.tar")  # as another process does
    train(settings, items, folder=tmp_path / "broken", listener=second, resume=True)
    assert listed == [f"s-{shard}.tar" for shard in range(5)]
    assert min(second.losses) == 7  # after the checkpoint of step 6
    assert first.losses | second.losses == whole.losses
    assert second.losses == {step: whole.losses[step] for step in second.losses}


def settings_of_twelve_steps() -> Experiment:
    return experiment(steps=12, validate_every=5, checkpoint_every=3, warm_up=2)


def check_that_it_goes_on(settings: Experiment, data: Items | Pairs | Triplets, broken: int, folder: Path) -> None:
    """Breaks a training off after some steps, and compares what it gives then with one that was not."""
    whole, first, second = Ledger(), Ledger(break_after=broken), Ledger()
    unbroken = train(settings, data, folder=folder / "whole", listener=whole)
    with pytest.raises(MemoryError):
        train(settings, data, folder=folder / "broken", listener=first)
    torch.rand(17)  # whatever else draws in between
    np.random.rand(3)
    if not (folder / "broken" / LAST).exists():
        assert broken <= 3
        return
    resumed = train(settings, data, folder=folder / "broken", listener=second, resume=True)
    assert any(message.startswith("resumed after step") for message in resumed.messages)
    assert second.losses == {step: whole.losses[step] for step in second.losses}
    assert first.losses | second.losses == whole.losses
    assert first.scores | second.scores == whole.scores
    assert (resumed.best_step, resumed.best_score, resumed.steps) == (
        unbroken.best_step, unbroken.best_score, unbroken.steps,
    )  # fmt: skip
    for name, weight in unbroken.twin.state_dict().items():
        assert torch.equal(weight, resumed.twin.state_dict()[name]), name
    if unbroken.head is not None and resumed.head is not None:
        for mine, other in zip(unbroken.head.parameters(), resumed.head.parameters(), strict=True):
            assert torch.equal(mine, other)


def test_a_training_that_had_ended_takes_no_further_step(tmp_path: Path) -> None:
    items, settings, again = shapes(), experiment(steps=6, validate_every=3), Ledger()
    done = train(settings, items, folder=tmp_path)
    resumed = train(settings, items, folder=tmp_path, listener=again, resume=True)
    assert again.losses == {}
    assert (resumed.best_step, resumed.best_score) == (done.best_step, done.best_score)


def test_patience_that_ran_out_stays_run_out(tmp_path: Path) -> None:
    settings, again = experiment(steps=40, validate_every=2, patience=1, learning_rate=1e-9), Ledger()
    done = train(settings, shapes(), folder=tmp_path)
    assert done.stopped is not None
    resumed = train(settings, shapes(), folder=tmp_path, listener=again, resume=True)
    assert again.losses == {}
    assert resumed.stopped == done.stopped


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda settings: replace(settings, data="elsewhere"), "expected data"),
        (lambda settings: replace(settings, training=replace(settings.training, seed=9)), "expected training.seed 0"),
        (lambda settings: replace(settings, training=replace(settings.training, steps=9)), "expected training.steps 6"),
    ],
)
def test_other_settings_are_refused_by_name(change: Any, found: str, tmp_path: Path) -> None:
    settings = experiment(steps=6, validate_every=3, seed=0)
    train(settings, shapes(), folder=tmp_path)
    with pytest.raises(CrossModalError, match=found):
        train(change(settings), shapes(), folder=tmp_path, resume=True)


def test_other_items_are_refused(tmp_path: Path) -> None:
    settings = experiment(steps=6, validate_every=3)
    train(settings, shapes(), folder=tmp_path)
    with pytest.raises(CrossModalError, match="other items"):
        train(settings, shapes(per_class=5), folder=tmp_path, resume=True)


def test_another_machine_or_version_is_told_of(tmp_path: Path) -> None:
    settings = experiment(steps=6, validate_every=3)
    train(settings, shapes(), folder=tmp_path)
    same = train(settings, shapes(), folder=tmp_path, resume=True)
    assert not any("last digits" in message for message in same.messages)
    kept = load_checkpoint(tmp_path / LAST)
    kept["machine"] |= {"torch": "1.0", "threads": "64"}
    save_checkpoint(tmp_path / LAST, kept)
    (said,) = [m for m in train(settings, shapes(), folder=tmp_path, resume=True).messages if "last digits" in m]
    assert f"torch {torch.__version__}, not 1.0 and threads {torch.get_num_threads()}, not 64" in said


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected a checkpoint, found no such file"):
        train(experiment(), shapes(), folder=tmp_path, resume=True)


def test_the_best_weights_alone_are_no_state(tmp_path: Path) -> None:
    settings = experiment(steps=6, validate_every=3)
    train(settings, shapes(), folder=tmp_path)
    os.replace(tmp_path / BEST, tmp_path / LAST)
    with pytest.raises(CrossModalError, match="found weights alone"):
        train(settings, shapes(), folder=tmp_path, resume=True)


def test_an_interrupt_inside_a_step_is_obeyed_after_it_and_nothing_is_lost(tmp_path: Path) -> None:
    settings, whole, again = experiment(steps=8, validate_every=8), Ledger(), Ledger()
    train(settings, shapes(), folder=tmp_path / "whole", listener=whole)

    class Interrupted(Ledger):
        def on_step(self, step: int, metrics: dict[str, float]) -> None:
            super().on_step(step, metrics)
            if step == 4:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(settings, shapes(), folder=tmp_path / "broken", listener=Interrupted())
    assert load_checkpoint(tmp_path / "broken" / LAST)["parts"]["progress"]["steps"] == 4
    train(settings, shapes(), folder=tmp_path / "broken", listener=again, resume=True)
    assert again.losses == {step: whole.losses[step] for step in (5, 6, 7, 8)}


def test_the_health_monitor_goes_on_counting() -> None:
    settings = experiment().health
    settings.idle_steps = 4
    silent = {"train/kept_pairs": 0.0}
    straight, first, second = (HealthMonitor(settings) for _ in range(3))
    said = [straight.check(step, silent) for step in range(6)]
    early = [first.check(step, silent) for step in range(3)]
    second.load_state_dict(first.state_dict())
    assert early + [second.check(step, silent) for step in range(3, 6)] == said
    assert sum(map(len, said)) == 1


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from cross_modal.training.checkpoint import save_checkpoint
from cross_modal.errors import CrossModalError
import torch
save_checkpoint(sys.argv[1], {"step": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_checkpoint(sys.argv[1], {"step": 2, "weights": torch.zeros(100_000)})
except CrossModalError as error:
    print(error)
"""


def test_a_disk_that_is_full_leaves_the_previous_checkpoint_whole_and_says_so(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE  # a limit on a file's size fails a write as a full disk does
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / LAST)], capture_output=True, text=True, check=True
    ).stdout
    assert "the checkpoint could not be written" in said
    assert "the previous one stays" in said
    assert load_checkpoint(tmp_path / LAST) == {"step": 1}
    assert [each.name for each in tmp_path.iterdir()] == [LAST]


def test_a_checkpoint_that_cannot_be_written_costs_the_training_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_modal.training import checkpoints

    real = checkpoints.save_checkpoint

    def full(path: Path, content: dict[str, Any]) -> None:
        if Path(path).name == LAST:
            raise CrossModalError(
                f"{path}: the checkpoint could not be written (no space left); the previous one stays"
            )
        real(path, content)

    monkeypatch.setattr(checkpoints, "save_checkpoint", full)
    result = train(experiment(steps=6, validate_every=3), shapes(), folder=tmp_path)
    assert result.steps == 6
    assert any("no space left" in message for message in result.messages)


def test_another_number_of_processes_is_said_in_the_notes(tmp_path: Path) -> None:
    settings, items = experiment(steps=4), shapes()
    settings.training.checkpoint_every = 3
    with pytest.raises(MemoryError):
        train(settings, items, folder=tmp_path, listener=Ledger(break_after=4))
    kept = load_checkpoint(tmp_path / LAST)
    kept["machine"] |= {"processes": "2"}
    save_checkpoint(tmp_path / LAST, kept)
    messages = train(settings, items, folder=tmp_path, resume=True).messages
    assert "resumed with processes 1, not 2: later losses may differ" in messages


def test_more_processes_are_told_of_too_and_as_many_are_not() -> None:
    one, two = (machine(torch.device("cpu"), processes) for processes in (1, 2))
    assert _otherwise(one, two) == "resumed with processes 2, not 1: later losses may differ"
    assert _otherwise(two, two) is None
