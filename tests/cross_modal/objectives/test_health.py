import math
import re

import pytest
import torch
from torch import nn

from cross_modal.configuration import HealthConfig, ObjectiveConfig, PartConfig, TermWeights
from cross_modal.errors import CrossModalError
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.health import HealthMonitor, TrainingStopped, embedding_gauges

FINE = {"train/loss": 2.0, "train/usable_anchors": 8.0, "health/image/spread": 0.9, "health/image_gradient_norm": 1.0}


def monitor(**changes):
    return HealthMonitor(HealthConfig(**({"idle_steps": 5} | changes)), warm_up=3)


def run(watch, metrics, steps=range(20)):
    return [warning for step in steps for warning in watch.check(step, metrics)]


def test_a_healthy_run_is_silent():
    assert run(monitor(), FINE) == []


@pytest.mark.parametrize("name", ["train/loss", "train/gradient_norm", "health/text_gradient_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stops_at_once(name, value):
    with pytest.raises(TrainingStopped, match=r"step 0: .* because .*; lower training\.learning_rate"):
        monitor().check(0, FINE | {name: value})
    assert issubclass(TrainingStopped, CrossModalError)


def test_collapse_stops_after_the_warm_up_but_not_for_one_odd_batch():
    watch, low = monitor(), FINE | {"health/image/spread": 0.01}
    for step in range(4):
        watch.check(step, low)
    watch.check(4, FINE)
    watch.check(5, low)
    with pytest.raises(TrainingStopped, match=r"the image embeddings have become alike .* because .*; lower"):
        watch.check(6, low)


def test_collapse_only_warns_where_asked_and_once():
    warnings = run(monitor(stop_on_collapse=False), {"health/text/spread": 0.01})
    assert len(warnings) == 1
    assert "text embeddings have become alike" in warnings[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"train/kept_pairs": 0.0}, "the miner has kept nothing for 5 steps, because .*; widen"),
        ({"train/kept_triplets": 0.0}, "the miner has kept nothing"),
        ({"train/usable_anchors": 0.0}, r"no anchor has had a positive .*; raise batch\.items"),
        ({"train/kept_positives": 4.0, "train/kept_negatives": 0.0}, "positives but no negative"),
        ({"train/loss": 0.0}, "exactly 0 for 5 steps"),
        ({"health/text_gradient_norm": 0.0}, r"text tower has had no gradient .*twin\.freeze"),
    ],
)
def test_idle_steps_in_a_row_warn_once(change, sentence):
    warnings = run(monitor(), FINE | change)
    assert len(warnings) == 1
    assert re.search(sentence, warnings[0])
    assert "\n" not in warnings[0]


def test_steps_without_a_metric_neither_count_nor_reset():
    watch, warnings = monitor(), []
    for step in range(20):
        warnings += watch.check(step, FINE | ({"train/kept_pairs": 0.0} if step % 4 == 0 else {}))
    assert len(warnings) == 1


def test_a_recovered_miner_is_not_blamed():
    watch, warnings = monitor(), []
    for step in range(20):
        warnings += watch.check(step, FINE | {"train/kept_pairs": float(step % 4 == 3)})
    assert warnings == []


def test_zero_gradients_before_the_warm_up_ends_are_normal():
    assert run(monitor(), FINE | {"health/image_gradient_norm": 0.0}, range(3)) == []
    assert HealthMonitor(HealthConfig(idle_steps=1)).check(0, {"health/image_gradient_norm": 0.0}, warm_up=5) == []


def test_few_dimensions_warn():
    warnings = run(monitor(), FINE | {"health/effective_rank": 1.2, "health/spread": 0.6})
    assert len(warnings) == 1
    assert "use 1.2 dimensions only" in warnings[0]


def test_a_real_collapse_is_caught():
    """A linear tower trained on attraction alone: only positives, pulled together."""
    torch.manual_seed(0)
    tower = nn.Linear(8, 16)
    config = ObjectiveConfig(
        PartConfig("ContrastiveLoss", {"pos_margin": 0.0, "neg_margin": 1e-4}), terms=TermWeights(0, 0, 1, 0)
    )
    loss, optimizer = CrossModalLoss(config, 16, 4), torch.optim.Adam(tower.parameters(), lr=0.05)
    pictures, ids = torch.randn(32, 8), torch.arange(32) % 4
    watch = HealthMonitor(HealthConfig())

    def train():
        for step in range(400):
            rows = tower(pictures)
            output = loss(rows, ids, None, ids[:0])
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
            watch.check(step, {"train/loss": float(output.loss.detach())} | embedding_gauges(rows, None))

    with pytest.raises(TrainingStopped, match="become alike"):
        train()
