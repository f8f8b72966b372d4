"""References teach when to refuse without having met themselves, and strangers get in as rarely as was asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import NearestNeighbours, Prototypes
from cross_modal.gallery.cross_fitted import fold_of, learn_rejection


def clouds(classes: int, shots: int, *, seed: int = 0, spread: float = 0.35, dim: int = 16) -> tuple[np.ndarray, ...]:
    """Directions with noise: (N, dim) and (N,) labels."""
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(classes, dim)), shots, axis=0)
    X = centres + spread * generator.normal(size=centres.shape)
    labels = np.repeat([f"{seed}-{number:03d}" for number in range(classes)], shots)
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), labels


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, "p", "q", "r"])), max_size=30),
    st.integers(2, 5),
    st.integers(0, 99),
)
def test_a_fold_leaves_something_of_every_class_and_splits_no_group(
    rows: list[tuple[int, str | None]], folds: int, seed: int
) -> None:
    labels, groups = np.array([row[0] for row in rows], np.int64), [row[1] for row in rows]
    found = fold_of(labels, groups, folds, seed)
    assert ((found >= -1) & (found < folds)).all()
    for fold in range(folds):
        asked = found == fold
        assert set(labels[asked]) <= set(labels[~asked])
        for group in {"p", "q", "r"} & {groups[row] for row in np.flatnonzero(asked)}:
            others = {int(found[row]) for row in range(len(rows)) if groups[row] == group}
            assert others <= {fold, -1}


def test_classes_are_dealt_evenly() -> None:
    found = fold_of(np.repeat(np.arange(10), 5), None, 5)
    assert np.bincount(found).tolist() == [10] * 5
    assert all(len(set(found[5 * label : 5 * label + 5])) == 5 for label in range(10))


def test_a_reference_is_never_scored_by_what_saw_it() -> None:
    """Nearest neighbours score 1 against themselves; random labels are then right by chance only."""
    X, _ = clouds(40, 3, spread=2.0)
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(12).astype(str), 10))
    classifier = NearestNeighbours().fit(X, labels)
    assert (classifier.predict(X) == labels).all()
    found = learn_rejection(classifier, X, labels)
    assert found.held_out == 120
    assert found.accuracy is not None
    assert found.accuracy < 0.3


def test_a_group_is_never_scored_by_what_saw_it() -> None:
    X, labels = clouds(10, 1, spread=0.0)
    X, labels = np.repeat(X, 4, 0), np.repeat(labels, 4)  # two groups of a class; in each a picture twice
    X[2::4] = X[3::4] = np.roll(X[::4], 1, 0) + 0.1 * X[::4]  # the second group looks much like another class
    groups = [f"{place // 2}" for place in range(40)]
    classifier = NearestNeighbours().fit(X, labels)
    assert learn_rejection(classifier, X, labels).accuracy == 1.0
    assert learn_rejection(classifier, X, labels, groups=groups).accuracy == 0.0


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_strangers_get_in_as_rarely_as_was_asked(rate: float) -> None:
    X, labels = clouds(30, 5)
    cohort, _ = clouds(100, 10, seed=1)
    strangers, _ = clouds(300, 10, seed=2)
    classifier = Prototypes().fit(X, labels)
    found = learn_rejection(classifier, X, labels, false_accept_rate=rate, cohort=cohort)
    assert found.strangers == "cohort"
    assert found.impostors == 1000
    assert found.threshold is not None
    realised = (classifier.scores(strangers).max(1) >= found.threshold).mean()
    assert rate / 3 < realised < rate * 3
    assert classifier.threshold_ == found.threshold


def test_without_a_cohort_references_stand_in_and_it_is_said() -> None:
    X, labels = clouds(60, 5)
    strangers, _ = clouds(300, 10, seed=2)
    classifier = Prototypes().fit(X, labels)
    found = learn_rejection(classifier, X, labels, false_accept_rate=0.05)
    assert (found.strangers, found.impostors) == ("references", 300)
    assert "references stand for strangers" in found.notes[-1]
    assert found.threshold is not None
    assert (classifier.scores(strangers).max(1) >= found.threshold).mean() < 0.15


def test_new_items_of_known_classes_are_refused_about_as_often_as_was_said() -> None:
    X, labels = clouds(40, 10, spread=0.5)
    known, known_labels = X[5::10], labels[5::10]
    keep = np.arange(len(X)) % 10 != 5
    classifier = Prototypes().fit(X[keep], labels[keep])
    found = learn_rejection(classifier, X[keep], labels[keep], false_accept_rate=0.02)
    assert found.threshold is not None
    assert found.false_reject_rate is not None
    refused = (classifier.scores(known).max(1) < found.threshold).mean()
    assert refused == pytest.approx(found.false_reject_rate, abs=0.12)
    assert known_labels.tolist() == classifier.predict(known).tolist()


def test_confidence_is_learned_too() -> None:
    X, labels = clouds(20, 6, spread=0.9)
    classifier = Prototypes().fit(X, labels)
    found = learn_rejection(classifier, X, labels)
    assert found.accuracy is not None
    assert classifier.temperature_ == found.temperature != 1.0
    new, _ = clouds(20, 60, spread=0.9)  # same centres, other noise beyond the first draws
    claimed = classifier.predict_proba(new).max(1).mean()
    assert claimed < 0.99


def test_one_shot_a_class_still_has_strangers() -> None:
    X, labels = clouds(30, 1)
    classifier = NearestNeighbours().fit(X, labels)
    found = learn_rejection(classifier, X, labels, false_accept_rate=0.1)
    assert (found.strangers, found.impostors, found.held_out) == ("references", 30, 0)
    assert found.false_reject_rate is None
    assert found.threshold is not None
    others = X @ X.T - 2 * np.eye(30)  # own column left out
    assert (others.max(1) * 100 >= found.threshold).sum() <= 3
    assert "no class has two references" in found.notes[0]


def test_classes_known_by_texts_alone_need_a_cohort() -> None:
    texts, labels = clouds(5, 1)
    classifier = Prototypes(texts=texts, classes=labels).fit(None, None)
    nothing = np.zeros((0, 16), np.float32)
    found = learn_rejection(classifier, nothing, np.zeros(0, labels.dtype))
    assert (found.threshold, found.strangers) == (None, "none")
    cohort, _ = clouds(50, 2, seed=3)
    found = learn_rejection(classifier, nothing, np.zeros(0, labels.dtype), cohort=cohort)
    assert found.threshold is not None
    assert (classifier.scores(cohort).max(1) >= found.threshold).mean() <= 0.05


def test_one_class_without_a_cohort_refuses_nothing_and_says_so() -> None:
    X, labels = clouds(1, 4)
    found = learn_rejection(Prototypes().fit(X, labels), X, labels)
    assert found.threshold is None
    assert "nothing is ever unknown" in found.notes[0]
    cohort, _ = clouds(50, 2, seed=3)
    assert learn_rejection(Prototypes().fit(X, labels), X, labels, cohort=cohort).threshold is not None


def test_many_references_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cross_modal.gallery.cross_fitted.CELLS", 300)
    X, labels = clouds(10, 20)
    found = learn_rejection(Prototypes().fit(X, labels), X, labels)
    assert found.held_out == 30


def test_a_rate_out_of_range_is_refused() -> None:
    X, labels = clouds(3, 3)
    with pytest.raises(CrossModalError, match=r"expected a share in \[0, 1\), found 1"):
        learn_rejection(Prototypes().fit(X, labels), X, labels, false_accept_rate=1)
