"""Several references: the mean, the best, a threshold of one's own, and the one that does not belong."""

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners
from cross_modal.verification.calibrate import calibrate
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.pair_scores import pair_scores
from cross_modal.verification.references import How, decide_by_references, far_references, reference_scores

DIM = 32


def _person(generator: np.random.Generator, count: int, care: float) -> np.ndarray:
    """(count, dim) float32 items around a direction of one's own; careless people scatter."""
    centre = generator.normal(size=DIM)
    return (centre + generator.normal(0, care, (count, DIM))).astype(np.float32)


def _people(seed: int, people: int = 60, each: int = 10) -> np.ndarray:
    """(people, each, dim): some careful, some careless."""
    generator = np.random.default_rng(seed)
    return np.stack([_person(generator, each, care) for care in generator.uniform(0.2, 1.6, people)])


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    items = _people(0)
    people, each = items.shape[:2]
    same = [(p, i, p, j) for p in range(people) for i in range(each) for j in range(i)]
    random = np.random.default_rng(1)
    different = [(p, random.integers(each), q, random.integers(each)) for p in range(people) for q in range(p)]
    a, i, b, j = np.array(same + different).T
    scores = pair_scores(items[a, i], items[b, j], "cosine")
    return calibrate(scores, a == b, Owners(a, b), resamples=50)


def test_one_reference_is_a_pair(calibration: Calibration) -> None:
    items = _people(2, 2)
    for how in ("mean", "best"):
        scores, decision = decide_by_references(calibration, items[1], items[0, :1], how)
        pairs = pair_scores(items[1], np.repeat(items[0, :1], 10, 0), "cosine")
        assert scores == pytest.approx(pairs)
        assert decision.false_accept == calibration.point().false_accept
        assert (decision.same == calibration.decide(pairs).same).all()


def test_the_best_lies_above_the_mean_and_admits_more_false_accepts(calibration: Calibration) -> None:
    items = _people(3, 2)
    mean, plain = decide_by_references(calibration, items[1], items[0, :5])
    best, bounded = decide_by_references(calibration, items[1], items[0, :5], "best")
    table = reference_scores(calibration, items[1], items[0, :5])
    assert (best == table.max(1)).all()
    assert mean == pytest.approx(table.mean(1))
    assert bounded.false_accept.value == pytest.approx(5 * plain.false_accept.value)
    assert bounded.false_reject == plain.false_reject
    many = decide_by_references(calibration, items[1], np.repeat(items[0], 50, 0), "best")[1]
    assert many.false_accept.value == 1


def test_the_order_of_references_changes_nothing(calibration: Calibration) -> None:
    items = _people(4, 2)
    forth, back = (decide_by_references(calibration, items[1], items[0][::step])[0] for step in (1, -1))
    assert forth == pytest.approx(back, abs=1e-12)


def test_five_references_tell_more_than_one_and_own_thresholds_more_than_the_general_one(
    calibration: Calibration,
) -> None:
    items = _people(5, 80)
    margins: dict[str, list[np.ndarray]] = {"one": [], "mean": [], "identity": []}
    for person, (known, asked) in enumerate(zip(items[:, :5], items[:, 5:], strict=True)):
        queries = np.concatenate([asked, np.delete(items[:, 9], person, 0)])
        ways: dict[str, tuple[np.ndarray, How]] = {
            "one": (known[:1], "mean"),
            "mean": (known, "mean"),
            "identity": (known, "identity"),
        }
        for name, (references, how) in ways.items():
            scores, decision = decide_by_references(calibration, queries, references, how)
            margins[name].append(scores - decision.threshold)
    same = np.tile(np.arange(5 + 79) < 5, 80)
    eer = {name: error_rates(np.concatenate(found), same)["eer"].item() for name, found in margins.items()}
    assert eer["mean"] < 0.8 * eer["one"]
    assert eer["identity"] < 0.8 * eer["mean"]


def test_a_threshold_of_ones_own_moves_the_probability_with_it(calibration: Calibration) -> None:
    generator = np.random.default_rng(6)
    careless = _person(generator, 10, 1.5)
    scores, own = decide_by_references(calibration, careless[5:], careless[:5], "identity")
    _, general = decide_by_references(calibration, careless[5:], careless[:5], "mean")
    assert own.threshold < general.threshold
    assert (own.probability > general.probability).all()
    assert ((scores >= own.threshold) == own.same).all()


def test_the_reference_that_does_not_belong_is_named(calibration: Calibration) -> None:
    generator = np.random.default_rng(7)
    mine, other = _person(generator, 4, 0.3), _person(generator, 1, 0.3)
    found = far_references(calibration, np.concatenate([mine[:2], other, mine[2:]]), list("abcde"))
    assert [(far.place, far.name) for far in found] == [(2, "c")]
    assert "reference c: scores" in found[0].sentence()
    assert far_references(calibration, mine) == []
    assert far_references(calibration, mine[:1]) == []


def test_of_two_that_differ_nobody_knows_which_is_wrong(calibration: Calibration) -> None:
    generator = np.random.default_rng(8)
    pair = np.concatenate([_person(generator, 1, 0.1), _person(generator, 1, 0.1)])
    assert [far.name for far in far_references(calibration, pair)] == ["1", "2"]


def test_bad_input_is_named(calibration: Calibration) -> None:
    items = _people(9, 1)[0]
    with pytest.raises(CrossModalError, match="expected at least 1, found none"):
        decide_by_references(calibration, items, items[:0])
    with pytest.raises(CrossModalError, match="needs 2 references or more, found 1"):
        decide_by_references(calibration, items, items[:1], "identity")
    with pytest.raises(CrossModalError, match="expected size 32 as the queries, found 8"):
        decide_by_references(calibration, items, items[:, :8])
    with pytest.raises(CrossModalError, match="expected one of mean, best, identity, found 'worst'"):
        decide_by_references(calibration, items, items, "worst")  # type: ignore[arg-type]
    with pytest.raises(CrossModalError, match="references: row 0 is not finite"):
        far_references(calibration, np.full((2, 4), np.nan, np.float32))
    with pytest.raises(CrossModalError, match="expected a name for each of 10, found 1"):
        far_references(calibration, items, ["a"])


def test_pairs_without_identities_give_no_thresholds_of_ones_own() -> None:
    scores, same = np.append(np.zeros(30), np.ones(30)), np.arange(60) >= 30
    plain = calibrate(scores, same, Owners(np.arange(60), np.arange(60), "component"), resamples=20)
    items = _people(9, 1)[0]
    with pytest.raises(CrossModalError, match="found one by 60 components"):
        decide_by_references(plain, items, items, "identity")
