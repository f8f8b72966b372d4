"""AdamW over a stack of weights, each with its own learning rate and decay.

torch's own optimiser takes one rate for a whole tensor, and imports its compiler at the first use, which takes longer
than many a training here.

Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization".
"""

from __future__ import annotations

import math

import torch

BETAS = (0.9, 0.999)


class AdamW:
    """The moments of AdamW beside the weights that they move.

    Args:
        weights: Moved in place.
        epsilon: ε, added to the root of the second moment.

    >>> weights = torch.zeros(2)
    >>> AdamW(weights, 1e-8).step(torch.tensor([1.0, -4.0]), 0.1, 0.0)
    >>> weights
    tensor([-0.1000,  0.1000])
    """

    def __init__(self, weights: torch.Tensor, epsilon: float) -> None:
        self.weights, self.epsilon, self.taken = weights, epsilon, 0
        self.mean, self.square, self.buffer = (torch.zeros_like(weights) for _ in range(3))

    @torch.no_grad()
    def step(self, gradients: torch.Tensor, rates: torch.Tensor | float, decays: torch.Tensor | float) -> None:
        """One step; every line is one pass over memory.

        Args:
            gradients: In the shape of the weights; overwritten.
            rates: Learning rates, broadcast over the weights.
            decays: Weight decays, likewise.
        """
        self.taken += 1
        first, second = (1 - beta**self.taken for beta in BETAS)
        self.mean.lerp_(gradients, 1 - BETAS[0])
        self.square.lerp_(gradients.square_(), 1 - BETAS[1])
        torch.sqrt(self.square, out=self.buffer).add_(self.epsilon * math.sqrt(second))
        torch.div(self.mean, self.buffer, out=self.buffer)
        self.weights.mul_(1 - rates * decays)
        rates = torch.as_tensor(rates, dtype=self.weights.dtype)
        self.weights.addcmul_(self.buffer, rates * (-math.sqrt(second) / first))
