"""The twin shares its weights, honours its mask, freezes what it is told, and leaves a pretrained model as it was."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cross_modal.configuration import ImageTrunkConfig, PoolingConfig, TextTrunkConfig, TwinConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

TEXTS = ["a red shoe", "a blue shoe", "a very long description of a green leather shoe"]


def small(**changes: Any) -> TwinConfig:
    return TwinConfig(
        image=ImageTrunkConfig(widths=[8, 16], pools=2, size=16),
        text=TextTrunkConfig(width=16, layers=1, heads=2, dropout=0.0),
        pooling=PoolingConfig(queries=2, heads=2),
        width=16,
        **changes,
    )


def test_embeddings_are_unit_float32_of_dim() -> None:
    twin = build_twin(small(dim=12), TEXTS).eval()
    image = twin.encode_image(torch.randn(3, 1, 16, 16))
    text = twin.encode_text(twin.text.tokenize(TEXTS))
    assert image.shape == text.shape == (3, 12)
    assert image.dtype == text.dtype == torch.float32
    torch.testing.assert_close(image.norm(dim=1), torch.ones(3))


def test_both_modalities_go_through_the_very_same_head() -> None:
    twin = build_twin(small(), TEXTS)
    shared = {id(parameter) for parameter in twin.head.parameters()}
    for loss in (
        twin.encode_image(torch.randn(2, 1, 16, 16)).sum(),
        twin.encode_text(twin.text.tokenize(TEXTS)).sum(),
    ):
        twin.zero_grad(set_to_none=True)
        loss.backward()
        touched = {id(parameter) for parameter in twin.parameters() if parameter.grad is not None}
        assert shared <= touched
    assert twin.text_head is None


def test_without_sharing_each_tower_has_its_own_head() -> None:
    config = small()
    config.pooling.share = "none"
    twin = build_twin(config, TEXTS)
    twin.encode_text(twin.text.tokenize(TEXTS)).sum().backward()
    assert all(parameter.grad is None for parameter in twin.head.parameters())


@pytest.mark.parametrize("name", ["transformer", "gru"])
@pytest.mark.parametrize("tokens", ["characters", "bpe"])
def test_a_text_does_not_depend_on_its_neighbours(name: str, tokens: str) -> None:
    config = small()
    config.text.name, config.text.tokens = name, tokens
    twin = build_twin(config, TEXTS).eval()
    together = twin.encode_text(twin.text.tokenize(TEXTS))
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(twin.encode_text(twin.text.tokenize([text]))[0], together[row], atol=1e-5, rtol=1e-5)


def test_scores_are_cosine_or_negative_distance() -> None:
    a, b = torch.randn(3, 16), torch.randn(4, 16)
    unit = build_twin(small(), TEXTS)
    torch.testing.assert_close(unit.score(a, b), a @ b.T)
    free = build_twin(small(normalise=False), TEXTS).eval()
    torch.testing.assert_close(free.score(a, b), -(a[:, None] - b[None]).norm(dim=-1), atol=1e-5, rtol=1e-5)
    assert (free.encode_image(torch.randn(3, 1, 16, 16)).norm(dim=1) - 1).abs().max() > 1e-3


class PooledImage(ImageTrunk):
    def __init__(self) -> None:
        super().__init__()
        self.width, self.pooled_width, self.size, self.channels = 6, 5, 4, 1
        self.linear, self.own = nn.Linear(4, 6), nn.Linear(4, 5)

    def blocks(self) -> list[nn.Module]:
        return [self.linear, self.own]

    def forward(self, pixels: torch.Tensor) -> Tokens:
        rows = pixels[:, 0]
        return Tokens(self.linear(rows), torch.ones(rows.shape[:2], dtype=torch.bool), self.own(rows.mean(1)))


class PooledText(TextTrunk):
    def __init__(self) -> None:
        super().__init__()
        self.width, self.pooled_width, self.context = 6, 5, 4
        self.embedding, self.own = nn.Embedding(9, 6), nn.Linear(6, 5)

    def blocks(self) -> list[nn.Module]:
        return [self.embedding]

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        return torch.tensor([[1 + len(text) % 8] for text in texts])

    def forward(self, tokens: torch.Tensor) -> Tokens:
        values = self.embedding(tokens)
        return Tokens(values, tokens > 0, self.own(values.mean(1)))


def residual_twin(**changes: Any) -> TwinEncoder:
    return TwinEncoder(
        TwinConfig(pooling=PoolingConfig(2, 2), width=8, **changes), PooledImage(), PooledText(), residual=True
    )


def test_an_untrained_residual_is_the_models_own_embedding() -> None:
    twin = residual_twin().eval()
    pixels = torch.randn(3, 1, 4, 4)
    own = F.normalize(twin.image(pixels).pooled, dim=-1)
    torch.testing.assert_close(twin.encode_image(pixels), own)
    assert twin.dim == 5


def test_the_closed_gate_opens() -> None:
    torch.manual_seed(0)
    twin = residual_twin()
    target = F.normalize(torch.randn(3, 5), dim=-1)
    (twin.encode_image(torch.randn(3, 1, 4, 4)) * target).sum().backward()
    assert twin.residual_gate.grad.abs() > 1e-6


def test_residual_fixes_the_dim() -> None:
    with pytest.raises(CrossModalError, match=r"twin\.dim: expected 5.*found 7"):
        residual_twin(dim=7)


def test_freezing_keeps_trunks_and_their_statistics() -> None:
    twin = build_twin(small(freeze="trunk"), TEXTS).train()
    before = {name: tensor.clone() for name, tensor in twin.image.state_dict().items()}
    twin.encode_image(torch.randn(4, 1, 16, 16)).sum().backward()
    assert all(parameter.grad is None for parameter in twin.image.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in twin.image.state_dict().items())
    assert twin.head.projection.weight.grad is not None


def test_last_blocks_stay_trainable() -> None:
    twin = build_twin(small(freeze="last:1"), TEXTS)
    first, last = twin.image.blocks()
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert all(parameter.requires_grad for parameter in last.parameters())


@pytest.mark.parametrize("freeze", ["all", "last", "last:x", "trunk:2x"])
def test_unknown_freezing_is_named(freeze: str) -> None:
    if freeze == "trunk:2x":
        freeze = "trunks"
    with pytest.raises(CrossModalError, match="expected") as error:
        build_twin(small(freeze=freeze), TEXTS)
    assert freeze in str(error.value)


def test_missing_trunks_and_wrong_shapes_are_named() -> None:
    config = small()
    config.text.name = "none"
    twin = build_twin(config)
    with pytest.raises(CrossModalError, match="no text trunk"):
        twin.encode_text(torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(CrossModalError, match=r"expected pictures \(B, 1, H, W\), found \(2, 3, 16, 16\)"):
        twin.encode_image(torch.zeros(2, 3, 16, 16))
    config.image.name = "none"
    with pytest.raises(CrossModalError, match="found none"):
        build_twin(config)


@pytest.mark.parametrize(("place", "name"), [("image", "conv5"), ("text", "lstm"), ("image", "timm:")])
def test_unknown_trunks_are_named(place: str, name: str) -> None:
    config = small()
    getattr(config, place).name = name
    with pytest.raises(CrossModalError, match=f"twin.{place}.name: expected one of .* found '{name}'"):
        build_twin(config, TEXTS)
