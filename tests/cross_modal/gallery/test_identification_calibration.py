"""The threshold of galleries made of a cohort, on clouds where the truth can be had by drawing more of them."""

import json

import numpy as np
import pytest
from toys.identities import identities

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.identification_calibration import IdentificationCalibration, calibrate_identification
from cross_modal.gallery.identity_scores import enrol

DIM, NOISE = 8, 0.3


def cohort(count: int, items: int = 6, seed: int = 0) -> Cohort:
    return Cohort.of(*identities(count, items, DIM, noise=NOISE, seed=seed))


def realised(calibration: IdentificationCalibration, seed: int) -> float:
    """The share of strangers accepted by galleries of other identities, twenty of them."""
    rates = []
    for draw in range(20):
        rows, labels = identities(calibration.identities + 200, 6, DIM, noise=NOISE, seed=1000 * seed + draw)
        enrolled = labels < f"{calibration.identities:04d}"
        first = np.tile(np.arange(6) < calibration.references, calibration.identities + 200)
        gallery = enrol(rows, labels, keep=enrolled & first)
        _, scores = gallery.best_two(rows[~enrolled], calibration.how)
        rates.append((scores[:, 0] >= calibration.threshold).mean())
    return float(np.mean(rates))


@pytest.mark.parametrize(("enrolled", "how"), [(10, "mean"), (50, "best"), (50, "mean")])
def test_strangers_pass_about_as_often_as_asked(enrolled: int, how: str) -> None:
    calibration = calibrate_identification(cohort(300), enrolled, 3, 0.05, how)  # type: ignore[arg-type]
    assert 0.5 * 0.05 < realised(calibration, 7) < 2 * 0.05


def test_a_gallery_larger_than_the_cohort_is_extrapolated_with_a_note() -> None:
    calibration = calibrate_identification(cohort(60), 200, 3, 0.05)
    assert "the cohort has 60 identities, the gallery 200" in calibration.notes[0]
    assert np.isnan(calibration.rank1)
    assert 0.2 * 0.05 < realised(calibration, 8) < 3 * 0.05


def test_a_rate_that_the_cohort_cannot_resolve_is_said_so() -> None:
    assert not calibrate_identification(cohort(300), 10, 3, 0.05).notes
    (note,) = calibrate_identification(cohort(30), 10, 3, 0.001).notes
    assert note.startswith("30 identities are too few to count a false-identification rate of 0.001")


def test_more_identities_and_lower_rates_need_higher_thresholds() -> None:
    one = cohort(100)
    by_size = [calibrate_identification(one, count, 3, 0.05).threshold for count in (2, 10, 50, 99, 500)]
    by_rate = [calibrate_identification(one, 50, 3, rate).threshold for rate in (0.3, 0.1, 0.01, 0.001)]
    assert by_size == sorted(set(by_size))
    assert by_rate == sorted(set(by_rate))


def test_a_stranger_reaches_the_threshold_as_often_as_expected() -> None:
    calibration = calibrate_identification(cohort(200), 20, 3, 0.05)
    assert calibration.expected.value == pytest.approx(0.05, rel=0.1)
    assert calibration.stranger_rate(np.array(calibration.threshold)) == pytest.approx(0.05, rel=0.1)
    falling = calibration.stranger_rate(np.linspace(-1, 1, 50))
    assert (np.diff(falling) <= 1e-12).all()


def test_the_same_seed_gives_the_same_threshold() -> None:
    assert (
        calibrate_identification(cohort(40), 10, 2).threshold == calibrate_identification(cohort(40), 10, 2).threshold
    )


def test_references_may_differ_in_number() -> None:
    few, many = (calibrate_identification(cohort(100), 20, count, 0.05).threshold for count in (1, 5))
    mixed = calibrate_identification(cohort(100), 20, [1] * 10 + [5] * 10, 0.05)
    assert min(few, many) < mixed.threshold < max(few, many)
    assert mixed.references == 3


@pytest.mark.parametrize("count", [30, 200])
def test_it_comes_back_from_json(count: int) -> None:
    calibration = calibrate_identification(cohort(100), count, 3)
    again = IdentificationCalibration.from_dict(json.loads(json.dumps(calibration.to_dict(), allow_nan=False)))
    assert again.to_dict() == calibration.to_dict()
    with pytest.raises(CrossModalError, match="expected a 1:N calibration"):
        IdentificationCalibration.from_dict({"threshold": 1})


@pytest.mark.parametrize(("identities_", "references", "rate"), [(0, 1, 0.01), (3, 0, 0.01), (3, 1, 0.0), (3, 1, 1.0)])
def test_numbers_out_of_range_are_refused(identities_: int, references: int, rate: float) -> None:
    with pytest.raises(CrossModalError):
        calibrate_identification(cohort(10), identities_, references, rate)
