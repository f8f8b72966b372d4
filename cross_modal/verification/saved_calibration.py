"""The calibration that travels with a twin: `verification.json` beside `twin.json`, and the scores it was learned from.

A twin may compare pictures, texts, and pictures with texts; each comparison has scores of its own, hence a calibration
of its own where there were pairs enough to learn one. The scores are kept too (numbers and verdicts, no items), so that
a threshold for any other false-accept rate can be learned later, with its error rates.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.bootstrap import Owners
from cross_modal.verification.calibrate import calibrate
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.comparison import MIXED, in_words
from cross_modal.verification.threshold import Costs

FILE, SCORES = "verification.json", "verification.safetensors"
USUAL_RATE = 0.01  # of false accepts
FEWEST = 20  # pairs of either verdict from which a comparison gets a calibration of its own
_CELLS = 20_000_000  # weights of the bootstrap: pairs × resamples


@dataclass(frozen=True)
class CalibrationPairs:
    """The scored pairs that a calibration was learned from.

    Attributes:
        scores: (M,) float64.
        same: (M,) bool.
        owners: What is independent, on either side.
    """

    scores: np.ndarray
    same: np.ndarray
    owners: Owners

    def take(self, keep: np.ndarray) -> CalibrationPairs:
        """Some of them: (M,) bool."""
        return CalibrationPairs(self.scores[keep], self.same[keep], self.owners.take(keep))

    def calibration(
        self, metric: Metric, false_accept_rate: float | None = None, costs: Costs | None = None
    ) -> Calibration:
        """Learns from them; None takes the usual false-accept rate."""
        return calibrate(
            self.scores,
            self.same,
            self.owners,
            metric=metric,
            costs=costs,
            false_accept_rate=USUAL_RATE if false_accept_rate is None else false_accept_rate,
            resamples=resamples_for(len(self.scores)),
        )


@dataclass(frozen=True)
class SavedCalibration:
    """What a twin knows of its own scores.

    Attributes:
        calibrations: By comparison ("picture_picture", …, or "mixed"); the first speaks for those that have none.
        pairs: What each was learned from; may lack some.
        provenance: What it was learned on: data, digest, split; "score" is what scored.
    """

    calibrations: Mapping[str, Calibration]
    pairs: Mapping[str, CalibrationPairs] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def learned(
        cls,
        pairs: CalibrationPairs,
        kinds: np.ndarray,
        metric: Metric,
        provenance: Mapping[str, Any],
        false_accept_rate: float | None = None,
    ) -> SavedCalibration:
        """Learns one calibration of all pairs, and one of each comparison among them that has pairs enough.

        Args:
            pairs: Scored pairs of both verdicts.
            kinds: (M,) the comparison of each.
            metric: How they were scored; kept.
            provenance: What they are.
            false_accept_rate: Of the chosen threshold; None takes the usual one.

        Raises:
            CrossModalError: Pairs that cannot be calibrated on.
        """
        names = sorted(set(kinds.tolist()))
        main = names[0] if len(names) == 1 else MIXED
        learned_from = {main: pairs}
        for name in names if main == MIXED else ():
            part = pairs.take(kinds == name)
            if min(part.same.sum(), (~part.same).sum()) >= FEWEST:
                learned_from[name] = part
        return cls.of_comparisons(learned_from, metric, provenance, false_accept_rate)

    @classmethod
    def of_comparisons(
        cls,
        pairs: Mapping[str, CalibrationPairs],
        metric: Metric,
        provenance: Mapping[str, Any],
        false_accept_rate: float | None = None,
    ) -> SavedCalibration:
        """Learns one calibration a comparison; the first speaks for those that are missing.

        Raises:
            CrossModalError: None at all, or pairs that cannot be calibrated on.
        """
        if not pairs:
            raise CrossModalError("calibration: expected pairs of at least one comparison, found none")
        found = {name: part.calibration(metric, false_accept_rate) for name, part in pairs.items()}
        return cls(found, dict(pairs), dict(provenance))

    @property
    def main(self) -> Calibration:
        """The first calibration."""
        return next(iter(self.calibrations.values()))

    def of(self, kind: str, false_accept_rate: float | None = None) -> tuple[Calibration, list[str]]:
        """The calibration for a comparison.

        Args:
            kind: The comparison.
            false_accept_rate: Learn the chosen threshold for this rate; None takes the one that was chosen.

        Returns:
            It, and what to know: a sentence where it was learned on another comparison.

        Raises:
            CrossModalError: A rate out of range, or one for which the scores are not kept.
        """
        name = kind if kind in self.calibrations else next(iter(self.calibrations))
        notes = []
        if name != kind and name != MIXED:
            notes.append(
                f"the threshold was learned on {in_words(name)}, not on {in_words(kind)}: expect other error rates"
            )
        calibration = self.calibrations[name]
        if false_accept_rate is None:
            return calibration, notes
        if name not in self.pairs:
            raise CrossModalError(
                f"--false-accept-rate: expected the scores that the model was calibrated on ({SCORES}), found none"
            )
        learned = self.pairs[name].calibration(calibration.metric, false_accept_rate)
        return learned, [*notes, *(note for note in learned.notes if "cannot show" in note)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able primitives: the first calibration, with the others and the provenance inside."""
        (main, first), *others = self.calibrations.items()
        return {
            **first.to_dict(),
            "comparison": main,
            "provenance": dict(self.provenance),
            "others": {name: calibration.to_dict() for name, calibration in others},
        }

    def save(self, folder: str | Path) -> Path:
        """Writes it into a saved twin's folder; what is there is replaced.

        Returns:
            The JSON file.
        """
        from safetensors.numpy import save_file

        folder = Path(folder)
        tensors: dict[str, np.ndarray] = {}
        for name, part in self.pairs.items():
            tensors |= {
                f"{name}.scores": np.ascontiguousarray(part.scores, np.float64),
                f"{name}.same": np.ascontiguousarray(part.same, np.uint8),
                f"{name}.owners": np.stack([part.owners.a, part.owners.b]).astype(np.int64),
            }
        if tensors:
            handle, aside = tempfile.mkstemp(prefix=".verification-", dir=folder)
            os.close(handle)
            save_file(tensors, aside)
            _put(aside, folder / SCORES)
        else:  # those of an earlier calibration tell nothing of this one
            (folder / SCORES).unlink(missing_ok=True)
        handle, aside = tempfile.mkstemp(prefix=".verification-", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        return _put(aside, folder / FILE)

    @classmethod
    def load(cls, folder: str | Path) -> SavedCalibration | None:
        """Reads what `save` wrote.

        Returns:
            It; None where the twin was saved without one.

        Raises:
            CrossModalError: Files that are something else, or damaged.
        """
        path = Path(folder) / FILE
        if not path.exists():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            first = Calibration.from_dict(values)
            found = {str(values["comparison"]): first}
            found |= {str(name): Calibration.from_dict(each) for name, each in values["others"].items()}
            return cls(found, _pairs(Path(folder), found), dict(values["provenance"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CrossModalError(f"{path}: expected a calibration, found {reason}") from None


def resamples_for(pairs: int) -> int:
    """Bootstrap resamples that many pairs can pay for: 1000, fewer from twenty thousand pairs on, never below 100.

    >>> resamples_for(4000), resamples_for(1_000_000)
    (1000, 100)
    """
    return int(np.clip(_CELLS // max(pairs, 1), 100, 1000))


def _pairs(folder: Path, calibrations: Mapping[str, Calibration]) -> dict[str, CalibrationPairs]:
    """The scores beside the calibration; none where the file is missing."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / SCORES
    if not path.exists():
        return {}
    try:
        tensors = load_file(path)
        found = {}
        for name, calibration in calibrations.items():
            if f"{name}.scores" in tensors:
                left, right = tensors[f"{name}.owners"]
                owners = Owners(left, right, calibration.identity_kind)
                found[name] = CalibrationPairs(tensors[f"{name}.scores"], tensors[f"{name}.same"].astype(bool), owners)
        return found
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise CrossModalError(f"{path}: expected scored pairs, found {reason}") from None


def _put(aside: str, path: Path) -> Path:
    os.chmod(aside, 0o644)
    return Path(aside).replace(path)
