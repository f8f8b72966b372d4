"""The hardest pairs are found, with how often they met."""

import numpy as np
import pytest

from cross_modal.configuration import EvaluationConfig
from cross_modal.confusions import confusions, predictions
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal.fewshot.episodes import TooFewClasses
from cross_modal.fewshot.mixture import Mixture, MixtureWeights
from cross_modal.fewshot.scoring import score_episodes

GENERATOR = np.random.default_rng(0)
CENTRES = np.eye(12) * 4
CENTRES[7] = CENTRES[3] + 0.3 * GENERATOR.normal(size=12)  # two classes that look alike
CLASSES = np.repeat(np.arange(12), 6)
IMAGES = (CENTRES[CLASSES] + 0.4 * GENERATOR.normal(size=(72, 12))).astype(np.float32)
TEXTS = np.eye(12, dtype=np.float32)
ITEMS = EvaluationItems(IMAGES, CLASSES, TEXTS, np.arange(12))
CONFIG = EvaluationConfig(queries=3, episodes=200)


def test_finds_the_two_that_look_alike():
    found = confusions(ITEMS, CONFIG, ways=6)
    assert {(found[0].true, found[0].predicted), (found[1].true, found[1].predicted)} == {(3, 7), (7, 3)}
    assert found[0].count >= found[1].count
    assert all(0 < pair.count <= pair.meetings for pair in found)
    drawn = ITEMS.episodes(6, 1, CONFIG)
    together = (drawn.classes == 3).any(1) & (drawn.classes == 7).any(1)
    assert found[0].meetings == found[1].meetings == 3 * together.sum()


def test_names_tell_apart_what_pictures_confuse():
    mixture = Mixture({1: MixtureWeights(1.0, 0.0, False, False, {})}, (0.0,) * 12, (0.0,) * 12)
    pictures = confusions(ITEMS, CONFIG, ways=6)
    assert confusions(ITEMS, CONFIG, ways=6, mixture=mixture) == pictures
    by_name = confusions(ITEMS, CONFIG, ways=6, shots=0)
    assert all(pair.true == 7 for pair in by_name)  # its pictures stand on class 3's axis


def test_predictions_agree_with_the_accuracy():
    drawn = ITEMS.episodes(6, 1, CONFIG)
    mixture = Mixture({1: MixtureWeights(1.0, 0.5, False, True, {})}, (0.1,) * 12, (0.2,) * 12)
    result = score_episodes(IMAGES, TEXTS, drawn, mixture)
    for kind, accuracy in (("image", result.image), ("text", result.text), ("both", result.both)):
        guessed = predictions(IMAGES, TEXTS, drawn, kind, mixture)
        assert (guessed == drawn.classes[:, :, None]).mean((1, 2)) == pytest.approx(accuracy)


def test_no_more_pairs_than_asked_and_padding_is_no_prediction():
    noise = EvaluationItems(GENERATOR.normal(size=(72, 4)).astype(np.float32), CLASSES)
    assert len(confusions(noise, CONFIG, ways=6, top=4)) == 4
    drawn = noise.episodes(6, 4, CONFIG)  # two of the three queries are left
    guessed = predictions(noise.images, None, drawn, "image")
    assert ((guessed < 0) == (drawn.query < 0)).all()


def test_bad_settings_are_named():
    with pytest.raises(TooFewClasses, match="20-way"):
        confusions(ITEMS, CONFIG)
    with pytest.raises(CrossModalError, match="expected image embeddings"):
        confusions(EvaluationItems(None, np.zeros(0, np.int64), TEXTS, np.arange(12)), CONFIG)
    with pytest.raises(CrossModalError, match="expected texts and a mixture"):
        predictions(IMAGES, TEXTS, ITEMS.episodes(6, 1, CONFIG), "both")
