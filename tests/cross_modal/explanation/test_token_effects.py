"""An effect is the score less the score of the item that never had the token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.tokens import Tokens
from cross_modal.explanation import token_effects as module
from cross_modal.explanation.token_effects import token_effects


@pytest.mark.parametrize("normalise", [True, False])
@torch.no_grad()
def test_a_token_is_left_out_as_if_it_had_never_been_there(normalise: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)  # several passes
    twin = tiny_twin()
    twin.normalise = normalise
    assert twin.text is not None
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 6, twin.text.width, generator=generator)
    mask = torch.tensor([[True, True, False, True, True, False]])
    other = torch.randn(twin.dim, generator=generator)

    def score(kept: list[int]) -> float:
        embedded = twin.embed_tokens(Tokens(values[:, kept], torch.ones(1, len(kept), dtype=torch.bool)), "text")
        reference = F.normalize(other, dim=-1) if normalise else other
        return float(twin.score(embedded, reference[None]))

    real = [0, 1, 3, 4]
    found = token_effects(twin, Tokens(values, mask), "text", other)
    for token in range(6):
        expected = score(real) - score([each for each in real if each != token]) if token in real else 0
        assert float(found[token]) == pytest.approx(expected, abs=1e-5)


def test_an_only_token_cannot_be_left_out() -> None:
    twin = tiny_twin()
    assert twin.text is not None
    tokens = Tokens(torch.randn(1, 2, twin.text.width), torch.tensor([[True, False]]))
    assert token_effects(twin, tokens, "text", torch.randn(twin.dim)).tolist() == [0, 0]
