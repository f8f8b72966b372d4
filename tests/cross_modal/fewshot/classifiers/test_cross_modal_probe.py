import numpy as np
import pytest
from sklearn.base import clone
from toys.clouds import Clouds, clouds, unit

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.cross_modal_probe import CrossModalProbe

FEW = {"steps": 300, "stop": 70}


def restated(toy: Clouds, model: CrossModalProbe) -> np.ndarray:
    """Weights (C, D) after `stop` steps: warm-up, cosine, AdamW and cross-entropy written out, one batch at a time."""
    samples = model._samples()
    pool = np.concatenate([samples.images.numpy(), samples.texts.numpy()])
    labels = np.concatenate([samples.image_classes.numpy(), samples.text_classes.numpy()])
    seed = np.random.RandomState(model.random_state).randint(np.iinfo(np.int32).max)
    w = np.zeros_like(toy.texts) if model.start == "zero" else unit(toy.texts)
    mean = square = np.zeros_like(w)
    stream = samples.streams(model.batch, model.steps, seed).numpy()
    for k in range(model.stop or 0):
        z, y = pool[stream[k]], labels[stream[k]]
        p = np.exp(100 * (z @ w.T - (z @ w.T).max(1, keepdims=True)))
        g = 100 * (p / p.sum(1, keepdims=True) - np.eye(len(w))[y]).T @ z / len(z)
        lr = 1e-5 if k == 0 else model.lr * k / 50
        if k >= 50:
            lr = model.lr * 0.5 * (1 + np.cos(np.pi * (k - 50) / model.steps))
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        w = w * (1 - lr * model.weight_decay)
        w = w - lr * (mean / (1 - 0.9 ** (k + 1))) / (np.sqrt(square / (1 - 0.999 ** (k + 1))) + 1e-8)
    return w


@pytest.mark.parametrize("start", ["text", "zero"])
@pytest.mark.parametrize("texts_as_samples", [True, False])
@pytest.mark.parametrize("batch", [1, 5, 32])
def test_weights_are_the_printed_recipe(start: str, texts_as_samples: bool, batch: int) -> None:
    toy = clouds([4, 1, 6, 2], 10)
    model = CrossModalProbe(toy.texts, start=start, texts_as_samples=texts_as_samples, batch=batch, **FEW)
    model.fit(toy.X, toy.y)
    expected = restated(toy, model)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.scores(toy.X_validation), 100 * unit(toy.X_validation) @ expected.T, rtol=1e-5)


def test_the_whole_grid_as_one_stack_is_each_point_alone() -> None:
    toy = clouds([3, 1, 4, 2, 3], 12, noise=1.2, text_noise=3.0)
    plain = CrossModalProbe(toy.texts, steps=250, wise=0.2)
    grid = {"lr": [1e-2, 1e-4], "weight_decay": [0.0, 1.0], "batch": [8, 32]}
    found = plain._search(toy.X, toy.y, toy.X_validation, toy.y_validation, grid)
    assert [(p["lr"], p["weight_decay"], p["batch"]) for p, _ in found] == [
        (lr, decay, batch) for lr in (1e-2, 1e-4) for decay in (0.0, 1.0) for batch in (8, 32)
    ]
    assert len({accuracy for _, accuracy in found}) > 2
    for point, accuracy in found:
        by_step = {}
        for stop in (0, 100, 200, 250):
            alone = clone(plain).set_params(**point | {"stop": stop}).fit(toy.X, toy.y)
            by_step[stop] = (alone.predict(toy.X_validation) == toy.y_validation).mean()
        assert accuracy == max(by_step.values())
        assert point["stop"] == max(by_step, key=lambda stop: (by_step[stop], -stop))


def test_the_published_grid_has_twelve_points() -> None:
    grid = CrossModalProbe.grid
    assert (grid["lr"], grid["weight_decay"], grid["batch"]) == ((1e-3, 1e-4), (0.0, 1e-2, 1e-4), (8, 32))


def test_a_grid_over_other_parameters_trains_a_stack_for_each() -> None:
    toy = clouds([3, 2, 4], 12, noise=1.5, text_noise=1.5)
    grid = {"start": ["text", "zero"], "lr": [1e-3, 1e-2]}
    found = CrossModalProbe(toy.texts, steps=100)._search(toy.X, toy.y, toy.X_validation, toy.y_validation, grid)
    assert [(point["start"], point["lr"]) for point, _ in found] == [
        ("text", 1e-3),
        ("text", 1e-2),
        ("zero", 1e-3),
        ("zero", 1e-2),
    ]


def test_a_perfect_start_is_the_first_best_and_ends_the_search() -> None:
    toy = clouds([2, 2, 2], 30, noise=0.01, text_noise=0.01)
    found = CrossModalProbe(toy.texts)._search(
        toy.X, toy.y, toy.X_validation, toy.y_validation, {"lr": [1e-3], "batch": [8, 32]}
    )
    assert [(point["stop"], accuracy) for point, accuracy in found] == [(0, 1.0), (0, 1.0)]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_kind_of_class_is_found(metric: str) -> None:
    toy = clouds([4, 0, 3, 6, 0], 30, noise=0.3, text_noise=0.2)
    texts = toy.texts.copy()
    texts[2] = np.nan
    model = CrossModalProbe(texts, np.arange(5), metric=metric, **FEW).fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


def test_without_texts_pictures_alone_are_learned() -> None:
    toy = clouds([4, 1, 6], 30, noise=0.3)
    for start in ("text", "zero"):
        model = CrossModalProbe(start=start, **FEW).fit(toy.X, toy.y)
        np.testing.assert_array_equal(model.predict(toy.X_validation), toy.y_validation)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_texts_alone_are_zero_shot(metric: str) -> None:
    toy = clouds([1, 1, 1], 10)
    scores = CrossModalProbe(toy.texts, np.arange(3), metric=metric).fit().scores(toy.X_validation)
    x, t = toy.X_validation, toy.texts
    expected = unit(x) @ unit(t).T if metric == "cosine" else -np.square(x[:, None] - t).sum(-1)
    np.testing.assert_allclose(scores, 100 * expected)


def test_wise_mixes_trained_weights_with_the_texts() -> None:
    toy = clouds([4, 1, 6], 10)
    trained, mixed = (CrossModalProbe(toy.texts, wise=wise, **FEW).fit(toy.X, toy.y).coef_ for wise in (0.0, 0.25))
    np.testing.assert_allclose(mixed, 0.75 * trained + 0.25 * unit(toy.texts), rtol=1e-9)


def test_the_order_of_shots_and_the_names_of_classes_do_not_matter() -> None:
    toy = clouds([3, 1, 4, 2], 12)
    order = np.random.default_rng(1).permutation(len(toy.y))
    names = np.array(["d", "a", "c", "b"])
    plain = CrossModalProbe(toy.texts, **FEW).fit(toy.X, toy.y)
    other = CrossModalProbe(toy.texts, names, **FEW).fit(toy.X[order], names[toy.y[order]])
    np.testing.assert_allclose(other.scores(toy.X_validation)[:, [3, 0, 2, 1]], plain.scores(toy.X_validation))


def test_the_seed_decides_the_batches() -> None:
    toy = clouds([6, 6, 6], 10)
    first, again, other = (
        CrossModalProbe(toy.texts, random_state=seed, **FEW).fit(toy.X, toy.y).coef_ for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "random"}, 'start "text" or "zero"'),
        ({"batch": 0}, "batch and steps of at least 1"),
        ({"steps": 10, "stop": 11}, "stop within 10 steps, found 11"),
        ({"wise": 1.5}, r"wise in \[0, 1\], found 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(arguments: dict, message: str) -> None:
    toy = clouds([2, 2], 5)
    with pytest.raises(CrossModalError, match=message):
        CrossModalProbe(**arguments).fit(toy.X, toy.y)


def test_without_shots_and_without_text_samples_it_is_its_start() -> None:
    texts = np.eye(3, 6)
    probe = CrossModalProbe(texts, ["a", "b", "c"], texts_as_samples=False).fit()
    assert probe.predict(texts).tolist() == ["a", "b", "c"]
