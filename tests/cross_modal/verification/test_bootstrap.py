"""What is resampled: labels, else groups, else what the pairs connect."""

import numpy as np
import pytest
from toys.scored_pairs import noisy_pairs

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import central, half_width, identities, owners_of, resample


def _mean(values: np.ndarray):
    return lambda weights: {"mean": (weights * values).sum(1) / weights.sum(1)}


def test_pairs_without_labels_are_owned_by_connected_groups_where_there_are_enough() -> None:
    names = [f"a{number}" for number in range(40)]
    left, right = owners_of(names, [f"b{number}" for number in range(40)])
    assert (left == right).all()
    assert len(set(left)) == 40
    left, right = owners_of(names, ["hub"] * 40)
    assert len({*left, *right}) == 41


def test_labels_come_before_groups_and_groups_before_connections() -> None:
    a, b = np.array([0, 1, 2]), np.array([1, 2, 3])
    labels, groups = ["x", "x", "y", "y"], ["g", "h", "g", "h"]
    owners = identities(a, b, labels, groups)
    assert (owners.kind, owners.a.tolist(), owners.b.tolist()) == ("label", [0, 0, 1], [0, 1, 1])
    assert identities(a, b, None, groups).kind == "group"
    assert identities(a, b, ["x", None, "y", "y"], groups).kind == "group"  # one item nobody knows
    assert identities(a, b).kind == "item"  # one chain of pairs is no sample of anything
    apart = np.arange(40)
    assert identities(apart, apart + 40).kind == "component"
    assert identities(apart, apart + 40).count == 40


def test_a_missing_label_matters_only_where_an_item_is_used() -> None:
    assert identities(np.array([0]), np.array([2]), ["x", None, "y"]).kind == "label"


def test_the_mean_of_independent_pairs_varies_as_its_standard_error_says() -> None:
    values = np.random.default_rng(0).normal(size=400)
    rows = np.arange(400)
    drawn = resample(_mean(values), None, (rows, rows), resamples=2000)["mean"]
    assert half_width(drawn) == pytest.approx(1.96 * values.std() / 20, rel=0.08)


def test_numbers_of_owners_are_names_not_amounts() -> None:
    scores, same = noisy_pairs(200, 0)
    rows = np.arange(200) // 4
    near, far = (resample(_mean(scores), same, (owner, owner))["mean"] for owner in (rows, rows * 10**12))
    assert (near == far).all()


def test_too_few_usable_resamples_give_no_interval_rather_than_a_wrong_one() -> None:
    same = np.array([True, False])
    hard = np.array([0, 1]), np.array([0, 2])  # three owners, all of whom must be drawn: two resamples in nine
    assert resample(_mean(np.zeros(2)), same, hard) == {}
    easy = np.array([0, 1]), np.array([0, 1])
    assert resample(_mean(np.zeros(2)), None, easy)["mean"].tolist() == [0] * 1000


def test_one_owner_of_everything_cannot_be_resampled() -> None:
    """He is drawn once each time, so that no number moves: an interval of width nought."""
    nobody_else = np.zeros(10, np.int64)
    assert resample(_mean(np.arange(10.0)), np.arange(10) < 5, (nobody_else, nobody_else)) == {}


def test_weights_are_those_of_the_table_written_out() -> None:
    """A pair of one owner stands in it as often as he was drawn; one of two as often as their draws multiplied."""
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 6, 40), generator.integers(0, 6, 40)
    values = generator.normal(size=40)
    found = resample(_mean(values), None, (a, b), resamples=50, seed=5)["mean"]
    draws = np.random.default_rng(5).multinomial(6, np.full(6, 1 / 6), 50).tolist()
    written_out = [
        np.mean(
            [
                value
                for value, left, right in zip(values, a, b, strict=True)
                for _ in range(times[left] if left == right else times[left] * times[right])
            ]
        )
        for times in draws
    ]
    assert found == pytest.approx(written_out)


def test_bad_input_is_named() -> None:
    with pytest.raises(CrossModalError, match="at least 1 resample, found 0"):
        resample(_mean(np.zeros(2)), None, (np.arange(2), np.arange(2)), resamples=0)
    with pytest.raises(CrossModalError, match=r"found \(2,\), \(3,\)"):
        resample(_mean(np.zeros(2)), None, (np.arange(2), np.arange(3)))


def test_numbers_that_are_missing_widen_nothing() -> None:
    assert central(np.array([1.0, np.nan, 1.0])) == (1.0, 1.0)
