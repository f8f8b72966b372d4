"""Layers that normalise by the statistics of a batch, where a process or a pass sees a part of the batch only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError


def batch_statistics(model: nn.Module) -> str | None:
    """The first layer that normalises by the statistics of a batch and is trained; None where there is none.

    >>> batch_statistics(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))), batch_statistics(nn.Linear(2, 2))
    ('1 (BatchNorm1d)', None)
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and any(p.requires_grad for p in layer.parameters()):
            return f"{name} ({type(layer).__name__})"
    return None


def with_shared_statistics(
    twin: TwinEncoder, *, processes: int, micro_batch: int, device: torch.device, message: Callable[[str], None]
) -> TwinEncoder:
    """Statistics of the whole batch over all processes, on GPUs; where that is not possible, a warning.

    Args:
        twin: The twin.
        processes: How many train it together.
        micro_batch: Most rows that are encoded at a time; 0 is all. Passes over parts share no statistics.
        device: Where it trains.
        message: Told where a batch is normalised in parts.

    Returns:
        The twin, of synchronised layers where it can be.
    """
    layer = batch_statistics(twin)
    if layer is None or (processes == 1 and not micro_batch):
        return twin
    if not micro_batch and device.type == "cuda":
        shared: TwinEncoder = nn.SyncBatchNorm.convert_sync_batchnorm(twin)
        return shared
    what, part = f"{processes} processes on a CPU", "process's part of the batch"
    if micro_batch:
        what, part = f"training.micro_batch {micro_batch}", "micro-batch"
    message(
        f"{what}: {layer} normalises by the statistics of its {part}, "
        "so this is not quite the training that the whole batch at once would be"
    )
    return twin


def check_rows(twin: TwinEncoder, counts: tuple[int, int], processes: int) -> None:
    """Refuses a batch in which a process has no row for layers that meet in every pass: the others would wait for it.

    Args:
        twin: The twin.
        counts: Pictures and texts of the whole batch.
        processes: How many share it.

    Raises:
        CrossModalError: In all processes, as they know the whole batch.
    """
    for name, trunk, count in zip(("pictures", "texts"), (twin.image, twin.text), counts, strict=True):
        if trunk is None or not 0 < count < processes:
            continue
        if any(isinstance(layer, nn.SyncBatchNorm) for layer in trunk.modules()) and batch_statistics(trunk):
            raise CrossModalError(
                f"batch: expected at least {processes} {name}, one for each process, as {batch_statistics(trunk)} "
                f"shares its statistics, found {count}; make batches larger, or start fewer processes"
            )
