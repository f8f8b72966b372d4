"""The threshold of one gallery, on strangers shown to it."""

import numpy as np
import pytest
from toys.identities import identities

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.gallery_threshold import calibrate_gallery
from cross_modal.gallery.identity_scores import Enrolment, How, enrol

DIM = 8


def gallery(count: int, seed: int = 0, items: int = 3) -> Enrolment:
    rows, labels = identities(count, items, DIM, noise=0.3, seed=seed)
    return enrol(rows, np.char.add("e", labels.astype(str)).astype(object))


def cohort(count: int, seed: int = 1) -> Cohort:
    return Cohort.of(*identities(count, 4, DIM, noise=0.3, seed=seed))


@pytest.mark.parametrize("how", ["mean", "best"])
@pytest.mark.parametrize("with_cohort", [True, False])
def test_strangers_pass_about_as_often_as_asked(how: How, with_cohort: bool) -> None:
    rates = []
    for draw in range(12):
        enrolled = gallery(60, seed=draw)
        calibration = calibrate_gallery(enrolled, cohort(120, seed=100 + draw) if with_cohort else None, 0.05, how)
        strangers, _ = identities(400, 2, DIM, noise=0.3, seed=500 + draw)
        rates.append((enrolled.best_two(strangers, how)[1][:, 0] >= calibration.threshold).mean())
    assert 0.5 * 0.05 < np.mean(rates) < 2 * 0.05


def test_the_rate_holds_for_either_kind_of_strangers() -> None:
    enrolled = gallery(60)
    alike = Cohort.of(
        enrolled.references + 0.05, enrolled.owners.astype(str).astype(object)
    )  # others who look the same
    assert calibrate_gallery(enrolled, cohort(100), 0.05).threshold < calibrate_gallery(enrolled, alike, 0.05).threshold
    assert calibrate_gallery(enrolled, alike, 0.05).settled_by == "cohort"
    rows = np.repeat(enrolled.references, 2, axis=0)  # everybody is enrolled under two names
    names = np.array([f"{owner}-{copy}" for owner in enrolled.owners for copy in "ab"], object)
    assert calibrate_gallery(enrol(rows, names), cohort(100), 0.05).settled_by == "enrolled"


def test_the_enrolled_of_a_cohort_are_no_strangers() -> None:
    enrolled, others = gallery(30), cohort(100)
    own = Cohort.of(
        np.concatenate([others.embeddings, enrolled.references]),
        np.concatenate([others.labels, enrolled.identities[enrolled.owners]]),
    )
    found = calibrate_gallery(enrolled, own, 0.05)
    assert found.threshold == calibrate_gallery(enrolled, others, 0.05).threshold
    assert "30 identities of the cohort are enrolled" in " ".join(found.notes)
    with pytest.raises(CrossModalError, match="expected identities that are not enrolled"):
        calibrate_gallery(enrolled, Cohort.of(enrolled.references, enrolled.identities[enrolled.owners]), 0.05)


def test_few_identities_need_a_cohort() -> None:
    with pytest.raises(CrossModalError, match="at least 20 identities to settle a threshold on each other, found none"):
        calibrate_gallery(gallery(19), None)
    assert calibrate_gallery(gallery(2), cohort(100), 0.05).settled_by == "cohort"


def test_what_is_expected_of_the_enrolled_leaves_each_reference_out() -> None:
    enrolled = gallery(40)
    found = calibrate_gallery(enrolled, cohort(100), 0.05)
    left = enrolled.left_out("mean")
    assert found.rank1 == pytest.approx((left.own > left.others).mean())
    assert found.detection == pytest.approx(((left.own > left.others) & (left.own >= found.threshold)).mean())
    assert np.isnan(calibrate_gallery(gallery(40, items=1), cohort(100), 0.05).rank1)


def test_a_cohort_of_another_size_is_refused() -> None:
    with pytest.raises(CrossModalError, match="expected embeddings of size 8 as the gallery's, found 2"):
        calibrate_gallery(gallery(20), Cohort.of(np.eye(2), np.array(["a", "b"], object)))


def test_too_few_of_one_kind_have_no_say_beside_enough_of_the_other() -> None:
    few = gallery(21)
    assert calibrate_gallery(few, cohort(200), 0.05).settled_by == "cohort"
    assert "take the threshold for a guess" in calibrate_gallery(few, None, 0.01).notes[-1]
