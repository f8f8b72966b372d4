"""Heads over all episodes at once give the scores of the classifiers that users fit, episode by episode."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot import episode_heads
from cross_modal.fewshot.classifiers import METHODS
from cross_modal.fewshot.episode_heads import SCORERS, EpisodeBatch, Head, head_accuracies, score_batch
from cross_modal.fewshot.episodes import Episodes, sample_episodes
from cross_modal.fewshot.scoring import place

CLASSES, PER_CLASS = 12, 9
IDS = np.random.default_rng(0).permutation(np.repeat(np.arange(CLASSES), PER_CLASS))
HEADS = [
    Head("prototypes"),
    Head("prototypes", {"kappa": 0.0, "centre": False}),
    Head("prototypes", {"kappa": 1e9}),
    Head("prototypes", {"kappa": 0.3, "centre": True, "blend": "scores"}),
    Head("prototypes", {"kappa": 4.0, "centre": False, "blend": "scores"}),
    Head("nearest_neighbours"),
    Head("nearest_neighbours", {"neighbours": 2}),
    Head("nearest_neighbours", {"neighbours": 5}),
    Head("tip_adapter"),
    Head("tip_adapter", {"alpha": 300.0, "beta": 2.0}),
    Head("gaussian_discriminant"),
    Head("gaussian_discriminant", {"alpha": 30.0}),
]


def embeddings(dim: int, metric: str, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Placed pictures around class centres, and texts that lie apart from them."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(CLASSES, dim))
    images = centres[IDS] + 0.9 * random.normal(size=(len(IDS), dim))
    texts = centres + 0.9 * random.normal(size=centres.shape) + random.normal(size=dim)
    return place(images.astype(np.float32), metric), place(texts.astype(np.float32), metric)


def drawn(shots: int, episodes: int = 8, ways: int = 5, queries: int = 3, **columns: np.ndarray) -> Episodes:
    return sample_episodes(IDS, ways=ways, shots=shots, queries=queries, episodes=episodes, seed=4, **columns)


def fitted_scores(head: Head, images, texts, episodes: Episodes, episode: int, metric: str) -> np.ndarray:
    """(q, W) scores of the shipped classifier, fitted on one episode, in the order of the episode's classes."""
    classes, support = episodes.classes[episode], episodes.support[episode]
    names = None if texts is None else texts[classes]
    model = head.classifier(names, None if texts is None else classes, metric)
    model.fit(images[support.ravel()], np.repeat(classes, support.shape[1]))
    queries = images[episodes.query[episode].ravel()]
    return model.scores(queries)[:, np.searchsorted(model.classes_, classes)]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: "-".join([head.method, *map(str, head.parameters.values())]))
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("named", [True, False], ids=["names", "pictures"])
def test_scores_are_those_of_the_classifier_fitted_on_each_episode(head, metric, named) -> None:
    for shots, dim in ((1, 8), (4, 8), (3, 40)):  # with more and with fewer shots than dimensions
        images, texts = embeddings(dim, metric)
        episodes = drawn(shots)
        names = texts if named else None
        rows = torch.from_numpy(images)
        batch = EpisodeBatch(
            rows[torch.from_numpy(episodes.support)],
            rows[torch.from_numpy(episodes.query).flatten(1)],
            torch.from_numpy(texts[episodes.classes]) if named else None,
            metric,
        )
        scores = score_batch(head, batch).numpy()
        for episode in range(len(episodes)):
            expected = fitted_scores(head, images, names, episodes, episode, metric)
            largest = np.abs(expected).max()
            np.testing.assert_allclose(scores[episode], expected, rtol=1e-4, atol=3e-5 * largest)


@settings(max_examples=25, deadline=None)
@given(
    head=st.sampled_from(HEADS),
    shots=st.integers(1, 6),
    ways=st.integers(2, 8),
    queries=st.integers(1, 6),
    named=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_accuracy_is_the_share_of_right_answers_of_the_classifier(head, shots, ways, queries, named, seed) -> None:
    images, texts = embeddings(16, "cosine", seed)
    episodes, names = drawn(shots, 3, ways, queries), texts if named else None
    found = head_accuracies(head, images, names, episodes)
    for episode, accuracy in enumerate(found):
        there = episodes.query[episode].ravel() >= 0
        scores = fitted_scores(head, images, names, episodes, episode, "cosine")
        right = scores.argmax(1) == np.repeat(np.arange(ways), queries)
        assert abs(accuracy - right[there].mean()) < 1e-9


def test_accuracies_do_not_depend_on_chunks_nor_on_what_else_is_scored(monkeypatch) -> None:
    images, texts = embeddings(16, "cosine")
    episodes = drawn(2, episodes=30)
    first = Episodes(episodes.classes[:7], episodes.support[:7], episodes.query[:7], 0, 0)
    for head in HEADS:
        whole = head_accuracies(head, images, texts, episodes)
        monkeypatch.setattr(episode_heads, "CHUNK_CELLS", 16 * 15 * 4)
        np.testing.assert_array_equal(head_accuracies(head, images, texts, episodes), whole)
        np.testing.assert_array_equal(head_accuracies(head, images, texts, first), whole[:7])
        monkeypatch.undo()


def test_padded_queries_do_not_count_and_an_episode_without_any_has_no_accuracy() -> None:
    images, _ = embeddings(16, "cosine")
    episodes = drawn(2, episodes=2)
    query = episodes.query.copy()
    query[0] = -1
    query[1, :, 1:] = -1
    found = head_accuracies(Head("prototypes"), images, None, Episodes(episodes.classes, episodes.support, query, 0, 0))
    one = Episodes(episodes.classes[1:], episodes.support[1:], query[1:, :, :1], 0, 0)
    assert np.isnan(found[0])
    assert found[1] == head_accuracies(Head("prototypes"), images, None, one)[0]


@pytest.mark.parametrize("method", SCORERS)
def test_embeddings_on_one_point_score_chance(method) -> None:
    images = np.tile(place(np.ones((1, 6), np.float32), "cosine"), (len(IDS), 1))
    texts = np.tile(images[:1], (CLASSES, 1))
    for names in (None, texts):
        np.testing.assert_allclose(head_accuracies(Head(method), images, names, drawn(3)), 1 / 5)


def test_a_head_has_all_settings_of_its_classifier() -> None:
    for method in SCORERS:
        model = METHODS[method]()
        assert Head(method).settings == {
            name: value for name, value in model.get_params().items() if name not in ("texts", "classes", "metric")
        }
    model = Head("tip_adapter", {"alpha": 2.0}).classifier(metric="euclidean")
    assert (model.alpha, model.beta, model.metric) == (2.0, 5.5, "euclidean")


def test_what_cannot_be_scored_is_said_in_one_line() -> None:
    images, texts = embeddings(6, "cosine")
    with pytest.raises(CrossModalError, match=r"head: expected one of prototypes, .*, found 'cross_modal_probe'"):
        Head("cross_modal_probe")
    with pytest.raises(CrossModalError, match=r"head tip_adapter: expected parameters alpha, beta, .* found 'kappa'"):
        Head("tip_adapter", {"kappa": 1.0})
    with pytest.raises(CrossModalError, match="expected episodes with one shot or more, found 0 shots"):
        head_accuracies(Head("prototypes"), images, texts, drawn(0))
    texts[drawn(1).classes[0, 0]] = np.nan
    with pytest.raises(CrossModalError, match="expected a text of every class of the episodes"):
        head_accuracies(Head("prototypes"), images, texts, drawn(1))
