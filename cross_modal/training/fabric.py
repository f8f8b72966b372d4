"""Lightning Fabric for a training: its device, its precision, and how many processes it has to count on.

Fabric is told all of it. By itself it would see one device in each process that `torchrun` starts, train one twin in
each of them, and end as if all were well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from cross_modal.configuration import TrainingConfig
from cross_modal.errors import CrossModalError
from cross_modal.training.launched import Launched

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def build_fabric(config: TrainingConfig, place: Launched) -> Fabric:
    """Builds it; several processes have met before.

    Args:
        config: `accelerator` and `precision`.
        place: This process among those that train one twin together.

    Returns:
        Fabric, launched where there are several processes.

    Raises:
        CrossModalError: If a GPU is asked for or needed and missing, or Fabric counts other processes than there are.

    >>> build_fabric(TrainingConfig(accelerator="cpu"), Launched()).world_size
    1
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision.amp import MixedPrecision

    if config.accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise CrossModalError(
            f"training.accelerator {config.accelerator}: expected a GPU that torch can use, found none; "
            "set training.accelerator=cpu"
        )
    settings: dict[str, Any] = {"precision": config.precision}
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    if config.precision == "16-mixed" and not on_gpu:  # Fabric would take bfloat16 instead
        settings = {"plugins": MixedPrecision("16-mixed", "cpu")}
    if place.size == 1:
        return Fabric(accelerator=config.accelerator, devices=1, **settings)
    if on_gpu and torch.cuda.device_count() < place.local_size:
        raise CrossModalError(
            f"training.accelerator {config.accelerator}: expected a GPU for each of the {place.local_size} processes "
            f"of this machine, found {torch.cuda.device_count()}; start fewer, or set training.accelerator=cpu"
        )
    accelerator = ("cuda" if on_gpu else "cpu") if config.accelerator == "auto" else config.accelerator
    fabric = Fabric(
        accelerator=accelerator, devices=place.local_size, num_nodes=place.machines, strategy="ddp", **settings
    )
    fabric.launch()
    if fabric.world_size != place.size:
        raise CrossModalError(f"WORLD_SIZE {place.size}: expected as many processes, found {fabric.world_size}")
    return fabric
