"""Picture and name together beat either alone across a modality gap, on classes that the mixture never saw."""

import json

import numpy as np
import pytest
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episode_scores import EpisodeScores
from cross_modal.fewshot.episodes import sample_episodes
from cross_modal.fewshot.mixture import Mixture, MixtureWeights, fit_mixture
from cross_modal.fewshot.scoring import score_episodes

CLASSES, ITEMS, DIM = 60, 8, 24


def world(seed: int = 0, text_noise: float = 1.0, image_noise: float = 1.0, gap: float = 3.0):
    """Pictures and names around common centres, each modality moved far from the other."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(CLASSES, DIM))
    ids = np.repeat(np.arange(CLASSES), ITEMS)
    away = generator.normal(size=DIM)
    images = centres[ids] + image_noise * generator.normal(size=(len(ids), DIM)) + gap * away
    texts = centres + text_noise * generator.normal(size=centres.shape) - gap * away
    return images.astype(np.float32), ids, texts.astype(np.float32)


def halves(images, ids):
    """Even classes validate, odd classes test."""
    even = ids % 2 == 0
    return (images[even], ids[even]), (images[~even], ids[~even])


def test_beats_either_alone_and_a_plain_average_on_unseen_classes():
    images, ids, texts = world()
    validation, test = halves(images, ids)
    mixture = fit_mixture(*validation, texts, shots=[1, 5])
    for shots in (1, 5):
        episodes = sample_episodes(test[1], ways=20, shots=shots, queries=3, episodes=400, seed=9)
        result = score_episodes(test[0], texts, episodes, mixture)
        assert result.both.mean() > result.image.mean() + (0.1 if shots == 1 else 0.003)
        assert result.both.mean() > result.text.mean() + 0.05
    plain = Mixture({5: MixtureWeights(1.0, 1.0, False, False, {})}, mixture.image_mean, mixture.text_mean)
    assert result.both.mean() > score_episodes(test[0], texts, episodes, plain).both.mean()
    assert mixture.by_shots[1].centre_text
    assert mixture.by_shots[5].image_scale / mixture.by_shots[5].text_scale > (
        mixture.by_shots[1].image_scale / mixture.by_shots[1].text_scale
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("text_noise", "image_noise"), [(30.0, 1.0), (0.5, 30.0), (1.0, 1.0)])
def test_is_never_worse_than_the_better_alone_on_validation(seed, text_noise, image_noise):
    images, ids, texts = world(seed, text_noise, image_noise, gap=0.5)
    mixture = fit_mixture(images, ids, texts, shots=[1, 3], episodes=60)
    for shots, weights in mixture.by_shots.items():
        assert weights.accuracies["both"] >= max(weights.accuracies["image"], weights.accuracies["text"])
        drawn = sample_episodes(ids, ways=20, shots=shots, queries=5, episodes=60, seed=0)
        result = score_episodes(images, texts, drawn, mixture)
        assert result.both.mean() == pytest.approx(weights.accuracies["both"], abs=1e-9)
        assert result.image.mean() == pytest.approx(weights.accuracies["image"], abs=1e-9)
        assert result.text.mean() == pytest.approx(weights.accuracies["text"], abs=1e-9)


def test_useless_names_get_next_to_no_weight():
    images, ids, texts = world(text_noise=1000.0)
    weights = fit_mixture(images, ids, texts, shots=[5]).by_shots[5]
    assert weights.text_scale < 0.2 * weights.image_scale


def test_euclidean_scores_are_mixed_too():
    images, ids, texts = world()
    validation, test = halves(images, ids)
    mixture = fit_mixture(*validation, texts, shots=[1], metric="euclidean")
    episodes = sample_episodes(test[1], ways=20, shots=1, queries=3, episodes=300, seed=9)
    result = score_episodes(test[0], texts, episodes, mixture, metric="euclidean")
    assert result.both.mean() > max(result.image.mean(), result.text.mean()) + 0.02


def test_zero_shots_decide_whether_names_alone_are_centred():
    images, ids, texts = world()
    validation, test = halves(images, ids)
    mixture = fit_mixture(*validation, texts, shots=[0, 1])
    assert mixture.by_shots[0].image_scale == 0
    episodes = sample_episodes(test[1], ways=20, shots=0, queries=3, episodes=300, seed=9)
    plain = score_episodes(test[0], texts, episodes).text.mean()
    centred = score_episodes(test[0], texts, episodes, mixture).text.mean()
    assert centred > plain + 0.02 if mixture.by_shots[0].centre_text else centred == plain


def test_survives_json():
    mixture = fit_mixture(*world(), shots=[0, 1], episodes=20)
    assert Mixture.from_dict(json.loads(json.dumps(mixture.to_dict()))) == mixture


@pytest.mark.parametrize("values", [{}, {"by_shots": {"one": {}}}, {"by_shots": [1]}])
def test_a_broken_file_is_named(values):
    with pytest.raises(CrossModalError, match="mixture: expected by_shots"):
        Mixture.from_dict(values)


def test_other_shots_take_the_nearest_by_ratio():
    one, five = MixtureWeights(1.0, 1.0, False, False, {}), MixtureWeights(5.0, 1.0, False, False, {})
    mixture = Mixture({0: one, 1: one, 5: five}, (), ())
    assert mixture.at(2) is one
    assert mixture.at(3) is five
    assert mixture.at(100) is five
    with pytest.raises(CrossModalError, match="expected scales for 1 shots"):
        Mixture({0: one}, (), ()).at(1)


def test_classes_without_text_and_shots_that_do_not_fit_are_left_out():
    images, ids, texts = world()
    texts[::3] = np.nan
    mixture = fit_mixture(images, ids, texts, shots=[1, 50], episodes=20)
    assert set(mixture.by_shots) == {1}
    assert np.isfinite(mixture.means()).all()


def test_bad_validation_is_named():
    images, ids, texts = world()
    with pytest.raises(CrossModalError, match="50-shot"):
        fit_mixture(images, ids, texts, shots=[50])
    with pytest.raises(CrossModalError, match="at least 2 validation classes"):
        fit_mixture(images, np.zeros_like(ids), texts)
    with pytest.raises(CrossModalError, match="class ids"):
        fit_mixture(images, ids[:-1], texts)
    with pytest.raises(CrossModalError, match="expected texts"):
        fit_mixture(images, ids, texts[:5])
    with pytest.raises(CrossModalError, match="not finite"):
        fit_mixture(np.full_like(images, np.inf), ids, texts)


def test_a_doubted_name_cannot_overrule_a_sure_picture() -> None:
    image, text = torch.tensor([[1.0, 0.9, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    trusting = MixtureWeights(20.0, 30.0, False, False, {})
    doubting = MixtureWeights(20.0, 30.0, False, False, {}, doubt=0.9)
    assert trusting.add(image, text).argmax() == 1
    assert doubting.add(image, text).argmax() == 0
    bound = np.log(1 + 3 * 0.1 / 0.9)
    difference = doubting.add(image, text) - 20 * image
    assert float(difference.max() - difference.min()) == pytest.approx(bound, abs=1e-4)
    close = torch.tensor([[1.0, 0.999, 0.0]])
    assert doubting.add(close, text).argmax() == 1  # where pictures cannot tell, the name decides


def test_doubt_is_learned_where_names_are_often_wrong() -> None:
    random = np.random.default_rng(0)
    truth = torch.arange(5).repeat_interleave(4)
    own = torch.nn.functional.one_hot(truth, 5).float()
    image = own * 0.3 + torch.from_numpy(random.normal(0, 0.1, (200, 20, 5))).float()
    named = torch.from_numpy(random.integers(0, 5, (200, 20)))
    wrong = torch.from_numpy(random.random((200, 20)) < 0.4)
    text = torch.nn.functional.one_hot(torch.where(wrong, named, truth), 5).float()
    scores = EpisodeScores(image, text, truth, torch.ones(200, 20, dtype=torch.bool))
    plain = scores.likeliest_scales()
    a, b, doubt = scores.likeliest_doubt(plain)
    assert 0.2 < doubt < 0.6
    assert scores.accuracy(a, b, doubt) >= max(scores.accuracy(*plain), scores.accuracy(1, 0)) - 0.002
