import pytest
import torch
from pytorch_metric_learning import losses as pml
from torch.nn import functional as F

from cross_modal.configuration import ObjectiveConfig, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives import together_term
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.together_term import cross_pairs, representatives_first, same_size_classes

IDS = torch.tensor([2, 0, 1, 0, 2, 1, 0, 1, 2, 3])
TEXT = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1]).bool()


def make(name, arguments=None, num_classes=4):
    return CrossModalLoss(ObjectiveConfig(PartConfig(name, arguments or {})), 16, num_classes)


def batch(seed=0):
    rows = F.normalize(torch.randn(10, 16, generator=torch.Generator().manual_seed(seed)), dim=1)
    return rows[:6], IDS[:6], rows[6:], IDS[6:]


def test_one_proxy_serves_both_modalities():
    loss, (image, image_ids, text, text_ids) = make("CosFaceLoss"), batch()
    theirs = pml.CosFaceLoss(num_classes=4, embedding_size=16)
    theirs.W.data = loss.term.loss.W.data.clone()
    expected = theirs(torch.cat([image, text]), torch.cat([image_ids, text_ids]))
    torch.testing.assert_close(loss(image, image_ids, text, text_ids).loss, expected)


def test_smooth_ap_gets_classes_of_one_size_in_order():
    order = same_size_classes(IDS, TEXT)
    assert IDS[order].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert TEXT[order].view(3, 3).any(1).all()
    uneven = torch.cat([IDS, torch.tensor([0, 3])])
    order = same_size_classes(uneven, torch.cat([TEXT, torch.tensor([True, False])]))
    assert uneven[order].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(same_size_classes(torch.arange(3), torch.zeros(3, dtype=torch.bool))) == 0


def test_smooth_ap_does_not_depend_on_the_order_of_rows():
    image, image_ids, text, text_ids = batch()
    loss, turned = make("SmoothAPLoss"), torch.tensor([5, 2, 0, 1, 4, 3])
    value = loss(image, image_ids, text, text_ids).loss
    torch.testing.assert_close(loss(image[turned], image_ids[turned], text, text_ids).loss, value)
    naive = pml.SmoothAPLoss()
    rows, ids = torch.cat([image, text])[:9], IDS[:9]
    assert not torch.isclose(naive(rows, ids), value)


def test_instance_loss_finds_each_class_in_its_column():
    order = representatives_first(IDS)
    assert IDS[order][:4].tolist() == [0, 1, 2, 3]
    assert sorted(order.tolist()) == list(range(10))


def test_n_pairs_cross_the_modalities():
    a, p, *_ = cross_pairs(IDS, TEXT)
    assert not TEXT[a].any()
    assert TEXT[p].all()
    assert torch.equal(IDS[a], IDS[p])
    image, text = (rows.requires_grad_() for rows in batch()[::2])
    naive = pml.NPairsLoss()
    naive(torch.cat([image, text]), IDS).backward()
    assert not text.grad.any()  # the first pair of each class is two pictures
    make("NPairsLoss")(image, IDS[:6], text, IDS[6:]).loss.backward()
    assert text.grad.norm() > 0


def test_manifold_s_proxies_follow_the_labels():
    loss, (image, image_ids, text, text_ids) = make("ManifoldLoss"), batch()
    values = {loss(image, image_ids, text, text_ids).loss.item() for _ in range(3)}
    assert len(values) == 1  # the library draws the proxy of each item at random


def test_histogram_loss_is_the_probability_of_a_wrong_order():
    image, image_ids, text, text_ids = batch()
    value = make("HistogramLoss", {"n_bins": 2000})(image, image_ids, text, text_ids).loss
    cosine = torch.cat([image, text]) @ torch.cat([image, text]).T
    upper = torch.triu(torch.ones(10, 10), 1).bool()
    same = IDS[:, None] == IDS
    positive, negative = cosine[same & upper], cosine[~same & upper]
    wrong = (negative[:, None] > positive[None, :]).float().mean()
    assert float(value) == pytest.approx(float(wrong), abs=0.02)


def test_cubic_batch_losses_are_guarded(monkeypatch):
    monkeypatch.setattr(together_term, "LARGEST", 100)
    with pytest.raises(CrossModalError, match=r"make batch\.classes smaller"):
        make("PNPLoss")(*batch())


def test_a_batch_without_pairs_is_skipped():
    image = batch()[0].clone().requires_grad_()
    output = make("SmoothAPLoss", num_classes=9)(image, torch.arange(6), None, IDS[:0])
    output.loss.backward()
    assert output.usable_anchors == 0
    assert not image.grad.any()
