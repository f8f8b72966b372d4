"""What a calibration promises holds on people whom it has never seen."""

import numpy as np
import pytest
from scipy.special import ndtr
from toys.scored_pairs import noisy_pairs, pairs_of_people

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners
from cross_modal.verification.calibrate import calibrate
from cross_modal.verification.probability import Method
from cross_modal.verification.threshold import Costs


def _alone(count: int) -> Owners:
    return Owners(np.arange(count), np.arange(count), "item")


def test_the_rates_to_expect_are_those_of_new_pairs() -> None:
    scores, same = noisy_pairs(8000, 0)
    calibration = calibrate(scores, same, _alone(8000), false_accept_rate=0.05, resamples=200)
    new, truth = noisy_pairs(40_000, 1)
    decided = calibration.decide(new)
    assert decided.same[~truth].mean() == pytest.approx(0.05, abs=0.01)
    assert decided.false_accept.low <= ndtr(-calibration.threshold) <= decided.false_accept.high
    assert decided.false_reject.low <= ndtr(calibration.threshold - 2) <= decided.false_reject.high
    assert calibration.ece < 0.03


def test_intervals_over_people_hold_the_truth_where_those_over_pairs_do_not() -> None:
    # luck is shared: scores of same pairs N(3, 1 + 1), of different ones N(0, 2 + 1)
    held = {"people": 0, "pairs": 0}
    for seed in range(40):
        scores, same, people = pairs_of_people(40, 10, seed)
        for name, owners in (("people", people), ("pairs", _alone(len(same)))):
            point = calibrate(scores, same, owners, resamples=150).points["equal_error"]
            missed = ndtr((point.threshold - 3) / np.sqrt(2))
            accepted = ndtr(-point.threshold / np.sqrt(3))
            held[name] += point.false_reject.low <= missed <= point.false_reject.high
            held[name] += point.false_accept.low <= accepted <= point.false_accept.high
    assert held["people"] >= 0.88 * 80
    assert held["pairs"] < 0.8 * 80


def test_thresholds_at_stricter_rates_lie_higher_as_far_as_the_pairs_show_them() -> None:
    scores, same = noisy_pairs(3000, 1)
    found = calibrate(scores, same, _alone(3000), resamples=50).thresholds
    assert found["false_accept_rate_0.1"] < found["false_accept_rate_0.01"] < found["false_accept_rate_0.001"]
    assert found["chosen"] == found["false_accept_rate_0.01"]
    few = calibrate(scores[:200], same[:200], _alone(200), resamples=50).thresholds
    assert "false_accept_rate_0.001" not in few


def test_costs_choose_the_threshold_and_their_prior_the_probabilities() -> None:
    scores, same = noisy_pairs(5000, 2)
    calibration = calibrate(scores, same, _alone(5000), costs=Costs(10, 1, 0.2), resamples=50)
    # Bayes: 2 s − 2 = log(10 · 0.8 / (1 · 0.2))
    assert calibration.threshold == pytest.approx(1 + np.log(40) / 2, abs=0.25)
    assert calibration.probability.prior == 0.2
    assert calibration.chosen_by == "costs of 10 a false accept and 1 a false reject, 20 % of pairs the same"


def test_no_error_seen_is_not_no_error_promised() -> None:
    scores, same = np.append(np.zeros(50), np.ones(50)), np.arange(100) >= 50
    chosen = calibrate(scores, same, _alone(100), resamples=50).points["chosen"]
    assert (chosen.false_accept.value, chosen.false_reject.value) == (0, 0)
    assert chosen.false_accept.high > 0.05
    assert chosen.accuracy.low < 0.95


def test_imbalance_is_reported_and_changes_no_rate() -> None:
    scores, same = noisy_pairs(1000, 3)
    times = np.where(same, 1, 9)
    balanced = calibrate(scores, same, _alone(1000), resamples=50)
    rows = np.repeat(np.arange(1000), times)
    skewed = calibrate(np.repeat(scores, times), np.repeat(same, times), Owners(rows, rows), resamples=50)
    assert skewed.thresholds["chosen"] == balanced.thresholds["chosen"]
    assert skewed.eer.value == pytest.approx(balanced.eer.value)
    asked = np.array([0.0, 1, 2])
    assert skewed.probability(asked) == pytest.approx(balanced.probability(asked), abs=0.01)
    assert any("each kind's errors are counted within the kind" in note for note in skewed.notes)
    assert not any("within the kind" in note for note in balanced.notes)


@pytest.mark.parametrize(
    ("count", "method", "sentence"),
    [
        (80, "platt", "cannot show a false-accept rate of 1 %: the threshold accepts none of them; 100 or more would"),
        (80, "isotonic", "isotonic regression on 80 pairs: expected 1000 or more; platt needs fewer"),
        (400, "platt", "30 would settle it within a third"),
        (220, "platt", "the rate of false accepts rests on 1 error; 30 would settle it within a third"),
        (16, "platt", "the intervals rest on 16 items; expect them to be too narrow"),
    ],
)
def test_what_limits_the_numbers_is_said(count: int, method: Method, sentence: str) -> None:
    scores, same = noisy_pairs(count, 4)
    calibration = calibrate(scores, same, _alone(count), probability=method, resamples=50)
    assert any(sentence in note for note in calibration.notes), calibration.notes


def test_one_person_promises_nothing() -> None:
    scores, same = noisy_pairs(60, 0)
    calibration = calibrate(scores, same, Owners(np.zeros(60, np.int64), np.zeros(60, np.int64)), resamples=100)
    assert min(calibration.eer.half_width, calibration.auc.half_width) > 0.4
    assert any("rest on 1 label" in note for note in calibration.notes)


def test_scores_that_run_the_wrong_way_are_noticed_and_answered_with_the_prior() -> None:
    scores, same = noisy_pairs(400, 5)
    calibration = calibrate(-scores, same, _alone(400), resamples=50)
    assert any("or run the wrong way" in note for note in calibration.notes)
    assert calibration.decide(np.array([-9.0, 9])).probability == pytest.approx(0.5)


def test_people_who_differ_are_measured_and_pairs_without_people_are_not() -> None:
    scores, same, people = pairs_of_people(60, 12, 0)
    spread = calibrate(scores, same, people, resamples=20).spread
    assert spread is not None
    assert (spread.mean, spread.between, spread.within) == pytest.approx((3, 1, 1), rel=0.4)
    rows = np.arange(len(same))
    assert calibrate(scores, same, Owners(rows, rows[::-1], "item"), resamples=20).spread is None


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_pairs_that_are_turned_round_give_the_very_same_calibration(method: Method) -> None:
    scores, same = noisy_pairs(200, 0)
    a, b = np.random.default_rng(0).integers(0, 20, (2, 200))
    one, other = (
        calibrate(scores, same, owners, probability=method, resamples=50) for owners in (Owners(a, b), Owners(b, a))
    )
    assert one == other


def test_the_seed_moves_intervals_and_nothing_else() -> None:
    scores, same = noisy_pairs(300, 6)
    first, again, other = (calibrate(scores, same, _alone(300), resamples=100, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.thresholds == other.thresholds
    assert first.probability == other.probability
    assert first.eer != other.eer


def test_bad_input_is_named() -> None:
    scores, same = noisy_pairs(10, 0)
    with pytest.raises(CrossModalError, match="calibration: expected pairs that are the same and others"):
        calibrate(scores, np.ones(10, bool), _alone(10))
    with pytest.raises(CrossModalError, match="calibration: pair 0 has a score that is not finite"):
        calibrate(np.append(np.inf, scores[1:]), same, _alone(10))
    with pytest.raises(CrossModalError, match="false-accept rate between 0 and 1, found 5"):
        calibrate(scores, same, _alone(10), false_accept_rate=5)
    with pytest.raises(CrossModalError, match="an owner for each side of each pair"):
        calibrate(scores, same, _alone(9))
