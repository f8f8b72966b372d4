"""What a new trunk has to bring: without it there is no object, and what it may leave out is said when it is asked."""

import pytest
import torch
from torch import nn

from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.errors import CrossModalError


class Lettered(TextTrunk):
    """A text trunk that tells no spans."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.context = 2, 4
        self.letters = nn.Embedding(9, 2)

    def blocks(self) -> list[nn.Module]:
        return [self.letters]

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        return torch.tensor([[1 + len(text) % 8] for text in texts])

    def forward(self, tokens: torch.Tensor) -> Tokens:
        return Tokens(self.letters(tokens), tokens > 0, None)


@pytest.mark.parametrize(
    ("kind", "missing"), [(ImageTrunk, "blocks"), (ImageTrunk, "forward"), (TextTrunk, "tokenize")]
)
def test_a_trunk_without_what_it_must_bring_is_refused_at_once(kind: type[nn.Module], missing: str) -> None:
    given = {name: lambda self: None for name in ("blocks", "forward", "tokenize") if name != missing}
    with pytest.raises(TypeError, match=missing):
        type("Half", (kind,), given)()


def test_spans_are_for_explanations_and_need_not_be_told() -> None:
    trunk = Lettered()
    assert trunk(trunk.tokenize(["four"])).values.shape == (1, 1, 2)
    assert trunk.state() == {}
    with pytest.raises(CrossModalError, match="Lettered: expected a text trunk that tells which piece of a text"):
        trunk.token_spans("four")
