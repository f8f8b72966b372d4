"""Fabric is told the device, the precision and the processes; what it cannot have is one sentence."""

import lightning_fabric
import pytest
import torch

from cross_modal.configuration import TrainingConfig
from cross_modal.errors import CrossModalError
from cross_modal.training.fabric import build_fabric
from cross_modal.training.launched import Launched

TWO = Launched(rank=0, size=2, local_rank=0, local_size=2, host="localhost", port=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("accelerator", ["cuda", "gpu"])
def test_a_gpu_that_is_not_there_is_named(accelerator: str) -> None:
    with pytest.raises(CrossModalError, match=rf"accelerator {accelerator}: expected a GPU that torch can use"):
        build_fabric(TrainingConfig(accelerator=accelerator), Launched())


def test_each_process_of_a_machine_needs_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(CrossModalError, match=r"expected a GPU for each of the 2 processes of this machine, found 1"):
        build_fabric(TrainingConfig(), TWO)


@pytest.mark.parametrize(("precision", "half"), [("bf16-mixed", torch.bfloat16), ("16-mixed", torch.float16)])
def test_a_cpu_has_the_half_precision_that_is_asked_for(precision: str, half: torch.dtype) -> None:
    fabric = build_fabric(TrainingConfig(accelerator="cpu", precision=precision), Launched())
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == half


class Recorded:
    """Stands for Fabric; counts itself alone, as Fabric does where it is told nothing."""

    world_size = 1

    def __init__(self, **given: object) -> None:
        self.given = given
        Recorded.last = given  # type: ignore[attr-defined]

    def launch(self) -> None:
        """Nothing."""


def test_fabric_that_counts_other_processes_is_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning_fabric, "Fabric", Recorded)
    with pytest.raises(CrossModalError, match="WORLD_SIZE 2: expected as many processes, found 1"):
        build_fabric(TrainingConfig(accelerator="cpu"), TWO)
    given = Recorded.last  # type: ignore[attr-defined]
    assert given["devices"] == 2
    assert given["num_nodes"] == 1
    assert given["strategy"] == "ddp"
