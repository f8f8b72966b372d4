"""The few-shot sandbox: draws that a link repeats, predictions of the library's own classifiers."""

from dataclasses import replace

import numpy as np
import pytest
from toys.shapes import shapes
from toys.toy_gallery import memory_gallery

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import METHODS, Prototypes
from cross_modal_dashboards.sandbox import QUICK, Episode, Pool, draw, over_shots, spread


@pytest.fixture(scope="module")
def pool() -> Pool:
    gallery = memory_gallery(shapes(8).split("test"), "each")
    return Pool(gallery.matrix(), gallery.binding.metric)


def test_the_same_seed_draws_the_same_supports_and_another_one_others(pool: Pool) -> None:
    classes = pool.classes(3, 2, 0)
    assert pool.supports(classes, 2, 5) == pool.supports(classes, 2, 5)
    assert any(pool.supports(classes, 2, 5) != pool.supports(classes, 2, seed) for seed in range(6, 12))


def test_a_class_keeps_its_supports_when_others_join(pool: Pool) -> None:
    first, *others = list(pool.of_class)
    assert pool.supports([first], 3, 1)[first] == pool.supports([first, *others], 3, 1)[first]


def test_queries_are_other_pictures_of_the_same_classes(pool: Pool) -> None:
    episode = draw(pool, "prototypes", pool.classes(4, 3, 0), 3, 0)
    labels = pool.matrix.column("label")
    assert not set(episode.support_rows) & set(episode.queries)
    assert {labels[row] for row in episode.queries} == set(episode.supports)
    assert set(pool.matrix.column("kind")[episode.queries]) == {"image"}


@pytest.mark.parametrize("method", QUICK)
def test_it_says_what_the_librarys_classifier_says(pool: Pool, method: str) -> None:
    classes = sorted(pool.classes(3, 2, 0))
    episode = draw(pool, method, classes, 2, 0)
    vectors, labels = pool.matrix.vectors, pool.matrix.column("label")
    texts = np.stack([pool.texts[label] for label in classes])
    direct = METHODS[method](texts=texts, classes=classes).fit(
        vectors[episode.support_rows], labels[episode.support_rows]
    )
    assert episode.probabilities(vectors[episode.queries]) == pytest.approx(
        direct.predict_proba(vectors[episode.queries])
    )
    assert episode.accuracy == pytest.approx(
        (direct.predict(vectors[episode.queries]) == labels[episode.queries]).mean()
    )


def test_names_can_be_left_out(pool: Pool) -> None:
    classes = sorted(pool.classes(3, 2, 0))
    episode = draw(pool, "prototypes", classes, 2, 0, with_texts=False)
    labels = pool.matrix.column("label")[episode.support_rows]
    direct = Prototypes().fit(pool.matrix.vectors[episode.support_rows], labels)
    assert episode.probabilities(pool.matrix.vectors[:4]) == pytest.approx(
        direct.predict_proba(pool.matrix.vectors[:4])
    )


def test_a_swap_changes_one_support_and_takes_it_from_the_queries(pool: Pool) -> None:
    episode = draw(pool, "prototypes", pool.classes(3, 2, 0), 2, 0)
    label = next(iter(episode.supports))
    swapped = episode.swapped(label, 1)
    assert swapped.supports[label][0] == episode.supports[label][0]
    assert swapped.supports[label][1] not in episode.supports[label]
    assert swapped.supports[label][1] not in swapped.queries
    assert {other: rows for other, rows in swapped.supports.items() if other != label} == {
        other: rows for other, rows in episode.supports.items() if other != label
    }


def test_votes_are_exact_where_the_method_is_a_sum(pool: Pool) -> None:
    episode = draw(pool, "tip_adapter", pool.classes(3, 2, 0), 2, 0, with_texts=False)
    vector = pool.matrix.vectors[episode.queries[0]]
    shares = episode.shares(vector)
    assert shares is not None
    scores = episode.classifier.scores(vector[None])[0]
    of_class = episode.classifier.support_classes_
    assert [shares[of_class == each].sum() for each in range(3)] == pytest.approx(scores, abs=1e-5)
    assert draw(pool, "gaussian_discriminant", pool.classes(3, 2, 0), 2, 0).shares(vector) is None


def test_spread_and_curve_are_over_other_draws(pool: Pool) -> None:
    episode = draw(pool, "prototypes", pool.classes(3, 1, 0), 1, 0)
    found = spread(episode, 5, 0, 1)
    assert found.shape == (5,)
    assert ((found >= 0) & (found <= 1)).all()
    ((number, mean, half),) = over_shots(episode, [1], 5, 0)
    assert (number, mean) == (1, pytest.approx(found.mean()))
    assert half >= 0


def test_too_few_pictures_are_said() -> None:
    gallery = memory_gallery(shapes(2).split("test"), "each")
    with pytest.raises(CrossModalError, match="expected 3 classes with 6 pictures or more, found 0"):
        Pool(gallery.matrix(), "cosine").classes(3, 5, 0)


def test_an_unknown_class_is_named(pool: Pool) -> None:
    with pytest.raises(CrossModalError, match="expected a class of the gallery, found 'nobody'"):
        pool.supports(["nobody"], 1, 0)


def test_a_class_without_another_picture_keeps_its_support(pool: Pool) -> None:
    label, rows = next(iter(pool.of_class.items()))
    episode = Episode(pool, "prototypes", {label: rows.tolist()})
    with pytest.raises(CrossModalError, match="found all of them in use"):
        episode.swapped(label, 0)


def test_uploaded_supports_count_like_any_other_and_may_be_a_class_of_their_own(pool: Pool) -> None:
    classes = sorted(pool.classes(3, 2, 0))
    episode = draw(pool, "nearest_neighbours", classes, 2, 0, with_texts=False)
    query = int(episode.queries[0])
    own = replace(episode, uploaded={"mine": pool.matrix.vectors[[query]]})
    assert own.classes == sorted([*classes, "mine"])
    chances = own.probabilities(pool.matrix.vectors[[query]])
    assert own.classes[int(chances[0].argmax())] == "mine"  # it is the picture itself
    assert len(own.doubtful()) == len(episode.support_rows) + 1
    more = replace(episode, uploaded={classes[0]: pool.matrix.vectors[[query]]})
    assert more.classes == classes
    labels = pool.matrix.column("label")
    rows = [*episode.support_rows, query]
    direct = METHODS["nearest_neighbours"]().set_params(metric=pool.metric)
    direct.fit(pool.matrix.vectors[rows], np.array([*labels[episode.support_rows], classes[0]], object))
    others = pool.matrix.vectors[episode.queries]
    assert more.probabilities(others) == pytest.approx(direct.predict_proba(others))


def test_a_swap_keeps_what_was_uploaded(pool: Pool) -> None:
    episode = draw(pool, "prototypes", pool.classes(3, 2, 0), 2, 0)
    own = replace(episode, uploaded={"mine": pool.matrix.vectors[:1]})
    assert list(own.swapped(next(iter(own.supports)), 0).uploaded) == ["mine"]
