"""What the present model takes for near: of some classes at a time, the other classes whose items it puts close by.

Classes, not items, are looked for: every item of a near class is drawn, and one odd picture does not stand for its
class. Nearness is the twin's own score, whatever head stands on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cross_modal.data.class_pairs import ClassPairs, Kind, Side
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.training.item_tensors import ItemTensors

CLASSES = 4096  # looked at in one go
NEAREST = 8  # near classes of each
BATCH = 256
ROWS = 512  # classes compared with all others at a time


class HardNegatives:
    """Keeps the near classes of a `ClassPairs` up to date.

    Args:
        pairs: What draws the pairs; its `near` is set.
        tensors: Makes the tensors of its rows.
        classes: Most classes looked at in one go; in time all are.

    Attributes:
        found: How many classes had near ones, the last time.
        times: How often it has looked.
    """

    def __init__(self, pairs: ClassPairs, tensors: ItemTensors, classes: int = CLASSES) -> None:
        self.pairs, self.tensors, self.classes = pairs, tensors, classes
        self.found = self.times = 0

    def state_dict(self) -> dict[str, Any]:
        """Which classes are near to which, as tensors: the present model no longer knows what it found then."""
        near = {
            "-".join(kind): {
                "ranks": torch.tensor(list(found), dtype=torch.int64),
                "counts": torch.tensor([len(each) for each in found.values()], dtype=torch.int64),
                "near": torch.from_numpy(np.concatenate([*found.values(), np.zeros(0, np.int64)]).astype(np.int64)),
            }
            for kind, found in self.pairs.near.items()
        }
        return {"near": near, "found": self.found, "times": self.times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.found, self.times = state["found"], state["times"]
        kinds = {"-".join(kind): kind for kind in self.pairs.kinds}
        self.pairs.near = {
            kinds[name]: {
                rank: part.numpy()
                for rank, part in zip(
                    found["ranks"].tolist(), torch.split(found["near"], found["counts"].tolist()), strict=True
                )
            }
            for name, found in state["near"].items()
        }

    @torch.no_grad()
    def refresh(self, twin: TwinEncoder, step: int) -> None:
        """Looks anew.

        Args:
            twin: The twin as it is now; its mode is restored.
            step: The step; items are augmented as in it.
        """
        was_training = twin.training
        twin.eval()
        sample = self.pairs.sample(self.times, min(self.classes, self.pairs.class_count))
        middles = {side: self._middles(twin, side, *rows, step) for side, rows in sample.items()}
        near: dict[Kind, dict[int, np.ndarray]] = {}
        for kind in self.pairs.kinds:
            if kind[0] in middles and kind[1] in middles:
                near[kind] = self._near(twin, middles[kind[0]], middles[kind[1]])
        twin.train(was_training)
        self.pairs.near = near
        self.times += 1
        self.found = len({rank for found in near.values() for rank in found})

    def _middles(
        self, twin: TwinEncoder, side: Side, rows: np.ndarray, ranks: np.ndarray, step: int
    ) -> tuple[np.ndarray, Tensor]:
        """Classes (C,) int64, ascending, and the middle of the embeddings of each (C, dim)."""
        device = next(twin.parameters()).device
        parts = []
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            if side == "image":
                parts.append(twin(self.tensors.image(some, step).to(device), None)[0])
            else:
                parts.append(twin(None, self.tensors.text(some, step).to(device))[1])
        embeddings = torch.cat(parts)
        classes, place, counts = np.unique(ranks, return_inverse=True, return_counts=True)
        total = embeddings.new_zeros(len(classes), embeddings.shape[1])
        total.index_add_(0, torch.from_numpy(place).to(device), embeddings)
        middle = total / torch.from_numpy(counts).to(total)[:, None]
        return classes, F.normalize(middle, dim=-1) if twin.normalise else middle

    def _near(
        self, twin: TwinEncoder, left: tuple[np.ndarray, Tensor], right: tuple[np.ndarray, Tensor]
    ) -> dict[int, np.ndarray]:
        """The nearest classes of each class that it may make a different pair with."""
        near: dict[int, np.ndarray] = {}
        for start in range(0, len(left[0]), ROWS):
            ranks = left[0][start : start + ROWS]
            allowed = self.pairs.may_differ(ranks[:, None], right[0][None, :])
            scores = twin.score(left[1][start : start + ROWS], right[1])
            scores = scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), -torch.inf)
            best, places = scores.topk(min(NEAREST, scores.shape[1]), dim=1)
            for rank, some, known in zip(
                ranks.tolist(), places.cpu().numpy(), best.isfinite().cpu().numpy(), strict=True
            ):
                if known.any():
                    near[rank] = right[0][some[known]]
        return near
