"""What every process but the first does of a training: it encodes its part of every batch, and logs and prints nothing.

Process 0 decides (settings, the run that is resumed, the store) and says so to the others; all read the data together,
each looking at a part of its shards and pictures, and train. Evaluation, figures and the model are process 0's own.
"""

from __future__ import annotations

import dataclasses
import tempfile
from typing import TYPE_CHECKING

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.data.pairs import Pairs, Triplets, kind_of
from cross_modal.data.sources import read_items
from cross_modal.rebuild import rebuild

if TYPE_CHECKING:
    from cross_modal.training.processes import Processes


def lead(experiment: Experiment, resumed: bool) -> None:
    """Says to the other processes, where there are any, what they train along with.

    Args:
        experiment: The settings.
        resumed: Whether training goes on from a checkpoint.

    Raises:
        CrossModalError: If one of them has gone.
    """
    from cross_modal.training.processes import joined_processes

    with joined_processes() as processes:
        if processes.size > 1:
            processes.told({"experiment": dataclasses.asdict(experiment), "resumed": resumed})


def read_together(experiment: Experiment) -> Items:
    """Reads the items with the other processes, where there are any, after `lead`.

    Raises:
        CrossModalError: As `read_items`, the same in every process; or if one of them has gone.
    """
    from cross_modal.training.processes import joined_processes

    with joined_processes() as processes:
        return read_items(experiment.data, experiment.items, together=processes)


def follow(processes: Processes) -> None:
    """Trains along.

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
        data = read_together(experiment)
    else:
        from cross_modal_mlflow.pair_data import read_pair_source

        data = read_pair_source(experiment.data, experiment.items)
    with tempfile.TemporaryDirectory() as nothing:  # process 0 alone reads and writes checkpoints
        train(experiment, data, folder=nothing, resume=said["resumed"])
