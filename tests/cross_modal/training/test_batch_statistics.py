"""Layers that meet in every pass need a row in every process, or the others would wait for ever."""

import pytest
import torch
from torch import nn
from toys.shapes import experiment

from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.batch_statistics import batch_statistics, check_rows, with_shared_statistics


@pytest.fixture
def twin() -> TwinEncoder:
    return build_twin(experiment().twin, ["a box"])


def on_gpus(twin: TwinEncoder) -> TwinEncoder:
    return with_shared_statistics(twin, processes=4, micro_batch=0, device=torch.device("cuda"), message=pytest.fail)


def test_statistics_are_shared_on_gpus(twin: TwinEncoder) -> None:
    assert "SyncBatchNorm" in str(batch_statistics(on_gpus(twin)))


def test_on_a_cpu_they_are_not_and_it_is_said(twin: TwinEncoder) -> None:
    said: list[str] = []
    with_shared_statistics(twin, processes=2, micro_batch=0, device=torch.device("cpu"), message=said.append)
    assert "BatchNorm2d" in str(batch_statistics(twin))
    assert said[0].startswith("2 processes on a CPU: ")


def test_a_process_without_a_picture_is_refused_where_statistics_are_shared(twin: TwinEncoder) -> None:
    shared = on_gpus(twin)
    with pytest.raises(CrossModalError, match="at least 4 pictures, one for each process"):
        check_rows(shared, (3, 8), 4)
    check_rows(shared, (4, 1), 4)  # texts are not normalised by the batch
    check_rows(shared, (0, 8), 4)  # nobody has a picture: nobody meets


def test_it_is_not_where_nothing_is_shared(twin: TwinEncoder) -> None:
    check_rows(twin, (1, 1), 4)
    assert batch_statistics(nn.Linear(2, 2)) is None
