import math

import pytest
import torch

from cross_modal.objectives.pair_graded import CoSENTLoss, RegressionLoss

SCORES = torch.tensor([1.0, 0.2, 0.6, 0.2, 0.0])
ONES = torch.ones(5)


def rows(seed=0, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, 4, generator=generator), torch.randn(5, 4, generator=generator)


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a, b)


def test_cosent_is_its_formula():
    a, b = rows()
    s = cosine(a, b).tolist()
    total = sum(math.exp(20 * (s[j] - s[i])) for i in range(5) for j in range(5) if SCORES[i] > SCORES[j])
    assert CoSENTLoss()(a, b, SCORES, ONES).item() == pytest.approx(math.log1p(total), rel=1e-5)


def test_cosent_knows_the_order_of_the_scores_only():
    a, b = rows()
    torch.testing.assert_close(CoSENTLoss()(a, b, SCORES, ONES), CoSENTLoss()(a, b, SCORES**3 / 2, ONES))


def test_cosent_of_the_right_order_is_small_and_of_the_wrong_one_large():
    cosines = torch.tensor([0.9, 0.1, 0.5, 0.1, -0.5])
    a = torch.tensor([1.0, 0.0]).expand(5, 2)
    b = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)
    assert CoSENTLoss()(a, b, SCORES, ONES) < 0.2
    assert CoSENTLoss()(a, b, -SCORES, ONES) > 10


def test_cosent_without_an_order_is_zero_with_a_graph():
    a, b = rows()
    loss = CoSENTLoss()(a.requires_grad_(), b, ONES, ONES)
    loss.backward()
    assert loss == 0
    assert a.grad.norm() == 0


@pytest.mark.parametrize(("lowest", "mapped"), [(0.0, lambda c: c), (-1.0, lambda c: (1 + c) / 2)])
def test_regression_is_the_squared_error_of_the_mapped_cosine(lowest, mapped):
    a, b = rows()
    expected = ((mapped(cosine(a, b)) - SCORES) ** 2).mean()
    torch.testing.assert_close(RegressionLoss(lowest)(a, b, SCORES, ONES), expected)


def test_regression_of_magnitudes_maps_the_distance_to_0_to_1():
    a, b = rows()
    mapped = RegressionLoss(normalise=False).mapped(a, b)
    torch.testing.assert_close(mapped, 1 / (1 + (a - b).norm(dim=1)))
    assert RegressionLoss(normalise=False).mapped(a, a).tolist() == [1] * 5


def test_regression_weighs_pairs():
    a, b = rows()
    only_first = torch.tensor([5.0, 0, 0, 0, 0])
    expected = (cosine(a, b)[0] - 1) ** 2
    torch.testing.assert_close(RegressionLoss()(a, b, SCORES, only_first), expected)


@pytest.mark.parametrize("lowest", [1.0, -1.5])
def test_a_scale_without_width_is_refused(lowest):
    with pytest.raises(ValueError, match="lowest must be a cosine"):
        RegressionLoss(lowest)


def test_a_cosine_is_refused_where_magnitudes_count():
    with pytest.raises(ValueError, match="keeps magnitudes"):
        RegressionLoss(0.2, normalise=False)


def test_a_ranking_needs_a_scale_above_zero():
    with pytest.raises(ValueError, match="scale must be above 0, found 0"):
        CoSENTLoss(0)
