"""The most memory that a training held, as it is told of a run."""

from pathlib import Path

import pytest
import torch
from toys.shapes import experiment, shapes

from cross_modal.training.loop import train
from cross_modal.training.peak_memory import forget_peak_memory, peak_memory

CPU = torch.device("cpu")


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="Linux tells it in /proc")
def test_it_is_what_the_kernel_counts() -> None:
    forget_peak_memory(CPU)  # nothing to forget on a CPU
    counted = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9
    assert peak_memory(CPU) == pytest.approx(counted, rel=0.02)


def test_a_training_tells_it(tmp_path: Path) -> None:
    result = train(experiment(steps=1), shapes(per_class=4), folder=tmp_path)
    assert 0.05 < result.peak_memory < 500
