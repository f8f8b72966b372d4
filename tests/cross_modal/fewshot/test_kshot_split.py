"""K-shot splits nest in K and depend on seed, class and item alone."""

import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_split import KShotSplit, kshot_split, rank


def pool(classes=4, items=20, prefix="train"):
    return {f"class {label}": [f"{prefix}/{label}/{item}.png" for item in range(items)] for label in range(classes)}


def test_the_rank_is_the_published_hash():
    assert rank(3, "cat", "a/b.png") == hashlib.sha256(b"split-v1|3|cat|a/b.png").digest()


def test_support_and_validation_are_the_items_with_the_smallest_ranks():
    train, validation = pool(), pool(prefix="val")
    split = kshot_split(train, validation, 8, seed=2)
    for label in train:
        assert split.support[label] == sorted(train[label], key=lambda item: rank(2, label, item))[:8]
        assert split.validation[label] == sorted(validation[label], key=lambda item: rank(2, label, item))[:4]


@given(st.integers(1, 15), st.integers(0, 10**9), st.booleans())
def test_more_shots_contain_fewer(shots, seed, official):
    validation = pool(prefix="val") if official else None
    fewer, more = (kshot_split(pool(), validation, count, seed) for count in (shots, shots + 1))
    for label in fewer.support:
        assert more.support[label][:shots] == fewer.support[label]
        assert more.validation[label][: len(fewer.validation[label])] == fewer.validation[label]


@given(st.randoms(use_true_random=False), st.integers(0, 99))
def test_the_order_of_files_and_classes_does_not_matter(shuffler: random.Random, seed):
    train = pool()
    mixed = {label: shuffler.sample(items, len(items)) for label, items in shuffler.sample(list(train.items()), 4)}
    assert kshot_split(mixed, None, 4, seed) == kshot_split(train, None, 4, seed)
    assert kshot_split(mixed, None, 4, seed).digest == kshot_split(train, None, 4, seed).digest


def test_a_new_class_changes_no_other_and_a_new_seed_changes_all():
    one, other = kshot_split(pool(3), None, 4, 1), kshot_split(pool(4), None, 4, 1)
    assert {label: other.support[label] for label in one.support} == one.support
    assert {label: other.validation[label] for label in one.support} == one.validation
    assert all(kshot_split(pool(3), None, 4, 2).support[label] != items for label, items in one.support.items())


def test_validation_is_at_most_four_and_may_be_none():
    assert [len(kshot_split(pool(), pool(prefix="val"), k, 1).validation["class 0"]) for k in (1, 2, 16)] == [1, 2, 4]
    none = kshot_split(pool(1, 4), None, 4, 1, max_validation=0)
    assert none.validation == {"class 0": []}
    assert len(none.support["class 0"]) == 4  # nothing was held out


def test_held_out_validation_never_meets_support():
    split = kshot_split(pool(3, 10), None, 8, seed=5)
    for label, items in split.support.items():
        assert len(items) == 8
        assert len(split.validation[label]) == 2
        assert not set(items) & set(split.validation[label])


def test_a_class_with_too_few_items_is_named_or_kept():
    train = pool(2, 10) | {"rare": ["r1", "r2", "r3"]}
    with pytest.raises(CrossModalError, match=r"class 'rare': expected 4 items for 4 shots, found 3 \(--allow-fewer"):
        kshot_split(train, {}, 4, 1)
    with pytest.raises(CrossModalError, match=r"'rare'.*found 2, besides 1 held out for validation"):
        kshot_split(train, None, 4, 1)
    kept = kshot_split(train, {}, 4, 1, allow_fewer=True)
    assert kept.short == {"rare": 3}
    assert sorted(kept.support["rare"]) == ["r1", "r2", "r3"]
    with pytest.raises(CrossModalError, match=r"found 0.*2 such classes"):
        kshot_split({"a": [], "b": ["1"]}, {}, 2, 1)
    with pytest.raises(CrossModalError, match=r"class 'only val'.*found 0"):
        kshot_split(train, {"only val": ["v"]}, 1, 1)


def test_an_item_stands_on_one_side_only():
    train = pool(2, 5)
    item = train["class 0"][3]
    with pytest.raises(
        CrossModalError, match=rf"item '{item}' of class 'class 1' is in train, expected it in validation"
    ):
        kshot_split(train, {"class 1": [item]}, 1, 1)
    with pytest.raises(CrossModalError, match=rf"item '{item}'.*is in test"):
        kshot_split(train, None, 1, 1, test=[item])


def test_an_item_listed_twice_counts_once():
    assert kshot_split({"a": ["1", "2", "1"]}, {}, 2, 1).support["a"] in (["1", "2"], ["2", "1"])
    with pytest.raises(CrossModalError, match="found 2"):
        kshot_split({"a": ["1", "2", "1"]}, {}, 3, 1)


@given(st.integers(0, 99), st.booleans())
def test_support_validation_and_test_share_no_group(seed, official):
    train, test = pool(3, 12), ["t0", "t1"]
    validation = pool(3, 12, "val") if official else None
    groups = {item: f"session {place % 6}" for items in train.values() for place, item in enumerate(items)}
    groups |= {
        item: f"session {4 + place % 6}" for items in pool(3, 12, "val").values() for place, item in enumerate(items)
    }
    groups |= {"t0": "session 0", "t1": "session 9"}
    split = kshot_split(train, validation, 2, seed, groups=groups, test=test)
    of = [{groups[item] for items in side.values() for item in items} for side in (split.support, split.validation)]
    assert not of[0] & of[1]
    assert not (of[0] | of[1]) & {"session 0", "session 9"}
    assert all(map(len, split.support.values()))
    # Session 0 of train is tested; of validation 4 and 5 stand in train and 9 is tested; two items a session and class.
    assert split.dropped == 3 * 2 * (1 + 3 * official)


def test_a_split_survives_json():
    split = kshot_split(pool() | {"naïve café": ["ü.png"]}, None, 3, 1, allow_fewer=True)
    text = split.to_json()
    assert KShotSplit.from_json(text) == split
    assert KShotSplit.from_json(json.dumps(json.loads(text), indent=2)).digest == split.digest
    assert split.digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "expected JSON"),
        ("[]", "kshot-split-v1"),
        ('{"format": "kshot-split-v1", "seed": 1}', "expected seed, shots, support"),
        (
            '{"format":"kshot-split-v1","seed":1,"shots":1,"support":{"a":"b"},"validation":{},"short":{},"dropped":0}',
            "class 'a'.*list of ids",
        ),
    ],
)
def test_other_json_is_refused(text, what):
    with pytest.raises(CrossModalError, match=what):
        KShotSplit.from_json(text)


@pytest.mark.parametrize("bad", [{"shots": 0}, {"seed": -1}, {"max_validation": -1}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(CrossModalError, match="expected shots of at least 1"):
        kshot_split(pool(), None, **({"shots": 1, "seed": 1} | bad))


def test_labels_that_are_the_same_text_are_refused():
    with pytest.raises(CrossModalError, match="differ as text"):
        kshot_split({1: ["a"], "1": ["b"]}, None, 1, 1)
