import numpy as np
import pytest
from toys.few_shots import lengths_one

from cross_modal.fewshot.classifiers.prototype_mixture import mix_prototypes

SETTINGS = [
    {"kappa": kappa, "centre": centre, "blend": blend, "metric": metric}
    for kappa in (0.0, 1.5, 1e9)
    for centre in (False, True)
    for blend in ("embeddings", "scores")
    for metric in ("cosine", "euclidean")
]


def supports(count=4, classes=5, dim=7):
    """Means (count, C, D), shots (count, C) and texts (C, D) with gaps in all of them."""
    random = np.random.default_rng(0)
    shots = random.integers(0, 4, (count, classes))
    shots[:, 0] = 2
    means = random.normal(size=(count, classes, dim)) * (shots > 0)[..., None]
    texts = lengths_one(random.normal(size=(classes, dim)) + 1)
    texts[0] = np.nan
    return means, shots, texts


@pytest.mark.parametrize("setting", SETTINGS)
def test_many_supports_at_once_equal_one_after_the_other(setting):
    means, shots, texts = supports()
    together = mix_prototypes(means, shots, texts, **setting)
    for place in range(len(means)):
        alone = mix_prototypes(means[place], shots[place], texts, **setting)
        np.testing.assert_allclose(together.vectors[place], alone.vectors, atol=1e-12)
        np.testing.assert_allclose(together.offsets[place], alone.offsets, atol=1e-12)
        np.testing.assert_allclose(together.image_mean[place], alone.image_mean, atol=1e-12)
        np.testing.assert_allclose(together.shot_weights[place], alone.shot_weights, atol=1e-12)


@pytest.mark.parametrize("kappa", [0.0, 1.5, 1e9])
@pytest.mark.parametrize("blend", ["embeddings", "scores"])
def test_the_share_of_shots_is_how_far_a_prototype_moves_with_its_mean(kappa, blend):
    means, shots, texts = supports()
    setting = {"kappa": kappa, "blend": blend, "centre": False, "metric": "euclidean"}
    before = mix_prototypes(means, shots, texts, **setting)
    has_both = (shots[:, 1] > 0) & np.isfinite(texts[1]).all()
    moved = means.copy()
    moved[:, 1] += 1e-3 * has_both[:, None]
    after = mix_prototypes(moved, shots, texts, **setting)
    expected = np.where(has_both, 1 - kappa / (kappa + np.maximum(shots[:, 1], 1)) if kappa < 1e9 else 0, 0)
    np.testing.assert_allclose(before.shot_weights[has_both, 1], expected[has_both], atol=1e-12)
    change = (after.vectors - before.vectors)[:, 1].mean(1)
    np.testing.assert_allclose(change, 1e-3 * expected, atol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_nothing_is_left_undefined(setting):
    means, shots, texts = supports()
    for some_texts in (texts, None):
        mixture = mix_prototypes(means, shots, some_texts, **setting)
        assert np.isfinite(mixture.vectors).all()
        assert np.isfinite(mixture.shot_weights).all()
    nothing = mix_prototypes(np.zeros((5, 7)), np.zeros(5, int), lengths_one(np.eye(5, 7)), **setting)
    np.testing.assert_allclose(nothing.vectors, np.eye(5, 7))
    assert not nothing.image_mean.any()


def test_centring_needs_two_classes_with_both():
    means = lengths_one(np.random.default_rng(0).normal(size=(3, 4)))
    texts = np.full((3, 4), np.nan)
    texts[0] = means[0]
    setting = {"kappa": 1.0, "blend": "scores", "metric": "cosine", "centre": True}
    assert not mix_prototypes(means, np.ones(3, int), texts, **setting).image_mean.any()
    texts[1] = means[1]
    centred = mix_prototypes(means, np.ones(3, int), texts, **setting)
    np.testing.assert_allclose(centred.image_mean, means[:2].mean(0))
