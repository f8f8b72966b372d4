"""Losses over pairs against the library's own: fed with the same pairs by `indices_tuple`, or with class labels."""

import pytest
import torch
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives import pair_term
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_loss import PairLoss
from cross_modal.objectives.pair_losses import PAIR_LOSSES

LIBRARY = [name for name, entry in PAIR_LOSSES.items() if entry.own is None]
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
LEFT, RIGHT = torch.triu_indices(6, 6, 1)


def items(n=6, dim=8, seed=0):
    rows = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1).requires_grad_()


def make(name, within="item", arguments=None, **settings):
    return PairLoss(PairObjectiveConfig(PartConfig(name, arguments or {}), compare_within=within, **settings), dim=8)


def library(name, **arguments):
    """The library's loss; the dynamic soft margin as this package has it, whose histogram is a constant of the step."""
    cls = LOSSES[name].cls if name == "DynamicSoftMarginLoss" else getattr(pml, name)
    return cls(**arguments, reducer=MeanReducer()) if LOSSES[name].mean else cls(**arguments)


@pytest.mark.parametrize("name", sorted(set(LIBRARY) - {"MarginLoss", "SignalToNoiseRatioContrastiveLoss"}))
def test_all_pairs_of_labelled_items_give_the_loss_over_labels(name):
    rows = items()
    output = make(name)(rows[LEFT], rows[RIGHT], LABELS[LEFT] == LABELS[RIGHT], LEFT, RIGHT)
    expected = library(name)(rows, LABELS)
    torch.testing.assert_close(output.loss, expected)
    ours = torch.autograd.grad(output.loss, rows)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(expected, rows)[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["MultiSimilarityLoss", "ContrastiveLoss", "TripletMarginLoss", "CircleLoss"])
def test_some_pairs_are_the_library_s_indices_tuple(name):
    """A chain of items: 0-1 same, 1-2 different, 2-3 same, 3-4 different, 0-4 different."""
    rows, same = items(5), torch.tensor([True, False, True, False, False])
    a, b = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 2, 3, 4, 4])
    p, n = same.nonzero().squeeze(1), (~same).nonzero().squeeze(1)
    tuples = torch.cat([a[p], b[p]]), torch.cat([b[p], a[p]]), torch.cat([a[n], b[n]]), torch.cat([b[n], a[n]])
    output = make(name, same_share=None)(rows[a], rows[b], same, a, b)
    expected = library(name)
    if name == "CircleLoss":  # item 4 is in no same pair; the library would count it as an anchor of loss zero
        torch.testing.assert_close(output.loss, expected(rows, indices_tuple=tuples) * 5 / 4)
    elif name == "ContrastiveLoss":
        parts = [expected(rows, indices_tuple=(*tuples[:2], a[:0], a[:0])), 0]
        parts[1] = expected(rows, indices_tuple=(a[:0], a[:0], *tuples[2:]))
        torch.testing.assert_close(output.loss, 2 * (0.4 * parts[0] + 0.6 * parts[1]))
    else:
        torch.testing.assert_close(output.loss, expected(rows, indices_tuple=tuples))


def test_contrastive_is_the_textbook_s():
    a, b = items(), items(seed=1)
    same = torch.tensor([1, 1, 0, 0, 0, 0])
    d = (a - b).norm(dim=1)
    arguments = {"pos_margin": 0, "neg_margin": 1.5}
    reducer = PartConfig("MeanReducer")
    output = make("ContrastiveLoss", "batch", arguments, reducer=reducer, same_share=None)(a, b, same)
    torch.testing.assert_close(output.loss, 2 * (same * d + (1 - same) * (1.5 - d).relu()).mean())


def test_contrastive_on_cosines_pulls_above_and_pushes_below():
    a, b, same = items(), items(seed=1), torch.tensor([1, 1, 0, 0, 0, 0])
    s = (a * b).sum(1)
    settings = {"distance": PartConfig("CosineSimilarity"), "reducer": PartConfig("MeanReducer")}
    output = make("ContrastiveLoss", "batch", {"pos_margin": 0.8, "neg_margin": -0.2}, **settings)(a, b, same)
    torch.testing.assert_close(output.loss, (0.8 - s[:2]).relu().mean() + (s[2:] + 0.2).relu().mean())


@pytest.mark.parametrize("share", [None, 0.5, 0.8])
def test_margin_is_summed_over_pairs_as_its_paper_has_it(share):
    a, b, same = items(), items(seed=1), torch.tensor([1, 1, 0, 0, 0, 0])
    sign, d = 2 * same - 1, (a - b).norm(dim=1)
    elements = (0.2 + sign * (d - 1.2)).relu()
    weights = torch.ones(6) if share is None else torch.where(same == 1, share * 6 / 2, (1 - share) * 6 / 4)
    output = make("MarginLoss", "batch", same_share=share)(a, b, same)
    torch.testing.assert_close(output.loss, (weights * elements).sum() / (elements > 0).sum())


def test_margin_learns_its_boundary():
    loss = make("MarginLoss", "batch", {"learn_beta": True, "nu": 0.1})
    loss(items(), items(seed=1), torch.tensor([1, 1, 0, 0, 0, 0])).loss.backward()
    (beta,) = loss.parameters_without_decay()
    assert beta.grad.norm() > 0


def test_a_batch_is_one_set_of_same_and_one_of_different_pairs():
    """Triplets of every same with every different pair, although no two pairs share an item."""
    a, b, same = items(), items(seed=1), torch.tensor([True, True, False, False, False, False])
    d = (a - b).norm(dim=1)
    expected = (d[:2, None] - d[None, 2:] + 0.3).relu()
    output = make("TripletMarginLoss", "batch", {"margin": 0.3})(a, b, same)
    torch.testing.assert_close(output.loss, expected[expected > 0].mean())
    circle = make("CircleLoss", "batch")(a, b, same)
    s = 1 - d**2 / 2
    low = torch.logsumexp(-80 * (1.4 - s[:2]).detach().relu() * (s[:2] - 0.6), 0)
    high = torch.logsumexp(80 * (s[2:] + 0.4).detach().relu() * (s[2:] - 0.4), 0)
    torch.testing.assert_close(circle.loss, F.softplus(low + high), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_lone_pair_of_each_verdict_counts(name):
    """The library returns 0 for at most one positive and one negative pair."""
    near = F.normalize(torch.ones(2, 8) + 0.5 * items(2).detach(), dim=1)
    a, b = torch.stack([near[0], near[0]]), torch.stack([-near[0], near[1]])
    arguments = {"pos_eps": -0.5, "neg_eps": -0.5} if name == "IntraPairVarianceLoss" else {}
    output = make(name, "batch", arguments)(a, b, torch.tensor([True, False]))
    assert output.loss > 0
    assert output.parts["kept_pairs"] == 2


def test_a_step_that_would_exhaust_memory_is_refused(monkeypatch):
    monkeypatch.setattr(pair_term, "LARGEST", 5)
    for name in ("TripletMarginLoss", "NTXentLoss", "LiftedStructureLoss", "CircleLoss"):
        with pytest.raises(CrossModalError, match=f"{name}: one step would build a table of . elements, at most 5"):
            make(name, "batch")(items(), items(seed=1), torch.tensor([1, 1, 0, 0, 0, 0]))
