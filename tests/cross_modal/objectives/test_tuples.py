import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.objectives.row_pairs import row_partners
from cross_modal.objectives.tuples import all_pairs, join, matches, select, triplets

ids = st.lists(st.integers(0, 3), min_size=1, max_size=8).map(torch.tensor)


@settings(max_examples=40, deadline=None)
@given(ids, ids)
def test_pairs_across_are_the_brute_force_ones(a, r):
    masks = matches(a, r, within=False)
    usable = [i for i in range(len(a)) if 0 < sum(a[i] == x for x in r) < len(r)]
    a1, p, a2, n = all_pairs(masks)
    assert sorted(zip(a1.tolist(), p.tolist(), strict=True)) == [
        (i, j) for i in usable for j in range(len(r)) if a[i] == r[j]
    ]
    assert sorted(zip(a2.tolist(), n.tolist(), strict=True)) == [
        (i, j) for i in usable for j in range(len(r)) if a[i] != r[j]
    ]


@settings(max_examples=40, deadline=None)
@given(ids)
def test_no_item_is_its_own_positive_and_triplets_agree_with_the_masks(a):
    masks = matches(a, a, within=True)
    assert not masks.positive.diagonal().any()
    assert not (masks.positive & masks.negative).any()
    i, p, n = triplets(masks, "all")
    assert masks.positive[i, p].all()
    assert masks.negative[i, n].all()
    every = (masks.positive.sum(1) * masks.negative.sum(1)).sum()
    assert len(i) == int(every)
    if masks.usable.any():
        i, p, n = triplets(masks, 3)
        assert len(i) == 3 * int(masks.usable.sum())
        assert masks.positive[i, p].all()
        assert masks.negative[i, n].all()


def test_within_with_a_memory_leaves_only_the_item_itself_out():
    masks = matches(torch.tensor([0, 1]), torch.tensor([0, 1, 0, 1]), within=True)
    assert masks.positive.int().tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]


def test_select_numbers_the_anchors_anew():
    keep = torch.tensor([False, True, True])
    pairs = tuple(torch.tensor(x) for x in ([0, 1, 2], [5, 6, 7], [2, 0], [8, 9]))
    assert [x.tolist() for x in select(pairs, keep)] == [[0, 1], [6, 7], [1], [8]]
    three = tuple(torch.tensor(x) for x in ([0, 2], [1, 2], [3, 4]))
    assert [x.tolist() for x in select(three, keep)] == [[1], [2], [4]]


def test_join_shifts_references_only():
    pairs = tuple(torch.tensor([1]) for _ in range(4))
    assert [x.tolist() for x in join(pairs, pairs, 10)] == [[1, 1], [1, 11], [1, 1], [1, 11]]


@settings(max_examples=40, deadline=None)
@given(ids, ids)
def test_row_partners_are_of_the_same_class(a, r):
    anchors, partners = row_partners(a, r, within=False)
    assert torch.equal(a[anchors], r[partners])
    assert anchors.tolist() == [i for i in range(len(a)) if a[i] in r]
    anchors, partners = row_partners(a, a, within=True)
    assert torch.equal(a[anchors], a[partners])
    assert not (anchors == partners).any()
    assert len(set(partners.tolist())) == len(partners)
