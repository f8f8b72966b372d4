"""Open-set measures equal a loop with scikit-learn; the threshold is validation's, and chance is a half."""

import inspect

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from cross_modal.errors import CrossModalError
from cross_modal.fewshot import open_set
from cross_modal.fewshot.episodes import TooFewClasses
from cross_modal.fewshot.open_set import OpenSetThreshold, measure_open_set, open_set_threshold
from cross_modal.fewshot.open_set_episodes import open_set_episodes

DIM = 10


def world(classes: int = 30, seed: int = 0, noise: float = 0.7, lengths: bool = False):
    """Items around centres, some classes small; lengths of their own where asked for."""
    generator = np.random.default_rng(seed)
    ids = generator.permutation(np.repeat(np.arange(classes), 3 + np.arange(classes) % 5))
    images = generator.normal(size=(classes, DIM))[ids] + noise * generator.normal(size=(len(ids), DIM))
    if lengths:
        images *= generator.uniform(0.5, 2, size=(len(ids), 1))
    return images.astype(np.float32), ids


def drawn(ids: np.ndarray, **change):
    return open_set_episodes(ids, **{"ways": 4, "shots": 2, "queries": 3, "episodes": 25, "seed": 5} | change)


def slow(images, episodes, metric, threshold):
    """Query after query in float64, scikit-learn for the curves."""
    images = images.astype(np.float64)
    unit = (lambda v: v / np.linalg.norm(v)) if metric == "cosine" else (lambda v: v)
    results = []
    for support, query, unknown in zip(episodes.known.support, episodes.known.query, episodes.unknown, strict=True):
        prototypes = [unit(np.mean([unit(images[i]) for i in rows], axis=0)) for rows in support]

        def score(item, prototypes=prototypes):
            x = unit(images[item])
            return [float(x @ p) if metric == "cosine" else -float(((x - p) ** 2).sum()) for p in prototypes]

        known = [(score(i), c) for c, rows in enumerate(query) for i in rows if i >= 0]
        best = np.array([max(scores) for scores, _ in known] + [max(score(i)) for i in unknown.ravel() if i >= 0])
        labels = np.arange(len(best)) < len(known)
        fpr, tpr, _ = roc_curve(labels, best, drop_intermediate=False)
        right = [max(scores) >= threshold and int(np.argmax(scores)) == c for scores, c in known]
        results.append(
            (roc_auc_score(labels, best), fpr[tpr >= 0.95][0], np.mean(right), (best[~labels] >= threshold).mean())
        )
    return np.array(results).T


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("unknown", [4, 7])
def test_equals_a_loop_over_episodes(metric, unknown, monkeypatch):
    monkeypatch.setattr("cross_modal.fewshot.scoring.CHUNK_CELLS", 1000)  # several chunks, the last one short
    images, ids = world(lengths=True)
    episodes = drawn(ids, unknown=unknown)
    assert (episodes.known.query < 0).any()
    assert (episodes.unknown < 0).any()
    threshold = OpenSetThreshold(0.75 if metric == "cosine" else -9.0, 4, 2, metric, 0.05, 100)
    result = measure_open_set(images, episodes, threshold, metric)
    found = (result.auroc, result.fpr_at_95_tpr, result.accuracy_at_far, result.false_accept_rate)
    for one, expected in zip(found, slow(images, episodes, metric, threshold.value), strict=True):
        assert one == pytest.approx(expected)
        assert 0 < one.mean() < 1


def test_metrics_have_their_names_and_intervals():
    images, ids = world()
    threshold = OpenSetThreshold(0.8, 4, 2, "cosine", 0.05, 100)
    result = measure_open_set(images, drawn(ids), threshold)
    metrics = result.metrics()
    names = ["auroc", "fpr_at_95_tpr", "accuracy_at_far", "false_accept_rate"]
    assert set(metrics) == {f"open_set/4way_2shot/{name}{end}" for name in names for end in ("", "/ci95")}
    assert metrics["open_set/4way_2shot/auroc"] == pytest.approx(result.auroc.mean())
    closed = measure_open_set(images, drawn(ids, episodes=1)).metrics()
    assert set(closed) == {"open_set/4way_2shot/auroc", "open_set/4way_2shot/fpr_at_95_tpr"}


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_random_and_collapsed_embeddings_tell_nothing_apart(metric):
    images, ids = world()
    noise = np.random.default_rng(1).normal(size=images.shape).astype(np.float32)
    episodes = drawn(ids, episodes=500)
    assert measure_open_set(noise, episodes, metric=metric).auroc.mean() == pytest.approx(0.5, abs=0.02)
    collapsed = np.tile(images[:1], (len(images), 1)) + 1e-9 * noise
    result = measure_open_set(collapsed, episodes, metric=metric)
    assert result.auroc == pytest.approx(np.full(500, 0.5))
    assert result.fpr_at_95_tpr == pytest.approx(np.ones(500))


def test_well_separated_classes_are_told_apart():
    images, ids = world(noise=0.01)
    setting = {"ways": 4, "shots": 2, "queries": 3, "episodes": 50, "seed": 0}
    threshold = open_set_threshold(*world(seed=7, noise=0.01), **setting)
    result = measure_open_set(images, open_set_episodes(ids, **setting), threshold)
    assert result.auroc.mean() > 0.999
    assert result.fpr_at_95_tpr.mean() < 0.001
    assert result.false_accept_rate.mean() < 0.15
    assert result.accuracy_at_far.mean() > 0.999


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_threshold_keeps_its_rate_on_validation_and_roughly_on_other_classes(metric):
    setting = {"ways": 5, "shots": 1, "queries": 3, "episodes": 300, "seed": 1}
    images, ids = world(100, seed=0)
    validation, test = ids < 50, ids >= 50
    threshold = open_set_threshold(images[validation], ids[validation], **setting, false_accept_rate=0.1, metric=metric)
    again = measure_open_set(images[validation], open_set_episodes(ids[validation], **setting), threshold, metric)
    strangers = (open_set_episodes(ids[validation], **setting).unknown >= 0).sum((1, 2))
    assert np.average(again.false_accept_rate, weights=strangers) == pytest.approx(0.1, abs=0.001)
    other = measure_open_set(images[test], open_set_episodes(ids[test], **setting), threshold, metric)
    assert other.false_accept_rate.mean() == pytest.approx(0.1, abs=0.06)
    assert threshold.notes == ()


def test_refused_known_queries_are_errors():
    images, ids = world(noise=0.01)
    result = measure_open_set(images, drawn(ids), OpenSetThreshold(1.1, 4, 2, "cosine", 0.05, 9))
    assert (result.accuracy_at_far == 0).all()
    assert (result.false_accept_rate == 0).all()


def test_few_validation_classes_give_fewer_strangers_and_say_so():
    images, ids = world(6)
    setting = {"shots": 1, "queries": 2, "episodes": 20, "seed": 0}
    threshold = open_set_threshold(images, ids, ways=4, **setting, false_accept_rate=0.01)
    assert any(
        "too few validation classes for 4 strangers, the threshold is from 2" in note for note in threshold.notes
    )
    assert any("cannot resolve a false-accept rate of 0.01" in note for note in threshold.notes)
    assert threshold.impostors <= len(ids)
    with pytest.raises(TooFewClasses, match="7-way"):
        open_set_threshold(images, ids, ways=6, **setting)


def test_an_episode_without_a_stranger_left_is_no_number():
    images, ids = world()
    episodes = drawn(ids)
    episodes.unknown[3] = -1
    episodes.known.query[8] = -1
    result = measure_open_set(images, episodes, OpenSetThreshold(0.5, 4, 2, "cosine", 0.05, 9))
    assert np.flatnonzero(np.isnan(result.auroc)).tolist() == [3, 8]
    assert np.flatnonzero(np.isnan(result.fpr_at_95_tpr)).tolist() == [3, 8]
    assert np.flatnonzero(np.isnan(result.accuracy_at_far)).tolist() == [8]
    assert np.isfinite(list(result.metrics().values())).all()


def test_a_threshold_of_another_setting_is_refused():
    images, ids = world()
    for other in (
        OpenSetThreshold(0.5, 5, 2, "cosine", 0.05, 9),
        OpenSetThreshold(0.5, 4, 1, "cosine", 0.05, 9),
        OpenSetThreshold(0.5, 4, 2, "euclidean", 0.05, 9),
    ):
        with pytest.raises(CrossModalError, match="open-set threshold: expected one for"):
            measure_open_set(images, drawn(ids), other)


def test_bad_embeddings_are_one_line():
    images, ids = world()
    with pytest.raises(CrossModalError, match="is past the 5 image embeddings"):
        measure_open_set(images[:5], drawn(ids))
    images[3, 2] = np.nan
    with pytest.raises(CrossModalError, match="row 3 is not finite"):
        measure_open_set(images, drawn(ids))


def test_measuring_takes_a_threshold_and_no_rate_to_make_one_from():
    assert set(inspect.signature(open_set.measure_open_set).parameters) == {"images", "episodes", "threshold", "metric"}
