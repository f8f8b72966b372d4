"""ROC and DET: every point is a threshold's, and thinning keeps the shape."""

import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score
from toys.scored_pairs import noisy_pairs

from cross_modal.errors import CrossModalError
from cross_modal.verification.curves import det_curve, roc_curve


@pytest.mark.parametrize("digits", [9, 1])
def test_the_roc_curve_holds_its_area_without_the_points_on_its_edges(digits: int) -> None:
    scores, same = noisy_pairs(1000, 0, digits)
    curve = roc_curve(scores, same)
    assert auc(curve.false_accepts, curve.true_accepts) == pytest.approx(roc_auc_score(same, scores), abs=1e-12)
    assert len(curve.thresholds) < 1001
    assert (curve.false_accepts[0], curve.true_accepts[0]) == (0, 0)
    assert (curve.false_accepts[-1], curve.true_accepts[-1]) == (1, 1)


def test_every_point_is_what_its_threshold_does() -> None:
    scores, same = noisy_pairs(300, 1, 1)
    curve = det_curve(scores, same)
    for line, false, missed in zip(curve.thresholds, curve.false_accepts, curve.false_rejects, strict=True):
        assert false == pytest.approx((scores[~same] >= line).mean())
        assert missed == pytest.approx((scores[same] < line).mean())


def test_normal_scores_make_a_straight_line_of_slope_minus_one() -> None:
    curve = det_curve(*noisy_pairs(40_000, 2))
    middle = np.abs(curve.x) < 1.5
    slope, offset = np.polyfit(curve.x[middle], curve.y[middle], 1)
    assert slope == pytest.approx(-1, abs=0.05)
    assert offset == pytest.approx(-2, abs=0.05)  # the means lie two widths apart


def test_deviates_are_finite_to_the_ends_and_go_no_further_than_half_a_pair() -> None:
    curve = det_curve(np.array([0.9, 0.1]), np.array([True, False]))
    assert np.isfinite([*curve.x, *curve.y]).all()
    assert curve.least == (0.5, 0.5)


@pytest.mark.parametrize("most", [2, 50])
def test_a_million_points_are_thinned_to_what_can_be_drawn(most: int) -> None:
    scores, same = noisy_pairs(20_000, 3)
    roc, det = roc_curve(scores, same, most), det_curve(scores, same, most)
    assert len(roc.thresholds) <= most
    assert len(det.thresholds) <= most
    assert (roc.false_accepts[-1], roc.true_accepts[-1]) == (1, 1)
    if most == 50:
        assert auc(roc.false_accepts, roc.true_accepts) == pytest.approx(roc_auc_score(same, scores), abs=0.005)


def test_one_kind_of_pair_or_one_point_is_no_curve() -> None:
    with pytest.raises(CrossModalError, match="DET curve: expected pairs that are the same and others"):
        det_curve(np.zeros(2), np.ones(2, bool))
    with pytest.raises(CrossModalError, match="curve: expected at least 2 points, found 1"):
        roc_curve(np.array([0.0, 1]), np.array([False, True]), most=1)
