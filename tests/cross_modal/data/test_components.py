"""Rows that share a thing are one component."""

from cross_modal.data.components import connected_components


def test_chains_are_joined_across_columns():
    left, right = ["a", "c", "x", "b"], ["b", "d", "y", "c"]
    assert connected_components(left, right) == ["a", "a", "x", "a"]
    assert connected_components(right, left) == ["a", "a", "x", "a"]


def test_a_missing_thing_joins_nothing():
    assert connected_components(["a", None, "b"], [None, None, None]) == ["a", "", "b"]
