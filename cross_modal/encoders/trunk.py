"""The two ports between the twin encoder and its trunks: what an image trunk and a text trunk must offer.

The twin, the training loop, the feature store and the saved model see trunks through these classes only, so a new
trunk is one file that fills them in. Trunks give tokens; pooling, projection and normalisation belong to the twin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

from torch import Tensor, nn

from cross_modal.encoders.token_spans import TokenSpans
from cross_modal.encoders.tokens import Tokens
from cross_modal.errors import CrossModalError

Resize = Literal["squash", "crop", "pad"]


class ImageTrunk(nn.Module, ABC):
    """Pixels → tokens.

    Attributes:
        width: D, the width of the tokens.
        size: Side of the square input in pixels.
        channels: Colour channels of the input, 1 or 3.
        mean: Mean of each channel, of pixels scaled to 0–1, that the caller subtracts.
        std: Standard deviation of each channel by which the caller divides.
        resize: How a picture becomes a square: "squash", "crop" (the middle) or "pad".
        interpolation: "bilinear" or "bicubic".
        pooled_width: E, the width of the trunk's own embedding; None where it has none.
        pretrained: Whether the weights came from a checkpoint (they then learn at the trunk's learning rate).
        prefix_tokens: Leading tokens that are no place in the picture (class token, registers); the other tokens are a
            square grid, row by row. None where no token is a place.
    """

    width: int
    size: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    resize: Resize = "squash"
    interpolation: str = "bilinear"
    pooled_width: int | None = None
    pretrained: bool = False
    prefix_tokens: int | None = 0

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """The trunk's blocks from bottom to top: "last:N" unfreezes the last N of them."""

    def state(self) -> dict[str, Any]:
        """What, besides the weights and the configuration, rebuilds this trunk; JSON-able (mean and std of a tag)."""
        return {}

    @abstractmethod
    def forward(self, pixels: Tensor) -> Tokens:
        """Encodes pictures.

        Args:
            pixels: (B, C, H, W) float, normalised by `mean` and `std`.

        Returns:
            Tokens (B, L, D), all of them real.
        """


class TextTrunk(nn.Module, ABC):
    """Texts → token ids → tokens.

    Attributes:
        width: D, the width of the tokens.
        context: Longest text in tokens; longer ones are cut.
        pooled_width: E, the width of the trunk's own embedding; None where it has none.
        pretrained: Whether the weights came from a checkpoint (they then learn at the trunk's learning rate).
        unknown_token: The id that token dropout writes; None where the vocabulary has no such id.
    """

    width: int
    context: int
    pooled_width: int | None = None
    pretrained: bool = False
    unknown_token: int | None = None

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """The trunk's blocks from bottom to top: "last:N" unfreezes the last N of them."""

    @abstractmethod
    def tokenize(self, texts: list[str]) -> Tensor:
        """Turns texts into ids.

        Args:
            texts: B texts.

        Returns:
            (B, L) int64, padded with 0 unless the trunk says otherwise; L is the longest real length in this batch
            where the trunk allows it, else the whole context.
        """

    def token_spans(self, text: str) -> TokenSpans:
        """Which piece of a text each token stands for: for explanations alone, no embedding depends on it.

        Args:
            text: One text.

        Returns:
            The tokens that `forward` gives for ``tokenize([text])``, in their order.

        Raises:
            CrossModalError: If this trunk does not tell.
        """
        raise CrossModalError(
            f"{type(self).__name__}: expected a text trunk that tells which piece of a text a token stands for, "
            "found none"
        )

    def state(self) -> dict[str, Any]:
        """What, besides the weights and the configuration, rebuilds this trunk; JSON-able (a learned vocabulary)."""
        return {}

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tokens:
        """Encodes token ids.

        Args:
            tokens: (B, L) int64, as `tokenize` gives them.

        Returns:
            Tokens (B, L', D) whose mask is true at the real tokens.
        """
