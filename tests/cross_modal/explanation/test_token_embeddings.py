"""A token's embedding is the embedding of an item that has this token only."""

from __future__ import annotations

import pytest
import torch
from toys.tiny_twin import TEXTS, tiny_twin

from cross_modal.encoders.tokens import Tokens
from cross_modal.explanation.token_embeddings import token_embeddings


@pytest.mark.parametrize("modality", ["image", "text"])
@torch.no_grad()
def test_a_token_is_embedded_as_an_item_of_its_own(modality: str) -> None:
    twin = tiny_twin()
    assert twin.image is not None
    assert twin.text is not None
    tokens = twin.image(torch.randn(2, 1, 16, 16)) if modality == "image" else twin.text(twin.text.tokenize(TEXTS))
    found = token_embeddings(twin, tokens, modality)  # type: ignore[arg-type]
    assert found.shape == (*tokens.values.shape[:2], twin.dim)
    for item in range(2):
        for place in range(tokens.values.shape[1]):
            alone = Tokens(tokens.values[item : item + 1, place : place + 1], torch.ones(1, 1, dtype=torch.bool))
            expected = twin.embed_tokens(alone, modality)[0]
            real = bool(tokens.mask[item, place])
            torch.testing.assert_close(found[item, place], expected if real else torch.zeros(twin.dim))


@torch.no_grad()
def test_an_item_of_one_token_is_that_token() -> None:
    twin = tiny_twin()
    tokens = Tokens(torch.randn(3, 1, twin.image.width), torch.ones(3, 1, dtype=torch.bool))
    torch.testing.assert_close(token_embeddings(twin, tokens, "image")[:, 0], twin.embed_tokens(tokens, "image"))
