"""Comparisons in pairs: identical episodes for both, and an interval of their difference."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from toys.shapes import experiment, shapes
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import EvaluationConfig
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, evaluate_embeddings
from cross_modal.fewshot.episode_heads import Head
from cross_modal_mlflow.measurement import embed, learn_mixture
from cross_modal_mlflow.sweep.comparison import Comparison, Difference, compare_heads, compare_twins

SETTINGS = replace(experiment(), evaluation=EvaluationConfig(ways=[3, 5], shots=[0, 1, 2], queries=3, episodes=60))


def clouds(texts: bool = True) -> EvaluationItems:
    random = np.random.default_rng(0)
    ids, centres = np.repeat(np.arange(25), 10), random.normal(size=(25, 16))
    images = centres[ids] + 1.5 * random.normal(size=(250, 16))
    if not texts:
        return EvaluationItems(images, ids)
    return EvaluationItems(images, ids, centres + 3 * random.normal(size=(25, 16)), np.arange(25))


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    random = np.random.default_rng(1)
    default = random.uniform(0.3, 0.9, 80)
    best = default + random.normal(0.01, 0.05, 80)
    found = Difference.of(best, default)
    low, high = stats.ttest_rel(best, default).confidence_interval(0.95)
    assert math.isclose(found.mean - found.half, low)
    assert math.isclose(found.mean + found.half, high)
    assert found.clear == (low > 0)
    assert found.half < 0.5 * stats.ttest_ind(best, default).confidence_interval(0.95).high, "pairs narrow it"


def test_episodes_without_queries_are_left_out_of_both() -> None:
    found = Difference.of(np.array([0.5, np.nan, 0.7]), np.array([0.4, np.nan, 0.7]))
    assert (found.episodes, round(found.best, 9), round(found.default, 9)) == (2, 0.6, 0.55)
    with pytest.raises(CrossModalError, match="expected as many episodes of both"):
        Difference.of(np.zeros(3), np.zeros(4))
    with pytest.raises(CrossModalError):
        Difference.of(np.full(3, np.nan), np.full(3, np.nan))


def test_sentences_say_who_is_better_and_when_nobody_is() -> None:
    better = Difference(0.8, 0.7, 0.1, 0.02, 50)
    said = Comparison(
        {"5way_1shot": better, "5way_5shot": replace(better, mean=-0.1)}, ["a note", "a note"]
    ).sentences()
    assert said == [
        "5way_1shot: winner 80.00 %, default 70.00 %: +10.00 ± 2.00 points (95 %, 50 paired episodes): "
        "the winner is better",
        "5way_5shot: winner 80.00 %, default 70.00 %: -10.00 ± 2.00 points (95 %, 50 paired episodes): "
        "the default is better",
        "a note",
    ]
    assert replace(better, half=0.2).sentence("x").endswith("no clear difference")
    one = Difference.of(np.array([0.8]), np.array([0.7]))
    assert "+10.00 points (no interval, 1 paired episodes): no clear difference" in one.sentence("x")
    assert "comparison/x/difference/ci95" not in Comparison({"x": one}).metrics


def test_heads_are_compared_on_the_episodes_of_the_evaluation() -> None:
    items, config = clouds(texts=False), EvaluationConfig(ways=[5, 10], shots=[0, 1, 5], queries=4, episodes=200)
    plain = Head("prototypes", {"centre": False})
    found = compare_heads(plain, Head("nearest_neighbours"), items, config)
    assert list(found.differences) == ["5way_1shot", "5way_5shot", "10way_1shot", "10way_5shot"]
    evaluated = evaluate_embeddings(items, config).metrics
    for name, each in found.differences.items():
        assert math.isclose(each.best, evaluated[f"episodes/{name}/accuracy"], abs_tol=1e-6)
    assert found.differences["10way_5shot"].clear, "a mean of shots is better than the nearest of them"
    assert found.differences["5way_1shot"].mean == found.differences["5way_1shot"].half == 0.0, "one shot is its mean"
    assert found.metrics["comparison/10way_5shot/difference"] > found.metrics["comparison/10way_5shot/difference/ci95"]


def test_a_setting_that_the_items_do_not_allow_is_noted() -> None:
    found = compare_heads(
        Head("prototypes"), Head("tip_adapter"), clouds(), EvaluationConfig(ways=[5, 40], episodes=20)
    )
    assert list(found.differences) == ["5way_1shot", "5way_5shot"]
    assert found.sentences()[-2:] == [
        "no comparison in 40way_1shot: too few classes have enough items",
        "no comparison in 40way_5shot: too few classes have enough items",
    ]


def test_twins_are_compared_with_pictures_names_and_both_as_the_evaluation_measures_each() -> None:
    items, best, default = shapes(per_class=8), tiny_twin(seed=1), tiny_twin(seed=2)
    found = compare_twins(best, default, items, SETTINGS)
    assert list(found.differences) == [
        "3way_0shot", "3way_1shot", "3way_1shot_text", "3way_2shot", "3way_2shot_text",
        "5way_0shot", "5way_1shot", "5way_1shot_text", "5way_2shot", "5way_2shot_text",
    ]  # fmt: skip
    for twin, side in ((best, "best"), (default, "default")):
        mixture, _ = learn_mixture(twin, items.split("validation"), SETTINGS.items, SETTINGS.evaluation)
        embedded = embed(twin, items.split("test"), SETTINGS.items)
        measured = evaluate_embeddings(embedded, SETTINGS.evaluation, mixture=mixture).metrics
        for name in found.differences:
            assert found.metrics[f"comparison/{name}/{side}"] == measured[f"episodes/{name}/accuracy"]
    known = learn_mixture(best, items.split("validation"), SETTINGS.items, SETTINGS.evaluation)[0]
    again = compare_twins(
        best, default, items, SETTINGS, measured=(known, embed(best, items.split("test"), SETTINGS.items))
    )
    assert again == found


def test_where_a_class_has_no_name_pictures_are_compared_on_all_classes_and_names_on_those_that_have_one() -> None:
    items = shapes(per_class=6)
    unnamed = items.labels == items.labels[np.flatnonzero(items.splits == "test")[0]]
    part = Items.of(
        images=items.images,
        texts=[None if missing else text for text, missing in zip(items.texts, unnamed, strict=True)],
        labels=items.labels,
        splits=items.splits,
        source="shapes",
    )
    wide = replace(SETTINGS, evaluation=EvaluationConfig(ways=[5, 6], shots=[0, 1], queries=2, episodes=20))
    found = compare_twins(tiny_twin(seed=1), tiny_twin(seed=2), part, wide)
    assert list(found.differences) == ["5way_0shot", "5way_1shot", "5way_1shot_text", "6way_1shot"]
    assert sum("needs 6 classes" in said for said in found.sentences()) == 2


def test_a_twin_against_itself_does_not_differ() -> None:
    twin = tiny_twin()
    found = compare_twins(twin, twin, shapes(per_class=6), SETTINGS)
    assert {(each.mean, each.half) for each in found.differences.values()} == {(0.0, 0.0)}


def test_what_one_of_the_twins_cannot_do_is_left_out_with_a_note() -> None:
    items, whole = shapes(per_class=6), tiny_twin()
    pictures = compare_twins(whole, tiny_twin(text="none"), items, SETTINGS)
    assert list(pictures.differences) == ["3way_1shot", "3way_2shot", "5way_1shot", "5way_2shot"]
    words = compare_twins(whole, tiny_twin(image="none"), items, SETTINGS)
    assert words.differences == {}
    assert words.sentences() == ["no comparison: a twin without a picture encoder has no episodes"]
    wide = replace(SETTINGS, evaluation=EvaluationConfig(ways=[3, 9], shots=[1], queries=2, episodes=10))
    assert list(compare_twins(whole, whole, items, wide).differences) == ["3way_1shot", "3way_1shot_text"]
    other = embed(whole, items.split("validation").take(np.arange(12)), SETTINGS.items)
    with pytest.raises(CrossModalError, match="expected embeddings of the same items"):
        compare_twins(whole, whole, items, SETTINGS, measured=(None, other))
