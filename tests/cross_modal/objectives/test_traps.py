"""One test a silent failure of two towers with pytorch-metric-learning (reference/metric_learning.md, section 4).

Each shows what the naive use does, then that the adapter cannot do it.
"""

import pytest
import torch
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.reducers import MeanReducer, PerAnchorReducer
from torch.nn import functional as F

from cross_modal.configuration import MemoryConfig, ObjectiveConfig, PartConfig, TermWeights
from cross_modal.errors import CrossModalError
from cross_modal.objectives import reference_term
from cross_modal.objectives.cross_modal_loss import CrossModalLoss

ACROSS = TermWeights(1, 1, 0, 0)
ONE_WAY = TermWeights(1, 0, 0, 0)
REPEATED = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])


def unit(n=8, d=16, seed=0):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1).requires_grad_()


def make(name, arguments=None, terms=ACROSS, normalise=True, num_classes=8, dim=16, **parts):
    config = ObjectiveConfig(loss=PartConfig(name, arguments or {}), terms=terms, **parts)
    return CrossModalLoss(config, dim=dim, num_classes=num_classes, normalise=normalise)


def cross_entropy(z, w, temperature):
    return F.cross_entropy(z @ w.T / temperature, torch.arange(len(z)))


def test_trap_01_labels_of_both_towers_may_be_one_object():
    z, w, ids = unit(), unit(seed=1), torch.arange(8)
    assert pml.SupConLoss(0.07)(z, ids, ref_emb=w, ref_labels=ids) == 0
    ours = make("SupConLoss", {"temperature": 0.07}, ONE_WAY)(z, ids, w, ids).loss
    torch.testing.assert_close(ours, cross_entropy(z, w, 0.07))


@pytest.mark.parametrize("name", ["MultiSimilarityLoss", "TripletMarginLoss", "NTXentLoss", "CircleLoss", "NCALoss"])
def test_trap_01_the_value_does_not_depend_on_label_identity(name):
    z, w = unit(), unit(seed=1)
    loss = make(name)
    torch.testing.assert_close(loss(z, REPEATED, w, REPEATED).loss, loss(z, REPEATED, w, REPEATED.clone()).loss)


def test_trap_02_references_never_come_without_labels():
    z, w, ids = unit(), unit(seed=1), torch.arange(8)
    assert pml.TripletMarginLoss()(z, ids, ref_emb=w, ref_labels=ids) == 0  # the same object again
    with pytest.raises(CrossModalError, match="8 text embeddings with 5 class ids"):
        make("SupConLoss")(z, ids, w, ids[:5])


def test_trap_03_threshold_consistent_margin_ignores_references():
    z, w, ids = unit(), unit(seed=1), REPEATED
    pml.ThresholdConsistentMarginLoss()(z, ids, ref_emb=w, ref_labels=ids.clone()).backward()
    assert w.grad is None
    with pytest.raises(CrossModalError, match="ignores them"):
        make("ThresholdConsistentMarginLoss")


@pytest.mark.parametrize("name", ["DistributedLossWrapper", "MultipleLosses", "SelfSupervisedLoss", "CrossBatchMemory"])
def test_traps_04_to_08_and_22_the_library_s_wrappers_are_out_of_reach(name):
    with pytest.raises(CrossModalError, match=name):
        make(name)


@pytest.mark.parametrize("name", ["NTXentLoss", "TupletMarginLoss", "LiftedStructureLoss"])
def test_trap_09_cubic_memory_is_refused_before_it_is_taken(name, monkeypatch):
    monkeypatch.setattr(reference_term, "LARGEST", 100)
    with pytest.raises(CrossModalError, match="use SupConLoss"):
        make(name)(unit(), REPEATED, unit(seed=1), REPEATED)


def test_trap_09_all_triplets_are_refused_before_they_are_listed(monkeypatch):
    monkeypatch.setattr(reference_term, "LARGEST", 100)
    with pytest.raises(CrossModalError, match="triplets_per_anchor"):
        make("TripletMarginLoss")(unit(), REPEATED, unit(seed=1), REPEATED)
    assert make("TripletMarginLoss", {"triplets_per_anchor": 5})(unit(), REPEATED, unit(seed=1), REPEATED).loss > 0


def test_trap_10_ntxent_saturates_where_supcon_does_not():
    ids, z = torch.arange(2), torch.eye(2, 16).requires_grad_()
    w = torch.stack([-z[0].detach(), z[0].detach()])  # the true text is opposite, a wrong one equal
    naive = pml.NTXentLoss(0.01)(z[:1], ids[:1], ref_emb=w, ref_labels=ids)
    (gradient,) = torch.autograd.grad(naive, z)
    assert naive < 90
    assert not gradient.any()
    with pytest.raises(CrossModalError, match=r"below 0\.03"):
        make("NTXentLoss", {"temperature": 0.01})
    ours = make("SupConLoss", {"temperature": 0.01}, ONE_WAY)(z[:1], ids[:1], w, ids)
    assert ours.usable_anchors == 0 or ours.loss > 199  # a lone pair has nothing to be compared with
    w = torch.cat([w, torch.eye(2, 16)[1:]])
    assert make("SupConLoss", {"temperature": 0.01}, ONE_WAY)(z[:1], ids[:1], w, torch.arange(3)).loss > 199


def test_trap_11_exact_zeros_are_part_of_the_mean():
    z = torch.eye(8, 16)
    w = z.clone()
    w[:2] = z[:2].flip(0)
    ids = torch.arange(8)
    true = cross_entropy(z, w, 0.01)
    naive = pml.SupConLoss(0.01)(z, ids, ref_emb=w, ref_labels=ids.clone())
    assert naive > 1.5 * true
    torch.testing.assert_close(make("SupConLoss", {"temperature": 0.01}, ONE_WAY)(z, ids, w, ids).loss, true)
    with pytest.raises(CrossModalError, match="AvgNonZeroReducer drops"):
        make("SupConLoss", reducer=PartConfig("AvgNonZeroReducer"))


def test_trap_12_anchors_without_a_positive_do_not_dilute_the_mean():
    z, w = unit(), unit(seed=1)
    ids, text_ids = torch.arange(8), torch.tensor([0, 1, 2, 3, 10, 11, 12, 13])
    true = F.cross_entropy(z[:4] @ w.T / 0.1, torch.arange(4))
    naive = pml.SupConLoss(0.1, reducer=MeanReducer())(z, ids, ref_emb=w, ref_labels=text_ids)
    torch.testing.assert_close(naive, true / 2)
    output = make("SupConLoss", {"temperature": 0.1}, ONE_WAY)(z, ids, w, text_ids)
    torch.testing.assert_close(output.loss, true)
    assert output.usable_anchors == 4


def test_trap_12_nor_do_anchors_whose_positives_the_miner_dropped():
    z, w, ids = unit(), unit(seed=1), torch.arange(8)
    output = make(
        "SupConLoss", terms=ONE_WAY, miner=PartConfig("PairMarginMiner", {"pos_margin": 0.1, "neg_margin": -1})
    )(z, ids, w, ids)
    kept = (z * w).sum(1) < 0.1
    assert 0 < int(kept.sum()) < 8
    torch.testing.assert_close(output.loss, F.cross_entropy(z @ w.T / 0.1, ids, reduction="none")[kept].mean())
    assert output.usable_anchors == int(kept.sum())


def test_trap_13_a_lone_pair_counts_as_nothing_and_says_so():
    z, w = unit(1), unit(2, seed=1)
    ids, text_ids = torch.tensor([0]), torch.tensor([0, 1])
    assert pml.ContrastiveLoss()(z, ids, ref_emb=w, ref_labels=text_ids) == 0
    output = make("ContrastiveLoss", terms=ONE_WAY)(z, ids, w, text_ids)
    assert output.usable_anchors == 0
    assert output.parts["usable_anchors"] == 0


@pytest.mark.parametrize("name", ["TripletMarginLoss", "ContrastiveLoss", "SupConLoss", "ArcFaceLoss"])
def test_trap_14_both_towers_stay_in_the_graph_of_a_zero_loss(name):
    z, w, ids = unit(), unit(seed=1), torch.arange(8)
    pml.TripletMarginLoss()(z, ids, ref_emb=w, ref_labels=ids + 10).backward()
    assert w.grad is None
    z.grad = None
    loss = make(name, miner=PartConfig("BatchHardMiner"))
    loss(z, torch.zeros(8, dtype=torch.long), w, torch.zeros(8, dtype=torch.long)).loss.backward()
    assert z.grad is not None
    assert w.grad is not None
    assert all(p.grad is not None for p in loss.parameters())


def test_trap_15_an_empty_miner_skips_the_step_of_a_class_loss():
    z, ids = unit(), REPEATED
    empty = (torch.empty(0, dtype=torch.long),) * 4
    naive = pml.CosFaceLoss(num_classes=8, embedding_size=16)
    assert naive(z, ids, empty) == naive(z, ids)
    nothing = PartConfig("PairMarginMiner", {"pos_margin": -0.999, "neg_margin": -1.0})
    loss = make("CosFaceLoss", miner=PartConfig("TripletMarginMiner", {"margin": -9.0}))
    output = loss(z, ids, unit(seed=1), ids)
    assert output.loss == 0
    assert output.kept_pairs == 0
    assert output.usable_anchors == 0
    # pairs, too: every cosine lies above -1, so all negatives are kept, and no positive
    output = make("SupConLoss", miner=nothing)(z, ids, unit(seed=1), ids)
    assert output.loss == 0
    assert output.usable_anchors == 0
    assert output.parts["kept_positives"] == 0


def test_trap_16_swap_reads_the_wrong_rows():
    z, w = unit(4), unit(8, seed=1)
    with pytest.raises(IndexError):
        pml.TripletMarginLoss(swap=True)(z, torch.arange(4), ref_emb=w, ref_labels=torch.arange(8).flip(0))
    with pytest.raises(CrossModalError, match="swap=true is refused"):
        make("TripletMarginLoss", {"swap": True})


def test_trap_17_per_anchor_reducer_assumes_square():
    z, w = unit(4), unit(8, seed=1)
    with pytest.raises(IndexError):
        pml.ContrastiveLoss(reducer=PerAnchorReducer())(z, torch.arange(4), ref_emb=w, ref_labels=torch.arange(8))
    with pytest.raises(CrossModalError, match="PerAnchorReducer: refused"):
        make("ContrastiveLoss", reducer=PartConfig("PerAnchorReducer"))


@pytest.mark.parametrize(
    "name", ["TupletMarginLoss", "SupConLoss", "AngularLoss", "HistogramLoss", "LiftedStructureLoss"]
)
def test_trap_18_coincident_vectors_give_finite_gradients(name):
    z = (1.0000001 * torch.eye(8, 16)).requires_grad_()
    w = z.detach().clone().requires_grad_()
    ids = torch.arange(8)
    if name == "TupletMarginLoss":
        pml.TupletMarginLoss()(z, ids, ref_emb=w, ref_labels=ids.clone()).backward()
        assert not z.grad.isfinite().all()
        z.grad = w.grad = None
    make(name)(z, ids, w, ids).loss.backward()
    assert z.grad.isfinite().all()
    assert w.grad.isfinite().all()


def test_trap_18_nor_do_embeddings_equal_to_a_class_weight():
    """The naive gradient is NaN up to torch 2.13, whose clamp still had a slope at its border; 2.15 gives none."""
    z, ids = torch.eye(8, 16).requires_grad_(), torch.arange(8)
    loss = make("ArcFaceLoss", {"scale": 1})
    loss.term.loss.W.data = torch.eye(8, 16).T.clone()
    loss(z, ids, None, ids[:0]).loss.backward()
    assert z.grad.isfinite().all()


def test_trap_19_contrastive_margins_follow_the_distance():
    z, w, ids = unit(), unit(seed=1), torch.arange(8)
    cosine = pml.ContrastiveLoss(distance=CosineSimilarity())
    assert cosine(z.abs(), ids, ref_emb=w.abs(), ref_labels=ids.clone()) == 0
    with pytest.raises(CrossModalError, match="pos_margin must be larger"):
        make("ContrastiveLoss", distance=PartConfig("CosineSimilarity"))
    with pytest.raises(CrossModalError, match="pos_margin must be smaller"):
        make("ContrastiveLoss", {"pos_margin": 1.0, "neg_margin": 0.5})
    good = make("ContrastiveLoss", {"pos_margin": 0.8, "neg_margin": 0.1}, distance=PartConfig("CosineSimilarity"))
    assert good(z, ids, w, ids).loss > 0


def test_trap_20_margin_s_beta_follows_the_distance():
    z, w, ids = unit(), unit(seed=1), torch.arange(8)
    naive = pml.MarginLoss(distance=CosineSimilarity())  # beta 1.2: no negative is ever active
    _, negatives = z.detach() @ w.detach().T, 1.2 - 0.2
    assert (z @ w.T).max() < negatives
    assert naive(z, ids, ref_emb=w, ref_labels=ids.clone()) > 0
    with pytest.raises(CrossModalError, match=r"beta=1\.2 with CosineSimilarity"):
        make("MarginLoss", distance=PartConfig("CosineSimilarity"))
    with pytest.raises(CrossModalError, match="0 to 2"):
        make("MarginLoss", {"beta": 3.0})
    assert make("MarginLoss", {"beta": 0.3}, distance=PartConfig("CosineSimilarity"))(z, ids, w, ids).loss > 0


def test_trap_21_the_loss_sees_the_miner_s_references():
    z, w, ids = unit(), unit(seed=1), REPEATED
    distance = CosineSimilarity()
    mined = pml_miners.MultiSimilarityMiner(distance=distance)(z, ids, w, ids.clone())
    loss = pml.MultiSimilarityLoss(distance=distance)
    true = loss(z, ids, mined, ref_emb=w, ref_labels=ids.clone())
    assert not torch.isclose(loss(z, ids, mined), true)
    ours = make("MultiSimilarityLoss", terms=ONE_WAY, miner=PartConfig("MultiSimilarityMiner"))
    torch.testing.assert_close(ours(z, ids, w, ids).loss, true)
    assert ours.term.miner.distance is ours.term.loss.distance


def test_trap_23_the_loss_is_float32_under_bf16_autocast():
    z, w, ids = unit().detach().bfloat16(), unit(seed=1).detach().bfloat16(), REPEATED
    with pytest.raises(RuntimeError):
        pml.TripletMarginLoss()(z, ids, ref_emb=w, ref_labels=ids.clone())
    loss = make("TripletMarginLoss")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = loss(z, ids, w.float(), ids)
    assert output.loss.dtype == torch.float32
    torch.testing.assert_close(output.loss, loss(z, ids, w, ids).loss)


def test_trap_24_class_weights_keep_float32():
    z, ids = unit().detach().bfloat16(), REPEATED
    naive = pml.NormalizedSoftmaxLoss(num_classes=8, embedding_size=16)
    naive(z, ids)
    assert naive.W.dtype == torch.bfloat16
    loss = make("NormalizedSoftmaxLoss").bfloat16()
    loss(z, ids, z, ids).loss.backward()
    assert [p.dtype for p in loss.parameters()] == [torch.float32]


def test_trap_26_the_active_fraction_shows_what_the_mean_hides():
    z, w, ids = torch.eye(8, 16), torch.eye(8, 16), torch.arange(8)
    w[:2] = w[:2].flip(0).clone()
    output = make("TripletMarginLoss")(z, ids, w, ids)
    naive = pml.TripletMarginLoss()(z, ids, ref_emb=w, ref_labels=ids.clone())
    torch.testing.assert_close(output.loss, naive)
    assert naive > 0.2  # the mean of the violated triplets alone; that they are few it does not tell
    assert 0 < output.active_fraction < 0.3


def test_memory_keeps_the_gradient_of_both_towers_where_the_library_s_does_not():
    z, w = unit(), unit(seed=1)
    ids = torch.arange(8)
    memory = pml.CrossBatchMemory(pml.SupConLoss(0.07), embedding_size=16, memory_size=32)
    memory.add_to_memory(w.detach(), ids, 8)
    memory(z, ids).backward()
    assert w.grad is None
    z.grad = None
    loss = make("SupConLoss", {"temperature": 0.07}, memory=MemoryConfig(32, warm_up=0))
    loss.after_step(z, ids + 8, w, ids + 8)
    loss(z, ids, w, ids).loss.backward()
    assert z.grad.norm() > 0
    assert w.grad.norm() > 0
