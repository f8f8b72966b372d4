"""The built-in sample: honest splits, distinct pictures, look-alikes in one set."""

import numpy as np
import pytest

from cross_modal.data.glyphs import LEAST_PICTURES, look_alikes, render, split_of_set


@pytest.fixture(scope="module")
def sample():
    return render()


def test_size_and_shape(sample):
    assert 25_000 < len(sample.pictures) < 40_000
    assert 2_000 < len(sample.sets) < 4_000
    assert sample.pictures.shape[1:] == (32, 32)
    assert sample.pictures.dtype == np.uint8


def test_no_pictures_bytes_stand_in_two_splits(sample):
    home: dict[bytes, str] = {}
    for picture, split in zip(sample.pictures, sample.splits, strict=True):
        assert home.setdefault(picture.tobytes(), split) == split


def test_pictures_of_a_class_are_distinct_not_blank_and_enough(sample):
    keys = [
        (codepoint, picture.tobytes()) for codepoint, picture in zip(sample.codepoints, sample.pictures, strict=True)
    ]
    assert len(set(keys)) == len(keys)
    assert sample.pictures.reshape(len(keys), -1).any(axis=1).all()
    assert np.unique(sample.codepoints, return_counts=True)[1].min() >= LEAST_PICTURES


def test_equal_pictures_mean_one_set(sample):
    owner: dict[bytes, str] = {}
    for picture, name in zip(sample.pictures, sample.episode_sets, strict=True):
        assert owner.setdefault(picture.tobytes(), name) == name
    assert sample.sets[0x391] == sample.sets[0x41]  # Greek Alpha and Latin A


def test_texts_are_names(sample):
    names = dict(zip(sample.labels, sample.texts, strict=True))
    assert names["U+03AC"] == "greek small letter alpha with tonos"


def test_look_alikes_join_chains():
    assert look_alikes([b"p", b"p", b"q", b"q", b"r"], [3, 2, 2, 7, 9]) == {3: 2, 2: 2, 7: 2, 9: 9}


def test_shares_of_the_splits(sample):
    roots = set(sample.sets.values())
    counts = {name: sum(split_of_set(root) == name for root in roots) / len(roots) for name in ("train", "validation")}
    assert abs(counts["train"] - 0.60) < 0.04
    assert abs(counts["validation"] - 0.15) < 0.03
