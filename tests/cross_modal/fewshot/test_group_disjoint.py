"""The parts of the group-disjoint draw that episodes do not show: which classes it takes."""

import numpy as np

from cross_modal.fewshot.group_disjoint import GroupDisjointDraw


def test_a_class_is_eligible_if_it_can_keep_a_group_for_queries():
    sizes = {0: [5, 1], 1: [3, 3], 2: [6], 3: [1, 1]}
    groups = np.concatenate([np.repeat(np.arange(len(of)) + 10 * c, of) for c, of in sizes.items()])
    starts = np.concatenate([[0], np.cumsum([sum(of) for of in sizes.values()])])
    draw = GroupDisjointDraw(np.arange(len(groups)), starts, groups)
    assert draw.eligible(1).tolist() == [True, True, False, True]
    assert draw.eligible(3).tolist() == [True, True, False, False]
    assert draw.eligible(5).tolist() == [True, False, False, False]
    assert draw.eligible(0).tolist() == [True] * 4


def test_a_class_whose_groups_went_to_other_supports_has_no_query():
    groups = np.array([0, 1, 0, 1])
    draw = GroupDisjointDraw(np.arange(4), np.array([0, 2, 4]), groups)
    support, query = draw.draw(np.array([[0, 1]] * 20), np.arange(20), 1, 1, 0)
    # Both classes agree on the first group of the episode's order, so both keep the other one for their query.
    assert (groups[support[:, 0, 0]] == groups[support[:, 1, 0]]).all()
    assert (query >= 0).all()
    assert (groups[query[..., 0]] != groups[support[..., 0]]).all()
