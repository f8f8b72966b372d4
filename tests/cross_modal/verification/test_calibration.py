"""A calibration answers the same after JSON, and refuses what is none."""

import json
from typing import Any

import numpy as np
import pytest
from toys.scored_pairs import noisy_pairs, pairs_of_people

from cross_modal.errors import CrossModalError
from cross_modal.verification.calibrate import calibrate
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.measurement import measure_verification


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(*pairs_of_people(30, 8, 0), metric="euclidean", resamples=50)


def test_it_survives_json_to_the_last_bit(calibration: Calibration) -> None:
    text = json.dumps(calibration.to_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(text)) == calibration


def test_decisions_say_what_decided_and_what_to_expect(calibration: Calibration) -> None:
    line = calibration.threshold
    decision = calibration.decide(np.array([line, np.nextafter(line, -np.inf)]))
    assert decision.same.tolist() == [True, False]
    assert decision.threshold == line
    assert decision.false_accept == calibration.point().false_accept
    lenient = calibration.decide(np.array([line]), at="false_accept_rate_0.1")
    assert lenient.threshold < line
    assert lenient.false_accept.value > decision.false_accept.value
    assert lenient.false_reject.value < decision.false_reject.value


def test_one_score_is_answered_as_many_are(calibration: Calibration) -> None:
    alone, together = calibration.decide(np.float64(9.0)), calibration.decide(np.array([9.0]))
    assert alone.probability == together.probability[0]
    assert bool(alone.same)


def test_scores_that_are_no_numbers_and_thresholds_of_no_name_are_refused(calibration: Calibration) -> None:
    with pytest.raises(CrossModalError, match="probability: score 1 is not a number"):
        calibration.decide(np.array([0, np.nan]))
    with pytest.raises(CrossModalError, match="threshold 'best': expected one of chosen, equal_error"):
        calibration.decide(np.zeros(1), at="best")


def test_metrics_carry_their_intervals_and_the_counts(calibration: Calibration) -> None:
    metrics = calibration.metrics()
    assert metrics["calibration/threshold"] == calibration.threshold
    assert metrics["calibration/eer/ci95"] == pytest.approx((calibration.eer.high - calibration.eer.low) / 2)
    assert (metrics["calibration/same_pairs"], metrics["calibration/identities"]) == (240, 30)
    assert np.isfinite(list(metrics.values())).all()


def test_on_other_pairs_its_threshold_is_measured_as_it_stands(calibration: Calibration) -> None:
    scores, same = noisy_pairs(500, 1, share=0.1)
    metrics = measure_verification(scores, same, (np.arange(500),) * 2, resamples=50, calibration=calibration).metrics
    decided = scores >= calibration.threshold
    assert metrics["verification/accuracy"] == pytest.approx((decided == same).mean())
    assert metrics["verification/false_accept_rate"] == pytest.approx(decided[~same].mean())
    assert metrics["verification/false_reject_rate"] == pytest.approx((~decided)[same].mean())
    halves = (decided[same].mean() + (~decided)[~same].mean()) / 2
    assert metrics["verification/balanced_accuracy"] == pytest.approx(halves)
    assert {"verification/accuracy/ci95", "verification/ece", "verification/threshold"} <= set(metrics)


def test_an_accuracy_of_one_hundred_percent_still_has_an_interval(calibration: Calibration) -> None:
    scores, same = np.repeat([-20.0, 20], 50), np.repeat([False, True], 50)
    metrics = measure_verification(scores, same, (np.arange(100),) * 2, resamples=50, calibration=calibration).metrics
    assert metrics["verification/accuracy"] == 1
    assert metrics["verification/accuracy/ci95"] > 0.03


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"format": 2}, "calibration: expected format 1, found 2"),
        ({"metric": "manhattan"}, "metric: expected one of cosine, euclidean, found 'manhattan'"),
        ({"points": {}}, "expected a threshold 'chosen', found none"),
        ({"points": {"chosen": {"threshold": "0.5"}}}, "threshold chosen: expected a finite number, found '0.5'"),
        ({"ece": float("nan")}, "ece: expected a finite number"),
        ({"eer": [0.1]}, "estimate: expected a number and its two bounds"),
        ({"spread": {"mean": 0}}, "identity spread: expected what to_dict wrote"),
        ({"probability": []}, "expected what to_dict wrote"),
    ],
)
def test_what_is_damaged_is_named(calibration: Calibration, damage: dict[str, Any], message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        Calibration.from_dict(calibration.to_dict() | damage)


def test_what_is_no_calibration_is_refused(calibration: Calibration) -> None:
    values = calibration.to_dict()
    del values["eer"]
    with pytest.raises(CrossModalError, match=r"expected what to_dict wrote, found KeyError\('eer'\)"):
        Calibration.from_dict(values)
    with pytest.raises(CrossModalError, match="expected format 1, found 'list'"):
        Calibration.from_dict([])  # type: ignore[arg-type]
