"""Layer-wise learning-rate decay: the lower a block of a pretrained trunk, the slower it learns.

The block that is k below the top learns at decay^k times the trunk's rate, and what lies below all blocks (patch and
token embeddings, positions) at decay^L, L being their number. What a large trunk learned first is what most tasks have
in common; it should move least (Clark et al. 2020, ELECTRA, appendix A; Bao et al. 2022, BEiT, appendix H).
"""

from __future__ import annotations

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError


def layer_scales(twin: TwinEncoder, decay: float) -> dict[int, float]:
    """By what the learning rate of each parameter of the pretrained trunks is multiplied.

    Args:
        twin: The twin; trunks from scratch have nothing to keep, and are passed over.
        decay: From above 0 to 1; at 1 nothing is scaled.

    Returns:
        id of the parameter → factor in (0, 1]; parameters that are not in it keep their rate.

    Raises:
        CrossModalError: Where the decay is out of its range, or no trunk is pretrained.
    """
    if not 0 < decay <= 1:
        raise CrossModalError(f"training.layer_decay: expected a factor above 0, of at most 1, found {decay}")
    if decay == 1:
        return {}
    trunks = [trunk for trunk in (twin.image, twin.text) if trunk is not None and trunk.pretrained]
    if not trunks:
        raise CrossModalError(
            f"training.layer_decay: expected a pretrained trunk, found none (a trunk from scratch has no layers to "
            f"spare); leave it at 1 instead of {decay}"
        )
    scales: dict[int, float] = {}
    for trunk in trunks:
        blocks = trunk.blocks()
        scales |= dict.fromkeys(map(id, trunk.parameters()), decay ** len(blocks))
        for below, block in enumerate(reversed(blocks)):
            scales |= dict.fromkeys(map(id, block.parameters()), decay**below)
    return scales
