"""A threshold that keeps its false-accept rate, classifiers that say "unknown", and honest counts of the cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.rejection import (
    calibrate,
    measure_rejection,
    predict_or_reject,
    resolution_note,
    separation,
    threshold_at,
)

CLASSES, DIM = 8, 16


class NearestMean(FewShotClassifier):
    """Cosine to each class's mean: the smallest classifier that there is."""

    def __init__(self, texts=None, classes=None, *, scale=100.0, metric="cosine"):
        self.texts = texts
        self.classes = classes
        self.scale = scale
        self.metric = metric

    def _fit(self, X, y):
        self.means_ = self._place(self._class_means())

    def _scores(self, X):
        return self.scale * X @ self.means_.T


def world(items: int, classes=range(CLASSES), seed: int = 0, dtype=np.float64):
    """Items around fixed centres, labelled c0, c1, …; centres of 8 and above are strangers."""
    centres = np.random.default_rng(99).normal(size=(40, DIM))
    ids = np.repeat(list(classes), items)
    X = centres[ids] + 0.9 * np.random.default_rng(seed).normal(size=(len(ids), DIM))
    return X.astype(dtype), np.array([f"c{i}" for i in ids])


def fitted(dtype=np.float64):
    return NearestMean().fit(*world(4, seed=1, dtype=dtype))


# The threshold.


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=60),
    st.floats(0, 0.999),
    st.sampled_from([np.float32, np.float64]),
)
def test_threshold_is_the_smallest_that_keeps_the_rate(values, rate, dtype):
    impostors = np.array(values, dtype) / 7
    threshold = threshold_at(impostors, rate)
    allowed = rate + 1e-9
    assert (impostors.astype(np.float64) >= threshold).mean() <= allowed
    below = np.nextafter(dtype(threshold), dtype(-np.inf))
    assert (impostors >= below).mean() > allowed or rate * len(values) >= len(values) - 1


@pytest.mark.parametrize(("rate", "passing"), [(0.0, 0), (0.05, 5), (0.29, 29), (0.57, 57), (0.999, 99)])
def test_as_many_impostors_pass_as_the_rate_says(rate, passing):
    impostors = np.random.default_rng(0).permutation(np.arange(100.0))
    assert (impostors >= threshold_at(impostors, rate)).sum() == passing


def test_a_tie_is_refused_as_a_whole():
    impostors = np.array([0.1, 0.5, 0.5, 0.5])
    assert (impostors >= threshold_at(impostors, 0.5)).sum() == 0


def test_separation_counts_pairs():
    generator = np.random.default_rng(0)
    genuine, strange = generator.normal(1, 1, 70).round(1), generator.normal(0, 1, 50).round(1)
    auroc, fpr = separation(genuine, strange)
    pairs = genuine[:, None] - strange
    assert auroc == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    best = min((strange >= h).mean() for h in genuine if (genuine >= h).mean() >= 0.95)
    assert fpr == pytest.approx(best)
    assert separation(np.array([-np.inf, 1.0]), np.array([0.0]))[0] == 0.5


# Calibration.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_calibrates_threshold_and_temperature_on_given_impostors(rate, dtype):
    classifier = fitted(dtype)
    X, y = world(40, seed=2, dtype=dtype)
    impostors, _ = world(20, range(8, 40), seed=3, dtype=dtype)
    facts = calibrate(classifier, X, y, false_accept_rate=rate, impostors=impostors)
    strange, genuine = classifier.scores(impostors).max(1), classifier.scores(X).max(1)
    assert facts.impostors == len(impostors)
    assert facts.false_accept_rate == pytest.approx((strange.astype(np.float64) >= facts.threshold).mean())
    assert rate - 1 / len(impostors) <= facts.false_accept_rate <= rate
    assert facts.false_reject_rate == pytest.approx((genuine.astype(np.float64) < facts.threshold).mean())
    assert facts.auroc == pytest.approx(separation(genuine, strange)[0])
    assert facts.notes == ()
    assert (classifier.threshold_, classifier.temperature_) == (facts.threshold, facts.temperature)


def test_probabilities_become_honest_and_predictions_stay():
    classifier = fitted()
    X, y = world(60, seed=2)
    other, other_y = world(60, seed=4)
    before = classifier.predict(other)
    loud = classifier.predict_proba(other)
    facts = calibrate(classifier, X, y)
    assert np.array_equal(classifier.predict(other), before)
    assert facts.ece_after < facts.ece_before
    positions = np.searchsorted(classifier.classes_, other_y)
    rows = np.arange(len(positions))
    calm = log_softmax(classifier.scores(other) / facts.temperature, axis=1)[rows, positions]
    assert classifier.predict_proba(other)[rows, positions] == pytest.approx(np.exp(calm))
    assert calm.mean() > np.log(loud[rows, positions]).mean()


def test_without_impostors_each_item_stands_for_a_stranger_to_the_other_classes():
    classifier = fitted()
    X, y = world(10, seed=2)
    facts = calibrate(classifier, X, y, false_accept_rate=0.1)
    best_other = [
        max(score for score, name in zip(row, classifier.classes_, strict=True) if name != own)
        for row, own in zip(classifier.scores(X), y, strict=True)
    ]
    assert facts.threshold == threshold_at(np.array(best_other), 0.1)
    assert facts.impostors == len(X)
    assert any("stands for a stranger" in note for note in facts.notes)


def test_a_rate_too_fine_for_the_items_is_said_and_refuses_every_impostor():
    classifier = fitted()
    X, y = world(1, seed=2)
    facts = calibrate(classifier, X, y, false_accept_rate=0.05)
    assert facts.false_accept_rate == 0
    assert any("0.05 cannot be resolved by 8 impostors" in note for note in facts.notes)
    assert resolution_note(20, 0.05) is None
    assert resolution_note(1, 0.5).endswith("1 impostor: the threshold lies above all of them")


def test_order_of_items_and_of_labels_does_not_matter():
    X, y = world(10, seed=2)
    order = np.random.default_rng(0).permutation(len(X))
    one, other = calibrate(fitted(), X, y), calibrate(fitted(), X[order], y[order])
    assert one.threshold == pytest.approx(other.threshold)
    assert one.temperature == pytest.approx(other.temperature)


# Saying "unknown".


def test_rejects_strangers_and_keeps_labels():
    classifier = fitted()
    calibrate(classifier, *world(40, seed=2), impostors=world(20, range(8, 24), seed=3)[0])
    X, _ = world(30, seed=5)
    strangers, _ = world(30, range(24, 40), seed=6)
    named = predict_or_reject(classifier, np.concatenate([X, strangers]))
    assert named.dtype == object
    known, unknown = named[: len(X)], named[len(X) :]
    accepted = np.array([label is not None for label in known])
    assert (known[accepted] == classifier.predict(X)[accepted]).all()
    assert accepted.mean() > 0.5
    assert np.mean([label is None for label in unknown]) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_impostor_that_set_the_threshold_is_refused(dtype):
    classifier = fitted(dtype)
    impostors = world(2, range(8, 40), seed=3, dtype=dtype)[0]
    calibrate(classifier, *world(5, seed=2, dtype=dtype), false_accept_rate=0, impostors=impostors)
    assert all(label is None for label in predict_or_reject(classifier, impostors))


def test_integer_labels_stay_integers():
    X, y = world(4)
    numbers = np.array([int(label[1:]) for label in y])
    classifier = NearestMean().fit(X, numbers)
    calibrate(classifier, X, numbers, false_accept_rate=0.9)
    labels = [label for label in predict_or_reject(classifier, X) if label is not None]
    assert labels
    assert {type(label) for label in labels} == {int}


def test_fitting_again_forgets_the_calibration():
    classifier = fitted()
    calibrate(classifier, *world(5, seed=2))
    classifier.fit(*world(4, seed=1))
    with pytest.raises(CrossModalError, match="NearestMean: expected a threshold to reject by, found none"):
        predict_or_reject(classifier, world(1)[0])


# Measuring.


def test_measures_known_and_unknown_with_refused_known_items_as_errors():
    classifier = fitted()
    calibrate(classifier, *world(40, seed=2), impostors=world(20, range(8, 24), seed=3)[0])
    X, y = world(25, range(30), seed=7)
    metrics = measure_rejection(classifier, X, y)
    known = np.isin(y, classifier.classes_)
    named = predict_or_reject(classifier, X)
    refused = np.array([label is None for label in named])
    assert metrics["accuracy_at_far"] == pytest.approx((named[known] == y[known]).mean())
    assert metrics["false_reject_rate"] == pytest.approx(refused[known].mean())
    assert metrics["false_accept_rate"] == pytest.approx(1 - refused[~known].mean())
    best = classifier.scores(X).max(1)
    assert (metrics["auroc"], metrics["fpr_at_95_tpr"]) == separation(best[known], best[~known])
    assert metrics["accuracy_at_far"] <= 1 - metrics["false_reject_rate"]


def test_measures_without_strangers_and_without_a_threshold():
    classifier = fitted()
    X, y = world(5, seed=2)
    assert set(measure_rejection(classifier, X, y)) == {"ece", "auroc", "fpr_at_95_tpr"}
    facts = calibrate(classifier, X, y)
    metrics = measure_rejection(classifier, X, y)
    assert metrics["false_accept_rate"] == facts.false_accept_rate
    assert metrics["auroc"] == facts.auroc
    assert metrics["ece"] == pytest.approx(facts.ece_after)


# Bad input.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_validation": np.array(["c0", "zebra"])}, "found 'zebra'|found np.str_\\('zebra'\\)"),
        ({"false_accept_rate": 1.0}, r"share in \[0, 1\), found 1"),
        ({"false_accept_rate": -0.1}, "found -0.1"),
        ({"false_accept_rate": float("nan")}, "found nan"),
        ({"impostors": np.zeros((0, DIM))}, "impostors: expected at least 1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_classifier_as_it_was(change, words):
    classifier = fitted()
    X, _ = world(1, range(2))
    arguments = {"X_validation": X, "y_validation": np.array(["c0", "c1"])} | change
    with pytest.raises(CrossModalError, match=words) as caught:
        calibrate(classifier, **arguments)
    assert "\n" not in str(caught.value)
    assert classifier.threshold_ is None
    assert classifier.temperature_ == 1


def test_one_class_needs_impostors():
    X, y = world(3, range(1))
    classifier = NearestMean().fit(X, y)
    with pytest.raises(CrossModalError, match="with one class no other column is left"):
        calibrate(classifier, X, y)
    facts = calibrate(classifier, X, y, impostors=world(10, range(8, 40))[0])
    assert facts.temperature == 1


def test_measuring_needs_an_item_of_a_known_class():
    classifier = fitted()
    with pytest.raises(CrossModalError, match="at least 1 item"):
        measure_rejection(classifier, *world(2, range(8, 10)))
