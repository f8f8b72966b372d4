"""conv4: the few-shot field's standard image encoder, from scratch: blocks of convolution, batch norm, ReLU, maximum.

Vinyals et al. 2016 and Snell et al. 2017 use four blocks of 64 channels. Here the channels are a setting, the last
blocks need not halve the picture (the pooling wants tokens to choose from), and each token gets a learned position.
Small convolutions on a CPU are about twice as fast with the channels last, so weights and inputs are kept that way.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cross_modal.configuration import ImageTrunkConfig
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk
from cross_modal.errors import CrossModalError


class Conv4(ImageTrunk):
    """Convolution blocks over small pictures; the tokens are the cells of the last feature map.

    Args:
        config: `widths` (one block each), `pools` (how many blocks halve the side), `channels`, `size` (default 32).

    Raises:
        CrossModalError: If there is no block, or the pictures are too small for so many halvings.
    """

    def __init__(self, config: ImageTrunkConfig) -> None:
        super().__init__()
        self.size = config.size or 32
        self.channels = config.channels
        self.width = config.widths[-1] if config.widths else 0
        self.mean = (0.5,) * self.channels
        self.std = (0.5,) * self.channels
        self.resize = "squash"
        side = self.size >> config.pools
        if not config.widths or side < 1 or config.pools > len(config.widths):
            raise CrossModalError(
                f"twin.image: expected at least one width and at most {len(config.widths)} pools that leave a pixel of "
                f"{self.size}, found widths {config.widths} and {config.pools} pools"
            )
        blocks = []
        for index, (before, width) in enumerate(zip([self.channels, *config.widths], config.widths, strict=False)):
            block = [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            if index < config.pools:
                block.append(nn.MaxPool2d(2))
            blocks.append(nn.Sequential(*block))
        self.stack = nn.Sequential(*blocks).to(memory_format=torch.channels_last)
        self.position = nn.Parameter(torch.randn(1, side * side, self.width) * 0.02)

    def blocks(self) -> list[nn.Module]:
        """The convolution blocks, bottom to top."""
        return list(self.stack)

    def forward(self, pixels: Tensor) -> Tokens:
        """Encodes pictures.

        Args:
            pixels: (B, C, size, size) float, normalised.

        Returns:
            Tokens (B, (size / 2**pools)², width); all of them are real.
        """
        cells = self.stack(pixels.contiguous(memory_format=torch.channels_last))  # (B, D, h, w)
        values = cells.flatten(2).transpose(1, 2) + self.position  # (B, h·w, D)
        return Tokens(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device), None)
