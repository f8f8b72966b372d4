"""All galleries at once, against every gallery in turn."""

from itertools import combinations

import numpy as np
import pytest
from toys.identities import identities

from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.identity_scores import How
from cross_modal.gallery.played_galleries import PlayedGalleries


def twice(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two equal items each, so that it does not matter which is the reference."""
    rows, labels = identities(count, 1, 4)
    return np.repeat(rows, 2, axis=0), np.repeat(labels, 2)


@pytest.mark.parametrize("enrolled", [1, 3, 6])
@pytest.mark.parametrize("how", ["mean", "best"])
def test_strangers_score_what_they_do_over_all_galleries(enrolled: int, how: How) -> None:
    rows, labels = twice(7)
    played = PlayedGalleries.of(Cohort.of(rows, labels), enrolled, np.array([1]), how, "cosine", 0, 2)
    centres = rows[::2].astype(np.float64)
    best = [
        max(centres[stranger] @ centres[who] for who in gallery)
        for stranger in range(7)
        for gallery in combinations([each for each in range(7) if each != stranger], enrolled)
    ]
    scores, shares = played.strangers.scores, played.strangers.shares
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    for threshold in np.linspace(-0.95, 0.95, 20):
        assert shares[scores >= threshold].sum() == pytest.approx(np.mean(np.array(best) >= threshold), abs=1e-5)


@pytest.mark.parametrize("enrolled", [1, 3, 6])
def test_the_enrolled_come_first_as_often_as_over_all_galleries(enrolled: int) -> None:
    rows, labels = np.repeat(np.eye(7, dtype=np.float32), 2, axis=0), np.repeat(list("abcdefg"), 2).astype(object)
    rows[:2] = rows[2:4]  # two identities that cannot be told apart
    played = PlayedGalleries.of(Cohort.of(rows, labels), enrolled, np.array([1]), "mean", "cosine", 0, 2)
    twin_is_there = (enrolled - 1) / 6
    assert played.found(-np.inf) == pytest.approx((1 - 2 / 7 * twin_is_there,) * 2)
    assert played.found(1.5) == pytest.approx((0.0, 1 - 2 / 7 * twin_is_there))


def test_references_are_no_probes_of_their_own_identity() -> None:
    rows, labels = identities(6, 3, 4)
    played = PlayedGalleries.of(Cohort.of(rows, labels), 3, np.array([3]), "mean", "cosine", 0, 2)
    assert not len(played.own)
    assert np.isnan(played.found(0.0)).all()
    assert (played.strangers.strangers != played.strangers.taken_for).all()


def test_identities_with_too_few_items_are_counted() -> None:
    rows, labels = identities(6, 3, 4)
    keep = np.ones(len(rows), bool)
    keep[:2] = False
    played = PlayedGalleries.of(Cohort.of(rows[keep], labels[keep]), 3, np.array([2]), "mean", "cosine", 0, 2)
    assert played.short == 1


def test_each_identity_counts_the_same_however_many_items_it_has() -> None:
    rows, labels = twice(6)
    many = Cohort.of(
        np.concatenate([rows, np.repeat(rows[:1], 30, axis=0)]), np.append(labels, np.repeat(labels[:1], 30))
    )
    strangers = PlayedGalleries.of(many, 2, np.array([1]), "mean", "cosine", 0, 1).strangers
    mass = np.bincount(strangers.strangers, strangers.shares)
    assert mass == pytest.approx(np.full(6, 1 / 6), abs=1e-5)
