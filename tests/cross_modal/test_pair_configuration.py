"""The settings of pairs are part of an experiment, travel with it, and cost no import of torch."""

import dataclasses
import subprocess
import sys

from cross_modal.configuration import Experiment, PartConfig
from cross_modal.rebuild import rebuild


def test_they_survive_as_plain_data() -> None:
    experiment = Experiment()
    experiment.pairs.objective.loss = PartConfig("ContrastiveLoss", {"pos_margin": 0.1})
    experiment.pairs.batch.same, experiment.pairs.from_classes = None, True
    assert rebuild(Experiment, dataclasses.asdict(experiment)) == experiment
    assert rebuild(Experiment, {"data": "photos"}).pairs == Experiment().pairs  # an older model knows no pairs


def test_a_step_is_balanced_unless_told_otherwise() -> None:
    assert Experiment().pairs.batch.same == 0.5
    assert not Experiment().pairs.from_classes


def test_either_module_can_be_imported_first_and_neither_needs_torch() -> None:
    for module in ("cross_modal.objectives.pair_configuration", "cross_modal.pair_configuration"):
        code = f"import sys, {module}, cross_modal.configuration; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)
