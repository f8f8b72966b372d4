"""AdamW with the groups that metric learning needs: trunk and head at their own rates, decay for matrices only.

Decay pulls towards zero. That is right for weight matrices, and wrong for biases, norms, positions, learned queries,
gates, temperatures and proxies, whose size means something.
"""

from __future__ import annotations

import torch
from torch import nn

from cross_modal.configuration import TrainingConfig
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.training.layer_decay import layer_scales
from cross_modal.training.lora import is_factor

_SIZED = {"position", "positional_embedding", "class_embedding", "pos_embed", "cls_token", "query", "residual_gate"}
_TABLES = {"embedding", "token_embedding"}  # a rare token's vector would decay between its visits


def build_optimizer(twin: TwinEncoder, criterion: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Makes the optimizer; every trainable parameter stands in exactly one group.

    Args:
        twin: The twin; frozen parameters are left out.
        criterion: The loss; its own parameters (proxies, temperatures) learn at the head's rate without decay.
        config: Rates and decay.

    Returns:
        AdamW (Loshchilov & Hutter 2019) whose groups carry their peak rate as "peak".

    Raises:
        CrossModalError: Where `layer_decay` is out of its range, or there is no pretrained trunk for it.
    """
    pretrained = {id(parameter) for parameter in twin.trunk_parameters()}
    scales = layer_scales(twin, config.layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in twin.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = config.trunk_learning_rate if id(parameter) in pretrained else config.learning_rate
        rate = (config.lora.learning_rate if is_factor(name) else rate) * scales.get(id(parameter), 1.0)
        decay = config.weight_decay if _is_matrix(name, parameter) else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    own = [parameter for parameter in criterion.parameters() if parameter.requires_grad]
    if own:
        groups.setdefault((config.learning_rate, 0.0), []).extend(own)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
        fused=config.precision != "16-mixed",  # fused, it would undo the scaling itself, too late for clipping
    )


def _is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a weight matrix or kernel that decay is meant for."""
    *path, leaf = name.split(".")
    return parameter.ndim >= 2 and leaf not in _SIZED and not (path and path[-1] in _TABLES)
