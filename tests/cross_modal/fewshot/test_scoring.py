"""Vectorised scores equal a double loop; chance is 1/N, ties and collapse included."""

import numpy as np
import pytest
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import sample_episodes
from cross_modal.fewshot.mixture import Mixture, MixtureWeights
from cross_modal.fewshot.scoring import credit, score_episodes

IDS = np.random.default_rng(0).permutation(np.repeat(np.arange(25), 7))


def features(noise: float = 1.0, dim: int = 12, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Class centres with noise, and texts at the centres moved by a modality gap."""
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(25, dim))
    images = centres[IDS] + noise * generator.normal(size=(len(IDS), dim))
    texts = centres + 0.8 * generator.normal(size=centres.shape) + gap
    return images.astype(np.float32), texts.astype(np.float32)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def slow(images, texts, episodes, metric, weights=None, means=(0.0, 0.0), text_means=None):
    """One query after the other, in float64; `text_means` are the means where pictures meet texts."""
    images, texts = images.astype(np.float64), texts.astype(np.float64)
    text_means = means if text_means is None else text_means
    beside = images
    if metric == "cosine":
        beside = np.stack([unit(unit(row) - text_means[0]) for row in images])
        images = np.stack([unit(unit(row) - means[0]) for row in images])
        texts = np.stack([unit(unit(row) - text_means[1]) for row in texts])
    found = {"image": [], "text": [], "both": []}
    for classes, support, query in zip(episodes.classes, episodes.support, episodes.query, strict=True):
        hits = {kind: [] for kind in found}
        for w in range(len(classes)):
            for q in query[w][query[w] >= 0]:
                scores = {"image": [], "text": []}
                for v, c in enumerate(classes):
                    prototype = images[support[v]].mean(0)
                    if metric == "cosine":
                        scores["image"].append(images[q] @ unit(prototype))
                        scores["text"].append(beside[q] @ texts[c])
                    else:
                        scores["image"].append(-((images[q] - prototype) ** 2).sum())
                        scores["text"].append(-((images[q] - texts[c]) ** 2).sum())
                if weights:
                    scores["both"] = list(
                        weights[0] * np.array(scores["image"]) + weights[1] * np.array(scores["text"])
                    )
                for kind, values in scores.items():
                    hits[kind].append(int(np.argmax(values)) == w)
        for kind, values in hits.items():
            found[kind].append(np.mean(values) if values else np.nan)
    return found


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("shots", [1, 3, 6])
def test_equals_a_double_loop(metric, shots, monkeypatch):
    monkeypatch.setattr("cross_modal.fewshot.scoring.CHUNK_CELLS", 3000)  # several chunks, the last one short
    images, texts = features()
    episodes = sample_episodes(IDS, ways=5, shots=shots, queries=3, episodes=23, seed=0)
    weights = MixtureWeights(2.0, 1.5, False, False, {})
    mixture = Mixture({shots: weights}, (0.0,) * 12, (0.0,) * 12, metric)
    result = score_episodes(images, texts, episodes, mixture, metric)
    expected = slow(images, texts, episodes, metric, (2.0, 1.5))
    assert result.image == pytest.approx(expected["image"])
    assert result.text == pytest.approx(expected["text"])
    assert result.both == pytest.approx(expected["both"])


@pytest.mark.parametrize("centre_image", [False, True])
@pytest.mark.parametrize("centre_text", [False, True])
def test_centring_moves_what_it_names_and_leaves_each_alone_as_it_is(centre_image, centre_text):
    images, texts = features(gap=2.0)
    episodes = sample_episodes(IDS, ways=5, shots=2, queries=3, episodes=30, seed=0)
    means = np.random.default_rng(0).normal(size=(2, 12)) * 0.5
    weights = MixtureWeights(3.0, 1.0, centre_image, centre_text, {})
    result = score_episodes(images, texts, episodes, Mixture({2: weights}, tuple(means[0]), tuple(means[1])))
    plain = score_episodes(images, texts, episodes)
    assert np.array_equal(result.image, plain.image)
    assert np.array_equal(result.text, plain.text)
    expected = slow(images, texts, episodes, "cosine", (3.0, 1.0), means * [[centre_image], [centre_image]],
                    means * [[centre_text], [centre_text]])["both"]  # fmt: skip
    assert result.both == pytest.approx(expected)


def test_random_features_score_one_in_n():
    generator = np.random.default_rng(1)
    images = generator.normal(size=(len(IDS), 8)).astype(np.float32)
    texts = generator.normal(size=(25, 8)).astype(np.float32)
    # Texts of 25 classes are only 25 draws: many seeds of texts give the mean its chance.
    for ways in (2, 5, 20):
        episodes = sample_episodes(IDS, ways=ways, shots=1, queries=3, episodes=2000, seed=ways)
        result = score_episodes(images, texts, episodes)
        assert result.image.mean() == pytest.approx(1 / ways, abs=0.02)
        assert result.text.mean() == pytest.approx(1 / ways, abs=0.05)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_collapsed_embeddings_score_exactly_one_in_n(metric):
    images = np.tile(np.array([0.3, -0.7, 0.1], np.float32), (len(IDS), 1))
    images += np.random.default_rng(0).normal(size=images.shape).astype(np.float32) * 1e-9
    episodes = sample_episodes(IDS, ways=8, shots=2, queries=4, episodes=20, seed=0)
    result = score_episodes(images, images[:25], episodes, metric=metric)
    assert result.image == pytest.approx(np.full(20, 1 / 8))
    assert result.text == pytest.approx(np.full(20, 1 / 8))


def test_credit_shares_a_tie_and_gives_nothing_below_the_best():
    scores = torch.tensor([[[1.0, 1.0, 0.0], [0.2, 0.9, 0.1], [0.0, 0.5, 0.5], [0.4, 0.1, 0.1]]])
    truth = torch.tensor([0, 1, 0, 0])
    assert credit(scores, truth).tolist() == [[0.5, 1.0, 0.0, 1.0]]


def test_zero_shot_scores_texts_only_and_padding_is_no_query():
    images, texts = features(noise=0.3)
    ids = np.concatenate([IDS, [25]])  # a class of one picture is legal in zero-shot
    images, texts = np.concatenate([images, texts[:1] + 9]), np.concatenate([texts, texts[:1] + 9])
    episodes = sample_episodes(ids, ways=26, shots=0, queries=5, episodes=10, seed=0)
    assert (episodes.query < 0).any()
    result = score_episodes(images, texts, episodes)
    assert result.image is None
    assert result.both is None
    assert result.text == pytest.approx(slow(images, texts, episodes_with_support(episodes), "cosine")["text"])


def episodes_with_support(episodes):
    """The loop wants a support; any item will do where only texts are compared."""
    from dataclasses import replace

    return replace(episodes, support=np.maximum(episodes.query[:, :, :1], 0))


def test_texts_of_classes_outside_the_episodes_may_be_missing():
    images, texts = features()
    texts = np.concatenate([texts, np.full((1, 12), np.nan, np.float32)])
    episodes = sample_episodes(IDS, ways=5, shots=1, queries=3, episodes=10, seed=0)
    assert np.isfinite(score_episodes(images, texts, episodes).text).all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda images, texts: (np.where(np.arange(len(images))[:, None] == 4, np.nan, images), texts),
            "row 4 is not finite",
        ),
        (lambda images, texts: (images, texts[:, :5]), r"texts by class: expected .*12\)"),
        (lambda images, texts: (images, texts[:3]), "texts by class"),
        (lambda images, texts: (images, np.full_like(texts, np.nan)), "no finite text"),
        (lambda images, texts: (images[:5], texts), "past the 5 image embeddings"),
        (lambda images, texts: (images.astype(np.int64), texts), "expected floats"),
        (lambda images, texts: (images[:, 0], texts), r"expected floats \(N, dim\)"),
    ],
)
def test_bad_embeddings_are_named(spoil, message):
    episodes = sample_episodes(IDS, ways=5, shots=1, queries=3, episodes=50, seed=0)
    with pytest.raises(CrossModalError, match=message):
        score_episodes(*spoil(*features()), episodes)


def test_zero_shot_without_texts_and_unknown_metrics_are_named():
    episodes = sample_episodes(IDS, ways=5, shots=0, queries=3, episodes=5, seed=0)
    with pytest.raises(CrossModalError, match="zero-shot needs texts"):
        score_episodes(features()[0], None, episodes)
    with pytest.raises(CrossModalError, match="found 'manhattan'"):
        score_episodes(*features(), episodes, metric="manhattan")
