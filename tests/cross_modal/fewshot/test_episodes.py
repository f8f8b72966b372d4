"""What an episode promises: disjoint, group-disjoint, never two of a set, a function of (seed, episode)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import TooFewClasses, sample_episodes

IDS = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 8))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=3, max_size=12),
    ways=st.integers(2, 4),
    shots=st.integers(0, 4),
    queries=st.integers(1, 6),
    seed=st.integers(0, 1000),
    number_of_groups=st.integers(0, 5),
)
def test_support_and_query_share_no_item_and_no_group(sizes, ways, shots, queries, seed, number_of_groups):
    generator = np.random.default_rng(seed)
    ids = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    groups = generator.integers(0, number_of_groups, len(ids)) if number_of_groups else None
    try:
        drawn = sample_episodes(ids, ways=ways, shots=shots, queries=queries, episodes=20, seed=seed, groups=groups)
    except TooFewClasses:
        able = [
            size > shots
            if groups is None or not shots
            else size - np.bincount(groups[ids == c])[np.unique(groups[ids == c])].min() >= shots
            for c, size in enumerate(sizes)
        ]
        assert sum(able) < ways
        return
    assert drawn.classes.shape == (20, ways)
    assert drawn.support.shape == (20, ways, shots)
    assert drawn.query.shape == (20, ways, queries)
    for classes, support, query in zip(drawn.classes, drawn.support, drawn.query, strict=True):
        assert len(set(classes.tolist())) == ways
        used = support.ravel().tolist() + query[query >= 0].tolist()
        assert len(used) == len(set(used))
        for c, own, asked in zip(classes, support, query, strict=True):
            assert (ids[own] == c).all()
            assert (ids[asked[asked >= 0]] == c).all()
            if groups is None:
                assert (asked >= 0).sum() == min(queries, sizes[c] - shots)
        if groups is not None and shots:
            assert not set(groups[support.ravel()]) & set(groups[query[query >= 0]])


def test_an_episode_depends_on_seed_and_number_only():
    setting = {"ways": 5, "shots": 2, "queries": 3, "seed": 11}
    groups = np.random.default_rng(1).integers(0, 6, len(IDS))
    for column in (None, groups):
        ten = sample_episodes(IDS, episodes=10, groups=column, **setting)
        hundred = sample_episodes(IDS, episodes=100, groups=column, **setting)
        for name in ("classes", "support", "query"):
            assert np.array_equal(getattr(hundred, name)[:10], getattr(ten, name))
        other = sample_episodes(IDS, episodes=10, groups=column, **(setting | {"seed": 12}))
        assert not np.array_equal(other.classes, ten.classes)
    assert len({tuple(row) for row in hundred.classes.tolist()}) == 100


def test_chunks_of_group_disjoint_draws_change_nothing(monkeypatch):
    groups = np.random.default_rng(1).integers(0, 6, len(IDS))
    setting = {"ways": 5, "shots": 2, "queries": 3, "seed": 1, "episodes": 50, "groups": groups}
    whole = sample_episodes(IDS, **setting)
    monkeypatch.setattr("cross_modal.fewshot.group_disjoint.CELLS", 100)
    parts = sample_episodes(IDS, **setting)
    assert np.array_equal(whole.support, parts.support)
    assert np.array_equal(whole.query, parts.query)


def test_more_shots_keep_the_classes_and_the_first_shot():
    one = sample_episodes(IDS, ways=5, shots=1, queries=2, episodes=50, seed=0)
    three = sample_episodes(IDS, ways=5, shots=3, queries=2, episodes=50, seed=0)
    assert np.array_equal(one.classes, three.classes)
    assert np.array_equal(one.support, three.support[..., :1])


def test_classes_and_items_are_drawn_evenly():
    drawn = sample_episodes(IDS, ways=3, shots=1, queries=1, episodes=20_000, seed=5)
    of_class = np.bincount(drawn.classes.ravel(), minlength=30)
    assert abs(of_class - 2000).max() < 200
    of_item = np.bincount(drawn.support.ravel(), minlength=len(IDS))
    assert of_item.min() > 150
    assert of_item.max() < 350


def test_two_classes_of_a_set_never_meet_and_all_of_them_appear():
    sets = np.array(["pair" if c in (0, 1, 2) else None for c in IDS], object)
    drawn = sample_episodes(IDS, ways=28, shots=1, queries=1, episodes=400, seed=0, sets=sets)
    members = np.isin(drawn.classes, [0, 1, 2]).sum(1)
    assert (members == 1).all()  # 27 single classes and one of the set: all units are needed
    assert set(np.unique(drawn.classes)) == set(range(30))
    with pytest.raises(TooFewClasses, match="29-way"):
        sample_episodes(IDS, ways=29, shots=1, queries=1, episodes=1, seed=0, sets=sets)


def test_within_prefix_stays_in_one_alphabet_that_is_large_enough():
    prefixes = np.array(["greek" if c < 12 else "latin" if c < 26 else "runes" for c in IDS], object)
    drawn = sample_episodes(
        IDS, ways=10, shots=1, queries=1, episodes=300, seed=0, prefixes=prefixes, within_prefix=True
    )
    alphabets = np.where(drawn.classes < 12, 0, np.where(drawn.classes < 26, 1, 2))
    assert (alphabets == alphabets[:, :1]).all()
    assert 100 < (alphabets[:, 0] == 0).sum() < 200
    with pytest.raises(TooFewClasses, match=r"15-way.*one prefix.*14 at most"):
        sample_episodes(IDS, ways=15, shots=1, queries=1, episodes=1, seed=0, prefixes=prefixes, within_prefix=True)


def test_shared_groups_are_split_once_for_the_whole_episode():
    """Twenty drawers drew every character: a support's drawer is no query's drawer, of no class."""
    ids, drawers = np.repeat(np.arange(40), 20), np.tile(np.arange(20), 40)
    drawn = sample_episodes(ids, ways=20, shots=5, queries=5, episodes=100, seed=0, groups=drawers)
    assert (drawn.query >= 0).all()  # five drawers for the supports leave fifteen for five queries
    for support, query in zip(drawn.support, drawn.query, strict=True):
        assert not set(drawers[support.ravel()]) & set(drawers[query.ravel()])
    assert set(drawers[drawn.support.ravel()]) == set(range(20))


def test_a_class_keeps_its_smallest_group_back_when_the_support_needs_all_others():
    ids = np.repeat([0, 1], 6)
    groups = np.array([0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 3])
    drawn = sample_episodes(ids, ways=2, shots=5, queries=3, episodes=50, seed=0, groups=groups)
    assert set(drawn.query[drawn.query >= 0].tolist()) == {5, 11}
    assert ((drawn.query >= 0).sum(2) == 1).all()
    with pytest.raises(TooFewClasses, match="found 0"):
        sample_episodes(ids, ways=2, shots=1, queries=1, episodes=1, seed=0, groups=ids)


def test_forgeries_and_items_without_a_class_take_no_part():
    ids = IDS.copy()
    ids[:40] = -1
    genuine = np.ones(len(ids), bool)
    genuine[40:80] = False
    drawn = sample_episodes(ids, ways=5, shots=1, queries=3, episodes=500, seed=0, genuine=genuine)
    used = np.concatenate([drawn.support.ravel(), drawn.query[drawn.query >= 0]])
    assert used.min() >= 80


def test_classes_that_cannot_take_part_are_counted():
    ids = np.concatenate([np.repeat(np.arange(6), 4), [6, 7, 8]])
    drawn = sample_episodes(ids, ways=5, shots=3, queries=5, episodes=10, seed=0)
    assert (drawn.eligible, drawn.excluded) == (6, 3)
    assert ((drawn.query >= 0).sum(2) == 1).all()
    assert sample_episodes(ids, ways=9, shots=0, queries=5, episodes=1, seed=0).eligible == 9


def test_too_few_classes_say_what_was_asked_and_found():
    with pytest.raises(TooFewClasses, match=r"^20-way 5-shot with 4 queries needs 20 classes .* found 12$") as error:
        sample_episodes(np.repeat(np.arange(12), 6), ways=20, shots=5, queries=4, episodes=1, seed=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ways": 1}, "ways must be at least 2, found 1"),
        ({"shots": -1}, "shots must be at least 0"),
        ({"queries": 0}, "queries must be at least 1"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"groups": np.zeros(3)}, "groups has 3 rows, expected 240"),
        ({"within_prefix": True}, "needs the prefix"),
        ({"sets": np.arange(240)}, "more than one set"),
    ],
)
def test_bad_settings_are_named(change, message):
    setting = {"ways": 2, "shots": 1, "queries": 1, "episodes": 1, "seed": 0} | change
    with pytest.raises(CrossModalError, match=message):
        sample_episodes(IDS, **setting)


def test_class_ids_must_be_integers():
    with pytest.raises(CrossModalError, match="integers"):
        sample_episodes(IDS.astype(np.float32), ways=2, shots=1, queries=1, episodes=1, seed=0)
