import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.clouds import Clouds, clouds, unit

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.gaussian_discriminant import GaussianDiscriminant
from cross_modal.fewshot.classifiers.text_evidence import texts_as_shots


def restated(toy: Clouds, queries: np.ndarray, alpha: float) -> np.ndarray:
    """The formulae as they are printed: covariance, pseudo-inverse, weights."""
    f, t, x = unit(toy.X), unit(toy.texts), unit(queries)
    n, d = f.shape
    means = np.stack([f[toy.y == c].mean(0) for c in range(len(t))])
    scatter = sum(np.outer(row - means[c], row - means[c]) for row, c in zip(f, toy.y, strict=True))
    P = d * np.linalg.pinv(scatter + np.trace(scatter / (n - 1)) * np.eye(d))
    w = means @ P
    b = -np.log(len(t)) - np.einsum("cd,cd->c", means, w) / 2
    return 100 * x @ t.T + alpha * (x @ w.T + b)


@pytest.mark.parametrize("dim", [6, 40], ids=["more rows than dimensions", "fewer"])
def test_scores_are_the_printed_formula(dim: int) -> None:
    toy = clouds([4, 2, 7, 1], dim)
    model = GaussianDiscriminant(toy.texts, alpha=0.3).fit(toy.X, toy.y)
    np.testing.assert_allclose(
        model.scores(toy.X_validation), restated(toy, toy.X_validation, 0.3), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("dim", [6, 40])
def test_float32_is_close_to_float64(dim: int) -> None:
    toy = clouds([4, 2, 7, 3], dim)
    model = GaussianDiscriminant(toy.texts.astype(np.float32)).fit(toy.X.astype(np.float32), toy.y)
    scores = model.scores(toy.X_validation.astype(np.float32))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, restated(toy, toy.X_validation, 0.1), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dim", [3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_shot_and_one_view_is_zero_shot(dim: int, dtype: type) -> None:
    toy = clouds([1] * 5, dim)
    model = GaussianDiscriminant(toy.texts.astype(dtype), alpha=100.0).fit(toy.X.astype(dtype), toy.y)
    queries = toy.X_validation.astype(dtype)
    zero_shot = 100 * unit(queries) @ unit(toy.texts).T
    expected = zero_shot - 100 * np.log(5)  # the same constant for all classes
    np.testing.assert_allclose(model.scores(queries), expected, rtol=1e-5)


def test_no_weight_is_zero_shot() -> None:
    toy = clouds([3, 4], 8)
    model = GaussianDiscriminant(toy.texts, alpha=0.0).fit(toy.X, toy.y)
    np.testing.assert_allclose(model.scores(toy.X), 100 * unit(toy.X) @ unit(toy.texts).T)


@settings(max_examples=30, deadline=None)
@given(
    first=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    then=st.lists(st.integers(0, 6), min_size=2, max_size=5),
    dim=st.sampled_from([4, 12, 60]),
)
def test_shots_and_classes_added_in_closed_form_equal_a_refit(first: list[int], then: list[int], dim: int) -> None:
    grown = then[: len(first)] + [max(1, count) for count in then[len(first) :]]
    grown += [0] * (len(first) - len(grown))
    toy = clouds([a + b for a, b in zip(first + [0] * len(grown), grown, strict=False)], dim)
    early = np.zeros(len(toy.y), bool)
    for label, count in enumerate(first):
        early[np.flatnonzero(toy.y == label)[:count]] = True
    model = GaussianDiscriminant(toy.texts[: len(first)]).fit(toy.X[early], toy.y[early])
    new = np.arange(len(first), len(toy.texts))
    shots = (None, None) if early.all() else (toy.X[~early], toy.y[~early])
    model.add(*shots, texts=toy.texts[new], classes=new)
    refit = GaussianDiscriminant(toy.texts).fit(toy.X, toy.y)
    np.testing.assert_allclose(model.scores(toy.X_validation), refit.scores(toy.X_validation), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("gone", [[3], [0, 2], [0, 2, 3]])
@pytest.mark.parametrize("dim", [4, 9, 60])
def test_classes_removed_in_closed_form_equal_a_refit(gone: list[int], dim: int) -> None:
    toy = clouds([3, 4, 2, 5], dim)
    left = np.setdiff1d(np.arange(4), gone)
    rows = np.isin(toy.y, left)
    model = GaussianDiscriminant(toy.texts).fit(toy.X, toy.y).remove(gone)
    refit = GaussianDiscriminant(toy.texts[left], left).fit(toy.X[rows], toy.y[rows])
    np.testing.assert_allclose(model.scores(toy.X_validation), refit.scores(toy.X_validation), rtol=1e-7, atol=1e-7)


def test_what_rounding_leaves_when_all_scatter_goes_is_no_scatter() -> None:
    toy = clouds([1, 1, 9, 1], 3)
    late = np.flatnonzero(toy.y == 2)[1:]  # arriving one by one, they leave another rounding than all at once
    model = GaussianDiscriminant(toy.texts, alpha=1.0).fit(np.delete(toy.X, late, 0), np.delete(toy.y, late))
    for row in late:
        model.add(toy.X[[row]], toy.y[[row]])
    model.remove([2])
    left = [0, 1, 3]
    expected = 100 * unit(toy.X_validation) @ unit(toy.texts[left]).T - np.log(3)
    np.testing.assert_allclose(model.scores(toy.X_validation), expected)


def test_a_class_without_shots_has_its_moved_text_for_a_mean() -> None:
    toy = clouds([4, 0, 7], 6)
    model = GaussianDiscriminant(toy.texts, np.arange(3), alpha=0.3).fit(toy.X, toy.y)
    _, stand_in = texts_as_shots(model)
    f, d = unit(toy.X), 6
    within = f - model.means_[toy.y]
    scatter = within.T @ within
    w = d * np.linalg.pinv(scatter + np.trace(scatter) / (len(f) - 1) * np.eye(d)) @ stand_in[0]
    x = unit(toy.X_validation)
    expected = 100 * x @ unit(toy.texts)[1] + 0.3 * (x @ w - np.log(3) - stand_in[0] @ w / 2)
    np.testing.assert_allclose(model.scores(toy.X_validation)[:, 1], expected, rtol=1e-7)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_kind_of_class_is_found(metric: str) -> None:
    toy = clouds([4, 0, 3, 6, 0], 30, noise=0.3, text_noise=0.2)
    texts = toy.texts.copy()
    texts[2] = np.nan
    model = GaussianDiscriminant(texts, np.arange(5), metric=metric).fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


@pytest.mark.parametrize("shots", [[3, 5, 4], [1, 1, 1]], ids=["scatter", "one shot each"])
def test_without_texts_shots_alone_decide(shots: list[int]) -> None:
    toy = clouds(shots, 30, noise=0.3)
    model = GaussianDiscriminant().fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


def test_texts_alone_are_zero_shot() -> None:
    toy = clouds([1, 1, 1], 10)
    queries = unit(toy.X_validation)
    np.testing.assert_array_equal(
        GaussianDiscriminant(toy.texts, np.arange(3)).fit().predict(queries), (queries @ unit(toy.texts).T).argmax(1)
    )


def test_the_search_is_the_plain_loop() -> None:
    toy = clouds([3, 1, 4, 2], 12, noise=1.5, text_noise=1.5)
    model = GaussianDiscriminant(toy.texts)
    grid = {"scale": [10.0, 100.0], **model.grid}
    arguments = (toy.X, toy.y, toy.X_validation, toy.y_validation, grid)
    found = model._search(*arguments)
    assert found == FewShotClassifier._search(model, *arguments)
    assert len({accuracy for _, accuracy in found}) > 1


def test_the_order_of_shots_and_classes_does_not_matter() -> None:
    toy = clouds([3, 1, 4, 2], 12)
    order = np.random.default_rng(1).permutation(len(toy.y))
    turned = np.array([2, 0, 3, 1])
    plain = GaussianDiscriminant(toy.texts).fit(toy.X, toy.y)
    other = GaussianDiscriminant(toy.texts[turned], turned).fit(toy.X[order], toy.y[order])
    np.testing.assert_allclose(other.scores(toy.X_validation), plain.scores(toy.X_validation), rtol=1e-9)


def test_validation_of_another_width_is_refused() -> None:
    toy = clouds([3, 2], 12)
    with pytest.raises(CrossModalError, match=r"expected \(n, 12\) embeddings"):
        GaussianDiscriminant()._search(toy.X, toy.y, toy.X[:, :5], toy.y, {"alpha": [1.0]})
