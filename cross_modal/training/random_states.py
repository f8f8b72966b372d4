"""The states of all random generators that a training may draw from, as tensors and primitives.

Batches, augmentation and hard negatives are functions of the step and draw from none of them; dropout does.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def random_states() -> dict[str, Any]:
    """The present states of Python's, NumPy's and torch's generators, the GPUs' included.

    >>> kept = random_states()
    >>> first = torch.rand(3)
    >>> restore_random_states(kept)
    >>> bool((torch.rand(3) == first).all())
    True
    """
    version, numbers, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Puts states back.

    Args:
        states: What `random_states` gave.
    """
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available():
        for device, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):  # maybe fewer by now
            torch.cuda.set_rng_state(state, device)
