"""The twin encoder: two trunks, one pooling, one embedding space.

    picture → image trunk → linear map ┐
                                       ├→ one shared attention pooling → one shared projection → embedding (B, dim)
    text    → text trunk  → linear map ┘

Sharing is what makes it a twin: whatever the modality, the same learned queries ask the same questions, and two
pictures (or two texts) go through the very same weights. ``share="none"`` exists to measure what sharing buys.

When both towers come from one open_clip model there is a residual on that model's own embedding,

    z = norm(norm(pooled) + g · P(pool(tokens))),

whose gate g starts at zero: an untrained twin scores exactly what the pretrained model scores. P is not zero at the
start, since a zero gate on a zero projection has zero gradients for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cross_modal.configuration import TwinConfig
from cross_modal.encoders.attention_pooling import AttentionPooling
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.errors import CrossModalError


class Head(nn.Module):
    """What stands on the mapped tokens of both towers: attention pooling and the projection to the embedding.

    Args:
        width: D, the width of the mapped tokens.
        queries: Q, learned queries.
        heads: Attention heads of each query.
        dim: Size of the embedding.
    """

    def __init__(self, width: int, queries: int, heads: int, dim: int) -> None:
        super().__init__()
        self.pooling = AttentionPooling(width, queries, heads)
        self.norm = nn.LayerNorm(queries * width)
        self.projection = nn.Linear(queries * width, dim, bias=False)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) → embedding (B, dim), not normalised, and attention weights (B, Q, H, N)."""
        pooled, weights = self.pooling(values, mask)
        return self.projection(self.norm(pooled.flatten(1))), weights


class TwinEncoder(nn.Module):
    """Encodes pictures and texts into one space.

    Args:
        config: Widths, pooling, sharing, normalisation, freezing.
        image: The image trunk; None for a twin of texts only.
        text: The text trunk; None for a twin of pictures only.
        residual: Both trunks are the towers of one open_clip model: keep its embedding and add to it.

    Raises:
        CrossModalError: If both trunks are missing, or `dim` contradicts the residual.
    """

    def __init__(
        self, config: TwinConfig, image: ImageTrunk | None, text: TextTrunk | None, *, residual: bool = False
    ) -> None:
        super().__init__()
        if image is None and text is None:
            raise CrossModalError("twin: expected an image trunk, a text trunk or both, found none")
        self.config = config
        self.normalise = config.normalise
        self.image, self.text = image, text
        self.dim = _dim(config, image, residual)
        self.image_map = _map(image, config.width)
        self.text_map = _map(text, config.width)
        pooling = config.pooling
        self.head = Head(config.width, pooling.queries, pooling.heads, self.dim)
        own = pooling.share == "none" and image is not None and text is not None
        self.text_head = Head(config.width, pooling.queries, pooling.heads, self.dim) if own else None
        self.residual_gate = nn.Parameter(torch.zeros(())) if residual else None
        self._freeze(config.freeze)

    def forward(
        self, image: Tensor | Tokens | None, text: Tensor | Tokens | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Encodes both sides of a batch at once (what training calls, so that wrappers see one forward).

        Args:
            image: Pixels as in `encode_image`, the image trunk's tokens, or None.
            text: Token ids as in `encode_text`, the text trunk's tokens, or None.

        Returns:
            The embeddings (B_i, dim) and (B_t, dim); None where nothing came in.
        """
        if image is not None:
            image = self.embed_tokens(image, "image") if isinstance(image, Tokens) else self.encode_image(image)
        if text is not None:
            text = self.embed_tokens(text, "text") if isinstance(text, Tokens) else self.encode_text(text)
        return image, text

    def embed_tokens(self, tokens: Tokens, modality: Literal["image", "text"]) -> Tensor:
        """Embeds what a trunk gave before: the head alone.

        Args:
            tokens: Tokens (B, L, D) of the modality's trunk, in any float type.
            modality: Which side.

        Returns:
            (B, dim) float32, as `encode_image` or `encode_text` would give.
        """
        if modality == "image":
            return self._embed(tokens.float(), self.image_map, self.head)[0]
        return self._embed(tokens.float(), self.text_map, self.text_head or self.head)[0]

    @property
    def frozen(self) -> bool:
        """No parameter of a trunk learns: tokens are a function of the item alone."""
        trunks = [trunk for trunk in (self.image, self.text) if trunk is not None]
        return not any(parameter.requires_grad for trunk in trunks for parameter in trunk.parameters())

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Encodes pictures.

        Args:
            pixels: (B, C, H, W) float, normalised by the image trunk's mean and std.

        Returns:
            (B, dim) float32, of length one if the twin normalises.

        Raises:
            CrossModalError: If the twin has no image trunk, or the shape is not the trunk's.
        """
        return self.image_tokens(pixels)[0]

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Encodes texts.

        Args:
            tokens: (B, L) int64 ids of the text trunk's tokenizer.

        Returns:
            (B, dim) float32, of length one if the twin normalises.

        Raises:
            CrossModalError: If the twin has no text trunk, or the shape is not (B, L).
        """
        return self.text_tokens(tokens)[0]

    def image_tokens(self, pixels: Tensor) -> tuple[Tensor, Tokens, Tensor]:
        """As `encode_image`, with the trunk's tokens and the attention weights (B, Q, H, L)."""
        trunk = self.image
        if trunk is None:
            raise CrossModalError("this twin has no image trunk: it compares texts only")
        if pixels.ndim != 4 or pixels.shape[1] != trunk.channels:
            raise CrossModalError(f"expected pictures (B, {trunk.channels}, H, W), found {tuple(pixels.shape)}")
        tokens = trunk(pixels)
        return self._embed(tokens, self.image_map, self.head)

    def text_tokens(self, tokens: Tensor) -> tuple[Tensor, Tokens, Tensor]:
        """As `encode_text`, with the trunk's tokens and the attention weights (B, Q, H, L)."""
        if self.text is None:
            raise CrossModalError("this twin has no text trunk: it compares pictures only")
        if tokens.ndim != 2:
            raise CrossModalError(f"expected token ids (B, L), found {tuple(tokens.shape)}")
        return self._embed(self.text(tokens), self.text_map, self.text_head or self.head)

    @property
    def metric(self) -> Literal["cosine", "euclidean"]:
        """How its embeddings are compared."""
        return "cosine" if self.normalise else "euclidean"

    def score(self, a: Tensor, b: Tensor) -> Tensor:
        """Scores embeddings (N, dim) against (M, dim): (N, M) cosines, or negative Euclidean distances."""
        return a @ b.T if self.normalise else -torch.cdist(a, b)

    def _embed(self, tokens: Tokens, mapping: nn.Module, head: Head) -> tuple[Tensor, Tokens, Tensor]:
        embedding, weights = head(mapping(tokens.values), tokens.mask)
        embedding = embedding.float()
        if self.residual_gate is not None:
            if tokens.pooled is None:
                raise CrossModalError("twin: expected a trunk with its own pooled embedding for the residual")
            pooled = tokens.pooled.float()
            base = F.normalize(pooled, dim=-1) if self.normalise else pooled
            embedding = base + self.residual_gate.float() * embedding
        return (F.normalize(embedding, dim=-1) if self.normalise else embedding), tokens, weights

    def _freeze(self, freeze: str) -> None:
        """Switches gradients off in the trunks: "none", "trunk", or all but the last N blocks ("last:N")."""
        kind, _, number = freeze.partition(":")
        if kind not in {"none", "trunk", "last"} or (kind == "last") != number.isdigit():
            raise CrossModalError(f'twin.freeze: expected "none", "trunk" or "last:N", found {freeze!r}')
        if kind == "none":
            return
        for trunk in (self.image, self.text):
            if trunk is None:
                continue
            trunk.requires_grad_(False)
            if kind == "last" and int(number):
                for block in trunk.blocks()[-int(number) :]:
                    block.requires_grad_(True)

    def train(self, mode: bool = True) -> TwinEncoder:
        """Training mode; what is frozen stays in evaluation mode, so its batch statistics stay too."""
        super().train(mode)
        for trunk in (self.image, self.text):
            if mode and trunk is not None and not any(p.requires_grad for p in trunk.parameters()):
                trunk.eval()
        return self

    def trunk_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of pretrained trunks (they take the trunk's learning rate)."""
        for trunk in (self.image, self.text):
            if trunk is not None and trunk.pretrained:
                yield from trunk.parameters()


def _map(trunk: nn.Module | None, width: int) -> nn.Module:
    """The linear map of one trunk into the shared width; the norm brings both modalities to one scale."""
    if trunk is None:
        return nn.Identity()
    return nn.Sequential(nn.Linear(int(trunk.width), width), nn.LayerNorm(width))  # type: ignore[arg-type]


def _dim(config: TwinConfig, image: ImageTrunk | None, residual: bool) -> int:
    """The embedding's size: the open_clip model's own where there is a residual on it."""
    own = image.pooled_width if residual and image is not None else None
    if own is not None and config.dim not in {None, own}:
        raise CrossModalError(
            f"twin.dim: expected {own}, the embedding size of the open_clip model, found {config.dim}"
        )
    return own or config.dim or config.width
