"""Open-set measures, restated probe by probe."""

import numpy as np
import pytest
from toys.identities import identities

from cross_modal.errors import CrossModalError
from cross_modal.gallery.gallery_threshold import calibrate_gallery
from cross_modal.gallery.identification_measure import detection_curve, measure_identification
from cross_modal.gallery.identity_scores import Enrolment, enrol


def setting() -> tuple[Enrolment, np.ndarray, np.ndarray]:
    rows, labels = identities(80, 6, 8, noise=0.4)
    first = np.tile(np.arange(6) < 3, 80)
    enrolled = labels < "0040"
    return enrol(rows, labels, keep=enrolled & first), rows[~(enrolled & first)], labels[~(enrolled & first)]


def test_the_measures_are_those_of_each_probe() -> None:
    enrolment, probes, labels = setting()
    calibration = calibrate_gallery(enrolment, None, 0.1)
    measured = measure_identification(enrolment, probes, labels, calibration)
    places, scores = enrolment.best_two(probes)
    named = [str(enrolment.identities[place]) for place in places[:, 0]]
    known = [label < "0040" for label in labels]
    strangers = sorted((float(s) for s, k in zip(scores[:, 0], known, strict=True) if not k), reverse=True)
    right = [float(s) for s, n, k, x in zip(scores[:, 0], named, known, labels, strict=True) if k and n == x]
    metrics, count = measured.metrics, sum(known)
    assert metrics["identification/rank1"] == pytest.approx(len(right) / count)
    realised = sum(s >= calibration.threshold for s in strangers) / len(strangers)
    assert metrics["identification/false_identification_rate"] == pytest.approx(realised)
    hits = sum(s >= calibration.threshold for s in right)
    assert metrics["identification/detection_and_identification_rate"] == pytest.approx(hits / count)
    for name, rate in (("1pct", 0.01), ("10pct", 0.1)):
        level = strangers[int(rate * len(strangers))]  # the first that must be refused
        expected = sum(s > level for s in right) / count
        assert metrics[f"identification/detection_and_identification_rate_at_{name}"] == pytest.approx(expected)
    assert 0 < metrics["identification/rank1/ci95"] < 0.2
    assert measured.enrolled.tolist() == known


def test_a_probe_without_a_label_is_a_stranger() -> None:
    enrolment, probes, labels = setting()
    unnamed = np.where(labels < "0040", labels, None)
    one, other = (measure_identification(enrolment, probes, each).metrics for each in (labels, unnamed))
    for name in ("rank1", "detection_and_identification_rate_at_10pct"):
        assert one[f"identification/{name}"] == other[f"identification/{name}"]


def test_without_strangers_or_without_the_enrolled_what_needs_them_is_left_out() -> None:
    enrolment, probes, labels = setting()
    known = labels < "0040"
    only_known = measure_identification(enrolment, probes[known], labels[known])
    only_strange = measure_identification(enrolment, probes[~known], labels[~known])
    assert only_known.notes == ("no probe is of a stranger",)
    assert only_strange.notes == ("no probe is of an enrolled identity",)
    assert not [name for name in only_known.metrics if "_at_" in name]
    assert "identification/rank1" not in only_strange.metrics
    assert not only_known.curve.size


def test_too_few_strangers_for_a_rate_are_said_so() -> None:
    enrolment, probes, labels = setting()
    keep = np.append(np.flatnonzero(labels < "0040"), np.flatnonzero(labels >= "0040")[:50])
    notes = measure_identification(enrolment, probes[keep], labels[keep]).notes
    assert notes == ("50 strangers cannot show a false-identification rate of 0.01: none passes",)


def test_collapsed_embeddings_identify_nobody() -> None:
    _enrolment, probes, labels = setting()
    flat = enrol(np.ones((4, 8)), np.array(["0001", "0002", "0003", "0004"], object))
    metrics = measure_identification(flat, np.ones_like(probes), labels).metrics
    assert metrics["identification/detection_and_identification_rate_at_10pct"] == 0


def test_strangers_that_tie_pass_together() -> None:
    curve = detection_curve(np.array([0.5, 0.5, 0.1]), np.array([0.5, 0.9]), 2)
    np.testing.assert_allclose(curve, [[0, 2 / 3, 1], [0.5, 1, 1]])


def test_probes_need_a_label_each() -> None:
    enrolment, probes, labels = setting()
    with pytest.raises(CrossModalError, match="expected a label for each of at least 1, found 3"):
        measure_identification(enrolment, probes, labels[:3])
