"""Whoever normalises a batch in parts is told of it; layers that meet in every pass need a row in every process."""

import pytest
import torch
from toys.shapes import experiment

from cross_modal.configuration import ImageTrunkConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.batch_statistics import batch_statistics, check_rows, with_shared_statistics


def twin_of(image: ImageTrunkConfig | None = None) -> TwinEncoder:
    settings = experiment()
    settings.twin.image = image or settings.twin.image
    return build_twin(settings.twin, ["a word"])


@pytest.mark.parametrize(
    ("processes", "micro_batch", "words"),
    [
        (
            2,
            0,
            "2 processes on a CPU: image.stack.0.1 (BatchNorm2d) normalises by the statistics of its process's part",
        ),
        (1, 8, "training.micro_batch 8: image.stack.0.1 (BatchNorm2d) normalises by the statistics of its micro-batch"),
        (2, 8, "training.micro_batch 8"),
    ],
)
def test_a_batch_that_is_normalised_in_parts_is_told_of(processes: int, micro_batch: int, words: str) -> None:
    said: list[str] = []
    twin = twin_of()
    same = with_shared_statistics(
        twin, processes=processes, micro_batch=micro_batch, device=torch.device("cpu"), message=said.append
    )
    assert same is twin
    (line,) = said
    assert line.startswith(words)


@pytest.mark.parametrize("case", ["alone", "no statistics", "frozen"])
def test_nothing_is_said_where_nothing_is_lost(case: str) -> None:
    twin = twin_of(ImageTrunkConfig(name="timm:test_vit", size=32, channels=3) if case == "no statistics" else None)
    if case == "frozen":
        twin.requires_grad_(False)
    said: list[str] = []
    processes = 1 if case == "alone" else 2
    with_shared_statistics(twin, processes=processes, micro_batch=0, device=torch.device("cpu"), message=said.append)
    assert said == []


def test_on_gpus_the_layers_are_synchronised() -> None:
    said: list[str] = []
    shared = with_shared_statistics(
        twin_of(), processes=2, micro_batch=0, device=torch.device("cuda"), message=said.append
    )
    kinds = {type(layer).__name__ for layer in shared.modules() if "BatchNorm" in type(layer).__name__}
    assert (kinds, said) == ({"SyncBatchNorm"}, [])
    assert batch_statistics(shared) is not None


def test_a_process_without_a_picture_is_refused_where_statistics_are_shared() -> None:
    shared = with_shared_statistics(
        twin_of(), processes=4, micro_batch=0, device=torch.device("cuda"), message=pytest.fail
    )
    with pytest.raises(CrossModalError, match="at least 4 pictures, one for each process"):
        check_rows(shared, (3, 8), 4)
    check_rows(shared, (4, 1), 4)  # texts are not normalised by the batch
    check_rows(shared, (0, 8), 4)  # nobody has a picture: nobody meets
    check_rows(twin_of(), (1, 1), 4)  # nothing is shared
