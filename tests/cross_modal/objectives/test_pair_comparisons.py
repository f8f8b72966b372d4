from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.objectives.pair_comparisons import within_batch, within_items, within_triplets

VERDICTS = torch.tensor([True, False, True, False])


def listed(comparisons):
    return [x.tolist() for x in comparisons.indices]


def test_a_batch_is_one_anchor():
    assert listed(within_batch(VERDICTS)) == [[0, 0], [0, 2], [0, 0], [1, 3]]
    assert within_batch(VERDICTS).kept() == (2, 2)


def test_an_item_is_the_anchor_of_the_pairs_it_is_in():
    a, b = torch.tensor([10, 10, 30, 40]), torch.tensor([20, 30, 40, 50])
    found = within_items(VERDICTS, a, b)
    assert found.anchors == 5
    assert set(zip(*listed(found)[:2], strict=True)) == {(0, 0), (1, 0), (2, 2), (3, 2)}
    assert set(zip(*listed(found)[2:], strict=True)) == {(0, 1), (2, 1), (3, 3), (4, 3)}


def test_only_anchors_with_both_verdicts_are_left_and_numbered_anew():
    a, b = torch.tensor([10, 10, 30, 40]), torch.tensor([20, 30, 40, 50])
    found = within_items(VERDICTS, a, b).with_both()
    assert found.anchors == 3  # 10, 30 and 40
    assert set(zip(*listed(found)[:2], strict=True)) == {(0, 0), (1, 2), (2, 2)}
    assert set(zip(*listed(found)[2:], strict=True)) == {(0, 1), (1, 1), (2, 3)}
    assert found.partners.tolist() == [[0, -1], [0, 1], [1, 2], [2, -1]]


@given(data=st.data(), pairs=st.integers(1, 12))
def test_turning_pairs_round_changes_no_index(data, pairs):
    a = torch.tensor(data.draw(st.lists(st.integers(0, 5), min_size=pairs, max_size=pairs)))
    b = a + torch.tensor(data.draw(st.lists(st.integers(1, 5), min_size=pairs, max_size=pairs)))
    turned = torch.tensor(data.draw(st.lists(st.booleans(), min_size=pairs, max_size=pairs)))
    same = torch.tensor(data.draw(st.lists(st.booleans(), min_size=pairs, max_size=pairs)))
    first, second = within_items(same, a, b), within_items(same, torch.where(turned, b, a), torch.where(turned, a, b))
    assert listed(first) == listed(second)
    assert torch.equal(first.partners, second.partners)


def test_a_pair_of_several_triplets_is_one_pair():
    triplets = torch.tensor([0, 0, 0]), torch.tensor([2, 0, 2]), torch.tensor([1, 1, 3])
    found = replace(within_batch(VERDICTS), indices=triplets)
    assert [x.tolist() for x in found.as_pairs()] == [[0, 0], [0, 2], [0, 0], [1, 3]]
    assert found.kept() == (2, 2)


def test_a_triplet_is_a_same_and_a_different_pair_of_its_anchor():
    assert listed(within_triplets(2, None, torch.device("cpu"))) == [[0, 1], [0, 1], [0, 1], [2, 3]]
    assert listed(within_triplets(2, torch.tensor([7, 7]), torch.device("cpu"))) == [[0, 0], [0, 1], [0, 0], [2, 3]]
    assert within_triplets(0, None, torch.device("cpu")).anchors == 0
