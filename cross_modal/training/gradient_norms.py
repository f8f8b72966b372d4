"""The gradient norm of each tower: a tower without a gradient is one of the silent failures."""

from __future__ import annotations

import torch

from cross_modal.encoders.twin import TwinEncoder


def gradient_norms(twin: TwinEncoder) -> dict[str, float]:
    """L2 norms of the gradients of both towers, by the names of their gauges.

    Args:
        twin: The twin after a backward pass; a tower that has no gradient is left out.
    """
    norms = {}
    for name, parts in (("image", (twin.image, twin.image_map)), ("text", (twin.text, twin.text_map))):
        gradients = [p.grad for part in parts if part is not None for p in part.parameters() if p.grad is not None]
        if gradients:
            norms[f"health/{name}_gradient_norm"] = float(torch.stack(torch._foreach_norm(gradients)).norm())
    return norms
