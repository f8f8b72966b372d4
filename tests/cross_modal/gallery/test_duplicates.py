"""All pairs above a threshold, as comparing everything with everything finds them; groups; what splits share."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.gallery import duplicates
from cross_modal.gallery.duplicates import DuplicatePairs, groups, leaks, near_duplicates

METRICS = ["cosine", "euclidean"]


def plainly(vectors, threshold, metric, kinds=None, splits=None, contents=None, across=False):
    """Pair by pair."""
    found = []
    for a, b in combinations(range(len(vectors)), 2):
        x, y = vectors[a].astype(float), vectors[b].astype(float)
        score = np.float32((x * y).sum() if metric == "cosine" else 0 - np.sqrt(((x - y) ** 2).sum()))
        same = contents is not None and contents[a] is not None and contents[a] == contents[b]
        if kinds is not None and kinds[a] != kinds[b]:
            continue
        if across and (splits[a] is None or splits[b] is None or splits[a] == splits[b]):
            continue
        if same or score >= np.float32(threshold):
            found.append((-score, a, b, same))
    return [(a, b, -score, same) for score, a, b, same in sorted(found)]


def rows_of(pairs):
    return list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.scores, pairs.identical.tolist(), strict=True))


def unit(random, count, dim):
    vectors = random.standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 40),
    dim=st.integers(1, 6),
    cosine=st.floats(-1, 1.01),
    given_kinds=st.booleans(),
    across=st.booleans(),
    given_contents=st.booleans(),
    side=st.sampled_from([1, 3, 16, 64]),
)
def test_is_what_comparing_all_gives(metric, seed, count, dim, cosine, given_kinds, across, given_contents, side):
    random = np.random.default_rng(seed)
    vectors = unit(random, count, dim)[random.integers(0, max(count, 1), count)]  # some twice
    if metric == "euclidean":
        vectors = vectors * random.choice([1, 2], (count, 1)).astype(np.float32)
    threshold = cosine if metric == "cosine" else cosine - 1.01
    kinds = random.choice(["image", "text"], count) if given_kinds else None
    splits = random.choice(np.array(["train", "test", None], object), count)
    contents = random.choice(np.array(["a", "b", "c", None], object), count) if given_contents else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_SIDE", side)
        pairs = near_duplicates(vectors, threshold, metric, kinds=kinds, splits=splits, contents=contents,
                                across_splits=across)  # fmt: skip
    assert rows_of(pairs) == plainly(vectors, threshold, metric, kinds, splits, contents, across)


@pytest.mark.parametrize("metric", METRICS)
def test_several_squares_and_a_threshold_that_scores_stand_on(metric):
    """Scores equal to the threshold are in; the product's rounding decides nothing."""
    random = np.random.default_rng(1)
    vectors = unit(random, 5000, 4)
    scores = near_duplicates(vectors, 0.999 if metric == "cosine" else -0.05, metric).scores
    assert len(scores) > 20
    for place in (0, len(scores) // 2, len(scores) - 1):
        again = near_duplicates(vectors, float(scores[place]), metric)
        assert len(again) == (scores >= scores[place]).sum()


def test_copies_have_distance_nought_far_from_the_origin():
    random = np.random.default_rng(2)
    vectors = (1000 + random.standard_normal((50, 20))).astype(np.float32)
    vectors[7] = vectors[31]
    assert rows_of(near_duplicates(vectors, 0.0, "euclidean")) == [(7, 31, 0.0, False)]


def test_no_distance_is_below_nought():
    assert len(near_duplicates(np.zeros((3, 2), np.float32), 0.5, "euclidean")) == 0


def test_refuses_more_pairs_than_the_limit_before_it_holds_them():
    vectors = np.ones((300, 1), np.float32)
    with pytest.raises(CrossModalError, match=r"at most 1,000 pairs that reach 0\.9, found more; ask for a higher"):
        near_duplicates(vectors, 0.9, "cosine", limit=1000)
    with pytest.raises(CrossModalError, match="at most 1,000 pairs"):
        near_duplicates(vectors, 2.0, "cosine", contents=["one"] * 300, limit=1000)
    assert len(near_duplicates(vectors[:45], 0.9, "cosine", contents=["one"] * 45, limit=990)) == 990


def test_says_how_far_it_is():
    told = []
    vectors = unit(np.random.default_rng(3), 5000, 4)
    near_duplicates(vectors, 1.5, "cosine", progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (5000 * 4999 // 2, 5000 * 4999 // 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"threshold": float("nan")}, "expected a threshold, found NaN"),
        ({"across_splits": True}, "expected splits, found none"),
        ({"kinds": ["image"]}, "expected 3 kinds, splits and contents, found 1"),
    ],
)
def test_refuses(arguments, said):
    with pytest.raises(CrossModalError, match=said):
        near_duplicates(np.eye(3, dtype=np.float32), **{"threshold": 0.5, "metric": "cosine", **arguments})


@settings(deadline=None)
@given(edges=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda ab: ab[0] < ab[1]), max_size=30))
def test_groups_are_what_can_be_reached(edges):
    a, b = (np.array(side, np.int64) for side in zip(*edges, strict=True)) if edges else (np.zeros(0, np.int64),) * 2
    number = groups(DuplicatePairs(a, b, np.ones(len(a), np.float32), np.zeros(len(a), bool)), 20)
    reached = [{row} for row in range(20)]
    for left, right in edges:
        joined = reached[left] | reached[right]
        for row in joined:
            reached[row] = joined
    for one, other in combinations(range(20), 2):
        assert (other in reached[one]) == (number[one] >= 0 and number[one] == number[other])
    sizes = np.bincount(number[number >= 0])
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    assert all((number[row] == -1) == (len(reached[row]) == 1) for row in range(20))


def test_leaks_count_items_of_either_split():
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 1, 2, 2]]
    splits = ["train", "test", "test", "train", "validation", None, "train"]
    found = leaks(near_duplicates(vectors, 0.9, "cosine", contents=list("xxyzzvw")), splits)
    assert [(leak.splits, leak.pairs, leak.items, leak.identical) for leak in found] == [
        (("test", "train"), 2, (2, 1), 1),
        (("train", "validation"), 1, (1, 1), 1),
    ]
