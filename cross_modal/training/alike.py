"""Several processes start as one: the same settings, data and weights, and random numbers of their own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import torch
from torch import nn

from cross_modal.configuration import Experiment
from cross_modal.data.passes import key_of
from cross_modal.training.processes import Processes


def start_alike(
    processes: Processes, experiment: Experiment, items: int, twin: nn.Module, criterion: nn.Module
) -> None:
    """Compares what must be the same, gives every process the weights of process 0, and draws dropout apart.

    Args:
        processes: All of them; one alone does nothing.
        experiment: The settings.
        items: How many there are; a vocabulary learned from other texts shows in the twin's shapes.
        twin: The twin.
        criterion: The loss.

    Raises:
        CrossModalError: Where a process has other settings or data than process 0.
    """
    if processes.size == 1:
        return
    weights = [*twin.named_parameters(), *criterion.named_parameters()]
    processes.check_alike(
        {
            "settings": _digest(asdict(experiment)),
            "number of items": items,
            "weights": _digest([(name, *parameter.shape) for name, parameter in weights]),
            "accelerator": weights[0][1].device.type,
        }
    )
    processes.share_weights(twin, criterion)
    if not processes.leads:
        torch.manual_seed(key_of(experiment.training.seed, 8, processes.rank))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:12]
