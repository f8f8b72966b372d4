"""Known and unknown classes differ, look-alikes never meet, and the draws are those of episodes."""

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import TooFewClasses, sample_episodes
from cross_modal.fewshot.open_set_episodes import open_set_episodes

IDS = np.random.default_rng(0).permutation(np.repeat(np.arange(24), 6))
SETTING = {"ways": 5, "shots": 2, "queries": 3, "episodes": 40, "seed": 3}


def test_strangers_are_of_no_known_class():
    drawn = open_set_episodes(IDS, **SETTING)
    assert (len(drawn), drawn.setting) == (40, "5way_2shot")
    assert drawn.known.classes.shape == (40, 5)
    assert drawn.unknown.shape == (40, 5, 3)
    assert np.array_equal(IDS[drawn.known.query], np.repeat(drawn.known.classes[..., None], 3, axis=2))
    strange = IDS[drawn.unknown]
    assert (strange == strange[..., :1]).all()
    assert not (strange[:, :, None, 0] == drawn.known.classes[:, None]).any()


def test_draws_are_those_of_closed_episodes_of_as_many_classes():
    drawn = open_set_episodes(IDS, **SETTING, unknown=3)
    closed = sample_episodes(IDS, **SETTING | {"ways": 8})
    assert np.array_equal(drawn.known.support, closed.support[:, :5])
    assert np.array_equal(drawn.unknown, closed.query[:, 5:])
    fewer = open_set_episodes(IDS, **SETTING | {"episodes": 7}, unknown=3)
    assert np.array_equal(fewer.unknown, drawn.unknown[:7])


def test_no_stranger_looks_like_a_known_class_or_shares_a_group_with_support():
    sets, groups = IDS // 2, np.random.default_rng(1).integers(0, 8, len(IDS))
    drawn = open_set_episodes(IDS, **SETTING | {"shots": 1, "queries": 2}, sets=sets, groups=groups)
    strange = np.where(drawn.unknown >= 0, sets[drawn.unknown], -1)
    assert not (strange.reshape(40, -1, 1) == (drawn.known.classes // 2)[:, None]).any()
    asked = np.where(drawn.unknown >= 0, groups[drawn.unknown], -1)
    assert not (asked.reshape(40, -1, 1) == groups[drawn.known.support].reshape(40, 1, -1)).any()


def test_too_few_classes_and_numbers_out_of_range_are_one_line():
    with pytest.raises(TooFewClasses, match="26-way"):
        open_set_episodes(IDS, **SETTING | {"ways": 13})
    for name, value in (("ways", 1), ("shots", 0)):
        with pytest.raises(CrossModalError, match=f"{name} must be at least {value + 1}, found {value}"):
            open_set_episodes(IDS, **SETTING | {name: value})
    with pytest.raises(CrossModalError, match="unknown classes must be at least 1, found 0"):
        open_set_episodes(IDS, **SETTING, unknown=0)
