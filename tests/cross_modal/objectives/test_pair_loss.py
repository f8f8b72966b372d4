import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_loss import PairLoss
from cross_modal.objectives.pair_losses import PAIR_LOSSES
from cross_modal.objectives.pair_miner import REFUSED

VERDICTS = torch.tensor([1, 0, 1, 0, 0, 1, 0, 0, 1, 0])
A_IDS = torch.tensor([0, 0, 1, 2, 3, 4, 4, 5, 5, 6])
B_IDS = torch.tensor([1, 2, 3, 3, 4, 5, 6, 6, 7, 7])
COSINE_ARGUMENTS = {"ContrastiveLoss": {"pos_margin": 0.8, "neg_margin": 0.2}, "MarginLoss": {"beta": 0.3}}
LIFTED = ("LiftedStructureLoss", "GeneralizedLiftedStructureLoss")
COSINE_ARGUMENTS |= {name: {"pos_margin": 1, "neg_margin": 0} for name in LIFTED}
FREE = ["ContrastiveLoss", "MarginLoss", "TripletMarginLoss", "MultiSimilarityLoss", "SupConLoss",
        "LiftedStructureLoss", "GeneralizedLiftedStructureLoss"]  # fmt: skip
WAYS = [(name, None, {}) for name in PAIR_LOSSES]
WAYS += [("PairHeadLoss", None, {"head": "difference"})]
WAYS += [(name, distance, COSINE_ARGUMENTS.get(name, {}) if distance == "CosineSimilarity" else {})
         for name in FREE for distance in ("CosineSimilarity", "LpDistance")]  # fmt: skip


def make(name="PairHeadLoss", distance=None, arguments=None, within="batch", normalise=True, dim=8, **others):
    part = PartConfig(distance) if distance else None
    config = PairObjectiveConfig(PartConfig(name, arguments or {}), part, compare_within=within, **others)
    return PairLoss(config, dim, normalise)


def rows(seed=0, pairs=10, dim=8):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(pairs, dim, generator=generator).requires_grad_(),
            torch.randn(pairs, dim, generator=generator).requires_grad_())  # fmt: skip


@pytest.mark.parametrize("within", ["batch", "item"])
@pytest.mark.parametrize(("name", "distance", "arguments"), WAYS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), turned=st.lists(st.booleans(), min_size=10, max_size=10))
def test_turning_any_pair_round_changes_no_bit(name, distance, arguments, within, seed, turned):
    a, b = rows(seed)
    turn = torch.tensor(turned)

    def run(swap):
        left, right = torch.where(swap[:, None], b, a), torch.where(swap[:, None], a, b)
        left_ids, right_ids = torch.where(swap, B_IDS, A_IDS), torch.where(swap, A_IDS, B_IDS)
        return make(name, distance, arguments, within)(left, right, VERDICTS, left_ids, right_ids).loss

    straight = run(torch.zeros(10, dtype=torch.bool))
    assert torch.equal(straight, run(turn))
    assert torch.equal(straight, run(~turn))


@pytest.mark.parametrize("within", ["batch", "item"])
@pytest.mark.parametrize(("name", "distance", "arguments"), WAYS)
def test_every_loss_is_finite_and_reaches_both_sides(name, distance, arguments, within):
    a, b = rows()
    loss = make(name, distance, arguments, within)
    for _ in range(2):  # twice: some losses keep the graph of the step before
        output = loss(a, b, VERDICTS, A_IDS, B_IDS)
        output.loss.backward()
    assert output.loss != 0 if name == "DynamicSoftMarginLoss" else output.loss > 0  # the one that goes below zero
    assert output.loss.isfinite()
    assert output.loss.ndim == 0
    assert output.usable_anchors > 0
    assert output.kept_pairs is None
    for gradient in (a.grad, b.grad, *(p.grad for p in loss.parameters())):
        assert gradient.isfinite().all()
        assert gradient.norm() > 0


@pytest.mark.parametrize("name", sorted(set(PAIR_LOSSES) - {"DynamicSoftMarginLoss"}))
def test_magnitudes_are_kept_where_the_twin_keeps_them(name):
    a, b = rows()
    loss = make(name, normalise=False)
    output = loss(a, b, VERDICTS)
    output.loss.backward()
    assert output.loss.isfinite()
    assert a.grad.isfinite().all()
    own_cosine = name in ("CircleLoss", "TupletMarginLoss", "MultiSimilarityLoss", "SupConLoss", "NTXentLoss",
                          "IntraPairVarianceLoss", "SignalToNoiseRatioContrastiveLoss")  # fmt: skip
    if not own_cosine:
        assert not torch.isclose(loss(3 * a, 3 * b, VERDICTS).loss, output.loss)


def test_a_step_tells_the_imbalance_and_what_took_part():
    a, b = rows()
    parts = {key: float(value) for key, value in make()(a, b, VERDICTS).parts.items()}
    assert (parts["pairs"], parts["same_pairs"], parts["different_pairs"]) == (10, 4, 6)
    assert parts["same_share"] == pytest.approx(0.4)
    assert (parts["same_weight"], parts["different_weight"]) == (pytest.approx(10 / 8), pytest.approx(10 / 12))
    assert (parts["kept_pairs"], parts["kept_same"], parts["kept_different"]) == (10, 4, 6)
    assert (parts["scale"], parts["bias"]) == (pytest.approx(10), pytest.approx(-5))


def test_the_rarer_verdict_is_not_drowned():
    """One same pair among a hundred: with the balance, the loss is the mean of the two verdicts' means."""
    a, b = rows(pairs=100)
    verdicts = torch.arange(100) == 3
    natural = make(same_share=None)(a, b, verdicts).loss
    elements = -torch.where(verdicts, 1.0, -1.0) * make().head(a, b)
    elements = torch.nn.functional.softplus(elements)
    torch.testing.assert_close(natural, elements.mean())
    balanced = (elements[verdicts].mean() + elements[~verdicts].mean()) / 2
    torch.testing.assert_close(make()(a, b, verdicts).loss, balanced)


def test_an_item_in_no_same_pair_counts_less_in_multi_similarity():
    a, b = rows()
    losses = [make("MultiSimilarityLoss", within="item", same_share=s)(a, b, VERDICTS, A_IDS, B_IDS).loss
              for s in (None, 0.5, 0.9)]  # fmt: skip
    assert len({round(float(loss.detach()), 5) for loss in losses}) == 3


@pytest.mark.parametrize("name", PAIR_LOSSES)
@pytest.mark.parametrize("verdict", [0, 1])
def test_a_step_with_one_verdict_is_finite_and_keeps_the_graph(name, verdict):
    a, b = rows()
    output = make(name)(a, b, torch.full((10,), verdict))
    output.loss.backward()
    assert output.loss.isfinite()
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()
    compared = PAIR_LOSSES[name].form in ("parts", "head") or name in ("RegressionLoss", "MultiSimilarityLoss")
    assert (output.usable_anchors > 0) == compared


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_no_pairs_are_no_loss(name):
    output = make(name)(torch.zeros(0, 8, requires_grad=True), torch.zeros(0, 8), torch.zeros(0))
    output.loss.backward()
    assert output.loss == 0
    assert output.usable_anchors == 0


@pytest.mark.parametrize("name", ["RegressionLoss", "CoSENTLoss", "PairHeadLoss"])
def test_scores_train_the_losses_that_take_them(name):
    a, b = rows(pairs=30)
    scores = torch.rand(30, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam([a, b], lr=0.05)
    loss = make(name)
    before = loss(a, b, scores)
    for _ in range(100):
        optimizer.zero_grad()
        loss(a, b, scores).loss.backward()
        optimizer.step()
    ranks = [x.argsort().argsort().float() for x in (torch.cosine_similarity(a, b).detach(), scores)]
    assert torch.corrcoef(torch.stack(ranks))[0, 1] > 0.9
    assert "same_weight" not in before.parts
    assert before.parts["same_share"] == pytest.approx(float(scores.mean()))


def test_scores_are_refused_by_losses_over_verdicts():
    a, b = rows()
    with pytest.raises(CrossModalError, match=r"ContrastiveLoss: needs verdicts .* found the score 0.25; .*CoSENTLoss"):
        make("ContrastiveLoss")(a, b, torch.full((10,), 0.25))


@pytest.mark.parametrize("name", sorted(set(PAIR_LOSSES) - {"IntraPairVarianceLoss"}))
def test_triplets_train_every_loss(name):
    anchor, positive = rows()
    negative, _ = rows(2)
    loss = make(name)
    output = loss.triplets(anchor, positive, negative)
    output.loss.backward()
    assert output.loss != 0
    assert output.parts["pairs"] == 20
    for side in (anchor, positive, negative):
        assert side.grad.isfinite().all()
        assert side.grad.norm() > 0


def test_a_triplet_compares_its_own_three_items_only():
    anchor, positive = rows()
    negative, _ = rows(2)
    z, p, n = (torch.nn.functional.normalize(x, dim=1) for x in (anchor, positive, negative))
    expected = ((z - p).norm(dim=1) - (z - n).norm(dim=1) + 0.4).relu()
    output = make("TripletMarginLoss", arguments={"margin": 0.4}).triplets(anchor, positive, negative)
    torch.testing.assert_close(output.loss, expected[expected > 0].mean())
    alone = make("SupConLoss").triplets(anchor, positive, negative)
    both = torch.stack([(z * p).sum(1), (z * n).sum(1)], dim=1) / 0.1
    torch.testing.assert_close(alone.loss, -both.log_softmax(1)[:, 0].mean())


def test_triplets_of_one_anchor_are_weighed_together_where_it_has_a_number():
    anchor, positive = rows()
    negative, _ = rows(2)
    anchor = anchor[:1].expand(10, -1)
    together = make("SupConLoss").triplets(anchor, positive, negative, torch.zeros(10, dtype=torch.long))
    assert together.usable_anchors == 1
    assert make("SupConLoss").triplets(anchor, positive, negative).usable_anchors == 10


def test_a_miner_keeps_some_pairs_and_says_how_many():
    a, b = rows()
    miner = PartConfig("PairMarginMiner", {"pos_margin": 1.3, "neg_margin": 1.31})
    output = make("ContrastiveLoss", miner=miner)(a, b, VERDICTS)
    d = (torch.nn.functional.normalize(a, dim=1) - torch.nn.functional.normalize(b, dim=1)).norm(dim=1)
    kept = int(torch.where(VERDICTS == 1, d > 1.3, d < 1.31).sum())
    assert 0 < output.kept_pairs == output.parts["kept_pairs"] == kept < 10
    triplets = make("TripletMarginLoss", miner=PartConfig("TripletMarginMiner"))(a, b, VERDICTS)
    assert 0 < triplets.kept_pairs == triplets.parts["kept_triplets"] <= 24


def test_a_miner_that_keeps_nothing_leaves_a_zero_with_a_graph():
    a, b = rows()
    output = make("TripletMarginLoss", miner=PartConfig("TripletMarginMiner", {"margin": -5.0}))(a, b, VERDICTS)
    output.loss.backward()
    assert (output.loss.item(), output.kept_pairs, output.usable_anchors) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["bf16", "autocast"])
def test_the_loss_is_float32_in_any_case(kind):
    a, b = rows()
    loss = make("TripletMarginLoss").to(torch.bfloat16)
    if kind == "bf16":
        output = loss(a.bfloat16(), b.bfloat16(), VERDICTS)
    else:
        with torch.autocast("cpu", torch.bfloat16):
            output = loss(a, b, VERDICTS)
    assert output.loss.dtype == torch.float32
    assert make().to(torch.bfloat16).head.bias.dtype == torch.float32


def test_the_head_is_the_module_to_save_and_has_all_parameters():
    loss = make(arguments={"head": "difference"})
    assert loss.head.kind == "difference"
    assert {id(p) for p in loss.parameters_without_decay()} == {id(p) for p in loss.head.parameters()}
    assert not list(loss.proxy_parameters())
    assert make("CircleLoss").head is None


def test_the_running_histogram_is_kept_with_the_state():
    a, b = rows()
    loss = make("DynamicSoftMarginLoss")
    loss(a, b, VERDICTS)
    other = make("DynamicSoftMarginLoss")
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(a, b, VERDICTS).loss, loss(a, b, VERDICTS).loss)


@pytest.mark.parametrize("value", [-1.0, 2.0, float("nan")])
def test_verdicts_outside_0_to_1_are_one_line(value):
    a, b = rows()
    verdicts = VERDICTS.float()
    verdicts[3] = value
    with pytest.raises(CrossModalError, match=r"must be 1 \(same\), 0 \(different\) or a score .* found .* in row 3"):
        make()(a, b, verdicts)


def test_what_does_not_fit_is_one_line():
    a, b = rows()
    with pytest.raises(CrossModalError, match=r"expected embeddings .* found \(10, 8\), \(9, 8\), \(10,\)"):
        make()(a, b[:9], VERDICTS)
    with pytest.raises(CrossModalError, match="numbers of both sides"):
        make()(a, b, VERDICTS, A_IDS)
    with pytest.raises(CrossModalError, match="10 pairs with 9 and 10 items' numbers"):
        make()(a, b, VERDICTS, A_IDS[:9], B_IDS)
    with pytest.raises(CrossModalError, match="found item 0 on both sides in row 0"):
        make()(a, b, VERDICTS, A_IDS, A_IDS)
    with pytest.raises(CrossModalError, match="compare_within=item needs the items' numbers"):
        make("CircleLoss", within="item")(a, b, VERDICTS)
    with pytest.raises(CrossModalError, match="must be of one shape, found"):
        make().triplets(a, b, b[:3])
    with pytest.raises(CrossModalError, match="compare_within must be batch or item, found 'class'"):
        make("CircleLoss", within="class")
    with pytest.raises(CrossModalError, match="same_share must lie between 0 and 1"):
        make(same_share=1.0)
    with pytest.raises(CrossModalError, match=f"miner {next(iter(REFUSED))}: takes no labelled pairs"):
        make("CircleLoss", miner=PartConfig(next(iter(REFUSED))))


@pytest.mark.parametrize(("name", "distance", "arguments"), WAYS)
def test_equal_items_leave_the_gradient_finite(name, distance, arguments):
    a, b = rows()
    b = torch.cat([a[:5], b[5:]])
    make(name, distance, arguments)(a, b, VERDICTS).loss.backward()
    assert a.grad.isfinite().all()


def test_pairs_without_a_shared_item_need_no_numbers_where_each_counts_by_itself():
    a, b = rows()
    assert torch.equal(make(within="item")(a, b, VERDICTS).loss, make()(a, b, VERDICTS).loss)
