import math
import time

import pytest
import torch
from torch.nn import functional as F

from cross_modal.objectives.gauges import alignment, effective_rank, embedding_gauges, modality_gap, spread, uniformity


def unit(n=600, d=64, rank=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d if rank is None else rank, generator=generator)
    if rank is not None:
        rows = rows @ torch.linalg.qr(torch.randn(d, rank, generator=generator))[0].T
    return F.normalize(rows, dim=1)


def test_healthy_embeddings():
    rows = unit()
    assert spread(rows) == pytest.approx(1.0, abs=0.03)
    assert effective_rank(rows) > 58
    assert uniformity(rows) == pytest.approx(-3.9, abs=0.1)


def test_a_full_collapse_shows_in_spread_and_uniformity_but_not_in_rank():
    rows = F.normalize(torch.ones(600, 64) + 0.01 * torch.randn(600, 64), dim=1)
    assert spread(rows) < 0.05
    assert uniformity(rows) > -0.05
    assert effective_rank(rows) > 50
    assert effective_rank(torch.ones(5, 4)) == 0


def test_a_collapse_onto_few_dimensions_shows_in_rank_but_not_in_spread():
    rows = unit(rank=8)
    assert effective_rank(rows) == pytest.approx(8, abs=0.1)
    assert spread(rows) > 0.7


@pytest.mark.parametrize("shape", [(50, 20), (20, 50)])
def test_effective_rank_is_that_of_the_singular_values(shape):
    rows = F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(1)), dim=1)
    values = torch.linalg.svdvals((rows - rows.mean(0)).double())
    share = values[values > 1e-6] / values.sum()
    assert effective_rank(rows) == pytest.approx(math.exp(-(share * share.log()).sum()), rel=1e-3)


def test_uniformity_is_the_mean_over_pairs():
    rows = unit(20, 8)
    squared = torch.pdist(rows).square()
    assert uniformity(rows) == pytest.approx(float((-2 * squared).exp().mean().log()), rel=1e-4)


def test_alignment_and_gap_of_two_modalities():
    rows = unit()
    assert alignment(rows, rows) == pytest.approx(0, abs=1e-6)
    assert alignment(rows, unit(seed=1)) == pytest.approx(2, abs=0.1)
    assert modality_gap(rows, unit(seed=1)) < 0.15
    apart = torch.eye(64)[:1]
    assert modality_gap(F.normalize(rows / 8 + apart, dim=1), F.normalize(rows / 8 - apart, dim=1)) > 1.7


def test_all_gauges_have_their_names():
    image, text = 3 * unit(30, 8), unit(10, 8, seed=1)
    found = embedding_gauges(image, text, torch.arange(30) % 10, torch.arange(10))
    assert found["health/effective_rank"] == min(
        found["health/image/effective_rank"], found["health/text/effective_rank"]
    )
    assert {"health/spread", "health/uniformity", "health/modality_gap", "health/alignment"} <= found.keys()
    assert found["health/image/spread"] == pytest.approx(spread(image / 3))
    assert "health/modality_gap" not in embedding_gauges(image, None)
    assert embedding_gauges(None, None) == {}
    assert embedding_gauges(image[:1], None) == {}


def test_gauges_cost_little_on_a_thousand_rows():
    rows = unit(1000, 256)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        effective_rank(rows), spread(rows), uniformity(rows), modality_gap(rows, rows), alignment(rows, rows)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05
