"""Trunks that forget what happens inside their blocks and compute it again for the gradient.

A trunk then keeps one tensor a block instead of all of a block's (Chen et al. 2016, "Training Deep Nets with Sublinear
Memory Cost"): memory for the depth of one block and a second forward pass. Blocks that normalise by the statistics of
a batch stay as they are, since a second pass would count every batch twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.twin import TwinEncoder

_OWN = "set_grad_checkpointing"


def checkpoint_activations(twin: TwinEncoder, message: Callable[[str], None]) -> None:
    """Makes the trunks' blocks compute again what the gradient needs.

    Args:
        twin: The twin; what it computes stays the same, dropout included.
        message: Told which trunks stay as they are, and why.
    """
    for name, trunk in (("image", twin.image), ("text", twin.text)):
        if trunk is not None and (reason := _checkpointed(trunk)):
            message(f"training.activation_checkpointing: twin.{name} saves no memory, as {reason}")


def _checkpointed(trunk: ImageTrunk | TextTrunk) -> str | None:
    """Why a trunk cannot; None where it now does."""
    models = [each for each in trunk.modules() if hasattr(each, "group_matcher") and hasattr(each, _OWN)]
    if models:  # timm's, whose blocks are known to itself alone
        if counts := _batch_counter(models[0]):
            return f"{counts} would count every batch twice"
        getattr(models[0], _OWN)(True)
        return None
    blocks = [part[0] if isinstance(part, nn.ModuleList) else part for part in trunk.blocks()]
    if len(blocks) < 2:
        return f"it has {len(blocks)} block{'' if len(blocks) == 1 else 's'}, expected at least 2"
    chosen = [block for block in blocks if not _batch_counter(block)]
    for block in chosen:
        block.forward = partial(_forward, block, block.forward)
    return None if chosen else f"{_batch_counter(blocks[0])} would count every batch twice"


def _forward(block: nn.Module, forward: Any, *args: Any, **kwargs: Any) -> Any:
    if not block.training:
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _batch_counter(block: nn.Module) -> str | None:
    """A layer that keeps statistics of the batches it has seen."""
    batch_norm = nn.modules.batchnorm._BatchNorm
    return next((type(layer).__name__ for layer in block.modules() if isinstance(layer, batch_norm)), None)
