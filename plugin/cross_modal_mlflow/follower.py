"""What every process but the first does of a training: it encodes its part of every batch, and logs and prints nothing.

Process 0 decides (settings, the run that is resumed, the store) and says so to the others; all then read the data
together, and what is wrong with it ends all alike before there is a run. Evaluation, figures and the model are its own.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.data.pairs import Pairs, Triplets, kind_of
from cross_modal.data.sources import read_items
from cross_modal.rebuild import rebuild

if TYPE_CHECKING:
    from cross_modal.training.processes import Processes


@contextmanager
def leading(experiment: Experiment, resumed: bool) -> Iterator[Processes]:
    """Says to the other processes, where there are any, what they read and train along with.

    Args:
        experiment: The settings.
        resumed: Whether training goes on from a checkpoint.

    Yields:
        All processes: those that read the data together.

    Raises:
        CrossModalError: If one of them has gone.
    """
    from cross_modal.training.processes import joined_processes

    with joined_processes() as processes:
        processes.told({"experiment": dataclasses.asdict(experiment), "resumed": resumed})
        yield processes


def follow(processes: Processes) -> None:
    """Reads and trains along.

    Args:
        processes: The processes that were launched together; this one is not the first.

    Raises:
        CrossModalError: If the data is another one here, or another process has gone.
    """
    from cross_modal.training.loop import train

    said = processes.told(None)
    experiment = rebuild(Experiment, said["experiment"])
    data: Items | Pairs | Triplets
    if kind_of(experiment.data) == "items":
        data = read_items(experiment.data, experiment.items, together=processes)
    else:
        from cross_modal_mlflow.pair_data import read_pair_source

        data = read_pair_source(experiment.data, experiment.items, processes)
    with tempfile.TemporaryDirectory() as nothing:  # process 0 alone reads and writes checkpoints
        train(experiment, data, folder=nothing, resume=said["resumed"])
