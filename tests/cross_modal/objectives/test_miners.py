import pytest
import torch
from torch.nn import functional as F

from cross_modal.configuration import MemoryConfig, ObjectiveConfig, PartConfig, TermWeights
from cross_modal.errors import CrossModalError
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.miners import MINERS

IMAGE_IDS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
TEXT_IDS = torch.tensor([0, 1, 2, 3, 3, 4, 6])
COSINE = {"pos_margin": 0.9, "neg_margin": 0.1}


def make(loss, miner, arguments=None, **parts):
    config = ObjectiveConfig(PartConfig(loss), PartConfig(miner, arguments or {}), **parts)
    return CrossModalLoss(config, 16, 7)


def batch():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(n, 16, generator=generator).requires_grad_() for n in (10, 7)]


@pytest.mark.parametrize("memory", [0, 16])
@pytest.mark.parametrize(
    "loss", ["SupConLoss", "MultiSimilarityLoss", "TripletMarginLoss", "AngularLoss", "LiftedStructureLoss"]
)
@pytest.mark.parametrize("miner", MINERS)
def test_every_miner_feeds_every_kind_of_loss(miner, loss, memory):
    torch.manual_seed(0)
    cosine = miner == "PairMarginMiner" and loss in ("SupConLoss", "MultiSimilarityLoss")
    terms = TermWeights(1, 1, 1, 1)
    arguments = {"neg_margin": 1.4} | (COSINE if cosine else {}) if miner == "PairMarginMiner" else {}
    loss = make(loss, miner, arguments, terms=terms, memory=MemoryConfig(memory, warm_up=1))
    image, text = batch()
    for _ in range(3):
        output = loss(image, IMAGE_IDS, text, TEXT_IDS)
        output.loss.backward()
        loss.after_step(image, IMAGE_IDS, text, TEXT_IDS)
    assert output.loss.isfinite()
    assert output.kept_pairs > 0
    assert image.grad.isfinite().all()
    assert text.grad.norm() > 0


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("loss", ["CosFaceLoss", "NCALoss", "FastAPLoss"])
def test_miners_weigh_items_of_losses_without_tuples(miner, loss):
    torch.manual_seed(0)
    arguments = {"pos_margin": 0.9, "neg_margin": 0.1} if miner == "PairMarginMiner" and loss == "CosFaceLoss" else {}
    image, text = batch()
    assert make(loss, miner, arguments)(image, IMAGE_IDS, text, TEXT_IDS).loss > 0


def test_hard_mining_takes_the_farthest_positive_and_the_nearest_negative():
    image, text = batch()
    z, w = F.normalize(image, dim=1), F.normalize(text, dim=1)
    distance = torch.cdist(z, w)
    same = IMAGE_IDS[:, None] == TEXT_IDS
    hardest = distance.masked_fill(~same, -1).max(1).values - distance.masked_fill(same, 9).min(1).values + 0.05
    violated = hardest[same.any(1)].relu()
    output = make("TripletMarginLoss", "BatchHardMiner", terms=TermWeights(1, 0, 0, 0))(
        image, IMAGE_IDS, text, TEXT_IDS
    )
    torch.testing.assert_close(output.loss, violated[violated > 0].mean())


def test_an_item_is_never_mined_as_its_own_positive():
    image, _ = batch()
    loss = make(
        "ContrastiveLoss", "BatchEasyHardMiner", {"pos_strategy": "easy", "neg_strategy": "hard"},
        terms=TermWeights(0, 0, 1, 0),
    )  # fmt: skip
    output = loss(image, IMAGE_IDS, None, IMAGE_IDS[:0])
    assert output.parts["kept_positives"] == 8
    assert output.loss > 0.3  # an item is at distance 0 from itself: the easiest positive there is


@pytest.mark.parametrize(
    ("loss", "miner", "arguments", "message"),
    [
        ("SupConLoss", "Hard", {}, "miner 'Hard': unknown, expected one of: MultiSimilarityMiner"),
        ("SupConLoss", "EmbeddingsAlreadyPackagedAsTriplets", {}, "refused"),
        ("SupConLoss", "BatchHardMiner", {"margin": 1}, "unknown argument 'margin'"),
        ("SupConLoss", "PairMarginMiner", {}, "pos_margin must be larger"),
        ("ContrastiveLoss", "PairMarginMiner", {"pos_margin": 0.9, "neg_margin": 0.1}, "pos_margin must be smaller"),
        ("SupConLoss", "TripletMarginMiner", {"type_of_triplets": "soft"}, "type_of_triplets must be one of"),
        ("SupConLoss", "HDCMiner", {"filter_percentage": 2}, "filter_percentage must lie"),
        ("SupConLoss", "BatchEasyHardMiner", {"pos_strategy": "semihard"}, "cannot both be"),
        ("SupConLoss", "BatchEasyHardMiner", {"allowed_pos_range": [1, 0]}, "two rising numbers"),
    ],
)
def test_a_miner_that_cannot_work_is_one_line(loss, miner, arguments, message):
    with pytest.raises(CrossModalError, match=message) as caught:
        make(loss, miner, arguments)
    assert "\n" not in str(caught.value)


def test_miners_of_unit_vectors_refuse_magnitudes():
    config = ObjectiveConfig(PartConfig("TripletMarginLoss"), PartConfig("AngularMiner"))
    with pytest.raises(CrossModalError, match="AngularMiner: works on unit vectors"):
        CrossModalLoss(config, 16, 7, normalise=False)
