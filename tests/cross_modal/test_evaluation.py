"""The flat metrics of the design, and what is left out with a reason."""

import numpy as np
import pytest

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, class_texts, evaluate_embeddings
from cross_modal.fewshot.episodes import sample_episodes
from cross_modal.fewshot.mixture import fit_mixture
from cross_modal.fewshot.scoring import score_episodes

GENERATOR = np.random.default_rng(0)
CENTRES = GENERATOR.normal(size=(24, 10))
CLASSES = np.repeat(np.arange(24), 7)
IMAGES = (CENTRES[CLASSES] + GENERATOR.normal(size=(168, 10))).astype(np.float32)
TEXTS = (CENTRES + 0.7 * GENERATOR.normal(size=(24, 10)) + 2).astype(np.float32)
CONFIG = EvaluationConfig(ways=[5, 20], shots=[0, 1, 5], queries=2, episodes=50)
ITEMS = EvaluationItems(IMAGES, CLASSES, TEXTS, np.arange(24))
MIXTURE = fit_mixture(IMAGES, CLASSES, TEXTS, episodes=30)


def test_names_are_those_of_the_design():
    result = evaluate_embeddings(ITEMS, CONFIG, mixture=MIXTURE)
    names = {f"episodes/{ways}way_0shot/accuracy" for ways in (5, 20)}
    names |= {
        f"episodes/{ways}way_{shots}shot{end}/accuracy" for ways in (5, 20) for shots in (1, 5) for end in ("", "_text")
    }
    ranking = ("recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "mrr")
    names |= {f"retrieval/{way}/{name}" for way in ("image_to_text", "text_to_image") for name in ranking}
    names |= {f"{name}/ci95" for name in names}
    names |= {f"retrieval/{way}/queries_without_match" for way in ("image_to_text", "text_to_image")}
    assert set(result.metrics) == names
    assert result.notes == []
    assert all(type(value) is float for value in result.metrics.values())
    assert result == evaluate_embeddings(ITEMS, CONFIG, mixture=MIXTURE)


def test_values_are_the_means_of_the_episodes():
    result = evaluate_embeddings(ITEMS, CONFIG, mixture=MIXTURE)
    drawn = sample_episodes(CLASSES, ways=20, shots=1, queries=2, episodes=50, seed=0)
    scores = score_episodes(IMAGES, class_texts(TEXTS, np.arange(24), 24), drawn, MIXTURE)
    assert result.metrics["episodes/20way_1shot/accuracy"] == pytest.approx(scores.image.mean())
    assert result.metrics["episodes/20way_1shot_text/accuracy"] == pytest.approx(scores.both.mean())
    drawn = sample_episodes(CLASSES, ways=20, shots=0, queries=2, episodes=50, seed=0)
    scores = score_episodes(IMAGES, class_texts(TEXTS, np.arange(24), 24), drawn)
    assert result.metrics["episodes/20way_0shot/accuracy"] == pytest.approx(scores.text.mean())


def test_what_the_data_does_not_allow_is_noted():
    config = EvaluationConfig(ways=[5, 30], shots=[1, 7], queries=2, episodes=10)
    result = evaluate_embeddings(ITEMS, config)
    assert "episodes/5way_1shot/accuracy" in result.metrics
    assert not any(
        "30way" in name or "7shot" in name or "_text/" in name for name in result.metrics if "episodes" in name
    )
    notes = "\n".join(result.notes)
    assert "30-way 1-shot with 2 queries needs 30 classes" in notes
    assert "found 24" in notes
    assert "5-way 7-shot" in notes
    assert "5way_1shot_text: no mixture" in notes


def test_pictures_only_and_texts_only():
    pictures = evaluate_embeddings(EvaluationItems(IMAGES, CLASSES), CONFIG)
    assert "episodes/20way_1shot/accuracy" in pictures.metrics
    assert "retrieval/image_to_image/recall_at_1" in pictures.metrics
    assert any("zero-shot needs texts" in note for note in pictures.notes)
    assert not any("text" in name for name in pictures.metrics)
    texts = evaluate_embeddings(
        EvaluationItems(None, np.zeros(0, np.int64), IMAGES, CLASSES), CONFIG, metric="euclidean"
    )
    assert "retrieval/text_to_text/map_at_r" in texts.metrics
    assert not any(name.startswith("episodes") for name in texts.metrics)


def test_unlabelled_pairs_are_measured_by_retrieval_and_zero_shot():
    items = EvaluationItems(IMAGES[:40], np.arange(40), IMAGES[:40] + 0.1, np.arange(40))
    result = evaluate_embeddings(items, CONFIG, mixture=MIXTURE)
    assert result.metrics["retrieval/text_to_image/recall_at_1"] > 0.9
    assert result.metrics["episodes/20way_0shot/accuracy"] > 0.9
    assert "episodes/20way_1shot/accuracy" not in result.metrics
    assert any("20-way 1-shot" in note and "found 0" in note for note in result.notes)


def test_classes_without_text_take_part_where_no_text_is_needed():
    items = EvaluationItems(IMAGES, CLASSES, TEXTS[:21], np.arange(21))
    result = evaluate_embeddings(items, CONFIG, mixture=MIXTURE)
    drawn = sample_episodes(CLASSES, ways=20, shots=1, queries=2, episodes=50, seed=0)
    assert result.metrics["episodes/20way_1shot/accuracy"] == pytest.approx(
        score_episodes(IMAGES, None, drawn).image.mean()
    )
    assert "episodes/20way_1shot_text/accuracy" in result.metrics
    assert result.metrics["retrieval/image_to_text/queries_without_match"] == 3 * 7
    assert any("21 of 168 queries" in note for note in result.notes)


def test_a_forgery_is_no_query_no_support_and_no_match():
    genuine = np.ones(len(CLASSES), bool)
    genuine[::7] = False
    images = IMAGES.copy()
    images[::7] = TEXTS  # forgeries stand exactly where their class's text is
    items = EvaluationItems(images, CLASSES, TEXTS, np.arange(24), genuine=genuine)
    result = evaluate_embeddings(items, CONFIG)
    assert result.metrics["retrieval/text_to_image/recall_at_1"] == 0
    assert result.metrics["retrieval/image_to_text/queries_without_match"] == 0
    drawn = items.episodes(5, 1, CONFIG)
    assert genuine[drawn.support].all()
    assert genuine[drawn.query].all()


def test_groups_sets_and_prefixes_reach_the_episodes():
    groups, prefixes = np.tile(np.arange(7), 24), np.where(CLASSES < 12, "a", "b").astype(object)
    items = EvaluationItems(IMAGES, CLASSES, groups=groups, sets=CLASSES // 2, prefixes=prefixes)
    drawn = items.episodes(6, 1, EvaluationConfig(within_prefix=True, episodes=40))
    assert (drawn.classes // 2).tolist() != []
    assert all(len(set(row)) == 6 for row in (drawn.classes // 2).tolist())
    assert ((drawn.classes < 12).all(1) | (drawn.classes >= 12).all(1)).all()
    for support, query in zip(drawn.support, drawn.query, strict=True):
        assert not set(groups[support.ravel()]) & set(groups[query[query >= 0]])


def test_class_texts_are_means_of_directions():
    texts = np.array([[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    found = class_texts(texts, np.array([0, 0, -1]), 3)
    assert found[0] == pytest.approx([2**-0.5] * 2)
    assert np.isnan(found[1:]).all()
    assert class_texts(texts, np.array([0, 0, 2]), 3, "euclidean")[0] == pytest.approx([1.0, 0.5])


def test_nothing_to_measure_fails_with_the_reason():
    items = EvaluationItems(IMAGES[:3], np.arange(3))
    with pytest.raises(CrossModalError, match=r"nothing could be measured: .*5way_0shot"):
        evaluate_embeddings(items, CONFIG)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, CLASSES), "found neither"),
        ((IMAGES, CLASSES[:5]), "168 images but 5 class ids"),
        ((IMAGES, CLASSES, TEXTS[:, :4], np.arange(24)), "10 dimensions and texts 4"),
        ((np.where(IMAGES > 1, np.nan, IMAGES), CLASSES), "images to evaluate: row 0 is not finite"),
    ],
)
def test_bad_items_are_named(arguments, message):
    with pytest.raises(CrossModalError, match=message):
        EvaluationItems(*arguments)
