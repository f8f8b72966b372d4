"""Base classes are learned, new ones only named; each half is told among its own."""

import numpy as np
import pytest
from toys.kshot_classes import Means, Names, RowMeans, points

from cross_modal.errors import CrossModalError
from cross_modal.fewshot import base_to_new
from cross_modal.fewshot.base_to_new import accuracy, base_and_new, check_new_texts, harmonic_mean, new_accuracy

TEXTS = points(np.arange(8), 3, 0.3)
BASE, NEW = np.arange(4), np.arange(4, 8)
Y = np.repeat(np.arange(8), 6)
X = points(Y, 7)


@pytest.mark.parametrize(("count", "half"), [(2, 1), (5, 3), (6, 3)])
def test_base_is_the_first_half_of_the_sorted_labels_rounded_up(count, half):
    labels = np.array([f"k{index}" for index in range(count)])
    base, new = base_and_new(np.random.default_rng(0).permutation(labels))
    assert base.tolist() == labels[:half].tolist()
    assert new.tolist() == labels[half:].tolist()


def test_one_class_has_no_halves():
    with pytest.raises(CrossModalError, match="at least 2 classes, found 1"):
        base_and_new(np.array(["a", "a"]))


def test_the_harmonic_mean():
    assert harmonic_mean(0.9, 0.6) == pytest.approx(2 / (1 / 0.9 + 1 / 0.6))
    assert harmonic_mean(0.9, 0) == 0


def test_accuracy_counts_in_pieces_what_it_counts_at_once(monkeypatch):
    fitted = Names(TEXTS, np.arange(8)).fit()
    whole = accuracy(fitted, X, Y)
    assert whole == (fitted.predict(X) == Y).mean()
    monkeypatch.setattr(base_to_new, "QUERIES", 5)
    assert accuracy(fitted, X, Y) == whole
    assert np.isnan(accuracy(fitted, X[:0], Y[:0]))


@pytest.mark.parametrize("method", [Means, RowMeans])
def test_new_items_are_told_among_new_names_alone(method):
    rows = np.isin(Y, BASE)
    fitted = method(TEXTS[:4], BASE).fit(X[rows], Y[rows])
    found = new_accuracy(fitted, TEXTS[4:], NEW, X[~rows], Y[~rows], Names)
    names = (NEW[(X[~rows] @ TEXTS[4:].T).argmax(1)] == Y[~rows]).mean()
    assert found == names
    assert (
        accuracy(fitted, X[rows], Y[rows], among=BASE)
        == (method(TEXTS[:4], BASE).fit(X[rows], Y[rows]).predict(X[rows]) == Y[rows]).mean()
    )


def test_every_new_class_needs_a_text():
    assert check_new_texts(TEXTS[4:], NEW) is not None
    with pytest.raises(CrossModalError, match="expected class texts"):
        check_new_texts(None, NEW)
    with pytest.raises(CrossModalError, match="new class 5: expected a text"):
        check_new_texts(np.where(NEW[:, None] == 5, np.nan, TEXTS[4:]), NEW)
