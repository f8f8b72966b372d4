import pytest
import torch

from cross_modal.configuration import ObjectiveConfig, PartConfig, TermWeights
from cross_modal.errors import CrossModalError
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.losses import FORBIDDEN, LOSSES, find_loss

IMAGE_IDS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
TEXT_IDS = torch.tensor([0, 1, 2, 3, 3, 4, 6])
REQUIRED = {"RankedListLoss": {"margin": 0.4, "Tn": 2.0}}
COSINE_TOO = ["SupConLoss", "MultiSimilarityLoss", "TripletMarginLoss", "GeneralizedLiftedStructureLoss"]


def run(name, terms, distance=None, normalise=True, arguments=None):
    torch.manual_seed(0)
    config = ObjectiveConfig(loss=PartConfig(name, arguments or REQUIRED.get(name, {})), terms=terms, distance=distance)
    loss = CrossModalLoss(config, dim=8, num_classes=7, normalise=normalise)
    image, text = torch.randn(10, 8, requires_grad=True), torch.randn(7, 8, requires_grad=True)
    for _ in range(2):  # twice: some losses keep the graph of the step before
        output = loss(image, IMAGE_IDS, text, TEXT_IDS)
        output.loss.backward()
    return loss, output, image.grad, text.grad


@pytest.mark.parametrize("terms", [TermWeights(1, 1, 1, 1), TermWeights(1, 1, 0, 0)], ids=["all", "across"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_finite_and_reaches_both_towers(name, terms):
    loss, output, image, text = run(name, terms, normalise=name != "VICRegLoss")
    assert output.loss.isfinite()
    assert output.loss > 0
    assert output.loss.ndim == 0
    assert output.usable_anchors > 0
    for gradient in (image, text, *(p.grad for p in loss.parameters() if p.requires_grad)):
        assert gradient.isfinite().all()
        assert gradient.norm() > 0


@pytest.mark.parametrize("distance", ["CosineSimilarity", "LpDistance", "DotProductSimilarity", "SNRDistance"])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("name", COSINE_TOO)
def test_losses_with_a_free_distance_take_all_four(name, distance, normalise):
    similar = name.startswith("Generalized") and distance in ("CosineSimilarity", "DotProductSimilarity")
    arguments = {"pos_margin": 1, "neg_margin": 0} if similar else None
    _, output, image, text = run(name, TermWeights(1, 1, 1, 0), PartConfig(distance), normalise, arguments)
    assert output.loss.isfinite()
    assert image.norm() > 0
    assert text.norm() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_names_its_legal_arguments(name):
    with pytest.raises(CrossModalError, match=f"{name}: unknown argument 'nonsense', expected one of: "):
        CrossModalLoss(ObjectiveConfig(loss=PartConfig(name, {"nonsense": 1})), 8, 7, normalise=name != "VICRegLoss")


def test_sixteen_losses_take_references():
    assert sum(entry.family == "reference" for entry in LOSSES.values()) == 16


@pytest.mark.parametrize("name", FORBIDDEN)
def test_unusable_losses_are_refused_with_the_reason(name):
    with pytest.raises(CrossModalError, match=f"loss {name}: refused, .{{20,}}"):
        find_loss(name)


def test_nca_keeps_the_anchors_that_underflow():
    """At this scale the library's softmax is exactly zero, and the anchors that need the loss most are dropped."""
    from pytorch_metric_learning import losses as pml

    image, ids = torch.eye(2, 8), torch.arange(2)
    text = torch.stack([-image[0], image[0]])
    naive = pml.NCALoss(softmax_scale=64)(image[:1], ids[:1], ref_emb=text, ref_labels=ids)
    assert naive == 0 or naive.isnan()
    config = ObjectiveConfig(PartConfig("NCALoss", {"softmax_scale": 64}), terms=TermWeights(1, 0, 0, 0))
    ours = CrossModalLoss(config, 8, 2)(image[:2], ids, torch.cat([text, text]), torch.tensor([0, 1, 0, 1]))
    assert ours.loss > 100
