"""A fifth of each class is held out, whole groups at a time, and no class is emptied by it."""

from hypothesis import given
from hypothesis import strategies as st

from cross_modal.fewshot.validation_holdout import hold_out, validation_rank


def pool(sizes):
    return {f"class {index}": [f"{index}/{item}" for item in range(size)] for index, size in enumerate(sizes)}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(0, 99))
def test_each_class_gives_a_fifth_at_least_one_and_never_its_last(sizes, seed):
    train = pool(sizes)
    left, held = hold_out(train, seed)
    for label, size in zip(train, sizes, strict=True):
        expected = 0 if size < 2 else max(1, round(0.2 * size))
        assert len(held[label]) == expected
        assert sorted(left[label] + held[label]) == sorted(train[label])


def test_the_held_out_are_those_with_the_smallest_ranks():
    train = pool([10])
    _, held = hold_out(train, seed=4)
    ranked = sorted(train["class 0"], key=lambda item: validation_rank(4, f"item:{item}"))
    assert set(held["class 0"]) == set(ranked[:2])


@given(st.integers(0, 999))
def test_other_classes_do_not_matter(seed):
    few, many = pool([9, 5]), pool([9, 5, 12, 3])
    assert hold_out(few, seed)[1]["class 0"] == hold_out(many, seed)[1]["class 0"]


@given(
    st.dictionaries(
        st.sampled_from("ABCDE"), st.lists(st.integers(0, 5), min_size=1, max_size=12), min_size=1, max_size=5
    ),
    st.integers(0, 99),
)
def test_no_group_stands_on_both_sides_and_every_class_keeps_something(drawers, seed):
    train = {label: [f"{label}{place}" for place in range(len(who))] for label, who in drawers.items()}
    groups = {f"{label}{place}": f"drawer {one}" for label, who in drawers.items() for place, one in enumerate(who)}
    left, held = hold_out(train, seed, groups)
    of = [{groups[item] for items in side.values() for item in items} for side in (left, held)]
    assert not of[0] & of[1]
    assert all(left.values())
    assert sum(map(len, left.values())) + sum(map(len, held.values())) == len(groups)


def test_classes_drawn_by_the_same_people_lose_the_same_people():
    train = {label: [f"{label}{person}" for person in range(20)] for label in "AB"}
    groups = {f"{label}{person}": f"person {person}" for label in "AB" for person in range(20)}
    held = hold_out(train, 1, groups)[1]
    assert {item[1:] for item in held["A"]} == {item[1:] for item in held["B"]}
    assert len(held["A"]) == 4


def test_an_item_of_two_classes_is_on_one_side_in_both():
    train = {"A": ["x", "a1", "a2"], "B": ["x", "b1", "b2"]}
    for seed in range(20):
        left, held = hold_out(train, seed)
        assert ("x" in held["A"]) == ("x" in held["B"])
        assert all(left.values())
