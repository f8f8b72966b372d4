"""The objective across two modalities: one loss, four directions, one number.

The public door to this folder. Anchors of one modality are compared with references of the other (image→text,
text→image) or of their own (image→image, text→text); items of the same class are positives of each other, however many
there are. The number is the mean of the directions, weighted, so that two directions of equal weight are CLIP's
symmetric loss. It is computed in float32 outside autocast, always, and both towers stay in its graph even in a step in
which nothing could be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cross_modal.configuration import ObjectiveConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.clip_loss import CLIPLoss
from cross_modal.objectives.distances import build_distance
from cross_modal.objectives.losses import build_loss, find_loss
from cross_modal.objectives.memory import Memory
from cross_modal.objectives.miners import build_miner
from cross_modal.objectives.reducers import CountedReducer, build_reducer
from cross_modal.objectives.reference_term import References, ReferenceTerm, Term
from cross_modal.objectives.siglip import SigLIPLoss
from cross_modal.objectives.together_term import TogetherTerm

TERMS = ("image_to_text", "text_to_image", "image_to_image", "text_to_text")


@dataclass
class LossOutput:
    """What one step's objective gave.

    Attributes:
        loss: Float32 scalar with a graph to both towers.
        parts: Detached scalars: each direction's loss under its name (or ``both_modalities``), ``usable_anchors``,
            ``positives`` and ``negatives`` (pairs); with a miner ``kept_positives``, ``kept_negatives``, ``kept_pairs``
            or ``kept_triplets``, and ``kept_share``; ``active_fraction`` and ``temperature`` where there is one.
        usable_anchors: Anchors, over all directions, that had a positive and a negative.
        kept_pairs: Pairs (or triplets) that the miner kept; None without a miner.
        active_fraction: Share of the loss's elements above zero; None where it has none.
    """

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    usable_anchors: int = 0
    kept_pairs: int | None = None
    active_fraction: float | None = None


class CrossModalLoss(nn.Module):
    """Any registered loss × distance × reducer × miner across two towers.

    Args:
        config: Loss, miner, distance, reducer, weights of the directions, memory.
        dim: Size of the embeddings.
        num_classes: Number of training classes; ids lie in [0, num_classes).
        normalise: Whether the twin scales embeddings to length one.

    Raises:
        CrossModalError: For a combination that cannot train, in one line.

    >>> loss = CrossModalLoss(ObjectiveConfig(), dim=4, num_classes=3)
    >>> ids = torch.arange(3)
    >>> loss(torch.eye(3, 4), ids, torch.eye(3, 4), ids).usable_anchors
    6
    """

    def __init__(self, config: ObjectiveConfig, dim: int, num_classes: int, normalise: bool = True) -> None:
        super().__init__()
        name = config.loss.name
        entry = find_loss(name)
        self.name, self.entry, self.normalise = name, entry, normalise
        self.weights = {term: float(getattr(config.terms, term)) for term in TERMS}
        _check(config, normalise)
        distance = None
        if entry.distance is not None and entry.family != "own":
            distance = build_distance(config.distance, normalise, entry.distance)
        loss = build_loss(config.loss, distance, build_reducer(config.reducer), dim, num_classes)
        shared = build_distance(None, normalise) if distance is None else distance
        miner = build_miner(config.miner, shared, normalise)
        self.term: ReferenceTerm | TogetherTerm
        if entry.family in ("class", "batch"):
            self.term = TogetherTerm(name, entry, loss, miner, num_classes)
        else:
            self.term = ReferenceTerm(name, entry, loss, miner)
        self.memory = Memory(config.memory.size, dim, config.memory.warm_up) if config.memory.size else None

    def forward(self, image: Tensor | None, image_ids: Tensor, text: Tensor | None, text_ids: Tensor) -> LossOutput:
        """The objective of one step.

        Args:
            image: Embeddings (B_i, dim) of any float type, or None.
            image_ids: Class ids, int64 (B_i,).
            text: Embeddings (B_t, dim), or None.
            text_ids: Class ids, int64 (B_t,).

        Raises:
            CrossModalError: Where ids do not fit the rows or the proxies, or a step would exhaust memory.
        """
        towers = {"image": (image, image_ids), "text": (text, text_ids)}
        present = [rows for rows, _ in towers.values() if rows is not None]
        if not present:
            raise CrossModalError("objective: a step needs image or text embeddings, found neither")
        for modality, (rows, ids) in towers.items():
            if rows is not None and len(rows) != len(ids):
                raise CrossModalError(f"objective: {len(rows)} {modality} embeddings with {len(ids)} class ids")
        counter = getattr(self.term.loss, "reducer", None)
        if isinstance(counter, CountedReducer):
            counter.reset()
        with torch.autocast(present[0].device.type, enabled=False):
            live = {m: (self._prepare(rows), ids) for m, (rows, ids) in towers.items() if rows is not None}
            tie = sum(
                (0.0 * rows.sum() for rows, _ in live.values()), start=present[0].new_zeros((), dtype=torch.float32)
            )
            tie = tie + sum(0.0 * p.sum() for p in self.term.parameters() if p.requires_grad)
            terms = self._together(live) if isinstance(self.term, TogetherTerm) else self._directions(live)
            return self._output(terms, tie, counter)

    def after_step(self, image: Tensor | None, image_ids: Tensor, text: Tensor | None, text_ids: Tensor) -> None:
        """Stores the step's embeddings in the memory, after its loss was taken; without a memory, nothing.

        Args:
            image: Embeddings (B_i, dim) or None.
            image_ids: Int64 (B_i,).
            text: Embeddings (B_t, dim) or None.
            text_ids: Int64 (B_t,).
        """
        if self.memory is not None:
            with torch.no_grad():
                rows = [None if x is None else self._prepare(x.detach()) for x in (image, text)]
            self.memory.add(rows[0], image_ids, rows[1], text_ids)

    def proxy_parameters(self) -> Iterator[nn.Parameter]:
        """Proxies and class weights: an optimizer group of their own, usually with a higher rate."""
        return iter([p for p in self.term.loss.parameters() if p.ndim > 1])

    def parameters_without_decay(self) -> Iterator[nn.Parameter]:
        """Temperatures, biases and learned boundaries; together with the proxies, all parameters there are."""
        return iter([p for p in self.term.loss.parameters() if p.ndim <= 1])

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> CrossModalLoss:
        """Moves to a device, never to another precision: proxies in bf16 would leave their optimizer state behind."""
        super()._apply(fn, *args, **kwargs)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()
        for module in self.modules():
            for key, buffer in module._buffers.items():
                if buffer is not None and buffer.is_floating_point():
                    module._buffers[key] = buffer.float()
        return self

    def _prepare(self, rows: Tensor) -> Tensor:
        rows = rows.float()
        return F.normalize(rows, dim=-1) if self.normalise else rows

    def _directions(self, live: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Term]:
        """Each direction that has a weight and both its modalities."""
        terms: dict[str, Term] = {}
        for name, weight in self.weights.items():
            source, target = name.split("_to_")
            if weight == 0 or source not in live or target not in live:
                continue
            rows, ids = live[target]
            references = References(rows, ids, live=len(rows))
            past = self.memory.read(target) if self.memory is not None else None
            if past is not None:
                references = References(torch.cat([rows, past[0]]), torch.cat([ids, past[1]]), live=len(rows))
            terms[name] = self.term(*live[source], references, within=source == target)
        return terms

    def _together(self, live: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Term]:
        """Both modalities that any direction with a weight mentions."""
        used = [m for m in live if any(w and m in name for name, w in self.weights.items())]
        rows = torch.cat([live[m][0] for m in used])
        ids = torch.cat([live[m][1] for m in used])
        is_text = torch.cat([torch.full_like(live[m][1], m == "text", dtype=torch.bool) for m in used])
        return {"both_modalities": self.term(rows, ids, is_text)}

    def _output(self, terms: dict[str, Term], tie: Tensor, counter: Any) -> LossOutput:
        weighed = [(self.weights.get(name, 1.0), term.loss) for name, term in terms.items() if term.loss is not None]
        loss, total = tie, sum(weight for weight, _ in weighed)
        for weight, value in weighed:
            loss = loss + weight / total * value.reshape(())
        found = list(terms.values())
        numbers = {
            "usable_anchors": sum(t.usable for t in found),
            "positives": sum(t.positives for t in found),
            "negatives": sum(t.negatives for t in found),
        } | _kept(found)
        parts = {n: t.loss.detach().reshape(()) for n, t in terms.items() if t.loss is not None}
        active = None
        if isinstance(counter, CountedReducer) and counter.total:
            active = float(counter.active) / counter.total
            numbers["active_fraction"] = active
        if isinstance(self.term.loss, (CLIPLoss, SigLIPLoss)):
            parts["temperature"] = torch.exp(-self.term.loss.log_scale.detach())
        parts |= {key: torch.tensor(float(value)) for key, value in numbers.items()}
        kept = numbers.get("kept_triplets", numbers.get("kept_pairs"))
        return LossOutput(loss, parts, int(numbers["usable_anchors"]), None if kept is None else int(kept), active)


def _kept(terms: list[Term]) -> dict[str, float]:
    """What the miner kept, over all directions."""
    mined = [term for term in terms if term.kept is not None]
    if not mined:
        return {}
    positives, negatives = (sum(t.kept[i] for t in mined if t.kept) for i in (0, 1))
    if any(t.triplets for t in mined):
        return {"kept_triplets": positives}
    candidates = sum(t.positives + t.negatives for t in mined)
    return {
        "kept_positives": positives,
        "kept_negatives": negatives,
        "kept_pairs": positives + negatives,
        "kept_share": min(1.0, (positives + negatives) / max(candidates, 1)),  # some miners draw a pair repeatedly
    }


def _check(config: ObjectiveConfig, normalise: bool) -> None:
    """Combinations of loss, miner, distance, directions and memory that cannot train."""
    name, entry, weights = config.loss.name, find_loss(config.loss.name), vars(config.terms)
    if any(w < 0 for w in weights.values()) or not any(weights.values()):
        raise CrossModalError(f"objective.terms: weights must be 0 or more, one of them above 0, found {weights}")
    if config.distance is not None and (entry.fixed or entry.distance is None):
        own = entry.distance.name.replace("Bounded", "").replace("CosineSim", "Cosine") if entry.distance else "none"
        if entry.distance is None or not _same_distance(config, entry.distance.name):
            raise CrossModalError(f"{name}: works with its own distance only ({own}), found {config.distance.name}")
    if entry.unit and not normalise:
        raise CrossModalError(f"{name}: assumes embeddings of length one; set twin.normalise=true")
    if name == "VICRegLoss" and normalise:
        raise CrossModalError(
            "VICRegLoss: asks for a standard deviation of 1 in every dimension, which unit vectors cannot reach; "
            "set twin.normalise=false"
        )
    if config.miner is not None and not entry.miner:
        raise CrossModalError(f"{name}: cannot use a miner, found {config.miner.name}; remove objective.miner")
    if config.memory.size < 0 or config.memory.warm_up < 0:
        raise CrossModalError("objective.memory: size and warm_up must be 0 or more")
    if config.memory.size and (entry.family in ("class", "batch") or name == "VICRegLoss"):
        raise CrossModalError(f"{name}: compares with no references and cannot use a memory; set memory.size=0")
    within = config.terms.image_to_image or config.terms.text_to_text
    if config.memory.size and name == "NCALoss" and within:
        raise CrossModalError(
            "NCALoss: cannot tell an item from itself in a memory; set terms.image_to_image and text_to_text to 0"
        )


def _same_distance(config: ObjectiveConfig, own: str) -> bool:
    """The user named the loss's own distance, without arguments that change it."""
    assert config.distance is not None
    same = config.distance.name == own or (config.distance.name == "CosineSimilarity" and own == "BoundedCosine")
    return same and not config.distance.arguments
