"""Where a loaded twin works: on the GPU, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder


def on_device(twin: TwinEncoder) -> TwinEncoder:
    """The twin on the GPU, where there is one."""
    import torch

    return twin.to("cuda") if torch.cuda.is_available() else twin
