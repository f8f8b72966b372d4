import itertools
import math
import time

import numpy as np
import pytest
from sklearn.base import clone
from toys.few_shots import few_shots, lengths_one

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import TipAdapter, ZeroShot
from cross_modal.fewshot.classifiers.tip_adapter import ALPHAS, BETAS


def restated(toy, alpha, beta):
    """The formula in plain loops."""
    X, texts, queries = lengths_one(toy.X), lengths_one(toy.texts), lengths_one(toy.queries)
    scores = np.zeros((len(queries), len(texts)))
    for q, x in enumerate(queries):
        for c, name in enumerate(toy.classes):
            votes = sum(math.exp(-beta * (1 - x @ f)) for f in X[toy.y == name])
            scores[q, c] = 100 * x @ texts[c] + alpha * votes
    return scores


@pytest.mark.parametrize(("alpha", "beta"), [(1.17, 1.0), (3.0, 5.5), (0.5, 40.0)])
def test_scores_equal_the_restated_formula_with_uneven_shots(alpha, beta):
    toy = few_shots(shots=[1, 4, 0, 7, 3, 5])
    model = TipAdapter(toy.texts, toy.classes, alpha=alpha, beta=beta).fit(toy.X, toy.y)
    np.testing.assert_allclose(model.scores(toy.queries), restated(toy, alpha, beta), rtol=1e-9)


def test_without_weight_for_votes_it_is_zero_shot():
    toy = few_shots()
    np.testing.assert_array_equal(
        TipAdapter(toy.texts, toy.classes, alpha=0).fit(toy.X, toy.y).scores(toy.queries),
        ZeroShot(toy.texts, toy.classes).fit().scores(toy.queries),
    )


def test_on_the_sphere_euclidean_votes_are_the_same():
    toy = few_shots()
    toy.X, toy.queries = lengths_one(toy.X), lengths_one(toy.queries)
    cosine, euclidean = (TipAdapter(beta=3, metric=metric).fit(toy.X, toy.y) for metric in ("cosine", "euclidean"))
    np.testing.assert_allclose(cosine.scores(toy.queries), euclidean.scores(toy.queries), rtol=1e-9)


def test_euclidean_texts_score_by_squared_distance():
    toy = few_shots(shots=2)
    distances = np.square(toy.queries[:, None] - toy.X).sum(-1).reshape(-1, 6, 2)
    expected = -2 * np.square(toy.queries[:, None] - toy.texts).sum(-1) + 3 * np.exp(-0.1 * distances / 2).sum(-1)
    model = TipAdapter(toy.texts, toy.classes, alpha=3, beta=0.1, scale=2, metric="euclidean").fit(toy.X, toy.y)
    np.testing.assert_allclose(model.scores(toy.queries), expected, rtol=1e-9)


def test_without_texts_votes_alone_decide():
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5])
    expected = np.stack(
        [np.exp(-5.5 * (1 - lengths_one(toy.queries) @ lengths_one(toy.X[toy.y == c]).T)).sum(1) for c in toy.classes],
        axis=1,
    )
    np.testing.assert_allclose(TipAdapter().fit(toy.X, toy.y).scores(toy.queries), expected, rtol=1e-9)


@pytest.mark.parametrize("texts", [True, False])
def test_the_search_equals_the_double_loop(texts):
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5], noise=1.3, dtype=np.float32)
    model = TipAdapter(*((toy.texts, toy.classes) if texts else ()))
    grid = {"beta": BETAS[::25], "alpha": ALPHAS[::3]}
    trials = model._search(toy.X, toy.y, toy.X_validation, toy.y_validation, grid)
    for (point, accuracy), (beta, alpha) in zip(trials, itertools.product(*grid.values()), strict=True):
        assert point == {"beta": beta, "alpha": alpha}
        fitted = clone(model).set_params(alpha=alpha, beta=beta).fit(toy.X, toy.y)
        assert accuracy == (fitted.predict(toy.X_validation) == toy.y_validation).mean()
    assert len({accuracy for _, accuracy in trials}) > 2


def test_the_search_takes_any_hyper_parameter_into_its_grid():
    toy = few_shots(noise=1.3)
    model = TipAdapter(toy.texts, toy.classes)
    grid = {"scale": [1.0, 100.0], "beta": [1.0, 5.0], "metric": ["euclidean", "cosine"]}
    for point, accuracy in model._search(toy.X, toy.y, toy.X_validation, toy.y_validation, grid):
        fitted = clone(model).set_params(**point).fit(toy.X, toy.y)
        assert accuracy == (fitted.predict(toy.X_validation) == toy.y_validation).mean()


def test_the_documented_grid():
    assert list(TipAdapter.grid) == ["beta", "alpha"]
    assert (len(BETAS), len(ALPHAS)) == (200, 20)
    assert (BETAS[0], BETAS[-1], ALPHAS[0], ALPHAS[-1]) == (0.1, 50.0, 0.1, 10_000.0)
    assert sorted(set(BETAS)) == list(BETAS)


def test_the_whole_grid_takes_seconds():
    toy = few_shots(classes=100, shots=16, dim=512, queries=4, noise=4.0, dtype=np.float32)
    model = TipAdapter(toy.texts, toy.classes)
    began = time.perf_counter()
    trials = model._search(toy.X, toy.y, toy.X_validation, toy.y_validation, model.grid)
    assert len(trials) == 4000
    assert time.perf_counter() - began < 10  # 0.3 s on one idle core; the rest is for a busy machine


@pytest.mark.parametrize("change", [{"alpha": -1}, {"beta": -0.5}, {"beta": math.nan}])
def test_bad_settings_are_named(change):
    toy = few_shots()
    with pytest.raises(CrossModalError, match="TipAdapter: expected α and β of at least 0"):
        TipAdapter(**change).fit(toy.X, toy.y)
