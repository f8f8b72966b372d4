import pytest
import torch

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.distances import build_distance
from cross_modal.objectives.miners import MINERS
from cross_modal.objectives.pair_comparisons import within_batch, within_items
from cross_modal.objectives.pair_miner import REFUSED, build_pair_miner, mine

SAME = torch.tensor([True, True, False, False, False])
DISTANCES = torch.tensor([0.1, 0.9, 0.3, 1.0, 1.6])
A_IDS, B_IDS = torch.tensor([1, 2, 1, 2, 5]), torch.tensor([3, 4, 4, 3, 6])
EUCLIDEAN = build_distance(PartConfig("LpDistance"), True)


def run(name, arguments=None, comparisons=None, distance=EUCLIDEAN, distances=DISTANCES):
    miner = build_pair_miner(PartConfig(name, arguments or {}), distance, True)
    return mine(miner, distances, SAME, comparisons or within_batch(SAME))


def pairs(found):
    return [x.tolist() for x in found.indices[1::2]]


def test_the_pair_margin_miner_keeps_pairs_that_break_their_threshold():
    assert pairs(run("PairMarginMiner", {"pos_margin": 0.5, "neg_margin": 0.8})) == [[1], [2]]


def test_thresholds_turn_round_with_a_similarity():
    cosine = build_distance(PartConfig("CosineSimilarity"), True)
    similarity = 1 - DISTANCES**2 / 2
    found = run("PairMarginMiner", {"pos_margin": 0.8, "neg_margin": 0.6}, None, cosine, similarity)
    assert pairs(found) == [[1], [2]]


def test_hdc_keeps_the_hardest_share_of_each_verdict():
    assert pairs(run("HDCMiner", {"filter_percentage": 0.5})) == [[1], [2, 3]]


def test_multi_similarity_keeps_what_the_other_verdict_comes_near_to():
    found = run("MultiSimilarityMiner", {"epsilon": 0.0})
    assert sorted(pairs(found)[0]) == [1]  # further than the nearest different pair
    assert sorted(pairs(found)[1]) == [2]  # nearer than the furthest same pair


def test_triplets_of_an_item_are_made_of_its_own_pairs():
    found = run("TripletMarginMiner", {"margin": 0.05, "type_of_triplets": "hard"}, within_items(SAME, A_IDS, B_IDS))
    anchor, same, different = found.indices
    assert list(zip(anchor.tolist(), same.tolist(), different.tolist(), strict=True)) == [(3, 1, 2)]  # item 4 alone


@pytest.mark.parametrize("name", [name for name in MINERS if name not in REFUSED])
@pytest.mark.parametrize("within", ["batch", "item"])
def test_every_miner_picks_among_the_given_pairs_and_leaves_the_distances_alone(name, within):
    comparisons = within_batch(SAME) if within == "batch" else within_items(SAME, A_IDS, B_IDS)
    distances = DISTANCES.clone().requires_grad_()
    found = run(name, comparisons=comparisons, distances=distances)
    assert torch.equal(distances, DISTANCES)
    given = [set(zip(*(x.tolist() for x in pair), strict=True)) for pair in (comparisons.indices[:2],)]
    anchors, same, others, different = found.as_pairs()
    assert set(zip(anchors.tolist(), same.tolist(), strict=True)) <= given[0]
    assert bool(SAME[same].all())
    assert not bool(SAME[different].any())
    assert set(zip(others.tolist(), different.tolist(), strict=True)) <= set(
        zip(*(x.tolist() for x in comparisons.indices[2:]), strict=True)
    )


def test_one_verdict_leaves_nothing_to_compare():
    same = torch.tensor([False, False])
    miner = build_pair_miner(PartConfig("MultiSimilarityMiner"), EUCLIDEAN, True)
    assert mine(miner, DISTANCES[:2], same, within_batch(same)).kept() == (0, 0)


@pytest.mark.parametrize("name", REFUSED)
def test_miners_that_need_points_or_classes_are_refused(name):
    with pytest.raises(CrossModalError, match=f"miner {name}: takes no labelled pairs, .{{20,}}"):
        build_pair_miner(PartConfig(name), EUCLIDEAN, True)


def test_thresholds_that_point_the_wrong_way_are_refused():
    with pytest.raises(CrossModalError, match="pos_margin must be larger"):
        build_pair_miner(PartConfig("PairMarginMiner"), build_distance(None, True), True)


def test_no_miner_is_no_miner():
    assert build_pair_miner(None, EUCLIDEAN, True) is None
