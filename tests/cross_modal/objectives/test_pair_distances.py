import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance

from cross_modal.configuration import PartConfig
from cross_modal.objectives.distances import DISTANCES, BoundedCosine, build_distance
from cross_modal.objectives.pair_distances import PairTable, pair_distances, pair_similarity

KINDS = [*DISTANCES, "BoundedCosine"]


def build(name, normalise=True):
    return BoundedCosine() if name == "BoundedCosine" else build_distance(PartConfig(name), normalise)


def rows(pairs=9, dim=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(pairs, dim, generator=generator), torch.randn(pairs, dim, generator=generator)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, deadline=None)
@given(pairs=st.integers(1, 40), dim=st.integers(2, 33), seed=st.integers(0, 1000))
def test_order_does_not_matter_to_the_last_bit(name, normalise, pairs, dim, seed):
    a, b = rows(pairs, dim, seed)
    distance = build(name, normalise)
    assert torch.equal(pair_distances(distance, a, b), pair_distances(distance, b, a))
    assert torch.equal(pair_similarity(a, b, normalise), pair_similarity(b, a, normalise))


@pytest.mark.parametrize("name", ["CosineSimilarity", "LpDistance", "DotProductSimilarity", "BoundedCosine"])
def test_they_are_the_diagonal_of_the_library_s_matrix(name):
    a, b = rows()
    distance = build(name)
    torch.testing.assert_close(pair_distances(distance, a, b), distance(a, b).diagonal())


def test_the_signal_to_noise_distance_is_the_mean_of_both_directions():
    a, b = rows()
    distance = build("SNRDistance", normalise=False)
    both = (distance(a, b).diagonal() + distance(b, a).diagonal()) / 2
    torch.testing.assert_close(pair_distances(distance, a, b), both)


def test_power_and_order_are_the_distance_s_own():
    a, b = rows()
    distance = LpDistance(p=1, power=2, normalize_embeddings=False)
    torch.testing.assert_close(pair_distances(distance, a, b), (a - b).abs().sum(1) ** 2)


@pytest.mark.parametrize("name", KINDS)
def test_equal_items_have_a_finite_gradient(name):
    a = torch.randn(4, 6, requires_grad=True)
    pair_distances(build(name), a, a.detach().clone()).sum().backward()
    assert a.grad.isfinite().all()


def test_without_normalisation_the_score_is_minus_the_distance():
    a, b = rows()
    torch.testing.assert_close(pair_similarity(a, b, normalise=False), -(a - b).norm(dim=1))


def test_every_anchor_of_a_table_sees_the_same_pairs_in_a_matrix_of_its_own():
    distances = torch.tensor([0.1, 0.7, 0.4])
    table = PairTable(LpDistance())(torch.zeros(2, 1), distances[:, None])
    table[0, 0] = 9
    assert distances[0] == pytest.approx(0.1)
    torch.testing.assert_close(table[1], distances)


@pytest.mark.parametrize("name", KINDS)
def test_a_table_keeps_the_direction(name):
    distance = build(name)
    assert PairTable(distance).is_inverted == distance.is_inverted


def test_a_table_without_pairs_is_an_error():
    with pytest.raises(ValueError, match="needs the pairs as references"):
        PairTable(LpDistance())(torch.zeros(2, 1))
