import numpy as np
import pytest
from toys.clouds import Clouds, clouds, unit

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.linear_probe_plus_plus import LinearProbePlusPlus
from cross_modal.fewshot.classifiers.text_evidence import texts_as_shots


def restated(toy: Clouds, queries: np.ndarray, epochs: int) -> np.ndarray:
    """Full-batch descent written out, with its Lipschitz steps and the gradient of α of its own epoch."""
    f, t, x = unit(toy.X), unit(toy.texts), unit(queries)
    (n, d), c = f.shape, len(t)
    onehot = np.eye(c)[toy.y]
    text = f @ t.T
    own = text[np.arange(n), toy.y]
    w, b = onehot.T @ f, np.zeros(c)
    alpha = np.full(c, 250 * np.mean([own[toy.y == label].mean() for label in range(c)]))
    step = 4 * n / np.linalg.svd(f)[1][0] ** 2
    alpha_step = n / (4 * (text**2).sum(0).max())
    momentum_w, momentum_b = np.zeros((c, d)), np.zeros(c)
    for epoch in range(1, epochs + 1):
        logits = f @ w.T + b + alpha * text
        p = np.exp(logits - logits.max(1, keepdims=True))
        g = (p / p.sum(1, keepdims=True) - onehot) / n
        momentum_w, momentum_b = 0.9 * momentum_w + g.T @ f, 0.9 * momentum_b + g.sum(0)
        w, b = w - step * momentum_w, b - step * momentum_b
        if epoch % 10 == 0:
            alpha = alpha - alpha_step * (g * text).sum(0)
    return x @ w.T + b + alpha * (x @ t.T)


@pytest.mark.parametrize("epochs", [0, 1, 9, 10, 35])
@pytest.mark.parametrize("dim", [5, 40])
def test_scores_are_the_printed_recipe(epochs: int, dim: int) -> None:
    toy = clouds([4, 1, 6, 2], dim)
    model = LinearProbePlusPlus(toy.texts, epochs=epochs).fit(toy.X, toy.y)
    expected = restated(toy, toy.X_validation, epochs)
    np.testing.assert_allclose(model.scores(toy.X_validation), expected, rtol=1e-5, atol=1e-5)


def test_one_training_tells_the_accuracy_of_every_epoch() -> None:
    toy = clouds([3, 1, 4, 2, 3], 12, noise=1.5, text_noise=1.5)
    model = LinearProbePlusPlus(toy.texts)
    arguments = (
        toy.X,
        toy.y,
        toy.X_validation,
        toy.y_validation,
        {"alpha_start": [250.0, 2.5], "epochs": [40, 30, 11, 3, 1]},
    )
    found = model._search(*arguments)
    assert found == FewShotClassifier._search(model, *arguments)
    assert len({accuracy for _, accuracy in found}) > 1


def test_the_grid_counts_down_so_that_its_first_best_is_the_last_best_epoch() -> None:
    epochs = LinearProbePlusPlus.grid["epochs"]
    assert epochs[0] == 300
    assert epochs[-1] == 1
    assert list(epochs) == sorted(epochs, reverse=True)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_kind_of_class_is_found(metric: str) -> None:
    toy = clouds([4, 0, 3, 6, 0], 30, noise=0.3, text_noise=0.2)
    texts = toy.texts.copy()
    texts[2] = np.nan
    model = LinearProbePlusPlus(texts, np.arange(5), metric=metric).fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


def test_a_class_without_shots_is_trained_on_its_moved_text() -> None:
    toy = clouds([4, 0, 3], 30)
    model = LinearProbePlusPlus(toy.texts, np.arange(3), epochs=0).fit(toy.X, toy.y)
    _, stand_in = texts_as_shots(model)
    np.testing.assert_allclose(model.coef_[1], stand_in[0])
    np.testing.assert_allclose(model.coef_[0], unit(toy.X)[toy.y == 0].sum(0))


def test_without_texts_it_is_a_linear_probe() -> None:
    toy = clouds([4, 1, 6], 30, noise=0.3)
    model = LinearProbePlusPlus().fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)
    expected = unit(toy.X_validation) @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(model.scores(toy.X_validation), expected)


def test_texts_alone_are_zero_shot() -> None:
    toy = clouds([1, 1, 1], 10)
    model = LinearProbePlusPlus(toy.texts, np.arange(3)).fit()
    np.testing.assert_allclose(model.scores(toy.X_validation), 100 * unit(toy.X_validation) @ unit(toy.texts).T)


def test_euclidean_scores_do_not_depend_on_units() -> None:
    toy = clouds([4, 1, 6], 10)
    one, ten = (
        LinearProbePlusPlus(factor * toy.texts, metric="euclidean")
        .fit(factor * toy.X, toy.y)
        .scores(factor * toy.X_validation)
        for factor in (1.0, 10.0)
    )
    np.testing.assert_allclose(one, ten, rtol=1e-8)


def test_the_order_of_shots_and_classes_does_not_matter() -> None:
    toy = clouds([3, 1, 4, 2], 12)
    order = np.random.default_rng(1).permutation(len(toy.y))
    turned = np.array([2, 0, 3, 1])
    plain = LinearProbePlusPlus(toy.texts).fit(toy.X, toy.y)
    other = LinearProbePlusPlus(toy.texts[turned], turned).fit(toy.X[order], toy.y[order])
    np.testing.assert_allclose(other.scores(toy.X_validation), plain.scores(toy.X_validation), rtol=1e-7)


def test_a_validation_label_without_class_counts_as_wrong() -> None:
    toy = clouds([2, 2], 12, noise=0.1)
    labels = np.where(toy.y_validation == 1, 7, 0)
    assert LinearProbePlusPlus(toy.texts)._search(toy.X, toy.y, toy.X_validation, labels, {"epochs": [5]}) == [
        ({"epochs": 5}, 0.5)
    ]


def test_epochs_below_zero_are_refused() -> None:
    toy = clouds([2, 2], 5)
    with pytest.raises(CrossModalError, match="epochs of at least 0, found -1"):
        LinearProbePlusPlus(epochs=-1).fit(toy.X, toy.y)


def test_classes_cannot_be_added_afterwards() -> None:
    toy = clouds([2, 2], 5)
    with pytest.raises(CrossModalError, match="without refitting"):
        LinearProbePlusPlus().fit(toy.X, toy.y).add(toy.X, toy.y + 2)
