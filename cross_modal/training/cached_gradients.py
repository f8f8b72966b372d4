"""A batch larger than memory: embeddings are joined, not losses, so that every item still meets every other one.

Summing the losses of small batches is no large batch: a contrastive loss compares within a batch, and a miner and a
memory see what is in it. Here all micro-batches are embedded without a graph, one loss over all embeddings gives each
its gradient, and every micro-batch is embedded a second time, with a graph and the random numbers of the first, to hand
its part of the gradient on (Gao, Zhang, Han, Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited
Setup", RepL4NLP 2021). It costs one more forward pass, and memory for one micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cross_modal.encoders.tokens import Tokens

Given = Tensor | Tokens | None


@dataclass
class _Part:
    """A micro-batch: which rows of which side, and the random states that it was first embedded with."""

    side: int
    rows: slice
    inputs: Tensor | Tokens
    states: list[Tensor]


class CachedEmbeddings:
    """The embeddings of a batch without their graphs, which `backward` makes anew one micro-batch at a time.

    Args:
        model: The twin: (picture inputs, text inputs) → (embeddings, embeddings).
        image: Inputs of B_i pictures, or None.
        text: Inputs of B_t texts, or None.
        size: Most pictures or texts at a time.

    Attributes:
        image: (B_i, dim) embeddings that collect a gradient, or None.
        text: (B_t, dim) likewise.

    Example:
        >>> layer = torch.nn.Linear(3, 2)
        >>> model = lambda image, text: (None if image is None else layer(image), None)
        >>> cached = CachedEmbeddings(model, torch.ones(5, 3), None, size=2)
        >>> cached.image.square().sum().backward()
        >>> cached.backward()
        >>> tuple(layer.weight.grad.shape)
        (2, 3)
    """

    def __init__(self, model: Callable[[Given, Given], Any], image: Given, text: Given, size: int) -> None:
        self._model = model
        self._parts: list[_Part] = []
        self.image, self.text = (self._embedded(side, inputs, size) for side, inputs in enumerate((image, text)))

    def backward(self) -> None:
        """Hands the gradients of the embeddings on to the model's parameters."""
        for part in self._parts:
            leaf = (self.image, self.text)[part.side]
            assert leaf is not None
            if leaf.grad is None:  # the loss did not use this side
                continue
            with torch.random.fork_rng(devices=_devices(part.inputs)):
                _restore(part.states, part.inputs)
                embedding = self._embed(part.side, part.inputs)
            embedding.backward(leaf.grad[part.rows])

    @torch.no_grad()
    def _embedded(self, side: int, inputs: Given, size: int) -> Tensor | None:
        if inputs is None:
            return None
        found = []
        for start in range(0, _rows(inputs), size):
            rows = slice(start, start + size)
            part = _Part(side, rows, _taken(inputs, rows), _states(inputs))
            self._parts.append(part)
            found.append(self._embed(side, part.inputs))
        return torch.cat(found).requires_grad_()

    def _embed(self, side: int, inputs: Tensor | Tokens) -> Tensor:
        given = (inputs, None) if side == 0 else (None, inputs)
        return self._model(*given)[side]


def _rows(inputs: Tensor | Tokens) -> int:
    return len(inputs.values if isinstance(inputs, Tokens) else inputs)


def _taken(inputs: Tensor | Tokens, rows: slice) -> Tensor | Tokens:
    if isinstance(inputs, Tokens):
        return Tokens(*(None if each is None else each[rows] for each in inputs))  # type: ignore[arg-type]
    return inputs[rows]


def _device(inputs: Tensor | Tokens) -> torch.device:
    return (inputs.values if isinstance(inputs, Tokens) else inputs).device


def _devices(inputs: Tensor | Tokens) -> list[torch.device]:
    device = _device(inputs)
    return [device] if device.type == "cuda" else []


def _states(inputs: Tensor | Tokens) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in _devices(inputs))]


def _restore(states: list[Tensor], inputs: Tensor | Tokens) -> None:
    torch.set_rng_state(states[0])
    for state, device in zip(states[1:], _devices(inputs), strict=True):
        torch.cuda.set_rng_state(state, device)
