"""Votes of a search: labels by their best reference, shares that sum to one, the margin to the runner-up."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.explanation.votes import votes

HITS = st.lists(st.tuples(st.floats(-1, 1, width=32), st.sampled_from(["a", "b", "c", None])), max_size=12)


def test_the_best_reference_wins_and_the_runner_up_is_another_label() -> None:
    found = votes(["a1", "a2", "b1"], [0.9, 0.85, 0.6], ["a", "a", "b"])
    assert [each.label for each in found.labels] == ["a", "b"]
    assert found.labels[0].ids == ("a1", "a2")
    assert found.margin == pytest.approx(0.3)
    assert found.agreed


def test_one_lucky_reference_is_seen_for_what_it_is() -> None:
    found = votes(["a1", *(f"b{i}" for i in range(9))], [0.9, *[0.89] * 9], ["a", *"bbbbbbbbb"])
    assert found.labels[0].label == "a"
    assert not found.agreed
    assert found.labels[1].share > 0.8


@given(HITS)
def test_shares_and_counts(hits: list[tuple[float, str | None]]) -> None:
    ids, scores, labels = [f"r{i}" for i in range(len(hits))], [s for s, _ in hits], [label for _, label in hits]
    found = votes(ids, scores, labels)
    voting = [label for label in labels if label is not None]
    assert found.unlabelled == len(hits) - len(voting)
    assert {each.label for each in found.labels} == set(voting)
    assert sorted(name for each in found.labels for name in each.ids) == sorted(
        name for name, label in zip(ids, labels, strict=True) if label is not None
    )
    if voting:
        assert sum(each.share for each in found.labels) == pytest.approx(1)
        best = [each.best for each in found.labels]
        assert best == sorted(best, reverse=True)
    json.dumps(found.to_dict())


def test_the_order_of_hits_does_not_matter() -> None:
    ids, scores, labels = ["x", "y", "z"], [0.5, 0.5, 0.4], ["b", "a", "a"]
    turned = votes(ids[::-1], scores[::-1], labels[::-1])
    assert votes(ids, scores, labels) == turned
    assert turned.labels[0].label == "a"  # equal best references: the larger share


def test_places_without_a_hit_do_not_vote() -> None:
    found = votes(np.array(["a1", None], object), np.array([0.5, -np.inf]), np.array(["a", None], object))
    assert found.labels[0].share == 1
    assert found.unlabelled == 0
    assert found.margin is None
    assert votes([], [], []).labels == ()
    assert not votes([], [], []).agreed


@pytest.mark.parametrize(("scores", "temperature"), [([0.1], 1.0), ([0.1, 0.2], 0.0), ([0.1, 0.2], float("nan"))])
def test_bad_input(scores: list[float], temperature: float) -> None:
    with pytest.raises(CrossModalError, match=r"^votes: expected"):
        votes(["a", "b"], scores, ["a", "b"], temperature)
