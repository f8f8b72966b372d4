"""Who is it, or nobody."""

import numpy as np
import pytest
from toys.calibrations import calibrated
from toys.identities import identities

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.gallery_threshold import calibrate_gallery
from cross_modal.gallery.identification import check_enrolment, identify
from cross_modal.gallery.identification_calibration import calibrate_identification
from cross_modal.gallery.identity_scores import Enrolment, enrol


def gallery(count: int = 30, items: int = 3) -> Enrolment:
    return enrol(*identities(count, items, noise=0.2))


def cohort() -> Cohort:
    rows, labels = identities(100, 4, noise=0.2, seed=5)
    return Cohort.of(rows, np.char.add("c", labels.astype(str)).astype(object))


def test_the_enrolled_are_named_and_strangers_are_nobody() -> None:
    enrolled = gallery()
    calibration = calibrate_gallery(enrolled, cohort(), 0.01)
    rows, labels = identities(30, 5, noise=0.2)  # other items of the same centres
    strangers, _ = identities(50, 2, noise=0.2, seed=9)
    known, unknown = identify(enrolled, rows, calibration), identify(enrolled, strangers, calibration)
    assert (known.labels == labels).mean() > 0.95
    assert np.mean([label is None for label in unknown.labels]) > 0.9
    assert (known.nearest[known.labels != None] == known.labels[known.labels != None]).all()  # noqa: E711
    assert (known.stranger_rates[known.scores > calibration.threshold] <= 0.011).all()
    assert known.notes == ()


def test_margins_are_those_to_the_runner_up() -> None:
    enrolled = gallery()
    queries, _ = identities(30, 1, noise=0.2, seed=2)
    found = identify(enrolled, queries, None)
    table = np.concatenate([part for _, part in enrolled.scores(queries)])
    ranked = np.sort(table, axis=1)
    assert found.margins == pytest.approx(ranked[:, -1] - ranked[:, -2], abs=1e-6)
    assert found.runner_up.tolist() == [enrolled.identities[row.argsort()[-2]] for row in table]
    assert found.threshold is None
    assert set(found.labels) == {None}


def test_a_single_identity_has_no_runner_up() -> None:
    found = identify(enrol(np.eye(2), np.array(["a", "a"], object)), np.eye(2), None)
    assert found.runner_up.tolist() == [None, None]
    assert np.isposinf(found.margins).all()


def test_a_threshold_for_pairs_is_refused_with_the_reason() -> None:
    pairs = calibrated({"picture_picture": 0.5}).main
    with pytest.raises(CrossModalError, match=r"calibrated for 1:N .* found one for pairs: .* one of 30 identities$"):
        identify(gallery(), np.eye(16), pairs)  # type: ignore[arg-type]
    with pytest.raises(CrossModalError, match=r"expected a calibration for 1:N .* found float"):
        identify(gallery(), np.eye(16), 0.5)  # type: ignore[arg-type]


def test_a_threshold_for_another_metric_is_refused() -> None:
    other = calibrate_identification(cohort(), 30, 3, metric="euclidean")
    with pytest.raises(CrossModalError, match="expected a threshold for cosine scores, found one for euclidean"):
        identify(gallery(), np.eye(16), other)


def test_a_gallery_that_has_grown_is_told_to_calibrate_again() -> None:
    calibration = calibrate_gallery(gallery(30), cohort())
    assert identify(gallery(31), np.eye(16), calibration).notes == ()
    (note,) = identify(gallery(60), np.eye(16), calibration).notes
    assert note.startswith("the threshold is for 30 identities, the gallery has 60")
    (note,) = identify(gallery(30, 6), np.eye(16), calibration).notes
    assert note.startswith("the threshold is for 3 references per identity, the gallery has 6")


def test_a_reference_under_the_wrong_name_is_reported() -> None:
    rows, labels = identities(6, 4, noise=0.1)
    rows[5] = rows[20]  # the second picture of 0001 shows 0005
    names = [f"{row}.png" for row in range(len(rows))]
    far = check_enrolment(enrol(rows, labels), calibrated({"picture_picture": 0.7}).main, names)
    assert list(far) == ["0001"]
    assert [each.name for each in far["0001"]] == ["5.png"]
