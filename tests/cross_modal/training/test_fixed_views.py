"""Views of frozen training: few, fixed by content, shared by seeds and runs."""

import numpy as np
import pytest
import torch

from cross_modal.configuration import AugmentationConfig
from cross_modal.errors import CrossModalError
from cross_modal.training.fixed_views import FixedViews

CONTENTS = [bytes([row]) * 32 for row in range(50)]
ROWS, NONE = np.arange(50), np.zeros(50, np.int64)


def test_steps_draw_from_a_fixed_number_of_views_and_reach_all() -> None:
    views = FixedViews(AugmentationConfig(views=3), CONTENTS)
    drawn = np.stack([views.choose(0, step, ROWS) for step in range(40)])
    assert set(drawn.ravel().tolist()) == {0, 1, 2}
    assert all(len(set(drawn[:, row])) == 3 for row in range(50))
    assert np.array_equal(drawn[7], views.choose(0, 7, ROWS))


def test_a_view_belongs_to_the_content_not_to_the_row() -> None:
    views, turned = FixedViews(AugmentationConfig(), CONTENTS), FixedViews(AugmentationConfig(), CONTENTS[::-1])
    one = views.maps(ROWS, NONE, NONE + 2)
    other = turned.maps(ROWS[::-1], NONE, NONE + 2)
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)


def test_views_pictures_and_turns_differ_in_map_and_name() -> None:
    views = FixedViews(AugmentationConfig(), CONTENTS)
    settings = [(NONE, NONE), (NONE, NONE + 1), (NONE + 1, NONE), (NONE + 1, NONE + 1)]
    maps = torch.cat([views.maps(ROWS, turns, which) for turns, which in settings])  # type: ignore[misc]
    assert len(torch.unique(maps, dim=0)) == 200
    assert len({views.names(ROWS[:1], turns[:1], which[:1])[0] for turns, which in settings}) == 4


def test_without_augmentation_there_is_one_plain_view() -> None:
    still = AugmentationConfig(rotation=0, scale=0, shear=0, shift=0, flip=0, views=9)
    views = FixedViews(still, CONTENTS)
    assert views.count == 1
    assert views.maps(ROWS, NONE, NONE) is None
    assert views.names(ROWS[:2], np.array([0, 1]), NONE[:2]) == ["plain", "plain turned 1"]


def test_other_settings_are_other_views() -> None:
    one, other = FixedViews(AugmentationConfig(), CONTENTS), FixedViews(AugmentationConfig(rotation=9), CONTENTS)
    assert one.names(ROWS[:1], NONE[:1], NONE[:1]) != other.names(ROWS[:1], NONE[:1], NONE[:1])


def test_no_view_at_all_is_refused() -> None:
    with pytest.raises(CrossModalError, match=r"augmentation\.views: expected at least 1, found 0"):
        FixedViews(AugmentationConfig(views=0), CONTENTS)


def test_more_views_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(CrossModalError, match=r"augmentation\.views: expected at most 32, found 33"):
        FixedViews(AugmentationConfig(views=33), CONTENTS)
