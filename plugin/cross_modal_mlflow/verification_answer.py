"""The answer of ``cross-modal verify`` about two items, or about one and several references of another.

A score alone says nothing; an answer also has the threshold, the decision, the probability, and the error rates to
expect, as the model was calibrated. A model without a calibration answers with the score alone, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.encoders.saved_twin import load_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.verification.calibration import Calibration, Decision
from cross_modal.verification.comparison import MIXED, NOTHING, comparison, in_words, shown
from cross_modal.verification.estimate import Estimate
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal.verification.pair_scorer import PairScorer, load_pair_scorer
from cross_modal.verification.references import How, decide_by_references, far_references
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.device import on_device

UNCALIBRATED = (
    "the model has no calibration (its training had no validation pairs that are the same or not): no threshold, no "
    "probability"
)


@dataclass(frozen=True)
class Answer:
    """What is said about one pair.

    Attributes:
        score: Higher is more alike.
        comparison: What was compared with what.
        same: The decision; None without a calibration, as all below.
        threshold: Scores from here on are the same.
        probability: That they are the same.
        prior: Share of same pairs that the probability assumes.
        false_accept: Error rate to expect: different pairs taken for the same.
        false_reject: Error rate to expect: same pairs taken for different.
        chosen_by: What the threshold was chosen by.
        notes: What to know, a sentence each.
    """

    score: float
    comparison: str
    same: bool | None = None
    threshold: float | None = None
    probability: float | None = None
    prior: float | None = None
    false_accept: Estimate | None = None
    false_reject: Estimate | None = None
    chosen_by: str | None = None
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For the terminal."""
        compared = f"score        {self.score:.4f}   {in_words(self.comparison)}"
        if self.same is None:
            return [compared]
        assert self.probability is not None
        assert self.prior is not None
        assert self.false_accept is not None
        assert self.false_reject is not None
        likely = f"{100 * self.probability:.1f} % that they are the same, where {100 * self.prior:g} % of pairs are"
        return [
            "same" if self.same else "different",
            compared,
            f"threshold    {self.threshold:.4f}   {self.chosen_by}",
            f"probability  {likely}",
            f"errors       different taken for the same: {self.false_accept.percent()}; "
            f"same taken for different: {self.false_reject.percent()}",
        ]

    def metrics(self) -> dict[str, float]:
        """For ``--json``."""
        found: dict[str, float] = {"verification/score": self.score}
        if self.same is not None:
            assert self.threshold is not None
            assert self.probability is not None
            found |= {"verification/same": float(self.same), "verification/threshold": self.threshold}
            found["verification/probability"] = self.probability
            for name in ("false_accept", "false_reject"):
                rate: Estimate = getattr(self, name)
                found |= {
                    f"verification/{name}_rate": rate.value,
                    f"verification/{name}_rate/low": rate.low,
                    f"verification/{name}_rate/high": rate.high,
                }
        return found


@dataclass
class Verifier:
    """A saved twin that answers "same or not".

    Attributes:
        twin: The twin.
        scorer: What scores its embeddings.
        calibration: Its thresholds, or None.
        data: How pictures are decoded.
        false_accept_rate: What its thresholds are to allow; None takes those that were chosen.
    """

    twin: TwinEncoder
    scorer: PairScorer
    calibration: SavedCalibration | None
    data: DataConfig = field(default_factory=DataConfig)
    false_accept_rate: float | None = None
    _known: dict[str, tuple[Calibration, list[str]]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, data: DataConfig | None = None, false_accept_rate: float | None = None) -> Verifier:
        """Reads a saved twin with its head and its calibration.

        Raises:
            CrossModalError: No saved twin, a damaged one, or a rate without a calibration.
        """
        calibration = SavedCalibration.load(folder)
        if calibration is None and false_accept_rate is not None:
            raise CrossModalError(f"--false-accept-rate: {UNCALIBRATED}")
        twin = on_device(load_twin(folder))
        return cls(twin, load_pair_scorer(folder), calibration, data or DataConfig(), false_accept_rate)

    def calibration_of(self, kind: str) -> tuple[Calibration, list[str]] | None:
        """The calibration for a comparison, with notes; None where the model has none at all."""
        if self.calibration is None:
            return None
        if kind not in self._known:
            self._known[kind] = self.calibration.of(kind, self.false_accept_rate)
        return self._known[kind]

    def answer(self, items: Items) -> Answer:
        """Whether the first item and the second are the same.

        Args:
            items: Two items.

        Raises:
            CrossModalError: An item that the twin cannot encode.
        """
        sides = self._sides(items, ("A", "B"))
        return self.answer_embedded(embed_pair_items(self.twin, items, self.data), comparison(sides[0], sides[1]))

    def answer_embedded(self, embedded: np.ndarray, kind: str) -> Answer:
        """As `answer`, of items that are embedded already.

        Args:
            embedded: (2, dim) float32.
            kind: What is compared with what, as `comparison` names it.
        """
        score = self.scorer.score(embedded[:1], embedded[1:])
        known = self.calibration_of(kind)
        if known is None:
            return Answer(float(score[0]), kind, notes=[UNCALIBRATED])
        calibration, notes = known
        return _answer(score, kind, calibration, calibration.decide(score), notes)

    def answer_by_references(self, items: Items, names: Sequence[str], how: How = "mean") -> Answer:
        """Whether the first item is what all the others are said to be.

        Args:
            items: The item in question, then the references.
            names: What messages call the references.
            how: "mean", "best" or "identity".

        Raises:
            CrossModalError: An item that the twin cannot encode, or a way that the calibration does not allow.
        """
        sides = self._sides(items, ("A", *(f"reference {name}" for name in names)))
        embedded = embed_pair_items(self.twin, items, self.data)
        query, references = embedded[:1], embedded[1:]
        kinds = {comparison(sides[0], side) for side in sides[1:]}
        kind = kinds.pop() if len(kinds) == 1 else MIXED
        known = self.calibration_of(kind)
        if known is None:
            if how == "identity":
                raise CrossModalError(f"--how identity: {UNCALIBRATED}")
            among = [float(self.scorer.score(query, one[None])[0]) for one in references]
            return Answer(max(among) if how == "best" else float(np.mean(among)), kind, notes=[UNCALIBRATED])
        calibration, notes = known
        score, decision = decide_by_references(calibration, query, references, how, score=self.scorer.score)
        return _answer(score, kind, calibration, decision, [*notes, *self._far(references, sides[1:], names)])

    def _sides(self, items: Items, names: Sequence[str]) -> np.ndarray:
        """(N,) object: what the twin sees of each item.

        Raises:
            CrossModalError: It sees nothing of one; the line has the name that the user knows it by.
        """
        sides = shown(items, self.twin)
        for row in np.flatnonzero(sides == NOTHING).tolist():
            name, wanted, found = names[row], "text", "a picture only"
            if self.twin.image is not None:
                hint = f" (a picture file of another name: --image-{name.lower()} FILE)" if name in {"A", "B"} else ""
                wanted, found = "picture", f"the text {str(items.texts[row])[:60]!r}{hint}"
            raise CrossModalError(f"{name}: expected a {wanted}, which is what this twin compares, found {found}")
        return sides

    def _far(self, references: np.ndarray, sides: np.ndarray, names: Sequence[str]) -> list[str]:
        """Sentences about references that are unlike most of their fellows."""
        kinds = {comparison(a, b) for a in sides for b in sides}
        known = self.calibration_of(kinds.pop() if len(kinds) == 1 else MIXED)
        if known is None:
            return []
        found = far_references(known[0], references, names, score=self.scorer.score)
        return [far.sentence() for far in found]


def _answer(score: np.ndarray, kind: str, calibration: Calibration, decision: Decision, notes: Sequence[str]) -> Answer:
    return Answer(
        score=float(score[0]),
        comparison=kind,
        same=bool(decision.same[0]),
        threshold=float(decision.threshold),
        probability=float(decision.probability[0]),
        prior=calibration.probability.prior,
        false_accept=decision.false_accept,
        false_reject=decision.false_reject,
        chosen_by=calibration.chosen_by,
        notes=list(notes),
    )
