import pytest
import torch
from torch.nn import functional as F

from cross_modal.objectives.pair_head import HEADS, DifferenceHead, PairHeadLoss, SimilarityHead

KINDS = [(kind, normalise) for kind in HEADS for normalise in (True, False)]


def rows(pairs=200, dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(pairs, dim, generator=generator), torch.randn(pairs, dim, generator=generator)


@pytest.mark.parametrize(("kind", "normalise"), KINDS)
def test_heads_are_symmetric_to_the_last_bit_and_with_any_parameters(kind, normalise):
    a, b = rows()
    head = HEADS[kind](16, normalise)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn_like(parameter))
    assert torch.equal(head(a, b), head(b, a))
    assert torch.equal(head.probability(a, b), head.probability(b, a))


@pytest.mark.parametrize(("kind", "normalise"), KINDS)
def test_an_untrained_head_calls_equal_items_same_and_random_ones_different(kind, normalise):
    a, b = rows()
    head = HEADS[kind](16, normalise)
    assert (head.probability(a, a) > 0.85).all()
    assert head.probability(a, b).mean() < 0.25


def test_the_difference_head_is_the_siamese_paper_s():
    a, b = rows()
    head = DifferenceHead(16, normalise=False)
    with torch.no_grad():
        head.weight.normal_()
    expected = (a - b).abs() @ head.weight + head.bias
    torch.testing.assert_close(head(a, b), expected)


def test_the_similarity_head_keeps_the_order_of_the_score_and_the_difference_head_does_not():
    a, b = rows()
    similarity, difference = SimilarityHead(16), DifferenceHead(16)
    with torch.no_grad():
        similarity.log_scale.fill_(-3.0)
        difference.weight.normal_()
    order = torch.argsort(F.cosine_similarity(a, b))
    assert torch.equal(torch.argsort(similarity(a, b)), order)
    assert not torch.equal(torch.argsort(difference(a, b)), order)
    assert (similarity.verify_only, difference.verify_only) == (False, True)


@pytest.mark.parametrize("kind", HEADS)
def test_the_loss_is_the_weighted_cross_entropy(kind):
    a, b = rows(4)
    same, weights = torch.tensor([1.0, 0.0, 0.0, 0.3]), torch.tensor([2.0, 1.0, 1.0, 0.0])
    loss = PairHeadLoss(kind, dim=16)
    p = loss.head.probability(a, b)
    elements = -(same * p.log() + (1 - same) * (1 - p).log())
    torch.testing.assert_close(loss(a, b, same, weights), (weights * elements).mean())


def test_the_difference_head_learns_which_dimensions_matter():
    """Same pairs agree in the first half of the dimensions; the second half is noise, which swamps the plain score."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(400, 16, generator=generator)
    b = torch.randn(400, 16, generator=generator)
    same = torch.arange(400) % 2 == 0
    b[same, :8] = a[same, :8] + 0.3 * torch.randn(200, 8, generator=generator)
    a[:, 8:], b[:, 8:] = 3 * a[:, 8:], 3 * b[:, 8:]
    loss = PairHeadLoss("difference", dim=16, normalise=False)

    def accuracy():
        return ((loss.head(a, b) > 0) == same).float().mean()

    before = accuracy()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss(a, b, same.float(), torch.ones(400)).backward()
        optimizer.step()
    assert before < 0.8
    assert accuracy() > 0.97
    assert loss.head.weight[:8].abs().mean() > 5 * loss.head.weight[8:].abs().mean()


def test_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match="head must be one of similarity, difference, found 'siamese'"):
        PairHeadLoss("siamese", dim=4)
