"""Figures of verification say what was measured."""

from pathlib import Path

import numpy as np
import pytest
from toys.scored_pairs import noisy_pairs

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.verification_figures import ShownPair, nearest_pairs, reliability, roc_and_det

SCORES, SAME = noisy_pairs(400, seed=0)
METRICS = {"verification/auc": 0.92, "verification/auc/ci95": 0.02, "verification/eer": 0.16}


def test_curves_show_the_rates_and_where_the_threshold_stands(tmp_path: Path) -> None:
    figure = roc_and_det(SCORES, SAME, METRICS, threshold=1.0)
    scores, roc, det = figure.axes
    assert roc.get_title("left") == "ROC: area 0.9200 ± 0.0200"
    assert det.get_title("left") == "DET: equal error rate 16.0 %"
    (point,) = [line for line in roc.lines if line.get_marker() == "o"]
    assert point.get_xdata()[0] == pytest.approx(100 * (SCORES[~SAME] >= 1).mean())
    assert point.get_ydata()[0] == pytest.approx(100 * (SCORES[SAME] >= 1).mean())
    assert any("threshold 1" in text.get_text() for text in scores.get_legend().get_texts())
    figure.savefig(tmp_path / "curves.png")


def test_without_a_threshold_there_is_no_point() -> None:
    figure = roc_and_det(SCORES, SAME, METRICS)
    assert not [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]


def test_one_verdict_has_no_curves() -> None:
    with pytest.raises(CrossModalError, match="expected pairs that are the same and others"):
        roc_and_det(SCORES[SAME], SAME[SAME], METRICS)


def test_reliability_weighs_the_kinds_as_the_probabilities_assume(tmp_path: Path) -> None:
    same = np.repeat([True, False], [10, 90])
    figure = reliability(np.full(100, 0.5), same, prior=0.5, ece=0.0)
    (curve,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert curve.get_xdata().tolist() == pytest.approx([50])
    assert curve.get_ydata().tolist() == pytest.approx([50])
    assert figure.axes[0].get_title("left") == "Reliability: calibration error 0.0 %"
    figure.savefig(tmp_path / "reliability.png")


def test_nearest_pairs_say_verdict_and_whether_it_was_got_right(tmp_path: Path) -> None:
    grey = np.full((8, 8, 3), 120, np.uint8)
    pairs = [
        ShownPair(("a.png", "b.png"), (grey, grey), 0.51, same=True),
        ShownPair(("costs $5 and $6", "ten words that are far too long for one line"), (None, None), 0.52, same=False),
    ]
    figure = nearest_pairs(pairs, 0.5)
    assert [axes.get_title("left") for axes in figure.axes] == [
        "same, right: 0.5100",
        "",
        "different, wrong: 0.5200",
        "",
    ]
    figure.savefig(tmp_path / "pairs.png")
    nearest_pairs([], 0.5).savefig(tmp_path / "none.png")
