import numpy as np
import pytest
import torch

from cross_modal.fewshot.classifiers.probe_training import Recipe, Samples, Validation, rate, train_stack


def samples(images: int, texts: int, dim: int = 4) -> Samples:
    generator = torch.Generator().manual_seed(0)
    return Samples(
        torch.randn(images, dim, generator=generator, dtype=torch.float64),
        torch.arange(images) % 3,
        torch.randn(texts, dim, generator=generator, dtype=torch.float64),
        torch.arange(texts) % 3,
    )


@pytest.mark.parametrize(("images", "texts", "batch"), [(7, 3, 8), (3, 50, 8), (40, 40, 6), (1, 1, 5)])
def test_a_batch_is_half_pictures_half_texts_however_few_there_are(images: int, texts: int, batch: int) -> None:
    stream = samples(images, texts).streams(batch, 50, seed=0)
    assert stream.shape == (50, batch)
    assert ((stream < images).sum(1) == batch - batch // 2).all()
    assert stream.max() < images + texts


def test_every_sample_is_used_before_any_is_used_again() -> None:
    drawn = samples(7, 5).streams(6, 70, seed=3).numpy()
    counts = np.bincount(drawn.ravel(), minlength=12)
    assert set(counts[:7]) == {30}
    assert set(counts[7:]) == {42}


def test_one_modality_fills_the_whole_batch() -> None:
    assert samples(0, 5).streams(6, 10, seed=0).max() < 5
    assert samples(5, 0).streams(6, 10, seed=0).shape == (10, 6)


def test_the_rate_warms_up_and_then_follows_half_a_cosine() -> None:
    rates = [rate(1e-2, step, 1000) for step in range(1000)]
    assert rates[:2] == [1e-5, 1e-2 / 50]
    assert np.argmax(rates) == 50
    assert rates[550] == pytest.approx(0.5e-2)
    assert np.all(np.diff(rates[50:]) < 0)


def test_validation_keeps_the_first_best_weights_of_each_probe() -> None:
    data = samples(9, 3)
    validation = Validation(data.images, data.image_classes)
    recipes = [Recipe(1e-2, 0.0, 4), Recipe(1e-1, 0.1, 2), Recipe(1e-3, 0.0, 4)]
    start = torch.zeros(3, 4, dtype=torch.float64)
    options = {"steps": 450, "scale": 10.0, "seed": 0}
    best = train_stack(data, start, recipes, stop=450, validation=validation, **options)
    for place, recipe in enumerate(recipes):
        curve = {}
        for stop in (0, 100, 200, 300, 400, 450):
            alone = train_stack(data, start, [recipe], stop=stop, **options).weights
            curve[stop] = (float(validation.accuracies(alone)[0]), -stop, alone[0])
        accuracy, stop, weights = max(curve.values(), key=lambda entry: entry[:2])
        assert (float(best.accuracies[place]), int(best.stops[place])) == (accuracy, -stop)
        torch.testing.assert_close(best.weights[place], weights)


def test_a_slow_probe_goes_on_after_a_fast_one_is_perfect() -> None:
    rows = torch.eye(3, 4, dtype=torch.float64).repeat(4, 1)
    data = Samples(rows, torch.arange(12) % 3, rows[:0], torch.arange(0))
    start = -torch.eye(3, 4, dtype=torch.float64)
    validation = Validation(rows, data.image_classes)
    found = train_stack(
        data,
        start,
        [Recipe(1e-1, 0.0, 4), Recipe(3e-3, 0.0, 4)],
        steps=2000,
        stop=2000,
        scale=10.0,
        seed=0,
        validation=validation,
    )
    assert found.accuracies.tolist() == [1.0, 1.0]
    assert found.stops[0] < found.stops[1] < 2000


def test_many_validation_items_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples(50, 3)
    weights = torch.randn(5, 3, 4, dtype=torch.float64)
    whole = Validation(data.images, data.image_classes).accuracies(weights)
    monkeypatch.setattr("cross_modal.fewshot.classifiers.probe_training.CELLS", 100)
    torch.testing.assert_close(Validation(data.images, data.image_classes).accuracies(weights), whole)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_cores_share_the_stack_and_give_it_back_in_order(threads: int) -> None:
    data, before = samples(9, 3), torch.get_num_threads()
    recipes = [Recipe(lr, 0.0, batch) for lr in (1e-2, 1e-3) for batch in (2, 8, 4)]
    options = {"steps": 30, "stop": 30, "scale": 10.0, "seed": 0}
    start = torch.zeros(3, 4, dtype=torch.float64)
    try:
        torch.set_num_threads(threads)
        stacked = train_stack(data, start, recipes, **options).weights
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for weights, recipe in zip(stacked, recipes, strict=True):
        torch.testing.assert_close(weights, train_stack(data, start, [recipe], **options).weights[0])
