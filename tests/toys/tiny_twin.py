"""The smallest twin that has everything: 16×16 grey pictures, a transformer over learned tokens."""

import torch

from cross_modal.configuration import ImageTrunkConfig, PoolingConfig, TextTrunkConfig, TwinConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder

TEXTS = ["greek small letter alpha", "latin capital letter b"]


def tiny_twin(image: str = "conv4", text: str = "transformer", *, seed: int = 0) -> TwinEncoder:
    """A twin of random weights, in evaluation mode; "none" leaves a side out."""
    config = TwinConfig(
        image=ImageTrunkConfig(name=image, widths=[8, 16], pools=2, size=16),
        text=TextTrunkConfig(name=text, width=16, layers=1, heads=2),
        pooling=PoolingConfig(queries=2, heads=2),
        width=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_twin(config, TEXTS).eval()
