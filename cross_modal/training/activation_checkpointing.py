"""Trunks that forget what happens inside their blocks and compute it again for the gradient.

A trunk then keeps one tensor a block instead of all of a block's (Chen et al. 2016, "Training Deep Nets with Sublinear
Memory Cost"): memory for the depth of one block and a second forward pass. Blocks that normalise by the statistics of
a batch stay as they are, since a second pass would count every batch twice.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.twin import TwinEncoder

_OWN = "set_grad_checkpointing"


def checkpoint_activations(twin: TwinEncoder) -> int:
    """Makes the trunks' blocks compute again what the gradient needs.

    Args:
        twin: The twin; what it computes stays the same, dropout included.

    Returns:
        How many trunks do; one of a single block would save nothing.
    """
    return sum(_checkpointed(trunk) for trunk in (twin.image, twin.text) if trunk is not None)


def _checkpointed(trunk: ImageTrunk | TextTrunk) -> bool:
    models = [each for each in trunk.modules() if hasattr(each, "group_matcher") and hasattr(each, _OWN)]
    if models:  # timm's, whose blocks are known to itself alone
        getattr(models[0], _OWN)(True)
        return True
    blocks = [part[0] if isinstance(part, nn.ModuleList) else part for part in trunk.blocks()]
    chosen = [block for block in blocks if len(blocks) > 1 and not _counts_batches(block)]
    for block in chosen:
        block.forward = partial(_forward, block, block.forward)
    return bool(chosen)


def _forward(block: nn.Module, forward: Any, *args: Any, **kwargs: Any) -> Any:
    if not block.training:
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _counts_batches(block: nn.Module) -> bool:
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in block.modules())
