"""The most memory that a training held."""

from __future__ import annotations

import sys

import torch

_GIGA = 1e9


def forget_peak_memory(device: torch.device) -> None:
    """Starts to measure anew, where that is possible: on a GPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """The most memory so far, in gigabytes.

    Args:
        device: Of a GPU, what torch held there at once; otherwise what the process held of the machine's memory, from
            its start on.

    >>> 0.01 < peak_memory(torch.device("cpu")) < 1000
    True
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _GIGA
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIGA
