"""Identities differ as much as they do, and thresholds follow them as far as they can be trusted."""

import json

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.verification.identity_spread import IdentitySpread, identity_spread


def test_the_variances_are_found_again_from_groups_of_unequal_size() -> None:
    generator = np.random.default_rng(0)
    owners = np.repeat(np.arange(600), generator.integers(1, 12, 600))
    scores = 5 + generator.normal(0, 2, 600)[owners] + generator.normal(0, 1, len(owners))
    found = identity_spread(scores, owners)
    assert found is not None
    assert (found.mean, found.between, found.within) == pytest.approx((5, 4, 1), rel=0.12)


def test_identities_that_do_not_differ_move_no_threshold() -> None:
    found = identity_spread(np.tile([0.1, 0.9], 10), np.repeat(np.arange(10), 2))
    assert found is not None
    assert found.between == 0
    assert found.shift(np.array([0.1]), 2) == 0


def test_more_references_are_trusted_more() -> None:
    spread = IdentitySpread(mean=0.5, between=0.01, within=0.02)
    shifts = [spread.shift(np.full(count * (count - 1) // 2, 0.3), count) for count in (2, 3, 4, 40)]
    assert shifts[0] == shifts[1] > shifts[2] > shifts[3] > -0.2  # two and three references make one disjoint pair


def test_one_identity_or_single_pairs_tell_nothing() -> None:
    assert identity_spread(np.array([0.1, 0.2]), np.array([3, 3])) is None
    assert identity_spread(np.array([0.1, 0.2]), np.array([3, 7])) is None


@pytest.mark.parametrize("change", [{"between": -1.0}, {"mean": float("inf")}, {"within": "x"}])
def test_json_there_and_back_and_nothing_else(change: dict[str, object]) -> None:
    spread = IdentitySpread(0.5, 0.1, 0.2)
    assert IdentitySpread.from_dict(json.loads(json.dumps(spread.to_dict()))) == spread
    with pytest.raises(CrossModalError, match="identity spread: expected"):
        IdentitySpread.from_dict(spread.to_dict() | change)
