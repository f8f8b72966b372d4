"""The bench of "same or different": what a threshold does to a run's scored test pairs. No Streamlit here.

Every number is the library's (`cross_modal.verification`); this module picks the pairs of one comparison, asks, and
lays the answers out for charts and tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners, resample
from cross_modal.verification.curves import det_curve, roc_curve
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.estimate import Estimate, rate_estimate
from cross_modal.verification.operating_points import check_pairs
from cross_modal.verification.saved_calibration import SavedCalibration, resamples_for
from cross_modal.verification.threshold import rates_at, threshold_at_equal_error, threshold_at_false_accept_rate

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

ARTIFACT = "explorer/verification_pairs.parquet"
COLUMNS = ("kind", "id_a", "id_b", "score", "same", "owner_a", "owner_b")
DRAWN, BINS = 400, 40  # points of a curve, bars of a histogram
STEPS = 200  # at least so many places of the slider
SAME, DIFFERENT = "same", "different"
ALL, FALSE_ACCEPTS, FALSE_REJECTS = "nearest", "false accepts", "false rejects"
SHOWN = (ALL, FALSE_ACCEPTS, FALSE_REJECTS)


@dataclass(frozen=True)
class Rates:
    """What a threshold does.

    Attributes:
        threshold: Pairs with at least this score are the same.
        false_accept: Share of different pairs taken for the same.
        false_reject: Share of same pairs taken for different.
        accuracy: Share of right decisions where both kinds are equally frequent.
        false_accepts: How many different pairs were taken for the same.
        false_rejects: How many same pairs were taken for different.
    """

    threshold: float
    false_accept: Estimate
    false_reject: Estimate
    accuracy: Estimate
    false_accepts: int
    false_rejects: int


class Bench:
    """The scored pairs of one comparison.

    Args:
        pairs: The columns of `ARTIFACT`, of one comparison.

    Raises:
        CrossModalError: Pairs that cannot be measured.
    """

    def __init__(self, pairs: pd.DataFrame) -> None:
        self.pairs = pairs.reset_index(drop=True)
        self.scores, self.same = check_pairs(ARTIFACT, pairs["score"].to_numpy(), pairs["same"].to_numpy())
        names = pd.factorize(pd.concat([pairs["owner_a"], pairs["owner_b"]]).astype(str))[0]
        self.owners = Owners(names[: len(pairs)], names[len(pairs) :])

    @property
    def counts(self) -> tuple[int, int]:
        """Same pairs, different pairs."""
        return int(self.same.sum()), int((~self.same).sum())

    @cached_property
    def whole(self) -> dict[str, Estimate]:
        """Equal error rate and area under the ROC curve ("eer", "auc"), whatever the threshold."""
        drawn = self._resampled(lambda weights: error_rates(self.scores, self.same, weights))
        found = error_rates(self.scores, self.same)
        fewest = min(self._independent)
        return {name: rate_estimate(found[name].item(), drawn.get(name), fewest) for name in ("eer", "auc")}

    @property
    def equal_error(self) -> float:
        """The threshold at which both error rates are nearest to each other."""
        return threshold_at_equal_error(self.scores, self.same)

    def at(self, threshold: float) -> Rates:
        """What a threshold does, with intervals."""
        line = np.array([threshold])

        def measured(weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
            false, missed = (rates[:, 0] for rates in rates_at(self.scores, self.same, line, weights))
            return {"false": false, "missed": missed, "wrong": (false + missed) / 2}

        drawn, (fellows, strangers) = self._resampled(measured), self._independent
        independent = {"false": strangers, "missed": fellows, "wrong": min(fellows, strangers)}
        found = {
            name: rate_estimate(value.item(), drawn.get(name), independent[name]) for name, value in measured().items()
        }
        same, different = self.counts
        return Rates(
            threshold,
            found["false"],
            found["missed"],
            found["wrong"].complement(),
            round(found["false"].value * different),
            round(found["missed"].value * same),
        )

    def one_in(self, count: int) -> float:
        """The threshold for one false accept in so many different pairs.

        Raises:
            CrossModalError: A count below 2.
        """
        if count < 2:
            raise CrossModalError(f"one false accept in {count}: expected at least 2 pairs")
        return threshold_at_false_accept_rate(self.scores, self.same, 1 / count)

    def can_show(self, count: int) -> bool:
        """Whether there are different pairs enough to have seen one false accept in so many."""
        return self.counts[1] >= count

    def roc(self) -> pd.DataFrame:
        """The ROC curve: false_accepts, true_accepts, threshold."""
        curve = roc_curve(self.scores, self.same, DRAWN)
        return pd.DataFrame(
            {
                "false_accepts": curve.false_accepts,
                "true_accepts": curve.true_accepts,
                "threshold": _finite(curve.thresholds),
            }
        )

    def det(self) -> pd.DataFrame:
        """The DET curve: x and y as normal deviates, with the rates and thresholds."""
        curve = det_curve(self.scores, self.same, DRAWN)
        return pd.DataFrame(
            {
                "x": curve.x,
                "y": curve.y,
                "false_accepts": curve.false_accepts,
                "false_rejects": curve.false_rejects,
                "threshold": _finite(curve.thresholds),
            }
        )

    def histogram(self) -> pd.DataFrame:
        """Scores of either kind: verdict, low, high, pairs, and share within the kind."""
        edges = np.histogram_bin_edges(self.scores, BINS)
        parts = []
        for verdict, kind in ((SAME, self.same), (DIFFERENT, ~self.same)):
            counts = np.histogram(self.scores[kind], edges)[0]
            parts.append(
                pd.DataFrame(
                    {
                        "verdict": verdict,
                        "low": edges[:-1],
                        "high": edges[1:],
                        "pairs": counts,
                        "share": counts / kind.sum(),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def nearest(self, threshold: float, most: int, shown: str = ALL) -> pd.DataFrame:
        """The pairs nearest to a threshold, the nearest first.

        Args:
            threshold: What decides.
            most: How many.
            shown: One of `SHOWN`.

        Returns:
            The pairs' columns, with `decision` ("same" or "different") and `right`.
        """
        table = self.decided(threshold)
        keep = np.ones(len(table), bool)
        if shown != ALL:
            keep = ~table["right"].to_numpy() & (self.same == (shown == FALSE_REJECTS))
        rows = np.flatnonzero(keep)
        return table.iloc[rows[np.argsort(np.abs(self.scores[rows] - threshold), kind="stable")[:most]]]

    def decided(self, threshold: float) -> pd.DataFrame:
        """All pairs with what a threshold says of them."""
        accepted = self.scores >= threshold
        return self.pairs.assign(
            same=self.same, decision=np.where(accepted, SAME, DIFFERENT), right=accepted == self.same
        )

    def range(self) -> tuple[float, float, float]:
        """Bounds and step of a slider that reaches every threshold that decides differently."""
        low, high = float(self.scores.min()), float(self.scores.max())
        if high <= low:
            low, high = low - 0.5, high + 0.5
        step = 10.0 ** np.floor(np.log10((high - low) / STEPS))
        digits = int(max(-np.floor(np.log10(step)), 0))
        bounds = (np.floor(low / step) - 1) * step, (np.ceil(high / step) + 1) * step
        return round(float(bounds[0]), digits), round(float(bounds[1]), digits), float(step)

    @cached_property
    def _independent(self) -> tuple[int, int]:
        """How many owners the same and the different pairs rest on."""
        kinds = (self.same, ~self.same)
        return tuple(min(self.owners.take(kind).count, int(kind.sum())) for kind in kinds)  # type: ignore[return-value]

    def _resampled(self, statistic) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
        owners = (self.owners.a, self.owners.b)
        return resample(statistic, self.same, owners, resamples=resamples_for(len(self.scores)))


def comparisons_of(table: pd.DataFrame) -> list[str]:
    """The comparisons that can be measured: those with same and different pairs.

    Args:
        table: What `ARTIFACT` holds.

    Raises:
        CrossModalError: Columns that are missing, or no such comparison.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise CrossModalError(f"{ARTIFACT}: expected columns {', '.join(COLUMNS)}, found no {', '.join(missing)}")
    verdicts = table.groupby("kind", sort=True)["same"].nunique()
    found = [str(name) for name in verdicts.index[verdicts == 2]]
    if not found:
        raise CrossModalError(
            f"{ARTIFACT}: expected pairs that are the same and others that are not, found {len(table)} of one verdict"
        )
    return found


def bench_of(table: pd.DataFrame, comparison: str) -> Bench:
    """The bench of one comparison.

    Raises:
        CrossModalError: There are no such pairs, or they cannot be measured.
    """
    found = comparisons_of(table)
    if comparison not in found:
        raise CrossModalError(f"{ARTIFACT}: comparison {comparison!r}: expected one of {', '.join(found)}")
    return Bench(table[table["kind"] == comparison])


def usual_threshold(bench: Bench, calibration: SavedCalibration | None, comparison: str) -> tuple[float, str]:
    """The threshold that the model decides by, else that of equal errors; with what it is, in words."""
    if calibration is None:
        return bench.equal_error, "both errors equally frequent on these pairs (the model has no calibration)"
    learned, notes = calibration.of(comparison)
    return learned.threshold, "; ".join([f"the model's own: {learned.chosen_by}", *notes])


@dataclass(frozen=True)
class Side:
    """One item of a pair.

    Attributes:
        id: Its id in the gallery.
        words: Its text, else its label, else its id.
        picture: Its thumbnail, or None.
    """

    id: str
    words: str
    picture: bytes | None = None


def sides(gallery: Gallery | None, ids: Sequence[str]) -> dict[str, Side]:
    """What is known of some items; an id that the gallery does not hold stands for itself.

    Args:
        gallery: The run's gallery; None where there is none.
        ids: Their ids.
    """
    names = list(dict.fromkeys(ids))
    if gallery is None:
        return {name: Side(name, name) for name in names}
    matrix = gallery.matrix()
    places = matrix.rows_of(np.array(names, object)).tolist()
    texts, labels = (matrix.column(column) for column in ("text", "label"))
    pictures = dict(zip(names, gallery.thumbnails(names), strict=True))
    found = {}
    for name, place in zip(names, places, strict=True):
        words = name if place < 0 else texts[place] or labels[place] or name
        found[name] = Side(name, str(words), pictures[name])
    return found


def _finite(thresholds: np.ndarray) -> np.ndarray:
    """A curve's thresholds, the one that accepts nothing as the next float above the highest score."""
    return np.where(np.isfinite(thresholds), thresholds, np.nextafter(thresholds[1], np.inf))
