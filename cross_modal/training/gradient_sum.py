"""Gradients of several processes added up, in a few large messages.

A parameter that no process has a gradient of keeps none: the optimizer then leaves it alone, as it does in one process,
where a zero would still move it (decay, momentum).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET = 1 << 24  # numbers in one message


def summed_gradients(twin: Sequence[nn.Parameter], loss: Sequence[nn.Parameter], size: int) -> None:
    """Replaces gradients by their sum, those of the loss by their mean, over all processes.

    Args:
        twin: Parameters of which each process has a part of the gradient, or none.
        loss: Parameters of which each process has the whole gradient.
        size: Number of processes.
    """
    parameters = [*twin, *loss]
    if not parameters:
        return
    present = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=parameters[0].device)
    dist.all_reduce(present)
    known = [p for p, count in zip(parameters, present.tolist(), strict=True) if count]
    means = {id(parameter) for parameter in loss}
    waiting: list[tuple[list[nn.Parameter], Tensor, dist.Work]] = []
    for bucket in _buckets(known):
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in bucket])
        waiting.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
    for bucket, flat, work in waiting:
        work.wait()
        for parameter, total in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            parameter.grad.copy_(
                total.view(parameter.shape)
            )  # laid out as the parameter is: fused optimizers rely on it
            if id(parameter) in means:
                parameter.grad /= size


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Parameters of one type and device, up to `BUCKET` numbers together, in their order."""
    bucket: list[nn.Parameter] = []
    numbers = 0
    for parameter in parameters:
        alike = bucket and (parameter.dtype, parameter.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and (not alike or numbers + parameter.numel() > BUCKET):
            yield bucket
            bucket, numbers = [], 0
        bucket.append(parameter)
        numbers += parameter.numel()
    if bucket:
        yield bucket
