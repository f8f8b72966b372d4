import time

import pytest
import torch
from open_clip.loss import SigLipLoss
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from cross_modal.configuration import MemoryConfig, ObjectiveConfig, PartConfig, TermWeights
from cross_modal.errors import CrossModalError
from cross_modal.objectives.cross_modal_loss import CrossModalLoss

ACROSS = TermWeights(1, 1, 0, 0)
IMAGE_IDS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
TEXT_IDS = torch.tensor([0, 1, 2, 3, 3, 4, 6])


def unit(n, d=16, seed=0):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1).requires_grad_()


def make(name="SupConLoss", arguments=None, terms=ACROSS, normalise=True, num_classes=8, dim=16, **parts):
    config = ObjectiveConfig(loss=PartConfig(name, arguments or {}), terms=terms, **parts)
    return CrossModalLoss(config, dim=dim, num_classes=num_classes, normalise=normalise)


def supcon(z, z_ids, w, w_ids, temperature, within=False):
    """Mean over usable anchors of the mean over positives of minus the log-softmax: written out."""
    logits, same = z @ w.T / temperature, z_ids[:, None] == w_ids[None, :]
    negative = ~same
    if within:
        same[: len(z), : len(z)].fill_diagonal_(False)
        logits = logits.masked_fill(torch.eye(*logits.shape, dtype=torch.bool), -1e30)
    usable = same.any(1) & negative.any(1)
    log_probability = torch.log_softmax(logits, 1)
    return -((log_probability * same).sum(1)[usable] / same.sum(1)[usable]).mean()


@pytest.mark.parametrize("name", ["SupConLoss", "CLIPLoss", "NTXentLoss"])
def test_unique_classes_give_clip_s_symmetric_cross_entropy(name):
    z, w, ids = unit(8), unit(8, seed=1), torch.arange(8)
    logits = z @ w.T / 0.07
    clip = (F.cross_entropy(logits, ids) + F.cross_entropy(logits.T, ids)) / 2
    torch.testing.assert_close(make(name, {"temperature": 0.07})(z, ids, w, ids).loss, clip)


@pytest.mark.parametrize("name", ["SupConLoss", "CLIPLoss"])
def test_all_four_directions_are_supcon_with_the_mean_over_positives(name):
    z, w = unit(10), unit(7, seed=1)
    weights = (1.0, 2.0, 0.5, 0.25)
    expected = (
        1.0 * supcon(z, IMAGE_IDS, w, TEXT_IDS, 0.2)
        + 2.0 * supcon(w, TEXT_IDS, z, IMAGE_IDS, 0.2)
        + 0.5 * supcon(z, IMAGE_IDS, z, IMAGE_IDS, 0.2, within=True)
        + 0.25 * supcon(w, TEXT_IDS, w, TEXT_IDS, 0.2, within=True)
    ) / sum(weights)
    output = make(name, {"temperature": 0.2}, TermWeights(*weights))(z, IMAGE_IDS, w, TEXT_IDS)
    torch.testing.assert_close(output.loss, expected)
    assert output.parts["text_to_image"] == pytest.approx(
        float(supcon(w, TEXT_IDS, z, IMAGE_IDS, 0.2).detach()), rel=1e-5
    )


def test_prompts_as_references_give_the_cross_entropy_over_prompts():
    z, prompts, classes = unit(10), unit(6, seed=1), torch.arange(6)
    output = make(arguments={"temperature": 0.1}, terms=TermWeights(1, 0, 0, 0))(z, IMAGE_IDS, prompts, classes)
    torch.testing.assert_close(output.loss, F.cross_entropy(z @ prompts.T / 0.1, IMAGE_IDS))


@pytest.mark.parametrize("within", [False, True])
def test_memory_extends_the_references_and_both_towers_learn(within):
    z, w, ids = unit(8), unit(8, seed=1), torch.arange(8) % 5
    past, past_ids = unit(20, seed=2).detach(), torch.arange(20) % 5
    terms = TermWeights(0, 0, 1, 0) if within else TermWeights(1, 0, 0, 0)
    loss = make(arguments={"temperature": 0.1}, terms=terms, memory=MemoryConfig(20, warm_up=1))
    loss.after_step(past, past_ids, past, past_ids)
    live = z if within else w
    expected = supcon(z, ids, torch.cat([live, past]), torch.cat([ids, past_ids]), 0.1, within)
    value = loss(z, ids, w, ids).loss
    torch.testing.assert_close(value, expected)
    value.backward()
    assert z.grad.norm() > 0
    assert within or w.grad.norm() > 0


def test_memory_waits_for_its_warm_up():
    z, w, ids = unit(8), unit(8, seed=1), torch.arange(8)
    loss = make(memory=MemoryConfig(32, warm_up=2))
    plain = make()(z, ids, w, ids).loss
    loss.after_step(z, ids, w, ids)
    torch.testing.assert_close(loss(z, ids, w, ids).loss, plain)
    loss.after_step(z, ids, w, ids)
    assert loss(z, ids, w, ids).loss > plain


def test_siglip_equals_open_clip_s_for_unique_classes():
    z, w, ids = unit(8), unit(8, seed=1), torch.arange(8)
    loss = make("SigLIPLoss")
    expected = SigLipLoss()(z, w, torch.tensor(10.0), torch.tensor(-10.0))
    torch.testing.assert_close(loss(z, ids, w, ids).loss, expected)
    loss(z, ids, w, ids).loss.backward()
    assert all(p.grad.abs() > 0 for p in loss.parameters())


def test_siglip_takes_every_item_of_the_class_for_a_positive():
    z, w, ids = unit(4), unit(4, seed=1), torch.tensor([0, 0, 1, 1])
    sign = torch.where(ids[:, None] == ids, 1.0, -1.0)
    expected = -F.logsigmoid(sign * (10 * z @ w.T - 10)).sum() / 4
    torch.testing.assert_close(make("SigLIPLoss")(z, ids, w, ids).loss, expected)


def test_clip_temperature_is_learned_and_capped():
    loss = make("CLIPLoss", {"temperature": 0.07})
    loss.term.loss.log_scale.data.fill_(20.0)
    output = loss(unit(8), torch.arange(8), unit(8, seed=1), torch.arange(8))
    assert output.parts["temperature"] == pytest.approx(0.01)
    assert list(loss.parameters_without_decay()) == [loss.term.loss.log_scale]
    assert not list(loss.proxy_parameters())


@pytest.mark.parametrize("terms", [TermWeights(0, 0, 1, 0), TermWeights(0, 0, 1, 1)])
def test_an_image_twin_needs_no_texts(terms):
    z = unit(10)
    output = make(terms=terms)(z, IMAGE_IDS, None, IMAGE_IDS[:0])
    torch.testing.assert_close(output.loss, supcon(z, IMAGE_IDS, z, IMAGE_IDS, 0.1, within=True))
    assert output.usable_anchors == 8


def test_within_a_modality_equals_the_library_without_references():
    z = unit(8)
    for name in ("TripletMarginLoss", "ContrastiveLoss", "MarginLoss", "NCALoss", "CircleLoss", "AngularLoss"):
        theirs = getattr(pml, name)(**({"reducer": MeanReducer()} if name in ("CircleLoss", "AngularLoss") else {}))
        ids = IMAGE_IDS[:8]
        output = make(name, terms=TermWeights(0, 0, 1, 0))(z, ids, None, ids[:0])
        torch.testing.assert_close(output.loss, theirs(z, ids), msg=name)


def test_magnitudes_reach_the_distance_when_the_twin_keeps_them():
    z, w, ids = 3 * unit(8).detach(), unit(8, seed=1).detach(), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    theirs = pml.TripletMarginLoss(distance=LpDistance(normalize_embeddings=False))
    ours = make("TripletMarginLoss", terms=TermWeights(1, 0, 0, 0), normalise=False)(z, ids, w, ids)
    torch.testing.assert_close(ours.loss, theirs(z, ids, ref_emb=w, ref_labels=ids.clone()))


def test_parts_count_anchors_pairs_and_what_the_miner_kept():
    output = make(terms=TermWeights(1, 0, 0, 0), miner=PartConfig("HDCMiner", {"filter_percentage": 0.25}))(
        unit(8), torch.arange(8) // 2, unit(8, seed=1), torch.arange(8) // 2
    )
    parts = {key: float(value) for key, value in output.parts.items()}
    assert (parts["positives"], parts["negatives"]) == (16, 48)
    assert parts["kept_positives"] <= 4
    assert parts["kept_pairs"] == parts["kept_positives"] + parts["kept_negatives"] == output.kept_pairs
    assert 0 < parts["kept_share"] <= 0.25
    triplets = make("TripletMarginLoss", miner=PartConfig("BatchHardMiner"))(
        unit(8), torch.arange(8) // 2, unit(8, seed=1), torch.arange(8) // 2
    )
    assert triplets.kept_pairs == triplets.parts["kept_triplets"] == 16


def test_no_comparison_at_all_is_a_zero_with_a_graph():
    z, w = unit(3), unit(3, seed=1)
    output = make()(z, torch.tensor([0, 1, 2]), w, torch.tensor([3, 4, 5]))
    output.loss.backward()
    assert output.loss == 0
    assert output.usable_anchors == 0
    assert not z.grad.any()
    assert "image_to_text" not in output.parts


def test_a_direction_without_pairs_does_not_dilute_the_others():
    z, w, ids = unit(8), unit(8, seed=1), torch.arange(8)
    both = make(terms=TermWeights(1, 1, 1, 0))(z, ids, w, ids).loss  # no class has two images
    torch.testing.assert_close(both, make(terms=ACROSS)(z, ids, w, ids).loss)


def test_state_round_trip_with_memory_and_proxies():
    ids = torch.arange(8)
    for name, memory in (("SupConLoss", 12), ("CosFaceLoss", 0), ("DynamicSoftMarginLoss", 12)):
        first, second = (make(name, memory=MemoryConfig(memory, warm_up=0)) for _ in range(2))
        for seed in range(3):
            rows = unit(8, seed=seed)
            first(rows, ids // 2, rows, ids // 2).loss.backward()
            first.after_step(rows, ids // 2, rows, ids // 2)
        second.load_state_dict(first.state_dict())
        z, w = unit(8, seed=8), unit(8, seed=9)
        torch.testing.assert_close(second(z, ids // 2, w, ids // 2).loss, first(z, ids // 2, w, ids // 2).loss)


def test_proxies_are_apart_from_scalars_and_nothing_is_left_out():
    for name in ("ArcFaceLoss", "SoftTripleLoss", "ProxyAnchorLoss", "ManifoldLoss", "P2SGradLoss"):
        loss = make(name)
        assert len(list(loss.proxy_parameters())) == 1
        assert not list(loss.parameters_without_decay())
    learned = make("MarginLoss", {"learn_beta": True, "nu": 0.1})
    assert len(list(learned.parameters_without_decay())) == 1
    learned(unit(10), IMAGE_IDS, unit(7, seed=1), TEXT_IDS).loss.backward()
    assert next(iter(learned.parameters())).grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ObjectiveConfig(loss=PartConfig("SupCon")), "loss 'SupCon': unknown, expected one of: SupConLoss"),
        (
            ObjectiveConfig(loss=PartConfig("SupConLoss", {"margin": 1})),
            "unknown argument 'margin'.*one of: temperature",
        ),
        (ObjectiveConfig(loss=PartConfig("SupConLoss", {"temperature": "low"})), "temperature must be a number"),
        (ObjectiveConfig(loss=PartConfig("SupConLoss", {"temperature": 0})), "above 0"),
        (ObjectiveConfig(loss=PartConfig("RankedListLoss", {"margin": 1})), "Tn is required"),
        (ObjectiveConfig(loss=PartConfig("SphereFaceLoss", {"margin": 0.5})), "whole number"),
        (ObjectiveConfig(loss=PartConfig("CircleLoss"), distance=PartConfig("LpDistance")), "own distance only"),
        (ObjectiveConfig(loss=PartConfig("PNPLoss"), miner=PartConfig("BatchHardMiner")), "cannot use a miner"),
        (ObjectiveConfig(loss=PartConfig("ArcFaceLoss"), memory=MemoryConfig(8)), "cannot use a memory"),
        (ObjectiveConfig(loss=PartConfig("NCALoss"), memory=MemoryConfig(8)), "itself in a memory"),
        (ObjectiveConfig(loss=PartConfig("VICRegLoss")), "normalise=false"),
        (ObjectiveConfig(terms=TermWeights(0, 0, 0, 0)), "one of them above 0"),
        (ObjectiveConfig(terms=TermWeights(1, -1, 0, 0)), "0 or more"),
        (ObjectiveConfig(reducer=PartConfig("Mean")), "reducer 'Mean': unknown"),
        (ObjectiveConfig(reducer=PartConfig("DivisorReducer")), "needs MarginLoss"),
        (ObjectiveConfig(distance=PartConfig("Cosine")), "distance 'Cosine': unknown"),
        (ObjectiveConfig(loss=PartConfig("CLIPLoss", {"temperature": 3})), "0.01 to 1"),
    ],
)
def test_what_cannot_train_is_one_line(config, message):
    with pytest.raises(CrossModalError, match=message) as caught:
        CrossModalLoss(config, dim=16, num_classes=8)
    assert "\n" not in str(caught.value)


def test_a_loss_for_unit_vectors_refuses_magnitudes():
    with pytest.raises(CrossModalError, match=r"set twin\.normalise=true"):
        make("AngularLoss", normalise=False)


def test_a_class_id_without_a_proxy_is_named():
    with pytest.raises(CrossModalError, match="class id 9 has no proxy, expected ids from 0 to 7"):
        make("ArcFaceLoss")(unit(2), torch.tensor([0, 9]), None, torch.empty(0, dtype=torch.long))


def test_neither_modality_is_an_error():
    empty = torch.empty(0, dtype=torch.long)
    with pytest.raises(CrossModalError, match="found neither"):
        make()(None, empty, None, empty)


def test_the_adapter_costs_little_more_than_the_formula():
    """At 192 pictures and 96 texts; generous, as the machine may be busy: the best of many is compared."""
    z, w, text_ids = unit(192, 256), unit(96, 256, seed=1), torch.arange(96)
    ids = text_ids.repeat_interleave(2)
    loss = make(terms=TermWeights(1, 1, 1, 0), num_classes=96, dim=256)

    def best(step):
        seconds = []
        for _ in range(12):
            began = time.perf_counter()
            step().backward()
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    def written_out():
        terms = supcon(z, ids, w, text_ids, 0.1), supcon(w, text_ids, z, ids, 0.1)
        return (sum(terms) + supcon(z, ids, z, ids, 0.1, within=True)) / 3

    assert best(lambda: loss(z, ids, w, text_ids).loss) - best(written_out) < 0.015
