import numpy as np
import pytest
from toys.clouds import Clouds, clouds, unit

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.tip_adapter import TipAdapter
from cross_modal.fewshot.classifiers.tip_adapter_f import TipAdapterF


def restated(toy: Clouds, queries: np.ndarray, epochs: int, of: int) -> np.ndarray:
    """Keys trained by written-out gradients; the support is one batch, so that its order cannot matter."""
    f, t, x = unit(toy.X), unit(toy.texts), unit(queries)
    onehot, keys, alpha, beta = np.eye(len(t))[toy.y], f.copy(), 1.17, 1.0
    mean = square = np.zeros_like(keys)
    for k in range(epochs):
        votes = np.exp(-beta * (1 - f @ keys.T))
        logits = 100 * f @ t.T + alpha * votes @ onehot
        p = np.exp(logits - logits.max(1, keepdims=True))
        errors = (p / p.sum(1, keepdims=True) - onehot) / len(f)
        g = ((errors @ onehot.T) * alpha * beta * votes).T @ f
        lr = 1e-3 * 0.5 * (1 + np.cos(np.pi * k / of))
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        keys = keys * (1 - lr * 0.01)
        keys = keys - lr * (mean / (1 - 0.9 ** (k + 1))) / (np.sqrt(square / (1 - 0.999 ** (k + 1))) + 1e-4)
    return 100 * x @ t.T + 3.0 * np.exp(-2.0 * (1 - x @ keys.T)) @ onehot


@pytest.mark.parametrize("epochs", [0, 1, 7, 20])
def test_scores_are_the_printed_recipe(epochs: int) -> None:
    toy = clouds([4, 1, 6, 2], 12, noise=1.5, text_noise=1.5)
    model = TipAdapterF(toy.texts, alpha=3.0, beta=2.0, stop=epochs).fit(toy.X, toy.y)
    expected = restated(toy, toy.X_validation, epochs, of=20)
    np.testing.assert_allclose(model.scores(toy.X_validation), expected, rtol=1e-6, atol=1e-6)


def test_training_moves_the_keys_towards_a_lower_loss() -> None:
    toy = clouds([3] * 8, 12, noise=1.5, text_noise=1.5)
    before, after = (
        TipAdapterF(toy.texts, stop=stop, epochs=60, lr=1e-2).fit(toy.X, toy.y).predict_proba(toy.X) for stop in (0, 60)
    )
    rows = np.arange(len(toy.y))
    assert np.log(after[rows, toy.y]).mean() > np.log(before[rows, toy.y]).mean() + 0.1


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_untrained_it_is_tip_adapter(metric: str) -> None:
    toy = clouds([4, 1, 6, 2], 12)
    trained = TipAdapterF(toy.texts, alpha=2.0, beta=3.0, stop=0, metric=metric).fit(toy.X, toy.y)
    plain = TipAdapter(toy.texts, alpha=2.0, beta=3.0, metric=metric).fit(toy.X, toy.y)
    np.testing.assert_allclose(trained.scores(toy.X_validation), plain.scores(toy.X_validation), atol=1e-9)


def test_the_search_starts_where_untrained_keys_are_best_and_takes_the_first_best_epoch() -> None:
    toy = clouds([3] * 8, 12, noise=1.6, text_noise=1.6)
    model = TipAdapterF(toy.texts, epochs=6, lr=2e-2)
    grid = {"beta": [0.5, 5.0], "alpha": [0.1, 1.0, 30.0]}
    arguments = (toy.X, toy.y, toy.X_validation, toy.y_validation)
    found = model._search(*arguments, grid)
    untrained = TipAdapter(toy.texts)._search(*arguments, grid)
    start = max(untrained, key=lambda trial: trial[1])[0]
    settings = {"start_alpha": start["alpha"], "start_beta": start["beta"]}
    by_epoch = [
        TipAdapterF(toy.texts, epochs=6, lr=2e-2, stop=stop, **settings, **start).fit(toy.X, toy.y) for stop in range(7)
    ]
    accuracies = [(each.predict(toy.X_validation) == toy.y_validation).mean() for each in by_epoch]
    expected = settings | {"stop": int(np.argmax(accuracies))}
    assert all(expected.items() <= point.items() for point, _ in found)
    loop = FewShotClassifier._search(model.set_params(**expected), *arguments, grid)
    assert [(point["beta"], point["alpha"], accuracy) for point, accuracy in found] == [
        (point["beta"], point["alpha"], accuracy) for point, accuracy in loop
    ]
    assert len({accuracy for _, accuracy in found}) > 1


@pytest.mark.parametrize("seed", range(4))
def test_on_validation_it_never_ends_below_tip_adapter(seed: int) -> None:
    toy = clouds([1] * 12, 12, noise=1.6, text_noise=3.0, seed=seed)
    arguments = (toy.X, toy.y, toy.X_validation, toy.y_validation, {"beta": [0.5, 5.0], "alpha": [0.1, 1.0, 300.0]})
    trained, plain = (model(toy.texts)._search(*arguments) for model in (TipAdapterF, TipAdapter))
    assert max(accuracy for _, accuracy in trained) >= max(accuracy for _, accuracy in plain)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_kind_of_class_is_found(metric: str) -> None:
    toy = clouds([4, 0, 3, 6, 0], 30, noise=0.3, text_noise=0.2)
    texts = toy.texts.copy()
    texts[2] = np.nan
    model = TipAdapterF(texts, np.arange(5), metric=metric).fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


def test_without_texts_votes_alone_decide() -> None:
    toy = clouds([4, 4, 4], 30, noise=0.3)
    model = TipAdapterF().fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


def test_texts_alone_are_zero_shot() -> None:
    toy = clouds([1, 1, 1], 10)
    model = TipAdapterF(toy.texts, np.arange(3)).fit()
    np.testing.assert_allclose(model.scores(toy.X_validation), 100 * unit(toy.X_validation) @ unit(toy.texts).T)


def test_the_order_of_shots_and_the_names_of_classes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cross_modal.fewshot.classifiers.tip_adapter_f.BATCH", 4)
    toy = clouds([3, 1, 4, 2], 12)
    order = np.random.default_rng(1).permutation(len(toy.y))
    names = np.array(["d", "a", "c", "b"])
    plain = TipAdapterF(toy.texts).fit(toy.X, toy.y)
    other = TipAdapterF(toy.texts, names).fit(toy.X[order], names[toy.y[order]])
    np.testing.assert_allclose(other.scores(toy.X_validation)[:, [3, 0, 2, 1]], plain.scores(toy.X_validation))
    reseeded = TipAdapterF(toy.texts, random_state=5).fit(toy.X, toy.y)
    assert not np.allclose(reseeded.scores(toy.X_validation), plain.scores(toy.X_validation), rtol=1e-9)


def test_an_epoch_beyond_the_schedule_is_refused() -> None:
    toy = clouds([2, 2], 5)
    with pytest.raises(CrossModalError, match="stop within 20 epochs, found 21"):
        TipAdapterF(stop=21).fit(toy.X, toy.y)


def test_a_negative_weight_of_votes_is_refused() -> None:
    toy = clouds([2, 2], 5)
    with pytest.raises(CrossModalError, match="α and β of at least 0"):
        TipAdapterF(alpha=-1.0).fit(toy.X, toy.y)
